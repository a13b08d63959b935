import { DEFAULT_TIMINGS, toCredential, type Timings } from '../core/connection.ts'
import { parseDuration } from '../core/duration.ts'
import { VosError } from '../core/errors.ts'
import type { JournalHead } from '../core/protocol.ts'
import type { Flags } from './context.ts'
import { parseMoment } from './times.ts'
import { isOn, PROGRESS_MODES, type OutputFormat, type ProgressMode } from './renderers/choose.ts'

export const OUTPUT_FORMATS = ['text', 'json', 'jsonl', 'name'] as const satisfies readonly OutputFormat[]

/** The global options as the parser leaves them; absent when not given. */
export interface GlobalOptions {
  readonly output?: OutputFormat
  readonly json?: boolean
  readonly progress?: ProgressMode
  readonly color?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
  readonly yes?: boolean
  readonly input?: boolean
  readonly timeout?: number
  readonly stateDir?: string
  readonly start?: boolean
}

/** What was said on the command line; where nothing was said, the variable of the same meaning. */
export function toFlags(options: GlobalOptions, env: NodeJS.ProcessEnv): Flags {
  if (options.json && options.output !== undefined && options.output !== 'json') {
    throw new VosError('bad_request', `--json and --output ${options.output} contradict each other.`)
  }
  return {
    output: options.json ? 'json' : (options.output ?? outputOf(env)),
    progress: options.progress,
    colour: options.color,
    quiet: options.quiet ?? isOn(env.VOSCTL_QUIET),
    verbose: options.verbose ?? false,
    yes: options.yes ?? false,
    noInput: options.input === false || isOn(env.VOSCTL_NO_INPUT),
    timeoutMs: options.timeout === undefined || options.timeout === 0 ? null : options.timeout,
    noStart: options.start === false || isOn(env.VOSCTL_NO_START),
  }
}

function outputOf(env: NodeJS.ProcessEnv): OutputFormat {
  const value = env.VOSCTL_OUTPUT
  if (value === undefined || value === '') return 'text'
  return choice('VOSCTL_OUTPUT', OUTPUT_FORMATS)(value)
}

/** Whether errors go to stdout as JSON: asked of the raw words, because the error may be that they cannot be parsed. */
export function asksForJson(argv: readonly string[], env: NodeJS.ProcessEnv): boolean {
  const formats = argv.flatMap((word, index) => {
    if (word === '--json') return ['json']
    const given = /^(?:--output(?:=|$)|-[a-np-z]*o)(.*)$/.exec(word)
    if (!given) return []
    return [given[1] || (argv[index + 1] ?? '')]
  })
  const last = formats.at(-1) ?? env.VOSCTL_OUTPUT ?? ''
  return last === 'json' || last === 'jsonl'
}

export function progressFlag(value: string): ProgressMode {
  return choice('--progress', PROGRESS_MODES)(value)
}

/** A parser that takes one of these words. */
export function choice<Word extends string>(flag: string, words: readonly Word[]): (value: string) => Word {
  return (value) => {
    const found = words.find((word) => word === value)
    if (found !== undefined) return found
    throw new VosError('bad_request', `${flag} is "${value}".`, { hint: `Say one of: ${words.join(', ')}.` })
  }
}

const TIMING_NAMES = Object.keys(DEFAULT_TIMINGS) as (keyof Timings)[]

/** The longest delay that a timer takes, about 24 days. */
const MAX_DURATION_MS = 2 ** 31 - 1

/** `--credential helper:ops`: the word of a source, which the daemon reads again. */
export function credentialSource(value: string): string {
  if (toCredential(value)) return value
  throw new VosError('bad_request', `--credential is "${value}", which names no source.`, {
    hint: 'Say sealed, helper:<name>, key:<path>, agent:SHA256:<43 characters>, prompt or none.',
  })
}

export function passphraseSource(value: string): string {
  if (value === 'sealed' || toCredential(value)?.type === 'helper') return value
  throw new VosError('bad_request', `--passphrase-from is "${value}", which gives no passphrase.`, {
    hint: 'Say sealed or helper:<name>.',
  })
}

/** `--until 2027-03-31`; whether that is too far ahead, the daemon says. */
export function lastDay(value: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value))) return value
  throw new VosError('bad_request', `--until is "${value}", which is no day.`, { hint: 'Say for example 2027-03-31.' })
}

/** A parser for `30s`, `10m`, `1h30m`; `0` only where zero has a meaning. */
export function duration(flag: string, options: { readonly zero?: boolean } = {}): (value: string) => number {
  return (value) => {
    const ms = parseDuration(value)
    if (ms !== null && ms <= MAX_DURATION_MS && (ms >= 1 || options.zero)) return Math.round(ms)
    throw new VosError('bad_request', `${flag} is "${value}", which is not a duration.`, {
      hint: 'Say for example 30s, 10m or 1h30m, at most 24d.',
    })
  }
}

/** A parser for a moment in the past: `7d` ago, `2026-11-01`, `2026-11-01 14:00`; milliseconds since 1970. */
export function pastMoment(flag: string): (value: string) => number {
  return (value) => {
    const now = Date.now()
    const at = parseMoment(value, now)
    if (at !== null && at <= now) return at
    const why = at === null ? 'which is no time' : 'which is still to come'
    throw new VosError('bad_request', `${flag} is "${value}", ${why}.`, {
      hint: 'Say for example 36h, 7d, 2026-11-01 or "2026-11-01 14:00".',
    })
  }
}

/** `allow` is null; `skip:6h` the time in milliseconds within which the same work must have completed. */
export function ifRecent(value: string): number | null {
  if (value === 'allow') return null
  const age = value.startsWith('skip:') ? parseDuration(value.slice('skip:'.length)) : null
  if (age !== null && age >= 1 && Number.isSafeInteger(Math.round(age))) return Math.round(age)
  throw new VosError('bad_request', `--if-recent is "${value}".`, { hint: 'Say allow, or for example skip:6h.' })
}

/** `--head 4133:9f86…`, repeatable: a place in the journal and the hash there, as `history verify` and the daemon's log say it. */
export function journalHead(value: string, earlier: readonly JournalHead[] = []): readonly JournalHead[] {
  const [, cursor = '', hash = ''] = /^(\d{1,15}):([0-9a-f]{64})$/i.exec(value) ?? []
  if (cursor !== '') return [...earlier, { cursor: Number(cursor), hash: hash.toLowerCase() }]
  throw new VosError('bad_request', `--head is "${value}".`, {
    hint: 'Say <cursor>:<hash>, the whole of what "vosctl history verify" or the daemon\'s log said after "head".',
  })
}

export function wholeNumber(flag: string, min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^[0-9]+$/.test(value) ? Number(value) : Number.NaN
    if (number >= min && number <= max) return number
    throw new VosError('bad_request', `${flag} is "${value}".`, { hint: `Say a whole number from ${min} to ${max}.` })
  }
}

/** `--timing prompt=2m`, repeatable: the time limits of one connection, without the `Ms` of their names. */
export function timing(value: string, earlier: Partial<Timings> = {}): Partial<Timings> {
  const [name = '', text = ''] = value.split('=', 2)
  const known = TIMING_NAMES.find((key) => key === `${name}Ms`)
  if (!known) {
    throw new VosError('bad_request', `--timing ${value}: there is no time limit "${name}".`, {
      hint: `There are: ${TIMING_NAMES.map((key) => key.replace(/Ms$/, '')).join(', ')}.`,
    })
  }
  return { ...earlier, [known]: duration(`--timing ${name}`)(text) }
}
