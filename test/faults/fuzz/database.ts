import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import Database from 'better-sqlite3'
import { VosError } from '../../../src/core/errors.ts'
import { STATUSES, type Operation, type Status } from '../../../src/core/operation.ts'
import { Manager } from '../../../src/daemon/manager.ts'
import { openDatabase } from '../../../src/daemon/store/database.ts'
import { Store } from '../../../src/daemon/store/store.ts'
import { Random } from '../random.ts'
import type { Rig } from '../rig.ts'
import {
  buildHouse,
  IN_JOURNAL,
  readFiles,
  STARTS_AT,
  stopped,
  WitnessDevice,
  writeFiles,
  type Files,
  type Truth,
} from './database-house.ts'

interface House {
  readonly killed: Files
  readonly stopped: Files
  readonly truth: Truth
}

interface Damage {
  readonly name: string
  readonly make: (random: Random, houses: { readonly ours: House; readonly theirs: House }) => Files
  /**
   * What may be missing afterwards without a word, since nothing on disk can tell it from something harmless: the end of a
   * journal from a write that a power cut tore, a shorter journal from one that was never longer, a house from another.
   */
  readonly mayLose?: 'the last operation' | 'the journal' | 'everything'
}

const SECTOR = 512

/** What happens to the files of a daemon that is not there to see it. */
const DAMAGES: readonly Damage[] = [
  { name: 'nothing, after a stop', make: (_, { ours }) => ours.stopped },
  { name: 'nothing, after a kill', make: (_, { ours }) => ours.killed },
  { name: 'flipped bits in the database', make: (random, { ours }) => inDb(ours.stopped, (db) => flip(db, random)) },
  {
    name: 'flipped bits in the database, killed',
    make: (random, { ours }) => inDb(ours.killed, (db) => flip(db, random)),
  },
  {
    name: 'flipped bits in the journal',
    make: (random, { ours }) => inWal(ours.killed, (wal) => flip(wal, random)),
    mayLose: 'the last operation',
  },
  { name: 'flipped bits in the header', make: (random, { ours }) => inDb(ours.stopped, (db) => flip(db, random, 100)) },
  {
    name: 'flipped bits in the schema',
    make: (random, { ours }) => inDb(ours.stopped, (db) => flip(db, random, 4096)),
  },
  { name: 'other bytes in the database', make: (random, { ours }) => inDb(ours.stopped, (db) => scribble(db, random)) },
  {
    name: 'other bytes in the journal',
    make: (random, { ours }) => inWal(ours.killed, (wal) => scribble(wal, random)),
    mayLose: 'the last operation',
  },
  {
    name: 'a sector of zeros in the database',
    make: (random, { ours }) => inDb(ours.stopped, (db) => zero(db, random)),
  },
  {
    name: 'a sector of zeros in the journal',
    make: (random, { ours }) => inWal(ours.killed, (wal) => zero(wal, random)),
    mayLose: 'the last operation',
  },
  {
    name: 'another letter in what is stored of work under way',
    make: (random, { ours }) => ({ db: inRow(ours.stopped.db, random), wal: null }),
  },
  { name: 'a cut database', make: (random, { ours }) => inDb(ours.stopped, (db) => cut(db, random)) },
  { name: 'a cut database, killed', make: (random, { ours }) => inDb(ours.killed, (db) => cut(db, random)) },
  { name: 'a longer database', make: (random, { ours }) => inDb(ours.stopped, (db) => lengthen(db, random)) },
  {
    name: 'a cut journal',
    make: (random, { ours }) => inWal(ours.killed, (wal) => cut(wal, random)),
    mayLose: 'the journal',
  },
  { name: 'an empty database', make: (_, { ours }) => inDb(ours.stopped, () => Buffer.alloc(0)) },
  { name: 'an empty database with its journal', make: (_, { ours }) => inDb(ours.killed, () => Buffer.alloc(0)) },
  { name: 'no journal', make: (_, { ours }) => ({ ...ours.killed, wal: null }), mayLose: 'the journal' },
  {
    name: 'an empty journal',
    make: (_, { ours }) => inWal(ours.killed, () => Buffer.alloc(0)),
    mayLose: 'the journal',
  },
  { name: "another house's database", make: (_, { theirs }) => theirs.stopped, mayLose: 'everything' },
  {
    name: "another house's database with our journal",
    make: (_, { ours, theirs }) => ({ db: theirs.killed.db, wal: ours.killed.wal }),
  },
  {
    name: "our database with another house's journal",
    make: (_, { ours, theirs }) => ({ db: ours.stopped.db, wal: theirs.killed.wal }),
  },
  { name: "another program's database", make: (random) => ({ db: foreign(random), wal: null }) },
  { name: 'an older database of a stranger', make: (random) => ({ db: foreign(random, 0x564f5343), wal: null }) },
  {
    name: 'another schema version',
    make: (random, { ours }) =>
      inDb(ours.stopped, (db) => {
        db.writeUInt32BE(random.below(2) === 0 ? random.below(6) : random.below(2 ** 32), 60)
        return db
      }),
  },
  { name: 'a text file', make: (random) => ({ db: Buffer.from('text '.repeat(random.below(2000))), wal: null }) },
]

