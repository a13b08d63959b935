import { isSettled, type Operation, type RecordedEvent } from '../../core/operation.ts'
import type { Missed, Renderer, Update } from '../follow.ts'
import { followToEnd } from './follow-to-end.ts'
import { toEventJson, toOperationJson, type JsonObject } from './json.ts'
import { createLineWriter } from './line-writer.ts'
import { combinedStatus } from './verdict.ts'
import { standingAt } from './words.ts'

/** A stream that has nothing to say for this long says that it lives. */
const HEARTBEAT_MS = 60_000

/**
 * The lines of one stream of events. `seq` is the place in the store's journal that the stream has reached: a reader that
 * was cut off comes back with it. Every event has its own; `progress` is none and has null.
 */
export class EventLines {
  readonly #print: (line: string) => void
  readonly #now: () => number
  #cursor: number | null = null
  /** Null until the first heartbeat, which comes soon: a reader that has left at once is noticed by it. */
  #heardAt: number | null = null

  constructor(print: (line: string) => void, now: () => number = Date.now) {
    this.#print = print
    this.#now = now
  }

  say(type: string, fields: JsonObject = {}, seq: number | null = this.#cursor): void {
    const at = this.#now()
    if (this.#heardAt !== null) this.#heardAt = at
    this.#print(JSON.stringify({ v: 1, seq, at: new Date(at).toISOString(), type, ...fields }))
  }

  hello(fields: JsonObject): void {
    this.say('hello', { schema: 'vosctl/event/v1', ...fields })
  }

  snapshot(operations: readonly Operation[], cursor: number | null = this.#cursor, gap = false): void {
    if (gap && cursor !== null) this.gap(this.#cursor, cursor + 1)
    this.#cursor = cursor
    this.say('snapshot', { gap, operations: operations.map((operation) => toOperationJson(operation, this.#now())) })
  }

  event(recorded: RecordedEvent, operation: Operation): void {
    this.#cursor = recorded.cursor
    if (this.#heardAt !== null) this.#heardAt = this.#now()
    this.#print(JSON.stringify(toEventJson(recorded, operation)))
  }

  /** What was recorded after `after` and before `from` is not in this stream, if there was anything. */
  gap(after: number | null, from: number): void {
    this.#cursor = from - 1
    this.say('gap', { after, from })
  }

  /**
   * What a reader missed, as far as it can be told, up to `cursor`. With `whole` every number has to be there, so a
   * number that is not is a gap.
   */
  missed({ from, passed }: Missed, cursor: number, whole: boolean, isOurs: (operation: Operation) => boolean): void {
    if (passed === null || from > cursor) return this.gap(from, cursor + 1)
    let place = from
    for (const { recorded, operation } of passed) {
      if (whole && recorded.cursor > place + 1) this.gap(place, recorded.cursor)
      place = recorded.cursor
      if (isOurs(operation)) this.event(recorded, operation)
    }
    if (whole && place < cursor) this.gap(place, cursor + 1)
  }

  /** An update of a watch, about the operations that are ours. */
  take(update: Update, isOurs: (operation: Operation) => boolean = () => true): void {
    switch (update.type) {
      case 'snapshot':
        return this.snapshot(update.operations.filter(isOurs), update.cursor, update.gap)
      case 'event':
        if (isOurs(update.operation)) this.event(update.recorded, update.operation)
        else this.#cursor = update.recorded.cursor
        return
      case 'heartbeat': {
        const now = this.#now()
        if (this.#heardAt !== null && Math.abs(now - this.#heardAt) < HEARTBEAT_MS) return
        this.#heardAt = now
        return this.say('heartbeat')
      }
      case 'disconnected':
        return this.say('disconnected', { since: new Date(update.since).toISOString() })
      default:
        return update satisfies never
    }
  }
}

/** Operations from start to end, a line for everything that happens; the last one is the `result`. */
export const renderJsonl: Renderer = async (follow, io) => {
  const lines = new EventLines(createLineWriter(io.stdout))
  const { operations, missed } = follow
  const cursor = follow.updates.cursor ?? null
  const current = new Map(operations.map((operation) => [operation.id, operation]))
  const lastPercent = new Map<string, number>()
  const tick = () => {
    const now = Date.now()
    for (const operation of current.values()) {
      if (isSettled(operation) || operation.beganAt === null) continue
      const { percent, elapsedMs, remainingMs } = standingAt(operation, now)
      if (lastPercent.get(operation.id) === percent) continue
      lastPercent.set(operation.id, percent)
      const fields = {
        op: operation.id,
        connection: operation.connection.name,
        phase: operation.phase,
        progress: percent,
        elapsed_ms: elapsedMs,
        eta_at: remainingMs === null ? null : new Date(now + remainingMs).toISOString(),
      }
      lines.say('progress', fields, null)
    }
  }

  lines.hello({ batch: follow.batch, operations: operations.map(({ id }) => id), from: missed?.from ?? null })
  if (missed) lines.missed(missed, cursor ?? missed.from, false, () => true)
  lines.snapshot(operations, cursor)
  const timer = setInterval(tick, 1000)
  try {
    const last = await followToEnd(follow, (update, changes) => {
      for (const { after } of changes) current.set(after.id, after)
      if (update.type === 'snapshot') lines.take({ ...update, operations: [...current.values()] })
      else lines.take(update, () => changes.length > 0)
    })
    if (follow.signal.aborted) lines.say('bye', { message: 'the operations go on' })
    const now = Date.now()
    const documents = last.map((operation) => toOperationJson(operation, now))
    lines.say('result', { exit_code: combinedStatus(last), operations: documents })
    return last
  } finally {
    clearInterval(timer)
  }
}
