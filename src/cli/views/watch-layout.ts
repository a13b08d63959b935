/** How the rows of a screen are shared out. */
export interface WatchLayout {
  /** Rows of the list. */
  readonly list: number
  /** Rows of the detail area; 0 when there is none, with its rules and the line of keys. */
  readonly detail: number
  readonly hasTitles: boolean
}

/** Header, counts, rule, titles; the place in the list; rule, detail, rule, keys. */
const OTHER_LINES = 8

/** Fewer than 12 rows: only the list. On a tall screen the detail has room for the way and the transcript. */
export function layoutFor(rows: number): WatchLayout {
  const height = Math.max(1, rows - 1)
  if (rows < 12) {
    const hasTitles = height >= 6
    return { list: Math.max(0, height - 2 - (hasTitles ? 1 : 0)), detail: 0, hasTitles }
  }
  const detail = rows >= 32 ? 10 : 3
  return { list: Math.max(1, height - OTHER_LINES - detail), detail, hasTitles: true }
}

/** The first row to draw so that the selected one is visible; moves no further than it must. */
export function scrollTo(top: number, selected: number, size: number, count: number): number {
  const last = Math.max(0, count - size)
  const wanted = selected < top ? selected : selected >= top + size ? selected - size + 1 : top
  return Math.max(0, Math.min(last, wanted))
}
