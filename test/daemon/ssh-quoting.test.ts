import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { quoteCommand } from '../../src/daemon/ssh/quoting.ts'

/** What a real shell makes of command lines: the words that reach the program, one list for each line. */
function throughShell(lists: readonly (readonly string[])[]): string[][] {
  const lines = lists.map((words) => `${quoteCommand(['show', ...words])}\n`)
  const script = `show() { printf '%s\\0' "$#" "$@"; }\n${lines.join('')}`
  const { stdout, stderr } = spawnSync('sh', ['-s'], { input: script, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  expect(stderr).toBe('')
  const words = stdout.split('\0')
  const found: string[][] = []
  for (let at = 0; at < words.length - 1;) {
    const count = Number(words[at])
    found.push(words.slice(at + 1, at + 1 + count))
    at += 1 + count
  }
  return found
}

const word = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...'\'"\\$`;|&<>(){}[]*?~!#=%^ \t\n\r-ab./@:'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
    maxLength: 24,
  })
  .filter((text) => !text.includes('\0') && text.isWellFormed())

describe('a command line', () => {
  it('is split by a shell into exactly the words that it was made of, whatever they hold', () => {
    fc.assert(
      fc.property(fc.array(fc.array(word, { maxLength: 5 }), { minLength: 1, maxLength: 50 }), (lists) => {
        expect(throughShell(lists)).toEqual(lists)
      }),
      { numRuns: 40 },
    )
  })

  it('is readable when the words are plain', () => {
    expect(quoteCommand(['sudo', '-n', 'systemctl', 'restart', 'foo@1:a.service'])).toBe(
      'sudo -n systemctl restart foo@1:a.service',
    )
    expect(quoteCommand(['systemctl', '--type=service', '--property=Id,LoadState'])).toBe(
      'systemctl --type=service --property=Id,LoadState',
    )
  })

  it.each([
    ['', "''"],
    ['a b', "'a b'"],
    ["it's", "'it'\\''s'"],
    ['$(reboot)', "'$(reboot)'"],
    ['PATH=x', "'PATH=x'"],
    ['~root', "'~root'"],
    ['a\\x2db', "'a\\x2db'"],
    ['a\nb', "'a\nb'"],
  ])('quotes %j', (one, quoted) => {
    expect(quoteCommand([one])).toBe(quoted)
  })

  it('is refused without a word, or with a NUL byte, which no argument can hold', () => {
    expect(() => quoteCommand([])).toThrow(TypeError)
    expect(() => quoteCommand(['a\0b'])).toThrow(TypeError)
  })
})
