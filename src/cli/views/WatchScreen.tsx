import { Box } from 'ink'
import { cut } from '../renderers/width.ts'
import type { WatchFrame } from '../renderers/watch-board.ts'
import { Line } from './Line.tsx'
import { Screen } from './Screen.tsx'
import type { Selection } from './use-selection.ts'
import { cellsOf, columnsFor, marks, titlesOf, toneOf } from './watch-columns.ts'
import { layoutFor } from './watch-layout.ts'
import { countsLine, EMPTY, headerLine, HELP, KEYS, shortDetail, tallDetail, type WatchHeader } from './watch-words.ts'
import { WatchRowLine } from './WatchRowLine.tsx'

/** One picture of the dashboard. Nothing here keeps time or state. */
export function WatchScreen(props: {
  readonly frame: WatchFrame
  readonly columns: number
  readonly rows: number
  readonly header: WatchHeader
  readonly selection: Pick<Selection, 'row' | 'visible' | 'top'>
  readonly hasHelp: boolean
  readonly notice: string | null
}) {
  const { frame, columns, rows, header, selection, hasHelp, notice } = props
  const layout = layoutFor(rows)
  const rule = '-'.repeat(Math.max(1, columns - 1))
  const isStale = frame.link.type === 'gone'
  return (
    <Screen columns={columns} rows={rows}>
      <Line
        text={headerLine(frame, header, columns)}
        tone={frame.link.type === 'live' || frame.link.type === 'reading' ? 'plain' : 'late'}
      />
      {layout.detail === 0 && notice !== null ? (
        <Line text={cut(notice, columns - 1)} tone="strong" />
      ) : (
        <Line text={countsLine(frame, columns)} />
      )}
      {layout.detail > 0 && <Line text={rule} tone="faint" />}
      {hasHelp ? (
        <Words lines={HELP} height={layout.list + (layout.hasTitles ? 1 : 0)} columns={columns} />
      ) : (
        <List frame={frame} columns={columns} rows={rows} selection={selection} isStale={isStale} />
      )}
      {layout.detail > 0 && (
        <>
          <Line text={placeLine(selection, frame.rows.length, columns)} tone="faint" />
          <Line text={rule} tone="faint" />
          <Words lines={detailLines(props, layout.detail)} height={layout.detail} columns={columns} />
          <Line text={rule} tone="faint" />
          <Line text={cut(notice ?? KEYS, columns - 1)} tone={notice === null ? 'faint' : 'strong'} />
        </>
      )}
    </Screen>
  )
}

function List(props: {
  readonly frame: WatchFrame
  readonly columns: number
  readonly rows: number
  readonly selection: Pick<Selection, 'row' | 'visible'>
  readonly isStale: boolean
}) {
  const { frame, selection, isStale } = props
  const layout = layoutFor(props.rows)
  const columns = columnsFor(props.columns)
  const context = { seenAt: frame.seenAt, isStale }
  const toned = columns.map((column) => column.toned ?? false)
  if (frame.rows.length === 0) {
    const isKnown = frame.link.type === 'live' || frame.link.type === 'behind'
    return (
      <Words lines={isKnown ? EMPTY : []} height={layout.list + (layout.hasTitles ? 1 : 0)} columns={props.columns} />
    )
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

function detailLines(props: Parameters<typeof WatchScreen>[0], height: number): readonly string[] {
  const { frame, columns, selection } = props
  if (!selection.row) return []
  return height > 3 ? tallDetail(selection.row, frame, columns, height) : shortDetail(selection.row, frame, columns)
}

function placeLine({ top, visible }: Pick<Selection, 'top' | 'visible'>, count: number, columns: number): string {
  if (visible.length >= count) return ''
  return `rows ${top + 1}-${top + visible.length} of ${count}`.padStart(columns - 1)
}
