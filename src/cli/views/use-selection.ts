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
  /** A key was pressed: the selected row stays selected for a while. */
  readonly touch: () => void
  readonly move: (by: number) => void
}

/** Without a key for so long, nobody is at the keyboard: the list shows its beginning again, and what needs a person. */
const UNTOUCHED_MS = 60_000

/**
 * The selected row and the slice of the list around it. A selection belongs to an operation, not to a place: rows that
 * move under the cursor must never make a key act on another operation. As long as nobody has pressed a key it is the
 * first row, so that a new failure is never above what is shown. `isHeld`: something about the selected row is open.
 */
export function useSelection(rows: readonly WatchRow[], size: number, now: number, isHeld: boolean): Selection {
  const [touched, setTouched] = useState<{
    readonly id: string
    readonly index: number
    readonly top: number
    readonly at: number
  } | null>(null)
  const pinned = touched && (isHeld || Math.abs(now - touched.at) < UNTOUCHED_MS) ? touched : null
  const found = rows.findIndex(({ operation }) => operation.id === pinned?.id)
  const index = found === -1 ? Math.max(0, Math.min(pinned?.index ?? 0, rows.length - 1)) : found
  const top = scrollTo(pinned?.top ?? 0, index, size, rows.length)
  const row = rows[index]
  const id = row?.operation.id

  // The selected one has left the board: from now on its neighbour is meant.
  if (pinned && id !== undefined && id !== pinned.id) setTouched({ ...pinned, id, index, top })
  const pin = (index: number, top: number) => {
    const target = rows[index]
    if (target) setTouched({ id: target.operation.id, index, top, at: now })
  }

  return {
    row,
    top,
    count: rows.length,
    visible: rows.slice(top, top + size),
    touch: () => pin(index, top),
    move: (by) => {
      const next = Math.max(0, Math.min(rows.length - 1, index + by))
      pin(next, scrollTo(top, next, size, rows.length))
    },
  }
}
