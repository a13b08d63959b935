import { formatDuration } from '../core/duration.ts'
import { exitStatus, VosError, type ExitStatus } from '../core/errors.ts'
import { isSettled, maybeSent, type Operation } from '../core/operation.ts'
import type { RoomName, StartResult } from '../core/protocol.ts'
import { combineExitStatus, exitStatusFor } from '../core/verdict.ts'
import { NoAnswerError, type Client } from './client.ts'
import { isMachine, printJson, type Context } from './context.ts'
import type { Missed, Renderer, Update, Updates } from './follow.ts'
import { LeftError, statusOfSignal, type LeaveSignal } from './leaving.ts'
import { only } from './only.ts'
import { readEvents } from './operations.ts'
import { choose, resultColumns, terminalSize, type Choice } from './renderers/choose.ts'
import { toOperationJson } from './renderers/json.ts'
import { renderJsonl } from './renderers/jsonl.ts'
import { renderNone } from './renderers/none.ts'
import { renderPlain } from './renderers/plain.ts'
import { excerptOf, runningWords, stdoutLine, verdictLines, type Excerpt } from './renderers/verdict.ts'
import { clean } from './renderers/words.ts'
import { toListJson, toSkippedJson } from './json-documents.ts'

/** How a command shows what it follows, decided before anything is asked for: a flag that cannot work starts nothing. */
export interface Follower {
  readonly render: Renderer
  /** The renderer keeps finished targets on the screen itself. */
  readonly live: boolean
}

export async function chooseFollower(context: Context): Promise<Follower> {
  const { flags } = context
  const { renderer } = choiceOf(context)
  if (flags.output === 'jsonl') {
    return { render: renderJsonl, live: false }
  }
  if (flags.quiet || renderer === 'none') return SILENT
  if (renderer === 'plain') return { render: renderPlain, live: false }
  return { render: (await import('./renderers/ink.tsx')).renderLive, live: true }
}

export function choiceOf({ io, flags }: Context): Choice {
  const { env, stdout, stderr } = io
  const { progress, output, colour } = flags
  return choose({ env, stdout, stderr, progress, output, colour })
}

export const SILENT: Follower = { render: renderNone, live: false }

/** The patience of this client and the signals that end it, as one. */
export interface Departure extends Disposable {
  readonly signal: AbortSignal
  /** The signals alone: a question may take longer than the patience for the work. */
  readonly left: AbortSignal
}

export function beginDeparture({ leaving, flags }: Context): Departure {
  const left = leaving.begin()
  const patience = flags.timeoutMs === null ? [] : [AbortSignal.timeout(flags.timeoutMs)]
  return {
    signal: AbortSignal.any([left.signal, ...patience]),
    left: left.signal,
    [Symbol.dispose]: () => left[Symbol.dispose](),
  }
}

/** How a command ends that carries no verdict: by a signal, by its own --timeout, or because it was over. */
export function statusOfDeparture({ signal }: Departure): ExitStatus {
  if (signal.reason instanceof LeftError) return statusOfSignal(signal.reason.signal)
  return exitStatus(signal.aborted ? 'pending' : 'ok')
}

/** The smallest room that shows all of them. */
export function roomFor(connectionIds: readonly number[]): RoomName {
  const [first, ...rest] = new Set(connectionIds)
  return first === undefined || rest.length > 0 ? 'operations' : `connection:${first}`
}

/**
 * Subscribes, so that nothing which happens from now on is missed.
 * @throws LeftError when a signal ends us first, and `tooLate` when our patience does
 */
export async function beginWatch(
  client: Client,
  room: RoomName,
  signal: AbortSignal,
  tooLate: VosError = new NoAnswerError('your --timeout ended before the daemon answered. Nothing was started.'),
): Promise<Updates> {
  const iterator = client.watch(room, { signal })[Symbol.asyncIterator]()
  // The board before anything was asked for says nothing about what will be.
  const { value } = await iterator.next()
  if (signal.aborted) {
    if (signal.reason instanceof LeftError) throw signal.reason
    throw tooLate
  }
  const updates = { [Symbol.asyncIterator]: () => iterator }
  return value?.type === 'snapshot' ? { ...updates, cursor: value.cursor } : updates
}

