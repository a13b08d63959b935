import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  bindingOf,
  createSealedStore,
  type SealedStore,
  type SealedStoreOptions,
} from '../../src/daemon/sealed-store.ts'
import { loadSealingKey, sealPassword, unsealPassword } from '../../src/daemon/ssh/credentials.ts'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { rejection } from '../helpers/rejection.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const NAMES = ['a', 'b', 'c'] as const
const passwordOf = (name: string) => `the password of ${name}`

/** A house with three sealed secrets, one of them the passphrase of a key file. */
class House {
  readonly directory = temporaryDirectory()
  readonly file = path.join(this.directory, 'vosctl.db')
  readonly key = path.join(this.directory, 'config', 'key')
  store: Store

  constructor() {
    this.store = this.open()
    onTestFinished(() => this.store.close())
  }

  open(): Store {
    return new Store(openDatabase(this.file), (error) => expect.fail(error.message))
  }

  sealed(options: Partial<SealedStoreOptions> = {}): SealedStore {
    const configDirectory = path.dirname(this.key)
    return createSealedStore({ store: this.store, provider: 'file', configDirectory, ...options })
  }

  async furnish(sealed: SealedStore): Promise<void> {
    await sealed.withKey((key) =>
      this.store.write(() => {
        for (const name of NAMES) {
          const source = name === 'c' ? { keyPath: '/keys/c' } : {}
          const connection = this.store.connections.add({ name, host: name, username: 'u', ...source }, 0)
          const binding = bindingOf(connection, source.keyPath)
          this.store.connections.setSealedPassword(connection.id, sealPassword(key, passwordOf(name), binding))
        }
      }),
    )
  }

  /** What each connection's secret is by this key; undefined where it does not open. */
  async opened(sealed: SealedStore): Promise<readonly (string | undefined)[]> {
    return await sealed.withKey((key) =>
      this.store.connections.sealedSecrets().map((secret) => {
        try {
          const keyPath = secret.credential === 'sealed' ? undefined : secret.credential.slice(4)
          return unsealPassword(key, secret.sealed, bindingOf(secret, keyPath))
        } catch {
          return undefined
        }
      }),
    )
  }
}

const ALL = NAMES.map(passwordOf)
const NONE = NAMES.map(() => undefined)

