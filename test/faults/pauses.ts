import { setTimeout as sleep } from 'node:timers/promises'
import type { Timings } from '../../src/core/connection.ts'
import type { Operation } from '../../src/core/operation.ts'
import type { EntryOf, Ledger, Simulator } from '../../src/simulator/index.ts'
import { until, within } from '../helpers/wait.ts'
import { Arena, isStopped, type AppliancePlan, type Daemon } from './arena.ts'
import { faultyDaemon } from './build.ts'
import { readHouse } from './check.ts'
import { scenario } from './kills.ts'
import { inParallel } from './parallel.ts'
import { END_MS, followRestart, startRestart, stopInPeace } from './one-restart.ts'
import { Random } from './random.ts'
import type { Rig } from './rig.ts'

const SECOND = 1000
const SHORT_MS = [0, 200, 500, 900]
const LATE_MS = [1100, 1500, 2000]
const LONG_MS = [10 * SECOND, 120 * SECOND]
/** A pause that is longer than this, and not shorter than it was meant to be, is one after which nothing may be sent. */
const LIMIT_MS = 1000
/** On a busy machine a device is silent for longer than the arena's patience: a nudge would double its prompt. */
const TIMINGS: Partial<Timings> = { nudgeMs: 10_000 }
const PLAN: AppliancePlan = { name: 'cucm-pub', scenario: scenario('publisher'), timings: TIMINGS }

/** Where a stop of the daemon lies. */
type Zone =
  /** From the beginning of the commit to the last look at the clocks. */
  | 'commit'
  /** Between that look and the byte: a stop that hits these few instructions cannot be noticed. */
  | 'last instructions'
  | 'elsewhere'

interface Case {
  readonly kind: Zone | 'client' | 'device'
  readonly name: string
  readonly ms: number
  readonly run: (program: string) => Promise<{ readonly broken: readonly string[]; readonly note: string }>
}

/** The daemon is stopped for a while, exactly before or after a durable step or a byte; so are a client and a device. */
const run: Rig = async ({ cases, seed, only = /./, say }) => {
  const program = await faultyDaemon()
  const random = new Random(seed)
  const places = await listPlaces(program)
  say(places.map(({ place, zone }) => `${place} (${zone})`).join(', '))
  const of = (durations: readonly number[]): Case[] => [
    ...places.flatMap(({ place, zone }) => durations.map((ms) => stopTheDaemon(place, zone, ms))),
    ...durations.flatMap((ms) => [stopTheClient(ms), ...DEVICE_MOMENTS.map((moment) => stopTheDevice(moment, ms))]),
  ]
  const all = cases === Infinity ? of([...SHORT_MS, ...LATE_MS, ...LONG_MS]) : of([...SHORT_MS, ...LATE_MS])
  const matching = all.filter(({ name }) => only.test(name))
  const chosen = cases >= matching.length ? matching : spread(matching, cases, random)
  const violations: string[] = []
  const notes = new Map<string, number>()
  await inParallel(
    chosen.toSorted((a, b) => b.ms - a.ms),
    cases === Infinity ? 24 : 6,
    async ({ name, kind, ms, run: runOne }) => {
      const { broken, note } = await runOne(program).catch((error: unknown) => ({
        broken: [String(error)],
        note: 'broken',
      }))
      violations.push(...broken.map((what) => `${name}: ${what}`))
      const what = `${kind}, ${ms > LIMIT_MS ? 'late' : 'in time'}: ${note}`
      notes.set(what, (notes.get(what) ?? 0) + 1)
    },
  )
  if (chosen.some(({ kind, ms }) => kind === 'commit' && ms <= 200) && !notes.has('commit, in time: completed')) {
    violations.push('not even a short pause let the command go: the rig is broken')
  }
  return { cases: chosen.length, violations, facts: Object.fromEntries(notes) }
}

export default run

/** Some of every kind, late ones and others, and of the kind that matters most at least half. */
function spread(all: readonly Case[], count: number, random: Random): Case[] {
  const groups = [...Map.groupBy(all, ({ kind, ms }) => `${kind} ${ms > LIMIT_MS}`).values()]
  const some = groups.flatMap((group) => random.sample(group, group[0]?.kind === 'commit' ? 3 : 1))
  const rest = all.filter((one) => !some.includes(one))
  return [...some, ...random.sample(rest, count - some.length)]
}

