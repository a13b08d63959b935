import { createHash, timingSafeEqual } from 'node:crypto'
import { VosError } from '../../core/errors.ts'
import type { RequestOf, TokenView } from '../../core/protocol.ts'
import type { Compiler } from './database.ts'

/** Each one is compared with whatever comes. */
const MAX_TOKENS = 64
/** How old the record of the last use may be before it is written anew: a write is a sync of the disk. */
const USE_KNOWN_MS = 10 * 60_000

interface Row {
  id: number
  name: string
  access: TokenView['access']
  digest: Buffer
  created_at: number
  created_by: string
  last_used_at: number | null
}

/** A token that is known. The number tells it from another one that had its name before, or has it later. */
export interface Token extends TokenView {
  readonly id: number
}

/** The tokens of the network door, by their digests: what is stored opens nothing. */
export class TokenTable {
  readonly #db: Compiler

  constructor(db: Compiler) {
    this.#db = db
  }

  list(): Token[] {
    return this.#rows().map(fromRow)
  }

  get count(): number {
    return this.#db.prepare<[], { n: number }>('SELECT count(*) AS n FROM tokens').get()?.n ?? 0
  }

  /** @throws VosError `bad_request` when there is one of this name, or no place for one more */
  add({ name, access, digest, createdBy }: RequestOf<'token:create'>, at: number): Token {
    const known = this.list()
    if (known.some((token) => token.name.toLowerCase() === name.toLowerCase())) {
      throw new VosError('bad_request', `There is a token ${name} already. Nothing was changed.`, {
        hint: `Choose another name, or first: vosctl daemon token revoke ${name}`,
      })
    }
    if (known.length >= MAX_TOKENS) {
      throw new VosError('bad_request', `There are ${MAX_TOKENS} tokens, and no place for one more.`, {
        hint: 'Revoke one that is not used: vosctl daemon token list',
      })
    }
    this.#db
      .prepare('INSERT INTO tokens (name, access, digest, created_at, created_by) VALUES (?, ?, ?, ?, ?)')
      .run(name, access, Buffer.from(digest, 'base64url'), at, createdBy)
    return this.#named(name)
  }

  /** @throws VosError `bad_request` when there is none of this name */
  revoke(name: string): Token {
    const token = this.#named(name)
    this.#db.prepare('DELETE FROM tokens WHERE id = ?').run(token.id)
    return token
  }

  /** Which token this is. All are compared, each in the same time, whichever it is. */
  find(token: string): Token | null {
    const digest = createHash('sha256').update(token).digest()
    let found: Row | null = null
    for (const row of this.#rows()) if (timingSafeEqual(row.digest, digest)) found = row
    return found && fromRow(found)
  }

  /** Does the record of its last use want writing? */
  isUseNews({ lastUsedAt }: Token, at: number): boolean {
    return lastUsedAt === null || Math.abs(at - lastUsedAt) >= USE_KNOWN_MS
  }

  used({ id }: Token, at: number): void {
    this.#db.prepare('UPDATE tokens SET last_used_at = ? WHERE id = ?').run(at, id)
  }

  #named(name: string): Token {
    const token = this.list().find((one) => one.name.toLowerCase() === name.toLowerCase())
    if (token) return token
    throw new VosError('bad_request', `There is no token ${name}.`, { hint: 'See: vosctl daemon token list' })
  }

  #rows(): Row[] {
    return this.#db.prepare<[], Row>('SELECT * FROM tokens ORDER BY name').all()
  }
}

function fromRow({ id, name, access, created_at, created_by, last_used_at }: Row): Token {
  return { id, name, access, createdAt: created_at, createdBy: created_by, lastUsedAt: last_used_at }
}
