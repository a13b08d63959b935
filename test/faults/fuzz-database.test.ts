import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { damageOf } from '../../src/daemon/store/wal.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { buildHouse, stopped, writeFiles, type Files } from './fuzz/database-house.ts'
import { testSample } from './sample.ts'

testSample('fuzz-database')

/** A house after a kill and after a stop, and a place for a damaged copy. */
function house() {
  const directory = temporaryDirectory()
  const { files: killed } = buildHouse(path.join(directory, 'house'), 'm')
  const file = path.join(directory, 'vosctl.db')
  return { killed, stopped: stopped(path.join(directory, 'house')), file }
}

function refusal(file: string, files: Files): unknown {
  writeFiles(file, files)
  try {
    openDatabase(file).close()
    return 'taken'
  } catch (error) {
    return error
  }
}

const HINT = 'Keep the file and its -wal elsewhere, and put a backup in its place.'

describe('found by a fuzzer', () => {
  it('a flipped bit in the journal of a killed daemon took away all that followed: "nothing was sent" was a lie', () => {
    const { killed, file } = house()
    const wal = Buffer.from(killed.wal ?? '')
    const middle = Math.floor(wal.length / 2)
    wal[middle] = (wal[middle] ?? 0) ^ 1
    expect(refusal(file, { ...killed, wal })).toMatchObject({
      code: 'database',
      message: expect.stringMatching(/damaged journal .*vosctl.db-wal: frame \d+ of \d+ is not what was written/),
    })
    expect(readFileSync(`${file}-wal`).equals(wal)).toBe(true)
  })

  it('a journal whose last transaction was torn by a power cut is taken: nobody was told of that one', () => {
    const { killed, file } = house()
    const wal = Buffer.from(killed.wal ?? '')
    wal.fill(0, wal.length - 512)
    expect(refusal(file, { ...killed, wal })).toBe('taken')
  })

  it('the rest of an older journal behind the new one is no damage', () => {
    const directory = temporaryDirectory()
    const file = path.join(directory, 'vosctl.db')
    const db = openDatabase(file)
    const store = new Store(db, () => undefined)
    const add = (name: string) => store.write(() => store.connections.add({ name, host: name, username: 'x' }, 0))
    for (const name of ['a', 'b', 'c', 'd']) add(name)
    db.pragma('wal_checkpoint(RESTART)')
    add('e')
    expect(damageOf(`${file}-wal`)).toBeUndefined()
    store.close()
  })

  it.each([
    ['letter in the condition of the index that is the claim', "'pending', 'in_progress'", "'pending', 'in_progresr'"],
    ['letter in the name of a column', 'metadata       TEXT', 'metadaua       TEXT'],
  ])('a changed %s was taken, and then broke a promise or ended the daemon with a stack trace', (_, from, to) => {
    const { stopped, file } = house()
    const db = Buffer.from(stopped.db.toString('latin1').replaceAll(from, to), 'latin1')
    expect(db.equals(stopped.db)).toBe(false)
    expect(refusal(file, { db, wal: null })).toMatchObject({ code: 'database', hint: HINT })
  })

  it('a database of no version was given a second schema, with a stack trace and a backup left behind', () => {
    const { stopped, file } = house()
    stopped.db.writeUInt32BE(0, 60)
    expect(refusal(file, stopped)).toMatchObject({ message: `${file} is damaged: it has no schema.`, hint: HINT })
    expect(existsSync(`${file}-wal`)).toBe(false)
  })

  it.each([
    [
      'the phase on the board',
      'UPDATE active_operations SET metadata = replace(metadata, \'"dispatching"\', \'"ready"\')',
    ],
    [
      'when it was asked for',
      "UPDATE active_operations SET metadata = json_set(metadata, '$.startedAt', 1760000500000)",
    ],
    ['an event of the journal', "DELETE FROM operation_events WHERE event LIKE '%dispatching%'"],
    ['where the connection leads', "UPDATE connections SET host = '10.9.9.9'"],
  ])('a board and a journal that tell different stories were believed both: %s', (_, sql) => {
    const { stopped, file } = house()
    writeFiles(file, stopped)
    new Database(file).exec(sql).close()
    expect(() => openDatabase(file)).toThrow(/its events and its board tell different stories of r-m0000\d/)
  })

  it('a row that is no JSON any more was an unexpected exception; now it is named, and the rest is readable', () => {
    const { stopped, file } = house()
    writeFiles(file, stopped)
    new Database(file).exec("UPDATE operation_history SET metadata = '{' WHERE id = 'r-m00100'").close()
    const store = new Store(openDatabase(file), () => undefined)
    expect(() => store.operations.find('r-m00100')).toThrow(expect.objectContaining({ code: 'database', hint: HINT }))
    expect(store.operations.find('r-m00101')).toHaveLength(1)
    store.close()
  })

  it('a flipped bit in a request id, a hold or a claim is seen by the indexes, which quick_check does not compare', () => {
    const { stopped, file } = house()
    const db = Buffer.from(stopped.db.toString('latin1').replace('request-100', 'request-101'), 'latin1')
    expect(refusal(file, { db, wal: null })).toMatchObject({ code: 'database', hint: HINT })
  })

  it('a file of another program in the place of the journal was ignored without a word', () => {
    const { killed, file } = house()
    writeFiles(file, killed)
    writeFileSync(`${file}-wal`, 'not a journal '.repeat(1000), { mode: 0o600 })
    expect(() => openDatabase(file)).toThrow('its first bytes are not those of a journal')
  })
})
