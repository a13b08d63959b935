import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { OperationEvent } from '../../src/core/operation.ts'
import { refuseSecondStore } from '../../src/daemon/lifecycle.ts'
import { disagreement } from '../../src/daemon/store/damage.ts'
import { countConnections, migrate, openDatabase } from '../../src/daemon/store/database.ts'
import { MIGRATIONS } from '../../src/daemon/store/migrations.ts'
import { conflictKey, quantile } from '../../src/daemon/store/operations.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { ACCEPTED, FACTS, UNTIL_DISPATCH } from '../helpers/operations.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

function open(file = path.join(temporaryDirectory(), 'vosctl.db')) {
  const db = openDatabase(file)
  onTestFinished(() => {
    db.close()
  })
  return { db, file }
}

function store(file = path.join(temporaryDirectory(), 'vosctl.db')) {
  const fatal: Error[] = []
  const opened = new Store(openDatabase(file), (error) => fatal.push(error))
  onTestFinished(() => opened.close())
  return { store: opened, fatal, file }
}

const CUCM = { name: 'cucm-pub', host: '10.10.0.10', username: 'admin' }

describe('the database file', () => {
  it('is written through to the disk, and for its owner alone', () => {
    const { db, file } = open()
    const pragma = (name: string) => db.pragma(name, { simple: true })
    expect([pragma('journal_mode'), pragma('synchronous'), pragma('locking_mode')]).toEqual(['wal', 2, 'exclusive'])
    expect([pragma('foreign_keys'), pragma('trusted_schema'), pragma('cell_size_check')]).toEqual([1, 0, 1])
    for (const name of fs.readdirSync(path.dirname(file))) {
      expect(fs.statSync(path.join(path.dirname(file), name)).mode & 0o077).toBe(0)
    }
  })

  it('has one owner at a time: the second process is told that it is locked', () => {
    const { file } = open()
    const script = `
      import { openDatabase } from ${JSON.stringify(path.resolve('src/daemon/store/database.ts'))}
      try { openDatabase(process.argv[1]) } catch (error) { process.stdout.write(error.code) }`
    const other = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script, file], {
      encoding: 'utf8',
    })
    expect(other.stdout).toBe('database_locked')
  })

  it.each([
    [
      'a text file',
      (file: string) => fs.writeFileSync(file, 'not a database, but long enough to have a header '.repeat(9)),
      'is not a database',
    ],
    ['an empty file', (file: string) => fs.writeFileSync(file, ''), 'is empty where a database was'],
    ['a directory', (file: string) => fs.mkdirSync(file), 'is not a regular file'],
    ['a link', (file: string) => fs.symlinkSync('/dev/null', file), 'is not a regular file'],
    [
      'a database of another program',
      (file: string) => new Database(file).exec('CREATE TABLE x (y)').close(),
      'of another program',
    ],
    [
      'a journal without its database',
      (file: string) => fs.writeFileSync(`${file}-wal`, 'x'),
      'is missing, but its journal',
    ],
  ])('refuses %s and leaves it as it is', (_, make, message) => {
    const directory = temporaryDirectory()
    const file = path.join(directory, 'vosctl.db')
    const umask = process.umask(0o077)
    make(file)
    process.umask(umask)
    const before = fs.readdirSync(directory)
    expect(() => openDatabase(file)).toThrow(message)
    expect(fs.readdirSync(directory)).toEqual(before)
  })

  it('refuses a file that others can read', () => {
    const { db, file } = open()
    db.close()
    fs.chmodSync(file, 0o644)
    expect(() => openDatabase(file)).toThrow('can be read by other users')
  })

  it('refuses a damaged file', () => {
    const { db, file } = open()
    db.close()
    const bytes = fs.readFileSync(file)
    bytes.fill(0xff, 4096, 4096 * 3)
    fs.writeFileSync(file, bytes)
    expect(() => openDatabase(file)).toThrow(expect.objectContaining({ code: 'database' }))
    expect(fs.readFileSync(file)).toEqual(bytes)
  })

  it.each(['evil', 'sqliteXevil', 'sqlite_evil'])(
    'refuses a database with a trigger %s that lets no hold in',
    (name) => {
      const { db, file } = open()
      db.exec('CREATE TRIGGER evil BEFORE INSERT ON login_holds BEGIN SELECT RAISE(IGNORE); END')
      db.unsafeMode(true)
      db.pragma('writable_schema = ON')
      db.prepare(`UPDATE sqlite_schema SET name = @name, sql = replace(sql, 'evil', @name) WHERE name = 'evil'`).run({
        name,
      })
      db.close()
      expect(() => openDatabase(file)).toThrow(expect.objectContaining({ code: 'database' }))
    },
  )

  it('refuses a database of a newer vosctl', () => {
    const { db, file } = open()
    db.pragma(`user_version = ${MIGRATIONS.length + 1}`)
    db.close()
    expect(() => openDatabase(file)).toThrow('newer vosctl')
  })

  it('migrates down and up again to the same schema, with a backup first', () => {
    const { db, file } = open()
    const schema = () => db.prepare('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name').pluck().all()
    const before = schema()
    migrate(db, 0, file)
    expect(schema().filter((sql) => !String(sql).includes('sqlite_sequence'))).toEqual([])
    expect(fs.readdirSync(path.dirname(file)).filter((name) => name.includes('before-v0'))).toHaveLength(1)
    migrate(db, MIGRATIONS.length, file)
    expect(schema()).toEqual(before)
  })

  it('brings the operations of an older vosctl into their new shape, and takes back what that one does not know', () => {
    const { db, file } = open()
    const house = new Store(db, (error) => expect.fail(error.message))
    const table = house.operations
    const record = (id: string, events: readonly OperationEvent[]) =>
      house.write(() => {
        const { operation } = table.insert(id, { ...ACCEPTED, device: `${id}:22` }, 0)
        return events.reduce((now, event) => table.append(now, event, 1).operation, operation)
      })
    const proof = { type: 'verified', by: 'bob', look: 'v-1', status: 'completed', message: 'm', evidence: [] } as const
    const inDoubt = [
      ...UNTIL_DISPATCH.slice(1),
      { type: 'sent' },
      { type: 'stopping', seenIn: 'output' },
      { type: 'settled', status: 'unknown', message: 'outcome unknown' },
    ] as const
    const before = record('r-1', inDoubt)
    record('r-2', [...inDoubt, proof])
    house.write(() => table.insert('v-1', { ...ACCEPTED, operationType: 'verify', subject: 'r-2' }, 2))
    house.write(() =>
      house.connections.setHold(house.connections.add(CUCM, 0).id, { since: 1, by: 'bob', reason: null }),
    )

    migrate(db, 1, file)
    expect([table.board(), table.history(null, 9)].map((all) => all.map(({ id }) => id))).toEqual([['r-1'], ['r-2']])
    expect(table.board()[0]).not.toHaveProperty('verified')
    expect(table.events('r-2', 0, 100).at(-1)?.event).toEqual({ type: 'evidence', what: 'verified', value: 'm' })
    migrate(db, MIGRATIONS.length, file)
    expect(table.board()[0]).toEqual(before)
    expect(house.connections.hold(1)).toBeNull()
  })

  it('turns a password and a key file into named sources and back, and gives an older vosctl nothing else', () => {
    const { db, file } = open()
    const { connections } = new Store(db, (error) => expect.fail(error.message))
    const add = (name: string, source: object = {}) => connections.add({ ...CUCM, name, ...source }, 0).id
    const sealed = Buffer.from('sealed')
    connections.setSealedPassword(add('password'), sealed)
    add('none')
    add('key', { keyPath: '/k' })
    migrate(db, 3, file)
    const older = () => db.prepare('SELECT name, key_path, sealed_password FROM connections ORDER BY id').raw().all()
    expect(older()).toEqual([
      ['password', null, sealed],
      ['none', null, null],
      ['key', '/k', null],
    ])
    migrate(db, MIGRATIONS.length, file)
    const sources = () => connections.list().map(({ credential }) => credential)
    expect(sources()).toEqual([{ type: 'sealed' }, { type: 'none' }, { type: 'key', path: '/k' }])
    const [password, none, key] = connections.list().map(({ id }) => id) as [number, number, number]
    connections.edit(password, { credential: 'helper:ops' })
    connections.edit(none, { credential: 'prompt' })
    connections.setSealedPassword(key, sealed)
    expect(sources()).toEqual([
      { type: 'helper', name: 'ops' },
      { type: 'prompt' },
      { type: 'key', path: '/k', passphrase: 'sealed' },
    ])
    migrate(db, 3, file)
    // A passphrase must not be sent to a device as a password.
    expect(older()).toEqual([
      ['password', null, null],
      ['none', null, null],
      ['key', '/k', null],
    ])
  })

  it('takes a secret away with what it belonged to, and with nothing else', () => {
    const { db } = open()
    const { connections } = new Store(db, (error) => expect.fail(error.message))
    const has = (id: number) => connections.sealedPassword(id) !== null
    const fresh = (source: object) => {
      const { id } = connections.add({ ...CUCM, name: `c${connections.list().length}`, ...source }, 0)
      connections.setSealedPassword(id, Buffer.from('sealed'))
      return id
    }
    for (const source of [{}, { keyPath: '/k' }]) {
      for (const change of [
        { host: 'h2' },
        { port: 23 },
        { username: 'root' },
        { credential: 'prompt' },
        { keyPath: '/k2' },
      ]) {
        const id = fresh(source)
        connections.edit(id, change)
        expect([source, change, has(id)]).toEqual([source, change, false])
      }
      for (const change of [
        { name: `n${Object.keys(source).length}` },
        { service: 'X' },
        { host: CUCM.host },
        source,
      ]) {
        const id = fresh(source)
        connections.edit(id, change)
        expect([source, change, has(id)]).toEqual([source, change, true])
      }
    }
    const id = fresh({ keyPath: '/k' })
    connections.edit(id, { passphraseFrom: 'helper:ops' })
    expect(has(id)).toBe(false)
    expect(connections.get(id).credential).toEqual({ type: 'key', path: '/k', passphrase: 'helper:ops' })
    connections.edit(id, { passphraseFrom: 'sealed' })
    expect(connections.get(id).credential).toEqual({ type: 'key', path: '/k' })
    expect(() => connections.edit(id, { keyPath: '/k', credential: 'prompt' })).toThrow('one credential, and two were')
    expect(() => connections.edit(fresh({}), { passphraseFrom: 'helper:ops' })).toThrow('belongs to a key file')
  })

  it('lets an older vosctl neither begin what waits for a device nor meet an event that it does not know', () => {
    const { db, file } = open()
    const house = new Store(db, (error) => expect.fail(error.message))
    const table = house.operations
    house.write(() => {
      const { operation } = table.insert('r-1', ACCEPTED, 5000)
      const connecting = table.append(operation, { type: 'connecting' }, 5001).operation
      const pinned = table.append(connecting, { type: 'pinned', hostKey: FACTS.hostKey }, 5002).operation
      table.append(pinned, { type: 'late', usualMs: 7 }, 6000)
      table.insert('r-2', { ...ACCEPTED, after: 'r-1' }, 5000)
    })
    expect(table.board()).toMatchObject([{ lateAt: 6000 }, { after: 'r-1' }])
    migrate(db, 2, file)
    expect(table.board()).toMatchObject([{ startedAt: 5000 }, { startedAt: 0, phase: 'accepted' }])
    for (const operation of table.board()) {
      expect(operation).not.toHaveProperty('lateAt')
      expect(operation).not.toHaveProperty('after')
    }
    const event = { type: 'evidence', what: 'late', value: 'longer than 7 ms' }
    expect(table.events('r-1', 0, 9).at(-1)?.event).toEqual(event)
    const value = `pinned on first sight: ssh-ed25519 ${FACTS.hostKey.fingerprint}`
    expect(table.events('r-1', 0, 9).at(-2)?.event).toEqual({ type: 'evidence', what: 'host key', value })
  })

  it('leaves to an older vosctl, which knows no jump hosts, what is claimed and held under the address alone', () => {
    const { db, file } = open()
    const house = new Store(db, (error) => expect.fail(error.message))
    const table = house.operations
    const device = '10.0.0.1:22 via bastion:22'
    house.write(() => {
      house.connections.add({ ...CUCM, name: 'bastion', host: 'bastion' }, 0)
      house.connections.add({ ...CUCM, host: '10.0.0.1', via: 'BASTION' }, 0)
      const { operation } = table.insert('r-1', { ...ACCEPTED, connection: { id: 2, name: 'cucm-pub' }, device }, 1)
      const hop = { id: 1, name: 'bastion', device: 'bastion:22' }
      const begun = table.append(operation, { type: 'connecting' }, 2).operation
      table.append(begun, { type: 'authenticating', username: 'jump', method: 'publickey', hop }, 3)
      table.setLoginHold(device, 'admin', { since: 1, operationId: 'r-0', message: 'refused' })
    })
    expect(disagreement(db)).toBeUndefined()
    migrate(db, 3, file)
    expect(disagreement(db)).toBeUndefined()
    expect(table.board()).toMatchObject([{ device: '10.0.0.1:22', authenticating: { username: 'jump' } }])
    expect(table.board()[0]?.authenticating).not.toHaveProperty('hop')
    expect(table.loginHold('10.0.0.1:22', 'admin')).toMatchObject({ operationId: 'r-0' })
    const key = db.prepare('SELECT conflict_key FROM active_operations').pluck().get()
    expect(key).toBe(conflictKey('10.0.0.1:22', ACCEPTED.operationType))
  })

  it('compiles a statement once, however often it runs', () => {
    const { db } = open()
    const prepare = vi.spyOn(db, 'prepare')
    const house = new Store(db, (error) => expect.fail(error.message))
    const add = (name: string) => house.write(() => house.connections.add({ ...CUCM, name }, 0))
    add('a')
    const compiled = prepare.mock.calls.length
    for (const name of ['b', 'c', 'd']) add(name)
    expect(prepare).toHaveBeenCalledTimes(compiled)
    expect(house.connections.list()).toHaveLength(4)
  })

  it('counts the connections of another store, and does not while its daemon runs', () => {
    const { store: other, file } = store()
    other.write(() => other.connections.add(CUCM, 0))
    expect(countConnections(file)).toBeNull()
    other.close()
    expect(countConnections(file)).toBe(1)
  })
})

