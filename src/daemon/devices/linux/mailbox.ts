/** Where several sources put what they have seen, and one reader takes it out in that order. */
export class Mailbox<T> {
  readonly #items: T[] = []
  #wake: (() => void) | null = null

  get size(): number {
    return this.#items.length
  }

  put(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  /** The oldest item; undefined when none came within `ms`. For one reader at a time. */
  async take(ms: number): Promise<T | undefined> {
    if (this.#items.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = null
    }
    return this.#items.shift()
  }
}
