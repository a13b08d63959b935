import type { ExitStatus } from '../../core/errors.ts'
import { isSettled } from '../../core/operation.ts'
import type { ConnectionView } from '../../core/protocol.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { toConnectionJson } from '../json-documents.ts'
import { clean, describe } from '../renderers/words.ts'
import { chooseTarget } from '../selection.ts'

export interface HoldOptions {
  readonly reason?: string
}

/** Keeps hands off a connection until somebody releases it. What runs there goes on, and is named. */
export async function hold(context: Context, word: string, { reason }: HoldOptions): Promise<ExitStatus> {
  const client = await context.connect()
  const { id } = await chooseTarget(client, word)
  const why = reason === undefined ? {} : { reason }
  const held = await client.request('connection:hold', { id, by: context.user, ...why })
  say(context, held, `${clean(held.name)} is on hold; nothing begins there before: vosctl release ${clean(held.name)}`)
  const { operations } = await client.request('subscribe', { room: `connection:${id}` })
  for (const operation of operations) {
    if (isSettled(operation) || operation.beganAt === null) continue
    context.note(`${operation.id} (${describe(operation)}) runs there and goes on.`)
  }
  return 0
}

export async function release(context: Context, word: string): Promise<ExitStatus> {
  const client = await context.connect()
  const { id } = await chooseTarget(client, word)
  const released = await client.request('connection:release', { id })
  say(context, released, `${clean(released.name)} is released`)
  return 0
}

function say(context: Context, connection: ConnectionView, line: string): void {
  if (isMachine(context.flags)) printJson(context, toConnectionJson(connection))
  else if (context.flags.quiet) return
  else context.print(context.flags.output === 'name' ? connection.name : line)
}
