import { once } from 'node:events'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

type Look<T> = () => T | null | undefined | false | Promise<T | null | undefined | false>

/**
 * Waits for a condition, looking every few milliseconds; resolves to the first value that is neither null, undefined nor
 * false. Fails with the condition's name when it does not come true.
 */
export async function until<T>(what: string, look: Look<T>, limitMs = 5_000): Promise<T> {
  const found = await comesTrue(look, limitMs)
  if (found === undefined) throw new Error(`This did not come true in ${limitMs} ms: ${what}`)
  return found
}

/** As {@link until}, for those who say themselves what is wrong when it does not come true: undefined then. */
export async function comesTrue<T>(look: Look<T>, limitMs: number, everyMs = 5): Promise<T | undefined> {
  const giveUpAt = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== null && found !== undefined && found !== false) return found
    if (performance.now() > giveUpAt) return undefined
    await sleep(everyMs)
  }
}

/** What `work` resolves to, or undefined when it takes longer. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController()
  try {
    return await Promise.race([work, sleep(ms, undefined, over)])
  } finally {
    over.abort()
  }
}

/** Whether somebody listens there: the name of a socket comes a moment before that. */
export async function accepts(socketPath: string): Promise<boolean> {
  const socket = createConnection(socketPath)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