/** Every failpoint around the commit before Enter, in the order in which an undisturbed restart passes them. */
async function listPlaces(program: string): Promise<{ readonly place: string; readonly zone: Zone }[]> {
  await using arena = new Arena(program)
  await arena.furnish(await arena.build([PLAN]))
  const daemon = arena.daemon({ env: { VOSCTL_FAILPOINT_TRACE: '1' } })
  await arena.isUp(daemon)
  const { status } = await followRestart(arena, await startRestart(arena))
  await arena.stop(daemon)
  if (status !== 'completed') throw new Error(`an undisturbed restart is ${status}`)
  const passed = passedPlaces(daemon)
  const around = passed.slice(passed.indexOf('event.resolved#1'), passed.indexOf('event.stopping#1') + 1)
  // What the daemon says to its clients has nothing to do with it.
  const own = around.filter((place) => !/^(reply|events)\./.test(place))
  return own.map((place) => ({ place, zone: zoneOf(place, passed) }))
}

function passedPlaces(daemon: Daemon): string[] {
  return [...daemon.words().matchAll(/^failpoint (\S+)/gm)].map(([, place]) => place ?? '')
}

function zoneOf(place: string, passed: readonly string[]): Zone {
  const intent = passed.indexOf('event.dispatching#1')
  const begin = passed.findLastIndex((one, index) => index < intent && one.startsWith('write.begin'))
  const from = (index: number, prefix: string): number => {
    const found = passed.findIndex((one, at) => at > index && one.startsWith(prefix))
    return found < 0 ? passed.length : found
  }
  const check = from(intent, 'enter.before')
  const sent = from(check, 'enter.after')
  const at = passed.indexOf(place)
  if (at >= begin && at <= check) return 'commit'
  return at > check && at < sent ? 'last instructions' : 'elsewhere'
}

function stopTheDaemon(place: string, zone: Zone, ms: number): Case {
  const name = `daemon stopped at ${place} for ${ms} ms`
  return {
    kind: zone,
    name,
    ms,
    run: async (program) => {
      await using arena = new Arena(program)
      await arena.furnish(await arena.build([PLAN]))
      const daemon = arena.daemon({ env: { VOSCTL_FAILPOINT_TRACE: '1', VOSCTL_FAILPOINTS: `${place}=stop` } })
      await arena.isUp(daemon)
      const id = await startRestart(arena)
      const isStruck = await stopped(daemon)
      if (isStruck) {
        await sleep(ms)
        daemon.child.kill('SIGCONT')
      }
      const operation = await followRestart(arena, id)
      const broken = await end(arena, daemon)
      // Packets are not the same in every run: what lay where is seen in this one.
      const actual = isStruck ? zoneOf(place, passedPlaces(daemon)) : 'elsewhere'
      broken.push(...judge(arena, operation, actual, ms))
      return { broken, note: isStruck ? outcomeOf(operation) : 'never came there' }
    },
  }
}

/** No Enter after a late wake-up. */
function judge(arena: Arena, { id, status, message, sentAt }: Operation, zone: Zone, ms: number): string[] {
  const restarts = arena.simulators[0]?.ledger.restarts().length ?? 0
  const told = `it ended ${status} "${message}" with ${restarts} restarts`
  if (zone === 'commit' && ms > LIMIT_MS && (restarts > 0 || status !== 'interrupted' || !message.includes('paused'))) {
    return [`4: the command was sent after a late wake-up, or it is not told: ${told}`]
  }
  if (zone === 'last instructions') {
    const intendedAt = readHouse(arena.database)
      .events.get(id)
      ?.find(({ event }) => event.type === 'dispatching')?.at
    const isTold = sentAt !== null && intendedAt !== undefined && sentAt - intendedAt >= ms
    if (restarts !== 1 || status !== 'completed' || !isTold)
      return [`14: the byte left late, and it is not told: ${told}`]
  }
  if (zone === 'elsewhere' && ms <= 10 * SECOND && status !== 'completed') return [`5: a pause broke it: ${told}`]
  return []
}

