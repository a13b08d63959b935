import type { ExitStatus } from '../../core/errors.ts'
import type { Context } from '../context.ts'
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
import { findOperations } from '../operations.ts'
import { batchOf } from '../renderers/words.ts'

/** Follows an operation that was started elsewhere, or a batch of them; ends with their verdict. */
export async function attach(context: Context, word: string): Promise<ExitStatus> {
  return await join(context, [word], await chooseFollower(context))
}

/** The same without drawing, for scripts. */
export async function wait(context: Context, words: readonly string[]): Promise<ExitStatus> {
  const drawn = context.flags.output === 'jsonl' || context.flags.progress !== undefined
  return await join(context, words, drawn ? await chooseFollower(context) : SILENT)
}

async function join(context: Context, words: readonly string[], follower: Follower): Promise<ExitStatus> {
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
  return await followOperations(context, client, {
    operations,
    batch: batchOf(operations),
    single,
    daemonVersion,
    updates,
    departure,
    follower,
  })
}
