import { useState } from 'react'
import type { WatchRow } from '../renderers/watch-board.ts'
import { scrollTo } from './watch-layout.ts'

export interface Selection {
  readonly row: WatchRow | undefined
  /** The rows that fit on the screen, and the number of the first one from 0. */
  readonly visible: readonly WatchRow[]
  readonly top: number
  /** Of all rows, visible or not. */
  readonly count: number
  readonly move: (by: number) => void
}

/**
 * The selected row and the slice of the list around it. A selection belongs to an operation, not to a place: rows that
 * move under the cursor must never make a key act on another operation.
 */
export function useSelection(rows: readonly WatchRow[], size: number): Selection {
  const [pinned, setPinned] = useState<{ readonly id: string; readonly index: number; readonly top: number } | null>(
    null,
  )
  const found = rows.findIndex(({ operation }) => operation.id === pinned?.id)
  const index = found === -1 ? Math.max(0, Math.min(pinned?.index ?? 0, rows.length - 1)) : found
  const top = scrollTo(pinned?.top ?? 0, index, size, rows.length)
  const row = rows[index]
  const id = row?.operation.id

  // The selected one has left the board, or there was none yet: from now on its neighbour is meant.
  if (id !== undefined && id !== pinned?.id) setPinned({ id, index, top })

  return {
    row,
    top,
    count: rows.length,
    visible: rows.slice(top, top + size),
    move: (by) => {
      const next = Math.max(0, Math.min(rows.length - 1, index + by))
      const target = rows[next]
      if (target) setPinned({ id: target.operation.id, index: next, top: scrollTo(top, next, size, rows.length) })
    },
  }
}
