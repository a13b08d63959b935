import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import Database from 'better-sqlite3'
import type { Connection } from '../../../src/core/connection.ts'
import type { Device } from '../../../src/core/device.ts'
import { maybeSent, type Operation } from '../../../src/core/operation.ts'
import type { DeviceRequest } from '../../../src/daemon/devices/device-request.ts'
import { prepareStateDirectory, statePaths, type StatePaths } from '../../../src/daemon/lifecycle.ts'
import { Manager } from '../../../src/daemon/manager.ts'
import { loadSealingKey, unsealPassword } from '../../../src/daemon/ssh/credentials.ts'
import { openDatabase } from '../../../src/daemon/store/database.ts'
import { MIGRATIONS } from '../../../src/daemon/store/migrations.ts'
import { Store } from '../../../src/daemon/store/store.ts'
import { checkJournal, readHouse, type House } from '../check.ts'
import type { Recording, Tree } from './recording.ts'
import type { KnownConnection, Told } from './told.ts'

/** Where a database's header holds the version of its schema. */
const USER_VERSION = 60

/** How much of what the world knows of a connection was known for sure when the power was cut. */
export interface Heard {
  readonly count: number
  /** What it heard until the end of the run: a change may be on disk before anybody hears of it. */
  readonly states: readonly KnownConnection[]
}

/**
 * Starts on an image what a daemon starts on, and compares it with what the world had been told.
 * @param alsoRecover whether a manager takes up the work that it finds
 * @returns every broken promise, a sentence each
 */
export async function judge(
  root: string,
  { journal, before }: Recording,
  told: Told,
  heard: ReadonlyMap<number, Heard>,
  alsoRecover: boolean,
): Promise<string[]> {
  const paths = statePaths(path.join(root, 'state'))
  const broken: string[] = []
  try {
    prepareStateDirectory(paths)
    const db = openDatabase(paths.database)
    const store = new Store(db, () => undefined)
    try {
      const integrity = db.pragma('integrity_check(1)', { simple: true })
      if (integrity !== 'ok') broken.push(`the database is damaged: ${String(integrity)}`)
      const { bad } = await store.verify([], setImmediate)
      if (bad) broken.push(`14: ${bad.row} in ${bad.table} ${bad.what}`)
      broken.push(...checkConnections(store.connections.list(), heard))
      broken.push(...(await checkPasswords(store, path.join(root, 'config', 'key'))))
    } finally {
      store.close()
    }
    broken.push(...checkBackup(paths, before))
    const house = readHouse(paths.database)
    broken.push(...checkJournal(house), ...checkTold(house, journal, told), ...checkLoginHolds(house))
    if (alsoRecover) broken.push(...(await checkRecovery(paths.database, house.operations, journal.at(-1)?.at ?? 0)))
  } catch (error) {
    broken.push(`no daemon would start: ${String(error)}`)
  }
  return broken
}

/** Promises 2, 3 and 6: the journal ends where it may, and until there it is what it was. */
function checkTold({ events }: House, journal: Recording['journal'], { cursor, why }: Told): string[] {
  const kept = [...events.values()].flat().toSorted((a, b) => a.cursor - b.cursor)
  const last = kept.at(-1)?.cursor ?? 0
  if (!isDeepStrictEqual(kept, journal.slice(0, kept.length))) return ['14: the journal is not what was written']
  return last < cursor ? [`${why}: event ${cursor} of the journal, which ends at ${last}`] : []
}

/** Whoever finds the database of an older vosctl changed finds it as it was, too. */
function checkBackup({ directory, database }: StatePaths, before: Tree): string[] {
  const state = before.get('state')
  const found = state instanceof Map ? state.get(path.basename(database)) : undefined
  const version = Buffer.isBuffer(found) ? found.readUInt32BE(USER_VERSION) : MIGRATIONS.length
  if (version === MIGRATIONS.length) return []
  const backups = readdirSync(directory).filter((name) => name.includes('.before-'))
  const isWhole = backups.some((name) => {
    const db = new Database(path.join(directory, name), { readonly: true })
    try {
      const says = (pragma: string) => db.pragma(pragma, { simple: true })
      return says('user_version') === version && says('integrity_check') === 'ok'
    } catch {
      return false
    } finally {
      db.close()
    }
  })
  return isWhole ? [] : ['the database was upgraded, and there is no backup of it']
}

