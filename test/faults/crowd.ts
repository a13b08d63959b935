import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../../src/cli/client.ts'
import { RefusedError } from '../../src/cli/refused-error.ts'
import { VERSION } from '../../src/core/version.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { comesTrue } from '../helpers/wait.ts'
import { Arena, type Daemon } from './arena.ts'
import { faultyDaemon } from './build.ts'
import { askForRestart, END_MS, settled } from './one-restart.ts'
import { Random } from './random.ts'
import type { Rig } from './rig.ts'
import { Wire } from './watchers/wire.ts'

const CLIENTS = 64
const CROWD = 300
/** A restart lasts long enough that a crowd comes while it is under way. */
const TIME_SCALE = 0.02
/** How long sockets of clients that are gone may stay open. */
const LEAVE_MS = 5_000
/** How long the daemon lets somebody enter. */
const ENTER_MS = 10_000
/** How soon whoever connects and says nothing has to make room for others, with time for a busy machine. */
const ROOM_MS = 30_000

/** A house with one appliance on which a restart is under way while the crowd is there. */
class Scene implements AsyncDisposable {
  readonly arena: Arena
  readonly broken: string[] = []
  readonly descriptors: number
  readonly #daemon: Daemon
  /** Was admitted before the crowd came. */
  readonly client: Client
  #running = ''

  private constructor(arena: Arena, daemon: Daemon, client: Client) {
    this.arena = arena
    this.#daemon = daemon
    this.client = client
    this.descriptors = this.#openDescriptors()
  }

  static async open(program: string, under: readonly string[] = []): Promise<Scene> {
    const arena = new Arena(program)
    try {
      const simulator = { timeScale: TIME_SCALE }
      await arena.furnish(
        await arena.build([{ name: 'node', scenario: scenarios.get('publisher') as Scenario, simulator }]),
      )
      const daemon = arena.daemon({ under })
      if (!(await arena.isUp(daemon))) throw new Error(`the daemon does not start: ${daemon.words()}`)
      const scene = new Scene(arena, daemon, await connect(arena))
      scene.#running = await scene.start()
      return scene
    } catch (error) {
      await arena[Symbol.asyncDispose]()
      throw error
    }
  }

  expect(holds: boolean, words: string): void {
    if (!holds) this.broken.push(words)
  }

  async start(): Promise<string> {
    return await askForRestart(this.arena, this.client)
  }

  /** A restart with nothing in its way has to be completed. */
  async completes(id: string, when: string): Promise<void> {
    const operation = await settled(this.client, id)
    if (!operation) this.broken.push(`5: ${when} has not ended after ${END_MS} ms`)
    else this.expect(operation.status === 'completed', `5: ${when} ended ${operation.status}: ${operation.message}`)
  }

  /** What a person gets who comes now. */
  async vosctl(...args: string[]) {
    const { ended, output } = this.arena.cli(args)
    return { status: (await ended).status, ...output }
  }

  /** A newcomer is served again, soon enough. */
  async servesAgain(when: string, limitMs = 10_000): Promise<void> {
    let last = await this.vosctl('ps', '-q')
    for (const giveUpAt = performance.now() + limitMs; last.status !== 0 && performance.now() < giveUpAt;) {
      last = await this.vosctl('ps', '-q')
    }
    this.expect(last.status === 0, `13: ${when}, vosctl ps still ends with ${last.status}: ${last.stderr}`)
  }

