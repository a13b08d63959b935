import { formatDuration } from '../../core/duration.ts'
import { isLook, isSettled, type Operation, type Phase } from '../../core/operation.ts'
import { cut, displayWidth, fold } from '../renderers/width.ts'
import {
  agoWords,
  bar,
  cleanDeviceLine,
  clean,
  clock,
  connectionsWords,
  deadlineAt,
  describe,
  deviceWords,
  remainingWords,
  standingAt,
  usualWords,
  waitingWords,
} from '../renderers/words.ts'

/** The lines of the live part of `restart` and `attach`, as text: what is drawn is what is tested. */

/** `r-7k2m9q  restart "Cisco Tomcat" on cucm-pub (10.10.0.10)   accepted 14:02:11`: stands above the live part for ever. */
export function titleLines(
  operations: readonly Operation[],
  batch: string | null,
  columns = Number.POSITIVE_INFINITY,
): string[] {
  const [what, accepted] = titleWords(operations, batch)
  const line = `${what}   ${accepted}`
  // Where it would be broken by the terminal, the time stands below, under the words behind the id.
  if (displayWidth(line) < columns) return [line]
  return [...fold(what, columns - 1), `${' '.repeat(what.indexOf('  ') + 2)}${accepted}`]
}

function titleWords(operations: readonly Operation[], batch: string | null): [what: string, accepted: string] {
  const [first] = operations
  if (!first) return ['', '']
  const accepted = `accepted ${clock(Math.min(...operations.map(({ startedAt }) => startedAt)))}`
  if (operations.length === 1 && batch === null) {
    return [`${first.id}  ${describe(first)} on ${clean(first.connection.name)} (${deviceWords(first)})`, accepted]
  }
  const kinds = new Set(operations.map((operation) => describe(operation)))
  const what = kinds.size === 1 ? describe(first) : 'different work'
  return [`${batch === null ? '' : `${batch}  `}${what} on ${connectionsWords(operations)}`, accepted]
}

interface Step {
  readonly name: string
  readonly phases: readonly Phase[]
}

const RESTART: readonly Step[] = [
  { name: 'connecting', phases: ['connecting', 'ready'] },
  { name: 'sending', phases: ['dispatching'] },
  { name: 'stopping', phases: ['stopping'] },
  { name: 'starting', phases: ['starting'] },
  { name: 'verifying', phases: ['verifying'] },
]
const TEST: readonly Step[] = [
  { name: 'connecting', phases: ['connecting'] },
  { name: 'reading', phases: ['ready'] },
]
const CHECKING: Step = { name: 'checking', phases: ['reconciling'] }

/** A step of the way; null for the time of one that has not begun. */
export interface StepTime extends Step {
  readonly ms: number | null
  readonly isHere: boolean
}

/** What is behind, where it is, what may still come. A step that was passed over is left out, sending unless it lasts. */
export function stepsOf(operation: Operation, now: number): StepTime[] {
  const { phase, phases } = operation
  const steps = isLook(operation) ? TEST : RESTART
  const entered = new Set(phases.map((entry) => entry.phase))
  const isPast = phase === 'reconciling' || phase === 'settled'
  const here = isPast ? steps.length : steps.findIndex((step) => step.phases.includes(phase))
  const times = steps.flatMap((step, index): StepTime[] => {
    const isHere = index === here
    if (index > here) return step.name === 'sending' ? [] : [{ ...step, ms: null, isHere }]
    if (!step.phases.some((name) => entered.has(name)) || (step.name === 'sending' && !isHere)) return []
    const name = step.name === 'sending' && operation.sentAt !== null ? 'sent' : step.name
    return [{ ...step, name, ms: timeIn(step.phases, operation, now), isHere }]
  })
  if (phase !== 'reconciling') return times
  return [...times, { ...CHECKING, ms: timeIn(CHECKING.phases, operation, now), isHere: true }]
}

/** `connecting 0m02s   stopping 0m41s   STARTING 2m29s   verifying` */
export function pathLine(operation: Operation, now: number): string {
  const parts = stepsOf(operation, now).map(({ name, ms, isHere }) => {
    return ms === null ? name : `${isHere ? name.toUpperCase() : name} ${formatDuration(ms)}`
  })
  if (operation.phase === 'accepted') parts.unshift(`WAITING ${formatDuration(now - operation.startedAt)}`)
  return `  ${parts.join('   ')}`
}

