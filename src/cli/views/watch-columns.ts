import { formatDuration } from '../../core/duration.ts'
import { isProven, isSettled, type Operation } from '../../core/operation.ts'
import { milestone } from '../../core/progress.ts'
import type { WatchRow } from '../renderers/watch-board.ts'
import { fit } from '../renderers/width.ts'
import {
  bar,
  clean,
  clock,
  endingMark,
  phaseBeforeEnd,
  remainingWords,
  stateWord,
  tookMs,
  usualWords,
} from '../renderers/words.ts'
import { ordinal } from '../times.ts'
import { shownPercent } from './follow-lines.ts'
import type { Tone } from './Line.tsx'

export interface Column {
  readonly title: string
  readonly width: number
  readonly align?: 'right'
  readonly toned?: true
  readonly text: (row: WatchRow, context: CellContext) => string
}

export interface CellContext {
  readonly seenAt: number
  readonly isStale: boolean
}

/** The columns for a screen this wide; with the three cells of marks before them they stay below its last column. */
export function columnsFor(columns: number): readonly Column[] {
  const room = columns - 1 - 3
  if (columns >= 140) return wide(room)
  if (columns < 46) return fill([name(13), state, left(10)], room)
  if (columns < 60) return fill([name(13), service(15), state, left(10)], room)
  const spare = columns - 80
  const shares =
    spare > 0 ? [Math.floor(spare / 3), Math.floor(spare / 3), spare - 2 * Math.floor(spare / 3)] : [0, 0, 0]
  const [forName = 0, forService = 0, forBar = 0] = shares
  // Down to 60 columns the bar gives way first, then the service.
  const barWidth = Math.max(8, 16 + Math.min(0, spare)) + forBar
  const serviceWidth = 19 + Math.min(0, spare + 8) + forService
  return fill([name(13 + forName), service(serviceWidth), state, progress(barWidth), left(9)], room)
}

function wide(room: number): readonly Column[] {
  const spare = room - 147
  const wideState = { ...state, width: 12 }
  const fixed = [operationId, name(16), service(27 + Math.min(0, spare)), by, started, wideState, progress(28), elapsed]
  return fill([...fixed, { ...left(11), text: wideLeftWords }, note], room)
}

/** The last column takes what is left. */
function fill(columns: readonly Column[], room: number): readonly Column[] {
  const used = columns.slice(0, -1).reduce((sum, { width }) => sum + width, 0)
  const last = columns.at(-1)
  return last ? [...columns.slice(0, -1), { ...last, width: Math.max(0, Math.min(room - used, 40)) }] : columns
}

/** `>`, then what kind of row it is. */
export function marks(row: WatchRow, isSelected: boolean): string {
  return `${isSelected ? '>' : ' '}${markOf(row)} `
}

function markOf({ operation, group }: WatchRow): string {
  if (isSettled(operation)) return endingMark(operation)
  if (group === 'late') return '!'
  return group === 'queued' ? '.' : ' '
}

export function toneOf({ operation, group }: WatchRow, { isStale }: CellContext): Tone {
  if (isStale) return 'faint'
  if (group === 'unknown') return 'late'
  if (operation.status === 'completed') return 'good'
  if (group === 'failed') return 'bad'
  if (group === 'late') return 'late'
  return group === 'running' ? 'plain' : 'faint'
}

/** Every cell with its width, so that a row is a line of known length. */
export function cellsOf(row: WatchRow, columns: readonly Column[], context: CellContext): string[] {
  return columns.map(({ text, width, align }) => fit(text(row, context), width, align))
}

export function titlesOf(columns: readonly Column[]): string {
  return `   ${columns.map(({ title, width, align }) => fit(title, width, align)).join('')}`
}

const name = (width: number): Column => ({
  title: 'CONNECTION',
  width,
  text: ({ operation }) => `${fit(clean(operation.connection.name), width - 1)} `,
})

const service = (width: number): Column => ({
  title: 'SERVICE',
  width,
  text: ({ operation }) => `${fit(workWords(operation), width - 1)} `,
})

const state: Column = {
  title: 'STATE',
  width: 11,
  toned: true,
  text: ({ operation }, { isStale }) => {
    const word = stateWord(operation)
    // The state a moment ago is not the state now.
    return isStale && !isSettled(operation) ? `(${word})` : word
  },
}