  /** When everybody has left: what ran has ended truly, the next restart works, and nothing is left open. */
  async end(): Promise<string[]> {
    await this.completes(this.#running, 'the restart that was under way')
    await this.servesAgain('after the crowd has left')
    await this.completes(await this.start(), 'a restart after the crowd has left')
    await comesTrue(() => this.#openDescriptors() <= this.descriptors, LEAVE_MS)
    const left = this.#openDescriptors() - this.descriptors
    this.expect(left <= 0, `13: ${left} descriptors are left open after the crowd`)
    this.client.close()
    const { status, signal } = await this.arena.stop(this.#daemon)
    this.expect(status === 0, `the daemon ended with ${signal ?? status}: ${this.#daemon.words().slice(-500)}`)
    return [...this.broken, ...(await this.arena.check())]
  }

  #openDescriptors(): number {
    return readdirSync(`/proc/${this.#daemon.child.pid}/fd`).length
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.client.close()
    return this.arena[Symbol.asyncDispose]()
  }
}

/** A crowd is served slowly on a small machine. */
function connect({ socket }: Arena): Promise<Client> {
  return Client.connect({ socketPath: socket, version: VERSION, patience: { connectMs: END_MS } })
}

/** Clients that were admitted, and why the others were not. */
async function connectMany({ arena }: Scene, count: number) {
  const tries = await Promise.allSettled(Array.from({ length: count }, () => connect(arena)))
  return {
    admitted: tries.filter((each) => each.status === 'fulfilled').map(({ value }) => value),
    refusals: tries.filter((each) => each.status === 'rejected').map(({ reason }) => reason as Error),
  }
}

type Case = (program: string, random: Random) => Promise<string[]>

/** More clients than there are places, all at once; then one leaves. */
const tooMany: Case = async (program, random) => {
  await using scene = await Scene.open(program)
  const extra = 1 + random.below(40)
  const { admitted, refusals } = await connectMany(scene, CLIENTS - 1 + extra)
  scene.expect(admitted.length === CLIENTS - 1, `13: ${admitted.length + 1} clients were admitted`)
  for (const error of refusals) {
    const isClear = error instanceof RefusedError && error.code === 'too_many_clients'
    scene.expect(isClear, `13: a client too many was told: ${error.message}`)
  }
  const words = await scene.vosctl('ps')
  scene.expect(
    words.status === 7 && words.stderr.includes(`already has ${CLIENTS} clients`),
    `13: the 65th gets ${words.status}: ${words.stderr}`,
  )
  const json = await scene.vosctl('ps', '-o', 'json')
  scene.expect(
    json.status === 7 && json.stdout.includes('"too_many_clients"'),
    `13: the 65th gets ${json.status} as JSON: ${json.stdout}`,
  )
  admitted.pop()?.close()
  await scene.servesAgain('after one of 64 has left')
  for (const client of admitted) client.close()
  return await scene.end()
}

/** Three hundred at once, of every manner, on a daemon that may open few files. */
const fewDescriptors: Case = async (program, random) => {
  const limit = random.pick([88, 96, 112])
  await using scene = await Scene.open(program, ['prlimit', `--nofile=${limit}:${limit}`])
  const wires: Wire[] = []
  const clients: Promise<Client | null>[] = []
  const arrivals = Array.from({ length: CROWD }, async () => {
    const manner = random.below(4)
    if (manner === 0) return void clients.push(connect(scene.arena).catch(() => null))
    const wire = await Wire.open(scene.arena.socket)
    wires.push(wire)
    if (manner > 1) wire.handshake(manner === 2 ? 'half' : 'whole')
  })
  await Promise.allSettled(arrivals)
  const newcomer = await scene.vosctl('ps')
  // There may be a place by chance; whoever gets none has to be told so, with the exit code for it.
  const isClear = newcomer.status === 0 || (newcomer.status === 7 && /too many|already has/.test(newcomer.stderr))
  scene.expect(isClear, `13: with ${limit} descriptors a newcomer gets ${newcomer.status}: ${newcomer.stderr}`)
  // Whoever was refused has left a place: it is taken again before work begins that needs a descriptor.
  await Promise.allSettled(
    Array.from({ length: CROWD / 2 }, async () => wires.push(await Wire.open(scene.arena.socket))),
  )
  const test = await scene.client.request('operation:start', {
    requestId: randomUUID(),
    operationType: 'ssh_test',
    connectionIds: [1],
    createdBy: 'crowd',
  })
  await scene.completes(test.operations[0]?.id ?? '', `with ${limit} descriptors a test in the crowd`)
  for (const wire of wires) wire[Symbol.dispose]()
  for (const client of await Promise.all(clients)) client?.close()
  return await scene.end()
}

/** They take every place, say nothing or half a word, and stay: the daemon has to make room by itself. */
const silent: Case = async (program, random) => {
  await using scene = await Scene.open(program)
  using crowd = new DisposableStack()
  const arrivals = Array.from({ length: CROWD }, async () => {
    const wire = crowd.use(await Wire.open(scene.arena.socket))
    const manner = random.below(3)
    if (manner > 0) wire.handshake(manner === 1 ? 'half' : 'whole')
  })
  const beganAt = performance.now()
  await Promise.allSettled(arrivals)
  const newcomer = await scene.vosctl('ps')
  // On a machine that is busy enough the crowd has made room before the newcomer asks.
  const isLate = newcomer.status === 0 && performance.now() - beganAt > ENTER_MS
  scene.expect(
    isLate || (newcomer.status === 7 && newcomer.stderr.includes('too many')),
    `13: behind a silent crowd a newcomer gets ${newcomer.status}: ${newcomer.stderr}`,
  )
  await scene.servesAgain('while a silent crowd stays', ROOM_MS)
  return await scene.end()
}

/** They leave in the middle of a request, or right after it. */
const leaving: Case = async (program, random) => {
  await using scene = await Scene.open(program)
  for (let round = 0; round < 30; round++) {
    using wire = await Wire.open(scene.arena.socket)
    await wire.enter()
    const start = {
      requestId: randomUUID(),
      operationType: random.pick(['ssh_test', 'service_restart']),
      connectionIds: [1],
      createdBy: 'crowd',
    }
    const [name, input] = random.pick<[string, unknown]>([
      ['operation:start', start],
      ['subscribe', { room: 'operations', after: 0 }],
      ['operation:history', {}],
      ['connection:host-key', { id: 1 }],
    ])
    wire.request(name, input, random.pick(['half', 'whole']))
    if (random.below(2) === 0) await sleep(random.below(10))
  }
  // What they have started by then is work like any other.
  const { operations } = await scene.client.request('subscribe', { room: 'operations' })
  for (const { id } of operations) await scene.completes(id, 'work of a client that left')
  return await scene.end()
}

const CASES: Readonly<Record<string, Case>> = { tooMany, fewDescriptors, silent, leaving }
/** A silent crowd is mostly waited for. */
const AT_ONCE = 4

const run: Rig = async ({ cases, seed, say }) => {
  const program = await faultyDaemon()
  const violations: string[] = []
  const kinds = Object.entries(CASES)
  const todo = Array.from({ length: cases }, (_, index) => index)
  const worker = async () => {
    for (let index = todo.shift(); index !== undefined; index = todo.shift()) {
      const [name, play] = kinds[index % kinds.length] ?? ['', tooMany]
      const beganAt = performance.now()
      const broken = await play(program, new Random(seed + index)).catch((error: unknown) => [String(error)])
      say(
        `${name}: ${((performance.now() - beganAt) / 1000).toFixed(1)} s, ${broken.length} violations ${broken[0] ?? ''}`,
      )
      violations.push(...broken.map((words) => `${name}, seed ${seed + index}: ${words}`))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return { cases, violations }
}

export default run
