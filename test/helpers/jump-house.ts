import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { deviceKey, loginKey, type HostKey } from '../../src/core/connection.ts'
import { isSettled, type Operation, type OperationEvent } from '../../src/core/operation.ts'
import type { ConnectionInput, StartRequest } from '../../src/core/protocol.ts'
import { openDevice } from '../../src/daemon/devices/open.ts'
import { createHandlers, type Handlers } from '../../src/daemon/handlers.ts'
import { Manager } from '../../src/daemon/manager.ts'
import { createSecretReader } from '../../src/daemon/secrets.ts'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { startSimulator, vary, type Scenario, type Simulator } from '../../src/simulator/index.ts'
import { timings } from '../daemon/vos-fixture.ts'
import { startSshd, type TestSshd } from './sshd.ts'
import { temporaryDirectory } from './temporary.ts'
import { until } from './wait.ts'
import { DEFAULT_SETTINGS } from '../../src/daemon/settings.ts'
import { secretsOf } from './secrets.ts'

/** All of a daemon but its socket, with real machines: appliances that are simulated, and OpenSSH in between. */
export class JumpHouse {
  readonly store: Store
  readonly manager: Manager
  readonly handlers: Handlers

  constructor() {
    this.store = new Store(openDatabase(path.join(temporaryDirectory(), 'vosctl.db')), (error) => {
      throw error
    })
    const { sealed, lent } = secretsOf(this.store)
    const secrets = createSecretReader({ store: this.store, sealed, settings: DEFAULT_SETTINGS, lent })
    this.manager = new Manager({
      store: this.store,
      openDevice: (request) =>
        openDevice({ ...request, readSecret: (connection) => secrets.read({ ...request, connection }) }),
      missing: secrets.missing,
      lent,
      now: Date.now,
      log: (line) => {
        throw new Error(line)
      },
    })
    const notHere = () => {
      throw new Error('there is no socket here')
    }
    this.handlers = createHandlers({
      store: this.store,
      manager: this.manager,
      sealed,
      lent,
      now: Date.now,
      info: notHere,
      stop: notHere,
    })
    onTestFinished(async () => {
      await this.manager.drain(AbortSignal.abort())
      this.store.close()
    })
  }

  /** A connection with a pinned key; with a password, or with the key file of its input. */
  async add(
    machine: Pick<TestSshd, 'host' | 'port' | 'username' | 'hostKey'>,
    input: Partial<ConnectionInput> & { readonly name: string },
    password?: string,
  ): Promise<number> {
    const { host, port, username } = machine
    const added = await this.handlers['connection:add']({ host, port, username, timings, ...input })
    const { id } = added
    await this.handlers['connection:trust']({ id, device: deviceKey(added), hostKey: machine.hostKey })
    if (password !== undefined) await this.setPassword(id, password)
    return id
  }

  async setPassword(id: number, password: string): Promise<void> {
    await this.handlers['credential:set']({ id, login: loginKey(this.store.connections.get(id)), password })
  }

  /** Pins another key than the one that is pinned. */
  async replaceKey(id: number, hostKey: HostKey): Promise<void> {
    const connection = this.store.connections.get(id)
    const replaces = connection.hostKey?.fingerprint ?? ''
    await this.handlers['connection:trust']({ id, device: deviceKey(connection), hostKey, replaces })
  }

  /** A jump host that lets us in with a key. */
  async hop(sshd: TestSshd, input: Partial<ConnectionInput> & { readonly name: string }): Promise<number> {
    return await this.add(sshd, { platform: 'linux', keyPath: sshd.keyPath, ...input })
  }

  async appliance(simulator: Simulator, input: Partial<ConnectionInput> & { readonly name: string }): Promise<number> {
    return await this.add(simulator, input, simulator.password)
  }

  start(connectionIds: readonly number[], more: Partial<StartRequest> = {}): readonly Operation[] {
    const request = { requestId: randomUUID(), createdBy: 'alice', operationType: 'service_restart' } as const
    return this.manager.start({ ...request, connectionIds, parallel: 1000, ...more }).operations
  }

  async settled(id: string): Promise<Operation> {
    return await until(
      `${id} settles`,
      () => {
        const operation = this.manager.get(id)
        return isSettled(operation) ? operation : null
      },
      20_000,
    )
  }

  async run(id: number, more: Partial<StartRequest> = {}): Promise<Operation> {
    return await this.settled(this.start([id], more)[0]?.id ?? '')
  }

  /** A request about one connection, as a promise whatever it does. */
  async ask(name: 'connection:host-key' | 'connection:remove', id: number): Promise<unknown> {
    return await this.handlers[name]({ id })
  }

  events(id: string): readonly OperationEvent[] {
    return this.store.operations.events(id, 0, 1000).map(({ event }) => event)
  }
}

export async function sshd(...config: readonly string[]): Promise<TestSshd> {
  const server = await startSshd({ config })
  onTestFinished(() => server.stop())
  return server
}

/** An appliance whose idle sessions do not end because a busy machine is slow. */
export async function appliance(scenario: Scenario, timeScale = 0.001): Promise<Simulator> {
  const patient = vary(scenario, scenario, { access: { sessions: { idleMs: 24 * 3_600_000 } } })
  const simulator = await startSimulator(patient, { timeScale })
  onTestFinished(() => simulator.stop())
  return simulator
}

/** Attempts that the server has judged: `none` and the offers of public keys are not among them. */
export function attempts(server: TestSshd): string[] {
  return server
    .log()
    .split('\n')
    .filter((line) => /^(?:Accepted|Failed) (?:publickey|password) /.test(line))
}
