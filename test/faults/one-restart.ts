import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { isSettled, type Operation } from '../../src/core/operation.ts'
import type { Arena, Daemon } from './arena.ts'

/** Longer than a restart takes on the busiest machine. */
export const END_MS = 60_000

/** Asks for a restart on the arena's first connection. */
export async function startRestart(arena: Arena): Promise<string> {
  const client = await arena.connect()
  try {
    const { operations } = await client.request('operation:start', {
      requestId: randomUUID(),
      operationType: 'service_restart',
      connectionIds: [1],
      createdBy: 'rig',
    })
    const id = operations[0]?.id ?? ''
    arena.acknowledged.add(id)
    return id
  } finally {
    client.close()
  }
}

/** @throws when it does not come to an end */
export async function followRestart(arena: Arena, id: string): Promise<Operation> {
  const client = await arena.connect()
  try {
    for (const giveUpAt = performance.now() + END_MS; ; await sleep(60)) {
      const operation = await client.request('operation:get', { id })
      if (isSettled(operation)) return operation
      if (performance.now() > giveUpAt) throw new Error(`5: ${id} is still ${operation.phase} after ${END_MS} ms`)
    }
  } finally {
    client.close()
  }
}

/** Stops the daemon in peace; what it says if it does not end so. */
export async function stopInPeace(arena: Arena, daemon: Daemon): Promise<string[]> {
  const { status, signal } = await arena.stop(daemon)
  return status === 0 ? [] : [`the daemon ended with ${status ?? signal}: ${daemon.words()}`]
}
