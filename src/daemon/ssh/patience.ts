import { setTimeout as sleep } from 'node:timers/promises'
import { VosError, type ErrorCode } from '../../core/errors.ts'

/** The network's failures: nothing was asked of the device's login, so another try costs nothing. */
const TRANSPORT: readonly ErrorCode[] = [
  'unreachable',
  'connect_timeout',
  'ident_timeout',
  'key_exchange_timeout',
  'connection_lost',
]

const FIRST_PAUSE_MS = 1_000

export interface Patience {
  /** No new try begins later than this after the first one. */
  readonly limitMs: number
  /** Pauses double from one second up to this. */
  readonly maxPauseMs: number
  readonly signal: AbortSignal
}

/**
 * Tries to connect until it works, for a device that is coming back. `connect` must make no authentication attempt: host
 * key and login failures are final and come out at once.
 * @throws the last failure, or the signal's reason
 */
export async function patiently<T>(connect: () => Promise<T>, { limitMs, maxPauseMs, signal }: Patience): Promise<T> {
  const giveUpAt = performance.now() + limitMs
  for (let pauseMs = Math.min(FIRST_PAUSE_MS, maxPauseMs); ; pauseMs = Math.min(pauseMs * 2, maxPauseMs)) {
    try {
      return await connect()
    } catch (error) {
      const mayPass = error instanceof VosError && TRANSPORT.includes(error.code)
      if (!mayPass || performance.now() + pauseMs > giveUpAt) throw error
    }
    await pause(pauseMs, signal)
  }
}

/** Sleeps; rejects with the signal's own reason, where Node would reject with its AbortError. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch {
    signal.throwIfAborted()
  }
}
