/** How the rows of a screen are shared out. */
export interface WatchLayout {
  /** Rows of the list. */
  readonly list: number
  /** Rows of the detail area; 0 when there is none, with its rules and the line of keys. */
  readonly detail: number
  readonly hasTitles: boolean
  /** A line of what happened last stands above the keys. */
  readonly hasHappenings: boolean
  /** Rows of a page that takes the place of list and detail. */
  readonly page: number
}

/** Header, counts, rule, titles; the place in the list; rule, detail, rule, keys. */
const OTHER_LINES = 8
/** Of these a page leaves header, counts, rule; rule, keys. */
const LINES_AROUND_PAGE = 5

/** Fewer than 12 rows: only the list. On a tall screen the detail has room for the way and the transcript. */
export function layoutFor(rows: number): WatchLayout {
  const height = Math.max(1, rows - 1)
  if (rows < 12) {
    const hasTitles = height >= 6
    const page = Math.max(0, height - 2)
    return { list: Math.max(0, page - (hasTitles ? 1 : 0)), detail: 0, hasTitles, hasHappenings: false, page }
  }
  const hasHappenings = rows >= 32
  const detail = hasHappenings ? 11 : 3
  const list = Math.max(1, height - OTHER_LINES - detail - (hasHappenings ? 1 : 0))
  return { list, detail, hasTitles: true, hasHappenings, page: height - LINES_AROUND_PAGE }
}

/** The first row to draw so that the selected one is visible; moves no further than it must. */
export function scrollTo(top: number, selected: number, size: number, count: number): number {
  const last = Math.max(0, count - size)
  const wanted = selected < top ? selected : selected >= top + size ? selected - size + 1 : top
  return Math.max(0, Math.min(last, wanted))
}
