import { Box, Text } from 'ink'
import { memo } from 'react'

/** Colour repeats what the words say, never more. */
export type Tone = 'plain' | 'bad' | 'late' | 'good' | 'faint' | 'strong'

const STYLES = {
  plain: {},
  bad: { color: 'red' },
  late: { color: 'yellow' },
  good: { color: 'green' },
  faint: { dimColor: true },
  strong: { bold: true },
} as const satisfies Record<Tone, object>

/** A piece of a line in one tone. Never wrapped: what does not fit is cut. */
export const Piece = memo(function Piece({ text, tone = 'plain' }: { readonly text: string; readonly tone?: Tone }) {
  return (
    <Text wrap="truncate" {...STYLES[tone]}>
      {text}
    </Text>
  )
})

/** Exactly one row, whatever is in it. */
export const Line = memo(function Line({
  text = '',
  tone = 'plain',
}: {
  readonly text?: string
  readonly tone?: Tone
}) {
  return (
    <Box height={1} flexShrink={0} overflow="hidden">
      <Piece text={text === '' ? ' ' : text} tone={tone} />
    </Box>
  )
})
