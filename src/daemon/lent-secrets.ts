import { loginKey, type Connection } from '../core/connection.ts'
import { VosError } from '../core/errors.ts'
import { conceal } from '../core/masks.ts'

/** How long a secret waits for the request that it was typed for. */
const UNCLAIMED_MS = 60_000
const MAX_UNCLAIMED = 1000

interface Lent {
  readonly secret: string
  /** Until then no text shows it. */
  readonly reveal: () => void
}

/**
 * Passwords that a person typed for one operation. They live here until it ends, and nowhere else. A connection that has
 * another login now was lent none.
 */
export class LentSecrets {
  readonly #unclaimed = new Map<string, Lent & { readonly timer: NodeJS.Timeout }>()
  /** By the operation, and then by the login: a jump host on the way may want one too. */
  readonly #claimed = new Map<string, Map<string, Lent>>()

  /** @throws VosError `too_many_operations` */
  lend(requestId: string, connection: Connection, secret: string): void {
    const key = keyOf(requestId, connection)
    this.#forget(key)
    if (this.#unclaimed.size >= MAX_UNCLAIMED) {
      throw new VosError('too_many_operations', `No more than ${MAX_UNCLAIMED} passwords can wait for their work.`)
    }
    const timer = setTimeout(() => this.#forget(key), UNCLAIMED_MS).unref()
    this.#unclaimed.set(key, { secret, timer, reveal: conceal(secret) })
  }

  isLent(requestId: string, connection: Connection): boolean {
    return this.#unclaimed.has(keyOf(requestId, connection))
  }

  /** From now on this operation has what was typed for these connections. */
  claim(requestId: string, connections: readonly Connection[], operationId: string): void {
    const typed = connections.flatMap((connection) => {
      const lent = this.#unclaimed.get(keyOf(requestId, connection))
      return lent ? [[placeOf(connection), { secret: lent.secret, reveal: conceal(lent.secret) }] as const] : []
    })
    if (typed.length > 0) this.#claimed.set(operationId, new Map(typed))
  }

  /** All that the request asked for has its secrets. */
  forget(requestId: string): void {
    for (const key of this.#unclaimed.keys()) if (key.startsWith(`${requestId} `)) this.#forget(key)
  }

  /** What was typed for the login of this operation at this connection. */
  find(operationId: string, connection: Connection): string | undefined {
    return this.#claimed.get(operationId)?.get(placeOf(connection))?.secret
  }

  /** The operation has ended. */
  end(operationId: string): void {
    for (const { reveal } of this.#claimed.get(operationId)?.values() ?? []) reveal()
    this.#claimed.delete(operationId)
  }

  #forget(key: string): void {
    const lent = this.#unclaimed.get(key)
    clearTimeout(lent?.timer)
    lent?.reveal()
    this.#unclaimed.delete(key)
  }
}

function placeOf(connection: Connection): string {
  return `${connection.id} ${loginKey(connection)}`
}

function keyOf(requestId: string, connection: Connection): string {
  return `${requestId} ${placeOf(connection)}`
}
