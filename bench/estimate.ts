import { randomUUID } from 'node:crypto'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { Client } from '../src/cli/client.ts'
import type { Update } from '../src/cli/follow.ts'
import { deviceKey, loginKey } from '../src/core/connection.ts'
import { apply, isSettled, type Operation, type RecordedEvent } from '../src/core/operation.ts'
import { progressAt, RUNS_BEFORE_ESTIMATE } from '../src/core/progress.ts'
import { quantile } from '../src/daemon/store/operations.ts'
import { scenarios, startSimulator, type Scenario } from '../src/simulator/index.ts'
import { Random } from '../test/faults/random.ts'

/*
 * `npx node bench/estimate.ts`: how right the time left is. A real daemon restarts a simulated appliance whose services
 * take a time that is drawn from a known distribution, each run anew and by a seed. Afterwards the journal of each run is
 * read again up to fixed points of the run, and what a person would have been shown there is compared with what was left.
 */
const { values } = parseArgs({
  options: { runs: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
})
const runs = Math.max(30, Number(values.runs))

/** Real time for one second of the appliance, in milliseconds. */
const SECOND = 20
/** The device prints its state so often; its times are whole multiples. */
const POLL_S = 5
const STOPPING = { meanS: 41, deviationS: 6 }
const STARTING = { meanS: 150, deviationS: 25 }
/** So many of a hundred runs are slow ones, for a reason that nobody sees. */
const SLOW = { percent: 3, times: 2 }
const POINTS = [0.1, 0.25, 0.5, 0.75, 0.9]

const seeded = new Random(Number(values.seed))
/** In [0, 1). */
const random = () => seeded.below(2 ** 32) / 2 ** 32
const publisher = scenarios.get('publisher') as Scenario
const course = publisher.services.restart
/** Drawn anew whenever a restart begins: the simulator reads the steps of a course then. */
const restart = Object.defineProperty({ ...course }, 'steps', {
  get: () => {
    const slow = random() * 100 < SLOW.percent ? SLOW.times : 1
    return [
      { state: 'STOPPING', polls: Math.round((slow * normal(STOPPING)) / POLL_S) },
      { state: 'STARTING', polls: Math.round((slow * normal(STARTING)) / POLL_S) },
      { state: 'STARTED', polls: 1 },
    ]
  },
})
const device = await startSimulator(
  { ...publisher, services: { ...publisher.services, restart, pollMs: POLL_S * 1000 } },
  { timeScale: SECOND / 1000 },
)
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'vosctl-estimate-'))
const state = path.join(directory, 'state')
const env = { PATH: process.env['PATH'], VOSCTL_CONFIG_DIR: path.join(directory, 'config') }
const command = [path.resolve(import.meta.dirname, '../bin/vosctl'), '--state-dir', state, 'daemon']

try {
  await once(spawn(process.execPath, [...command, 'start'], { env, stdio: 'ignore' }), 'close')
  const client = await Client.connect({ socketPath: path.join(state, 'run', 'vosd.sock'), version: '0' })
  const { host, port, username, hostKey, password } = device
  const added = await client.request('connection:add', {
    name: 'node',
    host,
    port,
    username,
    timings: { quietMs: 30, pollMs: 50 },
  })
  const { id } = added
  await client.request('connection:trust', { id, device: deviceKey(added), hostKey })
  await client.request('credential:set', { id, login: loginKey(added), password })
  const left = new AbortController()
  const updates = client.watch(`connection:${id}`, { signal: left.signal })[Symbol.asyncIterator]()
  await updates.next()
  const journals: RecordedEvent[][] = []
  for (let run = 0; run < RUNS_BEFORE_ESTIMATE + runs; run++) {
    const journal = await restartOnce(client, updates, id)
    if (run >= RUNS_BEFORE_ESTIMATE) journals.push(journal)
  }
  left.abort()
  client.close()
  report(journals)
} finally {
  spawnSync(process.execPath, [...command, 'stop', '--now', '--yes'], { env })
  await device.stop()
  fs.rmSync(directory, { recursive: true, force: true })
}

