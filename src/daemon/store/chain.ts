import { hash, randomBytes } from 'node:crypto'
import { VosError } from '../../core/errors.ts'
import type { Compiler } from './database.ts'
import { KEEP_AND_RESTORE } from './damage.ts'

/** Also the name of the encoding: whoever hashes something else, or otherwise, gives it another one. */
const DOMAIN = 'vosctl/journal/v1'
const PAGE = 500

/** An event as it stands in its table. `event` is the text, because another spelling of the same JSON is another text. */
export interface JournalRow {
  readonly cursor: number
  readonly operationId: string
  readonly seq: number
  readonly at: number
  readonly event: string
}

/** What the chain hangs on: how it began, and the place up to which nothing is kept any more. */
export interface Anchor {
  readonly id: Buffer
  readonly begunAt: number
  /** Events up to here were there before the chain. */
  readonly begunAfter: number
  readonly nonce: Buffer
  readonly cursor: number
  readonly hash: Buffer
}

/** A link of the chain: an event, or what is left of one that was pruned. */
export type Link =
  | (JournalRow & { readonly hash: Buffer | null; readonly digest: null })
  | { readonly cursor: number; readonly operationId: null; readonly digest: Buffer }

const LINKS = `
  SELECT cursor, operation_id AS operationId, seq, at, event, hash, NULL AS digest FROM operation_events WHERE cursor > @after
  UNION ALL SELECT cursor, NULL, NULL, NULL, NULL, NULL, digest FROM pruned_events WHERE cursor > @after
  ORDER BY cursor LIMIT @limit`

const HEAD = `
  SELECT id, coalesce(last.hash, journal_chain.hash) AS hash,
    max(journal_chain.cursor, coalesce(last.cursor, 0),
      coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'operation_events'), 0)) AS cursor
  FROM journal_chain LEFT JOIN (SELECT cursor, hash FROM operation_events ORDER BY cursor DESC LIMIT 1) AS last`

/** Names the chain, and is its first hash: rows of another one, or another beginning, do not fit into it. */
export function chainId({ begunAt, begunAfter, nonce }: Pick<Anchor, 'begunAt' | 'begunAfter' | 'nonce'>): Buffer {
  return hash('sha256', JSON.stringify([DOMAIN, begunAt, begunAfter, nonce.toString('hex')]), 'buffer')
}

export function digestOf(id: Buffer, { cursor, operationId, seq, at, event }: JournalRow): Buffer {
  return hash('sha256', JSON.stringify([id.toString('hex'), cursor, operationId, seq, at, event]), 'buffer')
}

export function linked(before: Buffer, digest: Buffer): Buffer {
  return hash('sha256', Buffer.concat([before, digest]), 'buffer')
}

/** Each event of the journal holds a hash over itself and the one before it (docs/history.md). */
export class Chain {
  readonly #db: Compiler

  constructor(db: Compiler) {
    this.#db = db
  }

  /** @throws VosError `database` when somebody took it away */
  anchor(): Anchor {
    const anchors = this.#db
      .prepare<[], Anchor>(
        'SELECT id, begun_at AS begunAt, begun_after AS begunAfter, nonce, cursor, hash FROM journal_chain',
      )
      .all()
    if (anchors[0] && anchors.length === 1) return anchors[0]
    throw new VosError('database', 'The database is damaged: the beginning of its chain of events is not there.', {
      hint: KEEP_AND_RESTORE,
    })
  }

  /** The last place given out, and the hash there. Read anew each time: what was rolled back must not be built upon. */
  head(): Pick<Anchor, 'id' | 'cursor' | 'hash'> {
    const head = this.#db.prepare<[], Pick<Anchor, 'id' | 'cursor' | 'hash'>>(HEAD).get()
    return head ?? this.anchor()
  }

  /** The highest cursor that was ever given out, as SQLite remembers it. */
  given(): number {
    return Number(
      this.#db.prepare("SELECT max(seq) FROM sqlite_sequence WHERE name = 'operation_events'").pluck().get() ?? 0,
    )
  }

  append(row: Omit<JournalRow, 'cursor'>): number {
    const { id, ...head } = this.head()
    const event = { ...row, cursor: head.cursor + 1 }
    this.#db
      .prepare(
        `INSERT INTO operation_events (cursor, operation_id, seq, at, event, hash)
         VALUES (@cursor, @operationId, @seq, @at, @event, @hash)`,
      )
      .run({ ...event, hash: linked(head.hash, digestOf(id, event)) })
    return event.cursor
  }