/** Promise 6: an attempt whose answer is not on disk, or was a no, holds the login. */
function checkLoginHolds({ operations, loginHolds }: House): string[] {
  return operations
    .filter(({ authenticating, error }) => authenticating !== null || error?.code === 'login_refused')
    .filter(({ device }) => !loginHolds.some((hold) => hold.device === device))
    .map(({ id, device }) => `6: ${id} may have tried to log in to ${device}, and no hold stands`)
}

function checkConnections(connections: readonly Connection[], heard: ReadonlyMap<number, Heard>): string[] {
  return [...heard].flatMap(([id, { count, states }]) => {
    const found = connections.find((connection) => connection.id === id)
    if (count === 0 || states.slice(count - 1).some((state) => isSame(found, state))) return []
    return [`2: connection ${id} is ${JSON.stringify(found)}, a client was told ${JSON.stringify(states[count - 1])}`]
  })
}

function isSame(found: Connection | undefined, known: KnownConnection): boolean {
  if (!found || !known) return !found && !known
  return Object.entries(found).every(([key, value]) => isDeepStrictEqual(value, known[key as keyof Connection]))
}

async function checkPasswords(store: Store, keyFile: string): Promise<string[]> {
  const sealed = store.connections.list().filter(({ credential }) => credential.type === 'sealed')
  if (sealed.length === 0) return []
  if (!existsSync(keyFile)) return ['2: passwords are sealed, and their key is lost']
  const key = await loadSealingKey(keyFile)
  return sealed.flatMap(({ id, name, host, port, username }) => {
    const bytes = store.connections.sealedPassword(id) ?? Buffer.alloc(0)
    try {
      unsealPassword(key, bytes, { connectionId: id, host, port, username })
      return []
    } catch (error) {
      return [`2: the password of ${name} cannot be unsealed: ${String(error)}`]
    }
  })
}

/** Promises 2, 4 and 5: all that is found is taken up, none of it is sent, and none of it is lost. */
async function checkRecovery(database: string, found: readonly Operation[], now: number): Promise<string[]> {
  const broken: string[] = []
  const store = new Store(openDatabase(database), () => undefined)
  try {
    const openDevice = ({ connection: { name }, signal }: DeviceRequest): Device =>
      unreachable(signal, () => broken.push(`4: ${name} is sent a command by the recovery`))
    const manager = new Manager({ store, openDevice, now: () => now, log: () => undefined })
    manager.recover()
    await manager.drain(AbortSignal.abort())
    manager.stopSweeping()
    for (const operation of found) {
      const { id, phase, status } = manager.find(operation.id) ?? {}
      if (id === undefined) broken.push(`2: ${operation.id} is lost by the recovery`)
      if (operation.phase === 'settled' || status === undefined) continue
      const isTrue = maybeSent(operation)
        ? phase !== 'settled' || status === 'unknown'
        : status === 'interrupted' || status === 'cancelled'
      if (!isTrue) broken.push(`5: ${id} was ${operation.phase}, and the recovery calls it ${status}`)
    }
  } finally {
    store.close()
  }
  return [...broken, ...checkJournal(readHouse(database))]
}

/** Does not answer, for as long as anybody waits. */
function unreachable(signal: AbortSignal, onCommand: () => void): Device {
  const never = (): Promise<never> => {
    const { promise, reject } = Promise.withResolvers<never>()
    const end = () => reject(signal.reason as Error)
    if (signal.aborted) end()
    signal.addEventListener('abort', end)
    return promise
  }
  return {
    connect: never,
    authenticate: never,
    open: never,
    services: never,
    prepare: never,
    arm: () => undefined,
    // Nobody comes so far without a connection.
    // oxlint-disable-next-line require-yield
    async *commit() {
      onCommand()
      await never()
    },
    // oxlint-disable-next-line require-yield
    async *follow() {
      await never()
    },
    close: async () => undefined,
  }
}
