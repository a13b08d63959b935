import { describe, expect, test } from 'vitest'
import {
  choose,
  settleColour,
  terminalSize,
  type OutputFormat,
  type ProgressMode,
} from '../../src/cli/renderers/choose.ts'
import { VosError } from '../../src/core/errors.ts'

const TTY = { isTTY: true, columns: 80, rows: 24 }
const PIPE = {}

interface Case {
  readonly stderr?: object
  readonly stdout?: object
  readonly env?: NodeJS.ProcessEnv
  readonly progress?: ProgressMode
  readonly output?: OutputFormat
  readonly colour?: boolean
}

function chooseIn({ stderr = TTY, stdout = TTY, env = {}, output = 'text', progress, colour }: Case) {
  return choose({ env, stdout, stderr, progress, output, colour })
}

describe('what draws progress on stderr', () => {
  test.each<[title: string, given: Case, expected: string]>([
    ['a terminal', {}, 'live'],
    ['a terminal with --progress auto', { progress: 'auto' }, 'live'],
    ['a terminal whose stdout is a pipe, because it draws on stderr', { stdout: PIPE }, 'live'],
    ['stderr in a pipe', { stderr: PIPE }, 'plain'],
    ['CI on a terminal', { env: { CI: 'true' } }, 'plain'],
    ['CI set to nothing', { env: { CI: '' } }, 'live'],
    ['CI=false', { env: { CI: 'false' } }, 'live'],
    ['ACCESSIBLE', { env: { ACCESSIBLE: '1' } }, 'plain'],
    ['ACCESSIBLE set to nothing', { env: { ACCESSIBLE: '' } }, 'live'],
    ['NO_COLOR: colour is not progress', { env: { NO_COLOR: '1' } }, 'live'],
    ['FORCE_COLOR in a pipe: neither is it the other way round', { stderr: PIPE, env: { FORCE_COLOR: '1' } }, 'plain'],
    ['--no-color', { colour: false }, 'live'],
    ['both streams in pipes', { stdout: PIPE, stderr: PIPE }, 'plain'],
    ['TERM set to nothing', { env: { TERM: '' } }, 'live'],
    ['VOSCTL_PROGRESS set to nothing', { env: { VOSCTL_PROGRESS: '' } }, 'live'],
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
    expect(chooseIn(given).renderer).toBe(expected)
  })

  test.each<[given: Case, obstacle: RegExp]>([
    [{ stderr: PIPE }, /stderr is not a terminal/],
    [{ env: { TERM: 'dumb' } }, /TERM is dumb/],
    [{ stderr: { ...TTY, columns: 30 } }, /30x24, less than 40x8/],
  ])('--progress live that cannot be drawn is a usage error %#', (given, obstacle) => {
    const attempt = () => chooseIn({ ...given, progress: 'live' })
    expect(attempt).toThrow(obstacle)
    expect(attempt).toThrow(expect.objectContaining({ code: 'bad_request' }))
    expect(attempt).toThrow(VosError)
  })

  test('a VOSCTL_PROGRESS that means nothing is a usage error and names the choices', () => {
    expect(() => chooseIn({ env: { VOSCTL_PROGRESS: 'fancy' } })).toThrow(
      expect.objectContaining({ code: 'bad_request', hint: 'Set it to one of: auto, live, plain, none.' }),
    )
  })

  test("the size is the terminal's own where it reports one", () => {
    expect(terminalSize({ columns: 0, rows: 30 }, { COLUMNS: '100', LINES: '50' })).toEqual({ columns: 100, rows: 30 })
  })
})

