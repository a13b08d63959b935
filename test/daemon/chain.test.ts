import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createVerifier, chainPage } from '../../src/daemon/history.ts'
import { digestOf, type JournalRow } from '../../src/daemon/store/chain.ts'
import { migrate, type SqliteDatabase } from '../../src/daemon/store/database.ts'
import { MIGRATIONS } from '../../src/daemon/store/migrations.ts'
import { DAY, DONE, Ledger, lived, RESTART, UNKNOWN } from '../helpers/journal.ts'
import { verify, verifyFile } from '../helpers/verify-history.ts'
import { rejection } from '../helpers/rejection.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

/** Undone afterwards, so that one house serves all attacks. */
async function attacked(db: SqliteDatabase, attack: () => void) {
  db.exec('BEGIN')
  try {
    attack()
    return (await verify(db)).bad
  } finally {
    db.exec('ROLLBACK')
  }
}

const TABLES = { operation_events: 'cursor', operation_history: 'id', active_operations: 'id' } as const
type Table = keyof typeof TABLES

function keysOf(db: SqliteDatabase, table: Table): readonly (string | number)[] {
  return db.prepare<[], string | number>(`SELECT ${TABLES[table]} FROM ${table} ORDER BY rowid`).pluck().all()
}

/** Another value of the same type, and one that breaks no index. */
function another(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return Buffer.from(value.map((byte, index) => (index === 7 ? byte ^ 1 : byte)))
  if (typeof value === 'number') return value + 1000
  return typeof value === 'string' ? `${value} ` : 7
}

/** The house of one file, closed at the end of the test. */
function house(): Ledger {
  const made = lived()
  onTestFinished(() => void made.db.close())
  return made
}

describe('a house that nobody touched', () => {
  it('is whole: with work of several at a time, outcomes settled later, and some of it pruned', async () => {
    const { db } = house()
    const events = keysOf(db, 'operation_events').length
    const whole = await verify(db)
    expect(whole).toMatchObject({ bad: null, operations: 5, events, prunedTo: 0, pruned: 9 })
    expect(whole.head.cursor).toBe(events + whole.pruned)
  })

  it('stays so when it is packed and indexed anew, written as it was, and after a write that was taken back', async () => {
    const made = house()
    made.db.exec('VACUUM; REINDEX; UPDATE operation_events SET event = event, hash = hash')
    const twin = () => made.accept('r-twin', 'r-queued')
    made.accept('r-new', 'r-queued')
    const before = made.head()
    expect(twin).toThrow('UNIQUE')
    expect(made.head()).toEqual(before)
    made.say('r-new', { type: 'connecting' })
    expect(await made.verify([before])).toMatchObject({ bad: null, heads: [{ found: 'same' }] })
  })
})

