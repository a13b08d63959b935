/** Bytes that arrived and nobody has read yet: whatever is typed ahead waits here. */
export class Input {
  #bytes: number[] = []
  #wake = (): void => {}

  push(bytes: Iterable<number>): void {
    this.#bytes.push(...bytes)
    this.#wake()
  }

  /** The next byte, if there is one. */
  take(): number | undefined {
    return this.#bytes.shift()
  }

  /** Resolves when there is something to take. */
  async ready(): Promise<void> {
    while (this.#bytes.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  clear(): void {
    this.#bytes = []
  }
}
