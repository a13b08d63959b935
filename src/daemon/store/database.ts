import fs from 'node:fs'
import path from 'node:path'
import Database from 'better-sqlite3'
import { VosError } from '../../core/errors.ts'
import { syncToDisk } from '../directory.ts'
import { failpoint } from '../failpoint.ts'
import { disagreement, KEEP_AND_RESTORE } from './damage.ts'
import { MIGRATIONS } from './migrations.ts'
import { damageOf } from './wal.ts'

/** "VOSC" in the file's header: tells our database from any other SQLite file. */
const APPLICATION_ID = 0x564f5343
/** The schema of the first daemon that overwrites what it frees in the file. */
const SECURE_DELETE_SINCE = 4

export type SqliteDatabase = Database.Database
/** All that a table needs of it. */
export type Compiler = Pick<SqliteDatabase, 'prepare'>

/**
 * Opens the database and takes its lock, which is the lock of the whole daemon; there is no other.
 * @throws VosError `database_locked` when another daemon holds it, `database` when the file is not what it must be.
 */
export function openDatabase(file: string): SqliteDatabase {
  let db: SqliteDatabase | undefined
  try {
    if (!exists(file)) createDatabase(file)
    checkFile(file)
    db = connect(file)
    lock(db, file)
    failpoint('database.locked')
    // Nothing is written before these: a house that is refused stays as it is.
    checkVersion(db, file)
    check(db, file)
    const told = disagreement(db)
    if (told !== undefined) throw damaged(file, `its events and its board tell different stories of ${told}`)
    assertSafeWrites(db, file)
    failpoint('database.checked')
    migrate(db, MIGRATIONS.length, file)
    failpoint('database.migrated')
    return db
  } catch (error) {
    db?.close()
    throw wrap(error, `${file} cannot be used`)
  }
}

/** How many connections another store holds; null when it cannot be read: its daemon runs, or it is damaged. */
export function countConnections(file: string): number | null {
  let db: SqliteDatabase | undefined
  try {
    checkFile(file)
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 0 })
    return Number(db.prepare('SELECT count(*) FROM connections').pluck().get())
  } catch {
    return null
  } finally {
    db?.close()
  }
}

/**
 * Runs migrations up or down to `version`, each in a transaction of its own, after a backup beside the file.
 * Runs up only when a daemon starts; down is for going back to an older vosctl by hand.
 */
export function migrate(db: SqliteDatabase, version: number, file: string | null): void {
  const found = versionOf(db)
  if (found === version) return
  const backup = found > 0 && file !== null ? `${file}.before-v${version}-${Date.now()}` : null
  try {
    if (backup !== null) {
      db.prepare('VACUUM INTO ?').run(backup)
      fs.chmodSync(backup, 0o600)
      failpoint('migrate.backup')
      // Before that version what was freed stayed where it was.
      if (found < SECURE_DELETE_SINCE) db.exec('VACUUM')
    }
    for (let current = found; current !== version; current += found < version ? 1 : -1)
      step(db, current, found < version)
  } catch (error) {
    // It did not come through, and each further start would leave another one.
    if (backup !== null) fs.rmSync(backup, { force: true })
    throw error
  }
}

function step(db: SqliteDatabase, from: number, up: boolean): void {
  const migration = MIGRATIONS[up ? from : from - 1]
  if (!migration) throw new Error(`no migration from version ${from}`)
  db.transaction(() => {
    db.exec(up ? migration.up : migration.down)
    if (up) migration.fill?.(db)
    db.pragma(`user_version = ${up ? from + 1 : from - 1}`)
    failpoint('migrate.commit')
  })()
  failpoint('migrate.done')
}

/** Built beside its place and linked into it whole, so that no daemon ever finds half a database. */
function createDatabase(file: string): void {
  // In this order: a journal is made after its database, by another daemon just now perhaps.
  if (exists(`${file}-wal`) && !exists(file)) {
    throw new VosError('database', `${file} is missing, but its journal ${file}-wal is there.`, {
      hint: 'Something removed the database. Put it back from a backup, or move the journal away to begin anew.',
    })
  }
  const temporary = `${file}.new-${process.pid}`
  fs.rmSync(temporary, { force: true })
  fs.closeSync(fs.openSync(temporary, 'wx', 0o600))
  failpoint('create.begun')
  try {
    const db = new Database(temporary)
    db.pragma(`application_id = ${APPLICATION_ID}`)
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    migrate(db, MIGRATIONS.length, null)
    // Closing does the same, and keeps it to itself when the disk is full: half a database would get the name.
    db.pragma('wal_checkpoint(TRUNCATE)')
    db.close()
    failpoint('create.built')
    fs.linkSync(temporary, file)
    failpoint('create.linked')
  } catch (error) {
    // Another daemon was first: its database is as good as ours.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw wrap(error, `Cannot create ${file}`)
  } finally {
    for (const suffix of ['', '-journal', '-wal', '-shm']) fs.rmSync(temporary + suffix, { force: true })
  }
}

