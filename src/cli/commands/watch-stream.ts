import type { ExitStatus } from '../../core/errors.ts'
import type { Operation, RecordedEvent } from '../../core/operation.ts'
import type { Client } from '../client.ts'
import type { Context } from '../context.ts'
import { statusOfDeparture, type Departure } from '../follow-operations.ts'
import type { Missed } from '../follow.ts'
import { passedEvents } from '../missed.ts'
import { EventLines } from '../renderers/jsonl.ts'
import { stdoutGone } from '../stdout-gone.ts'

/** One line for each thing that happens on these connections (null: on all), until somebody leaves or nobody reads. */
export async function streamEvents(
  context: Context,
  client: Client,
  ids: readonly number[] | null,
  departure: Departure,
  from: number | undefined,
): Promise<ExitStatus> {
  const isOurs = ({ connection }: Operation) => ids === null || ids.includes(connection.id)
  const lines = new EventLines(context.print, context.now)
  const signal = AbortSignal.any([departure.signal, stdoutGone(context.io)])
  lines.hello({ from: from ?? null })
  for await (const update of client.watch('operations', { signal, after: from })) {
    if (update.type === 'snapshot' && update.missed !== undefined && from !== undefined) {
      lines.missed(await missedBy(client, from, update.missed), update.cursor, true, isOurs)
    }
    lines.take(update, isOurs)
  }
  lines.say('bye', { message: 'the operations go on' })
  return statusOfDeparture(departure)
}

async function missedBy(client: Client, from: number, missed: readonly RecordedEvent[] | null): Promise<Missed> {
  if (missed === null) return { from, passed: null }
  const cursors = new Set(missed.map(({ cursor }) => cursor))
  const ids = missed.map(({ operationId }) => operationId)
  return { from, passed: await passedEvents(client, ids, ({ cursor }) => cursors.has(cursor)) }
}