async function restartOnce(
  client: Client,
  updates: AsyncIterator<Update>,
  connectionId: number,
): Promise<RecordedEvent[]> {
  const { operations } = await client.request('operation:start', {
    requestId: randomUUID(),
    operationType: 'service_restart',
    connectionIds: [connectionId],
    createdBy: 'bench',
  })
  const id = operations[0]?.id ?? ''
  for (;;) {
    const { value } = (await updates.next()) as { readonly value: Update | undefined }
    if (value?.type === 'event' && value.operation.id === id && isSettled(value.operation)) break
  }
  return [...(await client.request('operation:events', { id, limit: 5000 }))]
}

function report(journals: readonly RecordedEvent[][]): void {
  const whole = journals.map((journal) => stateAt(journal, Infinity))
  const tookMs = whole.map((operation) => progressAt(operation, operation.completedAt ?? 0).elapsedMs)
  const seconds = (ms: number) => `${Math.round(ms / SECOND)} s`
  console.log(`Node ${process.versions.node}, ${runs} restarts after ${RUNS_BEFORE_ESTIMATE}, seed ${values.seed}`)
  console.log(`a whole run: median ${seconds(quantile(tookMs, 0.5))}, p90 ${seconds(quantile(tookMs, 0.9))}\n`)
  console.log('| at, of the run | runs with an estimate | error, median | error, p90 | bias | no estimate: late |')
  console.log('| --- | --- | --- | --- | --- | --- |')
  for (const point of POINTS) {
    const errors: number[] = []
    let late = 0
    for (const [index, journal] of journals.entries()) {
      const { beganAt, completedAt } = whole[index] as Operation
      const at = Math.round((beganAt ?? 0) + point * (tookMs[index] ?? 0))
      const { remainingMs, lateMs } = progressAt(stateAt(journal, at), at)
      if (lateMs !== null) late++
      if (remainingMs !== null) errors.push((remainingMs - ((completedAt ?? 0) - at)) / (tookMs[index] ?? 1))
    }
    const sizes = errors.map(Math.abs)
    const percent = (part: number) => `${(part * 100).toFixed(1)} %`
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length
    const cells = [errors.length, percent(quantile(sizes, 0.5)), percent(quantile(sizes, 0.9)), percent(mean), late]
    console.log(`| ${Math.round(point * 100)} % | ${cells.join(' | ')} |`)
  }
  const late = whole.filter(({ lateAt }) => lateAt !== undefined)
  // Of n runs and one more, each is as likely to be the longest: that is how often the rule must call it late.
  const expected = whole.reduce((sum, { usual }) => {
    const known = usual?.runs ?? 0
    return sum + (known - Math.floor(0.9 * known)) / (known + 1)
  }, 0)
  const share = (count: number, of: number) => `${count.toFixed(count % 1 === 0 ? 0 : 1)} of ${of}`
  console.log(
    `\ncalled late: ${share(late.length, whole.length)}; the rule alone leads to ${share(expected, whole.length)}`,
  )
  const enough = whole.filter(({ usual }) => (usual?.runs ?? 0) >= 10)
  console.log(`once 10 runs were known: ${share(enough.filter((one) => late.includes(one)).length, enough.length)}`)
}

/** What was known at `at`. */
function stateAt(journal: readonly RecordedEvent[], at: number): Operation {
  return journal.filter((recorded) => recorded.at <= at).reduce<Operation | null>(apply, null) as Operation
}

/** Cut off at three deviations, and never less than one poll. */
function normal({ meanS, deviationS }: { readonly meanS: number; readonly deviationS: number }): number {
  const standard = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Math.max(POLL_S, meanS + deviationS * Math.max(-3, Math.min(3, standard)))
}