describe('a rotation', () => {
  it('makes another key, under which every secret lies then and the old one opens nothing', async () => {
    const house = new House()
    const sealed = house.sealed()
    await house.furnish(sealed)
    const before = fs.readFileSync(house.key)
    expect(await sealed.rotate()).toEqual({ provider: 'file', state: 'open', path: house.key, secrets: 3 })
    expect(fs.readFileSync(house.key)).not.toEqual(before)
    expect(fs.readdirSync(path.dirname(house.key))).toEqual(['key'])
    expect(fs.statSync(house.key).mode & 0o777).toBe(0o600)
    for (const one of [sealed, house.sealed()]) expect(await house.opened(one)).toEqual(ALL)
    fs.writeFileSync(house.key, before)
    expect(await house.opened(house.sealed())).toEqual(NONE)
  })

  it('leaves nothing in the files of the database that the old key opens', async () => {
    const house = new House()
    const sealed = house.sealed()
    await house.furnish(sealed)
    // Rows that grow and go leave copies of their neighbours behind.
    const { connections } = house.store
    for (let id = 4; id < 200; id++) {
      house.store.write(() => connections.add({ name: `x${id}`, host: 'x'.repeat(id), username: 'u' }, 0))
    }
    for (let id = 4; id < 200; id += 2) house.store.write(() => connections.remove(id))
    const old = connections.sealedSecrets().map((secret) => secret.sealed)
    const places = () =>
      fs
        .readdirSync(house.directory)
        .filter((name) => name.startsWith('vosctl.db'))
        .filter((name) => old.some((bytes) => fs.readFileSync(path.join(house.directory, name)).includes(bytes)))
    expect(places()).not.toEqual([])
    await sealed.rotate()
    expect(places()).toEqual([])
  })

  it('changes nothing when one secret cannot be opened, and names it', async () => {
    const house = new House()
    const sealed = house.sealed()
    await house.furnish(sealed)
    house.store.write(() => house.store.connections.reseal(2, Buffer.alloc(40)))
    const before = fs.readFileSync(house.key)
    const error = await rejection(sealed.rotate())
    expect(error.message).toContain('The key was not changed, because of b: The stored password of u at b:22 cannot be')
    expect(fs.readFileSync(house.key)).toEqual(before)
    expect(fs.readdirSync(path.dirname(house.key))).toEqual(['key'])
    expect(await house.opened(house.sealed())).toEqual([ALL[0], undefined, ALL[2]])
  })

  it('changes nothing when the new key cannot be written, and says so', async () => {
    const house = new House()
    const sealed = house.sealed()
    await house.furnish(sealed)
    const before = fs.readFileSync(house.key)
    fs.mkdirSync(`${house.key}-next.draft`)
    expect(await rejection(sealed.rotate())).toMatchObject({
      code: 'bad_key_file',
      message: `The key in ${house.key} cannot be read or written: ERR_FS_EISDIR at rm.`,
    })
    expect(fs.readFileSync(house.key)).toEqual(before)
    expect(await house.opened(house.sealed())).toEqual(ALL)
  })

  it('that is asked for several times at once ends with one key that opens everything', async () => {
    const house = new House()
    const sealed = house.sealed()
    await house.furnish(sealed)
    await Promise.all([sealed.rotate(), sealed.rotate(), sealed.rotate()])
    for (const one of [sealed, house.sealed()]) expect(await house.opened(one)).toEqual(ALL)
  })

  it('loses no password that is set in the middle of it', async () => {
    const house = new House()
    const sealed = house.sealed()
    await house.furnish(sealed)
    const rotating = sealed.rotate()
    const { connections } = house.store
    for (let turn = 0; turn < 20; turn++) {
      await sealed.withKey((key) => {
        const secret = sealPassword(key, passwordOf('a'), bindingOf(connections.get(1)))
        house.store.write(() => connections.setSealedPassword(1, secret))
      })
      await new Promise(setImmediate)
    }
    await rotating
    expect(await house.opened(house.sealed())).toEqual(ALL)
  })

  const PLACES = ['write.begin', 'rotate.written', 'rotate.resealed', 'write.commit', 'write.done'] as const
  const AFTER = ['rotate.committed', 'rotate.renamed'] as const

  /** Runs it in a process of its own, with the failpoints of the fault rigs, that is killed on the way. */
  const strike = (house: House, place: string) => {
    const program = `
      globalThis.VOSCTL_FAULTS = true
      const { createSealedStore } = await import('${import.meta.dirname}/../../src/daemon/sealed-store.ts')
      const { openDatabase } = await import('${import.meta.dirname}/../../src/daemon/store/database.ts')
      const { Store } = await import('${import.meta.dirname}/../../src/daemon/store/store.ts')
      const [file, configDirectory] = process.argv.slice(1)
      const store = new Store(openDatabase(file), (error) => { throw error })
      const sealed = createSealedStore({ store, provider: 'file', configDirectory })
      await sealed.recover()
      await sealed.rotate()`
    const words = ['--input-type=module', '-e', program, house.file, path.dirname(house.key)]
    const env = { PATH: process.env['PATH'], VOSCTL_FAILPOINTS: `${place}#1=kill` }
    return spawnSync(process.execPath, words, { env, encoding: 'utf8' })
  }

  it.each([...PLACES, ...AFTER])('that is killed at %s leaves every secret readable with one key', async (place) => {
    const house = new House()
    await house.furnish(house.sealed())
    const before = fs.readFileSync(house.key)
    house.store.close()
    const { signal, stderr } = strike(house, place)
    expect(stderr).toContain(`failpoint ${place}#1`)
    expect(signal).toBe('SIGKILL')

    house.store = house.open()
    const sealed = house.sealed()
    await sealed.recover()
    expect(await house.opened(sealed)).toEqual(ALL)
    expect(fs.readdirSync(path.dirname(house.key))).toEqual(['key'])
    // Committed or not: the key is the old one exactly if the transaction is not there.
    const isOld = fs.readFileSync(house.key).equals(before)
    expect(isOld).toBe(!['write.done', ...AFTER].includes(place))
    await sealed.rotate()
    expect(await house.opened(house.sealed())).toEqual(ALL)
  })

  it('that was cut off, and whose end is cut off again, is ended by the start after that', async () => {
    const house = new House()
    await house.furnish(house.sealed())
    house.store.close()
    expect(strike(house, 'rotate.committed').signal).toBe('SIGKILL')
    expect(strike(house, 'rotate.settled').signal).toBe('SIGKILL')
    house.store = house.open()
    expect(await house.opened(house.sealed())).toEqual(ALL)
  })

  it('whose last step failed is not begun anew over the only key that opens anything', async () => {
    const house = new House()
    const sealed = house.sealed()
    await house.furnish(sealed)
    // A directory cannot be replaced by a file.
    fs.rmSync(house.key)
    fs.mkdirSync(path.join(house.key, 'x'), { recursive: true })
    const words = `The key in ${house.key} cannot be read or written: EISDIR at rename.`
    expect(await rejection(sealed.rotate())).toMatchObject({ code: 'bad_key_file', message: words })
    expect(await house.opened(sealed)).toEqual(ALL)
    expect(await rejection(sealed.rotate())).toMatchObject({ code: 'bad_key_file', message: words })
    fs.rmSync(house.key, { recursive: true })
    expect(await house.opened(house.sealed())).toEqual(ALL)
  })
})

