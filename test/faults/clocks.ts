import { randomUUID } from 'node:crypto'
import Database from 'better-sqlite3'
import type { Timings } from '../../src/core/connection.ts'
import type { Operation, OperationEvent, RecordedEvent } from '../../src/core/operation.ts'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { ACCEPTED, UNTIL_DISPATCH } from '../helpers/operations.ts'
import { comesTrue, within } from '../helpers/wait.ts'
import { Arena, type AppliancePlan } from './arena.ts'
import { faultyDaemon } from './build.ts'
import { readHouse, type House } from './check.ts'
import { scenario } from './kills.ts'
import { END_MS, followRestart, startRestart, stopInPeace } from './one-restart.ts'
import { inParallel } from './parallel.ts'
import { Random } from './random.ts'
import type { Rig } from './rig.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const JUMPS = [
  { name: 'an hour ahead', byMs: HOUR_MS },
  { name: 'an hour back', byMs: -HOUR_MS },
  { name: 'ten years ahead', byMs: 3652 * DAY_MS },
  { name: 'ten years back', byMs: -3652 * DAY_MS },
] as const
/** On a busy machine a device is silent for longer than the arena's patience: a nudge would double its prompt. */
const TIMINGS: Partial<Timings> = { nudgeMs: 10_000 }
const PLAN: AppliancePlan = { name: 'cucm-pub', scenario: scenario('publisher'), timings: TIMINGS }
/** Ended long ago, needs a person since an hour, is held since yesterday: all of it must outlive any clock. */
const OLD = 'r-000old'
const UNKNOWN = 'r-00lost'
const HELD = { device: '10.9.9.9:22', username: 'admin' } as const
const OLD_REQUEST = randomUUID()

interface Case {
  readonly name: string
  readonly place: string
  readonly byMs: number
  /** Where the daemon dies after that, to be followed by one whose clock is right again; otherwise it is stopped in peace. */
  readonly killedAt?: string
}

/** The clock of the machine is set while a restart is under way, and set right again while no daemon runs. */
const run: Rig = async ({ cases, seed, only = /./, say }) => {
  const program = await faultyDaemon()
  const random = new Random(seed)
  const places = await listPlaces(program)
  say(`${places.length} places: ${places.join(', ')}`)
  const all = JUMPS.flatMap(({ name, byMs }) => [
    ...places.map((place): Case => ({ name: `${name} at ${place}`, place, byMs })),
    ...places.slice(1).map((killedAt): Case => {
      const place = places[random.below(places.indexOf(killedAt))] ?? ''
      return { name: `${name} at ${place}, killed at ${killedAt}`, place, byMs, killedAt }
    }),
  ]).filter(({ name }) => only.test(name))
  const chosen = cases >= all.length ? all : spread(all, cases, random)
  const violations: string[] = []
  const endings = new Map<string, number>()
  await inParallel(chosen, 4, async (one) => {
    const { broken, ending } = await live(program, one).catch((error: unknown) => ({
      broken: [String(error)],
      ending: 'broken',
    }))
    violations.push(...broken.map((what) => `${one.name}: ${what}`))
    endings.set(ending, (endings.get(ending) ?? 0) + 1)
  })
  return { cases: chosen.length, violations, facts: Object.fromEntries(endings) }
}

export default run

/** The same number of every jump, with and without a kill. */
function spread(all: readonly Case[], count: number, random: Random): Case[] {
  const groups = [...Map.groupBy(all, ({ byMs, killedAt }) => `${byMs} ${killedAt === undefined}`).values()]
  const each = groups.map((group) => random.sample(group, Infinity))
  const rounds = Array.from({ length: Math.ceil(count / groups.length) }, (_, round) => round)
  return rounds.flatMap((round) => each.flatMap((group) => group[round] ?? [])).slice(0, count)
}

/** Every step of a restart: what is written, and what is sent. */
async function listPlaces(program: string): Promise<string[]> {
  await using arena = new Arena(program)
  await furnish(arena)
  const daemon = arena.daemon({ env: { VOSCTL_FAILPOINT_TRACE: '1' } })
  await arena.isUp(daemon)
  const { status } = await followRestart(arena, await startRestart(arena))
  await arena.stop(daemon)
  if (status !== 'completed') throw new Error(`an undisturbed restart is ${status}`)
  const passed = [...daemon.words().matchAll(/^failpoint (\S+)/gm)].map(([, place]) => place ?? '')
  const of = (prefix: string) => passed.filter((place) => place.startsWith(prefix))
  const steps = [...of('event.').filter((place) => place.endsWith('#1')), ...of('connect.'), ...of('login.')]
  const typing = [...of('type.'), ...of('enter.')]
  const from = passed.indexOf('event.accepted#1')
  const accepted = passed.slice(from).find((place) => place.startsWith('write.done')) ?? ''
  const wanted = new Set([...steps, ...typing, accepted])
  return passed.filter((place, index) => index >= from && wanted.has(place))
}

