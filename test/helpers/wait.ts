import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits for a condition, looking every few milliseconds; resolves to the first value that is neither null, undefined nor
 * false. Fails with the condition's name when it does not come true.
 */
export async function until<T>(
  what: string,
  look: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  limitMs = 5_000,
): Promise<T> {
  const giveUpAt = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== null && found !== undefined && found !== false) return found
    if (performance.now() > giveUpAt) throw new Error(`This did not come true in ${limitMs} ms: ${what}`)
    await sleep(5)
  }
}
