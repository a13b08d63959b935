import { VosError } from '../../core/errors.ts'
import type { HistoryVerification, JournalHead } from '../../core/protocol.ts'
import { failpoint } from '../failpoint.ts'
import { ConnectionTable } from './connections.ts'
import { isBusy, type Compiler, type SqliteDatabase } from './database.ts'
import { OperationTable } from './operations.ts'
import { SealingTable } from './sealing.ts'
import { TokenTable } from './tokens.ts'
import { verifyHistory } from './verify-history.ts'

/**
 * The daemon's memory. A failed commit is fatal: SQLite reports a failed fsync once and lets later commits succeed, so
 * after the first error nothing that it says can be trusted until the file is opened anew.
 */
export class Store {
  readonly connections: ConnectionTable
  readonly operations: OperationTable
  readonly tokens: TokenTable
  readonly sealing: SealingTable
  readonly #db: SqliteDatabase
  readonly #onFatal: (error: Error) => void
  #broken: Error | null = null

  constructor(db: SqliteDatabase, onFatal: (error: Error) => void) {
    this.#db = db
    this.#onFatal = onFatal
    const compiler = compileOnce(db)
    this.connections = new ConnectionTable(compiler)
    this.operations = new OperationTable(compiler)
    this.tokens = new TokenTable(compiler)
    this.sealing = new SealingTable(compiler)
  }

  /** Runs `work` in one transaction: all of it is on disk when this returns, or none of it. */
  write<T>(work: () => T): T {
    if (this.#broken) throw this.#broken
    let inside = true
    try {
      failpoint('write.begin')
      const result = this.#db
        .transaction(() => {
          const result = work()
          inside = false
          failpoint('write.commit')
          return result
        })
        .immediate()
      failpoint('write.done')
      return result
    } catch (error) {
      if (error instanceof VosError) throw error
      const code = (error as { code?: unknown }).code
      // A constraint, or a mistake of ours inside the transaction, was rolled back and says nothing about the disk.
      if (inside && (typeof code !== 'string' || !code.startsWith('SQLITE_') || code.startsWith('SQLITE_CONSTRAINT')))
        throw error
      if (!isBusy(error)) this.#fail(error as Error)
      throw error
    }
  }

  /** Takes what was overwritten or removed out of the write-ahead log too. */
  shred(): void {
    try {
      this.#db.pragma('wal_checkpoint(TRUNCATE)')
    } catch (error) {
      this.#fail(error as Error)
      throw error
    }
  }

  /** Is the journal whole, and does the history say what it says? See {@link verifyHistory}. */
  verify(heads: readonly JournalHead[], pause: () => Promise<void>): Promise<HistoryVerification> {
    return verifyHistory(this.#db, this.operations.chain, heads, pause)
  }

  /** It can be read, and no commit has failed. */
  get isSound(): boolean {
    try {
      this.operations.cursor()
      return this.#broken === null
    } catch {
      return false
    }
  }

  close(): void {
    this.#db.close()
  }

  #fail(error: Error): void {
    if (this.#broken) return
    this.#broken = new VosError('database', `The database cannot be written: ${error.message}.`, {
      hint: 'Free or repair the disk, then start the daemon again; it looks at what was running.',
      cause: error,
    })
    this.#onFatal(error)
  }
}

/** To compile a statement takes longer than to run most of them, and there are few: an import would compile thousands. */
function compileOnce(db: SqliteDatabase): Compiler {
  const compiled = new Map<string, unknown>()
  const prepare = (sql: string) => {
    const statement = compiled.get(sql) ?? db.prepare(sql)
    compiled.set(sql, statement)
    return statement
  }
  return { prepare: prepare as Compiler['prepare'] }
}
