import type { Timings } from '../../../src/core/connection.ts'
import { exitStatus } from '../../../src/core/errors.ts'
import { exitStatusFor } from '../../../src/core/verdict.ts'
import { scenarios, type Scenario } from '../../../src/simulator/index.ts'
import { faultyDaemon } from '../build.ts'
import { Random } from '../random.ts'
import type { Rig } from '../rig.ts'
import { restartAll, type Guest, type Outcome } from './restart-all.ts'
import { DIRECTIONS, KINDS, type Direction, type Kind, type Strike } from './proxy.ts'

const SECOND = 1000

/** For a network that loses nothing or says at once that it has. */
const GENEROUS: Partial<Timings> = {
  nudgeMs: 20 * SECOND,
  silenceLimitMs: 30 * SECOND,
  pollLimitMs: 15 * SECOND,
  deadlineMs: 60 * SECOND,
}
/** For one that falls silent: every phase has its own limit, all far below that of the whole operation. */
const SHORT: Partial<Timings> = {
  connectMs: 1500,
  identMs: 1500,
  keyExchangeMs: 1500,
  loginMs: 1500,
  shellMs: 1500,
  promptMs: 2000,
  nudgeMs: 2000,
  echoMs: 1500,
  commandMs: 1500,
  firstStateMs: 800,
  silenceWarningMs: 800,
  silenceLimitMs: 1500,
  pollLimitMs: 3000,
  reconnectMs: 3000,
  deadlineMs: 40 * SECOND,
}
const LIMIT_MS = 75 * SECOND

/** What the daemon sees of each kind, and how closely a full run looks: every so many bytes. */
const MANNERS: Record<Kind, { readonly timings: Partial<Timings>; readonly every: number }> = {
  cut: { timings: GENEROUS, every: 1 },
  reset: { timings: GENEROUS, every: 1 },
  'cut-twice': { timings: GENEROUS, every: 16 },
  'half-close': { timings: SHORT, every: 16 },
  mute: { timings: SHORT, every: 16 },
  blackhole: { timings: SHORT, every: 16 },
  flip: { timings: SHORT, every: 8 },
  drip: { timings: GENEROUS, every: 16 },
  delay: { timings: GENEROUS, every: 16 },
}

/** A recorded session, and which connection of it is struck. */
interface Session {
  readonly name: string
  readonly scenario: Scenario
  readonly connection: number
  /** A full run takes every so many of the offsets that it takes in the first session. */
  readonly thin: number
}

const SESSIONS: readonly Session[] = [
  { name: 'restart', scenario: scenario('publisher'), connection: 1, thin: 1 },
  // The device drops the first connection in the middle of the restart: the second is the look at it.
  { name: 'look', scenario: scenario('reset-goes-on'), connection: 2, thin: 8 },
]

/** How long an undisturbed session is, where it begins to be encrypted, and where it is worth looking closely. */
interface Recording {
  readonly session: Session
  readonly length: Record<Direction, number>
  readonly encryptedFrom: Record<Direction, number>
  readonly hot: Record<Direction, readonly number[]>
}

interface Case extends Guest {
  readonly recording: Recording
  readonly strike: Strike
}

/** Cases in one house, and operations at once in it. */
const WAVE = 200
const PARALLEL = 32
/** Bytes before and after a login or an Enter that a sample prefers. */
const CLOSE = 60
/** A verdict that was on its way when the blow came. */
const ON_ITS_WAY_MS = 300

/** The network between daemon and device breaks at any byte, in any way. */
const run: Rig = async ({ cases, seed, only, say }) => {
  const program = await faultyDaemon()
  const random = new Random(seed)
  const { recordings, broken: unfit } = await record(program)
  if (unfit.length > 0) return { cases: 0, violations: unfit }
  for (const { session, length } of recordings) {
    say(`${session.name}: ${length['to-daemon']} bytes to the daemon, ${length['to-device']} to the device`)
  }
  const chosen = choose(recordings, cases, seed, random, only)
  const endings = new Map<string, number>()
  const struck = new Map<string, number>()
  const judge = (guest: Guest, outcome: Outcome): string[] => {
    const { status, error } = outcome.operation
    count(endings, error ? `${status} ${error.code}` : status)
    const one = guest as Case
    if (outcome.proxy.struckAt !== null) count(struck, one.strike.kind)
    return judgeOne(one, outcome)
  }
  const violations: string[] = []
  const beganAt = performance.now()
  for (let from = 0; from < chosen.length; from += WAVE) {
    const wave = chosen.slice(from, from + WAVE)
    const broken = await restartAll(program, wave, { parallel: PARALLEL, limitMs: LIMIT_MS, judge })
    for (const what of broken) say(what)
    violations.push(...broken)
    say(`${from + wave.length} of ${chosen.length} cases, ${violations.length} violations`)
  }
  const seconds = (performance.now() - beganAt) / SECOND
  for (const kind of new Set(chosen.map(({ strike }) => strike.kind))) {
    if (!struck.has(kind)) violations.push(`no ${kind} ever struck: the rig is broken`)
  }
  return {
    cases: chosen.length,
    violations,
    facts: {
      'cases per second': (chosen.length / seconds).toFixed(1),
      struck: wordsOf(struck),
      endings: wordsOf(endings),
    },
  }
}

export default run

