import { setTimeout as delay } from 'node:timers/promises'
import { isTransportFailure } from '../../core/errors.ts'

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
      if (!isTransportFailure(error) || performance.now() + delayMs >= until) throw error
    }
    try {
      await delay(delayMs, undefined, { signal })
    } catch {
      throw signal.reason
    }
    delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS, forMs / 20)
  }
}
