import { isDeepStrictEqual } from 'node:util'
import Database from 'better-sqlite3'
import { apply, CONFLICT_GROUP, type Operation, type RecordedEvent } from '../../src/core/operation.ts'
import type { Simulator } from '../../src/simulator/index.ts'
import { Hunt, toLines } from '../helpers/hunt.ts'
import { verifyFile } from '../helpers/verify-history.ts'

/** Everything that a stopped daemon has left on disk. */
export interface House {
  readonly operations: readonly Operation[]
  readonly events: ReadonlyMap<string, readonly RecordedEvent[]>
  readonly loginHolds: readonly { readonly device: string; readonly username: string }[]
  /** The database itself refuses a second active operation of a group on a device, whatever the code above it does. */
  readonly refusesTwins: boolean
}

export function readHouse(file: string): House {
  // Not read-only: reading what a killed daemon left in its WAL is a recovery, which writes.
  const db = new Database(file, { fileMustExist: true })
  try {
    const rows = db
      .prepare<[], { metadata: string }>(
        'SELECT metadata FROM active_operations UNION ALL SELECT metadata FROM operation_history',
      )
      .all()
    const events = db
      .prepare<[], Omit<RecordedEvent, 'event'> & { event: string }>(
        'SELECT cursor, operation_id AS operationId, seq, at, event FROM operation_events ORDER BY cursor',
      )
      .all()
      .map((row): RecordedEvent => ({ ...row, event: JSON.parse(row.event) }))
    return {
      operations: rows.map(({ metadata }) => JSON.parse(metadata) as Operation),
      events: Map.groupBy(events, ({ operationId }) => operationId),
      refusesTwins: refusesTwins(db),
      loginHolds: db.prepare<[], House['loginHolds'][number]>('SELECT device, username FROM login_holds').all(),
    }
  } finally {
    db.close()
  }
}

function refusesTwins(db: Database.Database): boolean {
  const insert = db.prepare(
    `INSERT INTO active_operations (id, connection_id, operation_type, started_at, metadata, created_by, phase, seq, conflict_key)
     VALUES (?, 0, '', 0, '{}', '', '', 0, 'twins')`,
  )
  db.exec('BEGIN')
  try {
    insert.run('one')
    insert.run('other')
    return false
  } catch (error) {
    return (error as { code?: unknown }).code === 'SQLITE_CONSTRAINT_UNIQUE'
  } finally {
    db.exec('ROLLBACK')
  }
}

/** What the people and the devices around the house know: the judge of its promises. */
export interface Witnesses {
  readonly devices: readonly Simulator[]
  /** Devices whose host key is not the pinned one: no credential may reach them. */
  readonly strangers?: readonly Simulator[]
  /** Operations that a client was told of. */
  readonly acknowledged: Iterable<string>
  /** Must be in no file of these directories and in none of these texts. */
  readonly secrets?: readonly string[]
  readonly directories?: readonly string[]
  readonly texts?: readonly string[]
}

/** Every promise of the house that its disk and the witnesses show as broken, a sentence each; all work is at an end. */
export async function check(file: string, witnesses: Witnesses): Promise<string[]> {
  const running = readHouse(file).operations.filter(({ phase }) => phase !== 'settled')
  return [
    ...(await checkSoFar(file, witnesses)),
    ...running.map(({ id, phase }) => `5: ${id} has not ended, it is still ${phase}`),
  ]
}

/** What must hold at any moment at which no daemon runs. */
export async function checkSoFar(file: string, witnesses: Witnesses): Promise<string[]> {
  const house = readHouse(file)
  const { bad } = await verifyFile(file)
  return [
    ...(bad ? [`14: ${bad.row} in ${bad.table} ${bad.what}`] : []),
    ...checkJournal(house),
    ...checkKept(house, witnesses.acknowledged),
    ...witnesses.devices.flatMap((device) => checkDevice(house, device)),
    ...(witnesses.strangers ?? [])
      .filter(({ ledger }) => ledger.authAttempts().length > 0)
      .map(({ host, port }) => `7: ${host}:${port} got a credential although its host key had changed`),
    ...checkSecrets(witnesses),
  ]
}