export interface Followed {
  readonly operations: readonly Operation[]
  readonly batch: string | null
  /** One target was asked for by name: its document stands alone, not in a list. */
  readonly single: boolean
  readonly daemonVersion: string
  readonly updates: Updates
  readonly missed?: Missed | undefined
  readonly departure: Departure
  readonly follower: Follower
  /** Targets that were left out, for the list that a program reads. */
  readonly skipped?: StartResult['skipped']
}

/** Shows operations to their end and says the verdict; or leaves, says so, and lets them go on. */
export async function followOperations(context: Context, client: Client, followed: Followed): Promise<ExitStatus> {
  const { departure, follower, operations, batch } = followed
  const ids = operations.map(({ id }) => id)
  const known = new Map(operations.map((operation) => [operation.id, operation]))
  const { cursor } = followed.updates
  const ours = only(followed.updates, ids, (id) => client.request('operation:get', { id }))
  const updates = Object.assign(remember(ours, known), cursor === undefined ? {} : { cursor })
  let last: readonly Operation[]
  try {
    const { verbose } = context.flags
    const follow = { operations, batch, updates, missed: followed.missed, verbose, signal: departure.signal }
    last = await follower.render(follow, context.io)
  } catch (error) {
    if (!(error instanceof VosError)) throw error
    throw outOfSight([...known.values()], error.message)
  }
  if (last.every(isSettled)) return sayVerdict(context, followed, last, await readExcerpt(context, client, last))
  if (!departure.signal.aborted) throw outOfSight(last, 'the daemon no longer knows it')
  return sayFarewell(context, followed, last, departure.signal.reason)
}

/** Patience ended before the first look at work that is under way: it goes on, and the device may have been touched. */
export function stillRunning(operations: readonly Operation[]): VosError {
  return outOfSight(operations, 'your --timeout ended before the daemon answered')
}

/** Lost while the work went on. Not one of the codes 4 to 7: they would promise that the device was not touched. */
function outOfSight(operations: readonly Operation[], reason: string): VosError {
  const open = operations.filter((operation) => !isSettled(operation)).map(({ id }) => id)
  return new VosError('still_running', `${open.join(', ')} went out of sight: ${reason.replace(/\.$/, '')}.`, {
    hint: `Find out how it ended: vosctl status ${open[0] ?? ''}`,
  })
}

async function* remember(updates: AsyncIterable<Update>, known: Map<string, Operation>): AsyncGenerator<Update> {
  for await (const update of updates) {
    if (update.type === 'event') known.set(update.operation.id, update.operation)
    yield update
  }
}

/** What a person wants to see of one that did not go well; without an answer its last line must do. */
async function readExcerpt({ io }: Context, client: Client, operations: readonly Operation[]): Promise<Excerpt> {
  const [only, ...others] = operations
  if (!only || others.length > 0 || !io.stderr.isTTY || only.status === 'completed' || only.lastLine === null) return []
  try {
    return excerptOf(await readEvents(client, only.id))
  } catch (error) {
    if (error instanceof VosError) return []
    throw error
  }
}

function sayVerdict(
  context: Context,
  followed: Followed,
  operations: readonly Operation[],
  excerpt: Excerpt,
): ExitStatus {
  const status = combineExitStatus(operations.map((operation) => exitStatusFor(operation) ?? exitStatus('pending')))
  sayResult(context, followed, operations)
  if (!isMachine(context.flags) && !(context.flags.quiet && status === 0)) {
    for (const line of verdicts(context, followed, operations, excerpt)) context.note(line)
  }
  return status
}

/** What belongs on stdout, in the format asked for. */
function sayResult(
  context: Context,
  { single, daemonVersion, skipped }: Followed,
  operations: readonly Operation[],
): void {
  const { flags, io, now } = context
  const [first] = operations
  switch (flags.output) {
    case 'jsonl':
      return
    case 'json':
      printJson(
        context,
        single && first
          ? toOperationJson(first, now())
          : toListJson(operations, now(), daemonVersion, skipped && { skipped: toSkippedJson(skipped) }),
      )
      return
    case 'name':
      if (!flags.quiet) for (const { id } of operations) context.print(id)
      return
    case 'text': {
      // On a terminal the verdict on stderr says the same, in better words.
      const seen = io.stdout.isTTY && io.stderr.isTTY
      if (!flags.quiet && !seen) for (const operation of operations) context.print(stdoutLine(operation))
      return
    }
    default:
      flags.output satisfies never
  }
}