describe('the services that a device has shown', () => {
  it('are kept with their connection, in order, and told when there are new ones', () => {
    const { store: house } = store()
    const { connections } = house
    let changes = 0
    connections.onChange(() => changes++)
    const see = (names: readonly string[], at: number) => house.write(() => connections.seeServices(1, names, at))
    house.write(() => connections.add(CUCM, 0))
    see(['Cisco Tomcat', 'Cisco Tftp', 'Cisco Tomcat'], 1)
    expect(changes).toBe(2)
    see(['Cisco Tftp'], 2)
    expect(changes).toBe(2)
    expect(connections.named()).toEqual([
      { id: 1, name: 'cucm-pub', platform: 'vos', service: 'Cisco Tomcat', services: ['Cisco Tftp', 'Cisco Tomcat'] },
    ])
    house.write(() => connections.edit(1, { name: 'cucm', service: null }))
    expect(connections.named()[0]).toMatchObject({ name: 'cucm', services: ['Cisco Tftp', 'Cisco Tomcat'] })
    house.write(() => connections.edit(1, { host: '10.10.0.11' }))
    expect(connections.named()[0]?.services).toEqual([])
  })

  it('are at most 500, those that were seen last, and go with the connection', () => {
    const { db } = open()
    const house = new Store(db, (error) => expect.fail(error.message))
    const { connections } = house
    const names = (from: number, count: number) => Array.from({ length: count }, (_, index) => `S${from + index}`)
    house.write(() => {
      connections.add(CUCM, 0)
      connections.seeServices(1, names(1000, 400), 1)
      connections.seeServices(1, names(2000, 400), 2)
      connections.seeServices(1, ['S1399'], 3)
      connections.seeServices(1, ['S3000'], 4)
    })
    const kept = connections.named()[0]?.services ?? []
    expect(kept).toHaveLength(500)
    expect(kept).toEqual(expect.arrayContaining([...names(2000, 400), 'S1399', 'S3000']))
    house.write(() => connections.remove(1))
    expect(db.prepare('SELECT count(*) FROM services_seen').pluck().get()).toBe(0)
  })
})

