import { formatDuration } from '../../core/duration.ts'
import { isSettled, maybeSent, needsAcknowledgement, type Operation } from '../../core/operation.ts'
import { RUNS_BEFORE_ESTIMATE } from '../../core/progress.ts'
import { runningWords, sentence, untouchedWords } from '../renderers/verdict.ts'
import type { DeviceLine, WatchFrame, WatchRow } from '../renderers/watch-board.ts'
import { cut, fit } from '../renderers/width.ts'
import { agoWords, clean, cleanDeviceLine, clock, deadlineAt, describe, usualWords } from '../renderers/words.ts'
import { pathLine, stepsOf, type StepTime } from './follow-lines.ts'

/** From here on the way and the transcript stand side by side. */
const SPLIT_COLUMNS = 120

/** Where the bar between the two halves of the detail area stands; null when there is none. */
export function splitAt(columns: number): number | null {
  return columns < SPLIT_COLUMNS ? null : Math.floor((columns - 1) / 2)
}

/** The lines of the detail area. */
export function detailLines(row: WatchRow, frame: WatchFrame, columns: number, height: number): string[] {
  const lines = height > 3 ? tallDetail(row, frame, columns, height) : shortDetail(row, frame)
  return lines.map((line) => cut(line, columns - 1))
}

/** Three lines about the selected operation: who and what, how it stands, what can be done. */
function shortDetail({ operation }: WatchRow, frame: WatchFrame): string[] {
  return [titleOf(operation), nowLine(operation, frame), actionsLine(operation)]
}

/** The same and more: the way so far, and the device's words beside or below it. */
function tallDetail(row: WatchRow, frame: WatchFrame, columns: number, height: number): string[] {
  const { operation } = row
  const said = transcript(frame.lines.get(operation.id) ?? [])
  const half = splitAt(columns)
  if (half === null) {
    const way = pathLine(operation, operation.completedAt ?? frame.seenAt).trim()
    const facts = [titleOf(operation), way, nowLine(operation, frame), actionsLine(operation), '']
    return [...facts, ...said.slice(facts.length - height)]
  }
  const facts = wayLines(operation, frame)
  const beside = ['device transcript (l: full log)', '', ...said.slice(2 - height)]
  return Array.from({ length: height }, (_, index) => {
    const text = beside[index] ?? ''
    return `${fit(` ${facts[index] ?? ''}`, half)}|${text === '' ? '' : ` ${text}`}`
  })
}

/** Everything that is known of one operation, for a whole screen; the transcript fills what is left. */
export function detailPage({ operation }: WatchRow, frame: WatchFrame, columns: number, height: number): string[] {
  const { reason, evidence, error } = operation
  const hint = error?.hint ? [`next: ${clean(error.hint)}`] : []
  const known = evidence.map(({ at, what, value }) => `${clock(at)}  ${clean(what)}: ${clean(value)}`)
  const facts = [
    ...wayLines(operation, frame),
    ...(reason === null ? [] : [`because: ${clean(reason)}`]),
    ...hint,
    ...section('evidence', known),
  ]
  const said = section('device transcript (l: full log)', transcript(frame.lines.get(operation.id) ?? []))
  const [blank = '', title = '', ...lines] = said
  const room = height - facts.length - 2
  const rest = room > 0 && said.length > 0 ? [blank, title, ...lines.slice(-room)] : []
  return [...facts, ...rest].map((line) => cut(` ${line}`, columns - 1))
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines]
}

/** The way with the time of each step, as long as the detail area is high. */
function wayLines(operation: Operation, frame: WatchFrame): string[] {
  const { connection, id, completedAt, lastDeviceAt, deadlineMs } = operation
  const deadline = deadlineAt(operation)
  const end =
    completedAt !== null
      ? [wayLine('ended', clock(completedAt), '')]
      : deadline !== null
        ? [wayLine('deadline', clock(deadline), `(${formatDuration(deadlineMs)} after it began)`)]
        : []
  const seenAgo = isSettled(operation) || lastDeviceAt === null ? null : agoWords(frame.seenAt - lastDeviceAt)
  const now = seenAgo === null ? nowLine(operation, frame) : `last byte from the device ${seenAgo} ago`
  return [
    `${clean(connection.name)}   ${id}   ${describe(operation)}`,
    '',
    wayLine('accepted', clock(operation.startedAt), byWords(operation)),
    ...stepsOf(operation, completedAt ?? frame.seenAt).map((step) => stepLine(step, operation)),
    ...end,
    '',
    now,
    ...(needsAcknowledgement(operation) || (isSettled(operation) && operation.status !== 'completed')
      ? [actionsLine(operation)]
      : []),
  ]
}

