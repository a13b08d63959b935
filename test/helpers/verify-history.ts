import { setImmediate } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type { HistoryVerification, JournalHead } from '../../src/core/protocol.ts'
import type { SqliteDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'

export function verify(db: SqliteDatabase, heads: readonly JournalHead[] = []): Promise<HistoryVerification> {
  const fail = (error: Error): never => {
    throw error
  }
  return new Store(db, fail).verify(heads, () => setImmediate())
}

/** The file as it lies on the disk, without the doubts of a starting daemon. */
export async function verifyFile(file: string, heads: readonly JournalHead[] = []): Promise<HistoryVerification> {
  const db = new Database(file, { fileMustExist: true })
  try {
    return await verify(db, heads)
  } finally {
    db.close()
  }
}
