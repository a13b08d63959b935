import { apply, needsAcknowledgement, type Operation, type RecordedEvent } from '../core/operation.ts'
import type { Snapshot } from '../core/protocol.ts'
import type { Update } from './follow.ts'

/** Longer than the daemon shows what has ended. */
const FORGET_MS = 10 * 60_000

/** Some events are missing in between: only a new snapshot helps. */
export class HoleError extends Error {}

/**
 * What a watcher knows: folds snapshots and events into updates without gap and without duplicate. An event that was
 * seen before, by its cursor or by its place in its operation, changes nothing.
 */
export class Board {
  readonly #operations = new Map<string, Operation>()
  #cursor: number | null = null
  #hole = false
  /** Before the first snapshot: what came after this is somebody's business, but nothing is known to fold it into. */
  readonly #from: number | null

  constructor(from: number | null = null) {
    this.#from = from
  }

  /** Ask for what came after this; null before the first snapshot, and after a hole: then the board alone will do. */
  get cursor(): number | null {
    return this.#hole ? null : (this.#cursor ?? this.#from)
  }

  /** Takes a snapshot over: first the events that were missed, when the daemon still had them, then the board itself. */
  reset(snapshot: Snapshot): Update[] {
    const again = this.#cursor !== null
    const missed = again && !this.#hole && snapshot.missed ? this.#fold(snapshot.missed) : null
    this.#hole = false
    this.#operations.clear()
    for (const operation of snapshot.operations) this.#operations.set(operation.id, operation)
    this.#cursor = snapshot.cursor
    const { operations, cursor } = snapshot
    const since = again || this.#from === null ? {} : { missed: snapshot.missed }
    return [...(missed ?? []), { type: 'snapshot', operations, cursor, gap: again && missed === null, ...since }]
  }

  /** @throws HoleError when an event does not follow on what is known; everything before it has been taken. */
  *take(events: readonly RecordedEvent[]): Generator<Update> {
    for (const recorded of events) {
      if (this.#cursor !== null && recorded.cursor <= this.#cursor) continue
      const known = this.#operations.get(recorded.operationId) ?? null
      this.#cursor = recorded.cursor
      // An operation that left the board before this watcher came: none of its business.
      if (known === null && recorded.event.type !== 'accepted') continue
      if (known !== null && recorded.seq <= known.seq) continue
      const operation = this.#follow(known, recorded)
      this.#operations.set(operation.id, operation)
      if (recorded.event.type === 'accepted') this.#forget(recorded.at)
      yield { type: 'event', recorded, operation }
    }
  }

  /** What the daemon has taken off its board by now, so that a watch of months does not remember it either. */
  #forget(now: number): void {
    for (const operation of this.#operations.values()) {
      const ended = operation.acknowledged?.at ?? operation.completedAt
      if (ended !== null && !needsAcknowledgement(operation) && now - ended > FORGET_MS) {
        this.#operations.delete(operation.id)
      }
    }
  }

  /** The events since the cursor, or null when they do not follow on what is known. */
  #fold(events: readonly RecordedEvent[]): Update[] | null {
    try {
      return [...this.take(events)]
    } catch (error) {
      if (error instanceof HoleError) return null
      throw error
    }
  }

  #follow(known: Operation | null, recorded: RecordedEvent): Operation {
    try {
      return apply(known, recorded)
    } catch (cause) {
      this.#hole = true
      throw new HoleError(`event ${recorded.seq} of ${recorded.operationId} does not follow`, { cause })
    }
  }
}
