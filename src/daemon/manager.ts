import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import {
  daysOfOldAlgorithms,
  DEFAULT_TIMINGS,
  deviceKey,
  type Connection,
  type Hold,
  type HostKey,
  type Timings,
} from '../core/connection.ts'
import type { Device } from '../core/device.ts'
import { formatDuration } from '../core/duration.ts'
import { VosError, type ErrorCode } from '../core/errors.ts'
import { conceal, masked, maskedIn } from '../core/masks.ts'
import {
  isLook,
  isSettled,
  isStillOurs,
  maybeSent,
  needsAcknowledgement,
  type Operation,
  type OperationEvent,
  type OperationType,
  type RecordedEvent,
} from '../core/operation.ts'
import { progressAt, RUNS_BEFORE_ESTIMATE } from '../core/progress.ts'
import type { Refusal, Skipped, StartRequest, StartResult } from '../core/protocol.ts'
import { endingFor } from '../core/recipes/ending.ts'
import { reconcile } from '../core/recipes/reconcile.ts'
import { serviceRestart } from '../core/recipes/service-restart.ts'
import { sshTest } from '../core/recipes/ssh-test.ts'
import type { Recipe } from '../core/recipes/steps.ts'
import { verify } from '../core/recipes/verify.ts'
import { noCredential } from './devices/credential-kind.ts'
import type { DeviceRequest, HopRequest } from './devices/device-request.ts'
import { execute } from './executor.ts'
import { LentSecrets } from './lent-secrets.ts'
import { LoginGate, Slots } from './login-gate.ts'
import { createBatchId, createOperationId } from './operation-id.ts'
import { RefusedError } from './refused-error.ts'
import { UnreadError } from './secrets.ts'
import { DEFAULT_SETTINGS } from './settings.ts'
import { algorithmsExpired, hostKeyChanged } from './ssh/faults.ts'
import { isSameHostKey } from './ssh/host-keys.ts'
import { conflictKey, conflictKeyOf, type LoginHold, type Recorded } from './store/operations.ts'
import type { Store } from './store/store.ts'

const RECIPES: Partial<Record<OperationType, Recipe>> = { ssh_test: sshTest, service_restart: serviceRestart }

/** An accepted operation that a restarted daemon finds later than this is not begun any more: who asked has left. */
const START_DEADLINE_MS = 5 * 60_000
/** How long an ended operation stays on the board. */
const BOARD_MS = 5 * 60_000
const MAX_ACTIVE = 1000
/** Handshakes at once: more would stall the event loop and overflow the listeners' backlogs, and gain nothing. */
const MAX_CONNECTING = 16
/** Who has not logged in yet at one jump host: OpenSSH begins to turn connections away at ten (MaxStartups). */
const MAX_AT_HOP = 5
/** Device lines kept for each operation; what follows is counted. */
const MAX_LINES = 2000
/** A clock that is disciplined gently never differs by more between two events. */
const CLOCK_STEP_MS = 2000

/** The attempt was announced, but nothing of it left: there was no secret to send, or the link was gone before. */
const NOT_ATTEMPTED: readonly ErrorCode[] = ['no_credential', 'store_locked', 'bad_key_file', 'connection_lost']

const NO_ANSWER = 'the answer to an attempt is not known'

/** The credential itself is no good. */
const BAD_CREDENTIAL: readonly ErrorCode[] = ['login_refused', 'password_expired']

export interface ManagerOptions {
  readonly store: Store
  /** Opens the port to a device; nothing goes out before its `connect`. */
  readonly openDevice: (request: DeviceRequest) => Device
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds that nobody can set. Without it only a clock that was set back shows. */
  readonly monotonic?: () => number
  readonly log: (line: string) => void
  /** How long ended operations are kept; null: for ever. */
  readonly historyMs?: number | null
  /** Why no secret can be had for this connection, as far as that is known beforehand. */
  readonly missing?: (connection: Connection) => VosError | null
  readonly lent?: LentSecrets
}

interface Running {
  readonly abort: AbortController
  readonly done: Promise<void>
}

/** Accepts or refuses work, runs it, and keeps the board. Everything that it says has been written before. */
export class Manager {
  readonly #store: Store
  readonly #openDevice: ManagerOptions['openDevice']
  readonly #now: () => number
  readonly #monotonic: (() => number) | undefined
  readonly #log: (line: string) => void
  readonly #historyMs: number | null
  readonly #missing: (connection: Connection) => VosError | null
  readonly #lent: LentSecrets
  readonly #board = new Map<string, Operation>()
  readonly #running = new Map<string, Running>()
  readonly #lines = new Map<string, { kept: number; left: number; lastLine: string; lastState?: string }>()
  /** Of what goes on despite a hold: the operation that left the hold of which the person knew. A newer one stands. */
  readonly #despiteLoginHold = new Map<string, string>()
  /** The hold that stood before an attempt which goes on despite it; it comes back if nothing was attempted. */
  readonly #holdBefore = new Map<string, LoginHold>()
  /** Both clocks at the last event of what is active. */
  readonly #clocks = new Map<string, { readonly wall: number; readonly monotonic: number }>()
  /** Of what runs and may become late: when to look whether it is. */
  readonly #lateTimers = new Map<string, NodeJS.Timeout>()
  readonly #listeners = new Set<(recorded: RecordedEvent, operation: Operation) => void>()
  readonly #gate = new LoginGate()
  readonly #slots = new Slots(MAX_CONNECTING)
  readonly #hopSlots = new Map<string, Slots>()
  /** Of what was accepted with work of its own. */
  readonly #ownRecipes = new Map<string, Recipe>()
  #recovering = false
  #draining = false
  #sweep: NodeJS.Timeout | undefined

