import { formatDuration } from '../../core/duration.ts'
import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { ConnectionView, Skipped, StartRequest, StartResult } from '../../core/protocol.ts'
import { confirm } from '../ask.ts'
import type { Client } from '../client.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import {
  beginDeparture,
  beginWatch,
  chooseFollower,
  followOperations,
  roomFor,
  type Departure,
} from '../follow-operations.ts'
import { toListJson, toSkippedJson } from '../json-documents.ts'
import { toOperationJson } from '../renderers/json.ts'
import { clean, describe, usualWords } from '../renderers/words.ts'
import { chooseTargets, insist, isInteractive, type Chosen } from '../selection.ts'
import { startOperations } from '../start.ts'
import { table } from '../table.ts'
import { longDuration } from '../times.ts'
import { isGlob } from '../targets.ts'
import { withTyped } from '../typed-password.ts'
import { RefusedError } from '../refused-error.ts'

/** Not imported: an import looks at every name of the module, and some of them take long to load. */
const { randomUUID } = process.getBuiltinModule('node:crypto')

export interface RestartOptions {
  readonly service?: string
  readonly detach?: boolean
  readonly ifRunning?: StartRequest['ifRunning']
  /** Skip where it completed within so many milliseconds; null: however recent it is. */
  readonly ifRecent?: number | null
  readonly startStopped?: boolean
  readonly cutSession?: boolean
  readonly parallel?: number
  /** The operation's own time limit in milliseconds. */
  readonly deadline?: number
  readonly reason?: string
  readonly dryRun?: boolean
}

/** What is asked of the daemon. Nothing that was not said is in it: the defaults are the daemon's. */
export function toStartRequest(
  operationType: StartRequest['operationType'],
  connectionIds: readonly number[],
  options: RestartOptions,
  createdBy: string,
): StartRequest {
  const { service, ifRunning, ifRecent, startStopped, cutSession, parallel, deadline, reason, dryRun } = options
  return {
    requestId: randomUUID(),
    operationType,
    connectionIds,
    createdBy,
    ...(service === undefined ? {} : { service }),
    ...(reason === undefined ? {} : { reason }),
    ...(deadline === undefined ? {} : { deadlineMs: deadline }),
    ...(parallel === undefined ? {} : { parallel }),
    ...(ifRunning === undefined ? {} : { ifRunning }),
    ...(ifRecent ? { ifRecentMs: ifRecent } : {}),
    ...(startStopped ? { startStopped } : {}),
    ...(cutSession ? { cutSession } : {}),
    ...(dryRun ? { dryRun } : {}),
  }
}

/** Starts restarts and follows them to their verdict. */
export async function restart(
  context: Context,
  words: readonly string[],
  options: RestartOptions,
): Promise<ExitStatus> {
  const follower = await chooseFollower(context)
  const client = await context.connect({ revive: true })
  const chosen = await chooseTargets(context, client, words)
  const ids = chosen.connections.map(({ id }) => id)
  const request = toStartRequest('service_restart', ids, options, context.user)

  if (options.dryRun) {
    const dry = { ...request, attended: isInteractive(context) }
    return sayPlan(context, request, await client.request('operation:start', dry))
  }
  await confirmSeveral(context, client, chosen, request)

  using departure = beginDeparture(context)
  const usual = ids.length === 1 ? (chosen.connections[0]?.service ?? null) : null
  if (options.detach) {
    return sayAccepted(context, client, words, await startOrAsk(context, client, request, departure, usual))
  }
  const updates = await beginWatch(client, roomFor(ids), departure.signal)
  const { operations, batch, skipped } = await startOrAsk(context, client, request, departure, usual)
  noteRecent(context, skipped)
  if (operations.length === 0) return saySkipped(context, client, skipped)
  const daemonVersion = client.info.version
  const single = isSingle(words)
  return await followOperations(context, client, {
    operations,
    batch,
    single,
    daemonVersion,
    updates,
    departure,
    follower,
    skipped,
  })
}

/** One target, named: what it answers in JSON is one operation, and stays one if a glob would have found only one. */
export function isSingle(words: readonly string[]): boolean {
  return words.length === 1 && words.every((word) => word !== '-' && !isGlob(word))
}

/** Whoever did not name the one victim sees the list first. Refusals come before the question. */
async function confirmSeveral(context: Context, client: Client, chosen: Chosen, request: StartRequest): Promise<void> {
  const { connections, byPattern, stdinTaken } = chosen
  if (context.flags.yes || (connections.length < 2 && !byPattern)) return
  const count = `${connections.length} connection${connections.length === 1 ? '' : 's'}`
  if (!isInteractive(context) || stdinTaken) {
    return await insist(context, { what: `restarting ${count}`, lines: [], text: '' }, { stdinTaken })
  }
  // What stands in the way is asked about, or refused, when it comes to it: here only the length of it all matters.
  const plan = await client
    .request('operation:start', {
      ...request,
      requestId: randomUUID(),
      despiteUnknown: true,
      dryRun: true,
      attended: true,
    })
    .then(({ plan }) => plan ?? [])
  await insist(context, {
    what: `restarting ${count}`,
    lines: planLines(connections, plan, request),
    text: `Restart ${count}?`,
  })
}

type Plan = NonNullable<StartResult['plan']>

