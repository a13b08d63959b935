import { isDeepStrictEqual } from 'node:util'
import { Client } from '../../../src/cli/client.ts'
import { apply, type Operation } from '../../../src/core/operation.ts'
import { VERSION } from '../../../src/core/version.ts'
import { quantile } from '../../../src/daemon/store/operations.ts'
import { comesTrue } from '../../helpers/wait.ts'
import { answer } from './questions.ts'
import { ageOf } from './stamp.ts'

/** Lines that make a moment: a quarter of a second. */
const MOMENT = 2500

/** What a watcher tells the rig when it is asked. */
export interface Mark {
  /** Lines seen since the last mark. */
  readonly lines: number
  /** From the record of a line to its sight, in milliseconds. */
  readonly p50: number
  readonly p99: number
  /** The p99 of a typical moment: what else the machine did for a while does not count. */
  readonly typicalP99: number
}

export interface Summary {
  /** Gaps and repetitions, a sentence each. */
  readonly problems: readonly string[]
  readonly operations: readonly Operation[]
  /** Events seen as they came, and those that were read again after a gap. */
  readonly live: number
  readonly reread: number
  readonly disconnects: number
}

export interface WatcherQuestions {
  readonly mark: Mark
  /** Asked with a cursor: answered when everything up to there is known. */
  readonly summary: Summary
}

/** What lies between two states of an operation and was not seen. */
interface Hole {
  readonly before: Operation | null
  readonly after: Operation
}

/**
 * A watcher in a process of its own, with the client that the commands use. It folds what it sees, and after a gap reads
 * the journal from the place where it was.
 */
class Watcher {
  readonly #client: Client
  readonly #operations = new Map<string, Operation>()
  readonly #holes: Hole[] = []
  readonly #problems: string[] = []
  readonly #left = new AbortController()
  #latencies: number[] = []
  #cursor = 0
  #live = 0
  #reread = 0
  #disconnects = 0

  constructor(client: Client) {
    this.#client = client
  }

  async watch(): Promise<void> {
    for await (const update of this.#client.watch('operations', { signal: this.#left.signal })) {
      if (update.type === 'event') {
        const { recorded, operation } = update
        this.#live++
        this.#cursor = recorded.cursor
        const known = this.#operations.get(recorded.operationId)?.seq ?? 0
        if (recorded.seq !== known + 1) this.#problems.push(`${operation.id}: event ${recorded.seq} after ${known}`)
        this.#operations.set(operation.id, operation)
        const age = ageOf(recorded.event)
        if (age !== null) this.#latencies.push(age)
      } else if (update.type === 'snapshot') {
        this.#cursor = update.cursor
        for (const after of update.operations) this.#take(after, update.gap)
      } else if (update.type === 'disconnected') this.#disconnects++
    }
  }

  #take(after: Operation, gap: boolean): void {
    const before = this.#operations.get(after.id) ?? null
    this.#operations.set(after.id, after)
    if (before && before.seq === after.seq) return
    if (gap) this.#holes.push({ before, after })
    else this.#problems.push(`${after.id}: a snapshot jumps from ${before?.seq ?? 0} to ${after.seq} and tells no gap`)
  }

  mark(): Mark {
    const seen = this.#latencies
    this.#latencies = []
    const moments = Array.from({ length: Math.ceil(seen.length / MOMENT) }, (_, index) =>
      quantile(seen.slice(index * MOMENT, (index + 1) * MOMENT), 0.99),
    )
    return {
      lines: seen.length,
      p50: quantile(seen, 0.5),
      p99: quantile(seen, 0.99),
      typicalP99: quantile(moments, 0.5),
    }
  }

  /** Once everything up to `cursor` has come. */
  async summary(cursor: number): Promise<Summary> {
    // Who asked has a limit of its own.
    await comesTrue(() => this.#cursor >= cursor, Infinity)
    for (const hole of this.#holes) await this.#fill(hole)
    this.#left.abort()
    this.#client.close()
    return {
      problems: this.#problems,
      operations: [...this.#operations.values()],
      live: this.#live,
      reread: this.#reread,
      disconnects: this.#disconnects,
    }
  }

  async #fill({ before, after }: Hole): Promise<void> {
    const { id } = after
    const events = await this.#client.request('operation:events', { id, afterSeq: before?.seq ?? 0, limit: 5000 })
    const missed = events.filter(({ seq }) => seq <= after.seq)
    this.#reread += missed.length
    const state = missed.reduce<Operation | null>((operation, recorded) => apply(operation, recorded), before)
    if (!isDeepStrictEqual(state, after)) {
      this.#problems.push(`${id}: its events from ${before?.seq ?? 0} on lead to ${state?.seq}, not to ${after.seq}`)
    }
  }
}

const watcher = new Watcher(await Client.connect({ socketPath: process.argv[2] ?? '', version: VERSION }))
void watcher.watch()
await answer({
  mark: () => watcher.mark(),
  summary: (cursor: number) => watcher.summary(cursor),
} satisfies Record<keyof WatcherQuestions, unknown>)
