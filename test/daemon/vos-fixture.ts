import { createServer, type AddressInfo, type Socket } from 'node:net'
import ssh2, { type ServerChannel } from 'ssh2'
import { expect } from 'vitest'
import type { Connection, HostKey, Timings } from '../../src/core/connection.ts'
import type { Observation } from '../../src/core/device.ts'
import { VosError, type ErrorCode } from '../../src/core/errors.ts'
import { VosDevice } from '../../src/daemon/devices/vos/device.ts'
import { createHostKey, startSimulator, vary, type Scenario, type Simulator } from '../../src/simulator/index.ts'
import { authenticateAndOpen } from '../helpers/authenticate-and-open.ts'

/** Short, but long enough for a busy machine: what must not happen in time has a limit of 300 ms and more. */
export const timings: Timings = {
  connectMs: 2_000,
  identMs: 2_000,
  keyExchangeMs: 5_000,
  loginMs: 5_000,
  shellMs: 2_000,
  promptMs: 8_000,
  quietMs: 25,
  nudgeMs: 2_000,
  echoMs: 2_000,
  commandMs: 8_000,
  firstStateMs: 5_000,
  silenceWarningMs: 5_000,
  silenceLimitMs: 8_000,
  pollMs: 20,
  pollLimitMs: 400,
  reconnectMs: 3_000,
  deadlineMs: 20_000,
}

export interface Setting {
  readonly connection?: Partial<Connection>
  readonly timings?: Partial<Timings>
  readonly timeScale?: number
  readonly keepaliveMs?: number
}

export interface Target {
  readonly port: number
  readonly hostKey: HostKey
  readonly username: string
  readonly password: string
}

export interface Bench extends AsyncDisposable {
  readonly simulator: Simulator
  readonly device: VosDevice
  readonly abort: AbortController
  /** How often the secret was read. */
  readonly secretReads: () => number
}

/** An appliance and a device object for it. When it goes out of scope, what must never happen has not happened. */
export async function bench(scenario: Scenario, setting: Setting = {}): Promise<Bench> {
  // Its 30 minutes of idling would be over after 2 s here, and a busy machine needs longer for output byte by byte.
  const patient = vary(scenario, scenario, { access: { sessions: { idleMs: 24 * 3_600_000 } } })
  const simulator = await startSimulator(patient, { timeScale: setting.timeScale ?? 0.001 })
  const { device, abort, secretReads } = deviceFor(simulator, setting)
  return {
    simulator,
    device,
    abort,
    secretReads,
    async [Symbol.asyncDispose]() {
      await device.close()
      const { ledger } = simulator
      await allClosed(simulator)
      await simulator.stop()
      const typed = Buffer.concat(ledger.of('in').map(({ bytes }) => bytes))
      expect(typed.toString('latin1')).toMatch(/^[A-Za-z0-9 ._\-/()\r\n*]*$/)
      expect(ledger.of('ctrl-c')).toEqual([])
      expect(ledger.of('answer')).toEqual([])
      expect(ledger.restarts().length).toBeLessThanOrEqual(1)
      expect(ledger.of('channel').filter(({ request }) => request === 'exec')).toEqual([])
    },
  }
}

/** Resolves when the appliance has seen the end of every connection. */
export async function allClosed({ ledger }: Simulator): Promise<void> {
  await ledger.until(() => ledger.of('open').length === ledger.of('close').length)
}

export function deviceFor(
  target: Target,
  setting: Setting = {},
): { device: VosDevice; abort: AbortController; secretReads: () => number } {
  const abort = new AbortController()
  let reads = 0
  const connection: Connection = {
    id: 1,
    name: 'cucm-pub',
    host: '127.0.0.1',
    port: target.port,
    username: target.username,
    platform: 'vos',
    service: 'Cisco Tomcat',
    credential: { type: 'sealed' },
    hostKey: target.hostKey,
    acceptNew: false,
    algorithms: 'modern',
    algorithmsReason: null,
    algorithmsUntil: null,
    echo: true,
    enter: 'cr',
    sudo: false,
    via: null,
    hops: [],
    timings: {},
    ...setting.connection,
  }
  const device = new VosDevice({
    connection,
    timings: { ...timings, ...setting.timings },
    readSecret: () => {
      reads += 1
      return { type: 'password', password: target.password }
    },
    signal: abort.signal,
    ...(setting.keepaliveMs === undefined ? {} : { keepaliveMs: setting.keepaliveMs }),
  })
  return { device, abort, secretReads: () => reads }
}

export async function logIn(device: VosDevice): Promise<void> {
  await device.connect()
  await authenticateAndOpen(device)
}

/** Up to the armed command. */
export async function getReady(device: VosDevice, service = 'Cisco Tomcat'): Promise<void> {
  await logIn(device)
  await device.prepare(service)
  device.arm()
}

export async function collect(observations: AsyncIterable<Observation>): Promise<Observation[]> {
  const all: Observation[] = []
  for await (const observation of observations) all.push(observation)
  return all
}

/** What is seen in short: state words of state lines, the type of everything else but lines. */
export function summary(observations: readonly Observation[]): string {
  return observations
    .filter(({ type }) => type !== 'line')
    .map((seen) => (seen.type === 'state' ? seen.service.state : seen.type))
    .join(' ')
}

export async function failure(work: Promise<unknown>): Promise<VosError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(VosError)
  return error as VosError
}

export async function expectCode(work: Promise<unknown>, code: ErrorCode): Promise<VosError> {
  const error = await failure(work)
  expect(error.code).toBe(code)
  return error
}

export interface Script extends Target, AsyncDisposable {
  /** Everything that was typed, in order. */
  readonly typed: () => string
}

/** An SSH server whose shell is a function: for what no appliance in the simulator does. */
export async function script(onShell: (channel: ServerChannel, typed: () => string) => void): Promise<Script> {
  const key = createHostKey('ssh-ed25519')
  let typed = ''
  const sockets = new Set<Socket>()
  const ssh = new ssh2.Server({ hostKeys: [key.privateKey] }, (client) => {
    client.on('error', () => {})
    client.on('authentication', (context) => {
      if (context.method === 'password') context.accept()
      else context.reject(['password'])
    })
    client.on('session', (accept) => {
      const session = accept()
      session.on('pty', (acceptPty) => acceptPty?.())
      session.on('shell', (acceptShell) => {
        const channel = acceptShell()
        channel.on('error', () => {})
        channel.on('data', (bytes: Buffer) => {
          typed += bytes.toString('latin1')
        })
        onShell(channel, () => typed)
      })
    })
  })
  const server = createServer((socket) => {
    // Without this each packet waits 40 ms for the one before it.
    socket.setNoDelay(true)
    sockets.add(socket)
    ssh.injectSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    hostKey: { type: key.type, fingerprint: key.fingerprint },
    username: 'administrator',
    password: 'secret',
    typed: () => typed,
    [Symbol.asyncDispose]: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