async function live(program: string, { place, byMs, killedAt }: Case): Promise<{ broken: string[]; ending: string }> {
  await using arena = new Arena(program)
  await furnish(arena)
  const broken: string[] = []
  const points = [`${place}=clock:${byMs}`, ...(killedAt === undefined ? [] : [`${killedAt}=kill`])]
  const first = arena.daemon({ env: { VOSCTL_FAILPOINTS: points.join(',') } })
  await arena.isUp(first)
  const id = await startRestart(arena).catch(() => null)
  let before: House | undefined
  if (killedAt === undefined) {
    if (id === null) return { broken: ['it was not accepted'], ending: 'none' }
    await followRestart(arena, id)
    const commands = [['ps'], ['status'], ['logs', id], ['history', '-o', 'json']]
    broken.push(
      ...(await look(arena, id, commands, byMs)),
      ...(await watch(arena, byMs)),
      ...(await stopInPeace(arena, first)),
    )
    before = readHouse(arena.database)
    broken.push(...judgeTimes(before.events.get(id) ?? []))
  } else {
    // It may come to its end without the place at which it was to die.
    const settled = id === null ? first.ended : followRestart(arena, id).catch(() => first.ended)
    await within(END_MS, Promise.race([first.ended, settled]))
    if (!first.over()) broken.push(...(await stopInPeace(arena, first)))
  }

  const second = arena.daemon()
  if (!(await arena.isUp(second)))
    return { broken: [`the next daemon does not start: ${second.words()}`], ending: 'none' }
  const operation = id === null ? undefined : await followRestart(arena, id)
  // When the clock was back and the daemon died, the next one may as well have come so much later.
  const absentMs = killedAt === undefined ? 0 : Math.max(0, -byMs)
  broken.push(...(await look(arena, id, [['history'], ...(id === null ? [] : [['status', id]])], 0, absentMs)))
  broken.push(...(await stopInPeace(arena, second)), ...(await arena.check()))
  broken.push(...judgeHouse(arena.database, id))
  if (!operation) return { broken, ending: 'killed before it was accepted' }

  const told = `${operation.status} "${operation.message}"`
  if (killedAt === undefined) {
    // Between the intent and the byte a clock that was set cannot be told from a machine that slept.
    const isRefused = operation.status === 'interrupted' && operation.message.includes('clock was set')
    if (operation.status !== 'completed' && !isRefused) broken.push(`5: it ended ${told}`)
    const was = before?.operations.find((one) => one.id === id)
    if (was && was.message !== operation.message) broken.push(`5: it ended "${was.message}" and later ${told}`)
  }
  return { broken, ending: `${killedAt === undefined ? 'in peace' : 'killed'}: ${operation.status}` }
}

/** An appliance, and a house that has a past. */
async function furnish(arena: Arena): Promise<void> {
  await arena.furnish(await arena.build([PLAN]))
  const store = new Store(openDatabase(arena.database), () => undefined)
  const now = Date.now()
  const { operations } = store
  const tell = (id: string, at: number, events: readonly OperationEvent[]) => {
    let last: Operation | undefined
    for (const event of events) {
      const accepted = { ...ACCEPTED, connection: { id: 2, name: 'gone' }, device: HELD.device }
      const { operation } = last ? operations.append(last, event, at) : operations.insert(id, accepted, at)
      last = operation
    }
  }
  try {
    store.write(() => {
      tell(OLD, now - 300 * DAY_MS, [
        ACCEPTED,
        { type: 'connecting' },
        { type: 'settled', status: 'cancelled', message: 'cancelled' },
      ])
      operations.archive(OLD)
      operations.rememberRequest(OLD_REQUEST, now - 300 * DAY_MS, {
        ids: [OLD],
        attached: [],
        skipped: [],
        batch: null,
      })
      tell(UNKNOWN, now - HOUR_MS, [...UNTIL_DISPATCH, { type: 'settled', status: 'unknown', message: 'unknown' }])
      operations.setLoginHold(HELD.device, HELD.username, { since: now - DAY_MS, operationId: OLD, message: 'refused' })
    })
  } finally {
    store.close()
  }
}

