import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { deviceKey } from '../../../src/core/connection.ts'
import type { Device } from '../../../src/core/device.ts'
import type { Operation, OperationEvent, Status } from '../../../src/core/operation.ts'
import { openDatabase } from '../../../src/daemon/store/database.ts'
import { Store } from '../../../src/daemon/store/store.ts'
import { ACCEPTED, FACTS, TOMCAT } from '../../helpers/operations.ts'

/** When the daemon before this one died, and when the next one starts: too late to begin anything anew. */
export const DIED_AT = 1_760_000_000_000
export const STARTS_AT = DIED_AT + 10 * 60_000

/** The files of one house, as they are found while no daemon runs. */
export interface Files {
  readonly db: Buffer
  readonly wal: Buffer | null
}

/** How an operation may read after the next start, whatever happens to the files. */
export type Truth = ReadonlyMap<string, readonly Status[]>

const READY: readonly OperationEvent[] = [
  { type: 'connecting' },
  { type: 'authenticating', username: 'admin', method: 'password' },
  { type: 'authenticated' },
  { type: 'ready', facts: FACTS },
  { type: 'resolved', service: TOMCAT, started: ['Cisco Tomcat', 'Cisco Tftp'], listed: 2 },
]
const SENT: readonly OperationEvent[] = [
  ...READY,
  { type: 'dispatching', command: 'utils service restart Cisco Tomcat' },
  { type: 'sent' },
]
const MOVED: readonly OperationEvent[] = [
  ...SENT,
  { type: 'line', text: 'Service Manager is running' },
  { type: 'stopping', seenIn: 'output' },
  { type: 'line', text: 'Cisco Tomcat[STOPPING]', state: 'STOPPING' },
]
const COMPLETED: readonly OperationEvent[] = [
  ...MOVED,
  { type: 'settled', status: 'completed', message: '"Cisco Tomcat" restarted, seen STOPPING then STARTED' },
]

const STORIES: readonly { readonly events: readonly OperationEvent[]; readonly ends: readonly Status[] }[] = [
  { events: SENT, ends: ['unknown'] },
  { events: MOVED, ends: ['completed', 'unknown'] },
  { events: READY, ends: ['interrupted'] },
  { events: [], ends: ['interrupted'] },
  { events: SENT.slice(0, -1), ends: ['unknown'] },
  { events: COMPLETED, ends: ['completed'] },
  {
    events: [...SENT, { type: 'settled', status: 'unknown', message: 'outcome unknown: no transition was seen' }],
    ends: ['unknown'],
  },
]

/** How many operations, the last ones, are only in the journal. */
export const IN_JOURNAL = STORIES.length

/**
 * A house in which a daemon was killed in the middle of its work: half of what it wrote is in the database, the other half
 * still in its journal. `letter` begins its operations' ids and tells two houses apart.
 */
export function buildHouse(directory: string, letter: string): { readonly files: Files; readonly truth: Truth } {
  mkdirSync(directory, { recursive: true })
  const file = path.join(directory, 'vosctl.db')
  const truth = new Map<string, readonly Status[]>()
  const fill = (from: number, to: number, archive: boolean, after: () => void = () => undefined): void => {
    const store = new Store(openDatabase(file), fail)
    try {
      for (let index = from; index < to; index++) {
        const id = `r-${letter}${index.toString().padStart(5, '0')}`
        const story = archive ? { events: COMPLETED, ends: ['completed'] as const } : STORIES[index % STORIES.length]
        if (!story) continue
        tellStory(store, id, `${letter}-node-${index}`, `10.${letter.charCodeAt(0)}.0.${index}`, story.events)
        if (archive) store.write(() => store.operations.archive(id))
        truth.set(id, story.ends)
      }
      store.write(() => {
        store.operations.setLoginHold('10.0.0.9:22', 'admin', {
          since: DIED_AT,
          operationId: 'r-x',
          message: 'refused',
        })
        store.operations.rememberRequest(`request-${from}`, DIED_AT, {
          ids: [],
          attached: [],
          skipped: [],
          batch: null,
        })
      })
      after()
    } finally {
      store.close()
    }
  }
  fill(100, 130, true)
  fill(0, STORIES.length, false)
  const found = path.join(directory, 'as-found')
  // A copy taken while the daemon lives is what its death would leave.
  fill(STORIES.length, 2 * STORIES.length, false, () => {
    copyFileSync(file, found)
    copyFileSync(`${file}-wal`, `${found}-wal`)
  })
  return { files: { db: readFileSync(found), wal: readFileSync(`${found}-wal`) }, truth }
}

/** The same house after its daemon has stopped as it should. */
export function stopped(directory: string): Files {
  return { db: readFileSync(path.join(directory, 'vosctl.db')), wal: null }
}

function tellStory(store: Store, id: string, name: string, host: string, events: readonly OperationEvent[]): void {
  let at = DIED_AT - 60_000
  const connection = store.write(() => {
    const { id } = store.connections.add({ name, host, port: 22, username: 'admin', timings: { quietMs: 100 } }, at)
    store.connections.pin(id, FACTS.hostKey)
    return store.connections.setSealedPassword(id, Buffer.from('sealed'))
  })
  let operation: Operation = store.write(
    () =>
      store.operations.insert(
        id,
        {
          ...ACCEPTED,
          connection: { id: connection.id, name },
          device: deviceKey(connection),
        },
        at,
      ).operation,
  )
  for (const event of events) {
    at += 1000
    operation = store.write(() => store.operations.append(operation, event, at).operation)
  }
}

function fail(error: Error): void {
  throw error
}

export function writeFiles(file: string, { db, wal }: Files): void {
  writeFileSync(file, db, { mode: 0o600 })
  if (wal) writeFileSync(`${file}-wal`, wal, { mode: 0o600 })
}

export function readFiles(file: string): Files {
  return { db: readFileSync(file), wal: existsSync(`${file}-wal`) ? readFileSync(`${file}-wal`) : null }
}

/** A device that shows its services, all of them STARTED, and writes down when it is told to act. */
export class WitnessDevice implements Device {
  readonly #told: (what: string) => void

  constructor(told: (what: string) => void) {
    this.#told = told
  }

  connect = async () => ({ username: 'admin', method: 'password' })
  authenticate = async () => undefined
  open = async () => FACTS
  services = async () => [TOMCAT, { ...TOMCAT, name: 'Cisco Tftp' }]
  arm = () => undefined
  close = async () => undefined

  prepare = async (service: string) => {
    this.#told(`type the restart of ${service}`)
    return ''
  }

  commit = () => {
    this.#told('send Enter')
    return Readable.from([])
  }

  async *follow() {
    for (let poll = 0; poll < 10; poll++) yield await this.services()
  }
}
