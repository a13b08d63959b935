import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Client, NoAnswerError } from '../../src/cli/client.ts'
import { SMALL_HEAP } from '../../src/core/clean-start.ts'
import { RefusedError } from '../../src/cli/refused-error.ts'
import { DEFAULT_TIMINGS, deviceKey, loginKey, type HostKey, type Timings } from '../../src/core/connection.ts'
import type { ConnectionInput, ConnectionView, ReplyOf, RequestName, RequestOf } from '../../src/core/protocol.ts'
import { VERSION } from '../../src/core/version.ts'
import { loadSealingKey, sealPassword } from '../../src/daemon/ssh/credentials.ts'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { startSimulator, type Scenario, type Simulator, type SimulatorOptions } from '../../src/simulator/index.ts'
import { accepts, comesTrue } from '../helpers/wait.ts'
import { check, type Witnesses } from './check.ts'
import { ROOT } from './root.ts'

/** An hour of an appliance's life in a few seconds, and time limits of the daemon in proportion. */
const TIME_SCALE = 0.002
const TIMINGS: Partial<Timings> = {
  quietMs: 20,
  nudgeMs: 300,
  pollMs: DEFAULT_TIMINGS.pollMs * TIME_SCALE,
  pollLimitMs: 3000,
  reconnectMs: 5000,
}

/** How a process ended. */
export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

export interface DaemonOptions {
  readonly env?: Readonly<Record<string, string>>
  /** What the daemon is started under: `strace` with its arguments, say. */
  readonly under?: readonly string[]
}

export interface AppliancePlan {
  readonly name: string
  readonly scenario: Scenario
  readonly simulator?: SimulatorOptions
  readonly timings?: Partial<Timings>
  /** Where the daemon finds it, if that is not the appliance's own: a proxy before it. */
  readonly port?: (simulator: Simulator) => number
  /** If it is not the right one. */
  readonly password?: string
  /** Its host key is another one than the pinned one. */
  readonly isStranger?: true
}

export interface Appliance {
  readonly input: ConnectionInput
  readonly hostKey: HostKey
  readonly password: string
}

export interface Daemon {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  readonly over: () => boolean
  /** All that it has written to stderr so far. */
  readonly words: () => string
}

/** What is still open when this process ends, an interrupt included, must not outlive it. */
const open = new Set<Arena>()
process.on('exit', () => {
  for (const arena of open) arena.abandon()
})

/** One house for one case: a state directory, appliances, and daemons one after the other. All of it ends with it. */
export class Arena implements AsyncDisposable {
  readonly directory: string
  readonly state: string
  readonly config: string
  readonly socket: string
  readonly database: string
  readonly simulators: Simulator[] = []
  readonly #strangers: Simulator[] = []
  readonly #secrets: string[] = []
  /** Operations that a client was told of. */
  readonly acknowledged = new Set<string>()
  readonly texts: string[] = []
  readonly #program: string
  #daemons = 0
  readonly #children = new Map<ChildProcess, Promise<Ended>>()
  readonly #clients = new Set<ChildProcess>()

