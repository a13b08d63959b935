import { formatDuration } from '../../core/duration.ts'
import { isLook, isSettled, type Operation, type RecordedEvent } from '../../core/operation.ts'
import type { Follow, Renderer, Update } from '../follow.ts'
import { isOn } from './choose.ts'
import { followToEnd, type Change } from './follow-to-end.ts'
import { createLineWriter } from './line-writer.ts'
import { combinedStatus, countWords, sentence, untouchedWords } from './verdict.ts'
import {
  aboutWords,
  clean,
  cleanDeviceLine,
  clock,
  connectionsWords,
  describe,
  standingAt,
  stateWord,
  tookMs,
  usualWords,
  verdictWord,
  waitingWords,
} from './words.ts'

const HEARTBEAT_MS = 60_000
const ACCESSIBLE_HEARTBEAT_MS = 30_000

/** One line per fact on stderr: absolute time first, so that logs can be merged; never an escape byte. */
export const renderPlain: Renderer = async (follow, io) => {
  const heartbeatMs = isOn(io.env.ACCESSIBLE) ? ACCESSIBLE_HEARTBEAT_MS : HEARTBEAT_MS
  const report = new Report(follow, createLineWriter(io.stderr), heartbeatMs)
  report.begin(Date.now())
  const timer = setInterval(() => report.tick(Date.now()), 1000)
  try {
    const operations = await followToEnd(follow, (update, changes) => report.see(update, changes, Date.now()))
    report.end(operations)
    return operations
  } finally {
    clearInterval(timer)
  }
}

class Report {
  readonly #write: (line: string) => void
  readonly #heartbeatMs: number
  readonly #verbose: boolean
  readonly #batch: string | null
  readonly #operations: Map<string, Operation>
  readonly #quietSince = new Map<string, number>()
  #goneSince: number | null = null

  constructor(follow: Follow, write: (line: string) => void, heartbeatMs: number) {
    this.#write = write
    this.#heartbeatMs = heartbeatMs
    this.#verbose = follow.verbose
    this.#batch = follow.operations.length > 1 ? follow.batch : null
    this.#operations = new Map(follow.operations.map((operation) => [operation.id, operation]))
  }

