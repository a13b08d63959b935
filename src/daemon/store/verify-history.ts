import { isDeepStrictEqual } from 'node:util'
import { apply, type Operation, type OperationEvent } from '../../core/operation.ts'
import type { BadRow, HistoryVerification, JournalHead } from '../../core/protocol.ts'
import { chainId, digestOf, linked, type Anchor, type Chain, type JournalRow, type Link } from './chain.ts'
import type { Compiler } from './database.ts'
import { conflictKey, QUEUED } from './operations.ts'

/** Links that are read at once, and for how long, until others have their turn. */
const PAGE = 200
const TURN_MS = 8

/** Of an operation that was there before the chain, and that an older vosctl may have told a little differently. */
const TOLD_EARLIER = [
  ...(['id', 'type', 'connection', 'device', 'createdBy', 'reason', 'status', 'effect', 'seq', 'sentAt'] as const),
  ...(['completedAt', 'error', 'acknowledged', 'verified'] as const),
] as const satisfies readonly (keyof Operation)[]

/** A row of either table of operations; what a table does not have is null. */
interface OperationRow {
  readonly table: 'active_operations' | 'operation_history'
  readonly id: string
  readonly metadata: string
  readonly phase: string | null
  readonly seq: number | null
  readonly conflict_key: string | null
  readonly [column: string]: unknown
}

/** An operation whose events are being read. */
interface Story {
  readonly operation: Operation | null
  readonly isEarlier: boolean
  readonly lastSeq: number
}

/**
 * Follows the chain from its beginning to its end and tells each operation anew from its events. Reads while others write
 * and prune: what it has in hand between two turns is only its place and its hash there.
 * @param pause gives others their turn; throws when this must end
 */
export async function verifyHistory(
  db: Compiler,
  chain: Chain,
  heads: readonly JournalHead[],
  pause: () => Promise<void>,
): Promise<HistoryVerification> {
  const anchor = chain.anchor()
  const walk = new Walk(db, chain, anchor, heads)
  let bad = checkAnchor(anchor)
  while (!bad) {
    const turn = walk.turn()
    if (turn === 'end') break
    if (turn !== 'more') bad = turn
    else await pause()
  }
  // Only where every event is as it was written do they testify against a row.
  bad ??= walk.suspect
  let operations = 0
  for (const table of ['active_operations', 'operation_history'] as const) {
    for (let after: string | null | undefined = null; after !== undefined && !bad;) {
      const rows: readonly Told[] = toldRows(db, table, after)
      const untold = rows.find(({ told }) => !told)
      if (untold) bad = { table, row: untold.id, operation: untold.id, what: 'has no event that tells of it' }
      operations += rows.length
      after = rows.at(-1)?.id
      await pause()
    }
  }
  return {
    chain: { id: anchor.id.toString('hex'), begunAt: anchor.begunAt, begunAfter: anchor.begunAfter },
    prunedTo: walk.prunedTo,
    events: walk.events,
    pruned: walk.pruned,
    operations,
    head: { cursor: walk.cursor, hash: walk.hash.toString('hex') },
    bad,
    heads: heads.map((head) => ({ ...head, found: walk.found.get(head) ?? (bad ? 'unchecked' : 'missing') })),
  }
}

function checkAnchor(anchor: Anchor): BadRow | null {
  const isOwn = anchor.id.equals(chainId(anchor)) && (anchor.cursor === 0) === anchor.hash.equals(anchor.id)
  return isOwn ? null : { table: 'journal_chain', row: '1', operation: null, what: 'is not how the chain began' }
}

const STRAY = `SELECT cursor FROM operation_events WHERE cursor <= @anchor
  UNION ALL SELECT cursor FROM pruned_events WHERE cursor <= @anchor LIMIT 1`

interface Told {
  readonly id: string
  readonly told: number
}

/** By id: whoever forges a row chooses its place. */
function toldRows(db: Compiler, table: string, after: string | null): readonly Told[] {
  return db
    .prepare<[object], Told>(
      `SELECT id, EXISTS (SELECT 1 FROM operation_events WHERE operation_id = rows.id) AS told
       FROM ${table} AS rows WHERE @after IS NULL OR id > @after ORDER BY id LIMIT ${PAGE}`,
    )
    .all({ after })
}

