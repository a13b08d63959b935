import { Box } from 'ink'
import type { ReactNode } from 'react'
import type { TerminalSize } from '../renderers/choose.ts'

/**
 * The whole screen but its last row. A frame as high as the terminal scrolls it, and what redraws such a frame erases
 * what stood above: this is the one place that keeps the height below it.
 */
export function Screen({ columns, rows, children }: TerminalSize & { readonly children: ReactNode }) {
  return (
    <Box width={columns} height={Math.max(1, rows - 1)} flexDirection="column" overflow="hidden">
      {children}
    </Box>
  )
}