describe('colour, for each stream by itself', () => {
  const PLACES = [
    ['on a terminal', { stdout: TTY, stderr: TTY }],
    ['stdout in a pipe', { stdout: PIPE, stderr: TTY }],
    ['stderr in a pipe', { stdout: TTY, stderr: PIPE }],
    ['both in pipes', { stdout: PIPE, stderr: PIPE }],
  ] as const
  /** Expected in each place, stdout first: `+` colour, `-` none. */
  const ROWS: readonly (readonly [title: string, given: Case, places: string])[] = [
    ['nothing is said', {}, '++ -+ +- --'],
    ['NO_COLOR=1', { env: { NO_COLOR: '1' } }, '-- -- -- --'],
    ['NO_COLOR=0: it is set', { env: { NO_COLOR: '0' } }, '-- -- -- --'],
    ['NO_COLOR=', { env: { NO_COLOR: '' } }, '++ -+ +- --'],
    ['TERM=dumb', { env: { TERM: 'dumb' } }, '-- -- -- --'],
    ['TERM=', { env: { TERM: '' } }, '++ -+ +- --'],
    ['FORCE_COLOR=0', { env: { FORCE_COLOR: '0' } }, '-- -- -- --'],
    ['FORCE_COLOR=false', { env: { FORCE_COLOR: 'false' } }, '-- -- -- --'],
    ['FORCE_COLOR=1', { env: { FORCE_COLOR: '1' } }, '++ ++ ++ ++'],
    ['FORCE_COLOR=2', { env: { FORCE_COLOR: '2' } }, '++ ++ ++ ++'],
    ['FORCE_COLOR=3', { env: { FORCE_COLOR: '3' } }, '++ ++ ++ ++'],
    ['FORCE_COLOR=true', { env: { FORCE_COLOR: 'true' } }, '++ ++ ++ ++'],
    ['FORCE_COLOR=', { env: { FORCE_COLOR: '' } }, '++ -+ +- --'],
    ['CLICOLOR_FORCE=1', { env: { CLICOLOR_FORCE: '1' } }, '++ ++ ++ ++'],
    ['CLICOLOR_FORCE=0', { env: { CLICOLOR_FORCE: '0' } }, '++ -+ +- --'],
    ['CLICOLOR_FORCE=', { env: { CLICOLOR_FORCE: '' } }, '++ -+ +- --'],
    ['CLICOLOR=0', { env: { CLICOLOR: '0' } }, '-- -- -- --'],
    ['CLICOLOR=1', { env: { CLICOLOR: '1' } }, '++ -+ +- --'],
    ['CLICOLOR=', { env: { CLICOLOR: '' } }, '++ -+ +- --'],
    [
      'CI, ACCESSIBLE and VOSCTL_PROGRESS',
      { env: { CI: '1', ACCESSIBLE: '1', VOSCTL_PROGRESS: 'none' } },
      '++ -+ +- --',
    ],
    ['--color', { colour: true }, '++ ++ ++ ++'],
    ['--no-color', { colour: false }, '-- -- -- --'],
    ['--color against NO_COLOR and TERM=dumb', { colour: true, env: { NO_COLOR: '1', TERM: 'dumb' } }, '++ ++ ++ ++'],
    ['--no-color against FORCE_COLOR', { colour: false, env: { FORCE_COLOR: '3' } }, '-- -- -- --'],
    ['NO_COLOR against FORCE_COLOR', { env: { NO_COLOR: '1', FORCE_COLOR: '1' } }, '-- -- -- --'],
    ['NO_COLOR against CLICOLOR_FORCE', { env: { NO_COLOR: '1', CLICOLOR_FORCE: '1' } }, '-- -- -- --'],
    ['NO_COLOR= beside FORCE_COLOR', { env: { NO_COLOR: '', FORCE_COLOR: '1' } }, '++ ++ ++ ++'],
    ['TERM=dumb against FORCE_COLOR', { env: { TERM: 'dumb', FORCE_COLOR: '1' } }, '-- -- -- --'],
    ['FORCE_COLOR=0 against CLICOLOR_FORCE', { env: { FORCE_COLOR: '0', CLICOLOR_FORCE: '1' } }, '-- -- -- --'],
    ['CLICOLOR_FORCE against CLICOLOR=0', { env: { CLICOLOR: '0', CLICOLOR_FORCE: '1' } }, '++ ++ ++ ++'],
  ]

  test.each(
    ROWS.flatMap(([title, given, places]) =>
      places.split(' ').map((expected, index) => {
        const [place = '', streams = {}] = PLACES[index] ?? []
        return [title, place, { ...given, ...streams }, expected] as const
      }),
    ),
  )('%s, %s', (_, __, given, expected) => {
    const { stdout, stderr } = chooseIn(given).colour
    expect([stdout, stderr].map((on) => (on ? '+' : '-')).join('')).toBe(expected)
  })

  test.each<[env: NodeJS.ProcessEnv, stderr: object, argv: string[], after: NodeJS.ProcessEnv]>([
    [{}, TTY, ['ps'], { FORCE_COLOR: '1' }],
    [{}, PIPE, ['ps'], { FORCE_COLOR: '0' }],
    [{ FORCE_COLOR: '3' }, PIPE, ['ps'], { FORCE_COLOR: '3' }],
    [{ FORCE_COLOR: 'true' }, PIPE, ['ps'], { FORCE_COLOR: '1' }],
    [{ FORCE_COLOR: '' }, TTY, ['ps'], { FORCE_COLOR: '1' }],
    [{ FORCE_COLOR: '3' }, TTY, ['--no-color', 'ps'], { FORCE_COLOR: '0' }],
    [{ NO_COLOR: '1', FORCE_COLOR: '0' }, TTY, ['ps', '--color'], { FORCE_COLOR: '1' }],
    [{ NO_COLOR: '1', FORCE_COLOR: '1' }, TTY, ['ps'], { NO_COLOR: '1', FORCE_COLOR: '0' }],
    [{}, TTY, ['--color', 'ps', '--no-color'], { FORCE_COLOR: '0' }],
    [{}, TTY, ['test', '--', '--no-color'], { FORCE_COLOR: '1' }],
  ])('what the libraries are told: %j %j %j', (env, stderr, argv, after) => {
    settleColour(env, stderr, argv)
    expect(env).toEqual(after)
  })
})