/** A client that is stopped harms nothing, and goes on when it may. */
function stopTheClient(ms: number): Case {
  return {
    kind: 'client',
    name: `client stopped for ${ms} ms`,
    ms,
    run: async (program) => {
      await using arena = new Arena(program)
      await arena.furnish(await arena.build([PLAN]))
      const daemon = arena.daemon()
      await arena.isUp(daemon)
      const { child, ended, output } = arena.cli(['restart', PLAN.name, '-o', 'jsonl'])
      const { ledger } = arena.simulators[0] as Simulator
      await Promise.race([ledger.until((seen) => seen.restarts().length > 0), ended])
      child.kill('SIGSTOP')
      // Nobody looks, and the work goes on to its end.
      const isOver = ledger.until((seen) => seen.commands().includes('exit'))
      await Promise.all([sleep(ms), within(END_MS, isOver)])
      child.kill('SIGCONT')
      const { status } = await ended
      const broken = await end(arena, daemon)
      if (status !== 0)
        broken.push(`12: the client ended with ${status}: ${output.stdout.slice(-300)} ${output.stderr}`)
      return { broken, note: `ended with ${status}` }
    },
  }
}

interface DeviceMoment {
  readonly name: string
  readonly when: (ledger: Ledger) => boolean
  readonly timings: Partial<Timings>
  /** If the pause is longer than its limits. */
  readonly late: readonly string[]
}

const typed = (ledger: Ledger) => Buffer.concat(ledger.of('in').map(({ bytes }: EntryOf<'in'>) => bytes)).toString()
const DEVICE_MOMENTS: readonly DeviceMoment[] = [
  {
    name: 'before the echo',
    when: (ledger) => typed(ledger).includes('restart'),
    timings: { echoMs: 1000 },
    // The echo that was under way may have come, in whole or in part; then Enter arrives when it goes on.
    late: ['failed echo_timeout', 'failed echo_mismatch', 'completed', 'interrupted interrupted'],
  },
  {
    name: 'after Enter',
    when: (ledger) => ledger.restarts().length > 0,
    timings: { silenceLimitMs: 1000 },
    late: ['unknown silence', 'completed'],
  },
]

/** A device that stands still and then goes on, with everything that was on its way to it and from it. */
function stopTheDevice({ name, when, timings, late }: DeviceMoment, ms: number): Case {
  return {
    kind: 'device',
    name: `device stopped ${name} for ${ms} ms`,
    ms,
    run: async (program) => {
      await using arena = new Arena(program)
      await arena.furnish(await arena.build([{ ...PLAN, timings: { ...TIMINGS, ...timings } }]))
      const daemon = arena.daemon()
      await arena.isUp(daemon)
      const id = await startRestart(arena)
      const simulator = arena.simulators[0] as Simulator
      // A busy machine may need longer than its limits allow: then it ends before the moment comes.
      await Promise.race([simulator.ledger.until(when), followRestart(arena, id).catch(() => undefined)])
      simulator.pauseOutput()
      await sleep(ms)
      simulator.resumeOutput()
      const operation = await followRestart(arena, id)
      const broken = await end(arena, daemon)
      const ending = outcomeOf(operation)
      const allowed = ms < LIMIT_MS ? ['completed', ...late] : late
      if (!allowed.includes(ending)) broken.push(`5: it ended ${ending} "${operation.message}"`)
      return { broken, note: ending }
    },
  }
}

function outcomeOf({ status, error }: Operation): string {
  return error ? `${status} ${error.code}` : status
}

/** Waits until the daemon has stopped itself; false when it comes to the end without that. */
async function stopped({ child, words }: Daemon): Promise<boolean> {
  const look = () => (isStopped(child) ? 'stopped' : /^failpoint event\.settled/m.test(words()) && 'settled')
  return (await until('the daemon stops itself, or comes to the end', look, END_MS)) === 'stopped'
}

async function end(arena: Arena, daemon: Daemon): Promise<string[]> {
  return [...(await stopInPeace(arena, daemon)), ...(await arena.check())]
}
