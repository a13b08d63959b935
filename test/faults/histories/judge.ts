import { isDeepStrictEqual } from 'node:util'
import {
  apply,
  type Operation,
  type OperationEvent,
  type OperationType,
  type RecordedEvent,
} from '../../../src/core/operation.ts'
import type { StartRequest, StartResult } from '../../../src/core/protocol.ts'
import type { SqliteDatabase } from '../../../src/daemon/store/database.ts'
import type { Box } from './box.ts'

/** An operation as the judge knows it: from the journal, the devices and what people were told. */
export interface Known {
  readonly id: string
  readonly accepted: Extract<OperationEvent, { type: 'accepted' }>
  readonly box: Box
  readonly request: StartRequest | null
  /** Its place in the journal. */
  readonly place: number
  seq: number
  last: OperationEvent['type']
  began: boolean
  /** The attempts that were announced, and those that arrived. */
  announced: number
  attempts: number
  wasRefused: boolean
  intended: boolean
  commands: number
  ending: Extract<OperationEvent, { type: 'settled' }> | null
  acknowledged: boolean
  /** Somebody was told that it is cancelled. */
  cancelled: boolean
  /** The events as core folds them, to be compared with the row. */
  folded: Operation | null
}

/** What is known of the login at a box, where all connections use the same user. */
interface Login {
  /** It did not work, or nobody knows, and no person has acted since; `maybe`: nothing arrived, and the daemon may be careful. */
  held: 'no' | 'maybe' | 'yes'
  /** The length of the journal when it was last found not to work: who asked earlier did not know of it. */
  since: number
  /** The attempt that waits for its answer. */
  trying: Known | null
  arrived: boolean
}

type JournalRow = Omit<RecordedEvent, 'event'> & { readonly event: string }

/**
 * What vosctl promises, decided from three witnesses: the journal as it is on disk, the boxes, and the answers that people
 * got. It takes no word of the manager for granted and uses none of its code; only the fold of the events is compared with
 * core's `apply`, because that is the promise: a row is the fold of its events.
 */
export class Judge {
  readonly known: Known[] = []
  /** All events in the order of the journal. */
  readonly journal: RecordedEvent[] = []
  /** What came back for each request that was answered. */
  readonly answered = new Map<string, readonly string[]>()
  /** The request that is being made. */
  asking: StartRequest | null = null
  readonly #boxOf: (connectionId: number) => Box
  readonly #byId = new Map<string, Known>()
  readonly #login = new Map<Box, Login>()
  #db: SqliteDatabase | null = null
  #broken: string | null = null

  constructor(boxOf: (connectionId: number) => Box) {
    this.#boxOf = boxOf
  }

  /** The first promise that was broken is what a history fails with. */
  verdict(): void {
    if (this.#broken !== null) throw new Error(this.#broken)
  }

  /** Must hold; inside the manager an error would be caught, so it is kept until the step is over. */
  expect(isKept: boolean, broken: string): void {
    if (!isKept) this.#broken ??= broken
  }

  /** A daemon lives on this disk from now on. */
  open(db: SqliteDatabase): void {
    this.#db = db
    const seen = this.journal.length
    const kept = db
      .prepare<[number], number>('SELECT count(*) FROM operation_events WHERE cursor <= ?')
      .pluck()
      .get(this.journal.at(-1)?.cursor ?? 0)
    this.expect(kept === seen, `2: the journal had ${seen} events, after the restart ${kept} of them are left`)
    this.read()
    this.keepsAll()
  }

  /** Reads what is new in the journal, and checks each event against everything that is known. */
  read(): void {
    const db = this.#db
    if (!db) return
    this.expect(!db.inTransaction, '3: something was told or sent before the commit')
    const rows = db
      .prepare<[number], JournalRow>(
        'SELECT cursor, operation_id AS operationId, seq, at, event FROM operation_events WHERE cursor > ? ORDER BY cursor',
      )
      .all(this.journal.at(-1)?.cursor ?? 0)
    const touched = new Set<Known>()
    for (const row of rows) {
      const recorded: RecordedEvent = { ...row, event: JSON.parse(row.event) as OperationEvent }
      this.journal.push(recorded)
      const one = this.#take(recorded)
      if (one) touched.add(one)
    }
    for (const one of touched) this.#compareRow(one)
  }

  /** Told to the watchers: must be on disk by then, and be what is there. */
  told(recorded: RecordedEvent): void {
    this.read()
    const written = this.journal.findLast(({ cursor }) => cursor === recorded.cursor)
    this.expect(
      isDeepStrictEqual(written, JSON.parse(JSON.stringify(recorded))),
      `3: ${this.name(recorded.operationId)}: ${recorded.event.type} was told and is not in the journal`,
    )
  }

  /** Nothing that was ever accepted is lost, and nothing is in two places. */
  keepsAll(): void {
    for (const one of this.known) this.#compareRow(one)
  }

  find(id: string): Known | undefined {
    return this.#byId.get(id)
  }

  /** A name that is the same in every run of a history. */
  name(id: string): string {
    const index = this.known.findIndex((one) => one.id === id)
    return index === -1 ? id : `operation ${index + 1}`
  }

  /** The operation that has the box; whoever was queued after it was accepted later. */
  active(box: Box, type: OperationType): Known | undefined {
    return this.#inLine(box, type)[0]
  }

  #inLine(box: Box, type: OperationType): readonly Known[] {
    return this.known.filter(
      (one) => !one.ending && one.box === box && group(one.accepted.operationType) === group(type),
    )
  }

