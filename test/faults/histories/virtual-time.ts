interface Timer {
  readonly at: number
  readonly work: () => void
}

/**
 * The timers and the monotonic clock of this process, moved by hand: nothing in a history waits for real time, and what
 * runs out first is decided by the history alone.
 */
export class VirtualTime implements Disposable {
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout }
  readonly #timers = new Set<Timer>()
  #now = 0

  constructor() {
    globalThis.setTimeout = ((work: () => void, ms = 0) => {
      // As Node does it: no timer goes off in the instant in which it was set.
      const timer = { at: this.#now + Math.max(1, ms), work, unref: () => timer, ref: () => timer }
      this.#timers.add(timer)
      return timer
    }) as unknown as typeof setTimeout
    globalThis.clearTimeout = ((timer?: Timer) => void (timer && this.#timers.delete(timer))) as typeof clearTimeout
    performance.now = () => this.#now
  }

  /** Milliseconds. */
  get now(): number {
    return this.#now
  }

  /** Timers that still run. */
  get pending(): number {
    return this.#timers.size
  }

  /** The timers of a process end with it. */
  forget(): void {
    this.#timers.clear()
  }

  /** Lets `ms` pass; after each timer that goes off, everything that follows from it happens before the next one. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      const next = [...this.#timers].reduce<Timer | null>(
        (first, one) => (first && first.at <= one.at ? first : one),
        null,
      )
      if (!next || next.at > until) break
      this.#now = Math.max(this.#now, next.at)
      this.#timers.delete(next)
      next.work()
      await quiet()
    }
    this.#now = until
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = this.#real.setTimeout
    globalThis.clearTimeout = this.#real.clearTimeout
    // Its own one is the prototype's.
    Reflect.deleteProperty(performance, 'now')
  }
}

/** Until everything that can happen without the network, a timer or a person has happened. */
export function quiet(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setImmediate(resolve)
  return promise
}
