import { describe, expect, it } from 'vitest'
import { asksForJson, duration, ifRecent, timing, toFlags, wholeNumber } from '../../src/cli/flags.ts'

describe('flags and the variables of the same meaning', () => {
  const NOTHING = {
    output: 'text',
    progress: undefined,
    quiet: false,
    verbose: false,
    yes: false,
    noInput: false,
    timeoutMs: null,
    noStart: false,
  }

  it.each([
    ['nothing said', {}, {}, {}],
    [
      'variables',
      {},
      { VOSCTL_OUTPUT: 'name', VOSCTL_QUIET: '1', VOSCTL_NO_INPUT: 'yes', VOSCTL_NO_START: '1' },
      { output: 'name', quiet: true, noInput: true, noStart: true },
    ],
    ['variables that say no', {}, { VOSCTL_OUTPUT: '', VOSCTL_QUIET: '0', VOSCTL_NO_INPUT: 'false' }, {}],
    ['a flag before its variable', { output: 'json' }, { VOSCTL_OUTPUT: 'name' }, { output: 'json' }],
    ['--json', { json: true }, { VOSCTL_OUTPUT: 'name' }, { output: 'json' }],
    ['patience', { timeout: 30_000 }, {}, { timeoutMs: 30_000 }],
    ['a patience of 0 is for ever', { timeout: 0 }, {}, { timeoutMs: null }],
    ['--no-input and --no-start', { input: false, start: false }, {}, { noInput: true, noStart: true }],
  ] as const)('%s', (_, options, env, expected) => {
    expect(toFlags(options, env)).toEqual({ ...NOTHING, ...expected })
  })

  it('refuses what contradicts itself, and a variable that makes no sense', () => {
    expect(() => toFlags({ json: true, output: 'name' }, {})).toThrow('--json and --output name contradict')
    expect(() => toFlags({}, { VOSCTL_OUTPUT: 'xml' })).toThrow('VOSCTL_OUTPUT is "xml".')
  })
})

it.each([
  [['ps', '--json'], {}, true],
  [['ps', '-o', 'json'], {}, true],
  [['ps', '-ojsonl'], {}, true],
  [['ps', '-qo', 'json'], {}, true],
  [['ps', '--output=json'], {}, true],
  [['ps', '-o', 'text'], { VOSCTL_OUTPUT: 'json' }, false],
  [['ps'], { VOSCTL_OUTPUT: 'json' }, true],
  [['ps', '--nonsense'], {}, false],
  [['ps', '-o'], {}, false],
] as const)('errors of %j with %j are JSON: %s', (argv, env, expected) => {
  expect(asksForJson(argv, env)).toBe(expected)
})

describe('durations', () => {
  const parse = duration('--deadline')

  it.each([
    ['30s', 30_000],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1.5s', 1500],
    ['2d', 172_800_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parse(text)).toBe(ms)
  })

  it.each(['', '5', '-1s', '10 m', 'soon', '30d', '0.1ms', '0', '1e3s', '10s10'])('%j is none', (text) => {
    expect(() => parse(text)).toThrow(`--deadline is "${text}", which is not a duration.`)
  })

  it('0 counts only where zero has a meaning', () => {
    expect(duration('--timeout', { zero: true })('0')).toBe(0)
  })
})

describe('how recent is too recent', () => {
  it.each([
    ['allow', null],
    ['skip:6h', 21_600_000],
    ['skip:1h30m', 5_400_000],
    ['skip:30d', 2_592_000_000],
  ])('%s', (text, ms) => {
    expect(ifRecent(text)).toBe(ms)
  })

  it.each(['', 'skip', 'skip:', 'skip:0', 'skip:soon', 'skip:-1h', '6h', 'skip:6', `skip:${'9'.repeat(20)}d`])(
    '%j is refused',
    (text) => {
      expect(() => ifRecent(text)).toThrow(`--if-recent is "${text}".`)
    },
  )
})

it.each(['0', '1001', '-1', '1.5', 'x', '', '0x10', ' 1'])('%j is not a whole number from 1 to 1000', (text) => {
  expect(() => wholeNumber('--parallel', 1, 1000)(text)).toThrow(`--parallel is "${text}".`)
})

describe('time limits of a connection', () => {
  it('go by their names without the unit, and add up', () => {
    expect(timing('prompt=2m', timing('poll=500ms'))).toEqual({ promptMs: 120_000, pollMs: 500 })
  })

  it.each([
    ['promt=2m', 'there is no time limit "promt"'],
    ['promptMs=2m', 'there is no time limit "promptMs"'],
    ['prompt', 'which is not a duration'],
    ['prompt=', 'which is not a duration'],
    ['__proto__=2m', 'there is no time limit "__proto__"'],
  ])('%s: %s', (text, message) => {
    expect(() => timing(text)).toThrow(message)
  })
})
