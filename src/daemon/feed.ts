import type { RecordedEvent } from '../core/operation.ts'
import type { EventBatch, RoomName } from '../core/protocol.ts'
import type { OperationTable } from './store/operations.ts'

/** Events kept in memory for the watchers; older ones are read from the journal. */
const RING = 2048
/** Events in one batch. */
const BATCH = 500
/** A watcher further behind than this is cut back to a new snapshot: nothing is ever queued for it. */
export const FAR_BEHIND = 5000
/** At most so many batches go out at once within a window; what comes after them waits for its end. */
const WINDOW_MS = 50
const BATCHES_PER_WINDOW = 8

export interface Watcher {
  /** Everything up to here it has taken, or has no part in. */
  readonly taken: number
  /** Something has been recorded. */
  wake(): void
  close(): void
}

/**
 * Brings the journal to the watchers. Each watcher has a place in the journal and one batch under way; the journal itself
 * is the queue, so a watcher that stalls costs the daemon nothing but its place.
 */
export class Feed {
  readonly #operations: OperationTable
  readonly #ring: RecordedEvent[] = []
  readonly #connectionOf: (operationId: string) => number | undefined
  readonly #watchers = new Set<Watcher>()
  #cursor: number

  constructor(operations: OperationTable, connectionOf: (operationId: string) => number | undefined) {
    this.#operations = operations
    this.#connectionOf = connectionOf
    this.#cursor = operations.cursor()
  }

  get cursor(): number {
    return this.#cursor
  }

  get watchers(): number {
    return this.#watchers.size
  }

  /** Everything up to here every watcher has taken. */
  get taken(): number {
    return Math.min(this.#cursor, ...[...this.#watchers].map(({ taken }) => taken))
  }

  push(recorded: RecordedEvent): void {
    this.#cursor = recorded.cursor
    this.#ring.push(recorded)
    if (this.#ring.length > RING * 2) this.#ring.splice(0, this.#ring.length - RING)
    for (const watcher of this.#watchers) watcher.wake()
  }

  /** The events after `cursor`, at most one batch; `next` is where the following batch begins. */
  read(cursor: number, room: RoomName): { readonly events: readonly RecordedEvent[]; readonly next: number } {
    const page = this.#page(cursor)
    return {
      events: page.filter(({ operationId }) => this.isIn(room, this.#connectionOf(operationId))),
      next: page.at(-1)?.cursor ?? cursor,
    }
  }

  isIn(room: RoomName, connectionId: number | undefined): boolean {
    return room === 'operations' || room === `connection:${connectionId}`
  }

  #page(cursor: number): readonly RecordedEvent[] {
    const first = this.#ring[0]
    if (!first || cursor + 1 < first.cursor) return this.#operations.eventsAfter(cursor, BATCH)
    // Cursors have no holes but after a pruned or rolled back row, so a search from the end is short.
    const index = this.#ring.findLastIndex((recorded) => recorded.cursor <= cursor)
    return this.#ring.slice(index + 1, index + 1 + BATCH)
  }

  /** The events that a returning watcher missed; null when they are too many, or when its place is not of this journal. */
  missed(after: number, room: RoomName): readonly RecordedEvent[] | null {
    if (after > this.#cursor || this.#cursor - after > FAR_BEHIND) return null
    const missed: RecordedEvent[] = []
    for (let cursor = after; cursor < this.#cursor;) {
      const { events, next } = this.read(cursor, room)
      if (next === cursor) break
      missed.push(...events)
      cursor = next
    }
    return missed
  }

  /** Sends batches from `cursor` on; `send` resolves when the watcher has taken one. */
  watch(cursor: number, room: RoomName, send: (batch: Omit<EventBatch, 'room'>) => Promise<void>): Watcher {
    let place = cursor
    let taken = cursor
    let underWay = false
    let closed = false
    let windowStart = 0
    let sent = 0
    let timer: NodeJS.Timeout | undefined
    const close = () => {
      closed = true
      clearTimeout(timer)
      this.#watchers.delete(watcher)
    }
    const pump = async (): Promise<void> => {
      underWay = true
      for (;;) {
        if (closed || place >= this.#cursor) break
        const now = performance.now()
        if (now - windowStart > WINDOW_MS) {
          windowStart = now
          sent = 0
        }
        if (sent >= BATCHES_PER_WINDOW) {
          timer = setTimeout(wake, WINDOW_MS - (now - windowStart))
          break
        }
        if (this.#cursor - place > FAR_BEHIND) {
          close()
          await send({ events: [], behind: true })
          break
        }
        const { events, next } = this.read(place, room)
        place = next === place ? this.#cursor : next
        if (events.length > 0) {
          sent++
          await send({ events })
        }
        taken = place
      }
      underWay = false
    }
    const wake = () => {
      clearTimeout(timer)
      timer = undefined
      // A watcher that fails is a watcher that left; its socket says so.
      if (!underWay && !closed) pump().catch(close)
    }
    const watcher = {
      get taken() {
        return taken
      },
      // While the window is full its timer wakes the pump; one event more is no reason to send sooner.
      wake: () => {
        if (timer === undefined) wake()
      },
      close,
    }
    this.#watchers.add(watcher)
    return watcher
  }
}
