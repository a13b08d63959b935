import { Box } from 'ink'
import type { Operation } from '../../core/operation.ts'
import { standingAt } from '../renderers/words.ts'
import { barLine, deviceLine, pathLine } from './follow-lines.ts'
import { LeaveLine } from './LeaveLine.tsx'
import { Line } from './Line.tsx'

const WHAT = { ssh_test: 'test', verify: 'look', service_restart: 'restart', certificate_renewal: 'renewal' } as const

/** One operation: where it is on its way, how far, and what the device said last. */
export function FollowOne(props: {
  readonly operation: Operation
  readonly now: number
  readonly columns: number
  readonly goneSince: number | null
}) {
  const { operation, columns, goneSince, now } = props
  // While the daemon is gone nobody knows how far it is: the picture stays where it was, and says so.
  const seenAt = goneSince ?? now
  const isLate = standingAt(operation, seenAt).lateMs !== null
  return (
    <Box flexDirection="column" width={columns - 1}>
      <Line />
      <Line text={pathLine(operation, seenAt)} />
      <Line text={barLine(operation, seenAt, columns)} tone={isLate ? 'late' : 'plain'} />
      <Line text={deviceLine(operation, seenAt, columns)} tone="faint" />
      <Line />
      <LeaveLine what={WHAT[operation.type]} now={now} goneSince={goneSince} />
    </Box>
  )
}
