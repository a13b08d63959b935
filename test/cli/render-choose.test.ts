import { describe, expect, test } from 'vitest'
import { chooseRenderer, terminalSize, type OutputFormat, type ProgressMode } from '../../src/cli/renderers/choose.ts'
import { VosError } from '../../src/core/errors.ts'

const TTY = { isTTY: true, columns: 80, rows: 24 }
const PIPE = {}

interface Case {
  readonly stderr?: object
  readonly stdout?: object
  readonly env?: NodeJS.ProcessEnv
  readonly progress?: ProgressMode
  readonly output?: OutputFormat
}

function choose({ stderr = TTY, stdout = TTY, env = {}, progress, output = 'text' }: Case) {
  return chooseRenderer({ env, stdin: TTY, stdout, stderr, progress, output })
}

describe('chooseRenderer', () => {
  test.each<[title: string, given: Case, expected: string]>([
    ['a terminal', {}, 'live'],
    ['a terminal with --progress auto', { progress: 'auto' }, 'live'],
    ['a terminal whose stdout is a pipe, because it draws on stderr', { stdout: PIPE }, 'live'],
    ['stderr in a pipe', { stderr: PIPE }, 'plain'],
    ['CI on a terminal', { env: { CI: 'true' } }, 'plain'],
    ['CI=false', { env: { CI: 'false' } }, 'live'],
    ['ACCESSIBLE', { env: { ACCESSIBLE: '1' } }, 'plain'],
    ['ACCESSIBLE set to nothing', { env: { ACCESSIBLE: '' } }, 'live'],
    ['a dumb terminal', { env: { TERM: 'dumb' } }, 'plain'],
    ['39 columns', { stderr: { ...TTY, columns: 39 } }, 'plain'],
    ['40 columns', { stderr: { ...TTY, columns: 40 } }, 'live'],
    ['7 rows', { stderr: { ...TTY, rows: 7 } }, 'plain'],
    ['8 rows', { stderr: { ...TTY, rows: 8 } }, 'live'],
    ['a terminal of 0x0', { stderr: { isTTY: true, columns: 0, rows: 0 } }, 'plain'],
    [
      'a terminal of 0x0 with COLUMNS and LINES',
      { stderr: { isTTY: true, columns: 0, rows: 0 }, env: { COLUMNS: '80', LINES: '24' } },
      'live',
    ],
    ['COLUMNS beside a size that the terminal reports', { env: { COLUMNS: '20', LINES: '3' } }, 'live'],
    ['COLUMNS that is no number', { stderr: { isTTY: true }, env: { COLUMNS: '-80', LINES: 'many' } }, 'plain'],
    ['--progress plain', { progress: 'plain' }, 'plain'],
    ['--progress none', { progress: 'none' }, 'none'],
    ['--progress live in CI: the person insists', { progress: 'live', env: { CI: '1' } }, 'live'],
    ['-o json', { output: 'json' }, 'none'],
    ['-o jsonl', { output: 'jsonl' }, 'none'],
    ['-o json with --progress plain', { output: 'json', progress: 'plain' }, 'plain'],
    ['-o name', { output: 'name' }, 'live'],
    ['VOSCTL_PROGRESS=plain', { env: { VOSCTL_PROGRESS: 'plain' } }, 'plain'],
    ['VOSCTL_PROGRESS=none', { env: { VOSCTL_PROGRESS: 'none' } }, 'none'],
    ['VOSCTL_PROGRESS=live in CI', { env: { VOSCTL_PROGRESS: 'live', CI: '1' } }, 'live'],
    ['VOSCTL_PROGRESS=live off a terminal: a wish', { stderr: PIPE, env: { VOSCTL_PROGRESS: 'live' } }, 'plain'],
    ['VOSCTL_PROGRESS=plain under -o json', { output: 'json', env: { VOSCTL_PROGRESS: 'plain' } }, 'none'],
    ['a flag against VOSCTL_PROGRESS', { progress: 'plain', env: { VOSCTL_PROGRESS: 'none' } }, 'plain'],
  ])('%s', (_, given, expected) => {
    expect(choose(given)).toBe(expected)
  })

  test.each<[given: Case, obstacle: RegExp]>([
    [{ stderr: PIPE }, /stderr is not a terminal/],
    [{ env: { TERM: 'dumb' } }, /TERM is dumb/],
    [{ stderr: { ...TTY, columns: 30 } }, /30x24, less than 40x8/],
  ])('--progress live that cannot be drawn is a usage error %#', (given, obstacle) => {
    const attempt = () => choose({ ...given, progress: 'live' })
    expect(attempt).toThrow(obstacle)
    expect(attempt).toThrow(expect.objectContaining({ code: 'bad_request' }))
    expect(attempt).toThrow(VosError)
  })

  test('a VOSCTL_PROGRESS that means nothing is a usage error and names the choices', () => {
    expect(() => choose({ env: { VOSCTL_PROGRESS: 'fancy' } })).toThrow(
      expect.objectContaining({ code: 'bad_request', hint: 'Set it to one of: auto, live, plain, none.' }),
    )
  })

  test("the size is the terminal's own where it reports one", () => {
    expect(terminalSize({ columns: 0, rows: 30 }, { COLUMNS: '100', LINES: '50' })).toEqual({ columns: 100, rows: 30 })
  })
})
