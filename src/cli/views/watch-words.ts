import { formatDuration } from '../../core/duration.ts'
import { isSettled, maybeSent, needsAcknowledgement, type Operation } from '../../core/operation.ts'
import { runningWords, sentence, untouchedWords } from '../renderers/verdict.ts'
import type { DeviceLine, Link, WatchFrame, WatchRow } from '../renderers/watch-board.ts'
import { cut, fit, spread } from '../renderers/width.ts'
import { agoWords, clean, cleanDeviceLine, clock, deadlineAt, describe, usualWords } from '../renderers/words.ts'
import { pathLine } from './follow-lines.ts'

export interface WatchHeader {
  readonly stateDirectory: string
  readonly version: string
  readonly pid: number
}

/** `vosctl watch                         14:05:23   live` */
export function headerLine({ now, link, rows }: WatchFrame, header: WatchHeader, columns: number): string {
  const { stateDirectory, version, pid } = header
  const home = columns >= 120 ? `   state ${clean(stateDirectory)}   daemon ${clean(version)} pid ${pid}` : ''
  const busy = rows.some(({ operation }) => !isSettled(operation))
  // Seconds only while something runs: a quiet house has a quiet screen.
  const time = busy || link.type !== 'live' ? clock(now) : clock(now).slice(0, 5)
  return spread(`vosctl watch${home}`, `${time}   ${linkWords(link, now)}`, columns - 1)
}

function linkWords(link: Link, now: number): string {
  switch (link.type) {
    case 'reading':
    case 'live':
      return link.type
    case 'behind':
      return `${Math.round(link.ms / 1000)} s behind`
    case 'gone':
      return `reconnecting (daemon gone ${formatDuration(now - link.since)})`
    default:
      return link satisfies never
  }
}

/** `6 running, 1 late   2 queued   1 failed   1 unknown   2 done in the last 5 min` */
export function countsLine(frame: WatchFrame, columns: number): string {
  if (frame.link.type === 'reading') return ''
  const { running, late, queued, failed, unknown, done } = counts(frame.rows)
  const parts = [
    running + late === 0
      ? 'nothing is running'
      : late === 0
        ? `${running} running`
        : `${running} running, ${late} late`,
    queued > 0 ? `${queued} queued` : '',
    failed > 0 ? `${failed} failed` : '',
    unknown > 0 ? `${unknown} unknown` : '',
    done > 0 ? `${done} done in the last 5 min` : '',
    frame.link.type === 'gone' ? `stale: as of ${clock(frame.seenAt)}` : '',
  ]
  return cut(parts.filter((part) => part !== '').join('   '), columns - 1)
}

/** Running and late exclude one another, here as on the screen. */
export function counts(rows: readonly WatchRow[]) {
  const count = (test: (row: WatchRow) => boolean) => rows.filter(test).length
  return {
    running: count(({ operation, group }) => group === 'running' && !isSettled(operation)),
    late: count(({ operation, group }) => group === 'late' && !isSettled(operation)),
    queued: count(({ group }) => group === 'queued'),
    failed: count(({ group }) => group === 'failed'),
    unknown: count(({ group }) => group === 'unknown'),
    done: count(({ operation }) => isSettled(operation) && operation.status === 'completed'),
  }
}

export const KEYS = 'up/dn select  v verify  k ack  c cancel  ? help  q quit'

export const HELP = [
  'up, down        select a row; page up, page down, home and end move further',
  'c               cancel the selected operation, if nothing was sent yet',
  'v               verify: look at the device of the selected operation, read-only',
  'k               acknowledge an unknown outcome and free its connection',
  '?               this help',
  'q, Ctrl-C       leave; what runs goes on',
  '',
  '? unknown: look at the device   x failed   ! late   . queued   + done',
  'An elapsed time with "?" beside it: too few earlier runs to tell what is left.',
] as const

export const EMPTY = [
  'Nothing is going on.',
  '  Restart a service   vosctl restart <target> -s "<service>"',
  '  Test a login        vosctl test <target>',
] as const

/** Three lines about the selected operation: who and what, how it stands, what can be done. */
export function shortDetail({ operation }: WatchRow, frame: WatchFrame, columns: number): string[] {
  return [titleOf(operation), nowLine(operation, frame), actionsLine(operation)].map((line) => cut(line, columns - 1))
}

/** The same and more: the way so far on the left, the device's words on the right. */
export function tallDetail(row: WatchRow, frame: WatchFrame, columns: number, height: number): string[] {
  const { operation } = row
  const width = columns - 1
  const half = columns >= 120 ? Math.floor(width / 2) : width
  const facts = [
    titleOf(operation),
    '',
    pathLine(operation, operation.completedAt ?? frame.seenAt).trim(),
    nowLine(operation, frame),
    '',
    actionsLine(operation),
  ]
  const lines = frame.linesOf(operation.id)
  if (half === width) return [...facts, ...transcript(lines, height - facts.length)].map((line) => cut(line, width))
  const said = ['device transcript', ...transcript(lines, height - 1)]
  return Array.from({ length: height }, (_, index) =>
    cut(`${fit(facts[index] ?? '', half - 1)} | ${said[index] ?? ''}`, width),
  )
}

function transcript(lines: readonly DeviceLine[], count: number): string[] {
  return lines.slice(-Math.max(1, count)).map(({ at, text }) => `${clock(at)}  ${text}`)
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