  constructor(options: ManagerOptions) {
    this.#store = options.store
    this.#openDevice = options.openDevice
    this.#now = options.now
    this.#monotonic = options.monotonic
    this.#log = options.log
    this.#historyMs = options.historyMs === undefined ? DEFAULT_SETTINGS.historyMs : options.historyMs
    this.#missing =
      options.missing ?? (({ name, credential }) => (credential.type === 'none' ? noCredential(name) : null))
    this.#lent = options.lent ?? new LentSecrets()
    for (const operation of this.#store.operations.board()) this.#board.set(operation.id, operation)
  }

  /** Everything active, what ended in the last minutes, and what waits for a person. */
  board(): Operation[] {
    return [...this.#board.values()]
  }

  find(id: string): Operation | undefined {
    return this.#board.get(id)
  }

  get active(): number {
    return this.board().filter((operation) => !isSettled(operation)).length
  }

  get draining(): boolean {
    return this.#draining
  }

  /** Calls back after each event is on disk. Returns how to end it. */
  onEvent(listener: (recorded: RecordedEvent, operation: Operation) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Takes on work. When this returns, every new operation is on disk.
   * @param recipe in place of the one of its type, for as long as this daemon lives
   * @throws RefusedError when a target cannot be worked on; then nothing was started anywhere.
   */
  start(request: StartRequest, recipe?: Recipe): StartResult {
    const known = this.#store.operations.request(request.requestId) as RememberedResult | null
    const asked = digest(request)
    // What an older vosctl remembers does not say what it was.
    if (known?.asked !== undefined && known.asked !== asked) {
      const hint = 'Make a new request id for each wish, and send one again only with the same.'
      throw new VosError('bad_request', 'This request id stands for another request. Nothing was started.', { hint })
    }
    if (known) return this.#recall(known)
    if (this.#draining) throw new VosError('draining', 'The daemon is stopping and takes on no new work.')
    const connections = request.connectionIds.map((id) => this.#store.connections.get(id))
    refuseTwins(connections)
    const subject = this.#subject(request, connections)
    if (subject) request = { ...request, subject: subject.id, ...(subject.service && { service: subject.service }) }
    const { free, attached, skipped } = this.#admit(request, connections)
    if (request.dryRun) return this.#plan(request, free, attached, skipped)
    if (this.active + free.length > MAX_ACTIVE) {
      throw new VosError('too_many_operations', `No more than ${MAX_ACTIVE} operations can be active at once.`)
    }
    const recorded = this.#accept(request, asked, free, attached, skipped)
    if (recipe) for (const { operation } of recorded.events) this.#ownRecipes.set(operation.id, recipe)
    const monotonic = this.#monotonic?.() ?? 0
    for (const one of recorded.events) {
      // Not the one whose unknown outcome this request has accepted.
      if (one.recorded.event.type === 'accepted') {
        const connection = this.#store.connections.get(one.operation.connection.id)
        const hops = connection.hops.map(({ id }) => this.#store.connections.get(id))
        this.#lent.claim(request.requestId, [connection, ...hops], one.operation.id)
      }
      this.#clocks.set(one.operation.id, { wall: one.recorded.at, monotonic })
      this.#publish(one)
    }
    this.#lent.forget(request.requestId)
    this.#schedule(recorded.events.map(({ operation }) => operation.id))
    return this.#recall(recorded.result)
  }

  /** The operation that a look is about: it must have been sent to the very device that is looked at. */
  #subject(
    { operationType, subject: id, createdBy, service }: StartRequest,
    connections: readonly Connection[],
  ): Operation | null {
    const [connection] = connections
    if (id === undefined) {
      // A look at a device with an open question is about that, by whatever name it was asked for.
      const open = operationType === 'verify' && connection ? this.unacknowledged(connection) : undefined
      return open?.service?.toLowerCase().startsWith(service?.toLowerCase() ?? '') ? open : null
    }
    const subject = this.get(id, createdBy)
    const refuse = (why: string, hint = ''): never => {
      throw new VosError('bad_request', `${subject.id} cannot be verified: ${why}. Nothing was sent.`, { hint })
    }
    if (operationType !== 'verify' || !connection || connections.length > 1)
      return refuse('one look is about one device')
    if (isLook(subject)) return refuse('it only looked', `Look again: vosctl verify ${connection.name}`)
    if (subject.device !== deviceKey(connection)) {
      return refuse(`it was sent to ${subject.device}, and ${connection.name} is ${deviceKey(connection)} now`)
    }
    return subject
  }

  #admit(request: StartRequest, connections: readonly Connection[]) {
    const free: Connection[] = []
    const attached: Operation[] = []
    const skipped: Skipped[] = []
    const refused: Refusal[] = []
    const recently = this.#recent(request, connections)
    for (const connection of connections) {
      const recent = recently.get(deviceKey(connection))
      const [holder, next] = this.#claims(conflictKeyOf(connection, request.operationType))
      // Of those who wait for a device there is one; whoever wishes the same has his wish in line already.
      const inTheWay = request.ifRunning === 'queue' ? next : holder
      const mayFollow = request.ifRunning === 'attach' || request.ifRunning === 'queue'
      if (recent) skipped.push(skip(connection, recent, 'recent'))
      else if (inTheWay && mayFollow && isSameWork(inTheWay, request, connection)) attached.push(inTheWay)
      else if (inTheWay && request.ifRunning === 'skip') skipped.push(skip(connection, inTheWay, 'running'))
      else {
        const refusal = inTheWay ? busy(connection, inTheWay) : this.#obstacle(request, connection)
        if (refusal) refused.push(refusal)
        else free.push(connection)
      }
    }
    if (refused.length > 0) throw new RefusedError(refused)
    return { free, attached, skipped }
  }

  /** The active operation that has the device, then the one that waits for it. */
  #claims(key: string): readonly Operation[] {
    const active = this.board().filter((one) => !isSettled(one) && conflictKey(one.device, one.type) === key)
    return active.toSorted((a, b) => Number(this.#isInLine(a)) - Number(this.#isInLine(b)))
  }

  /** Does it wait for the device, because the operation that it was queued after has not ended? */
  #isInLine({ phase, after }: Operation): boolean {
    const holder = this.#board.get(after ?? '')
    return phase === 'accepted' && holder !== undefined && !isSettled(holder)
  }

  /**
   * By device the same work that completed within the time asked for, unless the same was tried later and did not go well:
   * then it is not as that one left it. A time in the future is no time ago.
   */
  #recent(request: StartRequest, connections: readonly Connection[]): ReadonlyMap<string, Operation> {
    const found = new Map<string, Operation>()
    if (request.ifRecentMs === undefined) return found
    const { operations } = this.#store
    const now = this.#now()
    const wanted = new Map(connections.map((connection) => [deviceKey(connection), connection]))
    // All devices in one walk, which ends with the last one found: a long time may hold a history of years.
    for (const one of operations.outcomes([...wanted.keys()], request.operationType, now - request.ifRecentMs, now)) {
      const connection = wanted.get(one.device)
      if (!connection || (one.status !== 'completed' && !maybeSent(one))) continue
      const [accepted] = operations.events(one.id, 0, 1)
      // The device's own name for it, or the name by which it was asked for then.
      const asked = accepted?.event.type === 'accepted' ? accepted.event.service : one.service
      if (![one.service, asked].some((service) => isSameWork({ ...one, service }, request, connection))) continue
      if (one.status === 'completed') found.set(one.device, one)
      wanted.delete(one.device)
      if (wanted.size === 0) break
    }
    return found
  }

  /** What stands in the way besides other work. Checked again, where it can change, before the login. */
  #obstacle(
    request: Pick<StartRequest, 'service' | 'despiteLoginHold' | 'despiteUnknown' | 'dryRun' | 'attended'> & {
      readonly operationType: OperationType
      /** Of one that has been accepted. */
      readonly operationId?: string
      readonly requestId?: string
    },
    connection: Connection,
  ): Refusal | null {
    const about = { connection: { id: connection.id, name: connection.name } }
    const { name } = connection
    /** It is the jump host whose password is to be typed. */
    let unasked: Refusal | null = null
    const hold = this.#hold(connection)
    if (hold) return { ...hold.toInfo(), ...about }
    if (connection.via !== null) {
      // Whoever goes through it does there what a test does, but pins nothing.
      const hop = { ...this.#store.connections.get(connection.via), acceptNew: false }
      const { requestId = '', operationId = '', dryRun = false, attended = false } = request
      const found = this.#obstacle({ operationType: 'ssh_test', requestId, operationId, dryRun, attended }, hop)
      if (found?.code === 'needs_answer') unasked = found
      else if (found) return { ...found, message: `${name} is reached through ${hop.name}: ${found.message}`, ...about }
    }
    const loginHold = this.loginHold(connection)
    if (loginHold && !request.despiteLoginHold)
      return { ...loginHeld(connection, loginHold.message).toInfo(), ...about }
    const unknown = this.#openQuestion(connection, request.operationType)
    if (unknown && !request.despiteUnknown) {
      return {
        code: 'unacknowledged',
        message: `${name} is held: the outcome of ${unknown.id} is unknown and nobody has accepted it. Nothing was sent.`,
        hint: `Look at the device: vosctl verify ${unknown.id}. Then accept it: vosctl ack ${unknown.id}`,
        holder: unknown,
        ...about,
      }
    }
    const days = daysOfOldAlgorithms(connection, this.#now())
    if (days !== null && days < 0) {
      return { ...algorithmsExpired(connection, connection.algorithmsUntil ?? '').toInfo(), ...about }
    }
    if (connection.hostKey === null && !connection.acceptNew) {
      const hint = `Compare and pin it: vosctl connections trust ${name}`
      return { code: 'host_key_unpinned', message: `${name} has no pinned host key. Nothing was sent.`, hint, ...about }
    }
    const missing = this.#missing(connection)
    if (missing) return { ...missing.toInfo(), ...about }
    const service = request.service ?? connection.service
    if (request.operationType === 'service_restart' && service === null) {
      return {
        code: 'bad_request',
        message: `${name} has no default service. Nothing was sent.`,
        hint: 'Name one: --service <name>',
        ...about,
      }
    }
    // The last of all, so that nobody is asked for a password in vain.
    if (unasked) return unasked
    const { requestId = '', operationId = '' } = request
    const isLent = this.#lent.isLent(requestId, connection) || this.#lent.find(operationId, connection) !== undefined
    const willBeAsked = request.dryRun && request.attended
    if (connection.credential.type === 'prompt' && !isLent && !willBeAsked) {
      return {
        code: 'needs_answer',
        message: `${name} wants its password typed at each start, and nobody was asked. Nothing was sent.`,
        hint: `Start it at a terminal, or name another source: vosctl connections edit ${name} --credential sealed`,
        ...about,
      }
    }
    return null
  }

  /** A hold on any connection to this device: it is the device that shall not be touched. */
  #hold(connection: Connection): VosError | null {
    const held = this.#store.connections.holdOnDevice(connection)
    return held && onHold(connection.name, held.name, held.hold)
  }

  /** An unknown outcome in the way of such work; in the way of a look there is none. */
  #openQuestion(connection: Connection, type: OperationType): Operation | undefined {
    return isLook({ type }) ? undefined : this.unacknowledged(connection)
  }

  #accept(
    request: StartRequest,
    asked: string,
    free: readonly Connection[],
    attached: readonly Operation[],
    skipped: StartResult['skipped'],
  ): { readonly events: Recorded[]; readonly result: RememberedResult } {
    const at = this.#now()
    const { operations } = this.#store
    const batch = free.length > 1 ? createBatchId() : null
    const parallel = request.parallel ?? 1
    return this.#store.write(() => {
      const events: Recorded[] = []
      for (const connection of free) {
        // The person who asked was told about the unknown outcome and goes on: that accepts it.
        const unknown = request.despiteUnknown && this.#openQuestion(connection, request.operationType)
        if (unknown) events.push(operations.append(unknown, { type: 'acknowledged', by: request.createdBy }, at))
      }
      if (batch) operations.insertBatch(batch, at, parallel)
      const created = free.map((connection, index) => {
        const [holder] = this.#claims(conflictKeyOf(connection, request.operationType))
        const id = this.#unusedId(request.operationType)
        const known = request.despiteLoginHold && this.loginHold(connection)
        if (known) this.#despiteLoginHold.set(id, known.operationId)
        return operations.insert(
          id,
          {
            type: 'accepted',
            operationType: request.operationType,
            connection: { id: connection.id, name: connection.name },
            device: deviceKey(connection),
            service: request.service ?? connection.service,
            ...(request.subject === undefined ? {} : { subject: request.subject }),
            createdBy: request.createdBy,
            reason: request.reason === undefined ? null : masked(request.reason),
            batch: batch === null ? null : { id: batch, position: index + 1, size: free.length, parallel },
            deadlineMs: request.deadlineMs ?? timingsOf(connection).deadlineMs,
            allow: { startStopped: request.startStopped ?? false, cutSession: request.cutSession ?? false },
            usual: operations.usual(connection, request.operationType, request.service ?? connection.service),
            ...(holder && { after: holder.id }),
          },
          at,
        )
      })
      const all = [...attached, ...created.map(({ operation }) => operation)]
      const inOrder = request.connectionIds.flatMap((id) => all.filter(({ connection }) => connection.id === id))
      // An operation that is followed may be one of another connection to the same device.
      const ids = [...new Set([...inOrder, ...all].map(({ id }) => id))]
      const result = { ids, attached: attached.map(({ id }) => id), skipped, batch, asked }
      operations.rememberRequest(request.requestId, at, result)
      return { events: [...events, ...created], result }
    })
  }

  #unusedId(type: OperationType): string {
    for (;;) {
      const id = createOperationId(type)
      if (this.#store.operations.find(id).length === 0) return id
    }
  }

  #recall({ ids, attached, skipped, batch }: RememberedResult): StartResult {
    return { operations: ids.map((id) => this.get(id)), attached, skipped, batch }
  }

  #plan(
    request: StartRequest,
    free: readonly Connection[],
    attached: readonly Operation[],
    skipped: StartResult['skipped'],
  ): StartResult {
    const plan = free.map((connection) => {
      const service = request.service ?? connection.service
      const usual = this.#store.operations.usual(connection, request.operationType, service)
      const [holder] = this.#claims(conflictKeyOf(connection, request.operationType))
      return { id: connection.id, name: connection.name, service, usual, ...(holder && { after: holder.id }) }
    })
    return { operations: attached, attached: attached.map(({ id }) => id), skipped, batch: null, plan }
  }

  /**
   * An operation by id, by a unique prefix of it, or `last`, the newest of `createdBy`.
   * @throws VosError `unknown_operation` or `ambiguous`.
   */
  get(id: string, createdBy = ''): Operation {
    const hint = 'See: vosctl ps, vosctl history'
    if (id === 'last') {
      const newest = this.#store.operations.newestOf(createdBy || null)
      if (newest === undefined) throw new VosError('unknown_operation', 'You have started nothing yet.', { hint })
      return this.get(newest)
    }
    const found = this.#store.operations.find(id)
    const exact = found.find((operation) => operation.id === id)
    if (!exact && found.length > 1) {
      const ids = found.map((operation) => operation.id).join(', ')
      throw new VosError('ambiguous', `${id} fits several operations: ${ids}.`, { hint: 'Type one more character.' })
    }
    const one = exact ?? found[0]
    if (!one) throw new VosError('unknown_operation', `There is no operation ${id}.`, { hint })
    return one
  }

  /**
   * Ends an operation whose command was not sent yet.
   * @throws VosError `cannot_cancel` from the moment the intent is on disk, or when it has ended.
   */
  cancel(id: string, by: string): Operation {
    const operation = this.get(id)
    if (isSettled(operation)) {
      throw new VosError('cannot_cancel', `${operation.id} has already ended: ${operation.message}.`)
    }
    if (maybeSent(operation)) {
      const at = new Date(operation.sentAt ?? operation.phaseStartedAt).toTimeString().slice(0, 8)
      throw new VosError('cannot_cancel', `${operation.id} cannot be taken back: the restart was sent at ${at}.`, {
        hint: `Follow it: vosctl attach ${operation.id}`,
      })
    }
    const reason = new VosError('cancelled', `cancelled by ${by} before anything was sent`)
    const running = this.#running.get(operation.id)
    if (running) running.abort.abort(reason)
    else {
      this.#record(operation, { type: 'settled', status: 'cancelled', message: reason.message })
      // While it waited for its device nothing else of its batch may have run, whose end would bring the next one.
      if (operation.batch) this.#advanceBatch(operation.batch.id)
    }
    return this.get(operation.id)
  }

  /** A person accepts an unknown outcome; the connection is free again. */
  acknowledge(id: string, by: string): Operation {
    const operation = this.get(id)
    if (!needsAcknowledgement(operation)) {
      throw new VosError('bad_request', `${operation.id} needs no acknowledgement: it is ${operation.status}.`)
    }
    return this.#record(operation, { type: 'acknowledged', by })
  }

  /** The hold on this login; an attempt of work that is still under way is none yet. */
  loginHold(connection: Connection): LoginHold | null {
    const hold = this.#store.operations.loginHold(deviceKey(connection), connection.username)
    return hold && this.#board.get(hold.operationId)?.authenticating ? null : hold
  }

  /** @throws VosError `on_hold` when somebody keeps hands off this device */
  checkHold(connection: Connection): void {
    for (const one of [...connection.hops.map(({ id }) => this.#store.connections.get(id)), connection]) {
      const hold = this.#hold(one)
      if (hold) throw hold
    }
  }

  /** The operation whose unknown outcome keeps this device claimed. */
  unacknowledged(connection: Connection): Operation | undefined {
    return this.board().find((one) => needsAcknowledgement(one) && one.device === deviceKey(connection))
  }

  /** Is anything active on this device? */
  isBusy(connection: Connection): boolean {
    return this.board().some((one) => !isSettled(one) && one.device === deviceKey(connection))
  }

  /** What a new daemon does with the work of the one before it: looks at the device, never sends again. */
  recover(): void {
    this.#recovering = true
    for (const operation of this.board()) {
      if (isSettled(operation)) continue
      if (maybeSent(operation) && operation.authenticating) {
        const lost = new VosError('login_held', 'the daemon ended during a login, and the answer to it is not known')
        this.#record(operation, endingFor(operation, lost))
      } else if (maybeSent(operation)) {
        this.#log(
          `${operation.id}: looking at ${operation.connection.name}, the daemon ended while it was ${operation.phase}`,
        )
        const isOurs = () => isStillOurs(operation, this.#now())
        this.#run(operation, (device, now) =>
          reconcile(device, now, 'the daemon ended while the restart was under way', isOurs),
        )
      } else {
        const age = this.#now() - operation.startedAt
        const fresh = operation.phase === 'accepted' && age >= 0 && age < START_DEADLINE_MS
        if (!fresh) {
          const message = 'the daemon ended before anything was sent'
          this.#record(operation, {
            type: 'settled',
            status: 'interrupted',
            message,
            error: { code: 'interrupted', message, hint: 'It is safe to start it again.' },
          })
        }
      }
    }
    this.#recovering = false
    this.#schedule(
      this.board()
        .filter(({ phase }) => phase === 'accepted')
        .map(({ id }) => id),
    )
    this.#sweepNow()
  }

  /**
   * Takes on nothing more, ends what was not sent yet, and waits for the rest, at most until `signal` aborts: what then
   * still runs stays as it is on disk, for the next daemon to look at.
   */
  async drain(signal: AbortSignal): Promise<void> {
    this.#draining = true
    this.stopSweeping()
    const stop = new VosError('interrupted', 'the daemon stopped before anything was sent', {
      hint: 'It is safe to start it again.',
    })
    for (const operation of this.board()) {
      if (operation.phase === 'accepted' && !this.#running.has(operation.id)) {
        this.#record(operation, { type: 'settled', status: 'interrupted', message: stop.message, error: stop.toInfo() })
      } else if (!maybeSent(operation)) this.#running.get(operation.id)?.abort.abort(stop)
    }
    const leave = () => {
      for (const { abort } of this.#running.values()) abort.abort(stop)
    }
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave)
    await Promise.all([...this.#running.values()].map(({ done }) => done))
    signal.removeEventListener('abort', leave)
  }

  /** Starts what is free to start: single operations at once, of a batch as many as run side by side. */
  #schedule(ids: readonly string[]): void {
    if (this.#recovering || this.#draining) return
    const batches = new Set<string>()
    for (const id of ids) {
      const operation = this.#board.get(id)
      if (operation?.phase !== 'accepted' || this.#running.has(id)) continue
      if (operation.batch) batches.add(operation.batch.id)
      else if (!this.#isInLine(operation)) this.#start(operation)
    }
    for (const batch of batches) this.#advanceBatch(batch)
  }

  #start(operation: Operation): void {
    const known = operation.type === 'verify' ? this.#look(operation) : RECIPES[operation.type]
    const recipe = this.#ownRecipes.get(operation.id) ?? known
    if (!recipe) throw new Error(`no recipe for ${operation.type}`)
    this.#run(operation, recipe)
  }

  /** A look with what the daemon knows of its subject and of the work beside it. */
  #look({ subject, device }: Operation): Recipe {
    const isAtWork = (one: Operation) => !isSettled(one) && !isLook(one) && one.beganAt !== null
    return (port, operation) =>
      verify(port, operation, {
        subject: () => (subject === null ? null : this.get(subject)),
        isOurs: (one) => isStillOurs(one, this.#now()),
        underWay: () => this.board().find((one) => one.device === device && isAtWork(one)) ?? null,
      })
  }

  /** The next ones of a batch; after the first that did not complete, none. */
  #advanceBatch(batch: string): void {
    if (this.#draining) return
    const members = this.board()
      .filter((operation) => operation.batch?.id === batch)
      .toSorted((a, b) => (a.batch?.position ?? 0) - (b.batch?.position ?? 0))
    const waiting = members.filter(({ id, phase }) => phase === 'accepted' && !this.#running.has(id))
    const bad = members.find(
      (operation) =>
        isSettled(operation) &&
        operation.status !== 'completed' &&
        // One that a person took out before it began says nothing about the others.
        !(operation.status === 'cancelled' && operation.beganAt === null),
    )
    if (bad) {
      const message = `not started: ${bad.connection.name} ended ${bad.status}`
      for (const operation of waiting) this.#record(operation, { type: 'settled', status: 'cancelled', message })
      return
    }
    const running = members.filter(({ id }) => this.#running.has(id)).length
    const free = Math.max(0, this.#store.operations.parallel(batch) - running)
    // One that waits for its device keeps its place: what comes after it in the batch comes after it.
    for (const operation of waiting.slice(0, free)) if (!this.#isInLine(operation)) this.#start(operation)
  }

  #run(operation: Operation, recipe: Recipe): void {
    const abort = new AbortController()
    const concealed: (() => void)[] = []
    const done = this.#execute(operation, recipe, abort, (secret) => concealed.push(conceal(secret)))
      .catch((error: unknown) => {
        this.#log(`${operation.id}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
        const now = this.#board.get(operation.id)
        if (now && !isSettled(now)) this.#record(now, endingFor(now, error))
      })
      .catch((error: unknown) => this.#log(`${operation.id}: cannot be ended: ${String(error)}`))
      .finally(() => {
        for (const reveal of concealed) reveal()
        this.#running.delete(operation.id)
        this.#forgetLate(operation.id)
        if (operation.batch) this.#advanceBatch(operation.batch.id)
      })
    this.#running.set(operation.id, { abort, done })
  }

  async #execute(
    operation: Operation,
    recipe: Recipe,
    abort: AbortController,
    conceal: (secret: string) => void,
  ): Promise<void> {
    const { signal } = abort
    const connection = this.#store.connections.get(operation.connection.id)
    const message = `the time limit of ${formatDuration(operation.deadlineMs)} has passed`
    const deadline = setTimeout(() => abort.abort(new VosError('deadline', message)), operation.deadlineMs)
    let leaveGate = () => {}
    try {
      await execute({
        recipe,
        device: this.#openDevice({
          connection,
          operationId: operation.id,
          timings: timingsOf(connection),
          hops: connection.hops.map(({ id }) => this.#hopRequest(this.#store.connections.get(id))),
          signal,
          inTurn: (handshake) => this.#slots.use(handshake, signal),
          conceal,
        }),
        operation,
        signal,
        before: async (event, before) => {
          // Before the first byte, because somebody may have said "hands off" since this was accepted.
          if (event.type === 'connecting') this.#checkTurn(before, connection)
          if (event.type !== 'authenticating') return
          const device = event.hop?.device ?? before.device
          leaveGate = await this.#gate.enter(`${device} ${event.username}`, signal)
          const loginHold = this.#store.operations.loginHold(device, event.username)
          if (loginHold && this.#despiteLoginHold.get(before.id) !== loginHold.operationId)
            throw loginHeld(event.hop ? this.#store.connections.get(event.hop.id) : connection, loginHold.message)
          const refused = event.hop ? undefined : this.#refusedInBatch(before, connection)
          if (refused) throw loginHeld(connection, `it was refused by ${refused.connection.name}, in this batch`)
        },
        record: (before, event, error) => {
          const after = this.#record(before, event, connection, error)
          if (event.type === 'authenticated' || event.type === 'reconciling') leaveGate()
          return after
        },
      })
    } finally {
      clearTimeout(deadline)
      leaveGate()
    }
  }

  /** One of the batch whose login was refused: whatever that was, it may be the credential of the others too. */
  #refusedInBatch({ batch }: Operation, { username, credential }: Connection): Operation | undefined {
    if (batch === null) return undefined
    const connections = this.#store.connections.list()
    const isSameLogin = (one: Operation) => {
      const other = connections.find(({ id }) => id === one.connection.id)
      const isSame = other?.username === username && isDeepStrictEqual(other.credential, credential)
      // A jump host may have refused its own login.
      return isSame && this.#store.operations.loginHold(one.device, username)?.operationId === one.id
    }
    return this.board().find(
      (one) => one.batch?.id === batch.id && BAD_CREDENTIAL.includes(one.error?.code ?? 'bug') && isSameLogin(one),
    )
  }

  #hopRequest(hop: Connection): HopRequest {
    const key = deviceKey(hop)
    const slots = this.#hopSlots.get(key) ?? new Slots(MAX_AT_HOP)
    this.#hopSlots.set(key, slots)
    const enter = async (signal: AbortSignal) => {
      const leave = await slots.enter(signal)
      // It may have refused somebody else meanwhile.
      const loginHold = this.loginHold(hop)
      if (!loginHold) return leave
      leave()
      throw loginHeld(hop, loginHold.message)
    }
    return { connection: hop, timings: timingsOf(hop), enter }
  }

  /** @throws VosError when something stands in the way that was not there when it was accepted */
  #checkTurn({ id, type, service, after }: Operation, connection: Connection): void {
    if (after === undefined) return this.checkHold(connection)
    const despiteLoginHold = this.#despiteLoginHold.get(id) === this.loginHold(connection)?.operationId
    const request = { operationType: type, ...(service !== null && { service }), despiteLoginHold, operationId: id }
    const obstacle = this.#obstacle(request, connection)
    if (obstacle) throw VosError.fromInfo(obstacle)
  }

  /** Looks once, as soon as it can be late, and again when that was too early: the clock may have been set meanwhile. */
  #watchLate({ id }: Operation): void {
    const operation = this.#board.get(id)
    if (!operation?.usual || !this.#running.has(id) || this.#lateTimers.has(id) || operation.lateAt !== undefined)
      return
    if (operation.beganAt === null || operation.usual.runs < RUNS_BEFORE_ESTIMATE || isSettled(operation)) return
    const { p90Ms } = operation.usual
    const elapsed = (one: Operation) => {
      const now = this.#now()
      return progressAt(one, now - this.#clockStep(one, now)).elapsedMs
    }
    const look = () => {
      this.#lateTimers.delete(id)
      const current = this.#board.get(id)
      if (!current || isSettled(current)) return
      if (elapsed(current) <= p90Ms) return this.#watchLate(current)
      try {
        this.#record(current, { type: 'late', usualMs: p90Ms })
      } catch (error) {
        // Nothing depends on it, and a disk that fails has been reported.
        this.#log(`${id}: cannot be called late: ${String(error)}`)
      }
    }
    this.#lateTimers.set(id, setTimeout(look, p90Ms - elapsed(operation) + 1).unref())
  }

  #forgetLate(id: string): void {
    clearTimeout(this.#lateTimers.get(id))
    this.#lateTimers.delete(id)
  }

  /**
   * Writes an event, then tells the watchers. It follows on the newest state of the operation, which may have become late
   * since its recipe heard of it.
   */
  #record(known: Operation, event: OperationEvent, connection?: Connection, error?: unknown): Operation {
    const operation = this.#board.get(known.id) ?? known
    // A device may send back what it was given.
    event = maskedIn(event)
    if ((event.type === 'line' || event.type === 'repeated') && this.#isFull(operation, event)) return operation
    if (event.type === 'pinned' && this.#isPinned(operation, event.hostKey)) return operation
    const at = this.#now()
    const { operations } = this.#store
    const results = this.#store.write(() => {
      const written: Recorded[] = []
      const left = this.#lines.get(operation.id)
      let before = operation
      if (left && left.left > 0) {
        const { left: lines, lastLine, lastState } = left
        const gap = { type: 'gap', lines, lastLine, ...(lastState === undefined ? {} : { lastState }) } as const
        const one = operations.append(before, gap, at)
        written.push(one)
        before = one.operation
      }
      const byMs = this.#clockMoved(operation, at)
      if (byMs !== 0) {
        const one = operations.append(before, { type: 'clock', byMs }, at)
        written.push(one)
        before = one.operation
      }
      const subject = this.#board.get(operation.subject ?? '')
      // With the ending of the look, or not at all; not when somebody has accepted the outcome meanwhile.
      if (event.type === 'settled' && event.proves && subject && needsAcknowledgement(subject)) {
        const by = operation.createdBy
        written.push(operations.append(subject, { ...event.proves, type: 'verified', by, look: operation.id }, at))
      }
      // With the event, and before anybody hears of it: from here on every login sees this key or makes none.
      if (event.type === 'pinned') this.#store.connections.pin(operation.connection.id, event.hostKey)
      const result = operations.append(before, event, at)
      written.push(result)
      this.#keepLoginHold(before, event, at, connection?.username, error)
      if (connection && isLesson(result.operation)) operations.learn(result.operation, connection.platform)
      const shown = servicesIn(event)
      if (shown.length > 0) this.#store.connections.seeServices(operation.connection.id, shown, at)
      return written
    })
    const lines = this.#lines.get(operation.id)
    if (lines) lines.left = 0
    for (const one of results) this.#publish(one)
    return results.at(-1)?.operation ?? operation
  }

  /**
   * Has somebody pinned a key since this operation read that none was? Of two first sights the first one counts.
   * @throws VosError `host_key_changed` when that is another key
   */
  #isPinned(operation: Operation, shown: HostKey): boolean {
    const connection = this.#store.connections.get(operation.connection.id)
    // What this device had pinned before its connection was moved there again is no news.
    const known = connection.hostKey ?? this.#store.connections.formerPin(deviceKey(connection))
    if (known && !isSameHostKey(known, shown)) throw hostKeyChanged(connection, known, shown)
    return connection.hostKey !== null
  }

  #clockMoved(operation: Operation, wall: number): number {
    if (isSettled(operation)) return 0
    const byMs = this.#clockStep(operation, wall)
    this.#clocks.set(operation.id, { wall, monotonic: this.#monotonic?.() ?? 0 })
    return byMs
  }

  /** How much further the wall clock went than time did, since the last event; 0 when they agree. */
  #clockStep(operation: Operation, wall: number): number {
    const before = this.#clocks.get(operation.id)
    const monotonic = this.#monotonic?.() ?? 0
    // Of the time between two daemons only that it cannot run backwards is known.
    const lastAt = Math.max(operation.phaseStartedAt, operation.lastDeviceAt ?? 0)
    const byMs =
      before && this.#monotonic ? wall - before.wall - (monotonic - before.monotonic) : Math.min(0, wall - lastAt)
    return Math.abs(byMs) > CLOCK_STEP_MS ? Math.round(byMs) : 0
  }

  /**
   * The attempt is a hold from before it is made until the device has accepted it. Whatever else ends it leaves the hold,
   * unless it is certain that nothing was attempted: then the one that stood before comes back. A login that was accepted
   * leaves one too, when the shell behind it asks for a new password.
   */
  #keepLoginHold(before: Operation, event: OperationEvent, at: number, username?: string, error?: unknown): void {
    const { operations } = this.#store
    const attempt = event.type === 'authenticating' ? event : before.authenticating
    const device = attempt?.hop?.device ?? before.device
    username = attempt?.username ?? username
    // After the intent an ending has another code than what it ended by.
    const cause = error instanceof UnreadError ? 'no_credential' : error instanceof VosError ? error.code : undefined
    const ending = event.type === 'settled' ? (cause ?? event.error?.code) : undefined
    if (event.type === 'settled' && ending === 'password_expired' && username !== undefined) {
      operations.setLoginHold(device, username, { since: at, operationId: before.id, message: event.message })
      return
    }
    if (!attempt || username === undefined) return
    if (event.type === 'authenticating') {
      const hold = operations.loginHold(device, username)
      if (hold) this.#holdBefore.set(before.id, hold)
      else this.#holdBefore.delete(before.id)
      operations.setLoginHold(device, username, { since: at, operationId: before.id, message: NO_ANSWER })
      return
    }
    if (event.type === 'authenticated') return operations.clearLoginHold(device, username)
    // A recipe begins to look anew only when the link was gone before the attempt.
    const code = event.type === 'settled' ? ending : event.type === 'reconciling' ? 'connection_lost' : null
    if (code === null) return
    const hold = this.#holdBefore.get(before.id)
    if (code !== undefined && NOT_ATTEMPTED.includes(code)) {
      return hold ? operations.setLoginHold(device, username, hold) : operations.clearLoginHold(device, username)
    }
    // What ended the work in the middle of the attempt says nothing about the attempt.
    const isBrokenOff = event.type !== 'settled' || event.status === 'cancelled' || event.status === 'interrupted'
    const message = isBrokenOff ? NO_ANSWER : event.message
    operations.setLoginHold(device, username, { since: at, operationId: before.id, message })
  }

  #isFull(operation: Operation, event: Extract<OperationEvent, { type: 'line' | 'repeated' }>): boolean {
    const lines = this.#lines.get(operation.id) ?? { kept: 0, left: 0, lastLine: operation.lastLine ?? '' }
    this.#lines.set(operation.id, lines)
    if (lines.kept < MAX_LINES) {
      lines.kept++
      return false
    }
    lines.left++
    if (event.type === 'line') {
      lines.lastLine = event.text
      if (event.state !== undefined) lines.lastState = event.state
    }
    return true
  }

  #publish({ recorded, operation }: Recorded): void {
    this.#board.set(operation.id, operation)
    if (isSettled(operation)) {
      this.#lines.delete(operation.id)
      this.#clocks.delete(operation.id)
      this.#holdBefore.delete(operation.id)
      this.#despiteLoginHold.delete(operation.id)
      this.#ownRecipes.delete(operation.id)
      this.#lent.end(operation.id)
      this.#forgetLate(operation.id)
      this.#sweep ??= this.#sweepIn(BOARD_MS)
    }
    for (const listener of this.#listeners) listener(recorded, operation)
    this.#watchLate(operation)
    if (recorded.event.type === 'settled')
      this.#schedule(
        this.board()
          .filter(({ after }) => after === operation.id)
          .map(({ id }) => id),
      )
  }

  /** Leaves the board as it is from now on. */
  stopSweeping(): void {
    clearTimeout(this.#sweep)
  }

  /** Moves what has been on the board long enough into history, and what has been in history long enough out of it. */
  #sweepNow(): void {
    clearTimeout(this.#sweep)
    const now = this.#now()
    const ended = this.board().filter((operation) => isSettled(operation) && !needsAcknowledgement(operation))
    // One whose session is still being closed stays: its batch has not heard yet how it ended.
    const ripe = ended.filter((one) => Math.abs(now - endedAt(one)) >= BOARD_MS && !this.#running.has(one.id))
    this.#store.write(() => {
      for (const { id } of ripe) this.#store.operations.archive(id)
      if (this.#historyMs !== null) this.#store.operations.prune(this.#historyMs)
    })
    for (const { id } of ripe) this.#board.delete(id)
    const waits = ended.filter((operation) => !ripe.includes(operation)).map((one) => endedAt(one) + BOARD_MS - now)
    this.#sweep = waits.length > 0 ? this.#sweepIn(Math.max(1000, Math.min(...waits))) : undefined
  }

  #sweepIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#sweepNow(), ms).unref()
  }
}

