import { render } from 'ink'
import { isSettled, type Operation, type RecordedEvent } from '../../core/operation.ts'
import type { Io, Updates } from '../follow.ts'
import { counts, type WatchHeader } from '../views/watch-words.ts'
import { Watch, type WatchActions } from '../views/Watch.tsx'
import { untilAborted } from './follow-to-end.ts'
import { createFrames } from './frames.ts'
import { guardStream } from './line-writer.ts'
import { WatchBoard } from './watch-board.ts'

export interface WatchContext {
  readonly io: Io
  /** Aborts when this client shall leave. */
  readonly signal: AbortSignal
  readonly header: WatchHeader
  /** They resolve to a sentence for the person: what was done, or why it cannot be. */
  readonly cancel: (id: string) => Promise<string>
  readonly ack: (id: string) => Promise<string>
  readonly verify: (operation: Operation) => Promise<string>
  /** The events of an operation so far, for the detail area of a tall screen. */
  readonly transcript?: (id: string) => Promise<readonly RecordedEvent[]>
}

export interface WatchEnd {
  /** What still runs, late ones not counted, and how many are late: for the farewell line. */
  readonly running: number
  readonly late: number
  /** Left with Ctrl-C, which in raw mode is a key and not a signal. */
  readonly interrupted: boolean
}

/**
 * The dashboard, on the alternate screen: what stood on the terminal before is back when it resolves. Ends with q or
 * Ctrl-C, when the signal aborts, or when the updates do.
 */
export async function runWatch(updates: Updates, context: WatchContext): Promise<WatchEnd> {
  const { io, header } = context
  // It draws for weeks: what it throws away is better collected more often than kept in 48 MB of young generation.
  process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1')
  const screen = io.stdout.isTTY ? io.stdout : io.stderr
  const board = new WatchBoard(Date.now())
  const frames = createFrames(
    (now) => board.frame(now),
    ({ rows }) => rows.some(({ operation }) => !isSettled(operation)),
  )
  const left = new AbortController()
  let interrupted = false

  const actions: WatchActions = {
    cancel: context.cancel,
    acknowledge: context.ack,
    verify: context.verify,
    wantTranscript: transcriptLoader(board, context, frames.wake),
    leave: (byInterrupt) => {
      interrupted = byInterrupt
      left.abort()
    },
  }

  guardStream(screen)
  const app = render(<Watch frames={frames} env={io.env} header={header} actions={actions} />, {
    stdout: screen,
    stdin: io.stdin,
    stderr: io.stderr,
    exitOnCtrlC: false,
    patchConsole: false,
    interactive: true,
    isScreenReaderEnabled: false,
    alternateScreen: true,
    incrementalRendering: true,
    maxFps: 10,
  })
  try {
    for await (const update of untilAborted(updates, AbortSignal.any([context.signal, left.signal]))) {
      board.receive(update, Date.now())
      frames.wake()
    }
  } finally {
    frames.stop()
    app.unmount()
    await app.waitUntilExit()
  }
  const { running, late } = counts(frames.current().rows)
  return { running, late, interrupted }
}

/** Each transcript is asked for once; one that cannot be read is no reason to stop watching. */
function transcriptLoader(board: WatchBoard, { transcript }: WatchContext, wake: () => void): (id: string) => void {
  const asked = new Set<string>()
  const load = async (id: string) => {
    try {
      board.addTranscript(id, (await transcript?.(id)) ?? [])
      wake()
    } catch {
      asked.delete(id)
    }
  }
  return (id) => {
    if (asked.has(id)) return
    asked.add(id)
    void load(id)
  }
}
