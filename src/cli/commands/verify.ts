import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { Operation } from '../../core/operation.ts'
import type { StartRequest } from '../../core/protocol.ts'
import type { Client } from '../client.ts'
import { isMachine, listConnections, type Context } from '../context.ts'
import { beginDeparture, beginWatch, chooseFollower, followOperations, roomFor } from '../follow-operations.ts'
import { findOperation, isOperationId } from '../operations.ts'
import { clean, clock } from '../renderers/words.ts'
import { startOperations } from '../start.ts'
import { findTarget, unknownTarget } from '../targets.ts'
import { withTyped } from '../typed-password.ts'
import { toStartRequest, type RestartOptions } from './restart.ts'

export type VerifyOptions = Pick<RestartOptions, 'service'>

/** Looks at a device, read-only, and says what is true now; for an unknown outcome also whether that proves it. */
export async function verify(context: Context, word: string, options: VerifyOptions): Promise<ExitStatus> {
  const follower = await chooseFollower(context)
  const client = await context.connect({ revive: true })
  const request = await toRequest(context, client, word, options)
  using departure = beginDeparture(context)
  const updates = await beginWatch(client, roomFor(request.connectionIds), departure.signal)
  const { operations, batch } = await withTyped(context, client, request.requestId, () =>
    startOperations(client, request, departure.signal),
  )
  const daemonVersion = client.info.version
  const followed = { operations, batch, single: true, daemonVersion, updates, departure, follower }
  const status = await followOperations(context, client, followed)
  const [look] = operations
  if (look && look.subject !== null && !isMachine(context.flags) && !(context.flags.quiet && status === 0)) {
    saySettled(context, await client.request('operation:get', { id: look.subject }), look)
  }
  return status
}

/** An operation, or a connection: if an outcome is unknown there, the daemon makes the look one about that. */
async function toRequest(
  context: Context,
  client: Client,
  word: string,
  options: VerifyOptions,
): Promise<StartRequest> {
  const connections = await listConnections(client)
  const connection = findTarget(word, connections)
  if (!connection) {
    if (!isOperationId(word)) throw unknownTarget(word, connections)
    if (options.service !== undefined) {
      throw new VosError('bad_request', 'an operation has its service, so --service says nothing.', {
        hint: `Without it: vosctl verify ${word}`,
      })
    }
    return aboutOperation(await findOperation(client, word, context.user), context.user)
  }
  return { ...toStartRequest('verify', [connection.id], options, context.user), ifRunning: 'attach' }
}

/** Who asks the same while it is looked into gets the same answer. */
export function aboutOperation({ id, connection }: Operation, user: string): StartRequest {
  return { ...toStartRequest('verify', [connection.id], {}, user), subject: id, ifRunning: 'attach' }
}

/** What the look changed: the outcome was unknown, and now it is not. */
function saySettled(context: Context, { id, verified, status, connection, completedAt }: Operation, look: Operation) {
  if (verified?.look !== look.id) return
  const since = completedAt === null ? '' : `, unknown since ${clock(completedAt)}`
  context.note(`  ${id} is ${status} now${since}; ${clean(connection.name)} is free.`)
}
