import type { Device, SessionFacts } from '../device.ts'
import type { Operation, OperationEvent } from '../operation.ts'

/**
 * A recipe yields events and is resumed with the operation only after the event is on disk. So whatever a recipe does
 * after a `yield` happens after the write: write-ahead is how the loop is built, not a rule to remember.
 */
export type Steps = AsyncGenerator<OperationEvent, Operation, Operation>

export type Recipe = (device: Device, operation: Operation) => Steps

/**
 * Host key first, then the attempt on disk, then the attempt, and its answer on disk before anything else: at each jump
 * host, then at the device.
 */
export async function* logIn(device: Device, patient = false): Steps {
  for (;;) {
    const { firstSight, ...attempt } = await device.connect({ patient })
    if (firstSight) yield { type: 'pinned', hostKey: firstSight }
    yield { type: 'authenticating', ...attempt }
    await device.authenticate()
    const { hop } = attempt
    yield { type: 'authenticated', ...(hop && { hop }) }
    if (!hop) break
  }
  const facts = await device.open()
  return yield { type: 'ready', facts }
}

/** `login ok 1.2s via bastion` */
export function loginWords(facts: SessionFacts | null): string {
  return [
    `login ok ${((facts?.loginMs ?? 0) / 1000).toFixed(1)}s`,
    ...(facts?.via ?? []).map((name) => `via ${name}`),
  ].join(' ')
}
