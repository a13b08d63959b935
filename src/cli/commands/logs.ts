import { VosError, type ExitStatus } from '../../core/errors.ts'
import { isSettled, type Operation, type RecordedEvent } from '../../core/operation.ts'
import type { Client } from '../client.ts'
import { printJson, type Context } from '../context.ts'
import { collapsed, eventLine } from '../event-words.ts'
import { beginDeparture, roomFor, statusOfDeparture } from '../follow-operations.ts'
import { findOperation, findOperations, isBatchId, readEvents } from '../operations.ts'
import { only } from '../only.ts'
import { printPaged, type PagerOptions } from '../pager.ts'
import { toEventJson, type JsonObject } from '../renderers/json.ts'
import { clean, verdictWord } from '../renderers/words.ts'
import { stdoutGone } from '../stdout-gone.ts'
import { dateWords } from '../times.ts'

export interface LogsOptions extends PagerOptions {
  readonly lines?: number
  readonly follow?: boolean
}

/** Everything that was recorded of one operation: its events with their times, and what the device printed. */
export async function logs(context: Context, word: string, options: LogsOptions): Promise<ExitStatus> {
  const { lines, follow } = options
  const client = await context.connect()
  if (isBatchId(word)) throw severalLogs(word, await findOperations(client, [word], context.user))
  const operation = await findOperation(client, word, context.user)
  const { output } = context.flags
  const documents: JsonObject[] = []
  const pages: string[] = []
  const print = follow ? context.print : (line: string) => void pages.push(line)
  let seq = 0
  let day = dayOf(context.now())
  const say = (recorded: RecordedEvent) => {
    if (recorded.seq <= seq) return
    seq = recorded.seq
    if (output === 'json') return void documents.push(toEventJson(recorded, operation))
    if (output === 'jsonl') return print(JSON.stringify(toEventJson(recorded, operation)))
    // A line has only its time: what did not happen today is told by its day.
    if (dayOf(recorded.at) !== day) print((day = dayOf(recorded.at)))
    print(eventLine(recorded))
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
  await printPaged(context, pages, options)
  if (output === 'json') printJson(context, { schema: 'vosctl/log/v1', operation: operation.id, events: documents })
  return status
}

function dayOf(at: number): string {
  return dateWords(at).slice(0, 10)
}

/** A batch has no log of its own. */
function severalLogs(batch: string, members: readonly Operation[]): VosError {
  // Those whose log is wanted: what did not go well.
  const sorted = members.toSorted((a, b) => Number(a.status === 'completed') - Number(b.status === 'completed'))
  const named = sorted.slice(0, 6).map((one) => `${clean(one.id)} (${clean(one.connection.name)}, ${verdictWord(one)})`)
  const more = members.length > named.length ? `, and ${members.length - named.length} more` : ''
  return new VosError('bad_request', `${batch} is a batch of ${members.length}, and a log is of one operation.`, {
    hint: `Say vosctl logs with one of: ${named.join(', ')}${more}`,
  })
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
  return statusOfDeparture(departure)
}
