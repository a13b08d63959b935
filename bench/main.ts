import { randomUUID } from 'node:crypto'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../src/cli/client.ts'
import { DEFAULT_TIMINGS, deviceKey, loginKey } from '../src/core/connection.ts'
import { isSettled } from '../src/core/operation.ts'
import { Pane } from './pane.ts'
import { quantile } from '../src/daemon/store/operations.ts'
import { scenarios, startSimulator, type Scenario } from '../src/simulator/index.ts'

/*
 * `npm run bench`: what a person waits for, as whole processes. Every round runs each command once, so that a noisy
 * machine is noisy for all of them; the ratio to a bare `node -e 0` is taken round by round.
 */
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } })
const rounds = Math.max(10, Number(values.rounds))

const root = path.resolve(import.meta.dirname, '..')
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'vosctl-bench-'))
const state = path.join(directory, 'state')
const environment = { PATH: process.env['PATH'], VOSCTL_CONFIG_DIR: path.join(directory, 'config') }
const scale = 0.0005

function vosctl(...args: string[]): string[] {
  return [path.join(root, 'bin', 'vosctl'), '--state-dir', state, ...args]
}

/** `watch` on a terminal of its own, from the start of the process to the first byte of its first frame. */
async function runToFirstFrame(): Promise<number> {
  const start = performance.now()
  const command = `exec ${[process.execPath, ...vosctl('watch')].join(' ')}`
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    // Its terminal has no size of its own.
    env: { ...environment, TERM: 'xterm', COLUMNS: '80', LINES: '24' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  let seen = ''
  let ms = Number.NaN
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    seen += text
    if (!Number.isNaN(ms) || !/vosctl watch .*(?:reading|live)/.test(seen)) return
    ms = performance.now() - start
    child.stdin.write('q')
  })
  await closed
  if (Number.isNaN(ms)) throw new Error(`watch drew no frame:\n${seen}`)
  return ms
}

/** A whole process, from its start until it has ended. The simulator lives in this process, so nothing here may block. */
async function run(args: readonly string[], input = ''): Promise<number> {
  const start = performance.now()
  const child = spawn(process.execPath, args, { env: environment, stdio: ['pipe', 'ignore', 'pipe'] })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text))
  child.stdin.end(input)
  const [status] = (await once(child, 'close')) as [number | null]
  if (status !== 0) throw new Error(`${args.join(' ')}: ${status}\n${words}`)
  return performance.now() - start
}

const median = (numbers: readonly number[]) => quantile(numbers, 0.5)

function row(...cells: (string | number)[]): void {
  console.log(`| ${cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(1) : cell)).join(' | ')} |`)
}

/** States as the screen says them; the device says them in capitals. */
const WORDS = ['stopping', 'starting']

const device = await startSimulator(scenarios.get('publisher') as Scenario, { timeScale: scale })
const timings = { ...DEFAULT_TIMINGS, quietMs: 5, pollMs: 20 }
const address = ['--host', device.host, '--port', String(device.port), '--username', device.username]
const timing = Object.entries({ quiet: timings.quietMs, poll: timings.pollMs }).flatMap(([k, ms]) => [
  '--timing',
  `${k}=${ms}ms`,
])

try {
  const first = await run(vosctl('ps', '-q'))
  await run(vosctl('connections', 'add', 'node', ...address, ...timing))
  await run(vosctl('connections', 'trust', 'node', '--fingerprint', device.hostKey.fingerprint))
  await run(vosctl('credentials', 'set', 'node', '--stdin'), `${device.password}\n`)

  const commands: Record<string, readonly string[] | 'watch'> = {
    'node -e 0': ['-e', '0'],
    'vosctl --version': [path.join(root, 'bin', 'vosctl'), '--version'],
    'vosctl --help': [path.join(root, 'bin', 'vosctl'), '--help'],
    'completion (a press of Tab)': [
      path.join(root, 'bin', 'vosctl'),
      'complete',
      'zsh',
      '--state-dir',
      state,
      'restart',
      '',
    ],
    'vosctl ps -o json': vosctl('ps', '-o', 'json'),
    'vosctl history -o json': vosctl('history', '-o', 'json'),
    'vosctl restart -q --dry-run': vosctl('restart', 'node', '-q', '--dry-run'),
    'vosctl restart -q (instant device)': vosctl('restart', 'node', '-q'),
    'vosctl watch (to its first frame)': 'watch',
  }
  const times = new Map(Object.keys(commands).map((name) => [name, [] as number[]]))
  for (let round = -1; round < rounds; round++) {
    for (const [name, args] of Object.entries(commands)) {
      const ms = args === 'watch' ? await runToFirstFrame() : await run(args)
      if (round >= 0) times.get(name)?.push(ms)
    }
  }
  const bare = times.get('node -e 0') ?? []
  console.log(`Node ${process.versions.node}, ${rounds} rounds, medians\n`)
  row('command', 'ms', '× bare node')
  row('---', '---', '---')
  for (const [name, each] of times)
    row(name, median(each), median(each.map((ms, index) => ms / (bare[index] ?? 1))).toFixed(2))
  row('first command, with the start of the daemon', first, '')

  await measureLatency()
} finally {
  spawnSync(process.execPath, vosctl('daemon', 'stop', '--now', '--yes'), { env: environment })
  await device.stop()
  fs.rmSync(directory, { recursive: true, force: true })
}