describe('a passphrase', () => {
  const open = async () => {
    const house = new House()
    await house.furnish(house.sealed())
    const sealed = house.sealed({ provider: 'passphrase' })
    return { house, sealed }
  }

  it('takes over what a key file has sealed, and is asked for by every daemon after that', async () => {
    const { house, sealed } = await open()
    expect(sealed.status()).toEqual({ provider: 'passphrase', state: 'none', path: null, secrets: 3 })
    expect(sealed.locked()).toMatchObject({ code: 'store_locked' })
    expect((await rejection(sealed.unlock('open sesame, door', false))).message).toContain('has no passphrase yet')
    const short = await rejection(sealed.unlock('open sesame', true))
    expect(short.message).toBe('The passphrase is shorter than 12 characters. Nothing was changed.')
    expect(await sealed.unlock('open sesame, door', true)).toMatchObject({ state: 'open' })
    expect(sealed.locked()).toBeNull()
    expect(await house.opened(sealed)).toEqual(ALL)
    expect(await house.opened(house.sealed())).toEqual(NONE)

    const next = house.sealed({ provider: 'passphrase' })
    expect(next.status().state).toBe('locked')
    expect(await rejection(next.withKey(() => 'never'))).toMatchObject({
      code: 'store_locked',
      message: 'The sealed store is locked. Nothing was sent.',
      hint: expect.stringContaining('vosctl key unlock'),
    })
    expect((await rejection(next.unlock('another one', true))).message).toContain('has a passphrase already')
    await next.unlock('open sesame, door', false)
    expect(await house.opened(next)).toEqual(ALL)
    expect((await next.lock()).state).toBe('locked')
    await expect(next.withKey(() => 'never')).rejects.toThrow('locked')
  })

  it('that is wrong opens nothing, is told from the right one, and has to be waited after', async () => {
    const { sealed, house } = await open()
    await sealed.unlock('open sesame, door', true)
    const next = house.sealed({ provider: 'passphrase' })
    const [first, second] = await Promise.all(
      ['Open Sesame, door', 'open sesame, door'].map((one) => rejection(next.unlock(one, false))),
    )
    expect(first?.message).toContain('is not the passphrase of the sealed store')
    // The right one, too soon: whoever guesses learns nothing from it.
    expect(second?.message).toMatch(/^The last passphrase was wrong. Wait [12] s\.$/)
    expect(next.status().state).toBe('locked')
    expect(`${first?.message}${first?.hint}${second?.message}`).not.toMatch(/sesame/i)
  })

  it('is forgotten by a lock that is asked for while it opens', async () => {
    const { sealed, house } = await open()
    await sealed.unlock('open sesame, door', true)
    const next = house.sealed({ provider: 'passphrase' })
    const opening = next.unlock('open sesame, door', false)
    expect(await next.lock()).toMatchObject({ state: 'locked' })
    expect(await opening).toMatchObject({ state: 'open' })
    expect(next.status().state).toBe('locked')
  })

  it('is replaced by another one in one transaction, only where it is open', async () => {
    const { sealed, house } = await open()
    await sealed.unlock('open sesame, door', true)
    await expect(house.sealed({ provider: 'passphrase' }).rotate('new and longer')).rejects.toThrow('locked')
    expect((await rejection(sealed.unlock('Open Sesame, door', false))).message).toMatch(/It stays open\.$/)
    await sealed.rotate('grüße aus Köln')
    expect(await house.opened(sealed)).toEqual(ALL)
    const next = house.sealed({ provider: 'passphrase' })
    await next.unlock('grüße aus Köln', false)
    expect(await house.opened(next)).toEqual(ALL)
    expect((await rejection(house.sealed({ provider: 'passphrase' }).unlock('open sesame, door', false))).code).toBe(
      'store_locked',
    )
  })

  it('that is taking the place of another one does not open what is locked meanwhile', async () => {
    const { sealed } = await open()
    await sealed.unlock('open sesame, door', true)
    const changed = sealed.rotate('new and longer')
    await turn()
    expect((await sealed.lock()).state).toBe('locked')
    await changed
    expect(sealed.status().state).toBe('locked')
  })

  it('is nowhere on the disk', async () => {
    const { sealed, house } = await open()
    await sealed.unlock('open sesame, door', true)
    for (const file of fs.readdirSync(house.directory, { recursive: true }).map(String)) {
      const whole = path.join(house.directory, file)
      if (fs.statSync(whole).isFile()) expect(fs.readFileSync(whole).includes('sesame')).toBe(false)
    }
  })

  it('is not begun where a secret lies under a key that is not there', async () => {
    const { sealed, house } = await open()
    fs.rmSync(house.key)
    expect((await rejection(sealed.unlock('open sesame, door', true))).message).toContain(
      'because of a: There is no key',
    )
    expect(sealed.status().state).toBe('none')
  })

  it('is no use where the key is a file', async () => {
    const house = new House()
    const sealed = house.sealed()
    for (const act of [() => sealed.unlock('x', true), () => sealed.rotate('x')]) {
      expect((await rejection(act())).message).toContain('has a key file, and no passphrase')
    }
    await expect(sealed.lock()).rejects.toThrow('has a key file')
  })
})

