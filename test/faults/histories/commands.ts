import fc from 'fast-check'
import { VosError } from '../../../src/core/errors.ts'
import type { StartRequest, StartResult } from '../../../src/core/protocol.ts'
import { RefusedError } from '../../../src/daemon/refused-error.ts'
import { SERVICES, TEMPERS, type Temper } from './box.ts'
import { CONNECTION_IDS, type House } from './house.ts'
import type { Judge, Known, Prediction } from './judge.ts'
import { ANSWERS, type Answer } from './port.ts'
import { Watcher } from './watcher.ts'

/** One thing that happens in a history: a person, the network, a device, a clock or the kernel does it. */
class Step<Values extends object> implements fc.AsyncCommand<Judge, House> {
  readonly #name: string
  readonly #values: Values
  readonly #act: (values: Values, house: House, judge: Judge) => void | Promise<void>

  constructor(name: string, values: Values, act: (values: Values, house: House, judge: Judge) => void | Promise<void>) {
    this.#name = name
    this.#values = values
    this.#act = act
  }

  check(): boolean {
    return true
  }

  async run(judge: Judge, house: House): Promise<void> {
    await this.#act(this.#values, house, judge)
    await house.settle()
  }

  toString(): string {
    const given = Object.entries(this.#values).filter(([, value]) => value !== undefined && value !== false)
    return `${this.#name}(${given.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(', ')})`
  }
}

function step<Values extends object>(
  name: string,
  values: { [Key in keyof Values]: fc.Arbitrary<Values[Key]> },
  act: (values: Values, house: House, judge: Judge) => void | Promise<void>,
): fc.Arbitrary<fc.AsyncCommand<Judge, House>> {
  return fc.record<Values>(values as never).map((drawn) => new Step(name, drawn as Values, act))
}

type Wish = Pick<StartRequest, 'operationType' | 'connectionIds' | 'parallel' | 'ifRunning' | 'deadlineMs'> & {
  readonly service: string | undefined
  readonly despiteUnknown: boolean
  readonly despiteLoginHold: boolean
  readonly startStopped: boolean
  readonly dryRun: boolean
}

const rarely = fc.nat(5).map((value) => value === 5)

const start = step<Wish>(
  'start',
  {
    operationType: fc.constantFrom('service_restart', 'service_restart', 'service_restart', 'ssh_test'),
    connectionIds: fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...CONNECTION_IDS).map((id) => [id]) },
      { weight: 1, arbitrary: fc.shuffledSubarray(CONNECTION_IDS, { minLength: 1, maxLength: 3 }) },
      { weight: 1, arbitrary: fc.shuffledSubarray([1, 2, 3], { minLength: 2 }) },
    ),
    service: fc.constantFrom(undefined, undefined, ...SERVICES),
    parallel: fc.constantFrom(1, 1, 2, 3),
    ifRunning: fc.constantFrom('refuse', 'attach', 'skip', 'queue', 'queue'),
    deadlineMs: fc.constantFrom(1_200_000, 30_000),
    despiteUnknown: rarely,
    despiteLoginHold: rarely,
    startStopped: rarely,
    dryRun: rarely,
  },
  ({ service, ...wish }, house, judge) => {
    const requestId = `request-${house.requests.length + 1}`
    const request: StartRequest = {
      requestId,
      createdBy: 'alice',
      ...wish,
      ...(service === undefined ? {} : { service }),
    }
    house.requests.push(request)
    ask(request, house, judge)
  },
)

/** A client that got no answer, or that did, asks once more. */
const repeat = step<{ back: number }>('repeat the request', { back: fc.nat(4) }, ({ back }, house, judge) => {
  const request = house.requests.at(-1 - back)
  if (request) ask(request, house, judge)
})

function ask(request: StartRequest, house: House, judge: Judge): void {
  const prediction = judge.predict(request)
  const before = judge.known.length
  judge.asking = request
  const outcome = attempt(() => house.manager.start(request))
  judge.asking = null
  // Killed in the middle: nobody has heard an answer.
  if (!house.isAlive) return
  judge.read()
  const fresh = judge.known.slice(before)
  checkAnswer(request, prediction, outcome, fresh, house, judge)
  if (outcome instanceof VosError || request.dryRun) return
  judge.promised(request, outcome)
}

