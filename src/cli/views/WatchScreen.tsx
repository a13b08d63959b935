import { Box } from 'ink'
import { FIRST_STEPS } from '../first-steps.ts'
import { cut } from '../renderers/width.ts'
import type { WatchFrame } from '../renderers/watch-board.ts'
import { Line } from './Line.tsx'
import { Screen } from './Screen.tsx'
import type { Selection } from './use-selection.ts'
import { cellsOf, columnsFor, marks, titlesOf, toneOf } from './watch-columns.ts'
import { detailLines, splitAt } from './watch-details.ts'
import { layoutFor } from './watch-layout.ts'
import { countsLine, EMPTY, happeningsLine, headerLine, keysLine, type Lens, type WatchHeader } from './watch-words.ts'
import { WatchRowLine } from './WatchRowLine.tsx'

export interface WatchPicture {
  /** As things stand: header and counts are always true. */
  readonly frame: WatchFrame
  /** What list and details show: the same, or the frame at which it was paused. */
  readonly shown: WatchFrame
  readonly columns: number
  readonly rows: number
  readonly header: WatchHeader
  readonly lens: Lens
  /** Of the rows that the filter leaves. */
  readonly selection: Pick<Selection, 'row' | 'visible' | 'top' | 'count'>
  /** Stands in the place of list and detail: help, details or a log. */
  readonly page: readonly string[] | null
  readonly notice: string | null
}

/** One picture of the dashboard. Nothing here keeps time or state. */
export function WatchScreen(picture: WatchPicture) {
  const { frame, columns, rows, header, lens, notice, page } = picture
  const layout = layoutFor(rows)
  const rule = '-'.repeat(Math.max(1, columns - 1))
  return (
    <Screen columns={columns} rows={rows}>
      <Line
        text={headerLine(frame, header, lens, columns)}
        tone={lens.missed === null && ['live', 'reading'].includes(frame.link.type) ? 'plain' : 'late'}
      />
      {layout.detail === 0 && notice !== null ? (
        <Line text={cut(notice, columns - 1)} tone="strong" />
      ) : (
        <Line text={countsLine(frame, columns)} />
      )}
      {layout.detail > 0 && <Line text={rule} tone="faint" />}
      {page === null ? <ListAndDetail {...picture} /> : <Words lines={page} height={layout.page} columns={columns} />}
      {layout.detail > 0 && (
        <>
          <Line text={rule} tone="faint" />
          {page === null && layout.hasHappenings && <Line text={happeningsLine(frame.rows, columns)} tone="faint" />}
          <Line text={cut(notice ?? keysLine(columns), columns - 1)} tone={notice === null ? 'faint' : 'strong'} />
        </>
      )}
    </Screen>
  )
}

function ListAndDetail(picture: WatchPicture) {
  const { shown, columns, rows, selection } = picture
  const { detail } = layoutFor(rows)
  const middle = detail > 3 ? splitAt(columns) : null
  const width = Math.max(1, columns - 1)
  const rule = middle === null ? '-'.repeat(width) : `${'-'.repeat(middle)}+${'-'.repeat(width - middle - 1)}`
  const lines = selection.row ? detailLines(selection.row, shown, columns, detail) : []
  return (
    <>
      <List {...picture} />
      {detail > 0 && (
        <>
          <Line text={placeLine(selection, columns)} tone="faint" />
          <Line text={rule} tone="faint" />
          <Words lines={lines} height={detail} columns={columns} />
        </>
      )}
    </>
  )
}

function List(picture: WatchPicture) {
  const { shown, selection, lens } = picture
  const layout = layoutFor(picture.rows)
  const columns = columnsFor(picture.columns)
  const isStale = lens.missed !== null || picture.frame.isStale
  const context = { seenAt: shown.seenAt, isStale }
  const toned = columns.map((column) => column.toned ?? false)
  if (selection.count === 0) {
    const height = layout.list + (layout.hasTitles ? 1 : 0)
    return <Words lines={emptyWords(picture)} height={height} columns={picture.columns} />
  }
  return (
    <>
      {layout.hasTitles && <Line text={titlesOf(columns)} tone="faint" />}
      <Box flexDirection="column" height={layout.list} flexShrink={0} overflow="hidden">
        {selection.visible.map((row) => {
          const isSelected = row.operation.id === selection.row?.operation.id
          return (
            <WatchRowLine
              key={row.operation.id}
              marks={marks(row, isSelected)}
              cells={cellsOf(row, columns, context)}
              toned={toned}
              tone={toneOf(row, context)}
              isSelected={isSelected}
              isStale={isStale}
            />
          )
        })}
      </Box>
    </>
  )
}

/** Nothing is claimed before the board has come. */
function emptyWords({ frame, shown, lens }: WatchPicture): readonly string[] {
  if (lens.hidden > 0) return [`No row matches the filter; it hides ${lens.hidden}. Escape shows all.`]
  if (shown.rows.length > 0 || frame.link.type === 'reading' || frame.link.type === 'gone') return []
  return frame.house?.connections === 0 ? FIRST_STEPS : EMPTY
}

function Words(props: { readonly lines: readonly string[]; readonly height: number; readonly columns: number }) {
  return (
    <Box flexDirection="column" height={props.height} flexShrink={0} overflow="hidden">
      {props.lines.slice(0, props.height).map((line, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- a line is its place
        <Line key={index} text={cut(line, props.columns - 1)} />
      ))}
    </Box>
  )
}

function placeLine({ top, visible, count }: WatchPicture['selection'], columns: number): string {
  if (visible.length >= count) return ''
  return `rows ${top + 1}-${top + visible.length} of ${count}`.padStart(columns - 1)
}
