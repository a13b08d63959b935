import type { ExitStatus } from '../../core/errors.ts'
import { isSettled, needsAcknowledgement, type Operation } from '../../core/operation.ts'
import { formatDuration } from '../../core/duration.ts'
import { isMachine, listConnections, printJson, type Context } from '../context.ts'
import { FIRST_STEPS } from '../first-steps.ts'
import { toListJson } from '../json-documents.ts'
import { resultColumns } from '../renderers/choose.ts'
import { clean, describe, remainingWords, standingAt, stateWord, tookMs } from '../renderers/words.ts'
import { table } from '../table.ts'
import { momentWords, ordinal } from '../times.ts'

/** Operations now, and those that ended in the last minutes. */
export async function ps(context: Context): Promise<ExitStatus> {
  const client = await context.connect()
  const { operations } = await client.request('subscribe', { room: 'operations' })
  const sorted = inOrder(operations)
  if (isMachine(context.flags)) {
    printJson(context, toListJson(sorted, context.now(), client.info.version))
  } else if (context.flags.output === 'name') {
    for (const { id } of sorted) context.print(id)
  } else if (sorted.length > 0) {
    for (const line of psLines(sorted, context.now(), resultColumns(context.io.stdout, context.io.env)))
      context.print(line)
  } else if ((await listConnections(client)).length === 0) {
    for (const line of FIRST_STEPS) context.print(line)
  } else context.note('Nothing is running, and nothing ended in the last 5 minutes.')
  return 0
}

/** What needs a person first, then what runs, what waits, what is over; each by its start. */
export function inOrder(operations: readonly Operation[]): Operation[] {
  const rank = (operation: Operation): number => {
    if (needsAcknowledgement(operation)) return 0
    if (isSettled(operation)) return ['completed', 'cancelled'].includes(operation.status) ? 4 : 1
    return operation.beganAt === null ? 3 : 2
  }
  return operations.toSorted(
    (a, b) => rank(a) - rank(b) || a.startedAt - b.startedAt || (a.batch?.position ?? 0) - (b.batch?.position ?? 0),
  )
}

export function psLines(operations: readonly Operation[], now: number, columns = Number.POSITIVE_INFINITY): string[] {
  const rows = operations.map((operation) => {
    const { percent, known, lateMs } = standingAt(operation, now)
    const runs = operation.beganAt !== null && !isSettled(operation)
    return [
      operation.id,
      clean(operation.connection.name),
      describe(operation),
      clean(operation.createdBy),
      operation.beganAt === null ? '-' : momentWords(operation.startedAt, now),
      stateWord(operation),
      (runs && known && lateMs === null) || operation.status === 'completed' ? `${percent}%` : '-',
      leftWords(operation, operations, now),
    ]
  })
  return table(['OP', 'CONNECTION', 'WHAT', 'BY', 'STARTED', 'STATE', 'PCT', 'LEFT'], rows, { gives: 'WHAT', columns })
}

/** What is left of it: time, the place in its row, or a person's look. */
export function leftWords(operation: Operation, all: readonly Operation[], now: number): string {
  if (needsAcknowledgement(operation)) return 'look'
  if (isSettled(operation)) {
    const took = tookMs(operation)
    return took === null ? '-' : `in ${formatDuration(took)}`
  }
  if (operation.beganAt === null) {
    const { after } = operation
    if (all.some(({ id, phase }) => id === after && phase !== 'settled')) return `after ${after}`
    const waiting = all.filter((other) => other.beganAt === null && !isSettled(other) && inOneBatch(other, operation))
    const place = waiting.filter((other) => (other.batch?.position ?? 0) < (operation.batch?.position ?? 0)).length + 1
    return place === 1 ? 'next' : ordinal(place)
  }
  const { remainingMs, lateMs } = standingAt(operation, now)
  if (lateMs !== null) return `late ${formatDuration(lateMs)}`
  return remainingMs === null ? '?' : remainingWords(remainingMs)
}

function inOneBatch(one: Operation, other: Operation): boolean {
  return other.batch !== null && one.batch?.id === other.batch.id
}
