import { constants } from 'node:os'

export type LeaveSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'
export const LEAVE_SIGNALS: readonly LeaveSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** A signal ended this client. Nothing was done to any operation. */
export class LeftError extends Error {
  readonly signal: LeaveSignal

  constructor(signal: LeaveSignal) {
    super(`left by ${signal}`)
    this.signal = signal
  }
}

/** 128 + the signal's number, as shells report it. */
export function statusOfSignal(signal: LeaveSignal): 129 | 130 | 143 {
  return (128 + constants.signals[signal]) as 129 | 130 | 143
}

/**
 * What a signal means. While something is followed the first one asks to leave, so that a last line can say what goes on;
 * the next one, and any at another time, ends the client at once.
 */
export class Leaving {
  readonly #exit: (status: number) => void
  #handler: ((signal: LeaveSignal) => void) | null = null

  constructor(exit: (status: number) => void) {
    this.#exit = exit
  }

  receive(signal: LeaveSignal): void {
    if (this.#handler) this.#handler(signal)
    else this.#exit(statusOfSignal(signal))
  }

  /** From now on a signal aborts the result, until it is disposed. */
  begin(): { readonly signal: AbortSignal } & Disposable {
    const controller = new AbortController()
    const end = this.handOver((signal) => {
      end[Symbol.dispose]()
      controller.abort(new LeftError(signal))
    })
    return { signal: controller.signal, ...end }
  }

  /** From now on somebody else decides what every signal means, until the result is disposed. */
  handOver(handler: (signal: LeaveSignal) => void): Disposable {
    this.#handler = handler
    return {
      [Symbol.dispose]: () => {
        if (this.#handler === handler) this.#handler = null
      },
    }
  }
}
