import fs from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../src/daemon/store/operations.ts'
import { until } from '../test/helpers/wait.ts'
import { House } from './house.ts'
import { Pane } from './pane.ts'

/*
 * `node bench/watch.ts [--seconds 60]`: the built `vosctl watch` in a real terminal of 80 columns and 24 rows, on a real
 * daemon with 200 connections whose restarts begin and end all the time. `--soak 3600`: the same for an hour, one line
 * each minute, with kills of the daemon and changes of the window's size.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    soak: { type: 'string' },
    rows: { type: 'string', default: '200' },
    /** Restarts in a second. Each connection is on the screen for five minutes after one. */
    rate: { type: 'string' },
  },
})
const connections = Number(values.rows)
const perSecond = Number(values.rate ?? connections / 285)
const KILOBYTE = 1000
const MEGABYTE = 2 ** 20
const SCROLLBACK = 60
const OTHER_SIZES = [
  [160, 50],
  [60, 24],
  [80, 9],
  [100, 30],
] as const

interface Sample {
  readonly at: number
  /** In use by JavaScript after garbage collection, in bytes. */
  readonly heap: number
  /** Before it, in bytes. */
  readonly resident: number
  /** Processor time so far, in milliseconds. */
  readonly processor: number
  readonly written: number
  readonly descriptors: number
}

interface Budget {
  readonly what: string
  readonly measured: string
  readonly budget: string
  readonly isMet: boolean
}

/** The client on its terminal. */
class Watched implements Disposable {
  readonly pane: Pane
  readonly #house: House
  readonly #probe: string
  #pid = 0

  constructor(house: House) {
    this.#house = house
    this.#probe = path.join(house.directory, 'probe.json')
    this.pane = new Pane({ directory: house.directory, columns: 80, rows: 24, env: house.environment })
  }

  async open(): Promise<void> {
    this.pane.line(`for i in $(seq ${SCROLLBACK}); do echo history $i; done`)
    await this.pane.shows(`history ${SCROLLBACK}`)
    this.pane.forget()
    const probe = path.join(import.meta.dirname, 'probe.cjs')
    this.pane.line(
      `NODE_OPTIONS='--expose-gc --require ${probe}' PROBE_FILE=${this.#probe} ${this.#house.vosctl('watch').join(' ')}`,
    )
    await this.pane.shows('   live')
    this.#pid = await this.pane.child()
  }

