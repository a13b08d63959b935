import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { io, type Socket } from 'socket.io-client'
import { PROTOCOL_VERSION, type EventBatch, type Reply, type Snapshot } from '../../src/core/protocol.ts'
import { until, within } from '../helpers/wait.ts'
import type { Rig } from './rig.ts'
import { ROOT } from './root.ts'
import { WatchedDaemon } from './watchers/daemon.ts'
import { ask } from './watchers/questions.ts'
import type { WatcherQuestions } from './watchers/watcher.ts'
import { Wire } from './watchers/wire.ts'

const MEMORY_LIMIT = 32 * 2 ** 20
/** For a client that asks and never reads: some answers wait for it, then it is cut off. */
const WAITING_LIMIT = 16 * 2 ** 20
/**
 * What a stopped watcher may add to the p99 of the others: as much as one run differs from itself on a machine that does
 * other work too. A watcher that is served in the way of the others adds whole seconds.
 */
const SLACK = { times: 3, ms: 50 }
/** How long a watcher that was stopped may take until it knows everything. */
const CATCH_UP_MS = 120_000
const WARM_UP_EVENTS = 5_000

/**
 * The daemon's own journal, feed and server under more events than a person could read, while watchers misbehave: one is
 * stopped by the kernel, one never acknowledges, one asks for everything and never reads. A case is a second of that.
 */
const run: Rig = async ({ cases: seconds, seed, say }) => {
  await using disposal = new AsyncDisposableStack()
  const directory = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'vosw-'))
  disposal.defer(() => rmSync(directory, { recursive: true, force: true }))
  const daemon = disposal.use(await WatchedDaemon.start(directory, seed))
  const startWatcher = async () => disposal.use(await WatcherProcess.start(daemon.socket))
  const others = [await startWatcher(), await startWatcher()]
  const stopped = await startWatcher()
  const violations: string[] = []
  const facts: Record<string, number | string> = {}

  /** @returns the p99 of the others in a typical moment of the phase */
  const phase = async (name: string, ms: number): Promise<number> => {
    for (const other of others) await other.ask('mark')
    const [from, before, processor] = [performance.now(), await daemon.ask('count'), await daemon.ask('processor')]
    await sleep(ms)
    const events = (await daemon.ask('count')) - before
    const rate = (events * 1000) / (performance.now() - from)
    const cost = ((await daemon.ask('processor')) - processor) / events
    const marks = await Promise.all(others.map((other) => other.ask('mark')))
    const words = marks.map(({ p50, p99, typicalP99 }) => [p50, p99, typicalP99].map((ms) => ms.toFixed(1)).join(' / '))
    facts[name] =
      `${rate.toFixed(0)} events/s (${cost.toFixed(0)} µs each), p50 / p99 / typical p99 of the others: ${words.join(' and ')} ms`
    say(`${name}: ${facts[name]}`)
    return Math.max(...marks.map((mark) => mark.typicalP99))
  }

  const calmMs = Math.max(3, seconds / 3) * 1000
  await daemon.ask('begin')
  // By then everything is compiled that is used all the time.
  await until('the load runs', async () => (await daemon.ask('count')) > WARM_UP_EVENTS, CATCH_UP_MS)
  const before = await phase('before', calmMs)
  const small = await daemon.ask('memory')
  stopped.child.kill('SIGSTOP')
  const mute = await MuteWatcher.connect(daemon.socket)
  const during = await phase('with a stopped watcher', seconds * 1000)
  const large = await daemon.ask('memory')
  stopped.child.kill('SIGCONT')
  violations.push(...(await mute.end()))
  const after = await phase('after', calmMs)
  if (during > Math.max(before, after) * SLACK.times + SLACK.ms) {
    const [slow, usual] = [during, Math.max(before, after)].map((ms) => ms.toFixed(1))
    violations.push(`12: a stopped watcher made the p99 of others ${slow} ms, it was ${usual} ms`)
  }
  facts['memory'] =
    `resident ${mib(small.resident)} to ${mib(large.resident)}, live ${mib(small.live)} to ${mib(large.live)}`
  for (const kind of ['resident', 'live'] as const) {
    const grown = large[kind] - small[kind]
    if (grown > MEMORY_LIMIT) violations.push(`13: the ${kind} memory grew by ${mib(grown)} for a stopped watcher`)
  }

  const deaf = await askAndNeverRead(daemon)
  facts['memory for a client that never reads'] = mib(deaf)
  if (deaf > WAITING_LIMIT) violations.push(`13: the memory grew by ${mib(deaf)} for a client that never reads`)

  await daemon.ask('end')
  const [count, board] = [await daemon.ask('count'), await daemon.ask('board')]
  facts['events'] = count
  for (const watcher of [...others, stopped]) {
    const name = watcher === stopped ? 'the stopped watcher' : 'another watcher'
    const summary = await within(CATCH_UP_MS, watcher.ask('summary', count))
    if (!summary) {
      violations.push(`12: ${name} does not come to the end of the journal`)
      continue
    }
    const { problems, operations, live, reread, disconnects } = summary
    facts[name] = `${live} events live, ${reread} read again, ${disconnects} times disconnected`
    violations.push(...problems.slice(0, 5).map((problem) => `14: ${name}: ${problem}`))
    if (!isDeepStrictEqual(operations, board)) violations.push(`14: ${name} ends with another board than the daemon`)
    if (live + reread !== count) violations.push(`14: ${name} saw ${live + reread} of ${count} events`)
  }
  return { cases: seconds, violations: violations.map((words) => `seed ${seed}: ${words}`), facts }
}

