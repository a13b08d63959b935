import { VosError } from '../../core/errors.ts'
import type { ImportedConnection } from '../../core/protocol.ts'

/** What an export says of itself. */
export const EXPORT_SCHEMA = 'vosctl/connection-export/v1'

/** What a file says of a connection: the same names in every format, which are those of `connections show -o json`. */
export const FIELDS = {
  name: { input: 'name', holds: 'text' },
  host: { input: 'host', holds: 'text' },
  port: { input: 'port', holds: 'number' },
  username: { input: 'username', holds: 'text' },
  platform: { input: 'platform', holds: 'text' },
  service: { input: 'service', holds: 'text' },
  key_path: { input: 'keyPath', holds: 'text' },
  credential: { input: 'credential', holds: 'text' },
  passphrase_from: { input: 'passphraseFrom', holds: 'text' },
  host_key: { input: 'hostKey', holds: 'map' },
  accept_new: { input: 'acceptNew', holds: 'boolean' },
  algorithms: { input: 'algorithms', holds: 'text' },
  algorithms_reason: { input: 'algorithmsReason', holds: 'text' },
  algorithms_until: { input: 'algorithmsUntil', holds: 'text' },
  echo: { input: 'echo', holds: 'boolean' },
  enter: { input: 'enter', holds: 'text' },
  sudo: { input: 'sudo', holds: 'boolean' },
  via: { input: 'via', holds: 'text' },
  timings_ms: { input: 'timings', holds: 'map' },
} as const satisfies Record<string, { input: keyof ImportedConnection; holds: 'text' | 'number' | 'boolean' | 'map' }>

export type FieldName = keyof typeof FIELDS
export const FIELD_NAMES = Object.keys(FIELDS) as FieldName[]

/** What a connection is called in other places. */
const OTHER_NAMES: Readonly<Record<string, FieldName>> = { user: 'username', kind: 'platform', key: 'key_path' }

export function fieldOf(key: string): FieldName | null {
  if (Object.hasOwn(FIELDS, key)) return key as FieldName
  return Object.hasOwn(OTHER_NAMES, key) ? (OTHER_NAMES[key] ?? null) : null
}

/** One value as a file has it, with the line where it stands. */
export interface Cell {
  readonly key: string
  readonly value: unknown
  readonly line: number
}

/** One connection as a file has it. */
export interface Row {
  readonly line: number
  readonly cells: readonly Cell[]
  /** What a new connection gets where the cells say nothing. */
  readonly defaults?: readonly Cell[]
  /** Why it cannot be imported, when its format says so already. */
  readonly problem?: Problem
}

/** Why a row is rejected, and what to do about it. */
export interface Problem {
  readonly line: number
  /** The connection; null where the row does not say. */
  readonly name: string | null
  /** Null when the row as a whole is the problem. */
  readonly field: string | null
  readonly why: string
  readonly hint: string
}

export interface Listing {
  readonly rows: readonly Row[]
  /** What the file holds that was not looked at. */
  readonly notes: readonly string[]
}

const MAX_CONNECTIONS = 5000

/** @throws VosError for more connections than anybody has */
export function refuseTooMany(count: number): void {
  if (count <= MAX_CONNECTIONS) return
  const message = `it holds ${count} connections, more than ${MAX_CONNECTIONS}. Nothing was imported.`
  throw new VosError('bad_request', message, { hint: 'Split it.' })
}