class Walk {
  cursor: number
  hash: Buffer
  prunedTo: number
  events = 0
  pruned = 0
  /** The first row that its events do not agree with. */
  suspect: BadRow | null = null
  readonly found = new Map<JournalHead, 'same' | 'other' | 'pruned'>()
  readonly #db: Compiler
  readonly #chain: Chain
  readonly #anchor: Anchor
  readonly #heads: readonly JournalHead[]
  readonly #stories = new Map<string, Story>()
  #isBehindPruned = true

  constructor(db: Compiler, chain: Chain, anchor: Anchor, heads: readonly JournalHead[]) {
    this.#db = db
    this.#chain = chain
    this.#anchor = anchor
    this.#heads = heads
    this.cursor = this.prunedTo = anchor.cursor
    this.hash = anchor.hash
    for (const head of heads) if (head.cursor < anchor.cursor) this.found.set(head, 'pruned')
    this.#compareHeads(anchor.cursor > 0)
  }

  /** As much as fits into one turn: what is wrong, whether there may be more, or that this is the end. */
  turn(): BadRow | 'more' | 'end' {
    const until = performance.now() + TURN_MS
    const anchor = this.#chain.anchor()
    if (anchor.cursor > this.cursor) {
      // Pruned meanwhile, further than we have come.
      this.cursor = anchor.cursor
      this.hash = anchor.hash
      this.#isBehindPruned = true
    }
    this.prunedTo = anchor.cursor
    const stray = this.#db.prepare<[object], number>(STRAY).pluck().get({ anchor: anchor.cursor })
    if (stray !== undefined) {
      const what = `stands before the beginning of the chain, which is ${anchor.cursor}`
      return { table: 'operation_events', row: String(stray), operation: null, what }
    }
    const links = this.#chain.links(this.cursor, PAGE)
    if (links.length === 0) return this.#checkEnd() ?? 'end'
    for (const link of links) {
      const bad = this.#follow(link)
      if (bad) return bad
      if (performance.now() > until) break
    }
    return 'more'
  }

  #checkEnd(): BadRow | null {
    const next = Math.max(this.cursor, this.#anchor.begunAfter) + 1
    const given = Math.max(this.#chain.given(), this.#anchor.begunAfter)
    if (given >= next) {
      const what = `is missing: the journal was cut off here, event ${given} has been in it`
      return { table: 'operation_events', row: String(next), operation: null, what }
    }
    if (given === next - 1) return null
    const what = `knows of ${given} events, and there are ${next - 1}`
    return { table: 'sqlite_sequence', row: 'operation_events', operation: null, what }
  }

  #follow(link: Link): BadRow | null {
    const { cursor, operationId } = link
    const next = Math.max(this.cursor, this.#anchor.begunAfter) + 1
    const isEarlier = cursor <= this.#anchor.begunAfter
    if (isEarlier ? cursor <= this.cursor : cursor !== next) {
      const isTwice = cursor <= this.cursor
      const what = isTwice ? 'is kept and pruned at once' : `is missing: event ${cursor} comes in its place`
      return { table: 'operation_events', row: String(isTwice ? cursor : next), operation: null, what }
    }
    const digest = link.digest ?? digestOf(this.#anchor.id, link)
    const expected = linked(this.hash, digest)
    if (link.digest === null && !link.hash?.equals(expected)) {
      const what = this.#isBehindPruned
        ? 'is not what was written, or what is left of the pruned events before it is not'
        : `is not what was written after event ${this.cursor}`
      return { table: 'operation_events', row: String(cursor), operation: operationId, what }
    }
    this.cursor = cursor
    this.hash = expected
    this.#isBehindPruned = link.digest !== null
    this.#compareHeads(link.digest !== null)
    if (link.digest !== null) {
      this.pruned++
      return null
    }
    this.events++
    return this.#tell(link)
  }

  /** Applies the event; behind the last one of its operation, its row is compared. */
  #tell(row: JournalRow): BadRow | null {
    const { operationId: id, seq, cursor } = row
    const before = this.#stories.get(id) ?? this.#storyUntil(row)
    const blame = (what: string) => ({ table: 'operation_events' as const, row: String(cursor), operation: id, what })
    if (seq !== (before.operation?.seq ?? 0) + 1) return blame(`is out of its order: it is event ${seq} of ${id}`)
    const operation = applied(before.operation, row)
    if (operation === null) return blame(`cannot have happened to ${id}`)
    const lastSeq = seq < before.lastSeq ? before.lastSeq : this.#lastSeq(id)
    if (seq < lastSeq) {
      this.#stories.set(id, { ...before, operation, lastSeq })
      return null
    }
    this.#stories.delete(id)
    this.suspect ??= this.#compare(operation, before.isEarlier, cursor)
    return null
  }

  /** From the events before this one: none, but when something was added to an operation that was looked at already. */
  #storyUntil({ operationId, seq, cursor }: JournalRow): Story {
    const rows = this.#db
      .prepare<[string, number, number], JournalRow>(
        `SELECT cursor, operation_id AS operationId, seq, at, event FROM operation_events
         WHERE operation_id = ? AND seq < ? AND cursor < ? ORDER BY seq`,
      )
      .all(operationId, seq, cursor)
    let operation: Operation | null = null
    for (const row of rows) operation = applied(operation, row)
    const isEarlier = (rows[0]?.cursor ?? cursor) <= this.#anchor.begunAfter
    return { operation, isEarlier, lastSeq: this.#lastSeq(operationId) }
  }

  #lastSeq(id: string): number {
    return Number(this.#db.prepare('SELECT max(seq) FROM operation_events WHERE operation_id = ?').pluck().get(id))
  }

  #compare(operation: Operation, isEarlier: boolean, cursor: number): BadRow | null {
    const { id } = operation
    const columns = (table: string, more: string) =>
      `SELECT '${table}' AS "table", id, connection_id, operation_type, status, started_at, completed_at, progress, message,
         error, metadata, created_by, ${more} FROM ${table} WHERE id = @id`
    const rows = this.#db
      .prepare<[object], OperationRow>(
        `${columns('active_operations', 'phase, seq, conflict_key')}
         UNION ALL ${columns('operation_history', 'NULL, NULL, NULL')}`,
      )
      .all({ id })
    const [row, twin] = rows
    const blame = (table: OperationRow['table'], what: string) => ({ table, row: id, operation: id, what })
    if (!row) return blame('operation_history', `is missing, on the board too: event ${cursor} tells of it`)
    if (twin) return blame(twin.table, 'is on the board too')
    const what = difference(row, operation, isEarlier)
    return what === null ? null : blame(row.table, what)
  }

