import { VosError } from '../../core/errors.ts'

export const PROGRESS_MODES = ['auto', 'live', 'plain', 'none'] as const
export type ProgressMode = (typeof PROGRESS_MODES)[number]
export type RendererName = Exclude<ProgressMode, 'auto'>
export type OutputFormat = 'text' | 'json' | 'jsonl' | 'name'

/** What is asked of a stream before anything is drawn on it. */
export interface Terminal {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

export const MIN_COLUMNS = 40
export const MIN_ROWS = 8

/** What a command knows before it shows anything. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  readonly stdout: Terminal
  readonly stderr: Terminal
  /** The value of --progress, when it was given. */
  readonly progress?: ProgressMode | undefined
  /** --color or --no-color, the last of them. */
  readonly colour?: boolean | undefined
  readonly output: OutputFormat
}

export interface Choice {
  /** What draws progress on stderr. */
  readonly renderer: RendererName
  readonly colour: { readonly stdout: boolean; readonly stderr: boolean }
}

/**
 * The one place that decides how things are shown, for each stream by itself. Progress is drawn on stderr, so only that
 * must be a terminal: stdout may be a pipe, and so may stdin: a dashboard without keys is left with Ctrl-C. A flag that
 * asks for the impossible is an error; the variable of the same meaning is only a wish. A variable that is set to nothing
 * is not set.
 */
export function choose(surroundings: Surroundings): Choice {
  const { env, stdout, stderr, colour } = surroundings
  return {
    renderer: chooseRenderer(surroundings),
    colour: { stdout: wantsColour(stdout, env, colour), stderr: wantsColour(stderr, env, colour) },
  }
}

function chooseRenderer({ env, stderr, output, progress = 'auto' }: Surroundings): RendererName {
  const obstacle = obstacleToDrawing(stderr, env)
  if (progress === 'live' && obstacle !== null) {
    throw new VosError('bad_request', `--progress live cannot be drawn: ${obstacle}.`, {
      hint: 'Use --progress plain, or leave the flag out.',
    })
  }
  if (progress !== 'auto') return progress
  // A program reads the answer: nothing may stand beside it.
  if (output === 'json' || output === 'jsonl') return 'none'
  const wished = wish(env.VOSCTL_PROGRESS)
  if (wished === 'plain' || wished === 'none') return wished
  if (obstacle !== null) return 'plain'
  return wished === 'live' || !prefersPlain(env) ? 'live' : 'plain'
}

/** What a person said last counts, then who wants none, then who insists, then what the stream is. */
function wantsColour(stream: Terminal, env: NodeJS.ProcessEnv, flag: boolean | undefined): boolean {
  if (flag !== undefined) return flag
  if (env.NO_COLOR || env.TERM === 'dumb') return false
  if (env.FORCE_COLOR) return !['0', 'false'].includes(env.FORCE_COLOR)
  if (env.CLICOLOR_FORCE && env.CLICOLOR_FORCE !== '0') return true
  return Boolean(stream.isTTY) && env.CLICOLOR !== '0'
}

/**
 * Makes the libraries obey that look at stdout and at variables of their own choice: FORCE_COLOR is what all follow.
 * Ink, chalk and parts of Node read it while they load, so this comes before everything that may load them. NO_COLOR goes
 * where colour is on: Node warns about the two together, on the person's screen.
 */
export function settleColour(env: NodeJS.ProcessEnv, stderr: Terminal, argv: readonly string[]): void {
  const end = argv.indexOf('--')
  const words = end === -1 ? argv : argv.slice(0, end)
  const flag = words.findLast((word) => word === '--color' || word === '--no-color')
  const on = wantsColour(stderr, env, flag === undefined ? undefined : flag === '--color')
  if (on) delete env.NO_COLOR
  if (!on) env.FORCE_COLOR = '0'
  else if (!['1', '2', '3'].includes(env.FORCE_COLOR ?? '')) env.FORCE_COLOR = '1'
}

/** Columns and rows; COLUMNS and LINES stand in where the terminal reports 0. Zero when nobody knows. */
export function terminalSize(terminal: Terminal, env: NodeJS.ProcessEnv): TerminalSize {
  return {
    columns: terminal.columns || count(env.COLUMNS),
    rows: terminal.rows || count(env.LINES),
  }
}

/** How wide a line of results may be; off a terminal as wide as it is, for grep and for pages of another width. */
export function resultColumns(stdout: Terminal, env: NodeJS.ProcessEnv): number {
  return (stdout.isTTY && terminalSize(stdout, env).columns) || Number.POSITIVE_INFINITY
}

/** Is this variable set to anything that means yes? */
export function isOn(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'false', 'no'].includes(value.toLowerCase())
}

/** Facts that no flag can change; null when there is none. */
function obstacleToDrawing(stderr: Terminal, env: NodeJS.ProcessEnv): string | null {
  if (!stderr.isTTY) return 'stderr is not a terminal'
  if (env.TERM === 'dumb') return 'TERM is dumb'
  const { columns, rows } = terminalSize(stderr, env)
  if (columns >= MIN_COLUMNS && rows >= MIN_ROWS) return null
  return `the terminal is ${columns}x${rows}, less than ${MIN_COLUMNS}x${MIN_ROWS}`
}

function prefersPlain(env: NodeJS.ProcessEnv): boolean {
  return isOn(env.CI) || isOn(env.ACCESSIBLE)
}

function wish(value: string | undefined): ProgressMode {
  if (value === undefined || value === '') return 'auto'
  const mode = PROGRESS_MODES.find((name) => name === value)
  if (mode) return mode
  throw new VosError('bad_request', `VOSCTL_PROGRESS is "${value}".`, {
    hint: `Set it to one of: ${PROGRESS_MODES.join(', ')}.`,
  })
}

function count(value: string | undefined): number {
  return value !== undefined && /^\d{1,5}$/.test(value) ? Number(value) : 0
}
