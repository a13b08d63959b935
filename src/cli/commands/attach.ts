import type { ExitStatus } from '../../core/errors.ts'
import type { Operation } from '../../core/operation.ts'
import type { Client } from '../client.ts'
import type { Context } from '../context.ts'
import type { Missed, Updates } from '../follow.ts'
import {
  beginDeparture,
  beginWatch,
  chooseFollower,
  followOperations,
  roomFor,
  SILENT,
  type Follower,
  stillRunning,
} from '../follow-operations.ts'
import { passedEvents, refuseFromForPeople, type FromOptions } from '../missed.ts'
import { findOperations } from '../operations.ts'
import { batchOf } from '../renderers/words.ts'

/** Follows an operation that was started elsewhere, or a batch of them; ends with their verdict. */
export async function attach(context: Context, word: string, options: FromOptions): Promise<ExitStatus> {
  return await join(context, [word], await chooseFollower(context), options)
}

/** The same without drawing, for scripts. */
export async function wait(context: Context, words: readonly string[], options: FromOptions): Promise<ExitStatus> {
  const drawn = context.flags.output === 'jsonl' || context.flags.progress !== undefined
  return await join(context, words, drawn ? await chooseFollower(context) : SILENT, options)
}

async function join(
  context: Context,
  words: readonly string[],
  follower: Follower,
  options: FromOptions,
): Promise<ExitStatus> {
  refuseFromForPeople(context, options)
  const client = await context.connect({ revive: true })
  const found = await findOperations(client, words, context.user)
  using departure = beginDeparture(context)
  const room = roomFor(found.map(({ connection }) => connection.id))
  const updates = await beginWatch(client, room, departure.signal, stillRunning(found))
  // Again, now that nothing is missed any more: what happened between the two is in neither.
  const operations = await findOperations(
    client,
    found.map(({ id }) => id),
    context.user,
  )
  const single = words.length === 1 && operations.length === 1
  const daemonVersion = client.info.version
  const from = options.from === undefined ? {} : await missedBy(client, operations, updates, options.from)
  return await followOperations(context, client, {
    operations,
    batch: batchOf(operations),
    single,
    daemonVersion,
    updates,
    departure,
    follower,
    ...from,
  })
}

/**
 * What became of these operations after `from`, up to where the updates begin, and the operations as they stood there:
 * the rest comes as it happens, so that every event is told once and in order.
 */
async function missedBy(
  client: Client,
  operations: readonly Operation[],
  updates: Updates,
  from: number,
): Promise<{ readonly missed: Missed; readonly operations: readonly Operation[] }> {
  const cursor = updates.cursor ?? -1
  const ids = operations.map(({ id }) => id)
  const events = await passedEvents(client, ids, (recorded) => recorded.cursor <= cursor)
  const then = new Map(events?.map(({ operation }) => [operation.id, operation]))
  if (events === null || then.size < operations.length) return { missed: { from, passed: null }, operations }
  return {
    missed: { from, passed: events.filter(({ recorded }) => recorded.cursor > from) },
    operations: operations.map((operation) => then.get(operation.id) ?? operation),
  }
}