/** The time spent in these phases so far, however often they were entered. */
function timeIn(wanted: readonly Phase[], { phases, completedAt }: Operation, now: number): number {
  return phases.reduce((sum, { phase, at }, index) => {
    const left = phases[index + 1]?.at ?? completedAt ?? now
    return wanted.includes(phase) ? sum + Math.max(0, left - at) : sum
  }, 0)
}

/** `  [####......]  71%  3m12s, ~1m20s left` */
export function barLine(operation: Operation, now: number, columns: number): string {
  const { percent, elapsedMs, remainingMs, lateMs } = standingAt(operation, now)
  const width = Math.max(8, Math.min(48, columns - 32))
  const drawn = `  ${bar(shownPercent(operation, percent), width)}`
  const elapsed = formatDuration(elapsedMs)
  if (operation.phase === 'accepted') return `${drawn}  ${waitingWords(operation)}`
  if (lateMs !== null) return `${drawn}  late ${formatDuration(lateMs)}, after ${elapsed}`
  const left = remainingMs === null ? '?' : `${remainingWords(remainingMs)} left`
  return `${drawn} ${String(shownPercent(operation, percent)).padStart(3)}%  ${elapsed}, ${left}`
}

/** 100 is printed with the verdict only. */
export function shownPercent(operation: Operation, percent: number): number {
  return operation.status === 'completed' ? 100 : Math.min(99, percent)
}

/** `  device: Cisco Tomcat[STARTING]  (3 s ago)      usual 3m20-4m30, 11 runs` */
export function deviceLine(operation: Operation, now: number, columns: number): string {
  const { lastLine, lastDeviceAt, usual } = operation
  const { lateMs } = standingAt(operation, now)
  const deadline = deadlineAt(operation)
  const words = usualWords(usual)
  const aside =
    lateMs !== null && deadline !== null
      ? `gives up at ${clock(deadline)}`
      : words === null || !usual
        ? ''
        : `${words}, ${usual.runs} runs`
  const when = lastDeviceAt === null ? '' : `  (${agoWords(now - lastDeviceAt)} ago)`
  const room = columns - 10 - when.length - (aside === '' ? 0 : aside.length + 6)
  const line = lastLine === null ? 'nothing yet' : cleanDeviceLine(lastLine)
  return `  device: ${cut(line, Math.max(12, room))}${when}${aside === '' ? '' : `      ${aside}`}`
}

/** `  4 of 12 done   3 running   5 waiting   0 failed     0m31s, ~0m32s left` */
export function countsLine(operations: readonly Operation[], now: number): string {
  const settled = operations.filter(isSettled)
  const running = operations.filter((operation) => !isSettled(operation) && operation.beganAt !== null)
  const waiting = operations.length - settled.length - running.length
  const done = settled.filter(({ status }) => status === 'completed').length
  const failed = settled.filter(({ status }) => status === 'failed').length
  const unknown = settled.filter(({ status }) => status === 'unknown').length
  const notStarted = settled.length - done - failed - unknown
  const elapsed = formatDuration(now - Math.min(...operations.map(({ startedAt }) => startedAt)))
  const left = remainingOfAll(operations, running, now)
  return [
    `  ${done} of ${operations.length} done   ${running.length} running   ${waiting} waiting   ${failed} failed`,
    unknown > 0 ? `   ${unknown} unknown` : '',
    notStarted > 0 ? `   ${notStarted} not started` : '',
    `     ${elapsed}`,
    left === null ? '' : `, ${remainingWords(left)} left`,
  ].join('')
}

/** The work that is left, divided by as many as run side by side; null as soon as one of them cannot be estimated. */
function remainingOfAll(operations: readonly Operation[], running: readonly Operation[], now: number): number | null {
  const open = operations.filter((operation) => !isSettled(operation))
  const parts = open.map((operation) => {
    if (operation.beganAt !== null) return standingAt(operation, now).remainingMs
    return usualWords(operation.usual) === null ? null : (operation.usual?.p50Ms ?? null)
  })
  if (running.length === 0 || parts.includes(null)) return null
  return parts.reduce<number>((sum, part) => sum + (part ?? 0), 0) / running.length
}

/** The bar over all of them: the mean of what each has reached. */
export function meanPercent(operations: readonly Operation[], now: number): number {
  const sum = operations.reduce((total, operation) => {
    return total + (isSettled(operation) ? 100 : standingAt(operation, now).percent)
  }, 0)
  return Math.floor(sum / Math.max(1, operations.length))
}
