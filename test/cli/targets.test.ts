import { describe, expect, it } from 'vitest'
import { didYouMean, findTarget, parseNames, selectTargets, unknownTarget } from '../../src/cli/targets.ts'

const HOUSE = ['cucm-pub', 'cucm-sub1', 'cucm-sub2', 'cuc-1', 'web.example.org', 'r-7k2m9q'].map((name, index) => ({
  id: index + 1,
  name,
}))

function names(...words: string[]): string[] {
  return selectTargets(words, HOUSE).connections.map(({ name }) => name)
}

describe('targets', () => {
  it.each([
    ['a name', ['cuc-1'], ['cuc-1']],
    ['an id', ['2'], ['cucm-sub1']],
    ['several, in the order asked for', ['cuc-1', '1'], ['cuc-1', 'cucm-pub']],
    ['the same one by name and by id, once', ['cucm-pub', '1', 'cucm-*'], ['cucm-pub', 'cucm-sub1', 'cucm-sub2']],
    ['a glob, sorted by id', ['cucm-*'], ['cucm-pub', 'cucm-sub1', 'cucm-sub2']],
    ['a question mark', ['cucm-sub?'], ['cucm-sub1', 'cucm-sub2']],
    ['a set', ['cucm-sub[13]'], ['cucm-sub1']],
    ['a set of others', ['cucm-sub[!1]'], ['cucm-sub2']],
    ['a range', ['cucm-sub[2-9]'], ['cucm-sub2']],
    ['a dot, which is only a dot', ['web?example*'], ['web.example.org']],
    ['a name that looks like an operation', ['r-7k2m9q'], ['r-7k2m9q']],
  ])('%s', (_, words, expected) => {
    expect(names(...words)).toEqual(expected)
  })

  it('knows who was named and who was only matched', () => {
    expect(selectTargets(['cucm-pub', 'cuc-1'], HOUSE).byPattern).toBe(false)
    expect(selectTargets(['cuc-?'], HOUSE).byPattern).toBe(true)
  })

  it.each([
    ['nothing', [], 'empty_selection', 'no target was named.'],
    ['a glob that fits nothing', ['zzz*'], 'empty_selection', 'no connection matches "zzz*".'],
    ['one good and one that fits nothing', ['cuc-1', 'zzz*'], 'empty_selection', 'no connection matches "zzz*".'],
    ['a swapped letter', ['cucm-pbu'], 'unknown_connection', 'no connection "cucm-pbu". Did you mean cucm-pub?'],
    ['another case', ['CUC-1'], 'unknown_connection', 'no connection "CUC-1". Did you mean cuc-1?'],
    ['an unknown id', ['99'], 'unknown_connection', 'no connection "99".'],
    ['nothing alike', ['mailserver'], 'unknown_connection', 'no connection "mailserver".'],
    ['a group, which there is none of', ['@web'], 'unknown_connection', 'no connection "@web".'],
    ['a range that runs backwards', ['[z-a]'], 'bad_request', '"[z-a]" is not a glob.'],
  ])('refuses %s, and never means "all" by it', (_, words, code, message) => {
    expect(() => selectTargets(words, HOUSE)).toThrow(expect.objectContaining({ code, message }))
  })

  it('takes an expression for text outside of its three signs', () => {
    expect(() => names('cucm.pub*')).toThrow('no connection matches')
    expect(() => names('(cucm-pub)*')).toThrow('no connection matches')
  })

  it('does not take a name for an id or the other way round', () => {
    const odd = [
      { id: 7, name: 'a' },
      { id: 8, name: 'b7' },
    ]
    expect(findTarget('7', odd)?.name).toBe('a')
    expect(findTarget('b7', odd)?.id).toBe(8)
    expect(findTarget('07x', odd)).toBeNull()
  })

  it('names the hint where nothing is near', () => {
    expect(unknownTarget('x', []).hint).toBe('See them: vosctl connections list')
  })
})

it.each([
  ['restat', ['restart', 'test', 'status'], 'restart'],
  ['sttaus', ['restart', 'status'], 'status'],
  ['xyz', ['restart', 'status'], null],
  ['p', ['ps'], 'ps'],
  ['x'.repeat(1_000_000), ['restart'], null],
])('%.20s: did you mean…', (word, known, expected) => {
  expect(didYouMean(word, known)).toBe(expected)
})

it.each([
  ['a\nb\n', ['a', 'b']],
  ['a b\tc', ['a', 'b', 'c']],
  ['# all of it\na # the first\n\n  b\r\n', ['a', 'b']],
  ['', []],
  ['\n \n', []],
])('names on standard input: %j', (text, expected) => {
  expect(parseNames(text)).toEqual(expected)
})
