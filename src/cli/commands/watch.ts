import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { Client } from '../client.ts'
import { listConnections, type Context } from '../context.ts'
import type { Update, Updates } from '../follow.ts'
import { beginDeparture, rendererName, type Departure } from '../follow-operations.ts'
import { LeftError, statusOfSignal } from '../leaving.ts'
import { currentUser } from '../paths.ts'
import { toEventJson, toOperationJson } from '../renderers/json.ts'
import { clean } from '../renderers/words.ts'
import { chooseTargets } from '../selection.ts'
import { stdoutGone } from '../stdout-gone.ts'
import { hasSuccessor, runSuccessor } from '../successor.ts'
import { attach } from './attach.ts'
import { readEvents } from './logs.ts'
import { aboutOperation } from './verify.ts'

/** The live dashboard. It never owes a verdict: what it shows ends or goes on without it. */
export async function watch(context: Context, words: readonly string[]): Promise<ExitStatus> {
  const { output } = context.flags
  if (output === 'json' || output === 'name') {
    throw new VosError('bad_request', `watch never ends, so -o ${output} would never come.`, { hint: 'Use -o jsonl.' })
  }
  if (output === 'text') refuseWithoutTerminal(context)
  const client = await context.connect()
  const ids =
    words.length === 0 ? null : (await chooseTargets(context, client, words)).connections.map((target) => target.id)
  using departure = beginDeparture(context)
  const updates = only(client.watch('operations', { signal: departure.signal }), ids)
  if (output === 'jsonl') return await stream(context, updates, departure)
  try {
    return await draw(context, client, updates, departure)
  } catch (error) {
    if (hasSuccessor(error)) return await runSuccessor(context)
    throw error
  }
}

function refuseWithoutTerminal(context: Context): void {
  if (rendererName(context) === 'live') return
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
  if (end.attach !== null) return await attach(context, end.attach)
  const { reason } = departure.signal
  if (reason instanceof LeftError) return statusOfSignal(reason.signal)
  return interrupted ? statusOfSignal('SIGINT') : 0
}

async function sentence(act: () => Promise<string>): Promise<string> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof VosError) return clean(error.message)
    throw error
  }
}

/** One line for each thing that happens, until somebody leaves. */
async function stream(context: Context, updates: Updates, departure: Departure): Promise<ExitStatus> {
  const gone = stdoutGone(context.io)
  const time = (at: number) => new Date(at).toISOString()
  const write = (fields: object) => context.print(JSON.stringify({ v: 1, ...fields }))
  const lines = (update: Update): void => {
    const now = context.now()
    switch (update.type) {
      case 'snapshot': {
        const { cursor, gap, operations } = update
        const items = operations.map((operation) => toOperationJson(operation, now))
        return write({ seq: cursor, at: time(now), type: 'snapshot', gap, operations: items })
      }
      case 'event':
        return context.print(JSON.stringify(toEventJson(update.recorded, update.operation)))
      case 'heartbeat':
        return
      case 'disconnected':
        return write({ seq: null, at: time(now), type: 'disconnected', since: time(update.since) })
      default:
        return update satisfies never
    }
  }
  write({ seq: null, at: time(context.now()), type: 'hello', schema: 'vosctl/event/v1' })
  for await (const update of updates) {
    lines(update)
    if (gone.aborted) return 0
  }
  const { reason } = departure.signal
  write({ seq: null, at: time(context.now()), type: 'bye', message: 'the operations go on' })
  return reason instanceof LeftError ? statusOfSignal(reason.signal) : 0
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
