import type { Connection } from './connection.ts'
import type { Operation } from './operation.ts'

/**
 * What can be named on a command line, as the daemon keeps it in `run/names.json` for the completion of shells. It is a
 * help for typing: it may be old, or missing, and nothing is decided by it.
 */
export interface Names {
  readonly connections: readonly NamedConnection[]
  /** What is active and what ended lately, the newest first. */
  readonly operations: readonly NamedOperation[]
}

export interface NamedConnection extends Pick<Connection, 'id' | 'name' | 'platform' | 'service'> {
  /** Names of services that its device has shown. */
  readonly services: readonly string[]
}

export interface NamedOperation extends Pick<Operation, 'id' | 'type' | 'service' | 'status'> {
  /** The connection's name. */
  readonly connection: string
  readonly batch: string | null
  /** Its outcome is unknown and waits for a person. */
  readonly open: boolean
}