export default run

class WatcherProcess implements AsyncDisposable {
  readonly child: ChildProcess

  private constructor(child: ChildProcess) {
    this.child = child
  }

  /** Answers when it has begun to watch. */
  static async start(socketPath: string): Promise<WatcherProcess> {
    const program = path.join(ROOT, 'test', 'faults', 'watchers', 'watcher.ts')
    const child = spawn(process.execPath, [program, socketPath], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const watcher = new WatcherProcess(child)
    await watcher.ask('mark')
    return watcher
  }

  ask<Name extends keyof WatcherQuestions>(name: Name, input: unknown = null): Promise<WatcherQuestions[Name]> {
    return ask(this.child, name, input) as Promise<WatcherQuestions[Name]>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }
}

/** Takes its first batch and never says so, until the end: then it wants to know what it missed. */
class MuteWatcher {
  readonly #socket: Socket
  readonly #batches: EventBatch[] = []
  #cursor = 0
  #acknowledge = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('events', (batch: EventBatch, acknowledge: () => void) => {
      this.#batches.push(batch)
      this.#acknowledge = acknowledge
    })
  }

  static async connect(socketPath: string): Promise<MuteWatcher> {
    const socket = io('http://localhost', {
      agent: new http.Agent({ socketPath } as object) as unknown as string,
      transports: ['websocket'],
      reconnection: false,
      forceNew: true,
      auth: { protocol: PROTOCOL_VERSION, version: '0' },
    })
    const watcher = new MuteWatcher(socket)
    const subscribed = (await socket.emitWithAck('subscribe', { room: 'operations' })) as Reply<Snapshot>
    if (!subscribed.ok) throw new Error(subscribed.error.message)
    watcher.#cursor = subscribed.value.cursor
    return watcher
  }

  /** @returns what was wrong with what it was sent */
  async end(): Promise<string[]> {
    const [first, second] = this.#batches
    const problems: string[] = []
    if (!first) problems.push('12: a watcher that never acknowledges got nothing at all')
    if (second) problems.push('13: a watcher that never acknowledged its first batch was sent another one')
    if (first?.events.some(({ cursor }, index) => cursor !== this.#cursor + 1 + index)) {
      problems.push('14: the first batch does not follow on the snapshot')
    }
    const next = once(this.#socket as never, 'events') as Promise<[EventBatch]>
    this.#acknowledge()
    const cutBack = await within(5000, next)
    // Cut back, or served on if it is not far behind.
    const [batch] = cutBack ?? []
    const expected = (first?.events.at(-1)?.cursor ?? 0) + 1
    if (!batch) problems.push('12: a watcher that acknowledged late got nothing any more')
    else if (!batch.behind && batch.events[0]?.cursor !== expected)
      problems.push('14: a gap after a late acknowledgement')
    this.#socket.disconnect()
    return problems
  }
}

/**
 * Asks for whole journals as often as it may and never reads a byte.
 * @returns by how much the live memory of the daemon grew at its highest, in bytes
 */
async function askAndNeverRead(daemon: WatchedDaemon): Promise<number> {
  const [longest] = (await daemon.ask('board')).toSorted((a, b) => b.seq - a.seq)
  const id = longest?.id ?? ''
  const before = await daemon.ask('memory')
  using wire = await Wire.open(daemon.socket)
  await wire.enter()
  let highest = 0
  for (let request = 0; request < 80 && !wire.socket.destroyed; request++) {
    wire.request('operation:events', { id, limit: 5000 })
    await sleep(60)
    highest = Math.max(highest, (await daemon.ask('memory')).live - before.live)
  }
  return highest
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
