import { VosError, type ExitStatus } from '../../core/errors.ts'
import { needsAcknowledgement } from '../../core/operation.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { findOperation } from '../operations.ts'
import { toOperationJson } from '../renderers/json.ts'
import { clean, describe } from '../renderers/words.ts'
import { insist } from '../selection.ts'

/** Accepts an unknown outcome: the person says that the device has been looked at. Frees the connection. */
export async function ack(context: Context, word: string): Promise<ExitStatus> {
  const client = await context.connect()
  const operation = await findOperation(client, word, context.user)
  const { id, connection, message } = operation
  if (!needsAcknowledgement(operation)) {
    const state = operation.acknowledged ? 'was accepted before' : `is ${operation.status}`
    throw new VosError('bad_request', `${id} needs no acknowledgement: it ${state}.`)
  }
  const name = clean(connection.name)
  await insist(context, {
    what: `accepting the outcome of ${id}`,
    lines: [`${id}  ${describe(operation)} on ${name}`, `  ${clean(message)}`, `  Look first: vosctl verify ${id}`],
    text: `Accept it and free ${name}?`,
  })
  const accepted = await client.request('operation:acknowledge', { id, by: context.user })
  if (isMachine(context.flags)) printJson(context, toOperationJson(accepted, context.now()))
  else if (context.flags.output === 'name') context.print(id)
  else if (!context.flags.quiet) context.print(`${id}  accepted; ${name} is free`)
  return 0
}
