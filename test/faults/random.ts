/** Numbers from a seed, the same on every machine (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to, but not including, `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end)
  }

  pick<T>(from: readonly T[]): T {
    const found = from[this.below(from.length)]
    if (found === undefined) throw new Error('nothing to pick from')
    return found
  }

  /** `count` of them, in a new order; all when there are not more. */
  sample<T>(from: readonly T[], count: number): T[] {
    const left = [...from]
    for (let place = left.length - 1; place > 0; place--) {
      const other = this.below(place + 1)
      ;[left[place], left[other]] = [left[other] as T, left[place] as T]
    }
    return left.slice(0, count)
  }
}
