import type { Operation, RecordedEvent } from '../core/operation.ts'

/** What a watcher learns, in order. The client makes it out of the socket; every renderer draws from it. */
export type Update =
  /** The board as it is now; replaces everything known before. `gap` when events in between were not seen. */
  | {
      readonly type: 'snapshot'
      readonly operations: readonly Operation[]
      readonly cursor: number
      readonly gap: boolean
      /** At the beginning of a watch that goes on after a place in the journal: what was recorded since; null: gone. */
      readonly missed?: readonly RecordedEvent[] | null
    }
  /** One event and the operation after it. */
  | { readonly type: 'event'; readonly recorded: RecordedEvent; readonly operation: Operation }
  /** A sign of life of the daemon, with its clock. */
  | { readonly type: 'heartbeat'; readonly now: number; readonly cursor: number }
  /** The daemon is gone since `since` (this machine's clock); a snapshot follows when it is back. */
  | { readonly type: 'disconnected'; readonly since: number }

/** `cursor` is where they begin in the journal, where somebody knows. */
export type Updates = AsyncIterable<Update> & { readonly cursor?: number }

/** What a reader missed while it was cut off: an event, with the operation as it was after it. */
export type Passed = Pick<Extract<Update, { type: 'event' }>, 'recorded' | 'operation'>

/** The reader has seen everything up to `from`; null in the place of what it missed: nobody can tell. */
export interface Missed {
  readonly from: number
  readonly passed: readonly Passed[] | null
}

/** Where a command writes and what it knows of its surroundings; a command never touches `process` itself. */
export interface Io {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly env: NodeJS.ProcessEnv
}

/** What a renderer is asked to show: some operations from start to end. */
export interface Follow {
  /** As they stand at the beginning, in the order asked for. */
  readonly operations: readonly Operation[]
  readonly batch: string | null
  readonly updates: Updates
  readonly missed?: Missed | undefined
  /** Show device lines too. */
  readonly verbose: boolean
  /** Aborts when this client shall leave (Ctrl-C, a signal, its --timeout). The operations go on. */
  readonly signal: AbortSignal
}

/**
 * Shows operations until all of them have settled, or until the signal aborts. Resolves to the operations as last seen.
 * Renderers write progress to stderr; the command prints verdicts afterwards, so that scrollback keeps them.
 */
export type Renderer = (follow: Follow, io: Io) => Promise<readonly Operation[]>