  async sample(): Promise<Sample> {
    // Before the garbage collection, whose time and memory are not the program's.
    const before = {
      at: performance.now(),
      resident: this.#resident(),
      processor: this.#processor(),
      written: this.pane.written,
      descriptors: fs.readdirSync(`/proc/${this.#pid}/fd`).length,
    }
    fs.rmSync(this.#probe, { force: true })
    process.kill(this.#pid, 'SIGUSR2')
    const text = await until(
      'an answer of the probe',
      () => fs.existsSync(this.#probe) && fs.readFileSync(this.#probe, 'utf8'),
      30_000,
    )
    const { heapUsed } = JSON.parse(text) as NodeJS.MemoryUsage
    return { ...before, heap: heapUsed }
  }

  /** Between a sample and the next one, without what the first itself has cost. */
  async restingPoint(): Promise<{ readonly at: number; readonly processor: number; readonly written: number }> {
    await sleep(200)
    return { at: performance.now(), processor: this.#processor(), written: this.pane.written }
  }

  /** Leaves, and looks at what is left of the shell. Resolves to what is wrong. */
  async leave(): Promise<string[]> {
    const { pane } = this
    pane.press('q')
    await pane.shows('left watch:')
    await pane.until('the prompt of the shell', (screen) => screen.trimEnd().endsWith('$'))
    const text = pane.scrollback()
    const lost = Array.from({ length: SCROLLBACK }, (_, index) => `history ${index + 1}\n`).filter(
      (line) => !text.includes(line),
    )
    const isDrawn = text.includes('CONNECTION ')
    return [
      ...(lost.length > 0 ? [`${lost.length} lines of the scrollback are lost`] : []),
      ...(isDrawn ? ['a frame is left in the scrollback'] : []),
    ]
  }

  [Symbol.dispose](): void {
    this.pane[Symbol.dispose]()
  }

  #resident(): number {
    const status = fs.readFileSync(`/proc/${this.#pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
  }

  #processor(): number {
    const [, after = ''] = fs.readFileSync(`/proc/${this.#pid}/stat`, 'utf8').split(') ')
    const fields = after.split(' ')
    // utime and stime, in hundredths of a second.
    return (Number(fields[11]) + Number(fields[12])) * 10
  }
}

function wrongOnScreen(screen: string): string[] {
  const lines = screen.trimEnd().split('\n')
  const headers = lines.filter((line) => line.startsWith('vosctl watch')).length
  return [
    ...(headers === 1 ? [] : [`${headers} headers`]),
    ...(/^vosctl watch .* live$/.test(lines[0] ?? '') ? [] : [`the header is "${lines[0]}"`]),
    ...(/^\d+ running|^nothing is running/.test(lines[1] ?? '') ? [] : [`the counts are "${lines[1]}"`]),
    ...(lines.some((line) => line.length > 79) ? ['a line is too long'] : []),
    ...(screen.includes('stale') ? ['rows are stale'] : []),
  ]
}

function report(budgets: readonly Budget[]): void {
  console.log(`\n| what | measured | budget |\n| --- | --- | --- |`)
  for (const { what, measured, budget, isMet } of budgets) {
    console.log(`| ${what} | ${measured} | ${budget}${isMet ? '' : ': **over**'} |`)
  }
  if (budgets.some(({ isMet }) => !isMet)) process.exitCode = 1
}

function commonBudgets(watched: Watched, wrong: readonly string[], rates: Rates, resident: number): Budget[] {
  const { erasures } = watched.pane
  return [
    {
      what: 'written to the terminal',
      measured: `${(rates.bytes / KILOBYTE).toFixed(2)} kB/s`,
      budget: '4 kB/s',
      isMet: rates.bytes <= 4 * KILOBYTE,
    },
    {
      what: 'processor',
      measured: `${(rates.processor * 100).toFixed(1)} % of a core`,
      budget: '5 %',
      isMet: rates.processor <= 0.05,
    },
    {
      what: 'resident memory, highest',
      measured: `${(resident / MEGABYTE).toFixed(0)} MB`,
      budget: '150 MB',
      isMet: resident <= 150 * MEGABYTE,
    },
    { what: 'erasures of screen or scrollback', measured: String(erasures), budget: '0', isMet: erasures === 0 },
    {
      what: 'the last screen, and the shell after q',
      measured: wrong.length === 0 ? 'intact' : wrong.join('; '),
      budget: 'intact',
      isMet: wrong.length === 0,
    },
  ]
}

interface Rates {
  /** In a second. */
  readonly bytes: number
  /** Part of a core. */
  readonly processor: number
}

function rates(from: Omit<Sample, 'heap' | 'resident' | 'descriptors'>, to: typeof from): Rates {
  const ms = to.at - from.at
  return { bytes: ((to.written - from.written) * 1000) / ms, processor: (to.processor - from.processor) / ms }
}

const median = (numbers: readonly number[]) => quantile(numbers, 0.5)

const megabytes = (bytes: number) => (bytes / MEGABYTE).toFixed(2)

/** In bytes an hour, by least squares. */
function slope(samples: readonly Sample[]): number {
  const meanAt = samples.reduce((sum, { at }) => sum + at, 0) / samples.length
  const meanHeap = samples.reduce((sum, { heap }) => sum + heap, 0) / samples.length
  const above = samples.reduce((sum, { at, heap }) => sum + (at - meanAt) * (heap - meanHeap), 0)
  const below = samples.reduce((sum, { at }) => sum + (at - meanAt) ** 2, 0)
  return (above / below) * 3_600_000
}

async function measure(house: House, watched: Watched, seconds: number): Promise<void> {
  const first = await watched.sample()
  const from = await watched.restingPoint()
  await sleep(seconds * 1000)
  const last = await watched.sample()
  const spent = rates(from, last)
  const wrong = [...wrongOnScreen(watched.pane.screen()), ...(await watched.leave())]
  console.log(`${connections} connections, ${house.started} restarts so far; ${seconds} s in 80 x 24`)
  report([
    ...commonBudgets(watched, wrong, spent, Math.max(first.resident, last.resident)),
    {
      what: 'heap after garbage collection, before and after (an hour of it: --soak)',
      measured: `${megabytes(first.heap)} -> ${megabytes(last.heap)} MB`,
      budget: '',
      isMet: true,
    },
  ])
}

async function soak(house: House, watched: Watched, seconds: number): Promise<void> {
  const { pane } = watched
  const minutes = Math.max(1, Math.round(seconds / 60))
  const warmUp = Math.min(10, Math.floor(minutes / 3))
  const wrong: string[] = []
  const samples: Sample[] = [await watched.sample()]
  const spent: Rates[] = []
  let kills = 0
  let resizes = 0
  const begun = performance.now()
  for (let minute = 1; minute <= minutes; minute++) {
    const from = await watched.restingPoint()
    // The rate of bytes is that of 80 x 24: the size changes only for the last seconds of a minute, after the sample.
    await sleep(Math.max(0, begun + minute * 60_000 - 25_000 - performance.now()))
    const sample = await watched.sample()
    samples.push(sample)
    const rate = rates(from, sample)
    spent.push(rate)
    const [header = '', counts = ''] = pane.screen().split('\n')
    console.log(
      [
        `${String(minute).padStart(3)} min`,
        `heap ${megabytes(sample.heap)} MB`,
        `rss ${megabytes(sample.resident)} MB`,
        `${(rate.bytes / KILOBYTE).toFixed(2)} kB/s`,
        `cpu ${(rate.processor * 100).toFixed(1)} %`,
        `${sample.descriptors} fds`,
        `${pane.erasures} erasures`,
        `${house.started} restarts`,
        `${header.slice(header.lastIndexOf('  ')).trim()}; ${counts.trim()}`,
      ].join('  '),
    )
    if (minute % 10 === 5) {
      kills++
      await killDaemon(house, watched, kills % 2 === 0, wrong)
    } else if (minute % 3 === 0) {
      const [columns, rows] = OTHER_SIZES[resizes % OTHER_SIZES.length] ?? [160, 50]
      resizes++
      pane.resize(columns, rows)
      await sleep(8_000)
      // Narrow ones may cut the header; there must still be one of it.
      const headers = pane.screen().match(/^vosctl watch/gm)?.length ?? 0
      if (headers !== 1) wrong.push(`${headers} headers at ${columns} x ${rows} in minute ${minute}`)
      pane.resize(80, 24)
    }
    await sleep(Math.max(0, begun + minute * 60_000 - performance.now()))
  }
  const judged = samples.slice(warmUp)
  const ends = Math.max(1, Math.min(5, Math.floor(judged.length / 2)))
  const heap = (some: readonly Sample[]) => median(some.map((sample) => sample.heap))
  const growth = heap(judged.slice(-ends)) - heap(judged.slice(0, ends))
  const perHour = slope(judged)
  const descriptors = judged.map((sample) => sample.descriptors)
  await pane.shows('   live').catch(() => undefined)
  wrong.push(...wrongOnScreen(pane.screen()), ...(await watched.leave()))
  const average: Rates = {
    bytes: spent.reduce((sum, { bytes }) => sum + bytes, 0) / spent.length,
    processor: spent.reduce((sum, { processor }) => sum + processor, 0) / spent.length,
  }
  const refused = [...house.refusals].map(([code, count]) => `${code} ${count}`).join(', ')
  console.log(
    `\n${minutes} min, ${house.started} restarts of ${connections} connections (refused: ${refused || 'none'})`,
  )
  console.log(`${kills} kills of the daemon, ${resizes} changes of the size and back`)
  report([
    ...commonBudgets(watched, wrong, average, Math.max(...samples.map(({ resident }) => resident))),
    {
      what: `growth of the heap after ${warmUp} min, medians of ${ends} samples`,
      measured: `${megabytes(growth)} MB`,
      budget: '2 MB',
      isMet: growth <= 2 * MEGABYTE,
    },
    {
      what: 'slope of the heap',
      measured: `${megabytes(perHour)} MB/h`,
      budget: '2 MB/h',
      isMet: perHour <= 2 * MEGABYTE,
    },
    {
      what: 'descriptors',
      measured: `${Math.min(...descriptors)} to ${Math.max(...descriptors)}`,
      budget: '',
      isMet: true,
    },
  ])
}

/** `watch` never starts a daemon: somebody does it at once, or a while later. */
async function killDaemon(house: House, { pane }: Watched, isLeft: boolean, wrong: string[]): Promise<void> {
  process.kill(house.daemonPid, 'SIGKILL')
  const began = performance.now()
  try {
    await pane.shows('daemon gone', 5_000)
    if (isLeft) await sleep(8_000)
    const status = await house.run('daemon', 'start')
    if (status !== 0) wrong.push(`vosctl daemon start: ${status}`)
    await pane.shows('   live', 20_000)
    console.log(`         daemon killed; live again after ${((performance.now() - began) / 1000).toFixed(1)} s`)
  } catch (error) {
    wrong.push(`after a kill of the daemon: ${String(error)}`)
  }
}

await using house = new House()
console.log(`${new Date().toISOString()} a house with ${connections} connections in ${house.directory}`)
await house.furnish(connections)
await house.testAll()
const ended = new AbortController()
const load = house.load(perSecond, ended.signal)
using watched = new Watched(house)
await watched.open()
// Until as many restarts end as begin, so that the numbers are those of any minute.
await sleep(values.soak === undefined ? 75_000 : 5_000)
const cpu = process.cpuUsage()
const since = performance.now()
await (values.soak === undefined
  ? measure(house, watched, Number(values.seconds))
  : soak(house, watched, Number(values.soak)))
const { user, system } = process.cpuUsage(cpu)
const share = (user + system) / 1000 / (performance.now() - since)
console.log(`\nThe load and its appliances took ${(share * 100).toFixed(0)} % of a core.`)
ended.abort()
await load
