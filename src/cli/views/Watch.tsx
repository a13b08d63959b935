import { useInput, useStdin } from 'ink'
import { useEffect, useState } from 'react'
import { isLook, isSettled, needsAcknowledgement, type Operation } from '../../core/operation.ts'
import type { Frames } from '../renderers/frames.ts'
import type { WatchFrame, WatchRow } from '../renderers/watch-board.ts'
import { clean } from '../renderers/words.ts'
import { useFrame } from './use-frame.ts'
import { useSelection } from './use-selection.ts'
import { useTerminalSize } from './use-terminal-size.ts'
import { layoutFor } from './watch-layout.ts'
import type { WatchHeader } from './watch-words.ts'
import { WatchScreen } from './WatchScreen.tsx'

/** A sentence about a key stays this long. */
const NOTICE_MS = 10_000

export interface WatchActions {
  /** Resolves to a sentence: what was done, or why it cannot be. */
  readonly cancel: (id: string) => Promise<string>
  readonly acknowledge: (id: string) => Promise<string>
  readonly verify: (operation: Operation) => Promise<string>
  /** The detail area is large enough for this operation's transcript. */
  readonly wantTranscript: (id: string) => void
  readonly leave: (interrupted: boolean) => void
}

/** The dashboard: frames in, keys out. */
export function Watch(props: {
  readonly frames: Frames<WatchFrame>
  readonly env: NodeJS.ProcessEnv
  readonly header: WatchHeader
  readonly actions: WatchActions
}) {
  const { frames, env, header, actions } = props
  const frame = useFrame(frames)
  const { columns, rows } = useTerminalSize(env)
  const layout = layoutFor(rows)
  const selection = useSelection(frame.rows, layout.list)
  const [hasHelp, setHelp] = useState(false)
  /** The operation that waits for a yes before it is acknowledged. */
  const [asked, setAsked] = useState<WatchRow | null>(null)
  const [notice, setNotice] = useState<{ readonly text: string; readonly until: number } | null>(null)
  const { isRawModeSupported } = useStdin()

  const say = (text: string) => setNotice({ text: clean(text), until: Date.now() + NOTICE_MS })
  const report = (answer: Promise<string>) => {
    answer.then(say, (error: unknown) => say(error instanceof Error ? error.message : String(error)))
  }

  const cancel = ({ operation }: WatchRow) => {
    if (isSettled(operation)) say(`c: ${operation.id} has already ended`)
    else report(actions.cancel(operation.id))
  }
  const acknowledge = (row: WatchRow) => {
    if (needsAcknowledgement(row.operation)) setAsked(row)
    else say(`k: the outcome of ${row.operation.id} is not unknown, there is nothing to acknowledge`)
  }

  const verify = ({ operation }: WatchRow) => {
    if (isLook(operation)) say(`v: ${operation.id} only looked, there is nothing to verify`)
    else report(actions.verify(operation))
  }

  useInput(
    (input, key) => {
      const { row } = selection
      if (key.ctrl && input === 'c') return actions.leave(true)
      if (asked) {
        setAsked(null)
        if (input === 'y') report(actions.acknowledge(asked.operation.id))
        else say('not acknowledged')
        return
      }
      if (key.upArrow) selection.move(-1)
      else if (key.downArrow) selection.move(1)
      else if (key.pageUp) selection.move(-layout.list)
      else if (key.pageDown) selection.move(layout.list)
      else if (key.home) selection.move(-frame.rows.length)
      else if (key.end) selection.move(frame.rows.length)
      else if (key.escape) setHelp(false)
      else if (input === '?') setHelp(!hasHelp)
      else if (input === 'q') actions.leave(false)
      else if (['c', 'k', 'v'].includes(input) && !row) say(`${input}: nothing is selected`)
      else if (input === 'c' && row) cancel(row)
      else if (input === 'k' && row) acknowledge(row)
      else if (input === 'v' && row) verify(row)
    },
    { isActive: isRawModeSupported },
  )

  const wanted = layout.detail > 3 ? selection.row?.operation.id : undefined
  useEffect(() => {
    if (wanted !== undefined) actions.wantTranscript(wanted)
  }, [wanted, actions])

  const question = asked && `acknowledge ${asked.operation.id} and free ${clean(asked.operation.connection.name)}? y/N`
  const told = notice && notice.until > frame.now ? notice.text : null
  return (
    <WatchScreen
      frame={frame}
      columns={columns}
      rows={rows}
      header={header}
      selection={selection}
      hasHelp={hasHelp}
      notice={question ?? told}
    />
  )
}