/** Promises 1, 5, 9 and 14: the journal is whole and plain text, it is what the table says, and claims did not overlap. */
export function checkJournal({ operations, events, refusesTwins }: House): string[] {
  const broken: string[] = []
  if (!refusesTwins) broken.push('1: the database takes two active operations of one group on one device')
  const known = new Map(operations.map((operation) => [operation.id, operation]))
  for (const [id, own] of events) {
    const operation = known.get(id)
    if (!operation) {
      broken.push(`2: the journal has events of ${id}, and no table has it`)
      continue
    }
    if (own.some(({ seq }, index) => seq !== index + 1)) broken.push(`14: the events of ${id} have a gap`)
    else {
      const told = replay(own)
      if (!isDeepStrictEqual(told, operation)) {
        const otherwise = typeof told === 'string' ? told : `${told?.status}/${told?.phase}`
        broken.push(`5: ${id} is ${operation.status}/${operation.phase}, its events say ${otherwise}`)
      }
    }
  }
  for (const [id, own] of events) {
    const raw = own.find(({ event }) => textsIn(event).some((text) => NOT_TEXT.test(text)))
    if (raw) broken.push(`9: event ${raw.seq} of ${id} holds more than text: ${JSON.stringify(raw.event)}`)
    const logins = own.filter(({ event }) => event.type === 'connecting').length
    if (logins > 1) broken.push(`5: ${id} was begun ${logins} times`)
  }
  for (const { id } of operations) if (!events.has(id)) broken.push(`14: ${id} has no events`)

  const endOf = (id: string) => events.get(id)?.find(({ event }) => event.type === 'settled')?.cursor ?? Infinity
  // The claim of an operation that was queued begins with the end of the one before it; until then it holds the place in line.
  const spans = operations.flatMap(({ id, device, type, after }) => {
    const own = events.get(id) ?? []
    const key = `${device} ${CONFLICT_GROUP[type]}`
    const [from, to] = [own[0]?.cursor ?? 0, endOf(id)]
    if (after === undefined) return [{ id, key, from, to }]
    const turn = Math.min(endOf(after), to)
    const began = own.find(({ event }) => event.type === 'connecting')?.cursor ?? Infinity
    if (began < turn) broken.push(`1: ${id} began before ${after} had ended, which it was queued after`)
    return [
      { id, key: `${key} queued`, from, to: turn },
      { id, key, from: turn, to },
    ]
  })
  for (const [index, one] of spans.entries()) {
    for (const other of spans.slice(index + 1)) {
      if (one.key !== other.key || one.from >= other.to || other.from >= one.to) continue
      broken.push(`1: ${one.id} and ${other.id} were active on ${one.key} at once`)
    }
  }
  return broken
}

/** What the events make of an operation; a string when the reducer refuses one of them. */
function replay(own: readonly RecordedEvent[]): Operation | null | string {
  try {
    const told = own.reduce<Operation | null>((before, recorded) => apply(before, recorded), null)
    return JSON.parse(JSON.stringify(told))
  } catch (error) {
    return String(error)
  }
}

/** Controls but newline and tab, and what turns or hides text. */
const NOT_TEXT = /[\p{Cc}--[\n\t]]|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/v

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

/** Promise 2. */
export function checkKept({ operations }: House, acknowledged: Iterable<string>): string[] {
  const known = new Set(operations.map(({ id }) => id))
  return [...acknowledged].filter((id) => !known.has(id)).map((id) => `2: ${id} was acknowledged and is lost`)
}

const READ_ONLY = ['utils service list', 'exit', '']

