import { randomUUID } from 'node:crypto'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, NoAnswerError } from '../src/cli/client.ts'
import { RefusedError } from '../src/cli/refused-error.ts'
import { deviceKey, loginKey } from '../src/core/connection.ts'
import type { ConnectionInput } from '../src/core/protocol.ts'
import { VERSION } from '../src/core/version.ts'
import {
  createHostKey,
  polls,
  scenarios,
  startSimulator,
  vary,
  type Scenario,
  type Simulator,
  type SimulatorOptions,
} from '../src/simulator/index.ts'

const ROOT = path.resolve(import.meta.dirname, '..')
/** An unknown outcome stays on the screen so long before somebody accepts it. */
const LOOKED_AT_MS = 20_000

export function scenario(name: string): Scenario {
  const found = scenarios.get(name)
  if (!found) throw new Error(`the simulator has no scenario ${name}`)
  return found
}

/** An ordinary restart of three quarters of a minute, and this one of three minutes. */
export const SLOW = vary(
  { name: 'slow', story: 'Takes long today.', evidence: 'for the bench' },
  scenario('publisher'),
  {
    services: { restart: { steps: [polls('STOPPING', 4), polls('STARTING', 30), polls('STARTED', 2)] } },
  },
)

/** What each appliance does; nearly all of them what they are told. */
function mannersOf(index: number): Scenario {
  if (index === 20 || index === 120) return scenario('ends-stopped')
  if (index === 70 || index === 170) return scenario('never-began')
  return index % 50 === 5 ? SLOW : scenario('publisher')
}

/**
 * A copy of the built programs, which may be built anew meanwhile, with a state directory, simulated appliances and a
 * real daemon. All of it ends with the house.
 */
export class House implements AsyncDisposable {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'vosb-'))
  readonly state = path.join(this.directory, 'state')
  readonly environment = {
    PATH: process.env['PATH'] ?? '',
    LANG: 'C.UTF-8',
    VOSCTL_CONFIG_DIR: path.join(this.directory, 'config'),
    // The copy is gone when the bench is; its compiled code would stay in the cache for ever.
    NODE_DISABLE_COMPILE_CACHE: '1',
  }
  readonly simulators: Simulator[] = []
  /** How often the daemon said no, or nothing, by code. */
  readonly refusals = new Map<string, number>()
  started = 0
  #client: Client | undefined

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => void this[Symbol.asyncDispose]().finally(() => process.exit(1)))
    }
    for (const part of ['bin', 'dist', 'package.json']) {
      fs.cpSync(path.join(ROOT, part), path.join(this.directory, part), { recursive: true })
    }
    fs.symlinkSync(fs.realpathSync(path.join(ROOT, 'node_modules')), path.join(this.directory, 'node_modules'))
  }

  /** The words of a command, for a shell or a spawn. */
  vosctl(...words: readonly string[]): readonly string[] {
    return [process.execPath, path.join(this.directory, 'bin', 'vosctl'), '--state-dir', this.state, ...words]
  }

  async run(...words: readonly string[]): Promise<number> {
    const [program = '', ...args] = this.vosctl(...words)
    const child = spawn(program, args, { env: this.environment, stdio: 'ignore' })
    const [status] = (await once(child, 'close')) as [number | null]
    return status ?? -1
  }

  /** The daemon, and appliances at about the pace of real life. */
  async furnish(count: number): Promise<void> {
    await this.open()
    const hostKey = createHostKey('ssh-ed25519')
    for (let index = 0; index < count; index++) {
      const name = `node-${String(index + 1).padStart(3, '0')}`
      await this.add(name, mannersOf(index), { timeScale: 0.5 + (index % 5) / 4, hostKey })
    }
  }

  async open(): Promise<void> {
    const status = await this.run('daemon', 'start')
    if (status !== 0) throw new Error(`vosctl daemon start: ${status}`)
  }

  /** An appliance, and a connection to it with its key pinned and its password set. */
  async add(
    name: string,
    manners: Scenario,
    options: SimulatorOptions,
    input: Pick<ConnectionInput, 'timings' | 'service'> = {},
  ): Promise<Simulator> {
    const simulator = await startSimulator(manners, options)
    this.simulators.push(simulator)
    const { host, port, username, password, hostKey } = simulator
    const client = await this.client()
    const added = await client.request('connection:add', { name, host, port, username, ...input })
    const { id } = added
    await client.request('connection:trust', { id, device: deviceKey(added), hostKey })
    await client.request('credential:set', { id, login: loginKey(added), password })
    return simulator
  }

  /** A connection to whichever daemon runs now. */
  async client(): Promise<Client> {
    if (this.#client?.connected) return this.#client
    this.#client?.close()
    this.#client = await Client.connect({ socketPath: path.join(this.state, 'run', 'vosd.sock'), version: VERSION })
    return this.#client
  }

  /** Every appliance is logged in to once, so that each has a row. */
  async testAll(): Promise<void> {
    const client = await this.client()
    const connectionIds = (await client.request('connection:list', {})).map(({ id }) => id)
    const request = { requestId: randomUUID(), createdBy: 'bench', connectionIds, parallel: 16 }
    const { operations } = await client.request('operation:start', { ...request, operationType: 'ssh_test' })
    const last = operations.at(-1)?.id ?? ''
    while ((await client.request('operation:get', { id: last })).completedAt === null) await sleep(500)
  }

  /** Restarts one connection after the other, for ever; who is still busy is left out. */
  async load(perSecond: number, signal: AbortSignal): Promise<void> {
    const count = this.simulators.length
    for (let turn = 0; !signal.aborted; turn++) {
      try {
        const client = await this.client()
        await client.request('operation:start', {
          requestId: randomUUID(),
          operationType: 'service_restart',
          // 37 is prime to 200: neighbours in the list are not neighbours in time.
          connectionIds: [((turn * 37) % count) + 1],
          createdBy: 'bench',
        })
        this.started++
        if (turn % 10 === 0) await this.#accept(client)
      } catch (error) {
        if (!(error instanceof RefusedError || error instanceof NoAnswerError)) throw error
        this.refusals.set(error.code, (this.refusals.get(error.code) ?? 0) + 1)
      }
      await sleep(1000 / perSecond, undefined, { signal }).catch(() => undefined)
    }
  }

  async #accept(client: Client): Promise<void> {
    for (const { id, status, acknowledged, completedAt } of await client.request('operation:history', { limit: 100 })) {
      if (status !== 'unknown' || acknowledged || Date.now() - (completedAt ?? 0) < LOOKED_AT_MS) continue
      await client.request('operation:acknowledge', { id, by: 'bench' })
    }
  }

  get daemonPid(): number {
    const holder = fs.readFileSync(path.join(this.state, 'run', 'holder.json'), 'utf8')
    return (JSON.parse(holder) as { pid: number }).pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close()
    await this.run('daemon', 'stop', '--now', '--yes', '--no-start')
    await Promise.all(this.simulators.map((simulator) => simulator.stop()))
    // What did not hear it, and a terminal that is still open when we are interrupted.
    for (const pid of this.#processes()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has just gone by itself.
      }
    }
    fs.rmSync(this.directory, { recursive: true, force: true })
  }

  /** Their command lines name the directory, which is nobody else's. */
  #processes(): number[] {
    const { stdout } = spawnSync('pgrep', ['-f', this.directory], { encoding: 'utf8' })
    return stdout.split('\n').filter(Boolean).map(Number)
  }
}
