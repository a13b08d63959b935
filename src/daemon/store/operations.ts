import { deviceKey, type Connection, type Platform } from '../../core/connection.ts'
import { codesOf } from '../../core/errors.ts'
import {
  apply,
  CONFLICT_GROUP,
  type Operation,
  type OperationEvent,
  type OperationType,
  type RecordedEvent,
} from '../../core/operation.ts'
import { RUNS_BEFORE_ESTIMATE, type Usual } from '../../core/progress.ts'
import type { HistoryFilter } from '../../core/protocol.ts'
import { failpoint } from '../failpoint.ts'
import { Chain } from './chain.ts'
import { fromJson } from './damage.ts'
import type { Compiler } from './database.ts'

export interface Recorded {
  readonly recorded: RecordedEvent
  readonly operation: Operation
}

export interface LoginHold {
  readonly since: number
  readonly operationId: string
  readonly message: string
}

const EVENT_COLUMNS = 'cursor, operation_id AS operationId, seq, at, event'
type EventRow = Omit<RecordedEvent, 'event'> & { event: string }

/** How many runs are remembered for an estimate; older ones tell about another machine. */
const RUNS_REMEMBERED = 50
/** Ends the key of what waits for a device: one operation has it, one can wait for it. */
export const QUEUED = ' queued'
/** Longer than this between two endings, and the clock may have been set. */
const LEAP_MS = 90 * 86_400_000

/**
 * {@link HistoryFilter.failed}: a look whose question stays open, or that met other work, has told what is true. The first
 * condition is that of the index.
 */
const WENT_WRONG = `status IN ('failed', 'unknown') AND NOT (operation_type = 'verify'
  AND metadata ->> '$.error.code' IN (${codesOf('unknown', 'busy')
    .map((code) => `'${code}'`)
    .join(', ')}))`

function isOneOf(connectionIds: readonly number[] | undefined): string {
  return connectionIds ? 'connection_id IN (SELECT value FROM json_each(@ids))' : 'TRUE'
}

/** Journal, board, history and what was learned. Whoever writes does so inside `Store.write`. */
export class OperationTable {
  readonly chain: Chain
  readonly #db: Compiler

  constructor(db: Compiler) {
    this.#db = db
    this.chain = new Chain(db)
  }

  /**
   * Puts the first event and the row on disk. Fails with a constraint error when the device is already claimed; when the
   * operation waits for the device, when another one waits for it already.
   */
  insert(id: string, event: Extract<OperationEvent, { type: 'accepted' }>, at: number): Recorded {
    const result = this.#journal(null, id, 1, at, event)
    const { operation } = result
    this.#db
      .prepare(
        `INSERT INTO active_operations (id, connection_id, operation_type, status, started_at, progress, message, metadata,
           created_by, phase, seq, conflict_key)
         VALUES (@id, @connectionId, @type, @status, @startedAt, @progress, @message, @metadata, @createdBy, @phase, @seq, @key)`,
      )
      .run({
        ...columns(operation),
        id,
        connectionId: operation.connection.id,
        type: operation.type,
        startedAt: operation.startedAt,
        createdBy: operation.createdBy,
        key: conflictKey(operation.device, operation.type) + (operation.after === undefined ? '' : QUEUED),
      })
    return result
  }

  /** The next event of an operation and its new state. */
  append(operation: Operation, event: OperationEvent, at: number): Recorded {
    const result = this.#journal(operation, operation.id, operation.seq + 1, at, event)
    this.#db
      .prepare(
        `UPDATE active_operations SET status = @status, completed_at = @completedAt, progress = @progress, message = @message,
           error = @error, metadata = @metadata, phase = @phase, seq = @seq WHERE id = @id`,
      )
      .run({ ...columns(result.operation), id: operation.id })
    if (event.type === 'settled') this.#handOver(conflictKey(operation.device, operation.type))
    return result
  }

