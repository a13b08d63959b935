import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { Client } from '../../../src/cli/client.ts'
import { isSettled, type Operation, type RecordedEvent } from '../../../src/core/operation.ts'
import { createHostKey, type Simulator } from '../../../src/simulator/index.ts'
import { comesTrue } from '../../helpers/wait.ts'
import { Arena, type AppliancePlan } from '../arena.ts'
import { readHouse } from '../check.ts'
import { askForRestart } from '../one-restart.ts'
import { Proxy, type Strike } from './proxy.ts'

/** One appliance that is restarted while something goes wrong between it and the daemon. */
export interface Guest extends Omit<AppliancePlan, 'port'> {
  /** Blows of the network; without any there is no proxy before it. */
  readonly strikes?: readonly Strike[]
}

/** How it went for one of them. */
export interface Outcome {
  readonly operation: Operation
  readonly events: readonly RecordedEvent[]
  /** From the request to the ending that a client heard of. */
  readonly tookMs: number
  readonly simulator: Simulator
  readonly proxy: Proxy
}

export interface RestartAllOptions {
  /** Operations at once. */
  readonly parallel: number
  /** An operation that has not ended after this long stays for ever. */
  readonly limitMs: number
  /** The judge of one case: the broken expectations, a sentence each. */
  readonly judge: (guest: Guest, outcome: Outcome) => readonly string[]
}

/** The daemon takes 20 requests a second of one client. */
const CLIENTS = 6
const LEAVE_MS = 10_000

/**
 * Restarts a service on each of many appliances, with one daemon for all of them.
 * @returns every broken promise with the name of its guest
 */
export async function restartAll(
  program: string,
  guests: readonly Guest[],
  { parallel, limitMs, judge }: RestartAllOptions,
): Promise<string[]> {
  const broken: string[] = []
  await using stack = new AsyncDisposableStack()
  // The appliances end before the network between does.
  const proxies = await Promise.all(guests.map(async ({ strikes }) => stack.use(await Proxy.start(strikes))))
  const arena = stack.use(new Arena(program))
  const hostKey = createHostKey('ssh-ed25519')
  const plans = guests.map(({ simulator, ...guest }, index): AppliancePlan => {
    const port = ({ port: target }: Simulator) => {
      const proxy = proxies[index] as Proxy
      proxy.target = target
      return proxy.port
    }
    return { ...guest, simulator: { hostKey, ...simulator }, port }
  })
  await arena.furnish(await arena.build(plans))
  const daemon = arena.daemon()
  await arena.isUp(daemon)
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => arena.connect()))
  const board = new Watcher(clients[0] as Client)
  const baseline = descriptors(daemon.child.pid).length

  const ids = new Map<Guest, string>()
  const took = new Map<Guest, number>()
  const waiting = guests.map((guest, index) => ({ guest, connectionId: index + 1 }))
  const work = async (worker: number): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const beganAt = performance.now()
      const client = clients[worker % CLIENTS] as Client
      const id = await askForRestart(arena, client, next.connectionId)
      ids.set(next.guest, id)
      if (!(await board.settled(id, limitMs)))
        broken.push(`${next.guest.name}: 5: ${id} has not ended after ${limitMs} ms`)
      took.set(next.guest, performance.now() - beganAt)
    }
  }
  const workers = Array.from({ length: parallel }, (_, worker) => work(worker))
  for (const ended of await Promise.allSettled(workers)) {
    if (ended.status === 'rejected') broken.push(`the daemon does not answer: ${String(ended.reason)}`)
  }

  const isEmpty = () => daemon.over() || descriptors(daemon.child.pid).length <= baseline
  if (!(await comesTrue(isEmpty, LEAVE_MS))) {
    const left = descriptors(daemon.child.pid).length
    const ports = openPorts(daemon.child.pid)
    const leaks = guests.filter((_, index) => ports.has((proxies[index] as Proxy).port)).map(({ name }) => name)
    broken.push(`13: the daemon has ${left} descriptors, it began with ${baseline}: ${leaks.join(', ')}`)
  }
  if (daemon.over()) broken.push(`the daemon has died: ${daemon.words()}`)
  board.close()
  for (const client of clients) client.close()
  const { status, signal } = await arena.stop(daemon)
  if (status !== 0) broken.push(`the daemon ended with ${status ?? signal}: ${daemon.words()}`)

  const { operations, events } = readHouse(arena.database)
  const byId = new Map(operations.map((operation) => [operation.id, operation]))
  const names = new Map<string, string>()
  for (const [index, guest] of guests.entries()) {
    const proxy = proxies[index] as Proxy
    const simulator = arena.simulators[index] as Simulator
    const operation = byId.get(ids.get(guest) ?? '')
    names.set(`:${proxy.port}`, guest.name)
    if (!operation) {
      broken.push(`${guest.name}: 2: it was never started`)
      continue
    }
    names.set(operation.id, guest.name)
    const own = events.get(operation.id) ?? []
    const outcome = { operation, events: own, tookMs: took.get(guest) ?? 0, simulator, proxy }
    const told = `${operation.status}/${operation.error?.code ?? '-'} "${operation.message}"`
    broken.push(...judge(guest, outcome).map((what) => `${guest.name}: ${what}; it ended ${told}`))
  }
  const owner = (what: string) => [...names].find(([word]) => what.includes(word))?.[1]
  broken.push(...(await arena.check()).map((what) => `${owner(what) ?? 'somebody'}: ${what}`))
  return broken
}

/** Hears of every ending. */
class Watcher {
  readonly #leave = new AbortController()
  readonly #settled = new Set<string>()
  readonly #waiting = new Map<string, () => void>()

  constructor(client: Client) {
    void this.#watch(client)
  }

  /** False when it takes longer than the limit. */
  settled(id: string, limitMs: number): Promise<boolean> {
    if (this.#settled.has(id)) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), limitMs)
      this.#waiting.set(id, () => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }

  close(): void {
    this.#leave.abort()
  }

  async #watch(client: Client): Promise<void> {
    for await (const update of client.watch('operations', { signal: this.#leave.signal })) {
      const seen = update.type === 'event' ? [update.operation] : update.type === 'snapshot' ? update.operations : []
      for (const { id } of seen.filter(isSettled)) {
        this.#settled.add(id)
        this.#waiting.get(id)?.()
        this.#waiting.delete(id)
      }
    }
  }
}

function descriptors(pid: number | undefined): string[] {
  return readdirSync(`/proc/${pid}/fd`)
}

/** The remote ports of the TCP connections that this process has open. */
function openPorts(pid: number | undefined): Set<number> {
  const inodes = new Set(
    descriptors(pid).map((name) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1]
      } catch {
        return undefined
      }
    }),
  )
  const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1)
  const columns = rows.map((row) => row.trim().split(/\s+/)).filter((row) => inodes.has(row[9]))
  return new Set(columns.map((row) => Number.parseInt(row[2]?.split(':')[1] ?? '', 16)))
}