interface RememberedResult {
  readonly ids: readonly string[]
  readonly attached: readonly string[]
  readonly skipped: StartResult['skipped']
  readonly batch: string | null
  /** The digest of the request itself. */
  readonly asked?: string
}

function digest(request: StartRequest): string {
  const text = JSON.stringify(request, Object.keys(request).toSorted())
  return createHash('sha256').update(text).digest('base64url')
}

export function timingsOf(connection: Connection): Timings {
  return { ...DEFAULT_TIMINGS, ...connection.timings }
}

/** The services that the device has named in an event. */
function servicesIn(event: OperationEvent): readonly string[] {
  if (event.type === 'listed') return event.services.map(({ name }) => name)
  return event.type === 'resolved' ? [event.service.name, ...event.started] : []
}

/** After an interruption the times tell about the interruption, and after a change of the clock about nothing. */
function isLesson(operation: Operation): boolean {
  return operation.status === 'completed' && operation.reconciliations === 0 && operation.clockMovedMs === undefined
}

function endedAt(operation: Operation): number {
  return operation.verified?.at ?? operation.acknowledged?.at ?? operation.completedAt ?? operation.startedAt
}

/** Is the running operation the one that was asked for? Only then may its verdict stand for it. */
function isSameWork(holder: Operation, request: StartRequest, connection: Connection): boolean {
  const wanted = request.service ?? connection.service
  const isSameService =
    holder.service?.toLowerCase() === wanted?.toLowerCase() && holder.subject === (request.subject ?? null)
  return holder.type === request.operationType && (holder.type === 'ssh_test' || isSameService)
}