  /** An outcome on this box that nobody knows and nobody has accepted. */
  #openQuestion(box: Box, type: OperationType): Known | undefined {
    return this.known.find(
      (one) =>
        one.box === box &&
        group(one.accepted.operationType) === group(type) &&
        one.ending?.status === 'unknown' &&
        !one.acknowledged,
    )
  }

  /** The operation that the journal has just said to be on its way to this connection. */
  owner(connectionId: number): string | null {
    this.read()
    const last = this.journal.at(-1)
    const isOnItsWay = last?.event.type === 'connecting' || last?.event.type === 'reconciling'
    const one = last && this.#byId.get(last.operationId)
    return isOnItsWay && one?.accepted.connection.id === connectionId ? one.id : null
  }

  /** What is announced is on its way: the announcement must be on disk by then. */
  handedOver(id: string, what: 'authenticating' | 'dispatching'): void {
    this.read()
    const last = this.#byId.get(id)?.last
    this.expect(last === what, `3: ${this.name(id)} acts, and the journal does not say ${what} but ${last}`)
  }

  /** An attempt to log in has arrived at the device. */
  attempt(box: Box, id: string): void {
    this.read()
    const one = this.#byId.get(id)
    const login = this.#loginOf(box)
    if (!one) return this.expect(false, `3: a login at ${box.name} by ${id}`)
    const name = this.name(id)
    one.attempts++
    this.expect(one.last === 'authenticating', `6: ${name} tried a login and the journal says ${one.last}`)
    this.expect(one.attempts <= one.announced, `6: ${name} tried ${one.attempts} logins and announced ${one.announced}`)
    this.expect(!one.wasRefused, `6: ${name} tried a login again after it was refused`)
    this.expect(!one.ending, `6: ${name} tried a login after it had ended`)
    this.expect(
      login.held !== 'yes' || (one.request?.despiteLoginHold === true && login.since < one.place),
      `6: ${name} tried a login on ${box.name} that had not worked before, and no person had acted`,
    )
    login.arrived = true
    if (!box.acceptsPassword) one.wasRefused = true
  }

  /** The byte that makes the device act has arrived. */
  command(box: Box, id: string): void {
    this.read()
    const one = this.#byId.get(id)
    if (!one) return this.expect(false, `3: a command to ${box.name} by ${id}`)
    const name = this.name(id)
    one.commands++
    this.expect(one.intended, `3: ${name} sent its command and the intent is not in the journal`)
    this.expect(one.commands === 1, `4: ${name} sent its command ${one.commands} times`)
    this.expect(!one.ending, `4: ${name} sent its command after it had ended ${one.ending?.status}`)
    this.expect(!one.cancelled, `5: ${name} sent its command after somebody was told that it is cancelled`)
    this.expect(one.accepted.operationType === 'service_restart', `4: ${name} is a test and sent a command`)
    this.expect(this.active(box, 'service_restart') === one, `1: ${name} acts on ${box.name} beside another operation`)
    const open = this.#openQuestion(box, 'service_restart')
    this.expect(
      !open,
      `5: ${name} acts on ${box.name} and nobody has accepted the outcome of ${open && this.name(open.id)}`,
    )
  }

  /** A person has set another password: the only thing that frees a login besides a login that worked. */
  personSetPassword(box: Box): void {
    this.#loginOf(box).held = 'no'
  }

  /** What must come of a request, target by target, by what is known now. */
  predict(request: StartRequest): Prediction {
    const known = this.answered.get(request.requestId)
    if (known) return { type: 'known', ids: known }
    const boxes = request.connectionIds.map((id) => this.#boxOf(id))
    if (new Set(boxes).size < boxes.length) return { type: 'twins' }
    const targets = request.connectionIds.map((connection, index): Target => {
      const box = boxes[index] as Box
      const [first, second] = this.#inLine(box, request.operationType)
      const holder = request.ifRunning === 'queue' ? second : first
      if (holder) {
        const isSame = holder.accepted.operationType === 'ssh_test' || serviceOf(holder.accepted) === serviceOf(request)
        if (['attach', 'queue'].includes(request.ifRunning ?? '') && isSame)
          return { connection, may: [`attach ${holder.id}`] }
        return { connection, may: [request.ifRunning === 'skip' ? 'skip' : 'already_running'] }
      }
      const login = this.#loginOf(box)
      const isUnknown = this.#openQuestion(box, request.operationType) !== undefined
      const otherwise = isUnknown && !request.despiteUnknown ? 'unacknowledged' : 'start'
      if (request.despiteLoginHold || (login.held === 'no' && !login.trying)) return { connection, may: [otherwise] }
      if (login.held === 'yes' && !login.trying) return { connection, may: ['login_held'] }
      return { connection, may: [otherwise, 'login_held'] }
    })
    return { type: 'targets', targets }
  }

  /** A person got an answer: from now on it must never be lost. */
  promised(request: StartRequest, { operations }: StartResult): void {
    const ids = operations.map(({ id }) => id)
    for (const id of ids) this.expect(this.#byId.has(id), `2: ${this.name(id)} was acknowledged before it was on disk`)
    this.answered.set(request.requestId, ids)
  }

  #take(recorded: RecordedEvent): Known | null {
    const { operationId: id, seq, event } = recorded
    if (event.type === 'accepted') return this.#accept(recorded, event)
    const one = this.#byId.get(id)
    if (!one) {
      this.expect(false, `14: the journal begins with ${event.type} for ${id}`)
      return null
    }
    const name = this.name(id)
    this.expect(seq === one.seq + 1, `14: ${name}: event ${seq} follows event ${one.seq}`)
    this.expect(!one.ending || event.type === 'acknowledged', `5: ${name} has ended and then says ${event.type}`)
    one.seq = seq
    one.last = event.type
    const login = this.#loginOf(one.box)
    switch (event.type) {
      case 'connecting':
        one.began = true
        this.#checkBatch(one)
        this.expect(
          this.active(one.box, one.accepted.operationType) === one,
          `1: ${name} begins on ${one.box.name} beside another operation`,
        )
        break
      case 'authenticating':
        one.announced++
        this.expect(!login.trying, `6: ${name} announces a login while another one waits for its answer`)
        login.trying = one
        login.arrived = false
        break
      case 'authenticated':
        this.expect(login.trying === one && login.arrived && !one.wasRefused, `6: ${name} says that its login worked`)
        login.held = 'no'
        login.trying = null
        break
      case 'dispatching':
        this.expect(!one.intended, `4: ${name} has two intents`)
        one.intended = true
        break
      case 'reconciling':
        this.expect(one.intended, `5: ${name} looks at the device and had sent nothing`)
        if (login.trying === one) this.#attemptIsOver(login, event)
        break
      case 'settled':
        one.ending = event
        this.#checkEnding(one)
        if (login.trying === one) this.#attemptIsOver(login, event)
        break
      case 'acknowledged':
        this.expect(one.ending?.status === 'unknown' && !one.acknowledged, `5: ${name} needed no acknowledgement`)
        one.acknowledged = true
        break
      default:
    }
    this.#fold(one, recorded)
    return one
  }

  #accept(recorded: RecordedEvent, accepted: Known['accepted']): Known {
    const box = this.#boxOf(accepted.connection.id)
    const [other, waiting] = this.#inLine(box, accepted.operationType)
    const isQueued = accepted.after !== undefined && this.asking?.ifRunning === 'queue'
    this.expect(
      isQueued ? other?.id === accepted.after && !waiting : !other,
      `1: an operation was accepted on ${box.name} while ${other && this.name(other.id)} is active`,
    )
    this.expect(this.asking !== null, '4: an operation was accepted that nobody asked for')
    this.expect(this.asking?.dryRun !== true, '4: a dry run has accepted an operation')
    const one: Known = {
      id: recorded.operationId,
      accepted,
      box,
      request: this.asking,
      place: this.journal.length,
      seq: recorded.seq,
      last: 'accepted',
      began: false,
      announced: 0,
      attempts: 0,
      wasRefused: false,
      intended: false,
      commands: 0,
      ending: null,
      acknowledged: false,
      cancelled: false,
      folded: null,
    }
    this.expect(recorded.seq === 1, `14: an operation begins with event ${recorded.seq}`)
    this.expect(!this.#byId.has(one.id), '14: an id was given twice')
    this.known.push(one)
    this.#byId.set(one.id, one)
    this.#fold(one, recorded)
    return one
  }

  #checkBatch(one: Known): void {
    const { batch } = one.accepted
    if (!batch) return
    const others = this.known.filter((other) => other !== one && other.accepted.batch?.id === batch.id)
    // One that a person took out before it began says nothing about the others.
    const bad = others.find(
      ({ ending, began }) => ending && ending.status !== 'completed' && !(ending.status === 'cancelled' && !began),
    )
    this.expect(!bad, `5: ${this.name(one.id)} began after ${bad && this.name(bad.id)} of its batch went wrong`)
    const atOnce = others.filter(({ began, ending }) => began && !ending).length + 1
    const parallel = one.request?.parallel ?? 1
    this.expect(atOnce <= parallel, `5: ${atOnce} operations of a batch run at once, ${parallel} were asked for`)
  }

  /** Every ending against what the device really did. */
  #checkEnding(one: Known): void {
    const { ending, box, accepted, commands } = one
    if (!ending) return
    const name = `${this.name(one.id)} ended ${ending.status} (${ending.error?.code ?? 'no error'})`
    const command = box.commands.find(({ operation }) => operation === one.id)
    const service = one.folded?.service ?? ''
    const isTest = accepted.operationType === 'ssh_test'
    switch (ending.status) {
      case 'completed':
        if (isTest) this.expect(one.attempts > 0 && !one.wasRefused, `5: ${name} and never logged in`)
        else this.expect(command?.restarted === true, `5: ${name} and the device did not restart the service`)
        break
      case 'failed':
        if (ending.error?.code === 'service_down') {
          this.expect(box.state(service) === 'STOPPED', `5: ${name} and the service is ${box.state(service)}`)
        } else if (ending.error?.code === 'refused_by_device') {
          this.expect(command?.temper === 'refuses', `5: ${name} and the device did not refuse`)
        } else this.expect(commands === 0, `5: ${name} and the device got the command`)
        break
      case 'cancelled':
      case 'interrupted':
        this.expect(commands === 0, `5: ${name} and the device got the command`)
        break
      case 'unknown':
        this.expect(one.intended, `5: ${name} and there was no intent`)
        break
      default:
        ending.status satisfies never
    }
    this.expect(!one.cancelled || commands === 0, `5: ${name} and somebody was told that it is cancelled`)
  }

  /** The attempt got no answer, or a bad one. */
  #attemptIsOver(login: Login, event: OperationEvent): void {
    const code = event.type === 'settled' ? event.error?.code : 'connection_lost'
    if (login.arrived) {
      login.held = 'yes'
      login.since = this.journal.length
    }
    // Where nothing arrived the daemon may be sure of it, and then nothing has changed; or not, then it must be careful.
    else if (login.held === 'no' && code !== 'connection_lost' && code !== 'no_credential') login.held = 'maybe'
    login.trying = null
  }

  #fold(one: Known, recorded: RecordedEvent): void {
    const before = one.folded?.progress ?? 0
    try {
      one.folded = apply(one.folded, recorded)
    } catch (error) {
      return this.expect(false, `14: ${this.name(one.id)} cannot be folded: ${String(error)}`)
    }
    const { progress } = one.folded
    this.expect(progress >= before, `14: the progress of ${this.name(one.id)} fell from ${before} to ${progress}`)
  }

  #compareRow(one: Known): void {
    const rows = this.#db
      ?.prepare<[string, string], { metadata: string; status: string; progress: number }>(
        `SELECT metadata, status, progress FROM active_operations WHERE id = ?
         UNION ALL SELECT metadata, status, progress FROM operation_history WHERE id = ?`,
      )
      .all(one.id, one.id)
    const [row] = rows ?? []
    const name = this.name(one.id)
    if (!row || rows?.length !== 1) return this.expect(false, `2: ${name} is on disk ${rows?.length} times`)
    const folded: unknown = JSON.parse(JSON.stringify(one.folded))
    this.expect(isDeepStrictEqual(JSON.parse(row.metadata), folded), `5: the row of ${name} is not what its events say`)
    const { status, progress } = one.folded ?? {}
    this.expect(
      row.status === status && row.progress === progress,
      `5: the columns of ${name} are not what its row says`,
    )
  }

  #loginOf(box: Box): Login {
    const login: Login = this.#login.get(box) ?? { held: 'no', since: 0, trying: null, arrived: false }
    this.#login.set(box, login)
    return login
  }
}

/** What may come of one target: `start`, `skip`, `attach <id>`, or the code of a refusal. */
export interface Target {
  readonly connection: number
  readonly may: readonly string[]
}

export type Prediction =
  | { readonly type: 'known'; readonly ids: readonly string[] }
  | { readonly type: 'twins' }
  | { readonly type: 'targets'; readonly targets: readonly Target[] }

function group(type: OperationType): 'test' | 'change' {
  return type === 'ssh_test' ? 'test' : 'change'
}

function serviceOf({ service }: { readonly service?: string | null }): string {
  return (service ?? 'Cisco Tomcat').toLowerCase()
}
