import { randomUUID } from 'node:crypto'
import type { Client } from '../../src/cli/client.ts'
import { isSettled, type Operation } from '../../src/core/operation.ts'
import { comesTrue } from '../helpers/wait.ts'
import type { Arena, Daemon } from './arena.ts'

/** Longer than a restart takes on the busiest machine. */
export const END_MS = 60_000

/** Asks for a restart, and takes down that it was accepted. */
export async function askForRestart(arena: Arena, client: Client, connectionId = 1): Promise<string> {
  const { operations } = await client.request('operation:start', {
    requestId: randomUUID(),
    operationType: 'service_restart',
    connectionIds: [connectionId],
    createdBy: 'rig',
  })
  const id = operations[0]?.id ?? ''
  arena.acknowledged.add(id)
  return id
}

/** Asks for a restart on the arena's first connection. */
export async function startRestart(arena: Arena): Promise<string> {
  const client = await arena.connect()
  try {
    return await askForRestart(arena, client)
  } finally {
    client.close()
  }
}

/** The operation at its end, or undefined when it takes too long. */
export function settled(client: Client, id: string): Promise<Operation | undefined> {
  const look = async () => {
    const operation = await client.request('operation:get', { id })
    return isSettled(operation) && operation
  }
  // A client may ask twenty times a second.
  return comesTrue(look, END_MS, 60)
}

/** @throws when it does not come to an end */
export async function followRestart(arena: Arena, id: string): Promise<Operation> {
  const client = await arena.connect()
  try {
    const operation = await settled(client, id)
    if (!operation) throw new Error(`5: ${id} has not ended after ${END_MS} ms`)
    return operation
  } finally {
    client.close()
  }
}

/** Stops the daemon in peace; what it says if it does not end so. */
export async function stopInPeace(arena: Arena, daemon: Daemon): Promise<string[]> {
  const { status, signal } = await arena.stop(daemon)
  return status === 0 ? [] : [`the daemon ended with ${status ?? signal}: ${daemon.words()}`]
}
