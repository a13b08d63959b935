import type { ExitStatus } from '../../core/errors.ts'
import { isSettled, type Operation, type RecordedEvent } from '../../core/operation.ts'
import type { Client } from '../client.ts'
import { printJson, type Context } from '../context.ts'
import { eventLine } from '../event-words.ts'
import { beginDeparture, roomFor } from '../follow-operations.ts'
import { LeftError, statusOfSignal } from '../leaving.ts'
import { findOperation, readEvents } from '../operations.ts'
import { only } from '../only.ts'
import { toEventJson, type JsonObject } from '../renderers/json.ts'
import { stdoutGone } from '../stdout-gone.ts'

export interface LogsOptions {
  readonly lines?: number
  readonly follow?: boolean
}

/** Everything that was recorded of one operation: its events with their times, and what the device printed. */
export async function logs(context: Context, word: string, { lines, follow }: LogsOptions): Promise<ExitStatus> {
  const client = await context.connect()
  const operation = await findOperation(client, word, context.user)
  const { output } = context.flags
  const documents: JsonObject[] = []
  let seq = 0
  const say = (recorded: RecordedEvent) => {
    if (recorded.seq <= seq) return
    seq = recorded.seq
    if (output === 'json') documents.push(toEventJson(recorded, operation))
    else context.print(output === 'jsonl' ? JSON.stringify(toEventJson(recorded, operation)) : eventLine(recorded))
  }
  const read = async () => {
    const events = await readEvents(client, operation.id, seq)
    return output === 'text' ? collapsed(events) : events
  }
  const recorded = await read()
  for (const one of lines === undefined ? recorded : recorded.slice(-lines)) say(one)
  const readOn = async () => {
    for (const one of await read()) say(one)
  }
  const status = follow && !isSettled(operation) ? await followLog(context, client, operation, readOn) : 0
  if (output === 'json') printJson(context, { schema: 'vosctl/log/v1', operation: operation.id, events: documents })
  return status
}

/** The journal itself is read again whenever something happens: nothing can be missing, whatever the connection did. */
async function followLog(
  context: Context,
  client: Client,
  { id, connection }: Operation,
  readOn: () => Promise<void>,
): Promise<ExitStatus> {
  using departure = beginDeparture(context)
  const signal = AbortSignal.any([departure.signal, stdoutGone(context.io)])
  const updates = client.watch(roomFor([connection.id]), { signal })
  for await (const update of only(updates, [id], () => client.request('operation:get', { id }))) {
    if (update.type !== 'event' && update.type !== 'snapshot') continue
    await readOn()
    const ended = update.type === 'event' ? isSettled(update.operation) : update.operations.every(isSettled)
    if (ended) return 0
  }
  const { reason } = departure.signal
  if (reason instanceof LeftError) return statusOfSignal(reason.signal)
  return departure.signal.aborted ? 8 : 0
}

/** Polls of the device in a row are one line, with the time and the place of the last. */
export function collapsed(events: readonly RecordedEvent[]): RecordedEvent[] {
  const result: RecordedEvent[] = []
  for (const recorded of events) {
    const before = result.at(-1)?.event
    const { event } = recorded
    if (before?.type === 'repeated' && event.type === 'repeated') {
      result[result.length - 1] = { ...recorded, event: { type: 'repeated', times: before.times + event.times } }
    } else result.push(recorded)
  }
  return result
}
