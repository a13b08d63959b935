import type { OperationEvent } from '../../../src/core/operation.ts'

/** A line of output that carries when it was recorded, by the clock that all processes of a machine share. */
export function stampedLine(words: string): OperationEvent {
  return { type: 'line', text: `${process.hrtime.bigint()} ${words}` }
}

/** How long ago a stamped line was recorded, in milliseconds; null for other events. */
export function ageOf(event: OperationEvent): number | null {
  const stamp = event.type === 'line' ? /^\d+/.exec(event.text) : null
  return stamp ? Number(process.hrtime.bigint() - BigInt(stamp[0])) / 1e6 : null
}
