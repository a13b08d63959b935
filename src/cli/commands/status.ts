import { daysWords } from '../../core/duration.ts'
import type { ExitStatus } from '../../core/errors.ts'
import type { Hold } from '../../core/connection.ts'
import { isSettled, needsAcknowledgement, type Operation } from '../../core/operation.ts'
import type { ConnectionView, DaemonInfo } from '../../core/protocol.ts'
import type { Client } from '../client.ts'
import { isMachine, listConnections, printJson, type Context } from '../context.ts'
import { connectionLines, holdWords, oldAlgorithmWords } from '../connection-words.ts'
import { FIRST_STEPS } from '../first-steps.ts'
import { toConnectionJson, toTime } from '../json-documents.ts'
import { findOperation, isOperationId } from '../operations.ts'
import { resultColumns } from '../renderers/choose.ts'
import { toOperationJson } from '../renderers/json.ts'
import { algorithmWords, clean, clock, describe, isFailure, standingAt, verdictWord } from '../renderers/words.ts'
import { runningWords, sentence } from '../renderers/verdict.ts'
import { fields } from '../table.ts'
import { findTarget, unknownTarget } from '../targets.ts'
import { dateWords, longDuration, momentWords } from '../times.ts'
import { historyLines } from './history.ts'
import { inOrder, leftWords } from './ps.ts'

/** Of what is late and of what waits. */
const OPEN_ROWS = 5

/** One page about one connection, one operation, or the whole house. Never a verdict: 0 when it could look. */
export async function status(context: Context, word: string | undefined): Promise<ExitStatus> {
  const client = await context.connect()
  const connections = await listConnections(client)
  if (word === undefined) return await sayHouse(context, client, connections)
  const connection = findTarget(word, connections)
  if (connection) return await sayConnection(context, client, connection)
  if (!isOperationId(word)) throw unknownTarget(word, connections)
  return sayOperation(context, await findOperation(client, word, context.user))
}

async function sayHouse(context: Context, client: Client, connections: readonly ConnectionView[]): Promise<ExitStatus> {
  const { operations } = await client.request('subscribe', { room: 'operations' })
  const unknown = operations.filter(needsAcknowledgement)
  // What still needs a person is told apart from what is over.
  const wrong = await client.request('operation:history', { failed: true, limit: 3 + unknown.length })
  const failures = wrong.filter((operation) => !needsAcknowledgement(operation)).slice(0, 3)
  const now = context.now()
  if (isMachine(context.flags)) {
    const { version, pid, startedAt, historyMs } = client.info
    const documents = (some: readonly Operation[]) => some.map((operation) => toOperationJson(operation, now))
    printJson(context, {
      schema: 'vosctl/status/v1',
      at: toTime(now),
      daemon: { running: true, version, pid, started_at: toTime(startedAt) },
      connections: connections.length,
      // Null: for ever.
      history_kept_ms: historyMs,
      counts: counts(operations),
      unknown: documents(unknown),
      late: documents(lateOf(operations, now)),
      queued: documents(queuedOf(operations)),
      holds: connections.filter(({ hold, loginHold }) => hold ?? loginHold).map(toConnectionJson),
      last_failures: documents(failures),
    })
  } else for (const line of houseLines(client.info, connections, operations, failures, now)) context.print(line)
  return 0
}

/** Longer under way than nine of ten earlier runs, the latest first. */
function lateOf(operations: readonly Operation[], now: number): Operation[] {
  const lateMs = (operation: Operation) => standingAt(operation, now).lateMs ?? -1
  return operations.filter((operation) => lateMs(operation) >= 0).toSorted((a, b) => lateMs(b) - lateMs(a))
}

function queuedOf(operations: readonly Operation[]): Operation[] {
  return inOrder(operations).filter((operation) => operation.beganAt === null && !isSettled(operation))
}

function counts(operations: readonly Operation[]) {
  const open = operations.filter((operation) => !isSettled(operation))
  const running = open.filter(({ beganAt }) => beganAt !== null).length
  return {
    running,
    queued: open.length - running,
    unknown: operations.filter(needsAcknowledgement).length,
    failed: operations.filter(isFailure).length,
    done: operations.filter(({ status }) => status === 'completed').length,
  }
}