describe('a key that systemd hands over', () => {
  /** As systemd lays it down. */
  const handOver = (house: House, name: string, mode = 0o400): string => {
    const directory = path.join(house.directory, 'credentials')
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    fs.writeFileSync(path.join(directory, name), Buffer.alloc(32, name), { mode })
    fs.chmodSync(path.join(directory, name), mode)
    return directory
  }

  it('seals and opens, may be the one that a file was, and is read-only', async () => {
    const house = new House()
    await house.furnish(house.sealed())
    const credentialsDirectory = path.join(house.directory, 'credentials')
    handOver(house, 'other')
    fs.copyFileSync(house.key, path.join(credentialsDirectory, 'vosctl-key'))
    fs.chmodSync(path.join(credentialsDirectory, 'vosctl-key'), 0o440)
    const sealed = house.sealed({ provider: 'systemd', credentialsDirectory })
    expect(await house.opened(sealed)).toEqual(ALL)
    expect((await rejection(sealed.rotate())).hint).toContain('LoadCredential=vosctl-key-next:')
  })

  it('gives way to the next one, before and after the files change places', async () => {
    const house = new House()
    const credentialsDirectory = handOver(house, 'vosctl-key')
    const options = { provider: 'systemd', credentialsDirectory } as const
    const sealed = house.sealed(options)
    await house.furnish(sealed)
    handOver(house, 'vosctl-key-next')
    await sealed.rotate()
    expect(await house.opened(sealed)).toEqual(ALL)
    expect(await house.opened(house.sealed(options))).toEqual(ALL)
    const [old, next] = ['vosctl-key', 'vosctl-key-next'].map((name) => path.join(credentialsDirectory, name))
    fs.renameSync(next ?? '', old ?? '')
    expect(await house.opened(house.sealed(options))).toEqual(ALL)
  })

  it.each([0o444, 0o460, 0o404])('is refused with the mode %o, which others may use', async (mode) => {
    const house = new House()
    const credentialsDirectory = handOver(house, 'vosctl-key', mode)
    const sealed = house.sealed({ provider: 'systemd', credentialsDirectory })
    expect((await rejection(sealed.withKey(() => 'never'))).code).toBe('bad_key_file')
  })

  it('that is not there is not replaced by a file', async () => {
    const house = new House()
    await house.furnish(house.sealed())
    const sealed = house.sealed({ provider: 'systemd', credentialsDirectory: '/nowhere' })
    expect((await rejection(sealed.withKey(() => 'never'))).message).toContain('handed over no key')
    expect(sealed.status()).toMatchObject({ state: 'none' })
  })
})

describe('what is sealed', () => {
  it('as a passphrase never opens as a password, nor for another key file', async () => {
    const key = await loadSealingKey(path.join(temporaryDirectory(), 'key'))
    const login = { id: 1, host: 'h', port: 22, username: 'u' }
    const sealed = sealPassword(key, 'hush', bindingOf(login, '/keys/a'))
    expect(unsealPassword(key, sealed, bindingOf(login, '/keys/a'))).toBe('hush')
    for (const keyPath of [undefined, '/keys/b', '']) {
      expect(() => unsealPassword(key, sealed, bindingOf(login, keyPath))).toThrow('cannot be opened')
    }
    const password = sealPassword(key, 'hush', bindingOf(login))
    expect(() => unsealPassword(key, password, bindingOf(login, '/keys/a'))).toThrow('cannot be opened')
  })
})