export function planLines(
  connections: readonly Pick<ConnectionView, 'id' | 'name' | 'host'>[],
  plan: Plan,
  { parallel = 1 }: Pick<StartRequest, 'parallel'>,
): string[] {
  const rows = connections.map(({ id, name, host }, index) => {
    const planned = plan.find((one) => one.id === id)
    const what = planned
      ? `${describe({ type: 'service_restart', service: planned.service })}${planned.after ? ` after ${planned.after}` : ''}`
      : 'already running or skipped'
    return [`  ${index + 1}.`, clean(name), clean(host), what, usualWords(planned?.usual ?? null) ?? '']
  })
  const [, ...lines] = table(['', '', '', '', ''], rows)
  const total = expectedMs(plan, parallel)
  const pace = parallel === 1 ? 'one after the other, until one fails' : `${parallel} at a time, until one fails`
  return [...lines, `  ${pace}${total === null ? '' : `, about ${formatDuration(total)} in all`}`]
}

/** How long the list takes when `parallel` run at once; null when one of them has never run. */
export function expectedMs(plan: Plan, parallel: number): number | null {
  const lanes = Array.from({ length: parallel }, () => 0)
  for (const { usual } of plan) {
    if (usualWords(usual) === null || !usual) return null
    const shortest = lanes.indexOf(Math.min(...lanes))
    lanes[shortest] = (lanes[shortest] ?? 0) + usual.p50Ms
  }
  return plan.length === 0 ? null : Math.max(...lanes)
}

/** Starts; a person at a terminal may go on although nobody has accepted an unknown outcome. */
async function startOrAsk(
  context: Context,
  client: Client,
  request: StartRequest,
  departure: Departure,
  usualService: string | null,
): Promise<StartResult> {
  const start = (asked: StartRequest) =>
    withTyped(context, client, asked.requestId, () => startOperations(client, asked, departure.signal, usualService))
  try {
    return await start(request)
  } catch (error) {
    if (!(error instanceof RefusedError) || !isInteractive(context)) throw error
    if (!error.refused.every(({ code }) => code === 'unacknowledged')) throw error
    // Not covered by --yes: it was said before anybody knew of this.
    for (const { message } of error.refused) context.note(`vosctl: ${clean(message)}`)
    const question = 'It may have been restarted already. Accept that outcome and restart now?'
    if (!(await confirm(question, context.io, departure.left)))
      throw new VosError('declined', 'you said no. Nothing was done.')
    return await start({ ...request, requestId: randomUUID(), despiteUnknown: true })
  }
}

function sayAccepted(context: Context, client: Client, words: readonly string[], result: StartResult): ExitStatus {
  const { operations, skipped } = result
  noteRecent(context, skipped)
  if (operations.length === 0) return saySkipped(context, client, skipped)
  const [first] = operations
  const now = context.now()
  if (isMachine(context.flags)) {
    const single = isSingle(words) && first
    const { version } = client.info
    printJson(
      context,
      single ? toOperationJson(first, now) : toListJson(operations, now, version, { skipped: toSkippedJson(skipped) }),
    )
  } else if (!context.flags.quiet) {
    for (const { id } of operations) context.print(id)
  }
  return 0
}

/** `cucm-pub skipped: r-7k2m9q completed 2h03m ago`. That something runs there needs no words: that was foreseen. */
function noteRecent(context: Context, skipped: StartResult['skipped']): void {
  if (context.flags.quiet || isMachine(context.flags)) return
  for (const one of skipped) {
    if (one.why === 'recent') context.note(`vosctl: ${clean(one.name)} skipped: ${recentWords(one, context.now())}`)
  }
}

function recentWords({ operation, completedAt }: Skipped, now: number): string {
  return `${operation} completed ${longDuration(now - (completedAt ?? now))} ago`
}

/** All targets skipped: nothing more to say but to a program, which gets its one document. */
function saySkipped(context: Context, client: Client, skipped: StartResult['skipped']): ExitStatus {
  if (isMachine(context.flags))
    printJson(context, toListJson([], context.now(), client.info.version, { skipped: toSkippedJson(skipped) }))
  return 0
}

function sayPlan(context: Context, { parallel }: StartRequest, result: StartResult): ExitStatus {
  const { plan = [], operations, skipped } = result
  if (isMachine(context.flags)) {
    printJson(context, {
      schema: 'vosctl/plan/v1',
      items: plan.map(({ id, name, service, usual, after = null }) => ({
        connection: { id, name },
        service,
        after,
        usual_ms: usual && { p50: usual.p50Ms, p90: usual.p90Ms, samples: usual.runs },
      })),
      expected_ms: expectedMs(plan, parallel ?? 1),
      attached: operations.map(({ id }) => id),
      skipped: toSkippedJson(skipped),
    })
    return 0
  }
  if (context.flags.output === 'name') {
    for (const { name } of plan) context.print(name)
    return 0
  }
  for (const { name, service, usual, after } of plan) {
    const usually = usualWords(usual)
    const what = `${describe({ type: 'service_restart', service })} on ${name}${after ? ` after ${after}` : ''}`
    context.print(`would ${what}${usually ? ` (${usually})` : ''}`)
  }
  for (const { id, connection, phase } of operations) {
    context.print(`would follow ${id}, which ${phase === 'accepted' ? 'waits' : 'runs'} on ${connection.name}`)
  }
  for (const one of skipped) {
    const because = one.why === 'recent' ? `: ${recentWords(one, context.now())}` : ', where something runs already'
    context.print(`would skip ${one.name}${because}`)
  }
  context.note('Nothing was sent.')
  return 0
}