function wayLine(name: string, value: string, aside: string): string {
  return `${fit(name, 14)}${fit(value, 11)}${aside}`.trimEnd()
}

function stepLine({ name, phases, ms, isHere }: StepTime, operation: Operation): string {
  if (ms === null) return wayLine(name, '-', '')
  const { usual, facts } = operation
  const time = formatDuration(ms)
  if (name === 'connecting' && facts) {
    return wayLine(name, time, `host key ${shortKey(facts.hostKey.fingerprint)} ok, login ok`)
  }
  if (!usual || usual.runs < RUNS_BEFORE_ESTIMATE) return wayLine(name, time, '')
  const sum = (of: Partial<Record<string, number>>) => phases.reduce((total, phase) => total + (of[phase] ?? 0), 0)
  const [p50, p90] = [sum(usual.phases), sum(usual.phasesP90 ?? {})]
  if (p50 === 0) return wayLine(name, time, '')
  const words = `usual ${formatDuration(p50)}${p90 > p50 ? ` - ${formatDuration(p90)}` : ''}`
  const isLate = isHere && (p90 > 0 ? ms > p90 : operation.lateAt !== undefined)
  return wayLine(name, time, isLate ? `${fit(words, 31)}<-- late` : words)
}

/** `SHA256:3k..Qe` */
function shortKey(fingerprint: string): string {
  return clean(fingerprint).replace(/^(\w+:..).*(..)$/, '$1..$2')
}

function byWords({ batch, createdBy }: Operation): string {
  const by = clean(createdBy)
  return batch === null ? `by ${by}` : `by batch ${batch.id}, step ${batch.position} of ${batch.size} (${by})`
}

/** The lines as they came; of one that came many times the first, how many, and the last. */
function transcript(lines: readonly DeviceLine[]): string[] {
  return lines.flatMap(({ at, text, again, lastAt }) => [
    `${clock(at)}  ${text}`,
    ...(again > 1 ? [`          ... ${again - 1} lines like this ...`] : []),
    ...(again > 0 ? [`${clock(lastAt)}  ${text}`] : []),
  ])
}

function titleOf(operation: Operation): string {
  const { connection, id, createdBy, startedAt } = operation
  return `${clean(connection.name)}  ${id}  ${describe(operation)}  by ${clean(createdBy)} at ${clock(startedAt)}`
}

function nowLine(operation: Operation, { seenAt }: WatchFrame): string {
  if (isSettled(operation)) {
    const word = operation.status === 'unknown' ? 'unknown: ' : ''
    return `${word}${sentence(operation)}${untouchedWords(operation)}`
  }
  if (operation.lastLine === null || operation.lastDeviceAt === null) return runningWords(operation, seenAt)
  const ago = agoWords(seenAt - operation.lastDeviceAt)
  return `${runningWords(operation, seenAt)}; device: ${cleanDeviceLine(operation.lastLine)} (${ago} ago)`
}

function actionsLine(operation: Operation): string {
  const { id, usual } = operation
  if (needsAcknowledgement(operation))
    return 'v verify on the device (read-only)    k acknowledge and free the connection'
  if (isSettled(operation)) return `vosctl logs ${id}`
  const deadline = deadlineAt(operation)
  const words = usualWords(usual)
  return [
    maybeSent(operation) ? '' : 'c cancel',
    words === null ? 'no estimate under 3 earlier runs' : `${words}, ${usual?.runs} runs`,
    deadline === null ? '' : `gives up at ${clock(deadline)}`,
  ]
    .filter((part) => part !== '')
    .join('    ')
}
