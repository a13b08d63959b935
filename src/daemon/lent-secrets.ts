import { VosError } from '../core/errors.ts'

/** How long a secret waits for the request that it was typed for. */
const UNCLAIMED_MS = 60_000
const MAX_UNCLAIMED = 1000

/** Passwords that a person typed for one operation. They live here until it ends, and nowhere else. */
export class LentSecrets {
  readonly #unclaimed = new Map<string, { readonly secret: string; readonly timer: NodeJS.Timeout }>()
  readonly #claimed = new Map<string, { readonly connectionId: number; readonly secret: string }>()

  /** @throws VosError `too_many_operations` */
  lend(requestId: string, connectionId: number, secret: string): void {
    const key = keyOf(requestId, connectionId)
    this.#forget(key)
    if (this.#unclaimed.size >= MAX_UNCLAIMED) {
      throw new VosError('too_many_operations', `No more than ${MAX_UNCLAIMED} passwords can wait for their work.`)
    }
    this.#unclaimed.set(key, { secret, timer: setTimeout(() => this.#forget(key), UNCLAIMED_MS).unref() })
  }

  isLent(requestId: string, connectionId: number): boolean {
    return this.#unclaimed.has(keyOf(requestId, connectionId))
  }

  /** From now on it belongs to this operation. */
  claim(requestId: string, connectionId: number, operationId: string): void {
    const lent = this.#unclaimed.get(keyOf(requestId, connectionId))
    if (!lent) return
    this.#forget(keyOf(requestId, connectionId))
    this.#claimed.set(operationId, { connectionId, secret: lent.secret })
  }

  /** What was typed for the login of this operation at this connection. */
  find(operationId: string, connectionId: number): string | undefined {
    const claimed = this.#claimed.get(operationId)
    return claimed?.connectionId === connectionId ? claimed.secret : undefined
  }

  /** The operation has ended. */
  end(operationId: string): void {
    this.#claimed.delete(operationId)
  }

  #forget(key: string): void {
    clearTimeout(this.#unclaimed.get(key)?.timer)
    this.#unclaimed.delete(key)
  }
}

function keyOf(requestId: string, connectionId: number): string {
  return `${requestId} ${connectionId}`
}
