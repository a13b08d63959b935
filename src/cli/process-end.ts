import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until the process of this user is gone: only then are its database and its socket free.
 * @throws the signal's reason
 */
export async function waitForEnd(pid: number, signal: AbortSignal): Promise<void> {
  while (isAlive(pid)) {
    signal.throwIfAborted()
    await sleep(20)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  return !isZombie(pid)
}

/** It has ended and holds nothing any more, but in a container nobody may ever ask for its status. */
function isZombie(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}
