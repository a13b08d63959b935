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

/**
 * The one place that decides how progress is shown. It is drawn on stderr, so only stderr must be a terminal: stdout may
 * be a pipe. A flag that asks for the impossible is an error; the variable of the same meaning is only a wish.
 */
export function chooseRenderer(surroundings: {
  readonly env: NodeJS.ProcessEnv
  readonly stdin: Terminal
  readonly stdout: Terminal
  readonly stderr: Terminal
  /** The value of --progress, when it was given. */
  readonly progress?: ProgressMode | undefined
  readonly output: OutputFormat
}): RendererName {
  const { env, stderr, output } = surroundings
  const obstacle = obstacleToDrawing(stderr, env)
  const asked = surroundings.progress ?? 'auto'
  if (asked === 'live' && obstacle !== null) {
    throw new VosError('bad_request', `--progress live cannot be drawn: ${obstacle}.`, {
      hint: 'Use --progress plain, or leave the flag out.',
    })
  }
  if (asked !== 'auto') return asked
  // A program reads the answer: nothing may stand beside it.
  if (output === 'json' || output === 'jsonl') return 'none'
  const wished = wish(env.VOSCTL_PROGRESS)
  if (wished === 'plain' || wished === 'none') return wished
  if (obstacle !== null) return 'plain'
  return wished === 'live' || !prefersPlain(env) ? 'live' : 'plain'
}

/** Columns and rows; COLUMNS and LINES stand in where the terminal reports 0. Zero when nobody knows. */
export function terminalSize(terminal: Terminal, env: NodeJS.ProcessEnv): TerminalSize {
  return {
    columns: terminal.columns || count(env.COLUMNS),
    rows: terminal.rows || count(env.LINES),
  }
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
