/**
 * The appliance's time: every wait is real life multiplied by the scale. After `stop` nobody is woken any more:
 * whatever was waiting is dropped with the appliance instead of running on in a half-closed one.
 */
export class Clock {
  readonly #scale: number
  readonly #pending = new Set<() => void>()
  #stopped = false

  constructor(scale: number) {
    if (!(scale > 0)) throw new RangeError(`The time scale must be above 0, not ${scale}.`)
    this.#scale = scale
  }

  /** Milliseconds of the appliance's life. */
  now(): number {
    return performance.now() / this.#scale
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve)
    })
  }

  /** Calls back once; returns what cancels it. */
  after(ms: number, act: () => void): () => void {
    if (this.#stopped) return () => {}
    const cancel = schedule(ms * this.#scale, () => {
      this.#pending.delete(cancel)
      act()
    })
    this.#pending.add(cancel)
    return () => {
      cancel()
      this.#pending.delete(cancel)
    }
  }

  stop(): void {
    this.#stopped = true
    for (const cancel of this.#pending) cancel()
    this.#pending.clear()
  }
}

/** A timer never takes less than 1 ms, which adds up when a whole list leaves byte by byte. */
function schedule(ms: number, act: () => void): () => void {
  if (ms < 1) {
    const immediate = setImmediate(act)
    return () => clearImmediate(immediate)
  }
  const timer = setTimeout(act, Math.min(ms, longestTimerMs))
  return () => clearTimeout(timer)
}

/** Node fires a longer timer at once. */
const longestTimerMs = 2 ** 31 - 1