  begin(now: number): void {
    const operations = [...this.#operations.values()]
    const [first] = operations
    if (!first) return
    if (this.#batch !== null) {
      const services = new Set(operations.map(({ type, service }) => describe({ type, service })))
      const what = services.size === 1 ? describe(first) : describe({ type: first.type, service: null })
      const startedAt = Math.min(...operations.map((operation) => operation.startedAt))
      this.#write(`${clock(startedAt)} ${this.#batch} accepted ${what} on ${connectionsWords(operations)}`)
      this.#quietSince.set(this.#batch, now)
    }
    for (const operation of operations) {
      if (this.#batch === null) {
        const usual = usualWords(operation.usual)
        this.#fact(operation, operation.startedAt, `accepted ${describe(operation)}${usual ? ` (${usual})` : ''}`)
        this.#quietSince.set(operation.id, now)
      }
      if (operation.phase === 'accepted' && operation.after !== undefined) {
        this.#fact(operation, operation.startedAt, waitingWords(operation))
      }
      this.#phases(operation, 1)
      this.#lateness(operation, now)
    }
  }

  see(update: Update, changes: readonly Change[], now: number): void {
    if (update.type === 'disconnected') {
      this.#goneSince = update.since
      this.#write(`${clock(update.since)} vosctl: the daemon is gone, reconnecting`)
      this.#quietSince.set('', now)
    } else if (this.#goneSince !== null) {
      this.#write(`${clock(now)} vosctl: the daemon is back after ${formatDuration(now - this.#goneSince)}`)
      this.#goneSince = null
    }
    for (const { before, after } of changes) {
      this.#operations.set(after.id, after)
      if (update.type === 'event') this.#event(update.recorded, after)
      this.#phases(after, before.phases.length)
      if (before.lateAt === undefined) this.#lateness(after, now)
      if (after.phases.length > before.phases.length) this.#quietSince.set(after.id, now)
    }
  }

  /** Once a second: a sign of life where nothing else was printed for a while. */
  tick(now: number): void {
    if (this.#goneSince !== null) {
      if (!this.#isDue('', now)) return
      const gone = formatDuration(now - this.#goneSince)
      this.#write(`${clock(now)} vosctl: the daemon is gone for ${gone}, reconnecting`)
      return
    }
    const open = [...this.#operations.values()].filter((operation) => !isSettled(operation))
    const running = open.filter(({ beganAt }) => beganAt !== null)
    if (this.#batch !== null) {
      if (!this.#isDue(this.#batch, now)) return
      const done = this.#operations.size - open.length
      const counts = `${running.length} running, ${open.length - running.length} waiting`
      this.#write(`${clock(now)} ${this.#batch} ${done} of ${this.#operations.size} done, ${counts}`)
      return
    }
    for (const operation of running.length > 0 ? running : open) {
      if (this.#isDue(operation.id, now)) this.#fact(operation, now, heartbeatWords(operation, now))
    }
  }

  end(operations: readonly Operation[]): void {
    const status = combinedStatus(operations)
    if (this.#batch === null || status === null) return
    const ended = Math.max(...operations.map(({ completedAt }) => completedAt ?? 0))
    this.#write(`${clock(ended)} ${this.#batch} ended: ${countWords(operations)}; exit ${status}`)
  }

  #isDue(key: string, now: number): boolean {
    // A clock that was set back must not silence it until it has caught up.
    if (Math.abs(now - (this.#quietSince.get(key) ?? 0)) < this.#heartbeatMs) return false
    this.#quietSince.set(key, now)
    return true
  }

  /** The phases from `from` on, each at its own time: after a lost stretch nothing is missing. */
  #phases(operation: Operation, from: number): void {
    for (const { phase, at } of operation.phases.slice(from)) {
      if (phase === 'settled') this.#ending(operation, at)
      else if (phase === 'reconciling') this.#fact(operation, at, 'checking the device after an interruption')
      else if (this.#batch === null || this.#verbose) {
        const isDetail = phase === 'connecting' || phase === 'ready' || phase === 'dispatching'
        const word = phase === 'ready' ? 'logged in' : phase === 'dispatching' ? 'sending' : phase
        if (!isDetail || this.#verbose) this.#fact(operation, at, word)
      }
    }
  }

  /** Once for each operation: when it becomes late, or at the first sight of one that is. */
  #lateness(operation: Operation, now: number): void {
    if (operation.lateAt === undefined || isSettled(operation)) return
    const words = `late: ${stateWord(operation)} for longer than ${usualWords(operation.usual)}`
    this.#fact(operation, operation.lateAt, words)
    this.#quietSince.set(operation.id, now)
  }

  #event({ event, at }: RecordedEvent, operation: Operation): void {
    if (event.type === 'silent') {
      return this.#fact(operation, at, `nothing from the device for ${formatDuration(event.forMs)}`)
    }
    if (!this.#verbose) return
    if (event.type === 'line') this.#fact(operation, at, `| ${cleanDeviceLine(event.text)}`)
    else if (event.type === 'sent') this.#fact(operation, at, 'sent')
    else if (event.type === 'gap') this.#fact(operation, at, `| ... ${event.lines} lines left out`)
    else if (event.type === 'evidence') this.#fact(operation, at, `${clean(event.what)}: ${clean(event.value)}`)
  }

  #ending(operation: Operation, at: number): void {
    this.#fact(operation, at, endingWords(operation) + this.#countOf(operation))
  }

  #countOf({ status }: Operation): string {
    if (this.#batch === null || status !== 'completed') return ''
    const settled = [...this.#operations.values()].filter(isSettled).length
    return `      (${settled}/${this.#operations.size})`
  }

  #fact({ id, connection }: Operation, at: number, words: string): void {
    this.#write(`${clock(at)} ${id} ${clean(connection.name)} ${words}`)
  }
}

function heartbeatWords(operation: Operation, now: number): string {
  const { elapsedMs, remainingMs, lateMs } = standingAt(operation, now)
  const state = operation.phase === 'accepted' && operation.after ? waitingWords(operation) : stateWord(operation)
  const soFar = `${state}, ${formatDuration(elapsedMs)} so far`
  if (lateMs !== null) return `${soFar}, late ${formatDuration(lateMs)}`
  return remainingMs === null ? soFar : `${soFar}, about ${aboutWords(remainingMs)} left`
}

function endingWords(operation: Operation): string {
  const text = sentence(operation)
  if (operation.status !== 'completed') {
    const word = verdictWord(operation)
    return `${text.startsWith(word) ? '' : `${word}: `}${text}${untouchedWords(operation)}`
  }
  // What else is down now follows the proof, after a semicolon.
  const aside = isLook(operation) ? [`: ${text}`] : text.split(/(?=; )/).slice(1)
  const took = tookMs(operation)
  return `done${took === null ? '' : ` in ${formatDuration(took)}`}${aside.join('')}`
}
