import type { RecordedEvent } from '../../core/operation.ts'
import { collapsed, eventLine } from '../event-words.ts'

/** Of a longer log the end is kept: nothing in a watch of months may grow without an end. */
const EVENTS_KEPT = 5_000

export type ReadEvents = (id: string, afterSeq: number) => Promise<readonly RecordedEvent[]>

/** The journal of one operation as lines. */
export interface WatchLog {
  readonly id: string
  readonly lines: readonly string[]
}

/** The one log that is open. It is read from the journal itself, so nothing can be missing in it. */
export function createWatchLog(readEvents: ReadEvents, wake: () => void) {
  let log: (WatchLog & { readonly events: readonly RecordedEvent[] }) | null = null
  let isReading = false
  /** Something happened while we read. */
  let isStale = false

  const readOn = async () => {
    isStale = true
    if (isReading) return
    isReading = true
    try {
      while (log !== null && isStale) {
        isStale = false
        const { id, events }: { readonly id: string; readonly events: readonly RecordedEvent[] } = log
        const more = await readEvents(id, events.at(-1)?.seq ?? 0)
        // Another one may have been opened meanwhile.
        if (log?.id !== id || more.length === 0) continue
        const all = collapsed([...events, ...more]).slice(-EVENTS_KEPT)
        log = { id, events: all, lines: all.map(eventLine) }
        wake()
      }
    } catch {
      // The daemon is gone: the next sign of life reads on.
    } finally {
      isReading = false
    }
  }

  return {
    current: (): WatchLog | null => log,
    open: (id: string | null) => {
      log = id === null ? null : { id, events: [], lines: [] }
      void readOn()
    },
    /** Something was heard of this operation, or, with null, of the daemon. */
    heard: (id: string | null) => {
      if (log !== null && (id === null || id === log.id)) void readOn()
    },
  }
}