/** Promises 3 to 6 and 10, against what the device itself has written down. */
function checkDevice({ operations, events, loginHolds }: House, simulator: Simulator): string[] {
  const { ledger, host, port, services, username } = simulator
  const device = `${host}:${port}`
  const broken: string[] = []
  const own = operations.filter((operation) => operation.device === device)
  const restarts = ledger.restarts()

  for (const command of ledger.commands()) {
    const name = /^utils service restart (.*)$/.exec(command)?.[1]
    if (READ_ONLY.includes(command) || services.some((service) => service.name === name)) continue
    broken.push(`10: ${device} got ${JSON.stringify(command)}`)
  }
  if (ledger.of('ctrl-c').length > 0) broken.push(`8: ${device} got a Ctrl-C`)

  const intents = own.filter(({ id }) => events.get(id)?.some(({ event }) => event.type === 'dispatching'))
  if (restarts.length > intents.length) {
    broken.push(`3 and 4: ${device} executed ${restarts.length} restarts, and the journal intended ${intents.length}`)
  }
  // Work on one device is done one after the other, so the commands belong to the intents in their order.
  const unsent = own.filter(({ status }) => status === 'interrupted' || status === 'cancelled')
  const mayHaveSent = intents.filter((operation) => !unsent.includes(operation))
  if (restarts.length > mayHaveSent.length) {
    broken.push(`5: ${device} executed ${restarts.length} restarts, and ${mayHaveSent.length} operations admit to one`)
  }
  const completed = own.filter(({ type, status }) => type === 'service_restart' && status === 'completed')
  for (const service of new Set(completed.map((operation) => operation.service ?? ''))) {
    const claimed = completed.filter((operation) => operation.service === service).length
    const states = ledger.states(service).filter((state, index) => state === 'STARTED' && index > 0)
    // A device that was switched on again has started all that it has.
    const back = states.length + ledger.of('power').filter(({ on }) => on).length
    if (claimed > back)
      broken.push(`5: ${claimed} restarts of ${service} on ${device} are claimed, it came back ${back} times`)
  }
  for (const { id, service, completedAt, error } of own) {
    if (error?.code !== 'service_down' || completedAt === null) continue
    const before = ledger.entries.filter(({ at }) => at <= completedAt)
    const last = before.findLast(
      (entry) => entry.type === 'power' || (entry.type === 'state' && entry.service === service),
    )
    if (last?.type === 'state' && last.to !== 'STOPPED') {
      broken.push(`5: ${id} says that ${service} on ${device} is down, and it was ${last.to}`)
    }
  }
  for (const { id, status, error, effect } of own) {
    if (
      status === 'failed' &&
      effect !== 'none' &&
      error?.code !== 'service_down' &&
      error?.code !== 'refused_by_device'
    ) {
      broken.push(`5: ${id} failed after its intent with ${error?.code}`)
    }
  }

  const attempts = ledger.authAttempts()
  const logins = own.flatMap(({ id }) => events.get(id) ?? [])
  const announced = logins.filter(({ event }) => event.type === 'authenticating')
  const answered = logins.filter(({ event }) => event.type === 'authenticated')
  if (attempts.length > announced.length) {
    broken.push(`6: ${attempts.length} attempts to log in to ${device}, ${announced.length} were written down before`)
  }
  const refused = attempts.findIndex(({ accepted }) => !accepted)
  if (refused >= 0 && attempts.length > refused + 1) {
    broken.push(`6: ${attempts.length - refused - 1} attempts to log in to ${device} after it had refused one`)
  }
  if (attempts.length > answered.length + 1) {
    broken.push(`6: ${attempts.length} attempts to log in to ${device}, and ${answered.length} answers came back`)
  }
  const isHeld = loginHolds.some((hold) => hold.device === device && hold.username === username)
  if (attempts.length > answered.length && !isHeld) {
    broken.push(`6: an attempt to log in to ${device} was refused or its answer was lost, and no hold stands`)
  }
  return broken
}

/** Promise 8. */
function checkSecrets({ secrets = [], directories = [], texts = [] }: Witnesses): string[] {
  const hunt = new Hunt()
  for (const secret of secrets) hunt.plant('a password', secret)
  return toLines([
    ...directories.flatMap((directory) => hunt.searchTree(directory)),
    ...texts.flatMap((text) => hunt.search(text, 'what was printed')),
  ]).map((leak) => `8: ${leak}`)
}
