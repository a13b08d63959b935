import type { ExitStatus } from '../../core/errors.ts'
import type { StartRequest } from '../../core/protocol.ts'
import { confirm } from '../ask.ts'
import type { Client } from '../client.ts'
import type { Context } from '../context.ts'
import { beginDeparture, beginWatch, chooseFollower, followOperations, roomFor } from '../follow-operations.ts'
import { RefusedError } from '../refused-error.ts'
import { clean } from '../renderers/words.ts'
import { chooseTargets, isInteractive } from '../selection.ts'
import { startOperations } from '../start.ts'
import { withTyped } from '../typed-password.ts'
import { isSingle, toStartRequest, type RestartOptions } from './restart.ts'

export type TestOptions = Pick<RestartOptions, 'service'>

/** Logs in, reads the service list, touches nothing; all targets at once, because one failure says nothing of the next. */
export async function test(context: Context, words: readonly string[], options: TestOptions): Promise<ExitStatus> {
  const client = await context.connect({ revive: true })
  const { connections } = await chooseTargets(context, client, words)
  const ids = connections.map(({ id }) => id)
  return await runTest(context, client, ids, options, isSingle(words))
}

export async function runTest(
  context: Context,
  client: Client,
  ids: readonly number[],
  options: TestOptions & { readonly despiteLoginHold?: 'ask' },
  single: boolean,
): Promise<ExitStatus> {
  const follower = await chooseFollower(context)
  using departure = beginDeparture(context)
  const updates = await beginWatch(client, roomFor(ids), departure.signal)
  const { despiteLoginHold, ...rest } = options
  const request = toStartRequest('ssh_test', ids, { ...rest, parallel: ids.length }, context.user)
  const start = (asked: StartRequest) =>
    withTyped(context, client, asked.requestId, () => startOperations(client, asked, departure.signal))
  const result = await start(request).catch(async (error: unknown) => {
    const held = error instanceof RefusedError && error.code === 'login_held'
    if (!held || despiteLoginHold !== 'ask' || !isInteractive(context)) throw error
    context.note(`vosctl: ${clean(error.message)}`)
    const question = 'Another wrong password may lock the account. Try once more?'
    if (!(await confirm(question, context.io, departure.left))) throw error
    const again = toStartRequest('ssh_test', ids, rest, context.user)
    return await start({ ...again, despiteLoginHold: true })
  })
  const { operations, batch } = result
  const daemonVersion = client.info.version
  return await followOperations(context, client, {
    operations,
    batch,
    single,
    daemonVersion,
    updates,
    departure,
    follower,
  })
}