describe('whoever edits the file is found by the first row that was touched:', () => {
  it.each(Object.keys(TABLES) as Table[])('every column of every row of %s', async (table) => {
    const { db } = house()
    const columns = db.pragma(`table_info(${table})`) as { name: string }[]
    const survived: string[] = []
    for (const key of keysOf(db, table)) {
      const row = db.prepare<[unknown], Record<string, unknown>>(`SELECT * FROM ${table} WHERE ${TABLES[table]} = ?`)
      for (const { name } of columns) {
        const value = another(row.get(key)?.[name])
        const bad = await attacked(db, () =>
          db.prepare(`UPDATE ${table} SET ${name} = ? WHERE ${TABLES[table]} = ?`).run(value, key),
        )
        if (bad?.row !== String(key) || (bad.table !== table && name !== 'id')) {
          survived.push(`${key}.${name}: ${JSON.stringify(bad)}`)
        }
      }
    }
    expect(columns.length).toBeGreaterThan(5)
    expect(survived).toEqual([])
  })

  it.each(Object.keys(TABLES) as Table[])('each row of %s that is gone', async (table) => {
    const { db } = house()
    for (const key of keysOf(db, table)) {
      const bad = await attacked(db, () => db.prepare(`DELETE FROM ${table} WHERE ${TABLES[table]} = ?`).run(key))
      expect(bad).toMatchObject({ row: String(key), what: expect.stringContaining('is missing') })
    }
  })

  it('an order that was changed, an event that was added, one that stands there twice', async () => {
    const { db } = house()
    const swap = () => {
      db.exec(`UPDATE operation_events SET cursor = -1 WHERE cursor = 3; UPDATE operation_events SET cursor = 3 WHERE cursor = 5;
               UPDATE operation_events SET cursor = 5 WHERE cursor = -1`)
    }
    expect(await attacked(db, swap)).toMatchObject({ table: 'operation_events', row: '3' })
    const swapTexts = () =>
      db.exec(`CREATE TEMP TABLE both AS SELECT cursor, event FROM operation_events WHERE cursor IN (3, 5);
               UPDATE operation_events SET event = (SELECT event FROM both WHERE both.cursor = 8 - operation_events.cursor)
               WHERE cursor IN (3, 5); DROP TABLE both`)
    expect(await attacked(db, swapTexts)).toMatchObject({ row: '3' })
    const copy = (seq: string) => () =>
      db.exec(`INSERT INTO operation_events SELECT (SELECT max(cursor) + 1 FROM operation_events), operation_id, ${seq}, at, event, hash
               FROM operation_events WHERE cursor = 2`)
    const end = Number(keysOf(db, 'operation_events').at(-1)) + 1
    expect(await attacked(db, copy('1000'))).toMatchObject({ table: 'operation_events', row: String(end) })
    const twice = () => db.exec('INSERT INTO pruned_events SELECT cursor, hash FROM operation_events WHERE cursor = 2')
    expect(await attacked(db, twice)).toMatchObject({ row: '2', what: 'is kept and pruned at once' })
  })

  it('an operation without events, on the board and in history at once, and metadata that says a thing twice', async () => {
    const { db } = house()
    const invent = (id: string) => () =>
      db.exec(`INSERT INTO operation_history SELECT '${id}', connection_id, operation_type, status, started_at, completed_at,
                 progress, message, error, metadata, created_by FROM active_operations WHERE id = 'r-unknown'`)
    expect(await attacked(db, invent('r-made-up'))).toMatchObject({ table: 'operation_history', row: 'r-made-up' })
    expect(await attacked(db, invent('r-unknown'))).toMatchObject({ what: 'is on the board too' })
    // Wherever it is put, also where numbers end.
    for (const place of ['-5', '0', '9007199254740993', '9223372036854775807']) {
      const put = () => {
        invent('r-made-up')()
        db.exec(`UPDATE operation_history SET rowid = ${place} WHERE id = 'r-made-up'`)
      }
      expect(await attacked(db, put)).toMatchObject({ table: 'operation_history', row: 'r-made-up' })
    }
    const twice = () =>
      db.exec(
        `UPDATE operation_history SET metadata = '{"status":"failed",' || substr(metadata, 2) WHERE id = 'r-long'`,
      )
    expect(await attacked(db, twice)).toMatchObject({ table: 'operation_history', row: 'r-long' })
  })

  it('the end that was cut off, by what SQLite remembers of it', async () => {
    const { db } = house()
    for (const from of keysOf(db, 'operation_events')) {
      const cut = () => db.prepare('DELETE FROM operation_events WHERE cursor >= ?').run(from)
      expect(await attacked(db, cut)).toMatchObject({ row: String(from), what: expect.stringContaining('is missing') })
    }
    const forget = () => db.exec("UPDATE sqlite_sequence SET seq = 20 WHERE name = 'operation_events'")
    expect(await attacked(db, forget)).toMatchObject({ table: 'sqlite_sequence' })
  })

  it('what is left of pruned events, and how the chain began', async () => {
    const { db } = house()
    const pruned = db.prepare<[], number>('SELECT cursor FROM pruned_events ORDER BY cursor').pluck().all()
    const behind = (cursor: number) =>
      String(db.prepare('SELECT min(cursor) FROM operation_events WHERE cursor > ?').pluck().get(cursor))
    for (const cursor of pruned) {
      const change = () =>
        db.prepare('UPDATE pruned_events SET digest = ? WHERE cursor = ?').run(Buffer.alloc(32, 1), cursor)
      expect(await attacked(db, change)).toMatchObject({ table: 'operation_events', row: behind(cursor) })
      const take = () => db.prepare('DELETE FROM pruned_events WHERE cursor = ?').run(cursor)
      expect(await attacked(db, take)).toMatchObject({
        row: String(cursor),
        what: expect.stringContaining('is missing'),
      })
    }
    for (const [column, value] of [
      ['id', Buffer.alloc(32, 1)],
      ['begun_at', 1],
      ['begun_after', 9],
      ['nonce', Buffer.alloc(16)],
      ['cursor', 1],
      ['hash', Buffer.alloc(32, 1)],
    ] as const) {
      const change = () => db.prepare(`UPDATE journal_chain SET ${column} = ?`).run(value)
      expect(await attacked(db, change)).toMatchObject({ table: 'journal_chain' })
    }
    await expect(attacked(db, () => db.exec('DELETE FROM journal_chain'))).rejects.toMatchObject({ code: 'database' })
  })

  it('rows of another house, though they are whole there', async () => {
    const here = new Ledger()
    const there = new Ledger()
    for (const each of [here, there]) {
      onTestFinished(() => void each.db.close())
      each.accept('r-1')
      each.say('r-1', ...RESTART, each === here ? UNKNOWN : DONE)
    }
    const rows = there.db.prepare('SELECT * FROM operation_events').raw().all()
    const board = there.db.prepare('SELECT * FROM active_operations').raw().all()
    const put = () => {
      here.db.exec('DELETE FROM operation_events; DELETE FROM active_operations')
      for (const row of rows) here.db.prepare('INSERT INTO operation_events VALUES (?, ?, ?, ?, ?, ?)').run(row)
      for (const row of board) {
        here.db.prepare(`INSERT INTO active_operations VALUES (${Array.from(row as [], () => '?').join()})`).run(row)
      }
    }
    expect(await attacked(here.db, put)).toMatchObject({ table: 'operation_events', row: '1' })
  })

  it('whatever is edited at random; and nothing is blamed that was left alone', async () => {
    const { db } = house()
    const edits = (Object.keys(TABLES) as Table[]).flatMap((table) =>
      keysOf(db, table).map((key) => ({
        table,
        key,
        names: (db.pragma(`table_info(${table})`) as { name: string }[]).map((one) => one.name),
      })),
    )
    const edit = fc.record({
      where: fc.constantFrom(...edits),
      column: fc.nat(),
      act: fc.constantFrom('update', 'update', 'delete', 'nothing'),
      number: fc.integer(),
      text: fc.string({ unit: 'binary' }),
      bytes: fc.uint8Array({ maxLength: 40 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (all) => {
        const touched = new Set<string>()
        const bad = await attacked(db, () => {
          for (const { where, column, act, number, text, bytes } of all) {
            const { table, key, names } = where
            const name = names[column % names.length] ?? ''
            const where_ = `WHERE ${TABLES[table]} = ?`
            const value = db.prepare(`SELECT ${name} FROM ${table} ${where_}`).pluck().get(key)
            if (act === 'nothing') db.prepare(`UPDATE ${table} SET ${name} = ${name} ${where_}`).run(key)
            else if (act === 'delete') {
              if (db.prepare(`DELETE FROM ${table} ${where_}`).run(key).changes > 0) touched.add(String(key))
            } else {
              const wanted = typeof value === 'number' ? number : Buffer.isBuffer(value) ? Buffer.from(bytes) : text
              try {
                const { changes } = db.prepare(`UPDATE ${table} SET ${name} = ? ${where_}`).run(wanted, key)
                const stored = db.prepare(`SELECT ${name} FROM ${table} ${where_}`).pluck().get(key)
                const isSame = Buffer.isBuffer(value) ? value.equals(stored as Buffer) : stored === value
                if (changes > 0 && !isSame) touched.add(String(key)).add(String(wanted))
              } catch (error) {
                // Not even SQLite lets it stand there.
                if (!String((error as { code?: unknown }).code).startsWith('SQLITE_CONSTRAINT')) throw error
              }
            }
          }
        })
        if (touched.size === 0) expect(bad).toBeNull()
        else expect([...touched]).toContain(bad?.row)
      }),
      { numRuns: 100 },
    )
  })
})

describe('a head that was noted elsewhere', () => {
  /** Everything anew from a row on, as somebody would who has this program. */
  function rewrite(db: SqliteDatabase, cursor: number, event: string): void {
    const sha = (...parts: (string | Buffer)[]) =>
      parts.reduce((hash, one) => hash.update(one), createHash('sha256')).digest()
    const id = db.prepare<[], Buffer>('SELECT id FROM journal_chain').pluck().get() as Buffer
    db.prepare('UPDATE operation_events SET event = ? WHERE cursor = ?').run(event, cursor)
    let before = id
    for (const row of db.prepare<[], Record<string, unknown>>('SELECT * FROM operation_events ORDER BY cursor').all()) {
      const own = [id.toString('hex'), row['cursor'], row['operation_id'], row['seq'], row['at'], row['event']]
      before = sha(before, sha(JSON.stringify(own)))
      db.prepare('UPDATE operation_events SET hash = ? WHERE cursor = ?').run(before, row['cursor'])
    }
  }

  function ended(): Ledger {
    const made = new Ledger()
    made.accept('r-1')
    made.say('r-1', ...RESTART, DONE)
    return made
  }

  it('tells of events that were rewritten with all hashes behind them, which nothing else does', async () => {
    const made = ended()
    onTestFinished(() => void made.db.close())
    const head = made.head()
    const early = {
      ...(await made.verify()).head,
      cursor: 1,
      hash: made.store.operations.chain.before(2).hash.toString('hex'),
    }
    const other = JSON.stringify({ type: 'dispatching', command: 'utils service restart Cisco Tftp' })
    rewrite(made.db, 6, other)
    expect(await made.verify([head, early])).toMatchObject({
      bad: null,
      heads: [{ found: 'other' }, { found: 'same' }],
    })
  })

  it('tells of an end that was cut off without a trace, and of an older copy in the place of the file', async () => {
    const made = ended()
    const early = made.head()
    made.db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const copy = path.join(temporaryDirectory(), 'copy.db')
    fs.copyFileSync(made.file, copy)
    made.accept('r-2')
    made.say('r-2', ...RESTART, UNKNOWN)
    const late = made.head()
    expect(await made.verify([late, early])).toMatchObject({ heads: [{ found: 'same' }, { found: 'same' }] })
    made.db
      .exec(`DELETE FROM operation_events WHERE operation_id = 'r-2'; DELETE FROM active_operations WHERE id = 'r-2';
                  UPDATE sqlite_sequence SET seq = ${early.cursor} WHERE name = 'operation_events'`)
    made.db.close()
    for (const file of [made.file, copy]) {
      expect(await verifyFile(file)).toMatchObject({ bad: null, operations: 1 })
      const asked = await verifyFile(file, [late, early])
      expect(asked).toMatchObject({ bad: null, heads: [{ found: 'missing' }, { found: 'same' }] })
    }
  })

  it('that lies in what was pruned is not said to be there', async () => {
    const made = ended()
    onTestFinished(() => void made.db.close())
    const early = { cursor: 2, hash: made.head().hash }
    const last = made.head()
    made.archive('r-1')
    made.clock += 30 * DAY
    made.accept('r-2')
    made.say('r-2', ...RESTART, DONE)
    made.archive('r-2')
    made.prune(DAY)
    // The place up to which was pruned has kept its hash, and nothing else.
    const asked = await made.verify([early, last, { ...last, hash: early.hash.replace(/^./, 'x') }, made.head()])
    expect(asked).toMatchObject({ bad: null, prunedTo: last.cursor, pruned: 0, operations: 1 })
    expect(asked.heads).toMatchObject([{ found: 'pruned' }, { found: 'pruned' }, { found: 'other' }, { found: 'same' }])
  })

  it('whose event somebody has hidden behind its digest is not said to be there', async () => {
    const { db, store } = house()
    const { id } = store.operations.chain.anchor()
    const rows = db.prepare<[], JournalRow & { hash: Buffer }>(
      `SELECT cursor, operation_id AS operationId, seq, at, event, hash FROM operation_events
       WHERE operation_id = 'r-long' ORDER BY cursor`,
    )
    const hidden = rows.all()
    const { cursor, hash } = hidden.at(-1) ?? expect.fail('r-long has no event')
    const head = { cursor, hash: hash.toString('hex') }
    expect((await verify(db, [head])).heads).toMatchObject([{ found: 'same' }])
    for (const row of hidden) {
      db.prepare('DELETE FROM operation_events WHERE cursor = ?').run(row.cursor)
      db.prepare('INSERT INTO pruned_events VALUES (?, ?)').run(row.cursor, digestOf(id, row))
    }
    db.exec("DELETE FROM operation_history WHERE id = 'r-long'")
    expect(await verify(db, [head])).toMatchObject({ bad: null, heads: [{ found: 'pruned' }] })
  })
})

describe('a chain that is pruned', () => {
  it('stays whole for years, and what is left of the pruned does not grow', async () => {
    const made = new Ledger()
    onTestFinished(() => void made.db.close())
    made.db.pragma('synchronous = OFF')
    const left: number[] = []
    let running: string[] = []
    for (let day = 0; day < 400; day++) {
      const name = `r-${day}`
      made.accept(name)
      // Each begins before the one before it has ended.
      made.say(name, ...RESTART.slice(0, 4))
      for (const other of running) made.say(other, ...RESTART.slice(4), DONE)
      made.archive(...running)
      running = [name]
      made.clock += DAY
      made.prune(20 * DAY)
      left.push(Number(made.db.prepare('SELECT count(*) FROM pruned_events').pluck().get()))
    }
    expect(Math.max(...left)).toBe(4)
    const told = await made.verify()
    expect(told).toMatchObject({ bad: null, operations: 21 })
    expect(told.prunedTo).toBeGreaterThan(3000)
  })

  it('keeps the digests that lie behind an outcome nobody accepts, and no more than them', async () => {
    const made = new Ledger()
    onTestFinished(() => void made.db.close())
    made.accept('r-open')
    made.say('r-open', ...RESTART, UNKNOWN)
    for (const name of ['r-1', 'r-2', 'r-3']) {
      made.accept(name)
      made.say(name, ...RESTART, DONE)
      made.archive(name)
      made.clock += 30 * DAY
    }
    made.prune(40 * DAY)
    expect(await made.verify()).toMatchObject({ bad: null, prunedTo: 0, pruned: 9, operations: 3 })
    made.say('r-open', { type: 'acknowledged', by: 'alice' })
    made.archive('r-open')
    for (const name of ['r-4', 'r-5']) {
      made.accept(name)
      made.say(name, ...RESTART, DONE)
      made.archive(name)
      made.clock += 50 * DAY
    }
    made.prune(40 * DAY)
    expect(await made.verify()).toMatchObject({ bad: null, pruned: 0, operations: 1 })
  })

  it('never loses its newest link, even when that belongs to what is oldest in history', async () => {
    const made = new Ledger()
    onTestFinished(() => void made.db.close())
    made.accept('r-old')
    made.say('r-old', ...RESTART, UNKNOWN)
    made.clock += 80 * DAY
    made.accept('r-new')
    made.say('r-new', ...RESTART, DONE)
    made.say('r-old', { type: 'acknowledged', by: 'alice' })
    made.archive('r-old', 'r-new')
    made.prune(DAY)
    expect(await made.verify()).toMatchObject({ bad: null, operations: 2 })
    made.accept('r-next')
    made.prune(DAY)
    expect(await made.verify()).toMatchObject({ bad: null, operations: 2 })
  })
})

describe('verifying while others work', () => {
  it('blames nobody for what is written, archived and pruned meanwhile, and gives every turn back soon', async () => {
    const made = new Ledger()
    onTestFinished(() => void made.db.close())
    made.db.pragma('synchronous = OFF')
    const restart = (name: string, from = 0) => {
      if (from === 0) made.accept(name)
      made.say(name, ...RESTART.slice(from), DONE)
      made.archive(name)
      made.clock += DAY
    }
    made.accept('r-running')
    made.say('r-running', ...RESTART.slice(0, 3))
    made.store.write(() => Array.from({ length: 300 }, (_, index) => restart(`r-${index}`)))
    let turns = 0
    const pause = async () => {
      await setImmediate()
      if (++turns > 12) return
      restart(`r-late-${turns}`)
      if (turns === 2) restart('r-running', 3)
      made.prune((300 - turns * 20) * DAY)
    }
    const told = await made.store.verify([], pause)
    expect(told).toMatchObject({ bad: null })
    expect(told.head).toEqual(made.head())
    expect(turns).toBeGreaterThan(12)
    expect(await made.verify([told.head])).toMatchObject({ bad: null, heads: [{ found: 'same' }] })
  })

  it('is done once for all who ask the same, and not for two who ask differently; a daemon that stops ends it', async () => {
    const made = house()
    let isStopping = false
    const ask = createVerifier(made.store, () => isStopping)
    const first = ask([])
    expect(ask([])).toBe(first)
    expect(() => ask([made.head()])).toThrow(expect.objectContaining({ code: 'too_many_requests' }))
    expect(await first).toMatchObject({ bad: null })
    const second = ask([made.head()])
    expect(await second).toMatchObject({ heads: [{ found: 'same' }] })
    isStopping = true
    expect(await rejection(ask([]))).toMatchObject({ code: 'draining' })
  })
})

describe('a database from before the chain', () => {
  it('gets it over its events as they are, says so, and from then on every change is found', async () => {
    const made = house()
    const { db, file } = made
    migrate(db, 3, file)
    expect(db.pragma('table_info(operation_events)')).toHaveLength(5)
    // Pruning of old left holes, and an older vosctl told some things differently.
    db.exec(
      `UPDATE operation_history SET progress = 7, metadata = json_set(metadata, '$.progress', 7) WHERE id = 'v-look'`,
    )
    migrate(db, MIGRATIONS.length, file)
    const whole = await verify(db)
    const given = db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'operation_events'").pluck().get()
    expect(whole).toMatchObject({ bad: null, operations: 5, pruned: 0, chain: { begunAfter: given } })
    made.say('r-queued', { type: 'connecting' })
    expect(await made.verify()).toMatchObject({ bad: null, events: whole.events + 1 })
    for (const cursor of keysOf(db, 'operation_events')) {
      const text = () => db.prepare("UPDATE operation_events SET event = event || ' ' WHERE cursor = ?").run(cursor)
      expect(await attacked(db, text)).toMatchObject({ table: 'operation_events', row: String(cursor) })
    }
    const verdict = () => db.exec("UPDATE operation_history SET status = 'failed' WHERE id = 'r-long'")
    expect(await attacked(db, verdict)).toMatchObject({ table: 'operation_history', row: 'r-long' })
    const take = () => db.exec('DELETE FROM operation_events WHERE cursor = (SELECT min(cursor) FROM operation_events)')
    expect((await attacked(db, take))?.table).toBe('operation_events')
  })
})

describe('the part of the chain that an export holds', () => {
  it.each([1, 2, 7, 1000])(
    'is the same in pages of %d, holds of others only digests, and leads to its own hashes',
    (limit) => {
      const made = house()
      const { chain } = made.store.operations
      for (const operation of made.store.operations.board()) {
        const links = []
        let page = chainPage(chain, operation, undefined, limit)
        const { before } = page
        links.push(...page.links)
        while (page.next !== null) {
          page = chainPage(chain, operation, page.next, limit)
          links.push(...page.links)
        }
        let hash = Buffer.from(before.hash, 'hex')
        const sha = (...parts: (string | Buffer)[]) =>
          parts.reduce((sum, one) => sum.update(one), createHash('sha256')).digest()
        for (const link of links) {
          if ('digest' in link) {
            expect(Object.keys(link)).toEqual(['cursor', 'digest'])
            hash = sha(hash, Buffer.from(link.digest, 'hex'))
          } else {
            const own = [page.chain.id, link.cursor, operation.id, link.seq, link.at, link.event]
            hash = sha(hash, sha(JSON.stringify(own)))
            expect(link.hash).toBe(hash.toString('hex'))
          }
        }
        expect(links.filter((link) => 'event' in link)).toHaveLength(operation.seq)
        expect(links[0]).toHaveProperty('event')
        expect(links.at(-1)).toHaveProperty('event')
      }
    },
  )
})
