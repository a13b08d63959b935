import { setTimeout as sleep } from 'node:timers/promises'
import type { Operation, OperationEvent, RecordedEvent } from '../../../src/core/operation.ts'
import { Manager } from '../../../src/daemon/manager.ts'
import type { Recorded } from '../../../src/daemon/store/operations.ts'
import type { Store } from '../../../src/daemon/store/store.ts'
import { ACCEPTED, FACTS, TOMCAT } from '../../helpers/operations.ts'
import type { Random } from '../random.ts'
import { stampedLine } from './stamp.ts'

/** Restarts at once. */
const DEVICES = 20
/** As many as the journal keeps of one operation. */
const LINES = 2000
/** Events come in one transaction per tick: one commit for each would be all that the machine can do. */
const TICK_MS = 4

/**
 * A manager whose operations are made up, so that events come as fast as they can be recorded. The journal, the feed and
 * the server behind it are the daemon's own.
 */
export class Load extends Manager {
  readonly #store: Store
  readonly #random: Random
  readonly #connections: readonly number[]
  readonly #operations = new Map<string, Operation>()
  readonly #active: (Operation | undefined)[] = Array.from({ length: DEVICES })
  readonly #watching = new Set<(recorded: RecordedEvent, operation: Operation) => void>()
  #count = 0
  #ended = 0

  constructor(store: Store, random: Random) {
    super({ store, now: Date.now, log: () => undefined, openDevice: () => never('no device is opened') })
    this.#store = store
    this.#random = random
    this.#connections = store.write(() =>
      Array.from(this.#active, (_, index) => {
        const input = { name: `node-${index}`, host: `10.10.0.${index}`, username: 'admin' }
        return store.connections.add(input, Date.now()).id
      }),
    )
  }

  /** Events so far. */
  get count(): number {
    return this.#count
  }

  override board(): Operation[] {
    return [...this.#operations.values()]
  }

  override find(id: string): Operation | undefined {
    return this.#operations.get(id)
  }

  override onEvent(listener: (recorded: RecordedEvent, operation: Operation) => void): () => void {
    this.#watching.add(listener)
    return () => this.#watching.delete(listener)
  }

  /** Until the signal aborts; what a machine is too slow for is left out, not made up for later. */
  async run(perSecond: number, signal: AbortSignal): Promise<void> {
    const perTick = (perSecond / 1000) * TICK_MS
    let due = 0
    for (let last = performance.now(); !signal.aborted; await sleep(TICK_MS / 2)) {
      const now = performance.now()
      due = Math.min(due + ((now - last) / 1000) * perSecond, 8 * perTick)
      last = now
      if (due < perTick) continue
      this.#record(Math.floor(due))
      due -= Math.floor(due)
    }
  }

  #record(count: number): void {
    const written = this.#store.write(() => Array.from({ length: count }, () => this.#next()))
    this.#count += count
    for (const { recorded, operation } of written) {
      this.#operations.set(operation.id, operation)
      for (const listener of this.#watching) listener(recorded, operation)
    }
  }

  /** One step of one of the restarts; where one has ended the next begins. */
  #next(): Recorded {
    const slot = this.#random.below(DEVICES)
    const operation = this.#active[slot]
    const written = operation
      ? this.#store.operations.append(operation, this.#eventAfter(operation), Date.now())
      : this.#begin(slot)
    this.#active[slot] = written.operation.phase === 'settled' ? undefined : written.operation
    return written
  }

  #begin(slot: number): Recorded {
    const connection = { id: this.#connections[slot] ?? 0, name: `node-${slot}` }
    const accepted = { ...ACCEPTED, connection, device: `10.10.0.${slot}:22` }
    return this.#store.operations.insert(`r-${String(++this.#ended).padStart(6, '0')}`, accepted, Date.now())
  }

  #eventAfter({ seq }: Operation): OperationEvent {
    const early = ROAD[seq - 1]
    if (early) return early
    const late = END[seq - 1 - ROAD.length - LINES]
    return late ?? stampedLine('the device is chatty. '.repeat(1 + this.#random.below(6)))
  }
}

/** What comes after `accepted` and before the lines. */
const ROAD: readonly OperationEvent[] = [
  { type: 'connecting' },
  { type: 'authenticating', username: 'admin', method: 'password' },
  { type: 'authenticated' },
  { type: 'ready', facts: FACTS },
  { type: 'resolved', service: TOMCAT, started: [TOMCAT.name], listed: 1 },
  { type: 'dispatching', command: `utils service restart ${TOMCAT.name}` },
  { type: 'sent' },
  { type: 'stopping', seenIn: 'output' },
]

const END: readonly OperationEvent[] = [
  { type: 'starting', seenIn: 'output' },
  { type: 'verifying', because: 'the prompt is back' },
  { type: 'settled', status: 'completed', message: 'restarted' },
]

function never(why: string): never {
  throw new Error(why)
}
