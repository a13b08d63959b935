import { existsSync } from 'node:fs'
import { runWatch } from '../../src/cli/renderers/watch.tsx'
import { renderLive } from '../../src/cli/renderers/ink.tsx'
import { renderPlain } from '../../src/cli/renderers/plain.ts'
import { verdictLines } from '../../src/cli/renderers/verdict.ts'
import type { Follow, Io, Update } from '../../src/cli/follow.ts'
import { apply, type Operation, type OperationEvent, type RecordedEvent } from '../../src/core/operation.ts'
import { ACCEPTED, FACTS } from '../helpers/operations.ts'
import { failure, USUAL } from './render-scenes.ts'

/** A program for a real terminal: `watch`, `restart` or `batch`, fed with invented updates that happen now. */

const io: Io = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env }
let cursor = 0

class Feed {
  readonly #updates: Update[] = []
  #wake = () => {}
  readonly operations = new Map<string, Operation>()

  put(id: string, event: OperationEvent, ago = 0): void {
    const before = this.operations.get(id) ?? null
    const recorded: RecordedEvent = {
      cursor: ++cursor,
      operationId: id,
      seq: (before?.seq ?? 0) + 1,
      at: Date.now() - ago,
      event,
    }
    const operation = apply(before, recorded)
    this.operations.set(id, operation)
    this.push({ type: 'event', recorded, operation })
  }

  push(update: Update): void {
    this.#updates.push(update)
    this.#wake()
  }