  /** In order, after this place. */
  links(after: number, limit: number): readonly Link[] {
    return this.#db.prepare<[object], Link>(LINKS).all({ after, limit })
  }

  /** The link before this place. */
  before(cursor: number): Pick<Anchor, 'cursor' | 'hash'> {
    let place: Pick<Anchor, 'cursor' | 'hash'> = this.#eventBefore(cursor) ?? this.anchor()
    const digests = this.#db
      .prepare<[number, number], { cursor: number; digest: Buffer }>(
        'SELECT cursor, digest FROM pruned_events WHERE cursor > ? AND cursor < ? ORDER BY cursor',
      )
      .all(place.cursor, cursor)
    for (const { cursor, digest } of digests) place = { cursor, hash: linked(place.hash, digest) }
    return place
  }

  /** The cursors of the first and the last event of an operation. */
  span(operationId: string): { readonly first: number; readonly last: number } {
    const row = this.#db
      .prepare<[string], { first: number | null; last: number | null }>(
        'SELECT min(cursor) AS first, max(cursor) AS last FROM operation_events WHERE operation_id = ?',
      )
      .get(operationId)
    return { first: row?.first ?? 0, last: row?.last ?? 0 }
  }

  /** Does the newest event belong to one of these operations? The next one needs its hash. */
  endsIn(lastPlace: number): boolean {
    const ending = `SELECT 1 FROM operation_history WHERE rowid <= ?
      AND id = (SELECT operation_id FROM operation_events ORDER BY cursor DESC LIMIT 1)`
    return this.#db.prepare(ending).get(lastPlace) !== undefined
  }

  /**
   * Takes out the events of the history up to this place. The anchor moves up to the first event that stays; of those
   * behind it, between others, the digests stay until it has passed them too.
   */
  prune(lastPlace: number): void {
    const isOld = 'operation_id IN (SELECT id FROM operation_history WHERE rowid <= @lastPlace)'
    const kept = this.#db
      .prepare<[object], number>(`SELECT cursor FROM operation_events WHERE NOT ${isOld} ORDER BY cursor LIMIT 1`)
      .pluck()
      .get({ lastPlace })
    if (kept === undefined) return
    this.#db.prepare('UPDATE journal_chain SET cursor = @cursor, hash = @hash').run(this.before(kept))
    this.#db.prepare('DELETE FROM pruned_events WHERE cursor < ?').run(kept)
    const { id } = this.anchor()
    const page = this.#db.prepare<[object], JournalRow>(
      `SELECT cursor, operation_id AS operationId, seq, at, event FROM operation_events
       WHERE ${isOld} AND cursor > @after ORDER BY cursor LIMIT ${PAGE}`,
    )
    for (let after: number | undefined = kept; after !== undefined;) {
      const rows: readonly JournalRow[] = page.all({ lastPlace, after })
      for (const row of rows) {
        this.#db.prepare('INSERT INTO pruned_events VALUES (?, ?)').run(row.cursor, digestOf(id, row))
      }
      after = rows.at(-1)?.cursor
    }
    this.#db.prepare(`DELETE FROM operation_events WHERE ${isOld}`).run({ lastPlace })
  }

  #eventBefore(cursor: number): Pick<Anchor, 'cursor' | 'hash'> | undefined {
    return this.#db
      .prepare<[number], Pick<Anchor, 'cursor' | 'hash'>>(
        'SELECT cursor, hash FROM operation_events WHERE cursor < ? ORDER BY cursor DESC LIMIT 1',
      )
      .get(cursor)
  }
}

/** Begins a chain, and takes what is in the journal into it as it is found: nobody can vouch for what was before. */
export function beginChain(db: Compiler): void {
  const chain = new Chain(db)
  const newest = Number(db.prepare('SELECT coalesce(max(cursor), 0) FROM operation_events').pluck().get())
  const start = { begunAt: Date.now(), begunAfter: Math.max(newest, chain.given()), nonce: randomBytes(16) }
  const id = chainId(start)
  db.prepare('INSERT INTO journal_chain VALUES (@id, @begunAt, @begunAfter, @nonce, 0, @id)').run({ ...start, id })
  const update = db.prepare('UPDATE operation_events SET hash = ? WHERE cursor = ?')
  let before = id
  for (let after: number | undefined = 0; after !== undefined;) {
    const links: readonly Link[] = chain.links(after, PAGE)
    for (const link of links) {
      if (link.digest) continue
      before = linked(before, digestOf(id, link))
      update.run(before, link.cursor)
    }
    after = links.at(-1)?.cursor
  }
}