function checkAnswer(
  request: StartRequest,
  prediction: Prediction,
  outcome: StartResult | VosError,
  fresh: readonly Known[],
  house: House,
  judge: Judge,
): void {
  const { requestId } = request
  const expect = (isKept: boolean, broken: string) => judge.expect(isKept, `${requestId} ${broken}`)
  const code = outcome instanceof VosError ? outcome.code : null
  const ids = outcome instanceof VosError ? [] : outcome.operations.map(({ id }) => id)
  if (outcome instanceof VosError || request.dryRun) {
    expect(fresh.length === 0, `was answered ${code ?? 'as a dry run'} and has begun ${fresh.length} operations`)
  }
  if (prediction.type === 'known') {
    expect(fresh.length === 0, 'was repeated and has begun new operations')
    expect(
      ids.join() === prediction.ids.join(),
      `was repeated and gave back ${code ?? `${ids.length} other operations`}`,
    )
    return
  }
  // An answer that was lost with its daemon: the request is known all the same.
  const lost = judge.known.filter((one) => one.request?.requestId === requestId && !fresh.includes(one))
  if (lost.length > 0) {
    expect(
      fresh.length === 0 && lost.every(({ id }) => ids.includes(id)),
      'was repeated and gave back other operations',
    )
    return
  }
  if (house.isDraining) return expect(code === 'draining', `was answered ${code ?? 'yes'} by a daemon that is stopping`)
  if (prediction.type === 'twins') return expect(code === 'bad_request', 'named one device twice and was not refused')
  const { targets } = prediction
  const refusals = outcome instanceof RefusedError ? outcome.refused : []
  if (outcome instanceof VosError) {
    expect(refusals.length > 0, `was refused with ${code}: ${outcome.message}`)
    for (const { connection, may } of targets) {
      const got = refusals.find((refusal) => refusal.connection?.id === connection)?.code ?? 'nothing'
      const fits = got === 'nothing' ? may.some(isNoRefusal) : may.includes(got)
      expect(fits, `was answered ${got} for connection ${connection}, which must be ${may.join(' or ')}`)
    }
    return
  }
  const begun = new Set(
    request.dryRun ? outcome.plan?.map(({ id }) => id) : fresh.map(({ accepted }) => accepted.connection.id),
  )
  for (const { connection, may } of targets) {
    const got = begun.has(connection)
      ? 'start'
      : outcome.skipped.some(({ id }) => id === connection)
        ? 'skip'
        : (may.find((one) => outcome.attached.some((id) => one === `attach ${id}`)) ?? 'nothing')
    expect(may.includes(got), `was answered ${got} for connection ${connection}, which must be ${may.join(' or ')}`)
  }
  if (!request.dryRun) {
    expect(
      fresh.every(({ id }) => ids.includes(id)),
      'has begun an operation that its answer does not name',
    )
    expect((outcome.batch !== null) === fresh.length > 1, 'has a batch of one, or none of several')
  }
}

function isNoRefusal(may: string): boolean {
  return may === 'start' || may === 'skip' || may.startsWith('attach ')
}

/** What it gave, or the refusal; anything else that is thrown is a bug. */
function attempt<T>(work: () => T): T | VosError {
  try {
    return work()
  } catch (error) {
    if (error instanceof VosError) return error
    throw error
  }
}

const cancel = step<{ back: number; asItAnswers: number | null }>(
  'cancel',
  // Sometimes in the very turn in which a device answers, before anything has come of the answer.
  { back: fc.nat(3), asItAnswers: fc.option(fc.nat(4), { freq: 1 }) },
  ({ back, asItAnswers }, house, judge) => {
    const one = judge.known.at(-1 - back)
    if (!one) return
    if (asItAnswers !== null) [...house.calls][asItAnswers % house.calls.size]?.answer('well')
    const isPossible = !one.ending && !one.intended
    const outcome = attempt(() => house.manager.cancel(one.id, 'bob'))
    if (!house.isAlive) return
    const isDone = !(outcome instanceof VosError)
    const said = isDone ? 'yes' : outcome.code
    judge.expect(isDone === isPossible, `5: cancelling ${judge.name(one.id)} was answered ${said}`)
    if (isDone) one.cancelled = true
  },
)

const acknowledge = step<{ back: number }>('acknowledge', { back: fc.nat(3) }, ({ back }, house, judge) => {
  const one = judge.known.at(-1 - back)
  if (!one) return
  const isDue = one.ending?.status === 'unknown' && !one.acknowledged
  const outcome = attempt(() => house.manager.acknowledge(one.id, 'bob'))
  if (!house.isAlive) return
  const isDone = !(outcome instanceof VosError)
  judge.expect(isDone === isDue, `5: acknowledging ${judge.name(one.id)} was answered ${isDone ? 'yes' : outcome.code}`)
})

const answer = step<{ call: number; how: Answer }>(
  'answer',
  { call: fc.nat(4), how: fc.constantFrom('well', 'well', ...ANSWERS) },
  ({ call, how }, house) => [...house.calls][call % house.calls.size]?.answer(how),
)

/** The network and the devices are well for a while. */
const work = step<{ calls: number }>('work', { calls: fc.integer({ min: 1, max: 25 }) }, async ({ calls }, house) => {
  for (let done = 0; done < calls; done++) {
    const [call] = house.calls
    if (!call) break
    call.answer('well')
    await house.settle()
  }
})