/** The bar, and a number only where there is ground for one: not under three earlier runs, and not when it is late. */
const progress = (barWidth: number): Column => ({
  title: 'PROGRESS',
  width: barWidth + 8,
  text: (row) => {
    const { operation, standing, group } = row
    if (operation.status === 'completed') return `${bar(100, barWidth)} 100% `
    if (isSettled(operation)) return bar(percentBeforeEnd(operation), barWidth)
    if (group === 'queued') return bar(0, barWidth)
    if (!standing.known) return bar(null, barWidth)
    const number = standing.lateMs === null ? `${String(shownPercent(operation, standing.percent)).padStart(4)}%` : ''
    return `${bar(shownPercent(operation, standing.percent), barWidth)}${number}`
  },
})

const left = (width: number): Column => ({ title: 'LEFT', width, toned: true, text: leftWords })

const operationId: Column = { title: 'OP', width: 9, text: ({ operation }) => `${fit(operation.id, 8)} ` }
const by: Column = {
  title: 'BY',
  width: 11,
  text: ({ operation }) => `${fit(clean(operation.batch?.id ?? operation.createdBy), 10)} `,
}
const started: Column = {
  title: 'STARTED',
  width: 9,
  text: ({ operation }) => (operation.beganAt === null ? '-' : clock(operation.beganAt)),
}
const elapsed: Column = {
  title: 'ELAPSED',
  width: 9,
  text: ({ operation, standing }) => {
    const words = operation.beganAt === null ? '-' : formatDuration(standing.elapsedMs)
    return `${words.padStart(7)}  `
  },
}
const note: Column = {
  title: 'NOTE',
  width: 20,
  text: ({ operation, group, after }) => {
    if (group === 'unknown') return 'v verify  k ack'
    if (group === 'failed') return failureWords(operation)
    if (operation.status === 'completed') return isProven(operation) ? 'proved running' : ''
    if (group === 'late') return usualWords(operation.usual) ?? ''
    if (after !== null) return `after ${clean(after)}`
    if (group !== 'running' || usualWords(operation.usual) !== null) return ''
    return operation.usual ? 'few runs here' : 'first run here'
  },
}

function failureWords({ error }: Operation): string {
  const code = error?.code ?? ''
  return /timeout|deadline/.test(code) ? 'timed out' : code.replaceAll('_', ' ')
}

function workWords({ type, service, subject }: Operation): string {
  if (subject !== null) return `verify ${subject}`
  const verb = { ssh_test: 'test', verify: 'verify', service_restart: null, certificate_renewal: null }[type]
  if (verb !== null) return service === null ? verb : `${verb} ${clean(service)}`
  return clean(service ?? 'default')
}

function leftWords({ operation, standing, group, place }: WatchRow): string {
  switch (operation.status) {
    case 'pending':
      return place === null ? '' : place === 1 ? 'next' : ordinal(place)
    case 'completed':
      return `in ${formatDuration(tookMs(operation) ?? 0)}`
    case 'unknown':
      return group === 'unknown' ? 'look' : 'accepted'
    case 'failed':
      // It has looked already.
      if (operation.type === 'verify') return ''
      return failureWords(operation) === 'timed out' ? 'timed out' : 'look'
    case 'cancelled':
    case 'interrupted':
      return ''
    case 'in_progress':
      break
    default:
      return operation.status satisfies never
  }
  const word = remainingWord(standing)
  return word === '?' ? `${formatDuration(standing.elapsedMs)}, ?` : word
}

function remainingWord({ lateMs, remainingMs }: WatchRow['standing']): string {
  if (lateMs !== null) return `late ${shortDuration(lateMs)}`
  return remainingMs === null ? '?' : remainingWords(remainingMs)
}

/** Beside a note and the time so far only what is left. */
function wideLeftWords({ operation, standing }: WatchRow): string {
  if (operation.status === 'in_progress') return remainingWord(standing)
  return operation.status === 'completed' ? '' : '-'
}

/** `0m43`, `12m`: four letters beside "late". */
function shortDuration(ms: number): string {
  const text = formatDuration(ms)
  return text.length > 5 ? text.replace(/m.*$/, 'm') : text.replace(/s$/, '')
}

/** How far it had come: a failure that fills the bar would look like a success. */
function percentBeforeEnd(operation: Operation): number {
  if (operation.status !== 'failed') return operation.progress
  return milestone({ ...operation, status: 'in_progress', phase: phaseBeforeEnd(operation), progress: 0 })
}
