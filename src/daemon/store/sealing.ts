import type { Compiler } from './database.ts'

/** What tells the key of the sealed secrets from any other, and what makes it of a passphrase. One row at most. */
export class SealingTable {
  readonly #db: Compiler

  constructor(db: Compiler) {
    this.#db = db
  }

  read(): { readonly proof: Buffer; readonly kdf: string | null } | null {
    const row = this.#db
      .prepare<[], { proof: Uint8Array; kdf: string | null }>('SELECT proof, kdf FROM sealing WHERE id = 1')
      .get()
    return row ? { proof: Buffer.from(row.proof), kdf: row.kdf } : null
  }

  write(proof: Buffer, kdf: string | null): void {
    this.#db.prepare('INSERT OR REPLACE INTO sealing VALUES (1, ?, ?)').run(proof, kdf)
  }
}
