import { type AddressInfo, createServer, type Server } from 'node:net'
import { Appliance } from './appliance.ts'
import { Clock } from './clock.ts'
import { Connection } from './connection.ts'
import { createHostKey, type HostKey } from './host-key.ts'
import { Ledger } from './ledger.ts'
import type { HostKeyType, Scenario, ServiceState } from './scenario.ts'
import type { ServiceStatus } from './service-list.ts'

export interface SimulatorOptions {
  readonly host?: string
  readonly port?: number
  /** A key to be found again in the next run; without one each simulator makes its own. */
  readonly hostKey?: HostKey
  /** What one second of the appliance's life takes here, in seconds. 1 is real life. */
  readonly timeScale?: number
  /** Also write the ledger here, line by line, for another process or a later one. */
  readonly ledgerFile?: string
}

export interface Simulator {
  readonly host: string
  readonly port: number
  readonly hostKey: { readonly type: HostKeyType; readonly fingerprint: string }
  readonly username: string
  readonly password: string
  readonly ledger: Ledger
  readonly scenario: Scenario
  /** Open TCP connections. */
  readonly connections: number
  /** The services as they are at this moment. */
  readonly services: readonly ServiceStatus[]
  stop(): Promise<void>

  /** From the next connection on, another appliance's manners; services keep their states. */
  setScenario(scenario: Scenario): void
  /** Somebody else did something to a service. */
  setService(name: string, state: ServiceState, reason?: string): void
  dropConnections(how?: 'close' | 'reset'): void
  /** Every open connection becomes half-open: nothing leaves or arrives, TCP stays up… */
  pauseOutput(): void
  /** …until the outage ends and what was held back goes on its way. */
  resumeOutput(): void
  /** The key of the next connections. */
  changeHostKey(key?: HostKey): void
  /** Drops everything and refuses TCP. */
  powerOff(): Promise<void>
  /** Answers again on the same port; services are as the scenario began. */
  powerOn(): Promise<void>
  reboot(options?: RebootOptions): Promise<void>
}

export interface RebootOptions {
  /** How long it refuses TCP; five minutes if nothing is said. */
  readonly downMs?: number
  readonly hostKey?: 'same' | 'new'
}

/** Starts an appliance that listens on the loopback interface. */
export async function startSimulator(scenario: Scenario, options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1', port: wantedPort = 0, timeScale = 1, ledgerFile } = options
  const ledger = new Ledger(ledgerFile)
  const clock = new Clock(timeScale)
  const hostKey = options.hostKey ?? createHostKey(scenario.access.hostKeyType)
  const connections = new Set<Connection>()
  const appliance = new Appliance(scenario, hostKey, ledger, clock, {
    dropConnections,
    reboot: () => void reboot(),
  })
  let count = 0
  let listener = await listen(wantedPort)
  const { port } = listener.address() as AddressInfo
  let stopping: Promise<void> | undefined

  function listen(on: number): Promise<Server> {
    const server = createServer((socket) => {
      count += 1
      const connection = new Connection(appliance, count, socket)
      connections.add(connection)
      void connection.closed.then(() => connections.delete(connection))
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(on, host, () => resolve(server))
    })
  }

  function dropConnections(how: 'close' | 'reset' = 'reset'): void {
    for (const connection of connections) connection.drop(how)
  }

  /** Closes the listener and every connection, and waits until they are gone. */
  async function close(): Promise<void> {
    const closed = [...connections].map((connection) => connection.closed)
    closed.push(new Promise((resolve) => listener.close(() => resolve())))
    dropConnections()
    await Promise.all(closed)
  }

  async function powerOff(): Promise<void> {
    await close()
    ledger.record(0, { type: 'power', on: false })
    appliance.halt()
  }

  async function powerOn(): Promise<void> {
    appliance.services.reset(appliance.scenario.product.serviceList)
    listener = await listen(port)
    ledger.record(0, { type: 'power', on: true })
    // Stopped in the meantime.
    if (stopping) await close()
  }

  async function reboot({ downMs = 300_000, hostKey: key = 'same' }: RebootOptions = {}): Promise<void> {
    await powerOff()
    await clock.wait(downMs)
    if (key === 'new') appliance.hostKey = createHostKey(appliance.hostKey.type)
    await powerOn()
  }

  async function stop(): Promise<void> {
    clock.stop()
    await close()
    ledger.close()
  }

  return {
    host,
    port,
    ledger,
    get hostKey() {
      return { type: appliance.hostKey.type, fingerprint: appliance.hostKey.fingerprint }
    },
    get scenario() {
      return appliance.scenario
    },
    get username() {
      return appliance.scenario.access.username
    },
    get password() {
      return appliance.scenario.access.password
    },
    get connections() {
      return connections.size
    },
    get services() {
      return appliance.services.all
    },
    stop: () => (stopping ??= stop()),
    setScenario: (next) => appliance.change(next),
    setService: (name, state, reason) => appliance.services.set(name, state, reason),
    dropConnections,
    pauseOutput() {
      for (const connection of connections) connection.freeze()
    },
    resumeOutput() {
      for (const connection of connections) connection.thaw()
    },
    changeHostKey(key = createHostKey(appliance.hostKey.type)) {
      appliance.hostKey = key
    },
    powerOff,
    powerOn,
    reboot,
  }
}
