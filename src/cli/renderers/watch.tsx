import { render } from 'ink'
import { isSettled, type Operation } from '../../core/operation.ts'
import type { Io, Update, Updates } from '../follow.ts'
import { counts, type WatchHeader } from '../views/watch-words.ts'
import { Watch, type WatchActions } from '../views/Watch.tsx'
import { untilAborted } from './follow-to-end.ts'
import { createFrames } from './frames.ts'
import { guardStream } from './line-writer.ts'
import { WatchBoard, type House } from './watch-board.ts'
import { createWatchLog, type ReadEvents } from './watch-log.ts'

/** A hold is no event, so it is asked for: often enough for a line of counts. */
const HOUSE_MS = 30_000

export interface WatchContext {
  readonly io: Io
  /** Aborts when this client shall leave. */
  readonly signal: AbortSignal
  /** The daemon as it is now: another one may have come back. */
  readonly header: () => WatchHeader
  /** They resolve to a sentence for the person: what was done, or why it cannot be. */
  readonly cancel: (id: string) => Promise<string>
  readonly ack: (id: string) => Promise<string>
  readonly verify: (operation: Operation) => Promise<string>
  /** The events of an operation after this place. */
  readonly readEvents: ReadEvents
  readonly readHouse: () => Promise<House>
}

export interface WatchEnd {
  /** What still runs, late ones not counted, and how many are late: for the farewell line. */
  readonly running: number
  readonly late: number
  /** Left with Ctrl-C, which in raw mode is a key and not a signal. */
  readonly interrupted: boolean
  /** Left to follow this operation alone. */
  readonly attach: string | null
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
  const log = createWatchLog(context.readEvents, () => frames.wake())
  const frames = createFrames(
    (now) => ({ ...board.frame(now), log: log.current() }),
    ({ rows }) => rows.some(({ operation }) => !isSettled(operation)),
  )
  const left = new AbortController()
  let interrupted = false
  let attach: string | null = null

  const transcripts = transcriptLoader(board, context, frames.wake)
  const inspect = houseReader(board, context, frames.wake)
  const actions: WatchActions = {
    cancel: context.cancel,
    acknowledge: context.ack,
    verify: context.verify,
    wantTranscript: transcripts.want,
    openLog: log.open,
    leave: (byInterrupt) => {
      interrupted = byInterrupt
      left.abort()
    },
    // In raw mode Ctrl-Z is a key. Of a group that no shell looks after the system stops nothing, and it returns at once.
    stop: () => process.kill(0, 'SIGTSTP'),
    attach: (id) => {
      attach = id
      left.abort()
    },
  }

  guardStream(screen)
  // The terminal is gone, and as a background job of its shell we are not even told so by a signal.
  const onGone = () => left.abort()
  screen.once('error', onGone)
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
      inspect(update)
      if (update.type === 'snapshot') transcripts.renew()
      log.heard(update.type === 'event' ? update.operation.id : null)
    }
  } finally {
    screen.off('error', onGone)
    frames.stop()
    app.unmount()
    await app.waitUntilExit()
  }
  const { running, late } = counts(frames.current().rows)
  return { running, late, interrupted, attach }
}

/** Each transcript is asked for once; one that cannot be read is no reason to stop watching. */
function transcriptLoader(board: WatchBoard, { readEvents }: WatchContext, wake: () => void) {
  const asked = new Set<string>()
  let latest: string | null = null
  const load = async (id: string) => {
    try {
      board.addTranscript(id, await readEvents(id, 0))
      wake()
    } catch {
      asked.delete(id)
    }
  }
  const want = (id: string) => {
    latest = id
    if (asked.has(id)) return
    for (const one of asked) if (!board.has(one)) asked.delete(one)
    asked.add(id)
    void load(id)
  }
  return {
    want,
    /** The board came anew: what happened in between was not seen. */
    renew: () => {
      asked.clear()
      if (latest !== null) want(latest)
    },
  }
}

/** Asked again when the daemon is back, and now and then with its heartbeat. */
function houseReader(board: WatchBoard, { readHouse }: WatchContext, wake: () => void): (update: Update) => void {
  let askedAt = -Infinity
  const read = async () => {
    try {
      board.know(await readHouse())
      wake()
    } catch {
      // The next heartbeat asks again.
      askedAt = -Infinity
    }
  }
  return ({ type }) => {
    const isDue = type === 'heartbeat' && performance.now() - askedAt > HOUSE_MS
    if (type !== 'snapshot' && !isDue) return
    askedAt = performance.now()
    void read()
  }
}