describe('a second store', () => {
  it('is refused when a variable leads to it while the usual place holds connections, and named with it', () => {
    const usual = path.join(temporaryDirectory(), 'usual')
    fs.mkdirSync(usual)
    expect(() => refuseSecondStore('/elsewhere', usual)).not.toThrow()
    const { store: house } = store(path.join(usual, 'vosctl.db'))
    const refuse = () => refuseSecondStore('/elsewhere', usual)
    expect(refuse).toThrow(
      expect.objectContaining({ code: 'state_directory', message: expect.stringContaining(usual) }),
    )
    expect(() => refuseSecondStore(usual, usual)).not.toThrow()
    house.close()
    expect(refuse).not.toThrow()
  })
})

describe('a failed write', () => {
  it('is rolled back when the fault is ours, and the store goes on', () => {
    const { store: house, fatal } = store()
    expect(() =>
      house.write(() => {
        house.connections.add(CUCM, 0)
        throw new TypeError('a mistake')
      }),
    ).toThrow('a mistake')
    expect(house.connections.list()).toEqual([])
    expect(fatal).toEqual([])
    house.write(() => house.connections.add(CUCM, 0))
  })

  it('is fatal when the disk is full, and nothing is written any more', () => {
    const fatal: Error[] = []
    const { db } = open()
    // The page limit makes SQLite answer SQLITE_FULL, as a full disk does.
    db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true }))}`)
    const house = new Store(db, (error) => fatal.push(error))
    const reason = 'x'.repeat(64 * 1024)
    const write = () => house.write(() => house.operations.insert('r-1', { ...ACCEPTED, reason }, 0))
    expect(write).toThrow('full')
    expect(fatal).toHaveLength(1)
    db.pragma('max_page_count = 1000000')
    expect(write).toThrow(expect.objectContaining({ code: 'database' }))
    expect(house.operations.board()).toEqual([])
  })
})

describe('connections', () => {
  it('takes the password away when host, port or user change, and the pinned key with host or port', () => {
    const { store: house } = store()
    const { id } = house.connections.add(CUCM, 0)
    const arm = () => {
      house.connections.pin(id, FACTS.hostKey)
      house.connections.setSealedPassword(id, Buffer.from('sealed'))
    }
    arm()
    expect(house.connections.edit(id, { service: 'Cisco Tftp' })).toMatchObject({
      credential: { type: 'sealed' },
      hostKey: FACTS.hostKey,
    })
    expect(house.connections.edit(id, { username: 'other' })).toMatchObject({
      credential: { type: 'none' },
      hostKey: FACTS.hostKey,
    })
    arm()
    expect(house.connections.edit(id, { port: 2222 })).toMatchObject({ credential: { type: 'none' }, hostKey: null })
  })

  it('knows one name once, whatever its case', () => {
    const { store: house } = store()
    house.connections.add(CUCM, 0)
    expect(() => house.connections.add({ ...CUCM, name: 'CUCM-PUB' }, 0)).toThrow('already a connection')
  })

  it('never gives an id twice, so that history stays with its connection', () => {
    const { store: house } = store()
    const { id } = house.connections.add(CUCM, 0)
    house.connections.remove(id)
    expect(house.connections.add(CUCM, 0).id).toBe(id + 1)
  })
})

it.each([
  [[5], 0.5, 5],
  [[1, 2, 3], 0.5, 2],
  [[3, 1, 2, 4], 0.9, 4],
  [[], 0.5, 0],
])('the quantile of %j at %d is %d', (values, part, result) => {
  expect(quantile(values, part)).toBe(result)
})
