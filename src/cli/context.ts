import type { ConnectionView } from '../core/protocol.ts'
import type { Client } from './client.ts'
import type { Io } from './follow.ts'
import type { Leaving } from './leaving.ts'
import type { Paths } from './paths.ts'
import type { OutputFormat, ProgressMode } from './renderers/choose.ts'
import { createLineWriter } from './renderers/line-writer.ts'

/** The global flags and the variables that stand in for them. */
export interface Flags {
  readonly output: OutputFormat
  readonly progress: ProgressMode | undefined
  readonly colour: boolean | undefined
  readonly quiet: boolean
  readonly verbose: boolean
  readonly yes: boolean
  readonly noInput: boolean
  /** The patience of this client in milliseconds; null: for ever. */
  readonly timeoutMs: number | null
  readonly noStart: boolean
}

/** What every command gets: its surroundings, and the way to the daemon. */
export interface Context {
  readonly io: Io
  /** The command line as it was given. */
  readonly argv: readonly string[]
  readonly flags: Flags
  readonly paths: Paths
  /** The login name by the password entry: who did it, in history and on screens. */
  readonly user: string
  readonly leaving: Leaving
  readonly now: () => number
  /** Results: one line on stdout. */
  readonly print: (line: string) => void
  /** Everything else: one line on stderr; nothing where a program reads. */
  readonly note: (line: string) => void
  /**
   * Connects, starting a daemon when none answers; the program closes it when the command has ended. With `revive` the
   * client also starts one when it loses the daemon and nobody else brings it back: for commands that owe a verdict.
   */
  readonly connect: (options?: { readonly revive?: boolean }) => Promise<Client>
}

export function isMachine({ output }: Pick<Flags, 'output'>): boolean {
  return output === 'json' || output === 'jsonl'
}

export function createWriters(io: Io, flags: Flags): Pick<Context, 'print' | 'note'> {
  const print = createLineWriter(io.stdout)
  const write = createLineWriter(io.stderr)
  return { print, note: (line) => (isMachine(flags) ? undefined : write(line)) }
}

/** One document on stdout. */
export function printJson(context: Pick<Context, 'print' | 'flags'>, document: unknown): void {
  context.print(context.flags.output === 'jsonl' ? JSON.stringify(document) : JSON.stringify(document, null, 2))
}

export async function listConnections(client: Client): Promise<readonly ConnectionView[]> {
  return await client.request('connection:list', {})
}
