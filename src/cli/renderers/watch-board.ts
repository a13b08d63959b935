import {
  isSettled,
  needsAcknowledgement,
  type Operation,
  type OperationEvent,
  type RecordedEvent,
} from '../../core/operation.ts'
import type { Update } from '../follow.ts'
import { cleanDeviceLine, isFailure, standingAt, type Standing } from './words.ts'

/** Settled operations leave the board after this, as they leave the daemon's. */
const ON_BOARD_MS = 5 * 60_000
/** A finished row stays where it was for this long before it moves down. */
const STAYS_MS = 30_000
/** The daemon beats every 5 s; longer silence means that what is drawn is old. */
const SILENT_MS = 7_000
/** What comes later than this after it was recorded is told: the picture is so old. */
const LAG_MS = 1_000
/** Frames come every second at least. After a longer pause this process, or the whole machine, has slept. */
const SLEPT_MS = 2_500
/** Device lines kept for the detail area, per operation. */
const LINES_KEPT = 20
const LINE_EVENTS: readonly OperationEvent['type'][] = ['line', 'gap', 'repeated']

export type Link =
  /** The board has not come yet: an empty list would be a lie. */
  | { readonly type: 'reading' }
  /** `ms`: how long the last news took to come here. */
  | { readonly type: 'live'; readonly ms: number }
  | { readonly type: 'behind'; readonly ms: number }
  | { readonly type: 'gone'; readonly since: number }

/** A line of the device, and how often it came again: those are its polls. */
export interface DeviceLine {
  readonly at: number
  readonly seq: number
  readonly text: string
  readonly again: number
  readonly lastAt: number
}

export interface WatchRow {
  readonly operation: Operation
  readonly standing: Standing
  readonly group: Group
  /** Place in its batch's queue, from 1; null when it does not wait. */
  readonly place: number | null
  /** Who runs before it: the name of the connection, or the operation that has its device; null when it does not wait. */
  readonly after: string | null
}

export interface WatchFrame {
  readonly now: number
  /** When the picture was true: `now`, or when the daemon went. */
  readonly seenAt: number
  readonly link: Link
  /** Nothing was heard for so long that what is drawn may not be true any more. */
  readonly isStale: boolean
  /** In the order in which they are drawn. */
  readonly rows: readonly WatchRow[]
  readonly lines: ReadonlyMap<string, readonly DeviceLine[]>
  /** Events since the watch began: a picture that stands still tells by it what it does not show. */
  readonly changes: number
  /** Null until somebody has asked. */
  readonly house: House | null
}

/** What no event tells: it is asked for now and then. */
export interface House {
  readonly connections: number
  readonly holds: number
}

/** In drawing order: what needs a person comes first. */
export const GROUPS = ['unknown', 'failed', 'late', 'running', 'queued', 'done'] as const
export type Group = (typeof GROUPS)[number]

/** All operations as the dashboard knows them. Changed by updates, read once a frame. */
export class WatchBoard {
  readonly #operations = new Map<string, Operation>()
  #lines: ReadonlyMap<string, readonly DeviceLine[]> = new Map()
  #house: House | null = null
  #changes = 0
  #heardAt: number
  /** How old the last news was when it came. */
  #lagMs = 0
  #drawnAt: number | null = null
  /** Nothing was heard since this process slept. */
  #hasSlept = false
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
    const toldAt = update.type === 'event' ? update.recorded.at : update.type === 'heartbeat' ? update.now : now
    this.#lagMs = Math.max(0, now - toldAt)
    if (this.#lagMs <= LAG_MS) this.#hasSlept = false
    if (update.type === 'event') {
      this.#changes++
      this.#operations.set(update.operation.id, update.operation)
      const { operationId, event } = update.recorded
      if (LINE_EVENTS.includes(event.type)) {
        this.#setLines(operationId, joinLines(this.#lines.get(operationId) ?? [], [update.recorded]))
      }
    }
    if (update.type === 'snapshot') {
      this.#isKnown = true
      this.#operations.clear()
      for (const operation of update.operations) this.#operations.set(operation.id, operation)
      this.#lines = new Map([...this.#lines].filter(([id]) => this.#operations.has(id)))
    }
  }