/** Nothing of the past is lost, and what is learned is a duration. */
function judgeHouse(file: string, id: string | null): string[] {
  const { operations, loginHolds } = readHouse(file)
  const db = new Database(file)
  const learned = db.prepare<[], number>('SELECT total_ms FROM learned_durations').pluck().all()
  const requests = db.prepare<[], string>('SELECT request_id FROM requests').pluck().all()
  db.close()
  const known = new Set(operations.map((operation) => operation.id))
  const broken = [OLD, UNKNOWN, ...(id === null ? [] : [id])]
    .filter((one) => !known.has(one))
    .map((one) => `2: ${one} is lost`)
  if (!operations.some((operation) => operation.id === UNKNOWN && operation.status === 'unknown')) {
    broken.push('5: an outcome that nobody has accepted is not unknown any more')
  }
  if (!loginHolds.some(({ device }) => device === HELD.device)) broken.push('6: a hold on a login is lost')
  if (!requests.includes(OLD_REQUEST)) broken.push('4: a request is forgotten that may be repeated')
  const odd = learned.filter((ms) => ms < 0 || ms > END_MS)
  if (odd.length > 0) broken.push(`14: it has learned that a restart takes ${odd.join(', ')} ms`)
  return broken
}

/** A step of the clock within the work of one daemon is told where it happened. */
function judgeTimes(events: readonly RecordedEvent[]): string[] {
  return events.flatMap(({ at, seq, event }, index) => {
    const stepMs = at - (events[index - 1]?.at ?? at)
    const isTold = Math.abs(stepMs) < HOUR_MS / 2 || (event.type === 'clock' && Math.abs(event.byMs - stepMs) < END_MS)
    return isTold
      ? []
      : [`14: event ${seq} (${event.type}) lies ${stepMs} ms after the one before, and nothing says why`]
  })
}

/** Sets the clock of a client: the whole machine has one. */
function clockOf(byMs: number): Record<string, string> {
  const code = `const R=Date;globalThis.Date=class extends R{constructor(...a){a.length?super(...a):super(R.now()+${byMs})}static now(){return R.now()+${byMs}}}`
  return byMs === 0 ? {} : { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(code)}` }
}

/** What the people see: every command works, and none prints a duration that cannot be. */
async function look(
  arena: Arena,
  id: string | null,
  commands: readonly (readonly string[])[],
  byMs: number,
  absentMs = 0,
): Promise<string[]> {
  const broken: string[] = []
  for (const args of commands) {
    const { ended, output } = arena.cli(args, clockOf(byMs))
    const { status } = await ended
    const line = output.stdout.split('\n').find((line) => isAbsurd(line, absentMs))
    if (status !== 0) broken.push(`14: "${args.join(' ')}" ends with ${status}: ${output.stderr.trim().slice(0, 200)}`)
    if (line !== undefined) broken.push(`14: "${args.join(' ')}" prints ${JSON.stringify(line)}`)
    if (args[0] === 'history' && id !== null && ![OLD, id].every((one) => output.stdout.includes(one))) {
      broken.push(`14: "${args.join(' ')}" leaves something out: ${output.stdout}`)
    }
  }
  return broken
}

/** Everything here takes seconds, but the absence of a daemon. Only the clock's own line may speak of more. */
function isAbsurd(line: string, absentMs: number): boolean {
  if (line.includes("this machine's clock went")) return false
  const took = [...line.matchAll(/"(?:took|late|p50|p90|elapsed)(?:_ms)?":\s*(-?\d+)/g)].map(([, ms]) => Number(ms))
  if (took.some((ms) => ms < 0 || ms > END_MS + absentMs) || /NaN|Invalid|-\d+m\d\ds/.test(line)) return true
  return absentMs === 0 && /\b\d+h\d\dm|\b\d+d \d+h|\b[1-9]\d*m\d\ds/.test(line)
}

/** The live stream comes, with the board in it. */
async function watch(arena: Arena, byMs: number): Promise<string[]> {
  const { child, ended, output } = arena.cli(['watch', '-o', 'jsonl'], clockOf(byMs))
  const isShown = () => output.stdout.includes(UNKNOWN)
  await comesTrue(() => isShown() || child.exitCode !== null, END_MS)
  if (!isShown()) return [`14: "watch" does not show what needs a person: ${output.stdout} ${output.stderr}`]
  child.kill('SIGTERM')
  await ended
  return []
}