/** Looks at the file before SQLite does: closing a descriptor later would drop the lock (POSIX locks are per process). */
function checkFile(file: string): void {
  const stat = fs.lstatSync(file)
  const refuse = (what: string, hint: string): never => {
    throw new VosError('database', `${file} ${what}. Nothing was changed.`, { hint })
  }
  if (!stat.isFile()) refuse('is not a regular file', 'Move it away; vosctl never follows links here.')
  if (process.getuid && stat.uid !== process.getuid()) {
    refuse(`belongs to uid ${stat.uid}, and this is uid ${process.getuid()}`, 'Run vosctl as the owner.')
  }
  if ((stat.mode & 0o077) !== 0) refuse('can be read by other users', `Close it: chmod 600 ${file}`)
  const header = Buffer.alloc(100)
  const descriptor = fs.openSync(file, 'r')
  const length = fs.readSync(descriptor, header, 0, 100, 0)
  fs.closeSync(descriptor)
  const restore = `Put a backup in its place, and move ${file}-wal away if it is there; or move both away to begin anew.`
  if (stat.size === 0) refuse('is empty where a database was', restore)
  if (length < 100 || header.toString('latin1', 0, 16) !== 'SQLite format 3\0') refuse('is not a database', restore)
  if (header.readUInt32BE(68) !== APPLICATION_ID) refuse('is a database of another program', restore)
  const journal = damageOf(`${file}-wal`)
  if (journal !== undefined) {
    refuse(
      `has a damaged journal ${file}-wal: ${journal}`,
      `Move both files away, keep them, and put a backup in the place of ${file}.`,
    )
  }
}

function connect(file: string): SqliteDatabase {
  try {
    // A daemon that was killed inside a commit has left a journal that is not durable: nothing may be written behind it.
    syncJournal(`${file}-wal`)
    // The name comes before that of a journal, even if a daemon that was killed had just made it.
    syncToDisk(path.dirname(file))
    failpoint('database.synced')
    return new Database(file, { fileMustExist: true, timeout: 200 })
  } catch (error) {
    throw wrap(error, `Cannot open ${file}`)
  }
}

/** Where there is one: a daemon that ends takes its journal away, at any moment. */
function syncJournal(file: string): void {
  try {
    syncToDisk(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function lock(db: SqliteDatabase, file: string): void {
  try {
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma('journal_mode = WAL')
    // better-sqlite3's own default in WAL is NORMAL, which loses acknowledged operations in a power cut.
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    db.pragma('trusted_schema = OFF')
    db.pragma('cell_size_check = ON')
    // What was sealed under a key that has been rotated away stays in no page that is free.
    db.pragma('secure_delete = ON')
    // In exclusive locking mode the lock of the first transaction stays for good.
    db.transaction(() => undefined).exclusive()
  } catch (error) {
    if (isBusy(error)) throw new VosError('database_locked', `Another daemon holds ${file}.`, { cause: error })
    throw error
  }
}

/** Right after the switch the pragmas lie; after a first write they tell the truth, and there is a journal. */
function assertSafeWrites(db: SqliteDatabase, file: string): void {
  db.pragma(`user_version = ${versionOf(db)}`)
  // SQLite does this too, and goes on when it fails: a journal without a name on disk is lost in a power cut.
  syncToDisk(path.dirname(file))
  const [mode, synchronous] = [db.pragma('journal_mode', { simple: true }), db.pragma('synchronous', { simple: true })]
  if (mode !== 'wal' || synchronous !== 2) {
    throw new VosError(
      'database',
      `${file} cannot be written safely (journal ${String(mode)}, synchronous ${String(synchronous)}).`,
      {
        hint: 'Put the state directory on a local file system.',
      },
    )
  }
}

function checkVersion(db: SqliteDatabase, file: string): void {
  const version = versionOf(db)
  if (version < 1) throw damaged(file, 'it has no schema')
  if (version <= MIGRATIONS.length) return
  throw new VosError(
    'database',
    `${file} was written by a newer vosctl (schema ${version}, this one knows ${MIGRATIONS.length}).`,
    {
      hint: 'Update vosctl.',
    },
  )
}

/**
 * The structure, the indexes (which hold the claims, the holds and the requests) and the schema: a changed letter in the
 * condition of an index would switch the claim off without a word.
 */
function check(db: SqliteDatabase, file: string): void {
  const result = db.pragma('integrity_check(1)', { simple: true })
  if (result !== 'ok') throw damaged(file, String(result))
  const fresh = new Database(':memory:')
  try {
    for (const { up } of MIGRATIONS.slice(0, versionOf(db))) fresh.exec(up)
    if (schemaOf(db) !== schemaOf(fresh)) throw damaged(file, 'its schema is not the one of its version')
  } finally {
    fresh.close()
  }
}

function schemaOf(db: SqliteDatabase): string {
  return JSON.stringify(db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all())
}

function damaged(file: string, what: string): VosError {
  return new VosError('database', `${file} is damaged: ${what.replaceAll('\n', ' ')}.`, { hint: KEEP_AND_RESTORE })
}

function versionOf(db: SqliteDatabase): number {
  return Number(db.pragma('user_version', { simple: true }))
}

export function isBusy(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
}

function wrap(error: unknown, what: string): VosError {
  if (error instanceof VosError) return error
  return new VosError('database', `${what}: ${(error as Error).message}.`, {
    hint: 'Look at the disk and at the permissions of the state directory.',
    cause: error,
  })
}

function exists(file: string): boolean {
  return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined
}
