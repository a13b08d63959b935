import { formatDuration } from '../core/duration.ts'
import { exitStatusOf, type ExitStatus } from '../core/errors.ts'
import { maybeSent, type Operation, type OperationType } from '../core/operation.ts'
import type { Refusal } from '../core/protocol.ts'
import { combineExitStatus } from '../core/verdict.ts'
import type { Wanted } from './refused-error.ts'
import { errorLines } from './report.ts'
import {
  aboutWords,
  clean,
  clock,
  describe,
  quoted,
  remainingWords,
  standingAt,
  stateWord,
  waitingWords,
} from './renderers/words.ts'

export interface RefusalSurroundings {
  readonly tty: boolean
  readonly now: number
  readonly wanted: Wanted
}

/** All refusals of one request share one exit status, or are mixed. */
export function refusalStatus(refused: readonly Refusal[]): ExitStatus {
  return combineExitStatus(refused.map(({ code }) => exitStatusOf(code)))
}

/** What the person reads who was refused. A duplicate names who is in the way, and how to get on. */
export function refusalLines(refused: readonly Refusal[], surroundings: RefusalSurroundings): string[] {
  const [only] = refused
  if (refused.length === 1 && only) return oneRefusal(only, 4, surroundings)
  const status = refusalStatus(refused)
  const lines = refused.flatMap((refusal) => oneRefusal(refusal, status, { ...surroundings, tty: false }))
  return [...lines, `vosctl: ${refused.length} targets refused, so nothing was started on any.`]
}

function oneRefusal(refusal: Refusal, status: ExitStatus, surroundings: RefusalSurroundings): string[] {
  const { holder, connection } = refusal
  if (refusal.code !== 'already_running' || !holder || !connection) {
    return errorLines({ ...refusal, deviceLines: refusal.deviceLines ?? [] })
  }
  return surroundings.tty
    ? busyScreen(clean(connection.name), holder, surroundings)
    : [busyLine(clean(connection.name), holder, status, surroundings)]
}

function busyScreen(name: string, holder: Operation, { now, wanted }: RefusalSurroundings): string[] {
  const { id } = holder
  const indent = ' '.repeat(id.length + 3)
  const ago = formatDuration(now - holder.startedAt)
  return [
    `vosctl: ${name} ${situation(holder, wanted)}. Nothing was sent to it.`,
    '',
    `  ${id}   ${describe(holder)}, started ${clock(holder.startedAt)} by ${clean(holder.createdBy)} (${ago} ago)`,
    `  ${indent}${standing(holder, now).join(', ')}`,
    '',
    `  Follow it           vosctl attach ${id}`,
    `  Run again after it  ${againAfter(holder, wanted, name)}`,
    `  See everything      vosctl watch`,
  ]
}

/** One can wait for a device: behind that one there is no place. */
function againAfter(holder: Operation, wanted: Wanted, name: string): string {
  const isInLine = holder.phase === 'accepted' && holder.after !== undefined
  // Without it another service would be restarted: the connection's own.
  const service = wanted.isNamed && wanted.service !== null ? ` -s ${quoted(wanted.service)}` : ''
  const again = `vosctl ${verb(wanted.type)} ${name}${service}`
  return wanted.type === 'service_restart' && !isInLine
    ? `${again} --if-running queue`
    : `vosctl wait ${holder.id} && ${again}`
}

/** What runs there is in the facts already, so the sentence about it is left out. */
function busyLine(name: string, holder: Operation, status: ExitStatus, { now }: RefusalSurroundings): string {
  const by = `by ${clean(holder.createdBy)} since ${clock(holder.startedAt)}`
  const { remainingMs } = standingAt(holder, now)
  const left = remainingMs === null ? [] : [`${remainingWords(remainingMs)} left`]
  const state = holder.phase === 'reconciling' ? 'being checked after an interruption' : word(holder)
  const facts = [`${describe(holder)} ${by}`, state, ...left].join(', ')
  return `vosctl: busy: ${name} has ${holder.id} (${facts}); nothing was sent; exit ${status}. Follow: vosctl attach ${holder.id}`
}

/** `is busy`, and with what if it is not the same that was asked for. */
function situation(holder: Operation, wanted: Wanted): string {
  if (holder.phase === 'reconciling') return 'is being checked after an interruption'
  if (holder.type === 'certificate_renewal' && wanted.type !== holder.type) return 'is busy with a certificate renewal'
  if (holder.type !== wanted.type)
    return `is busy with a ${holder.type === 'verify' ? 'look at it' : verb(holder.type)}`
  if (holder.type === 'service_restart' && isOther(holder.service, wanted.service)) {
    return `is busy with a restart of "${clean(holder.service ?? '')}"`
  }
  return 'is busy'
}

/** A service may be named by its beginning, so one that begins like the other may be the same. */
function isOther(running: string | null, wanted: string | null): boolean {
  if (running === null || wanted === null) return false
  const [a, b] = [running.toLowerCase(), wanted.toLowerCase()]
  return !a.startsWith(b) && !b.startsWith(a)
}

/** `starting`, `71 %`, `about 1m20s left`; nothing that has no ground. */
function standing(holder: Operation, now: number): string[] {
  const { known, percent, remainingMs, lateMs } = standingAt(holder, now)
  if (lateMs !== null) return [word(holder), `late ${formatDuration(lateMs)}`]
  return [
    word(holder),
    ...(known ? [`${percent} %`] : []),
    ...(remainingMs === null ? [] : [`about ${aboutWords(remainingMs)} left`]),
  ]
}

function word(holder: Operation): string {
  return holder.phase === 'accepted' && !maybeSent(holder) ? waitingWords(holder) : stateWord(holder)
}

function verb(type: OperationType): string {
  return { service_restart: 'restart', ssh_test: 'test', verify: 'verify', certificate_renewal: 'renewal' }[type]
}
