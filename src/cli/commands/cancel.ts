import { VosError, type ExitStatus } from '../../core/errors.ts'
import { isSettled, type Operation } from '../../core/operation.ts'
import type { Client } from '../client.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { toListJson } from '../json-documents.ts'
import { LeftError } from '../leaving.ts'
import { only } from '../only.ts'
import { findOperations } from '../operations.ts'
import { errorLines } from '../report.ts'
import { clean } from '../renderers/words.ts'
import { toOperationJson } from '../renderers/json.ts'
import { beginDeparture, beginWatch, stillRunning } from '../follow-operations.ts'

/** Ends what was not sent yet, and says of the rest that it cannot be taken back. Of a batch: the waiting ones first. */
export async function cancel(context: Context, word: string): Promise<ExitStatus> {
  const client = await context.connect()
  const operations = (await findOperations(client, [word], context.user)).toReversed()
  using departure = beginDeparture(context)
  const ended: Operation[] = []
  const refused: VosError[] = []
  // In a batch those that have ended already are no news.
  const open = operations.length === 1 ? operations : operations.filter((operation) => !isSettled(operation))
  for (const { id } of open) {
    try {
      await client.request('operation:cancel', { id, by: context.user })
      ended.push(await ending(client, id, departure.signal))
    } catch (error) {
      if (!(error instanceof VosError) || operations.length === 1) throw error
      refused.push(error)
    }
  }
  sayCancelled(context, client, ended, operations.length === 1)
  for (const error of refused) for (const line of errorLines(error)) context.note(line)
  return refused.length > 0 || ended.some(({ status }) => status !== 'cancelled') ? 1 : 0
}

/** A login under way is broken off, which takes a moment; only then it is certain how it ended. */
async function ending(client: Client, id: string, signal: AbortSignal): Promise<Operation> {
  const fetch = () => client.request('operation:get', { id })
  const before = await fetch()
  const updates = await beginWatch(client, 'operations', signal, stillRunning([before]))
  const iterator = updates[Symbol.asyncIterator]()
  try {
    const now = await fetch()
    if (isSettled(now)) return now
    for await (const update of only({ [Symbol.asyncIterator]: () => iterator }, [id], fetch)) {
      if (update.type === 'event' && isSettled(update.operation)) return update.operation
      const found = update.type === 'snapshot' ? update.operations.find(isSettled) : undefined
      if (found) return found
    }
  } finally {
    await iterator.return?.()
  }
  if (signal.reason instanceof LeftError) throw signal.reason
  throw stillRunning([await fetch()])
}

function sayCancelled(context: Context, client: Client, operations: readonly Operation[], single: boolean): void {
  if (isMachine(context.flags)) {
    const [first] = operations
    const now = context.now()
    printJson(context, single && first ? toOperationJson(first, now) : toListJson(operations, now, client.info.version))
    return
  }
  if (context.flags.quiet) return
  for (const { id, connection, message, status } of operations) {
    const ended = status === 'cancelled' ? '' : `${status}: `
    context.print(context.flags.output === 'name' ? id : `${id}  ${clean(connection.name)}  ${ended}${clean(message)}`)
  }
}
