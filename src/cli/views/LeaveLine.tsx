import { formatDuration } from '../../core/duration.ts'
import { clock } from '../renderers/words.ts'
import { Line } from './Line.tsx'

/** How to leave; or, while the daemon is gone, how old the picture is. */
export function LeaveLine(props: { readonly what: string; readonly now: number; readonly goneSince: number | null }) {
  const { what, now, goneSince } = props
  if (goneSince === null) return <Line text={`Ctrl-C leaves; the ${what} goes on.`} tone="faint" />
  const gone = formatDuration(now - goneSince)
  return <Line text={`daemon gone ${gone}, reconnecting; this is from ${clock(goneSince)}`} tone="late" />
}
