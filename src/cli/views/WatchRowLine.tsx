import { Box } from 'ink'
import { memo } from 'react'
import { Piece, type Tone } from './Line.tsx'

interface Props {
  readonly marks: string
  readonly cells: readonly string[]
  readonly toned: readonly boolean[]
  readonly tone: Tone
  readonly isSelected: boolean
  readonly isStale: boolean
}

/** One row of the list. A column is one text with few possible values, so that a clock in one repaints only that one. */
export const WatchRowLine = memo(function WatchRowLine({ marks, cells, toned, tone, isSelected, isStale }: Props) {
  const base = isStale ? 'faint' : isSelected ? 'strong' : tone === 'faint' ? 'faint' : 'plain'
  return (
    <Box height={1} flexShrink={0} overflow="hidden">
      <Piece text={marks} tone={tone === 'plain' ? base : tone} />
      {cells.map((cell, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- a column is its place
        <Piece key={index} text={cell} tone={toned[index] && tone !== 'plain' ? tone : base} />
      ))}
    </Box>
  )
}, isSame)

function isSame(a: Props, b: Props): boolean {
  return (
    a.marks === b.marks &&
    a.tone === b.tone &&
    a.isSelected === b.isSelected &&
    a.isStale === b.isStale &&
    a.cells.length === b.cells.length &&
    a.cells.every((cell, index) => cell === b.cells[index])
  )
}
