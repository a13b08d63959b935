import { isSettled, needsAcknowledgement, type Operation, type RecordedEvent } from '../../core/operation.ts'
import type { Update } from '../follow.ts'
import { cleanDeviceLine, isFailure, standingAt, type Standing } from './words.ts'

/** Settled operations leave the board after this, as they leave the daemon's. */
const ON_BOARD_MS = 5 * 60_000
/** A finished row stays where it was for this long before it moves down. */
const STAYS_MS = 30_000
/** The daemon beats every 5 s; longer silence means that what is drawn is old. */
const BEHIND_AFTER_MS = 7_000
/** Device lines kept for the detail area, per operation. */
const LINES_KEPT = 20

export type Link =
  /** The board has not come yet: an empty list would be a lie. */
  | { readonly type: 'reading' }
  | { readonly type: 'live' }
  | { readonly type: 'behind'; readonly ms: number }
  | { readonly type: 'gone'; readonly since: number }

export interface DeviceLine {
  readonly at: number
  readonly text: string
}

export interface WatchRow {
  readonly operation: Operation
  readonly standing: Standing
  readonly group: Group
  /** Place in its batch's queue, from 1; null when it does not wait. */
  readonly place: number | null
}

export interface WatchFrame {
  readonly now: number
  /** When the picture was true: `now`, or when the daemon went. */
  readonly seenAt: number
  readonly link: Link
  /** In the order in which they are drawn. */
  readonly rows: readonly WatchRow[]
  readonly linesOf: (id: string) => readonly DeviceLine[]
}

/** In drawing order: what needs a person comes first. */
export const GROUPS = ['unknown', 'failed', 'late', 'running', 'queued', 'done'] as const
export type Group = (typeof GROUPS)[number]

/** All operations as the dashboard knows them. Changed by updates, read once a frame. */
export class WatchBoard {
  readonly #operations = new Map<string, Operation>()
  readonly #lines = new Map<string, readonly DeviceLine[]>()
  #heardAt: number
  #isKnown = false
  #goneSince: number | null = null

  constructor(now: number) {
    this.#heardAt = now
  }

  receive(update: Update, now: number): void {
    if (update.type === 'disconnected') {
      this.#goneSince = update.since
      return
    }
    this.#goneSince = null
    this.#heardAt = now
    if (update.type === 'event') {
      this.#operations.set(update.operation.id, update.operation)
      this.#addLine(update.recorded)
    }
    if (update.type === 'snapshot') {
      this.#isKnown = true
      this.#operations.clear()
      for (const operation of update.operations) this.#operations.set(operation.id, operation)
      for (const id of this.#lines.keys()) if (!this.#operations.has(id)) this.#lines.delete(id)
    }
  }

  /** The transcript so far of an operation that ran before this watch began. */
  addTranscript(id: string, events: readonly RecordedEvent[]): void {
    if (!this.#operations.has(id)) return
    const first = this.#lines.get(id)?.[0]
    const earlier = events.flatMap(linesIn).filter(({ at }) => first === undefined || at < first.at)
    this.#lines.set(id, [...earlier, ...(this.#lines.get(id) ?? [])].slice(-LINES_KEPT))
  }

  frame(now: number): WatchFrame {
    for (const operation of this.#operations.values()) if (hasLeft(operation, now)) this.#forget(operation.id)
    const seenAt = this.#goneSince ?? now
    const places = queuePlaces(this.#operations.values())
    const rows = [...this.#operations.values()]
      .map((operation): WatchRow => {
        const standing = standingAt(operation, seenAt)
        return {
          operation,
          standing,
          group: groupOf(operation, standing, now),
          place: places.get(operation.id) ?? null,
        }
      })
      .toSorted(inOrder)
    return { now, seenAt, link: this.#link(now), rows, linesOf: (id) => this.#lines.get(id) ?? [] }
  }

  #link(now: number): Link {
    if (this.#goneSince !== null) return { type: 'gone', since: this.#goneSince }
    if (!this.#isKnown) return { type: 'reading' }
    const ms = now - this.#heardAt
    return ms > BEHIND_AFTER_MS ? { type: 'behind', ms } : { type: 'live' }
  }

  #addLine(recorded: RecordedEvent): void {
    const lines = linesIn(recorded)
    if (lines.length === 0) return
    const { operationId } = recorded
    this.#lines.set(operationId, [...(this.#lines.get(operationId) ?? []), ...lines].slice(-LINES_KEPT))
  }

  #forget(id: string): void {
    this.#operations.delete(id)
    this.#lines.delete(id)
  }
}

function linesIn({ event, at }: RecordedEvent): DeviceLine[] {
  if (event.type === 'line') return [{ at, text: cleanDeviceLine(event.text) }]
  return event.type === 'gap' ? [{ at, text: `... ${event.lines} lines left out` }] : []
}

/** Those that need a person stay, however old they are. */
function hasLeft(operation: Operation, now: number): boolean {
  if (!isSettled(operation) || needsAcknowledgement(operation)) return false
  const { completedAt, acknowledged, verified } = operation
  const since = Math.max(completedAt ?? 0, acknowledged?.at ?? 0, verified?.at ?? 0)
  // Nor does a clock that was set back keep them for ever.
  return Math.abs(now - since) > ON_BOARD_MS
}

function groupOf(operation: Operation, standing: Standing, now: number): Group {
  if (needsAcknowledgement(operation)) return 'unknown'
  const { status, completedAt, beganAt } = operation
  if (isFailure(operation)) return 'failed'
  if (!isSettled(operation)) {
    if (beganAt === null) return 'queued'
    return standing.lateMs === null ? 'running' : 'late'
  }
  const justEnded = completedAt !== null && now - completedAt < STAYS_MS && status === 'completed'
  if (!justEnded) return 'done'
  return operation.usual && standing.known && standing.elapsedMs > operation.usual.p90Ms ? 'late' : 'running'
}

function inOrder(a: WatchRow, b: WatchRow): number {
  return (
    GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group) ||
    (a.operation.beganAt ?? a.operation.startedAt) - (b.operation.beganAt ?? b.operation.startedAt) ||
    (a.operation.batch?.position ?? 0) - (b.operation.batch?.position ?? 0) ||
    (a.operation.id < b.operation.id ? -1 : 1)
  )
}

function queuePlaces(operations: Iterable<Operation>): Map<string, number> {
  const places = new Map<string, number>()
  const waiting = [...operations].filter(({ phase, batch }) => phase === 'accepted' && batch !== null)
  const counts = new Map<string, number>()
  for (const { id, batch } of waiting.toSorted((a, b) => (a.batch?.position ?? 0) - (b.batch?.position ?? 0))) {
    const place = (counts.get(batch?.id ?? '') ?? 0) + 1
    counts.set(batch?.id ?? '', place)
    places.set(id, place)
  }
  return places
}
