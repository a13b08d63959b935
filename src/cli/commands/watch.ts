import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { Client } from '../client.ts'
import { listConnections, type Context } from '../context.ts'
import type { Update, Updates } from '../follow.ts'
import { beginDeparture, choiceOf, statusOfDeparture, type Departure } from '../follow-operations.ts'
import { statusOfSignal } from '../leaving.ts'
import { refuseFromForPeople, type FromOptions } from '../missed.ts'
import { readEvents } from '../operations.ts'
import { currentUser } from '../paths.ts'
import { clean } from '../renderers/words.ts'
import { chooseTargets } from '../selection.ts'
import { hasSuccessor, runSuccessor } from '../successor.ts'
import { attach } from './attach.ts'
import { aboutOperation } from './verify.ts'
import { streamEvents } from './watch-stream.ts'

/** The live dashboard. It never owes a verdict: what it shows ends or goes on without it. */
export async function watch(
  context: Context,
  words: readonly string[],
  options: FromOptions = {},
): Promise<ExitStatus> {
  const { output } = context.flags
  if (output === 'json' || output === 'name') {
    throw new VosError('bad_request', `watch never ends, so -o ${output} would never come.`, { hint: 'Use -o jsonl.' })
  }
  refuseFromForPeople(context, options)
  if (output === 'text') refuseWithoutTerminal(context)
  const client = await context.connect()
  const ids =
    words.length === 0 ? null : (await chooseTargets(context, client, words)).connections.map((target) => target.id)
  using departure = beginDeparture(context)
  if (output === 'jsonl') return await streamEvents(context, client, ids, departure, options.from)
  const updates = only(client.watch('operations', { signal: departure.signal }), ids)
  try {
    return await draw(context, client, updates, departure)
  } catch (error) {
    if (hasSuccessor(error)) return await runSuccessor(context)
    throw error
  }
}

function refuseWithoutTerminal(context: Context): void {
  if (choiceOf(context).renderer === 'live') return
  throw new VosError('bad_request', 'watch draws on a terminal, and here it cannot or shall not.', {
    hint: 'For one look: vosctl ps. For a program: vosctl watch -o jsonl. To draw all the same: --progress live.',
  })
}

async function draw(context: Context, client: Client, updates: Updates, departure: Departure): Promise<ExitStatus> {
  const { runWatch } = await import('../renderers/watch.tsx')
  const { home } = currentUser()
  const end = await runWatch(updates, {
    io: context.io,
    signal: departure.signal,
    header: () => ({ ...client.info, stateDirectory: client.info.stateDirectory.replace(`${home}/`, '~/') }),
    cancel: (id) =>
      sentence(async () => {
        await client.request('operation:cancel', { id, by: context.user })
        return `${id} is cancelled`
      }),
    ack: (id) =>
      sentence(async () => {
        const { connection } = await client.request('operation:acknowledge', { id, by: context.user })
        return `${id} is accepted, ${clean(connection.name)} is free`
      }),
    verify: (operation) =>
      sentence(async () => {
        const look = await client.request('operation:start', aboutOperation(operation, context.user))
        return `${look.operations[0]?.id} looks at ${clean(operation.connection.name)}`
      }),
    readEvents: (id, afterSeq) => readEvents(client, id, afterSeq),
    readHouse: async () => {
      const connections = await listConnections(client)
      return { connections: connections.length, holds: connections.filter(({ hold }) => hold !== null).length }
    },
  })
  const { running, late, interrupted } = end
  if (!context.flags.quiet) context.note(`left watch: ${running} running, ${late} late`)
  // From here on it is an attach like any other: it ends with the verdict.
  if (end.attach !== null) return await attach(context, end.attach, {})
  return interrupted ? statusOfSignal('SIGINT') : statusOfDeparture(departure)
}

async function sentence(act: () => Promise<string>): Promise<string> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof VosError) return clean(error.message)
    throw error
  }
}

/** What happens on these connections; null: on all. */
async function* only(updates: Updates, ids: readonly number[] | null): AsyncGenerator<Update> {
  for await (const update of updates) {
    const isOurs = (id: number) => ids === null || ids.includes(id)
    if (update.type === 'event' && !isOurs(update.operation.connection.id)) continue
    if (update.type !== 'snapshot') yield update
    else yield { ...update, operations: update.operations.filter(({ connection }) => isOurs(connection.id)) }
  }
}
