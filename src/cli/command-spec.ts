import type { ExitStatus } from '../core/errors.ts'

/** A command is data: the parser, its help and the overview are made of it. What it does stands in actions.ts. */
export interface CommandSpec {
  readonly name: string
  readonly alias?: string
  /** As the person types it after the name: `<target...> [flags]` without the flags. */
  readonly arguments?: string
  readonly summary: string
  readonly examples?: readonly string[]
  readonly flags?: readonly FlagSpec[]
  /** The exit statuses that matter here. */
  readonly exits?: readonly ExitStatus[]
  readonly notes?: readonly string[]
  readonly see?: readonly string[]
  /** A group of commands does nothing by itself, unless it has arguments of its own too. */
  readonly commands?: readonly CommandSpec[]
}

/** Does it do something by itself? */
export function isCommand({ commands, arguments: own }: CommandSpec): boolean {
  return !commands || own !== undefined
}

export interface FlagSpec {
  /** As commander writes it: `-s, --service <name>`. */
  readonly flag: string
  readonly means: string
  /** Turns the word into the value; `earlier` is the value so far of a flag that may be repeated. */
  readonly parse?: (value: string, earlier?: never) => unknown
}
