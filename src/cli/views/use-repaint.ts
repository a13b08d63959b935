import { useStdout } from 'ink'
import { useEffect, useRef, useState } from 'react'
import type { TerminalSize } from '../renderers/choose.ts'

/** After the last change of the size, in milliseconds: whoever drags a window changes it many times. */
const SETTLED_MS = 250
/** Longer than between two frames. */
const SHOWN_MS = 150

export interface Repaint {
  /** Draw {@link BLANK} in every line now; the picture follows. */
  readonly isRepainting: boolean
  readonly repaint: () => void
}

/** A line that begins like no other, so that each one is erased and drawn whole. An empty one would stay as it is. */
export const BLANK = '.'

/**
 * Ink draws what differs from its last frame, counted from where it left the cursor. A frame that was under way while the
 * terminal became narrower is wrapped by it, and what somebody else writes on the terminal is not known to Ink either:
 * such marks would stay until the text under them changes. So every line is drawn anew after a change of the size has
 * settled, and when a person asks for it.
 */
export function useRepaint({ columns, rows }: TerminalSize): Repaint {
  const { stdout } = useStdout()
  const [isRepainting, setRepainting] = useState(false)
  const drawnAt = useRef({ columns, rows })

  const repaint = () => {
    // Where Ink believes it to be: below its frame, on the last row, in which there is nothing.
    stdout.write(`\u001b[${rows};1H\u001b[K`)
    setRepainting(true)
  }
  useEffect(() => {
    const { current } = drawnAt
    if (current.columns === columns && current.rows === rows) return
    drawnAt.current = { columns, rows }
    const timer = setTimeout(repaint, SETTLED_MS)
    return () => clearTimeout(timer)
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- it is the change of the size that counts
  }, [columns, rows])
  useEffect(() => {
    if (!isRepainting) return
    const timer = setTimeout(() => setRepainting(false), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [isRepainting])
  return { isRepainting, repaint }
}
