import { setTimeout as delay } from 'node:timers/promises'
import { VosError, type ErrorCode } from '../../core/errors.ts'

/** Failures of the way to the device. A wrong host key or a refused login does not get better by trying again. */
const TRANSPORT: readonly ErrorCode[] = [
  'unreachable',
  'connect_timeout',
  'ident_timeout',
  'key_exchange_timeout',
  'connection_lost',
]

const FIRST_DELAY_MS = 1_000
const LONGEST_DELAY_MS = 15_000

export interface PatienceOptions {
  /** No new attempt is begun after this long; 0: there is one attempt. */
  readonly forMs: number
  readonly signal: AbortSignal
}

/**
 * Connects to a device that may be rebooting: tries again after a failed transport, with growing delays. `connect` must
 * not send a credential: only what does not count as a login may be repeated.
 * @throws the last attempt's error, or the signal's reason
 */
export async function connectPatiently<T>(connect: () => Promise<T>, { forMs, signal }: PatienceOptions): Promise<T> {
  const until = performance.now() + forMs
  let delayMs = Math.min(FIRST_DELAY_MS, forMs / 60)
  for (;;) {
    try {
      return await connect()
    } catch (error) {
      if (!isTransport(error) || performance.now() + delayMs >= until) throw error
    }
    try {
      await delay(delayMs, undefined, { signal })
    } catch {
      throw signal.reason
    }
    delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS, forMs / 20)
  }
}

function isTransport(error: unknown): boolean {
  return error instanceof VosError && TRANSPORT.includes(error.code)
}
