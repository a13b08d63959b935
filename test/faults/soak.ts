import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Client } from '../../src/cli/client.ts'
import { NoAnswerError } from '../../src/cli/client.ts'
import { RefusedError } from '../../src/cli/refused-error.ts'
import type { Operation } from '../../src/core/operation.ts'
import type { StartRequest } from '../../src/core/protocol.ts'
import type { Simulator } from '../../src/simulator/index.ts'
import { until, within } from '../helpers/wait.ts'
import { Arena, type Daemon } from './arena.ts'
import { faultyDaemon } from './build.ts'
import { checkSoFar } from './check.ts'
import { scenario } from './kills.ts'
import { Random } from './random.ts'

/**
 * `npm run soak -- --hours 0.5`: two houses with ten simulated appliances each, under load and faults of every class in
 * rotation. One daemon is killed every 30 to 120 seconds, and its books are compared with the devices' each time; the other
 * is left alone, and what it holds on to is measured.
 */
const { values } = parseArgs({
  options: { hours: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' } },
})
const HOURS = Number(values.hours)
const ENDS_AT = performance.now() + HOURS * 3_600_000
const MANNERS = [
  'publisher',
  'subscriber',
  'reset-goes-on',
  'never-began',
  'shell-closed-goes-on',
  'ends-stopped',
  'hostile',
]
const WARM_UP_MS = Math.min(3_600_000, (HOURS * 3_600_000) / 2)

const violations: string[] = []
const tally = new Map<string, number>()
const count = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1)
const isOver = () => performance.now() > ENDS_AT
const beganAt = performance.now()

function complain(house: string, what: string): void {
  violations.push(what)
  console.log(`${clock()} VIOLATION in the ${house} house: ${what}`)
}

function clock(): string {
  const seconds = Math.round((performance.now() - beganAt) / 1000)
  return `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')}`
}

/** A house with its daemon, whoever asks for work in it, and whoever disturbs it. */
class Soak implements AsyncDisposable {
  readonly name: string
  readonly arena: Arena
  readonly #random: Random
  readonly samples: { readonly at: number; readonly heapUsed: number; readonly rss: number }[] = []
  #daemon: Daemon | undefined
  #isKilled = false
  #reviving: Promise<Daemon> | undefined
  #connectionIds: readonly number[] = []

  constructor(name: string, program: string, seed: number) {
    this.name = name
    this.arena = new Arena(program)
    this.#random = new Random(seed)
  }