  /**
   * With the ending itself, so that no crash comes in between: the operation that waits for the device has it from now
   * on. Where the one that has ended only waited itself, nobody else can have waited.
   */
  #handOver(key: string): void {
    this.#db
      .prepare(
        `UPDATE active_operations SET conflict_key = @key
         WHERE conflict_key = @key || '${QUEUED}' AND status IN ('pending', 'in_progress')`,
      )
      .run({ key })
  }

  #journal(before: Operation | null, id: string, seq: number, at: number, event: OperationEvent): Recorded {
    const cursor = this.chain.append({ operationId: id, seq, at, event: JSON.stringify(event) })
    failpoint(`event.${event.type}`, () => id)
    const recorded = { cursor, operationId: id, seq, at, event }
    return { recorded, operation: apply(before, recorded) }
  }

  board(): Operation[] {
    const rows = this.#db.prepare<[], string>('SELECT metadata FROM active_operations ORDER BY rowid').pluck().all()
    return rows.map(parse)
  }

  history(connectionId: number | null, limit: number): Operation[] {
    const where = connectionId === null ? '' : 'WHERE connection_id = @connectionId'
    const rows = this.#db
      .prepare<[{ connectionId: number | null; limit: number }], string>(
        `SELECT metadata FROM operation_history ${where} ORDER BY completed_at DESC, rowid DESC LIMIT @limit`,
      )
      .pluck()
      .all({ connectionId, limit })
    return rows.map(parse)
  }

  /** What has ended, in history and still on the board, the newest ending first. */
  ended({ connectionIds, failed, since = 0 }: HistoryFilter, limit: number): Operation[] {
    const where = `completed_at >= @since AND ${isOneOf(connectionIds)} ${failed ? `AND ${WENT_WRONG}` : ''}`
    const rows = this.#db
      .prepare<[{ since: number; limit: number; ids: string }], string>(
        `SELECT metadata FROM (
           SELECT * FROM (
             SELECT completed_at, started_at, rowid AS place, metadata FROM operation_history
             WHERE ${where} ORDER BY completed_at DESC, rowid DESC LIMIT @limit)
           UNION ALL SELECT completed_at, started_at, rowid, metadata FROM active_operations
             WHERE status NOT IN ('pending', 'in_progress') AND ${where})
         ORDER BY completed_at DESC, started_at DESC, place DESC LIMIT @limit`,
      )
      .pluck()
      .all({ since, limit, ids: JSON.stringify(connectionIds ?? []) })
    return rows.map(parse)
  }

  /** Where the history alone has them, in the order in which it was written: read from an index, without the operations. */
  places({ connectionIds, since = 0 }: HistoryFilter): number[] {
    return this.#db
      .prepare<[{ since: number; ids: string }], number>(
        `SELECT rowid FROM operation_history WHERE completed_at >= @since AND ${isOneOf(connectionIds)}`,
      )
      .pluck()
      .all({ since, ids: JSON.stringify(connectionIds ?? []) })
      .toSorted((a, b) => a - b)
  }

  /** What the history has at these places and has not taken out meanwhile. */
  at(places: readonly number[]): Operation[] {
    return this.#db
      .prepare<[string], string>(
        'SELECT metadata FROM operation_history WHERE rowid IN (SELECT value FROM json_each(?)) ORDER BY rowid',
      )
      .pluck()
      .all(JSON.stringify(places))
      .map(parse)
  }

  /** What was done on these devices from `since` to `until`, the newest ending first, read no further than it is taken. */
  *outcomes(devices: readonly string[], type: OperationType, since: number, until: number): Generator<Operation> {
    const from = (table: string) => `SELECT metadata, completed_at FROM ${table}
      WHERE completed_at BETWEEN @since AND @until AND status IN ('completed', 'failed', 'unknown')
        AND operation_type = @type AND metadata ->> '$.device' IN (SELECT value FROM json_each(@devices))`
    const rows = this.#db
      .prepare<[object], string>(
        `${from('active_operations')} UNION ALL ${from('operation_history')} ORDER BY completed_at DESC`,
      )
      .pluck()
      .iterate({ devices: JSON.stringify(devices), type, since, until })
    for (const row of rows) yield parse(row)
  }

  /** Operations whose id begins so, of the board and of the history. */
  find(prefix: string): Operation[] {
    const rows = this.#db
      .prepare<[{ prefix: string; end: string }], string>(
        `SELECT metadata FROM active_operations WHERE id >= @prefix AND id < @end
         UNION ALL SELECT metadata FROM operation_history WHERE id >= @prefix AND id < @end LIMIT 20`,
      )
      .pluck()
      .all({ prefix, end: `${prefix}~` })
    return rows.map(parse)
  }

  /** The id that was last accepted for this person, or for anybody; by the journal, which knows no clock. */
  newestOf(createdBy: string | null): string | undefined {
    return this.#db
      .prepare<[{ createdBy: string | null }], string>(
        `SELECT operation_id FROM operation_events WHERE seq = 1
           AND (@createdBy IS NULL OR event ->> '$.createdBy' = @createdBy) ORDER BY cursor DESC LIMIT 1`,
      )
      .pluck()
      .get({ createdBy })
  }

  events(operationId: string, afterSeq: number, limit: number): RecordedEvent[] {
    return this.#db
      .prepare<[string, number, number], EventRow>(
        `SELECT ${EVENT_COLUMNS} FROM operation_events WHERE operation_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
      )
      .all(operationId, afterSeq, limit)
      .map(fromEventRow)
  }

  eventsAfter(cursor: number, limit: number): RecordedEvent[] {
    return this.#db
      .prepare<[number, number], EventRow>(
        `SELECT ${EVENT_COLUMNS} FROM operation_events WHERE cursor > ? ORDER BY cursor LIMIT ?`,
      )
      .all(cursor, limit)
      .map(fromEventRow)
  }

  cursor(): number {
    return Number(this.#db.prepare('SELECT coalesce(max(cursor), 0) FROM operation_events').pluck().get())
  }

  /** From the board into history; the events stay where they are. */
  archive(id: string): void {
    this.#db
      .prepare(
        `INSERT INTO operation_history SELECT id, connection_id, operation_type, status, started_at, completed_at, progress,
           message, error, metadata, created_by FROM active_operations WHERE id = ?`,
      )
      .run(id)
    this.#db.prepare('DELETE FROM active_operations WHERE id = ?').run(id)
  }

  /**
   * Takes out what ended longer than `keepMs` before the newest ending, with its events. What was learned stays. A clock
   * that was set ahead must not take the whole history with it: a gap between two endings of more than {@link LEAP_MS}
   * counts as that, and at most as a quarter of what is kept.
   * @returns how many operations went
   */
  prune(keepMs: number): number {
    const all = '(SELECT %(completed_at) FROM operation_history)'
    const span = this.#db
      .prepare(`SELECT ${all.replace('%', 'max')} - ${all.replace('%', 'min')}`)
      .pluck()
      .get()
    if (Number(span ?? 0) <= keepMs) return 0
    const place = this.#lastOld(keepMs)
    if (place === null || this.chain.endsIn(place)) return 0
    const isOld = 'IN (SELECT id FROM operation_history WHERE rowid <= @place)'
    const isKept =
      'IN (SELECT id FROM active_operations UNION ALL SELECT id FROM operation_history WHERE rowid > @place)'
    // Requests and batches are in their order too: the newest one of what goes takes those before it along. But a request
    // whose work is still known, as that of a day before, is not answered by starting it again.
    const statements = [
      `DELETE FROM requests WHERE rowid <= (
         SELECT max(requests.rowid) FROM requests, json_each(result, '$.ids') AS named WHERE named.value ${isOld})
       AND NOT EXISTS (SELECT 1 FROM json_each(result, '$.ids') AS named WHERE named.value ${isKept})`,
      `DELETE FROM batches WHERE rowid <= (
         SELECT max(batches.rowid) FROM batches JOIN operation_history ON metadata ->> '$.batch.id' = batches.id
         WHERE operation_history.rowid <= @place)`,
    ]
    for (const statement of statements) this.#db.prepare(statement).run({ place })
    this.chain.prune(place)
    return this.#db.prepare('DELETE FROM operation_history WHERE rowid <= ?').run(place).changes
  }

  /** Where the newest one is that is too old. From the index alone: the operations of years would take a second to read. */
  #lastOld(keepMs: number): number | null {
    const endings = this.#db
      .prepare<[], [number, number]>('SELECT rowid, completed_at FROM operation_history')
      .raw()
      .all()
      .toSorted(([a], [b]) => b - a)
    let age = 0
    for (const [index, [, at]] of endings.entries()) {
      const before = endings[index + 1]
      if (!before) break
      const gap = at - before[1]
      age += gap > LEAP_MS ? Math.min(LEAP_MS, keepMs / 4) : Math.max(0, gap)
      if (age > keepMs) return before[0]
    }
    return null
  }

  request(requestId: string): unknown {
    const row = this.#db
      .prepare<[string], string>('SELECT result FROM requests WHERE request_id = ?')
      .pluck()
      .get(requestId)
    return row === undefined ? null : fromJson(row, `the answer to request ${requestId}`)
  }

  rememberRequest(requestId: string, at: number, result: unknown): void {
    this.#db.prepare('INSERT INTO requests VALUES (?, ?, ?)').run(requestId, at, JSON.stringify(result))
  }

  insertBatch(id: string, at: number, parallel: number): void {
    this.#db.prepare('INSERT INTO batches VALUES (?, ?, ?)').run(id, at, parallel)
  }

  parallel(batchId: string): number {
    return Number(this.#db.prepare('SELECT parallel FROM batches WHERE id = ?').pluck().get(batchId) ?? 1)
  }

  loginHold(device: string, username: string): LoginHold | null {
    return (
      this.#db
        .prepare<[string, string], LoginHold>(
          'SELECT since, operation_id AS operationId, message FROM login_holds WHERE device = ? AND username = ?',
        )
        .get(device, username) ?? null
    )
  }

  /** Of each hold on a login the operation that left it, or that is at its attempt just now. */
  loginHolds(): string[] {
    return this.#db.prepare<[], string>('SELECT operation_id FROM login_holds').pluck().all()
  }

  setLoginHold(device: string, username: string, hold: LoginHold): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO login_holds VALUES (?, ?, ?, ?, ?)')
      .run(device, username, hold.since, hold.operationId, hold.message)
  }

  /** A connection knows the device by another key from now on; others may still know it by this one. */
  copyLoginHolds(from: string, to: string): void {
    this.#db
      .prepare(
        `INSERT OR REPLACE INTO login_holds SELECT ?, username, since, operation_id, message FROM login_holds WHERE device = ?`,
      )
      .run(to, from)
  }

  clearLoginHold(device: string, username: string): void {
    this.#db.prepare('DELETE FROM login_holds WHERE device = ? AND username = ?').run(device, username)
  }

  /** Remembers how long a completed operation took, as a whole and in each phase. */
  learn(operation: Operation, platform: Platform): void {
    const { connection, type, service, completedAt, beganAt } = operation
    if (completedAt === null || beganAt === null) return
    const phases: Record<string, number> = {}
    for (const [index, { phase, at }] of operation.phases.entries()) {
      const next = operation.phases[index + 1]
      // The clock was set back: these times tell nothing.
      if (next && next.at < at) return
      if (next) phases[phase] = (phases[phase] ?? 0) + (next.at - at)
    }
    this.#db
      .prepare('INSERT INTO learned_durations VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)')
      .run(connection.id, platform, type, service ?? '', completedAt, completedAt - beganAt, JSON.stringify(phases))
    this.#db
      .prepare(
        `DELETE FROM learned_durations WHERE connection_id = @id AND operation_type = @type AND service = @service
           AND id NOT IN (SELECT id FROM learned_durations WHERE connection_id = @id AND operation_type = @type
             AND service = @service ORDER BY id DESC LIMIT ${RUNS_REMEMBERED})`,
      )
      .run({ id: connection.id, type, service: service ?? '' })
  }

  /** What this work usually takes here, or, until enough runs are known here, on all connections of the platform. */
  usual(connection: Connection, type: OperationType, service: string | null): Usual | null {
    const read = (column: 'connection_id' | 'platform', value: number | string) =>
      this.#db
        .prepare<[number | string, string, string], { total_ms: number; phases: string }>(
          `SELECT total_ms, phases FROM learned_durations WHERE ${column} = ? AND operation_type = ? AND service = ?
           ORDER BY id DESC LIMIT ${RUNS_REMEMBERED}`,
        )
        .all(value, type, service ?? '')
    const here = read('connection_id', connection.id)
    const rows = here.length >= RUNS_BEFORE_ESTIMATE ? here : read('platform', connection.platform)
    if (rows.length === 0) return null
    const totals = rows.map(({ total_ms }) => total_ms)
    const phases: Record<string, number[]> = {}
    for (const row of rows) {
      for (const [phase, ms] of Object.entries(fromJson(row.phases, 'a learned duration') as Record<string, number>)) {
        ;(phases[phase] ??= []).push(ms)
      }
    }
    const ofPhases = (part: number) =>
      Object.fromEntries(Object.entries(phases).map(([phase, values]) => [phase, quantile(values, part)]))
    return {
      runs: rows.length,
      p50Ms: quantile(totals, 0.5),
      p90Ms: quantile(totals, 0.9),
      phases: ofPhases(0.5),
      phasesP90: ofPhases(0.9),
    }
  }
}

/** Work on one device and of one group has one key, and the unique index lets one active operation have it. */
export function conflictKey(device: string, type: OperationType): string {
  return `${device} ${CONFLICT_GROUP[type]}`
}

export function conflictKeyOf(connection: Connection, type: OperationType): string {
  return conflictKey(deviceKey(connection), type)
}

/** The nearest-rank quantile; for the median of few values that is the upper of the middle two. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0
}

function columns(operation: Operation) {
  const { status, completedAt, progress, message, error, phase, seq } = operation
  return {
    status,
    completedAt,
    progress,
    message,
    error: error ? error.message : null,
    metadata: JSON.stringify(operation),
    phase,
    seq,
  }
}

function parse(metadata: string): Operation {
  return fromJson(metadata, 'an operation') as Operation
}

function fromEventRow(row: EventRow): RecordedEvent {
  return { ...row, event: fromJson(row.event, `event ${row.seq} of ${row.operationId}`) as OperationEvent }
}