  async *updates(): AsyncGenerator<Update> {
    for (;;) {
      const next = this.#updates.shift()
      if (next) yield next
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

const feed = new Feed()

function accept(id: string, name: string, ago: number, rest: Partial<typeof ACCEPTED> | object = {}): void {
  feed.put(id, { ...ACCEPTED, connection: { id: 1, name }, usual: USUAL, ...rest }, ago)
}

function send(id: string, ago: number): void {
  feed.put(id, { type: 'connecting' }, ago)
  feed.put(id, { type: 'ready', facts: FACTS }, ago)
  feed.put(id, { type: 'dispatching', command: 'utils service restart Cisco Tomcat' }, ago)
  feed.put(id, { type: 'sent' }, ago)
}

function move(id: string, phase: 'stopping' | 'starting', ago: number): void {
  const state = phase.toUpperCase()
  feed.put(id, { type: 'line', text: `${feed.operations.get(id)?.service}[${state}]`, state }, ago)
  feed.put(id, { type: phase, seenIn: 'output' }, ago)
}

function end(id: string, status: 'completed' | 'failed' | 'unknown', message: string, ago = 0): void {
  feed.put(id, { type: 'settled', status, message, ...failure(status, message) }, ago)
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function fill(count: number): void {
  accept('r-7k3a1x', 'cuc-1', 442_000, { createdBy: 'cron' })
  send('r-7k3a1x', 441_000)
  end('r-7k3a1x', 'unknown', 'outcome unknown: connection lost 1m12s after the command was sent', 369_000)
  accept('r-7k31zc', 'imp-2', 200_000, { service: 'Cisco XCP Router' })
  send('r-7k31zc', 200_000)
  move('r-7k31zc', 'stopping', 190_000)
  end('r-7k31zc', 'failed', 'the service is DOWN: "Cisco XCP Router" on imp-2 is STOPPED', 100_000)
  accept('r-7k2zqp', 'cucm-sub2', 313_000)
  send('r-7k2zqp', 313_000)
  move('r-7k2zqp', 'stopping', 311_000)
  move('r-7k2zqp', 'starting', 270_000)
  accept('r-7k2m9q', 'cucm-pub', 192_000)
  send('r-7k2m9q', 192_000)
  move('r-7k2m9q', 'stopping', 190_000)
  move('r-7k2m9q', 'starting', 149_000)
  accept('r-7k2wa2', 'lab-7', 63_000, { service: 'Cisco DirSync', usual: null })
  send('r-7k2wa2', 63_000)
  move('r-7k2wa2', 'starting', 60_000)
  for (let index = 1; index <= count; index++) {
    const id = `r-7k2y${index}a`
    accept(id, `web-${String(index).padStart(2, '0')}`, 9000, {
      service: 'nginx',
      batch: { id: 'b-41g0', position: index, size: count },
    })
    if (index === 1) {
      send(id, 9000)
      move(id, 'stopping', 8000)
    }
  }
}

async function watch(): Promise<void> {
  fill(12)
  feed.push({ type: 'snapshot', operations: [...feed.operations.values()], cursor, gap: false })
  const left = new AbortController()
  const end = await runWatch(feed.updates(), {
    io,
    signal: left.signal,
    header: () => ({ stateDirectory: '~/.local/state/vosctl', version: '1.4.0', pid: 2214, startedAt: Date.now() }),
    readEvents: () => Promise.resolve([]),
    readHouse: () => Promise.resolve({ connections: 17, holds: 0 }),
    cancel: (id) => Promise.resolve(`${id} cannot be taken back: the restart was sent at 14:02:13.`),
    ack: (id) => {
      feed.put(id, { type: 'acknowledged', by: 'alice' })
      return Promise.resolve(`${id} acknowledged`)
    },
    verify: ({ id }) => Promise.resolve(`v-1 looks at the device of ${id}`),
  })
  process.stderr.write(`left watch: ${end.running} running, ${end.late} late, interrupted ${end.interrupted}\n`)
}

function follow(ids: readonly string[], batch: string | null, signal: AbortSignal): Follow {
  const operations = ids.flatMap((id) => feed.operations.get(id) ?? [])
  return { operations, batch, updates: feed.updates(), verbose: false, signal }
}

async function restart(): Promise<void> {
  accept('r-7k2m9q', 'cucm-pub', 0, {
    usual: { ...USUAL, p50Ms: 3000, p90Ms: 4000, phases: { stopping: 800, starting: 800 } },
  })
  const left = new AbortController()
  process.on('SIGINT', () => left.abort())
  const render = process.env.FEED_PLAIN ? renderPlain : renderLive
  const ended = render(follow(['r-7k2m9q'], null, left.signal), io)
  send('r-7k2m9q', 0)
  await sleep(400)
  move('r-7k2m9q', 'stopping', 0)
  await sleep(400)
  move('r-7k2m9q', 'starting', 0)
  await told(left.signal)
  feed.put('r-7k2m9q', { type: 'verifying', because: 'the command has ended' })
  end('r-7k2m9q', 'completed', '"Cisco Tomcat" restarted, seen STOPPING then STARTED')
  print(await ended, null)
}

async function batch(): Promise<void> {
  const ids = Array.from({ length: 12 }, (_, index) => `r-7k2x${index}m`)
  ids.forEach((id, index) =>
    accept(id, `web-${String(index + 1).padStart(2, '0')}`, 0, {
      service: 'nginx',
      batch: { id: 'b-41g0', position: index + 1, size: 12 },
    }),
  )
  const left = new AbortController()
  process.on('SIGINT', () => left.abort())
  const ended = renderLive(follow(ids, 'b-41g0', left.signal), io)
  for (const [index, id] of ids.entries()) {
    send(id, 0)
    move(id, 'stopping', 0)
    await sleep(20)
    if (index === 10) await told(left.signal)
    if (index === 6) end(id, 'failed', 'unit nginx is "failed" (exit status 1)')
    else if (index === 8) end(id, 'unknown', 'outcome unknown: connection lost 0m03s after the command was sent')
    else end(id, 'completed', '"nginx" restarted, seen STOPPING then STARTED')
  }
  print(await ended, 'b-41g0')
}

/** Stands still until the test has seen what it came for and makes the file, or until this client is to leave. */
async function told(signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !existsSync(process.env.FEED_GO ?? '.')) await sleep(10)
}

function print(operations: readonly Operation[], batchId: string | null): void {
  const options = { columns: process.stderr.columns, tty: true, batch: batchId, now: Date.now() }
  for (const line of verdictLines(operations, options)) process.stderr.write(`${line}\n`)
}

const programs = { watch, restart, batch }
const name = process.argv[2]
await (name === 'watch' || name === 'restart' || name === 'batch' ? programs[name] : watch)()
process.exit()