/** Until one of them is about to do this. */
const workUntil = step<{ what: string }>(
  'work until',
  { what: fc.constantFrom('answer to the login', 'prepare', 'commit', 'byte is out', 'observe', 'poll', 'close') },
  async ({ what }, house) => {
    for (let done = 0; done < 40; done++) {
      const [call] = house.calls
      if (!call || [...house.calls].some((one) => one.what === what)) break
      call.answer('well')
      await house.settle()
    }
  },
)

const box = fc.nat(2)

const temper = step<{ box: number; temper: Temper }>(
  'temper',
  { box, temper: fc.constantFrom(...TEMPERS) },
  (values, house) => {
    const one = house.boxes[values.box]
    if (one) one.temper = values.temper
  },
)

const move = step<{ box: number }>('the device moves on', { box }, (values, house) => {
  for (const name of SERVICES) house.boxes[values.box]?.move(name)
})

/** Only while nobody else acts on the device: two admins at once are told apart by nobody. */
const toggle = step<{ box: number; service: string }>(
  'somebody stops or starts it by hand',
  { box, service: fc.constantFrom(...SERVICES) },
  (values, house, judge) => {
    const one = house.boxes[values.box]
    if (one && !judge.active(one, 'service_restart')) one.toggle(values.service)
  },
)

const changePassword = step<{ box: number }>('the password expires', { box }, (values, house) => {
  const one = house.boxes[values.box]
  if (one) one.acceptsPassword = false
})

const setPassword = step<{ connection: number; right: boolean }>(
  'a person sets the password',
  { connection: fc.constantFrom(...CONNECTION_IDS), right: fc.boolean() },
  ({ connection, right }, house) => {
    if (house.setPassword(connection)) house.boxOf(connection).acceptsPassword = right
  },
)

const changeHostKey = step<{ box: number }>('the host key changes, or changes back', { box }, (values, house) => {
  const one = house.boxes[values.box]
  if (one) one.hostKeyChanged = !one.hostKeyChanged
})

const pass = step<{ seconds: number }>(
  'time passes',
  { seconds: fc.constantFrom(0.05, 1, 60, 360, 1300) },
  ({ seconds }, house) => house.time.pass(seconds * 1000),
)

const HOUR = 3_600_000
const TEN_YEARS = 3650 * 24 * HOUR
const jump = step<{ ms: number }>(
  'the clock jumps',
  { ms: fc.constantFrom(HOUR, -HOUR, TEN_YEARS, -TEN_YEARS) },
  ({ ms }, house) => {
    // The age of the history is reckoned with leaps of at most 90 days; with five it is old by design.
    if (Math.abs(ms) > HOUR && ++house.leaps > 4) return
    house.clockOffset += ms
  },
)

const drain = step<object>('the daemon is told to stop', {}, (_, house) => {
  if (!house.isDraining) house.drain()
})

const leave = step<object>('the time to stop is over', {}, (_, house) => house.leaveNow())

const crash = step<{ afterCommits: number; again: number | null }>(
  'SIGKILL',
  { afterCommits: fc.nat(6), again: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 4 }) },
  ({ afterCommits, again }, house) => house.crash(afterCommits, again),
)

const watcher = fc.nat(2)

const watch = step<{ watcher: number; room: number; isSlow: boolean }>(
  'watch',
  { watcher, room: fc.nat(3), isSlow: fc.boolean() },
  (values, house, judge) => {
    const { room } = values
    const make = () =>
      new Watcher(String(values.watcher), room === 0 ? 'operations' : `connection:${room}`, values.isSlow, judge)
    if (!house.watchers.get(values.watcher)?.isThere) house.watch(values.watcher, make)
  },
)

const look = step<{ watcher: number }>('the watcher takes a batch', { watcher }, (values, house) =>
  house.watchers.get(values.watcher)?.take(),
)

const lookAway = step<{ watcher: number }>('the watcher leaves', { watcher }, (values, house) =>
  house.watchers.get(values.watcher)?.leave(),
)

export const STEPS = fc.oneof(
  { weight: 10, arbitrary: start },
  { weight: 3, arbitrary: repeat },
  { weight: 4, arbitrary: cancel },
  { weight: 4, arbitrary: acknowledge },
  { weight: 14, arbitrary: answer },
  { weight: 10, arbitrary: work },
  { weight: 12, arbitrary: workUntil },
  { weight: 4, arbitrary: temper },
  { weight: 3, arbitrary: move },
  { weight: 2, arbitrary: toggle },
  { weight: 1, arbitrary: changePassword },
  { weight: 2, arbitrary: setPassword },
  { weight: 1, arbitrary: changeHostKey },
  { weight: 3, arbitrary: pass },
  { weight: 3, arbitrary: jump },
  { weight: 1, arbitrary: drain },
  { weight: 1, arbitrary: leave },
  { weight: 6, arbitrary: crash },
  { weight: 4, arbitrary: watch },
  { weight: 2, arbitrary: look },
  { weight: 2, arbitrary: lookAway },
)