  /** A digest fits whatever it was made of: that an event is there takes the event. */
  #compareHeads(isPruned = false): void {
    const kept = isPruned ? 'pruned' : 'same'
    for (const head of this.#heads) {
      if (head.cursor === this.cursor) this.found.set(head, head.hash === this.hash.toString('hex') ? kept : 'other')
    }
  }
}

function applied(before: Operation | null, { cursor, operationId, seq, at, event }: JournalRow): Operation | null {
  try {
    return apply(before, { cursor, operationId, seq, at, event: JSON.parse(event) as OperationEvent })
  } catch {
    return null
  }
}

/** Where the row differs from what its events say, as a clause; null where it does not. */
function difference(row: OperationRow, operation: Operation, isEarlier: boolean): string | null {
  const told = JSON.parse(JSON.stringify(operation)) as Operation
  const key = conflictKey(told.device, told.type)
  const columns: Readonly<Record<string, unknown>> = {
    connection_id: told.connection.id,
    operation_type: told.type,
    status: told.status,
    completed_at: told.completedAt,
    error: told.error?.message ?? null,
    created_by: told.createdBy,
    ...(!isEarlier && { started_at: told.startedAt, progress: told.progress, message: told.message }),
    ...(row.table === 'active_operations' && {
      phase: told.phase,
      seq: told.seq,
      // What waited for its device may have it by now.
      conflict_key: told.after !== undefined && row.conflict_key === key + QUEUED ? key + QUEUED : key,
    }),
  }
  for (const [column, value] of Object.entries(columns)) {
    if (row[column] !== value) return otherwise(column, row[column], value)
  }
  const stored = parsed(row.metadata)
  if (stored === null) return 'has metadata that is not spelt as it was written'
  const keys = new Set([...Object.keys(told), ...Object.keys(stored)] as (keyof Operation)[])
  for (const key of isEarlier ? TOLD_EARLIER : keys) {
    if (!isDeepStrictEqual(stored[key], told[key])) return otherwise(`metadata.${key}`, stored[key], told[key])
  }
  return null
}

/** Spelt as it was written: of a key that stands there twice, different readers would take a different one. */
function parsed(metadata: string): Operation | null {
  try {
    const operation = JSON.parse(metadata) as Operation
    return JSON.stringify(operation) === metadata ? operation : null
  } catch {
    return null
  }
}

function otherwise(name: string, stored: unknown, told: unknown): string {
  const words = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 80)
  return `says ${name} ${words(stored)}, and its events say ${words(told)}`
}
