import { deviceKey, hopsTo, type Hop } from '../../core/connection.ts'
import { VosError } from '../../core/errors.ts'
import { apply, isSettled, type Operation, type OperationEvent } from '../../core/operation.ts'
import type { SqliteDatabase } from './database.ts'

export const KEEP_AND_RESTORE = 'Keep the file and its -wal elsewhere, and put a backup in its place.'

/** What was written as JSON; its type is the caller's word. @throws VosError `database` when it cannot be read */
export function fromJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new VosError('database', `The database is damaged: ${what} cannot be read.`, {
      hint: KEEP_AND_RESTORE,
      cause,
    })
  }
}

interface Row {
  readonly id: string
  readonly status: string
  readonly phase: string
  readonly seq: number
  readonly metadata: string
}

/** By these a starting daemon decides what was sent and what it does now. A newer vosctl may tell the rest otherwise. */
const DECISIVE = [
  ...(['id', 'type', 'device', 'connection', 'service', 'allow', 'deadlineMs'] as const),
  ...(['status', 'phase', 'effect', 'seq', 'startedAt', 'sentAt', 'authenticating', 'transition'] as const),
  ...(['reconciliations', 'phases', 'baseline', 'evidence'] as const),
] as const satisfies readonly (keyof Operation)[]

/**
 * The board and the journal tell the same story twice. Where they disagree one of them is damaged, in a way that SQLite
 * cannot see, and nobody can say whether a command was sent.
 * @returns the operation about which they disagree, or undefined
 */
export function disagreement(db: SqliteDatabase): string | undefined {
  const events = db.prepare<[string], { seq: number; at: number; event: string }>(
    'SELECT seq, at, event FROM operation_events WHERE operation_id = ? ORDER BY seq',
  )
  // All columns: an older house has no jump hosts yet.
  const connections = db.prepare<[number], Hop & { via?: number | null }>('SELECT * FROM connections WHERE id = ?')
  const find = (id: number) => {
    const found = connections.get(id)
    return found && { ...found, via: found.via ?? null }
  }
  const rows = db.prepare<[], Row>('SELECT id, status, phase, seq, metadata FROM active_operations').all()
  for (const row of rows) {
    const operation = fromJson(row.metadata, row.id) as Operation
    const told = events.all(row.id).map((one) => ({ ...one, event: fromJson(one.event, row.id) as OperationEvent }))
    const replayed = replay(row.id, told)
    const isSameStory =
      replayed !== null &&
      DECISIVE.every((key) => JSON.stringify(operation[key]) === JSON.stringify(replayed[key])) &&
      row.id === operation.id &&
      row.status === operation.status &&
      row.phase === operation.phase &&
      row.seq === operation.seq
    // Where work is under way, its connection can be neither removed nor led to another device.
    const connection = isSameStory && !isSettled(operation) ? find(operation.connection.id) : undefined
    const device = connection && deviceKey({ ...connection, hops: hopsTo(connection.via, find) })
    if (!isSameStory || (!isSettled(operation) && device !== operation.device)) {
      return row.id
    }
  }
  return undefined
}

function replay(
  operationId: string,
  events: readonly { readonly seq: number; readonly at: number; readonly event: OperationEvent }[],
): Operation | null {
  try {
    return events.reduce<Operation | null>((before, one) => apply(before, { ...one, operationId, cursor: 0 }), null)
  } catch {
    return null
  }
}
