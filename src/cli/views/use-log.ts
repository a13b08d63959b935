import { useEffect, useRef, useState } from 'react'
import type { RecordedEvent } from '../../core/operation.ts'
import { collapsed } from '../commands/logs.ts'
import { eventLine } from '../event-words.ts'

/** A log longer than this shows its end only: nothing in a watch of months may grow without an end. */
const LINES_KEPT = 5_000

export type ReadEvents = (id: string, afterSeq: number) => Promise<readonly RecordedEvent[]>

/** The log of an operation as lines, read on whenever its `seq` has grown; null while none is open. */
export function useLog(id: string | null, seq: number, read: ReadEvents): readonly string[] | null {
  const [events, setEvents] = useState<{ readonly id: string; readonly list: readonly RecordedEvent[] } | null>(null)
  /** One question at a time; what happened meanwhile is asked for afterwards. */
  const isReading = useRef(false)
  const known = events !== null && events.id === id ? events.list : []
  const knownSeq = known.at(-1)?.seq ?? 0

  useEffect(() => {
    if (id === null) return setEvents(null)
    if (isReading.current || (events?.id === id && knownSeq >= seq)) return
    isReading.current = true
    void read(id, knownSeq)
      // It is read again with the next frame.
      .catch(() => [])
      .then((more) => {
        isReading.current = false
        if (more.length > 0) setEvents({ id, list: collapsed([...known, ...more]).slice(-LINES_KEPT) })
      })
  })

  return id === null ? null : known.map(eventLine)
}