  know(house: House): void {
    this.#house = house
  }

  has(id: string): boolean {
    return this.#operations.has(id)
  }

  /** The transcript so far of an operation that ran before this watch began. */
  addTranscript(id: string, events: readonly RecordedEvent[]): void {
    if (!this.#operations.has(id)) return
    const last = events.at(-1)?.seq ?? 0
    const newer = (this.#lines.get(id) ?? []).filter(({ seq }) => seq > last)
    this.#setLines(id, [...joinLines([], events), ...newer])
  }

  frame(now: number): WatchFrame {
    if (this.#drawnAt !== null && now - this.#drawnAt > SLEPT_MS) this.#hasSlept = true
    this.#drawnAt = now
    for (const operation of this.#operations.values()) if (hasLeft(operation, now)) this.#forget(operation.id)
    const seenAt = this.#goneSince ?? now
    const places = queuePlaces(this.#operations.values())
    const before = runningMembers(this.#operations.values())
    const rows = [...this.#operations.values()]
      .map((operation): WatchRow => {
        const standing = standingAt(operation, seenAt)
        return {
          operation,
          standing,
          group: groupOf(operation, standing, now),
          place: places.get(operation.id) ?? null,
          after: operation.beganAt === null && !isSettled(operation) ? afterWhom(operation, before) : null,
        }
      })
      .toSorted(inOrder)
    const link = this.#link(now)
    const isStale = link.type === 'gone' || (link.type === 'behind' && this.#isSilent(now))
    return { now, seenAt, link, isStale, rows, lines: this.#lines, changes: this.#changes, house: this.#house }
  }

  #link(now: number): Link {
    if (this.#goneSince !== null) return { type: 'gone', since: this.#goneSince }
    if (!this.#isKnown) return { type: 'reading' }
    const ms = Math.max(this.#lagMs, this.#isSilent(now) ? now - this.#heardAt : 0)
    return { type: this.#isSilent(now) || ms > LAG_MS ? 'behind' : 'live', ms }
  }

  #isSilent(now: number): boolean {
    return this.#hasSlept || now - this.#heardAt > SILENT_MS
  }

  /** A new map each time, so that a frame keeps its own: few lines come between two frames. */
  #setLines(id: string, lines: readonly DeviceLine[]): void {
    if (lines.length > 0) this.#lines = new Map(this.#lines).set(id, lines.slice(-LINES_KEPT))
  }

  #forget(id: string): void {
    this.#operations.delete(id)
    this.#lines = new Map([...this.#lines].filter(([known]) => known !== id))
  }
}

/** The lines with what these events add; a line that came again stays one. */
export function joinLines(lines: readonly DeviceLine[], events: readonly RecordedEvent[]): readonly DeviceLine[] {
  const all = [...lines]
  for (const { event, at, seq } of events) {
    const last = all.at(-1)
    if (event.type === 'line') all.push({ at, seq, text: cleanDeviceLine(event.text), again: 0, lastAt: at })
    else if (event.type === 'gap') {
      all.push({ at, seq, text: `... ${event.lines} lines left out`, again: 0, lastAt: at })
    } else if (event.type === 'repeated' && last) {
      all[all.length - 1] = { ...last, again: last.again + event.times, lastAt: at }
    }
  }
  return all
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

/** Those of a batch that run now, by their place in it. */
function runningMembers(operations: Iterable<Operation>): Map<string, string> {
  const running = [...operations].filter((one) => one.beganAt !== null && !isSettled(one))
  return new Map(running.flatMap(({ batch, connection }) => (batch ? [[placeIn(batch, 0), connection.name]] : [])))
}

function afterWhom({ after, batch }: Operation, running: ReadonlyMap<string, string>): string | null {
  return after ?? (batch ? (running.get(placeIn(batch, -1)) ?? null) : null)
}

function placeIn({ id, position }: NonNullable<Operation['batch']>, by: number): string {
  return `${id} ${position + by}`
}