function verdicts(
  context: Context,
  { batch, follower }: Followed,
  operations: readonly Operation[],
  excerpt: Excerpt,
): string[] {
  const { io, now } = context
  return verdictLines(operations, {
    excerpt,
    columns: terminalSize(io.stderr, io.env).columns,
    tty: Boolean(io.stderr.isTTY),
    batch,
    now: now(),
    all: !follower.live,
    colour: choiceOf(context).colour.stderr,
  })
}

function sayFarewell(
  context: Context,
  followed: Followed,
  operations: readonly Operation[],
  reason: unknown,
): ExitStatus {
  sayLeft(context, followed, operations)
  const open = operations.filter((operation) => !isSettled(operation))
  if (reason instanceof LeftError) {
    if (!isMachine(context.flags)) {
      const line = farewellLine(open, followed.batch, reason.signal, context.now())
      // A line each, where the terminal would break a command in two.
      const columns = resultColumns(context.io.stderr, context.io.env)
      const lines = line.length < columns ? [line] : line.split(/ (?=Back: )| {3}(?=Stop: )/)
      lines.forEach((part, index) => context.note(index === 0 ? part : `  ${part}`))
    }
    return statusOfSignal(reason.signal)
  }
  if (!isMachine(context.flags)) {
    const patience = formatDuration(context.flags.timeoutMs ?? 0)
    context.note(patienceLine(open, followed.batch, patience, context.now()))
  }
  return exitStatus('pending')
}

/** Off a terminal those that ended before we left have their line; a program gets everything as last seen. */
function sayLeft(context: Context, followed: Followed, operations: readonly Operation[]): void {
  const { output } = context.flags
  const ended = operations.filter(isSettled)
  if (output === 'json' || output === 'name') sayResult(context, followed, operations)
  else if (output === 'text' && ended.length > 0) sayResult(context, followed, ended)
}

/** `^C left r-7k2m9q running on cucm-pub (71 %, about 1m20s left). Back: …` */
export function farewellLine(
  open: readonly Operation[],
  batch: string | null,
  signal: LeaveSignal,
  now: number,
): string {
  const [first, ...rest] = open
  const key = signal === 'SIGINT' ? '^C' : `${signal}:`
  const handle = handleOf(open, batch)
  const ways = `Back: vosctl attach ${handle}   Stop: vosctl cancel ${handle}`
  if (!first) return `${key} left`
  if (rest.length > 0) return `${key} left ${handle} running on ${open.length} connections. ${ways}`
  const { state, details } = standing(first, now)
  return `${key} left ${first.id} ${state} on ${clean(first.connection.name)}${details}. ${ways}`
}

function patienceLine(open: readonly Operation[], batch: string | null, patience: string, now: number): string {
  const [first, ...rest] = open
  const handle = handleOf(open, batch)
  if (!first) return 'vosctl: still running'
  const where = rest.length > 0 ? `on ${open.length} connections` : `on ${clean(first.connection.name)}`
  const how = rest.length > 0 ? '' : ` (${runningWords(first, now)})`
  return `vosctl: ${handle} still runs ${where} after ${patience}${how}. It goes on. Follow it: vosctl attach ${handle}`
}

function handleOf(open: readonly Operation[], batch: string | null): string {
  return open.length > 1 ? (batch ?? open.map(({ id }) => id).join(' ')) : (open[0]?.id ?? '')
}

function standing(operation: Operation, now: number): { readonly state: string; readonly details: string } {
  if (operation.beganAt === null && !maybeSent(operation)) return { state: 'waiting', details: '' }
  const [, ...words] = runningWords(operation, now).split(', ')
  return { state: 'running', details: words.length > 0 ? ` (${words.join(', ')})` : '' }
}
