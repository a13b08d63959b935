import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { describe, expect, it } from 'vitest'
import { migrate, openDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { lived } from '../helpers/journal.ts'
import { verifyFile } from '../helpers/verify-history.ts'
import { FACTS } from '../helpers/operations.ts'

/** A house with a connection of every kind, and a secret behind two of them. */
function furnished() {
  const house = lived()
  const { connections, tokens } = house.store
  house.say('r-queued', { type: 'settled', status: 'cancelled', message: 'by hand' })
  const login = { host: 'h', username: 'u' }
  house.store.write(() => {
    connections.add({ ...login, name: 'none' }, 0)
    connections.setSealedPassword(
      connections.add({ ...login, name: 'sealed', credential: 'sealed' }, 0).id,
      Buffer.of(1),
    )
    connections.add({ ...login, name: 'key', keyPath: '/k', acceptNew: true }, 0)
    const locked = connections.add({ ...login, name: 'locked', keyPath: '/l', passphraseFrom: 'sealed' }, 0)
    connections.setSealedPassword(locked.id, Buffer.of(2))
    connections.add({ ...login, name: 'helper', credential: 'helper:vault', algorithmsUntil: '2030-01-01' }, 0)
    connections.add({ ...login, name: 'behind', credential: 'prompt', via: 'none' }, 0)
    connections.pin(5, FACTS.hostKey)
    connections.edit(5, { port: 23 })
    tokens.add({ name: 't', access: 'read', digest: 'A'.repeat(43), createdBy: 'alice' }, 0)
  })
  return house
}

describe('a database that was taken back to an older vosctl', () => {
  it.each([3, 2])('is one of version %d to the letter, and comes forward again whole', async (version) => {
    const { db, file } = furnished()
    migrate(db, version, null)
    db.close()
    // Every start compares the schema with that of its version.
    const again = openDatabase(file)
    const { connections, tokens } = new Store(again, (error) => expect.fail(error.message))
    expect(connections.list().map(({ credential }) => credential)).toEqual([
      { type: 'none' },
      { type: 'sealed' },
      { type: 'key', path: '/k' },
      { type: 'key', path: '/l' },
      { type: 'none' },
      { type: 'none' },
    ])
    expect(connections.sealedSecrets()).toMatchObject([{ name: 'sealed' }])
    expect([tokens.count, connections.formerPin('h:22')]).toEqual([0, null])
    again.close()
    expect(await verifyFile(file)).toMatchObject({ bad: null })
  })
})

it('a database of an older vosctl holds nothing any more of the secrets that were replaced in it', () => {
  const { db, file } = furnished()
  migrate(db, 3, null)
  db.pragma('secure_delete = OFF')
  // As long as a page, so that nothing that comes later has a place where it was.
  const old = randomBytes(4096)
  const seal = db.prepare('UPDATE connections SET sealed_password = ? WHERE id = 2')
  for (const secret of [old, Buffer.of(3)]) seal.run(secret)
  db.close()
  const holdsIt = () =>
    [file, `${file}-wal`].some((one) => fs.existsSync(one) && fs.readFileSync(one).includes(old.subarray(-2000)))
  expect(holdsIt()).toBe(true)
  openDatabase(file).close()
  expect(holdsIt()).toBe(false)
})