  async open(): Promise<void> {
    const plans = Array.from({ length: 10 }, (_, index) => ({
      name: `cucm-${index + 1}`,
      scenario: scenario(index < MANNERS.length ? (MANNERS[index] ?? '') : 'publisher'),
      timings: {
        deadlineMs: 60_000,
        commandMs: 10_000,
        silenceLimitMs: 10_000,
        keyExchangeMs: 10_000,
        identMs: 10_000,
      },
      // The last two must never be logged in to twice, however often somebody asks.
      ...(index === 8 ? { password: 'not the password' } : {}),
      ...(index === 9 ? { isStranger: true as const } : {}),
    }))
    await this.arena.furnish(await this.arena.build(plans))
    await this.#revive()
    await this.#withClient(async (client) => {
      this.#connectionIds = (await client.request('connection:list', {})).map(({ id }) => id)
    })
  }

  /** There is always a daemon, as under a supervisor; whoever asks while one is being started waits for the same one. */
  #revive(): Promise<Daemon> {
    this.#reviving ??= this.#start().finally(() => (this.#reviving = undefined))
    return this.#reviving
  }

  async #start(): Promise<Daemon> {
    while (!this.#daemon || !(await this.arena.isUp(this.#daemon))) {
      if (this.#daemon && !this.#isKilled) {
        const { status, signal } = await this.#daemon.ended
        complain(this.name, `the daemon ended by itself with ${status ?? signal}: ${this.#daemon.words().slice(-2000)}`)
      }
      this.#isKilled = false
      this.#daemon = this.arena.daemon()
    }
    return this.#daemon
  }

  /** Undefined when the daemon was lost on the way. */
  async #withClient<T>(work: (client: Client) => Promise<T>): Promise<T | undefined> {
    let client: Client | undefined
    try {
      await this.#revive()
      client = await this.arena.connect()
      return await work(client)
    } catch (error) {
      if (error instanceof RefusedError) count(`refused ${error.code}`)
      else if (!(error instanceof NoAnswerError)) complain(this.name, `a client failed: ${String(error)}`)
      return undefined
    } finally {
      client?.close()
    }
  }

  /** Somebody who asks for work, follows some of it, takes some of it back, and accepts what stays unknown. */
  async load(): Promise<void> {
    while (!isOver()) {
      await this.#withClient(async (client) => {
        for (let turn = 0; turn < 20 && !isOver(); turn++) {
          await this.#ask(client)
          for (const operation of (await client.request('subscribe', { room: 'operations' })).operations) {
            if (operation.status !== 'unknown' || operation.acknowledged) continue
            await client.request('operation:acknowledge', { id: operation.id, by: 'soak' })
            count('acknowledged')
          }
          await sleep(300 + this.#random.below(500))
        }
      })
    }
  }

  async #ask(client: Client): Promise<void> {
    const random = this.#random
    const request: StartRequest = {
      requestId: randomUUID(),
      operationType: random.below(4) === 0 ? 'ssh_test' : 'service_restart',
      connectionIds: random.sample(this.#connectionIds, random.below(5) === 0 ? 3 : 1),
      createdBy: 'soak',
      parallel: 2,
      ifRunning: random.pick(['refuse', 'attach', 'skip'] as const),
      startStopped: true,
    }
    try {
      const { operations, attached } = await client.request('operation:start', request)
      for (const { id } of operations) this.arena.acknowledged.add(id)
      for (const { id, type } of operations) if (!attached.includes(id)) count(type)
      if (random.below(5) === 0) {
        const again = await client.request('operation:start', request)
        const same = (all: readonly Operation[]) => all.map(({ id }) => id).join()
        if (same(again.operations) !== same(operations))
          complain(this.name, `${request.requestId} gave other operations`)
      }
      const [first] = operations
      if (first && random.below(8) === 0) await client.request('operation:cancel', { id: first.id, by: 'soak' })
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      count(`refused ${error.code}`)
    }
  }

  /** Faults of the network and the devices, one class after the other. */
  async disturb(): Promise<void> {
    const faults: Record<string, (device: Simulator) => Promise<void> | void> = {
      'connections reset': (device) => device.dropConnections('reset'),
      'connections closed': (device) => device.dropConnections('close'),
      'connections frozen': async (device) => {
        device.pauseOutput()
        await sleep(1000 + this.#random.below(4000))
        device.resumeOutput()
      },
      'power cut': async (device) => {
        await device.powerOff()
        await sleep(500 + this.#random.below(3000))
        await device.powerOn()
      },
      'other manners': (device) => device.setScenario(scenario(this.#random.pick(MANNERS))),
      'somebody else restarts': async (device) => {
        const service = device.services.find(({ state }) => state === 'STOPPED')
        if (service) device.setService(service.name, 'STARTED')
      },
      'daemon paused': async () => {
        const { child } = await this.#revive()
        child.kill('SIGSTOP')
        await sleep(200 + this.#random.below(2500))
        child.kill('SIGCONT')
      },
      'client killed': async () => {
        const { ended } = this.arena.cli(['restart', 'cucm-1', '--if-running', 'attach'])
        await within(this.#random.below(1500), ended)
        this.arena.killClients()
        await ended
      },
    }
    while (!isOver()) {
      for (const [name, strike] of Object.entries(faults)) {
        await strike(this.#random.pick(this.arena.simulators.slice(0, 8)))
        count(name)
        await sleep(1000 + this.#random.below(2000))
        if (isOver()) return
      }
    }
  }

  /** Two watchers that never leave: what they are told has no hole. */
  async watch(): Promise<void> {
    const client = await this.arena.connect()
    const over = AbortSignal.timeout(Math.ceil(ENDS_AT - performance.now()))
    const places = new Map<string, number>()
    for await (const update of client.watch('operations', { signal: over })) {
      if (update.type === 'snapshot') {
        for (const { id, seq } of update.operations) places.set(id, Math.max(seq, places.get(id) ?? 0))
      } else if (update.type === 'event') {
        const { operationId, seq } = update.recorded
        const before = places.get(operationId) ?? 0
        if (seq !== before + 1) complain(this.name, `a watcher was told ${operationId} ${seq} after ${before}`)
        places.set(operationId, seq)
        count('events watched')
      }
    }
    client.close()
  }

  /** SIGKILL every 30 to 120 seconds; each time the books are compared with the devices'. */
  async kill(): Promise<void> {
    while (!isOver()) {
      await sleep(Math.min(30_000 + this.#random.below(90_000), Math.max(0, ENDS_AT - performance.now())))
      const daemon = await this.#revive()
      this.#isKilled = true
      daemon.child.kill('SIGKILL')
      const { status } = await daemon.ended
      if (status !== null) complain(this.name, `the daemon ended with ${status} before it was killed`)
      count('daemon killed')
      await this.#audit()
      await this.#revive()
    }
  }

  /** On a copy: reading what is left is a recovery, and that is the next daemon's. */
  async #audit(): Promise<void> {
    const copy = mkdtempSync(path.join(this.arena.directory, 'copy-'))
    for (const suffix of ['', '-wal']) {
      if (existsSync(this.arena.database + suffix))
        copyFileSync(this.arena.database + suffix, path.join(copy, `db${suffix}`))
    }
    for (const what of await checkSoFar(path.join(copy, 'db'), this.arena.witnesses)) complain(this.name, what)
    rmSync(copy, { recursive: true })
  }

  /** What the daemon holds, after its garbage was collected. */
  async measure(): Promise<{ readonly resources: Record<string, number>; readonly descriptors: number }> {
    const { child, words } = await this.#revive()
    const length = words().length
    child.kill('SIGUSR2')
    const line = await until(
      'the daemon says what it holds',
      () => /^holds (.*)$/m.exec(words().slice(length))?.[1],
      60_000,
    )
    const { heapUsed, rss, resources } = JSON.parse(line) as { heapUsed: number; rss: number; resources: string[] }
    this.samples.push({ at: performance.now(), heapUsed, rss })
    const counted: Record<string, number> = {}
    for (const resource of resources) counted[resource] = (counted[resource] ?? 0) + 1
    return { resources: counted, descriptors: readdirSync(`/proc/${child.pid}/fd`).length }
  }

  async settle(): Promise<void> {
    for (;;) {
      const info = await this.#withClient((client) => client.request('daemon:info', {}))
      if (info?.active === 0) return
      await sleep(100)
    }
  }

  async finish(): Promise<void> {
    const { status } = await this.arena.stop(await this.#revive())
    if (status !== 0) complain(this.name, `the daemon ended with ${status}`)
    for (const what of await this.arena.check()) complain(this.name, what)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.arena[Symbol.asyncDispose]()
  }
}

/** Bytes a day, by the least squares of the samples after the warm-up. */
function slope(samples: Soak['samples']): number {
  const settled = samples.filter(({ at }) => at - beganAt > WARM_UP_MS)
  const mean = (of: readonly number[]) => of.reduce((sum, value) => sum + value, 0) / of.length
  const meanAt = mean(settled.map(({ at }) => at))
  const meanHeap = mean(settled.map(({ heapUsed }) => heapUsed))
  const above = settled.reduce((sum, { at, heapUsed }) => sum + (at - meanAt) * (heapUsed - meanHeap), 0)
  const below = settled.reduce((sum, { at }) => sum + (at - meanAt) ** 2, 0)
  return (above / below) * 86_400_000
}

// Leaves by the door that ends what was started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))
const program = await faultyDaemon()
await using restless = new Soak('restless', program, Number(values.seed))
await using steady = new Soak('steady', program, Number(values.seed) + 1)
await Promise.all([restless.open(), steady.open()])
const baseline = await steady.measure()
const work = [restless, steady].flatMap((house) => [
  house.load(),
  house.load(),
  house.disturb(),
  house.watch(),
  house.watch(),
])
work.push(restless.kill())
work.push(
  (async () => {
    while (!isOver()) {
      await sleep(Math.min(30_000, Math.max(0, ENDS_AT - performance.now())))
      const { descriptors } = await steady.measure()
      const { heapUsed = 0, rss = 0 } = steady.samples.at(-1) ?? {}
      const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
      console.log(
        `${clock()} heap ${megabytes(heapUsed)} MiB, rss ${megabytes(rss)} MiB, ${descriptors} descriptors, ` +
          `${(tally.get('service_restart') ?? 0) + (tally.get('ssh_test') ?? 0)} operations, ${violations.length} violations`,
      )
    }
  })(),
)
await Promise.all(work)
await Promise.all([restless.settle(), steady.settle()])
// What ended stays on the board for five minutes; connections and timers of it must be gone at once.
const end = await steady.measure()
await Promise.all([restless.finish(), steady.finish()])

const seconds = (ENDS_AT - beganAt) / 1000
const operations = (tally.get('service_restart') ?? 0) + (tally.get('ssh_test') ?? 0)
const mebibytesADay = slope(steady.samples) / 2 ** 20
if (operations / seconds < 1)
  violations.push(`void: ${(operations / seconds).toFixed(2)} operations a second, and one is asked for`)
if (HOURS > 1 && mebibytesADay > 1) violations.push(`13: the heap grows by ${mebibytesADay.toFixed(1)} MiB a day`)
if (end.descriptors > baseline.descriptors) {
  violations.push(`13: ${end.descriptors} descriptors are open, and ${baseline.descriptors} were at the beginning`)
}
for (const [resource, many] of Object.entries(end.resources)) {
  // The board's sweep waits for the next operation to leave.
  const allowed = (baseline.resources[resource] ?? 0) + (resource === 'Timeout' ? 1 : 0)
  if (many > allowed) violations.push(`13: ${many} of ${resource} are left, and ${allowed} are allowed`)
}
for (const [what, many] of [...tally].toSorted(([a], [b]) => a.localeCompare(b)))
  console.log(`${String(many).padStart(8)} ${what}`)
console.log(
  `${(operations / seconds).toFixed(2)} operations a second; heap ${mebibytesADay.toFixed(1)} MiB a day after the warm-up`,
)
console.log(`${violations.length} violations in ${HOURS} h`)
for (const violation of violations) console.log(`VIOLATION ${violation}`)
process.exitCode = violations.length > 0 ? 1 : 0