  constructor(program: string) {
    open.add(this)
    this.#program = program
    this.directory = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'vosf-'))
    this.state = path.join(this.directory, 'state')
    this.config = path.join(this.directory, 'config')
    this.socket = path.join(this.state, 'run', 'vosd.sock')
    this.database = path.join(this.state, 'vosctl.db')
  }

  /** Starts appliances; they are no connections yet. */
  async build(plans: readonly AppliancePlan[]): Promise<Appliance[]> {
    mkdirSync(this.state, { recursive: true, mode: 0o700 })
    mkdirSync(this.config, { recursive: true, mode: 0o700 })
    return Promise.all(
      plans.map(async ({ name, scenario, password, port, timings, isStranger, simulator: options }) => {
        const simulator = await startSimulator(scenario, { timeScale: TIME_SCALE, ...options })
        const at = port?.(simulator) ?? simulator.port
        // The judge knows a device by the place where the daemon finds it.
        this.simulators.push(
          at === simulator.port ? simulator : (Object.create(simulator, { port: { value: at } }) as Simulator),
        )
        this.#secrets.push(simulator.password, ...(password === undefined ? [] : [password]))
        const { host, hostKey, username } = simulator
        if (isStranger) {
          simulator.changeHostKey()
          this.#strangers.push(simulator)
        }
        const input = {
          name,
          host,
          port: at,
          username,
          timings: { ...TIMINGS, ...timings },
        }
        return { input, hostKey, password: password ?? simulator.password }
      }),
    )
  }

  /** Makes connections of appliances, with pinned key and sealed password, while no daemon runs. */
  async furnish(appliances: readonly Appliance[]): Promise<void> {
    const key = await loadSealingKey(path.join(this.config, 'key'))
    const store = new Store(openDatabase(this.database), () => undefined)
    try {
      store.write(() => {
        for (const { input, hostKey, password } of appliances) {
          const { id, host, port, username } = store.connections.add(input, Date.now())
          store.connections.pin(id, hostKey)
          const binding = { connectionId: id, host, port, username }
          store.connections.setSealedPassword(id, sealPassword(key, password, binding))
        }
      })
    } finally {
      store.close()
    }
  }

  /** Opens the network door of the daemons to come, and makes a full token for it, while none runs. */
  admit(name: string): string {
    const token = `vosctl_${randomBytes(32).toString('base64url')}`
    const digest = createHash('sha256').update(token).digest('base64url')
    const store = new Store(openDatabase(this.database), () => undefined)
    try {
      store.write(() => store.tokens.add({ name, access: 'full', digest, createdBy: 'rig' }, Date.now()))
    } finally {
      store.close()
    }
    writeFileSync(path.join(this.config, 'config.yaml'), 'listen: 127.0.0.1:0\n')
    this.#secrets.push(token)
    return token
  }

  /**
   * The same by requests to a daemon; each is repeated when the daemon was gone before it answered, and when it could
   * not write the sealing key.
   * @returns what was lost although the daemon had said that it was done
   */
  async furnishByDaemon(appliances: readonly Appliance[], revive: () => Promise<void>): Promise<string[]> {
    const insist = async <Name extends RequestName>(name: Name, input: RequestOf<Name>): Promise<ReplyOf<Name>> => {
      for (;;) {
        await revive()
        let client: Client | undefined
        try {
          client = await this.connect()
          return await client.request(name, input)
        } catch (error) {
          const isKeyUnwritten = error instanceof RefusedError && error.code === 'bad_key_file'
          if (!(error instanceof NoAnswerError) && !isKeyUnwritten) throw error
        } finally {
          client?.close()
        }
      }
    }
    const lost: string[] = []
    for (const { input, hostKey, password } of appliances) {
      let added: ConnectionView | undefined
      try {
        added = await insist('connection:add', input)
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error
        // It was added, and the daemon died before it said so.
        added = (await insist('connection:list', {})).find(({ name }) => name === input.name)
      }
      if (!added) throw new Error(`${input.name} is gone`)
      const { id } = added
      await insist('connection:trust', { id, device: deviceKey(added), hostKey })
      await insist('credential:set', { id, login: loginKey(added), password })
      const found = (await insist('connection:list', {})).find((connection) => connection.id === id)
      if (found?.hostKey?.fingerprint !== hostKey.fingerprint) lost.push(`2: the host key of ${input.name} is lost`)
      if (found?.credential.type !== 'sealed') lost.push(`2: the password of ${input.name} is lost`)
    }
    return lost
  }

  /** No daemon had to take over from the first one. */
  get isFirst(): boolean {
    return this.#daemons === 1
  }

  daemon({ env = {}, under = [] }: DaemonOptions = {}): Daemon {
    this.#daemons++
    const program = [
      process.execPath,
      ...SMALL_HEAP,
      this.#program,
      '--state-dir',
      this.state,
      '--config-dir',
      this.config,
    ]
    const [file = '', ...args] = [...under, ...program]
    const child = spawn(file, args, {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      // With all that it starts a group of its own, so that all of it can be ended.
      detached: true,
    })
    let words = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text))
    const ended = once(child, 'close').then(([status, signal]): Ended => {
      this.#children.delete(child)
      this.texts.push(words)
      return { status: status as number | null, signal: signal as NodeJS.Signals | null }
    })
    this.#children.set(child, ended)
    return { child, ended, over: () => child.exitCode !== null || child.signalCode !== null, words: () => words }
  }

  /** Resolves when a daemon takes connections, or to false when `daemon` has ended before that. */
  async isUp(daemon: Daemon, limitMs = 30_000): Promise<boolean> {
    const look = async () => daemon.over() || (await accepts(this.socket))
    if (!(await comesTrue(look, limitMs))) throw new Error(`no daemon listens after ${limitMs} ms:\n${daemon.words()}`)
    return !daemon.over()
  }

  /** Asks the daemon politely, whatever it runs under. */
  stop({ ended }: Daemon): Promise<Ended> {
    try {
      const { pid } = JSON.parse(readFileSync(path.join(this.state, 'run', 'holder.json'), 'utf8')) as { pid: number }
      process.kill(pid, 'SIGTERM')
    } catch {
      // It is gone already.
    }
    return ended
  }

  connect(): Promise<Client> {
    return Client.connect({ socketPath: this.socket, version: VERSION })
  }

  /** The built client. It starts no daemon: the case decides which one runs. */
  cli(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): {
    readonly child: ChildProcess
    readonly ended: Promise<Ended>
    readonly output: { stdout: string; stderr: string }
  } {
    const command = [path.join(ROOT, 'bin', 'vosctl'), '--state-dir', this.state, '--no-start', ...args]
    const child = spawn(process.execPath, command, {
      env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', VOSCTL_CONFIG_DIR: this.config, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#clients.add(child)
    const output = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
    const ended = once(child, 'close').then(([status, signal]): Ended => {
      this.#clients.delete(child)
      this.#children.delete(child)
      this.texts.push(output.stdout, output.stderr)
      for (const [id] of output.stdout.matchAll(/\b[rtv]-[0-9a-z]{6}\b/g)) this.acknowledged.add(id)
      return { status: status as number | null, signal: signal as NodeJS.Signals | null }
    })
    this.#children.set(child, ended)
    return { child, ended, output }
  }

  /** As when their terminals are closed by force. */
  killClients(): void {
    for (const child of this.#clients) child.kill('SIGKILL')
  }

  /** Every broken promise, now that no daemon runs and all work is at an end. */
  check(): Promise<string[]> {
    return check(this.database, this.witnesses)
  }

  get witnesses(): Witnesses {
    return {
      devices: this.simulators,
      acknowledged: this.acknowledged,
      strangers: this.#strangers,
      secrets: [...new Set(this.#secrets)],
      directories: [this.directory],
      texts: this.texts,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.keys()) killGroup(child)
    await Promise.all(this.#children.values())
    await Promise.all(this.simulators.map((simulator) => simulator.stop()))
    this.abandon()
  }

  /** Ends and removes everything, without waiting. */
  abandon(): void {
    for (const child of this.#children.keys()) killGroup(child)
    rmSync(this.directory, { recursive: true, force: true })
    open.delete(this)
  }
}

/** As a power cut for the process and for all that it has started. */
export function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL')
    } catch {
      // It is gone, or leads no group.
    }
  }
}

/** Whether the kernel has stopped this process. */
export function isStopped({ pid }: ChildProcess): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') T ')
  } catch {
    return false
  }
}