/**
 * Damaged database files under a daemon that starts: it refuses with a reason and touches nothing, or what it says is true.
 * What it must never do: throw anything but a refusal, begin with nothing where something was, tell a device to act.
 */
const run: Rig = async ({ cases, seed, say }) => {
  const directory = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'vosf-'))
  try {
    const houses = {
      ours: house(path.join(directory, 'ours'), 'm'),
      theirs: house(path.join(directory, 'theirs'), 'k'),
    }
    const violations: string[] = []
    const counts = new Map<string, Record<Outcome['what'], number>>()
    const wanted = Math.max(cases, DAMAGES.length)
    for (let index = 0; index < wanted; index++) {
      const damage = DAMAGES[index % DAMAGES.length] as Damage
      const files = damage.make(new Random(seed * 1000 + index), houses)
      const place = path.join(directory, 'case')
      mkdirSync(place, { mode: 0o700 })
      const outcome = await start(path.join(place, 'vosctl.db'), files, truths(damage, houses))
      rmSync(place, { recursive: true })
      const count = counts.get(damage.name) ?? { refused: 0, true: 0, 'true of an earlier time': 0 }
      counts.set(damage.name, count)
      count[outcome.what]++
      violations.push(...outcome.broken.map((what) => `seed ${seed}, case ${index}, ${damage.name}: ${what}`))
      if (index % 1000 === 999) say(`${index + 1} cases, ${violations.length} violations`)
    }
    const facts = [...counts].map(([name, count]) => [
      name,
      Object.entries(count)
        .filter(([, number]) => number > 0)
        .map(([what, number]) => `${what} ${number}`)
        .join(', '),
    ])
    return {
      cases: Math.max(cases, DAMAGES.length),
      violations,
      facts: Object.fromEntries(facts) as Record<string, string>,
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function house(directory: string, letter: string): House {
  const { files, truth } = buildHouse(directory, letter)
  return { killed: files, stopped: stopped(directory), truth }
}

/** What may be said of one operation. Null: that it is not known at all. */
type Allowed = ReadonlyMap<string, readonly (Status | null)[]>

/** One of these must be what the house says. */
function truths({ mayLose }: Damage, { ours, theirs }: { readonly ours: House; readonly theirs: House }): Allowed[] {
  if (mayLose === 'everything') return [theirs.truth]
  const last = [...ours.truth.keys()].slice(mayLose === 'the journal' ? -IN_JOURNAL : -1)
  const earlier = [...ours.truth].map(([id, ends]): [string, readonly (Status | null)[]] => [
    id,
    last.includes(id) ? [...ends, 'unknown', 'interrupted', null] : ends,
  ])
  return mayLose === undefined ? [ours.truth] : [ours.truth, new Map(earlier)]
}

interface Outcome {
  readonly what: 'refused' | 'true' | 'true of an earlier time'
  readonly broken: readonly string[]
}

/** Starts a daemon's store and manager on these files and compares what they say with what is so. */
async function start(file: string, files: Files, allowed: readonly Allowed[]): Promise<Outcome> {
  writeFiles(file, files)
  const broken: string[] = []
  const refused = (error: unknown): Outcome => {
    if (!(error instanceof VosError) || error.code !== 'database') broken.push(`thrown: ${describe(error)}`)
    else if (error.hint === '') broken.push(`refused without what to do: ${error.message}`)
    else if (error.message.includes('Nothing was changed') && !isSame(readFiles(file), files)) {
      broken.push(`"${error.message}", and the files are others now`)
    }
    const strange = readdirSync(path.dirname(file)).filter((name) => !/^vosctl\.db(-wal|-shm)?$/.test(name))
    if (strange.length > 0) broken.push(`refused, and left ${strange.join(', ')}`)
    return { what: 'refused', broken }
  }
  let store: Store
  try {
    store = new Store(openDatabase(file), (error) => broken.push(`the database failed: ${error.message}`))
  } catch (error) {
    return refused(error)
  }
  try {
    const manager = new Manager({
      store,
      openDevice: ({ connection }) =>
        new WitnessDevice((what) => broken.push(`${connection.name} was told to ${what}`)),
      now: () => STARTS_AT,
      log: () => undefined,
    })
    try {
      manager.recover()
    } finally {
      manager.stopSweeping()
      await manager.drain(new AbortController().signal)
    }
    broken.push(...readAll(store, manager))
    const lies = allowed.map((truth) => compare(store, truth))
    const index = lies.findIndex((each) => each.length === 0)
    if (index < 0) broken.push(...(lies.at(-1) ?? []))
    return { what: index > 0 ? 'true of an earlier time' : 'true', broken }
  } catch (error) {
    return refused(error)
  } finally {
    store.close()
  }
}

/** What the house says of each operation, where it is not so. */
function compare(store: Store, allowed: Allowed): string[] {
  const lies: string[] = []
  for (const [id, ends] of allowed) {
    const found = read(() => store.operations.find(id))
    if (found instanceof Error) continue
    const [operation] = found as Operation[]
    const status = operation ? operation.status : null
    // A word that no status has is seen to be none.
    if (status !== null && !STATUSES.includes(status)) continue
    if (!ends.includes(status)) lies.push(`${id} is ${status ?? 'gone'}, and ${ends.join(' or ')} is true`)
  }
  return lies
}

/** Everything that a client may ask for; returns what went wrong otherwise than with a word. */
function readAll(store: Store, manager: Manager): string[] {
  const looks = [
    () => store.operations.history(null, 5000),
    () => store.operations.newestOf('alice'),
    () => store.operations.eventsAfter(0, 5000),
    () =>
      store.connections.list().map((connection) => {
        store.operations.usual(connection, 'service_restart', connection.service)
        return manager.loginHold(connection)
      }),
  ]
  const failures = looks.map(read).filter((found) => found instanceof Error && !(found instanceof VosError))
  const running = manager.board().filter(({ phase }) => phase !== 'settled')
  return [...failures.map(describe), ...running.map(({ id, phase }) => `${id} is still ${phase}`)]
}

/** Damage that is found where it is, and said, is no lie. */
function read(look: () => unknown): unknown {
  try {
    return look()
  } catch (error) {
    return error
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 4).join(' ') : String(error)
}

function isSame(a: Files, b: Files): boolean {
  return a.db.equals(b.db) && (a.wal === null ? b.wal === null : b.wal !== null && a.wal.equals(b.wal))
}

function inDb(files: Files, change: (db: Buffer) => Buffer): Files {
  return { ...files, db: change(Buffer.from(files.db)) }
}

function inWal(files: Files, change: (wal: Buffer) => Buffer): Files {
  return { ...files, wal: change(Buffer.from(files.wal ?? '')) }
}

/** One character of an operation or of an event is another one, and for SQLite all is well. */
function inRow(bytes: Buffer, random: Random): Buffer {
  // In memory there is no journal beside a database: for as long as it is there it must not want one.
  const db = new Database(withJournal(bytes, 1))
  try {
    const [table, key, column] = random.pick([
      ['active_operations', 'rowid', 'metadata'],
      ['operation_events', 'cursor', 'event'],
    ] as const)
    const owner = table === 'active_operations' ? 'id' : 'operation_id'
    const rows = db
      .prepare<[], { key: number; text: string }>(
        `SELECT ${key} AS key, ${column} AS text FROM ${table} WHERE ${owner} IN (SELECT id FROM active_operations)`,
      )
      .all()
    const { key: row, text } = random.pick(rows)
    const at = random.below(text.length)
    const changed = text.slice(0, at) + random.pick([...'0123456789aeinorst"{}:,']) + text.slice(at + 1)
    db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`).run(changed, row)
    return withJournal(db.serialize(), 2)
  } finally {
    db.close()
  }
}

function withJournal(bytes: Buffer, format: 1 | 2): Buffer {
  return Buffer.from(bytes).fill(format, 18, 20)
}

function flip(bytes: Buffer, random: Random, within = bytes.length): Buffer {
  for (let bits = 1 + random.below(4) * random.below(2); bits > 0; bits--) {
    const at = random.below(Math.min(within, bytes.length))
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
  }
  return bytes
}

function scribble(bytes: Buffer, random: Random): Buffer {
  const from = random.below(bytes.length)
  for (let at = from; at < Math.min(bytes.length, from + 1 + random.below(64)); at++) bytes[at] = random.below(256)
  return bytes
}

function zero(bytes: Buffer, random: Random): Buffer {
  const from = random.below(Math.ceil(bytes.length / SECTOR)) * SECTOR
  return bytes.fill(0, from, from + SECTOR)
}

function cut(bytes: Buffer, random: Random): Buffer {
  const end = random.below(bytes.length)
  return bytes.subarray(0, random.below(2) === 0 ? end : end - (end % 4096))
}

function lengthen(bytes: Buffer, random: Random): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(1 + random.below(10_000), random.below(256))])
}

/** A database that is nothing of ours, even when its header says so. */
function foreign(random: Random, applicationId = random.below(2 ** 31)): Buffer {
  const db = new Database(':memory:')
  try {
    db.pragma(`application_id = ${applicationId}`)
    db.pragma(`user_version = ${random.below(3)}`)
    db.exec('CREATE TABLE y (z)')
    db.exec(random.below(2) === 0 ? 'CREATE TABLE active_operations (x)' : 'DROP TABLE y')
    return db.serialize()
  } finally {
    db.close()
  }
}

export default run
