import { Box } from 'ink'
import { isSettled, type Operation } from '../../core/operation.ts'
import { endingLine, widestName } from '../renderers/verdict.ts'
import { cut, fit } from '../renderers/width.ts'
import { bar, batchOf, clean, endingMark, remainingWords, standingAt, stateWord } from '../renderers/words.ts'
import { formatDuration } from '../../core/duration.ts'
import { countsLine, meanPercent, shownPercent } from './follow-lines.ts'
import { LeaveLine } from './LeaveLine.tsx'
import { Line } from './Line.tsx'

/** More live lines than this would jump too much on the normal screen. */
const MAX_LINES = 12
/** Blank, counts, bar, waiting, blank, how to leave. */
const FRAME_LINES = 6

/** Several operations: the counts, one bar over all, and those that run or went wrong. */
export function FollowMany(props: {
  readonly operations: readonly Operation[]
  readonly now: number
  readonly columns: number
  readonly rows: number
  readonly goneSince: number | null
}) {
  const { operations, columns, goneSince, now } = props
  const seenAt = goneSince ?? now
  const width = columns - 1
  const nameWidth = Math.min(widestName(operations), Math.max(6, width - 40))
  const bad = operations.filter((operation) => isSettled(operation) && operation.status !== 'completed')
  const running = operations.filter((operation) => !isSettled(operation) && operation.beganAt !== null)
  const waiting = operations.filter(({ phase }) => phase === 'accepted')
  const room = Math.max(1, Math.min(MAX_LINES, props.rows - 1) - FRAME_LINES)
  const shown = rows([...bad, ...running], room)
  const names = waiting.map(({ connection }) => clean(connection.name)).join(' ')
  return (
    <Box flexDirection="column" width={width}>
      {operations.some(({ status }) => status === 'completed') && <Line />}
      <Line text={countsLine(operations, seenAt)} />
      <Line text={`  ${bar(meanPercent(operations, seenAt), Math.min(74, width - 5))}`} />
      {shown.operations.map((operation) => (
        <Line
          key={operation.id}
          text={cut(liveLine(operation, seenAt, nameWidth, width), width)}
          tone={toneOf(operation, seenAt)}
        />
      ))}
      {shown.hidden > 0 && <Line text={`  and ${shown.hidden} more`} tone="faint" />}
      {names !== '' && <Line text={cut(`. ${names}`, width)} tone="faint" />}
      <Line />
      <LeaveLine what={batchOf(operations) === null ? 'work' : 'batch'} now={now} goneSince={goneSince} />
    </Box>
  )
}

function rows(operations: readonly Operation[], room: number) {
  const fits = operations.length <= room ? operations.length : room - 1
  return { operations: operations.slice(0, fits), hidden: operations.length - fits }
}

function liveLine(operation: Operation, now: number, nameWidth: number, width: number): string {
  if (isSettled(operation)) return endingLine(operation, nameWidth)
  const { percent, remainingMs, lateMs, elapsedMs } = standingAt(operation, now)
  const head = `  ${fit(clean(operation.connection.name), nameWidth)}   ${fit(stateWord(operation), 10)} `
  const left =
    lateMs !== null
      ? `late ${formatDuration(lateMs)}`
      : remainingMs === null
        ? `${formatDuration(elapsedMs)}, ?`
        : remainingWords(remainingMs)
  const tail = `${lateMs === null ? String(shownPercent(operation, percent)).padStart(4) + '%' : '     '}  ${left}`
  const space = Math.min(32, width - head.length - tail.length - 2)
  return space < 8 ? `${head}${tail}` : `${head}${bar(percent, space)}${tail}`
}

function toneOf(operation: Operation, now: number) {
  if (isSettled(operation)) return endingMark(operation) === 'x' ? 'bad' : 'late'
  return standingAt(operation, now).lateMs === null ? 'plain' : 'late'
}
