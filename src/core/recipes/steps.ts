import type { Device } from '../device.ts'
import type { Operation, OperationEvent } from '../operation.ts'

/**
 * A recipe yields events and is resumed with the operation only after the event is on disk. So whatever a recipe does
 * after a `yield` happens after the write: write-ahead is how the loop is built, not a rule to remember.
 */
export type Steps = AsyncGenerator<OperationEvent, Operation, Operation>

export type Recipe = (device: Device, operation: Operation) => Steps

/** Host key first, then the attempt on disk, then the attempt, and its answer on disk before anything else. */
export async function* logIn(device: Device, patient = false): Steps {
  const { firstSight, ...attempt } = await device.connect({ patient })
  if (firstSight) yield { type: 'pinned', hostKey: firstSight }
  yield { type: 'authenticating', ...attempt }
  await device.authenticate()
  yield { type: 'authenticated' }
  const facts = await device.open()
  return yield { type: 'ready', facts }
}