function skip({ id, name }: Connection, { id: operation, completedAt }: Operation, why: Skipped['why']): Skipped {
  return { id, name, why, operation, completedAt }
}

function busy(connection: Connection, holder: Operation): Refusal {
  return {
    code: 'already_running',
    message: `${connection.name} is busy. Nothing was sent to it.`,
    hint: `Follow it: vosctl attach ${holder.id}`,
    connection: { id: connection.id, name: connection.name },
    holder,
  }
}

function onHold(name: string, held: string, { since, by, reason }: Hold): VosError {
  const at = new Date(since)
  const when = `${at.toDateString().slice(0, 10)} ${at.toTimeString().slice(0, 5)}`
  const where = held === name ? '' : ` (as ${held}, which is the same device)`
  const why = reason === null ? '' : `: "${reason}"`
  return new VosError('on_hold', `${name} is on hold since ${when} by ${by}${where}${why}. Nothing was sent.`, {
    hint: `When hands need not be kept off any more: vosctl release ${held}`,
  })
}

function loginHeld(connection: Connection, why: string): VosError {
  return new VosError(
    'login_held',
    `${connection.name} is held: the login of ${connection.username} did not work (${why}). Nothing was sent.`,
    {
      hint:
        connection.credential.type === 'key'
          ? `Name the right key (vosctl connections edit ${connection.name} --key <path>), or try it: vosctl credentials test ${connection.name}`
          : connection.credential.type === 'sealed' || connection.credential.type === 'none'
            ? `Set the right password: vosctl credentials set ${connection.name}`
            : `When its ${connection.credential.type} gives the right one, try it: vosctl credentials test ${connection.name}`,
    },
  )
}

/** Two targets that are one device would run into each other. */
function refuseTwins(connections: readonly Connection[]): void {
  const seen = new Map<string, Connection>()
  for (const connection of connections) {
    const twin = seen.get(deviceKey(connection))
    if (twin) {
      const what =
        twin.id === connection.id ? 'is named twice' : `and ${twin.name} are the same device (${deviceKey(connection)})`
      throw new VosError('bad_request', `${connection.name} ${what}. Nothing was started.`, { hint: 'Name it once.' })
    }
    seen.set(deviceKey(connection), connection)
  }
}
