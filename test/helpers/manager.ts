import path from 'node:path'
import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import type { Device } from '../../src/core/device.ts'
import { isSettled, type Operation, type RecordedEvent } from '../../src/core/operation.ts'
import type { StartRequest } from '../../src/core/protocol.ts'
import { LentSecrets } from '../../src/daemon/lent-secrets.ts'
import { Manager } from '../../src/daemon/manager.ts'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { verifyFile } from './verify-history.ts'
import { temporaryDirectory } from './temporary.ts'
import { FACTS } from './operations.ts'
import { until } from './wait.ts'

/** A manager over a real database file, with devices that follow a script and a clock that the test moves. */
export class House {
  readonly file: string
  readonly fatal: Error[] = []
  readonly log: string[] = []
  readonly seen: RecordedEvent[] = []
  clock = 1_700_000_000_000
  /** What was typed; the next daemon has nothing of it. */
  lent = new LentSecrets()
  store: Store
  manager: Manager
  readonly #monotonic: (() => number) | undefined
  #device: (name: string, signal: AbortSignal) => Device

  constructor(
    device: (name: string, signal: AbortSignal) => Device,
    options: {
      /** The clock that nobody sets. */
      readonly monotonic?: () => number
    } = {},
  ) {
    this.#monotonic = options.monotonic
    this.file = path.join(temporaryDirectory(), 'vosctl.db')
    this.#device = device
    this.store = this.#openStore()
    this.manager = this.#openManager()
    onTestFinished(async () => {
      this.manager.stopSweeping()
      this.store.close()
      // Whatever a test has done, its history is as it was written.
      const { bad } = await verifyFile(this.file)
      if (bad) throw new Error(`history is not as it was written: ${JSON.stringify(bad)}`)
    })
  }

  /** What is on disk is all that the next daemon gets, as after SIGKILL. */
  crash(device: (name: string, signal: AbortSignal) => Device = this.#device): void {
    this.manager.stopSweeping()
    this.store.close()
    this.#device = device
    this.lent = new LentSecrets()
    this.store = this.#openStore()
    this.manager = this.#openManager()
    this.manager.recover()
  }

  add(name: string, host = '10.10.0.10', port = 22): number {
    return this.store.write(() => {
      const { id } = this.store.connections.add({ name, host, port, username: 'admin' }, this.clock)
      this.store.connections.pin(id, FACTS.hostKey)
      this.store.connections.setSealedPassword(id, Buffer.from('sealed'))
      return id
    })
  }

  start(connectionIds: number | readonly number[], more: Partial<StartRequest> = {}) {
    return this.manager.start({
      requestId: randomUUID(),
      operationType: 'service_restart',
      connectionIds: [connectionIds].flat(),
      createdBy: 'alice',
      ...more,
    })
  }

  settled(id: string): Promise<Operation> {
    return until(`${id} settles`, () => {
      const operation = this.manager.get(id)
      return isSettled(operation) ? operation : null
    })
  }

  #openStore(): Store {
    return new Store(openDatabase(this.file), (error) => this.fatal.push(error))
  }

  #openManager(): Manager {
    const manager = new Manager({
      store: this.store,
      openDevice: ({ connection, signal }) => this.#device(connection.name, signal),
      now: () => this.clock,
      ...(this.#monotonic ? { monotonic: this.#monotonic } : {}),
      log: (line) => this.log.push(line),
      lent: this.lent,
    })
    manager.onEvent((recorded) => this.seen.push(recorded))
    return manager
  }
}