/** From the byte that the device writes to the event at a client, commit included; both clocks are this process's. */
async function measureLatency(): Promise<void> {
  const client = await Client.connect({ socketPath: path.join(state, 'run', 'vosd.sock'), version: '0' })
  const seen = new Map<string, number[]>()
  const left = new AbortController()
  const watching = (async () => {
    for await (const update of client.watch('operations', { signal: left.signal })) {
      if (update.type !== 'event' || update.recorded.event.type !== 'line') continue
      const { text } = update.recorded.event
      seen.set(text, [...(seen.get(text) ?? []), Date.now()])
    }
  })()
  // Lines that come one by one, as from a real device, and not in a burst.
  const slow = await startSimulator(scenarios.get('publisher') as Scenario, { timeScale: 0.02 })
  const { host, port, username, hostKey, password } = slow
  const connection = await client.request('connection:add', {
    name: 'slow',
    host,
    port,
    username,
    timings: { quietMs: 30, pollMs: 50 },
  })
  await client.request('connection:trust', { id: connection.id, device: deviceKey(connection), hostKey })
  await client.request('credential:set', { id: connection.id, login: loginKey(connection), password })
  using pane = new Pane({ directory, columns: 80, rows: 60, env: { ...environment, PATH: environment.PATH ?? '' } })
  pane.line([process.execPath, ...vosctl('watch')].join(' '))
  await pane.shows('   live')
  let drawn = new Map<string, number>()
  pane.onBytes = (text, at) => {
    for (const word of WORDS) if (text.includes(word) && !drawn.has(word)) drawn.set(word, at)
  }
  const onScreen: number[] = []
  const latencies: number[] = []
  for (let run = 0; run < 20; run++) {
    seen.clear()
    drawn = new Map()
    const { operations } = await client.request('operation:start', {
      requestId: randomUUID(),
      operationType: 'service_restart',
      connectionIds: [connection.id],
      createdBy: 'bench',
    })
    while (!isSettled(await client.request('operation:get', { id: operations[0]?.id ?? '' }))) await sleep(100)
    // What the service list printed before and after is not the command's own output.
    const sent = slow.ledger.restarts().at(-1)?.seq ?? 0
    const writtenAt = (text: string) =>
      slow.ledger.entries.find((entry) => entry.seq > sent && entry.type === 'out' && entry.bytes.includes(text))?.at
    for (const [text, [at]] of seen) {
      const out = writtenAt(text)
      if (out !== undefined && at !== undefined) latencies.push(at - out)
    }
    for (const [word, at] of drawn) {
      const out = writtenAt(`[${word.toUpperCase()}]`)
      if (out !== undefined) onScreen.push(at - out)
    }
  }
  pane.press('q')
  await slow.stop()
  left.abort()
  await watching.catch(() => undefined)
  console.log(
    `\ndevice byte to event at a client: p50 ${median(latencies)} ms, p99 ${quantile(latencies, 0.99)} ms (${latencies.length} lines)`,
  )
  console.log(
    `device byte to its word on the screen of watch: p50 ${median(onScreen).toFixed(0)} ms, p99 ${quantile(onScreen, 0.99).toFixed(0)} ms (${onScreen.length} words)`,
  )
  const { pid, memoryBytes } = await client.request('daemon:info', {})
  const wakeups = () =>
    Number(/voluntary_ctxt_switches:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  client.close()
  await sleep(2000)
  const before = wakeups()
  await sleep(10_000)
  console.log(
    `idle daemon: ${(memoryBytes / 2 ** 20).toFixed(0)} MiB resident, ${((wakeups() - before) / 10).toFixed(1)} wake-ups of its main thread a second`,
  )
}
