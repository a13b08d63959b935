import { formatDuration } from '../../core/duration.ts'
import { isSettled, type Operation } from '../../core/operation.ts'
import { longDuration } from '../times.ts'
import { endingWords } from '../renderers/verdict.ts'
import type { Link, WatchFrame, WatchRow } from '../renderers/watch-board.ts'
import { cut, displayWidth, spread } from '../renderers/width.ts'
import { clean, clock } from '../renderers/words.ts'

/** A screen this wide also says which daemon it is, what is held, and how far behind exactly. */
const WIDE = 120

export interface WatchHeader {
  readonly stateDirectory: string
  readonly version: string
  readonly pid: number
  readonly startedAt: number
}

/** What the person has done to the picture: it must be told beside it. */
export interface Lens {
  /** Events since it was paused; null when it is not. */
  readonly missed: number | null
  readonly filter: string
  /** Rows that the filter hides. */
  readonly hidden: number
}

/** `vosctl watch                         14:05:23   live` */
export function headerLine({ now, link, rows }: WatchFrame, header: WatchHeader, lens: Lens, columns: number): string {
  const { stateDirectory, version, pid, startedAt } = header
  const { filter, hidden, missed } = lens
  const isWide = columns >= WIDE
  const daemon = `daemon ${clean(version)} pid ${pid} up ${upWords(now - startedAt)}`
  const left = [
    'vosctl watch',
    filter === '' ? '' : `filter "${clean(filter)}" hides ${hidden}`,
    ...(isWide ? [`state ${clean(stateDirectory)}`, daemon] : []),
  ]
  const busy = rows.some(({ operation }) => !isSettled(operation))
  // Seconds only while something runs: a quiet house has a quiet screen.
  const time = busy || link.type !== 'live' ? clock(now) : clock(now).slice(0, 5)
  const words = linkWords(link, now, isWide)
  const paused = missed === null ? '' : `paused, ${missed} ${missed === 1 ? 'change' : 'changes'} since`
  // Paused does not hide that the daemon is gone.
  const state = paused === '' ? words : link.type === 'live' ? paused : `${paused}; ${words}`
  return spread(
    left.filter((part) => part !== '').join('   '),
    `${isWide ? dayWords(now) : ''}${time}   ${state}`,
    columns - 1,
  )
}

function linkWords(link: Link, now: number, isWide: boolean): string {
  switch (link.type) {
    case 'reading':
      return 'reading'
    case 'live': {
      const tenths = (link.ms / 1000).toFixed(1)
      return isWide && tenths !== '0.0' ? `live, ${tenths} s behind` : 'live'
    }
    case 'behind':
      return `${Math.max(1, Math.round(link.ms / 1000))} s behind`
    case 'gone':
      return `reconnecting (daemon gone ${formatDuration(now - link.since)})`
    default:
      return link satisfies never
  }
}

/** Without seconds, because nobody waits for them: `6d 3h`, `3h05m`, `12m`. */
function upWords(ms: number): string {
  return longDuration(ms).replace(/m\d\ds$/, 'm')
}

/** `Sun 22 Nov ` */
function dayWords(at: number): string {
  const [day = '', month = '', date = ''] = new Date(at).toDateString().split(' ')
  return `${day} ${Number(date)} ${month} `
}

/** `6 running, 1 late   2 queued   1 failed   1 unknown   2 done in the last 5 min` */
export function countsLine(frame: WatchFrame, columns: number): string {
  if (frame.link.type === 'reading') return ''
  const { running, late, queued, failed, unknown, done } = counts(frame.rows)
  const holds = columns >= WIDE ? (frame.house?.holds ?? 0) : 0
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
    holds > 0 ? `   ${holds} ${holds === 1 ? 'hold' : 'holds'}` : '',
  ]
  return cut(parts.filter((part) => part !== '').join('   '), columns - 1)
}

/** What happened last, the newest first: `14:05:12 web-09 nginx restarted in 0m11s   …` */
export function happeningsLine(rows: readonly WatchRow[], columns: number): string {
  const happened = rows.flatMap(({ operation }) => happenings(operation)).toSorted((a, b) => b.at - a.at)
  let line = ''
  for (const { at, text } of happened) {
    const longer = `${line}${line === '' ? '' : '   '}${clock(at)} ${text}`
    if (displayWidth(longer) >= columns) break
    line = longer
  }
  return line
}

function happenings(operation: Operation): { readonly at: number; readonly text: string }[] {
  const { connection, service, completedAt, lateAt, verified, acknowledged } = operation
  const name = clean(connection.name)
  const what = service === null ? name : `${name} ${clean(service)}`
  return [
    ...(completedAt === null ? [] : [{ at: verified?.at ?? completedAt, text: `${what} ${endingWords(operation)}` }]),
    ...(lateAt === undefined || isSettled(operation) ? [] : [{ at: lateAt, text: `${what} is late` }]),
    ...(acknowledged === null ? [] : [{ at: acknowledged.at, text: `${what} accepted by ${clean(acknowledged.by)}` }]),
  ]
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

const KEYS = [
  'up/dn select   enter details   l log   c cancel   a attach   / filter   p pause screen   ? help   q quit',
  'up/dn select  enter details  l log  c cancel  / filter  p pause  ? help  q quit',
  'enter details  l log  c cancel  / filter  ? help  q quit',
  '? help  q quit',
] as const

/** As many keys as there is room for; help and quit always. */
export function keysLine(columns: number): string {
  return KEYS.find((keys) => keys.length < columns) ?? cut(KEYS[3], columns - 1)
}

export const HELP = [
  'up, down        select a row; page up, page down, home and end move further',
  'enter           details of the selected operation; escape back',
  'l               its whole log, live; up and down scroll, escape back',
  '/               filter by connection, service, operation or state; escape shows all',
  'p               pause: the picture stands still, nothing is lost',
  'a               attach: leave this screen and follow the selected operation',
  'c               cancel the selected operation, if nothing was sent yet',
  'v               verify: look at the device of the selected operation, read-only',
  'k               acknowledge an unknown outcome and free its connection',
  'Ctrl-L          draw the whole screen anew',
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