/** "Can I go home?" */
export function houseLines(
  daemon: DaemonInfo,
  connections: readonly ConnectionView[],
  operations: readonly Operation[],
  failures: readonly Operation[],
  now: number,
): string[] {
  const { running, queued, unknown, failed, done } = counts(operations)
  const held = connections.filter(({ loginHold }) => loginHold !== null)
  const onHold = connections.flatMap((connection) =>
    connection.hold ? [holdLine(connection, connection.hold, now)] : [],
  )
  const up = longDuration(now - daemon.startedAt)
  const lines = [
    `daemon ${daemon.version} pid ${daemon.pid} up ${up}, history is kept ${daysWords(daemon.historyMs)}`,
    `${connections.length} ${connections.length === 1 ? 'connection' : 'connections'}   ${running} running   ${queued} queued   ${unknown} unknown`,
    `${done} done, ${failed} failed in the last 5 minutes`,
  ]
  if (connections.length === 0) return [...lines, '', ...FIRST_STEPS]
  const needs = [
    ...operations.filter(needsAcknowledgement).map((operation) => {
      const since = momentWords(operation.completedAt ?? operation.startedAt, now)
      const name = clean(operation.connection.name)
      return `  ${name}  ${operation.id}: outcome unknown since ${since}. Look: vosctl verify ${operation.id}`
    }),
    ...held.map(
      ({ name, loginHold }) =>
        `  ${name}  login held since ${momentWords(loginHold?.since ?? now, now)}. Then: vosctl credentials set ${name}`,
    ),
  ]
  const lenient = connections.flatMap((connection) => {
    const words = oldAlgorithmWords(connection, now)
    const name = clean(connection.name)
    return words === null ? [] : [`  ${name}  ${words}. Then: vosctl connections edit ${name} --until …`]
  })
  const openLines = (some: readonly Operation[], words: (operation: Operation) => string) => {
    const shown = some.slice(0, OPEN_ROWS).map((one) => {
      return `  ${clean(one.connection.name)}  ${clean(one.id)}  ${describe(one)}: ${words(one)}`
    })
    return shown.length < some.length ? [...shown, `  and ${some.length - shown.length} more: vosctl ps`] : shown
  }
  const late = openLines(lateOf(operations, now), (operation) => runningWords(operation, now))
  const waiting = openLines(queuedOf(operations), (operation) => leftWords(operation, operations, now))
  if (needs.length > 0) lines.push('', 'Needs a person', ...needs)
  if (late.length > 0) lines.push('', 'Late', ...late)
  if (waiting.length > 0) lines.push('', 'Waiting', ...waiting)
  if (onHold.length > 0) lines.push('', 'On hold', ...onHold)
  if (lenient.length > 0) lines.push('', 'Old algorithms', ...lenient)
  if (failures.length > 0) {
    lines.push('', 'Last failures')
    for (const operation of failures) {
      lines.push(
        `  ${dateWords(operation.startedAt)}  ${operation.id}  ${clean(operation.connection.name)}  ${verdictWord(operation)}: ${sentence(operation)}`,
      )
    }
  }
  const open = running + queued
  const answer =
    open > 0
      ? `Not yet: ${open} ${open === 1 ? 'operation is' : 'operations are'} under way (vosctl watch).`
      : needs.length > 0
        ? 'Nothing is under way, but something needs a person.'
        : 'Nothing is under way, and nothing waits for you.'
  return [...lines, '', answer]
}

function holdLine({ name }: ConnectionView, hold: Hold, now: number): string {
  return `  ${clean(name)}  ${holdWords(hold, now)}. When it is over: vosctl release ${clean(name)}`
}

async function sayConnection(context: Context, client: Client, connection: ConnectionView): Promise<ExitStatus> {
  const { operations } = await client.request('subscribe', { room: `connection:${connection.id}` })
  const open = operations.filter((operation) => !isSettled(operation))
  const over = await client.request('operation:history', { connectionIds: [connection.id], limit: 5 })
  const now = context.now()
  if (isMachine(context.flags)) {
    const items = [...open, ...over].map((operation) => toOperationJson(operation, now))
    printJson(context, { ...toConnectionJson(connection), operations: items })
    return 0
  }
  for (const line of connectionLines(connection, now)) context.print(line)
  if (open.length > 0) context.print('')
  for (const operation of open) {
    context.print(
      `${operation.id}  ${describe(operation)} by ${clean(operation.createdBy)}: ${runningWords(operation, now)}`,
    )
  }
  if (over.length > 0)
    for (const line of ['', ...historyLines(over, resultColumns(context.io.stdout, context.io.env))])
      context.print(line)
  return 0
}

function sayOperation(context: Context, operation: Operation): ExitStatus {
  const now = context.now()
  if (isMachine(context.flags)) printJson(context, toOperationJson(operation, now))
  else for (const line of operationLines(operation, now)) context.print(line)
  return 0
}

export function operationLines(operation: Operation, now: number): string[] {
  const { id, connection, device, createdBy, reason, batch, phases, sentAt, lastLine, lastDeviceAt, error } = operation
  const { completedAt, facts, verified } = operation
  const moment = (at: number | null) => (at === null ? '-' : momentWords(at, now))
  const position = batch ? [['batch', `${batch.id}, ${batch.position} of ${batch.size}`] as const] : []
  const steps = phases.map(({ phase, at }) => `${clock(at)} ${phase}`).join(', ')
  const rows: (readonly [string, string])[] = [
    ['operation', id],
    ['what', `${describe(operation)} on ${clean(connection.name)} (${clean(device)})`],
    ['by', `${clean(createdBy)}, ${moment(operation.startedAt)}`],
    ...(reason === null ? [] : [['reason', clean(reason)] as const]),
    ...position,
    ['state', isSettled(operation) ? verdictWord(operation) : runningWords(operation, now)],
    ['steps', steps],
    ...(facts
      ? [
          ['session', `${clean(facts.software)}, ${algorithmWords(facts.algorithms)}`] as const,
          ['host key', `${clean(facts.hostKey.type)} ${clean(facts.hostKey.fingerprint)}`] as const,
        ]
      : []),
    ['sent', moment(sentAt)],
    ['touched', { none: 'no', possible: 'perhaps', confirmed: 'yes' }[operation.effect]],
    ...(lastLine === null ? [] : [['last line', `${clean(lastLine)} (${moment(lastDeviceAt)})`] as const]),
    ...operation.evidence.map(({ what, value }) => ['evidence', `${clean(what)}: ${clean(value)}`] as const),
    ['message', clean(operation.message)],
    ...(error && error.hint !== '' ? [['next', clean(error.hint)] as const] : []),
    ...(verified
      ? [
          ['verified', `by ${clean(verified.by)}, ${moment(verified.at)} (${verified.look})`] as const,
          ['before', `${clean(verified.was.message)}, ${moment(completedAt)}`] as const,
        ]
      : []),
    ...(operation.acknowledged
      ? [['accepted', `by ${clean(operation.acknowledged.by)}, ${moment(operation.acknowledged.at)}`] as const]
      : []),
  ]
  return [...fields(rows), '', `Everything: vosctl logs ${id}`]
}