/** Undisturbed sessions, one after the other. */
async function record(program: string): Promise<{ recordings: Recording[]; broken: string[] }> {
  const recordings: Recording[] = []
  const broken: string[] = []
  for (const session of SESSIONS) {
    const judge = (_: Guest, { operation, proxy, simulator: { ledger } }: Outcome): string[] => {
      const link = proxy.links[session.connection - 1]
      const mine = ledger.entries.filter(({ connection }) => connection === session.connection)
      const places = (direction: Direction, found: typeof mine) =>
        found.map(({ at }) => link?.passedAt(direction, at) ?? 0)
      const handshake = mine.filter(({ type }) => type === 'handshake')
      const hot = mine.filter((entry) => entry.type === 'auth' || entry.type === 'enter')
      const both = <T>(make: (direction: Direction) => T): Record<Direction, T> => ({
        'to-daemon': make('to-daemon'),
        'to-device': make('to-device'),
      })
      recordings.push({
        session,
        length: both((direction) => link?.passed[direction] ?? 0),
        encryptedFrom: both((direction) => Math.max(...places(direction, handshake))),
        hot: both((direction) => places(direction, hot)),
      })
      return operation.status === 'completed' && link ? [] : ['an undisturbed restart is not completed']
    }
    const guests = [{ name: session.name, scenario: session.scenario, timings: GENEROUS }]
    broken.push(...(await restartAll(program, guests, { parallel: 1, limitMs: LIMIT_MS, judge })))
  }
  return { recordings, broken }
}

function choose(
  recordings: readonly Recording[],
  cases: number,
  seed: number,
  random: Random,
  only: RegExp | undefined,
): Case[] {
  const strata = recordings.flatMap((recording) =>
    KINDS.flatMap((kind) => DIRECTIONS.map((direction) => ({ recording, kind, direction }))),
  )
  const chosen = strata.flatMap(({ recording, kind, direction }) => {
    const { length, hot, session } = recording
    const every = only ? 1 : MANNERS[kind].every * session.thin
    const all = Array.from({ length: length[direction] }, (_, offset) => offset)
    const share = Math.ceil(cases / strata.length)
    const offsets =
      only || cases === Infinity
        ? all.filter((offset) => offset % every === seed % every)
        : [...new Set([...near(hot[direction], all, random), ...random.sample(all, all.length)])].slice(0, share)
    return offsets.map((offset): Case => {
      const strike = { kind, direction, offset, connection: session.connection }
      const name = `${session.name} ${kind} ${direction} at byte ${offset}`
      const { scenario } = session
      return { name, scenario, timings: MANNERS[kind].timings, strikes: [strike], recording, strike }
    })
  })
  // In no order, so that those that wait for a time limit do not all wait at once.
  return random.sample(only ? chosen.filter(({ name }) => only.test(name)) : chosen, Infinity)
}

/** One near every login and every Enter, in no order. */
function near(places: readonly number[], all: readonly number[], random: Random): number[] {
  const one = (place: number) =>
    random.sample(
      all.filter((offset) => Math.abs(offset - place) <= CLOSE),
      1,
    )
  return random.sample(places.flatMap(one), Infinity)
}

/** What must be true besides the promises: the right class of ending, and nothing that the device did not say. */
function judgeOne({ strike: { kind, direction, offset }, recording }: Case, outcome: Outcome): string[] {
  const { operation, events, proxy, simulator } = outcome
  const broken: string[] = []
  const { status, error, transition } = operation
  const isIntended = events.some(({ event }) => event.type === 'dispatching')
  if (error?.code === 'deadline' || error?.code === 'deadline_before_sending') {
    broken.push('5: nothing but the time limit of the whole operation has ended it')
  }
  if (!isIntended && (status !== 'failed' || exitStatusFor(operation) !== exitStatus('unreached'))) {
    broken.push('5: nothing was sent, so it must have failed as "unreached"')
  }
  if (isIntended && status === 'failed') broken.push('5: the service is up, and the restart has failed')

  const isLossless = kind === 'drip' || kind === 'delay'
  if (isLossless && status !== 'completed') broken.push('5: nothing was lost, and it is not completed')
  const isToldAtOnce = kind === 'cut' || kind === 'reset' || kind === 'cut-twice'
  if (isToldAtOnce && recording.session.connection === 1 && transition && status !== 'completed') {
    broken.push('5: the service was seen moving and came back, and it is not completed')
  }

  const printed = Buffer.concat(simulator.ledger.of('out').map(({ bytes }) => bytes)).toString()
  for (const { event } of events) {
    if (event.type === 'line' && !printed.includes(event.text)) {
      broken.push(`5: the device never printed ${JSON.stringify(event.text)}`)
    }
  }
  // Whoever notices ends the connection, and the daemon makes another one.
  const isUnnoticed = status === 'completed' && proxy.links.length === recording.session.connection
  const isBeforeVerdict = (proxy.struckAt ?? Infinity) + ON_ITS_WAY_MS < (operation.completedAt ?? 0)
  const isEncrypted = offset >= recording.encryptedFrom[direction]
  if (kind === 'flip' && isUnnoticed && isBeforeVerdict && isEncrypted) {
    broken.push('5: nobody noticed the flipped bit')
  }
  return broken
}

function scenario(name: string): Scenario {
  const found = scenarios.get(name)
  if (!found) throw new Error(`no scenario ${name}`)
  return found
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}

function wordsOf(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([what, times]) => `${what} ${times}`)
    .join(', ')
}
