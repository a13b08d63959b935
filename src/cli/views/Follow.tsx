import { Static } from 'ink'
import type { Operation } from '../../core/operation.ts'
import type { Frames } from '../renderers/frames.ts'
import { endingLine, widestName } from '../renderers/verdict.ts'
import { cut } from '../renderers/width.ts'
import { FollowMany } from './FollowMany.tsx'
import { FollowOne } from './FollowOne.tsx'
import { Piece } from './Line.tsx'
import { useFrame } from './use-frame.ts'
import { useTerminalSize } from './use-terminal-size.ts'

export interface FollowFrame {
  readonly now: number
  readonly operations: readonly Operation[]
  /** Those that went well, in the order in which they ended; only ever appended to. */
  readonly finished: readonly Operation[]
  readonly goneSince: number | null
}

/** The live part of `restart` and `attach`. It takes no input: Ctrl-C stays a signal. */
export function Follow({ frames, env }: { readonly frames: Frames<FollowFrame>; readonly env: NodeJS.ProcessEnv }) {
  const { operations, finished, now, goneSince } = useFrame(frames)
  const { columns, rows } = useTerminalSize(env)
  const [only] = operations
  if (only && operations.length === 1) {
    return <FollowOne operation={only} now={now} columns={columns} goneSince={goneSince} />
  }
  return (
    <>
      <Static items={[...finished]}>
        {(operation) => (
          <Piece
            key={operation.id}
            text={cut(endingLine(operation, widestName(operations)), columns - 1)}
            tone="good"
          />
        )}
      </Static>
      <FollowMany operations={operations} now={now} columns={columns} rows={rows} goneSince={goneSince} />
    </>
  )
}
