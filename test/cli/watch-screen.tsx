import { stripVTControlCharacters } from 'node:util'
import { renderToString } from 'ink'
import { WatchBoard, type WatchFrame } from '../../src/cli/renderers/watch-board.ts'
import { layoutFor } from '../../src/cli/views/watch-layout.ts'
import { HELP } from '../../src/cli/views/watch-words.ts'
import { WatchScreen, type WatchPicture } from '../../src/cli/views/WatchScreen.tsx'
import type { Operation } from '../../src/core/operation.ts'
import { at } from './render-scenes.ts'

export const HEADER = {
  stateDirectory: '~/.local/state/vosctl',
  version: '1.4.0',
  pid: 2214,
  startedAt: at('14:05:23') - (6 * 24 + 3) * 3_600_000,
}

export function boardOf(operations: readonly Operation[], now: number): WatchBoard {
  const board = new WatchBoard(now)
  board.receive({ type: 'snapshot', operations, cursor: 1, gap: false }, now)
  return board
}

interface ScreenOptions extends Partial<WatchPicture> {
  readonly hasHelp?: boolean
  /** The number of the selected row. */
  readonly selected?: number
}

/** What stands on a terminal of this size, with whatever escape sequences there are. */
export function rawScreen(
  frame: WatchFrame,
  [columns, rows]: readonly [number, number],
  { hasHelp = false, selected = 0, ...rest }: ScreenOptions = {},
): string {
  const visible = frame.rows.slice(0, layoutFor(rows).list)
  const selection = { row: frame.rows[selected], visible, top: 0, count: frame.rows.length }
  const lens = { missed: null, filter: '', hidden: 0 }
  const picture = { frame, shown: frame, columns, rows, selection, lens, header: HEADER, notice: null, ...rest }
  return renderToString(<WatchScreen {...picture} page={hasHelp ? HELP : (rest.page ?? null)} />, { columns })
}

export function screen(frame: WatchFrame, size: readonly [number, number], options: ScreenOptions = {}): string[] {
  return stripVTControlCharacters(rawScreen(frame, size, options))
    .split('\n')
    .map((line) => line.trimEnd())
}
