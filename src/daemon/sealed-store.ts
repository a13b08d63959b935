import { createSecretKey, randomBytes, scrypt, type KeyObject } from 'node:crypto'
import { existsSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { VosError } from '../core/errors.ts'
import type { KeyStatus } from '../core/protocol.ts'
import { syncToDisk } from './directory.ts'
import { failpoint } from './failpoint.ts'
import {
  checkHandedOver,
  loadSealingKey,
  readSealingKey,
  sealPassword,
  unsealPassword,
  writeNewKey,
  type SealBinding,
} from './ssh/credentials.ts'
import type { SealedSecret } from './store/connections.ts'
import type { Store } from './store/store.ts'

export type KeyProvider = KeyStatus['provider']

/** The name under which systemd hands the key over, and under which it hands over the one that shall take its place. */
const CREDENTIAL = 'vosctl-key'
const NEXT = '-next'

/** 64 MiB and about half a second on a small, busy machine, for each guess. */
const COST = { N: 2 ** 16, r: 8, p: 1 }
const MAX_PENALTY_MS = 60_000

export interface SealedStoreOptions {
  readonly store: Store
  readonly provider: KeyProvider
  readonly configDirectory: string
  /** Where systemd has put what it hands over; undefined where it has started nothing. */
  readonly credentialsDirectory?: string | undefined
}

/** What opens the secrets in the database: the key, where it comes from, and how another one takes its place. */
export interface SealedStore {
  status(): KeyStatus
  /** Ends what a crash has cut off. @throws VosError `bad_key_file` */
  recover(): Promise<void>
  /** Why nothing can be opened just now; null when there is no such reason. */
  locked(): VosError | null
  /**
   * Calls `use` with the key, in one turn: between a key that was waited for and its use another could take its place.
   * @throws VosError `store_locked`, `bad_key_file`
   */
  withKey<T>(use: (key: KeyObject) => T): Promise<T>
  /** @throws VosError `store_locked` for a wrong passphrase, and too soon after one */
  unlock(passphrase: string, isNew: boolean): Promise<KeyStatus>
  /** After a change of the key that is under way, so that none of them leaves it open. */
  lock(): Promise<KeyStatus>
  /** Everything under another key, in one transaction. @throws VosError when something cannot be opened; then nothing is changed. */
  rotate(passphrase?: string): Promise<KeyStatus>
}

/** To which login, and to which key file, a sealed secret belongs. */
export function bindingOf(
  login: Pick<SealBinding, 'host' | 'port' | 'username'> & { readonly id: number },
  keyPath?: string,
): SealBinding {
  const { id, host, port, username } = login
  return { connectionId: id, host, port, username, ...(keyPath === undefined ? {} : { keyPath }) }
}

export function createSealedStore({
  store,
  provider,
  configDirectory,
  credentialsDirectory,
}: SealedStoreOptions): SealedStore {
  const file =
    provider === 'systemd'
      ? path.join(credentialsDirectory ?? '$CREDENTIALS_DIRECTORY', CREDENTIAL)
      : provider === 'file'
        ? path.join(configDirectory, 'key')
        : null
  const next = `${file}${NEXT}`
  let key: KeyObject | null = null
  let loading: Promise<KeyObject> | null = null
  let changing: Promise<unknown> = Promise.resolve()
  let wrong = 0
  let notBefore = 0

  const load = async (): Promise<KeyObject> => {
    if (file === null) throw locked()
    if (provider === 'file') {
      await settle(file, next, store)
      return await loadSealingKey(file)
    }
    const found = await Promise.all([file, next].map((one) => readSealingKey(one, checkHandedOver)))
    const keys = found.filter((one) => one !== null)
    const chosen = keys.find(isProved(store)) ?? found[0]
    if (chosen) return chosen
    throw new VosError('bad_key_file', `systemd has handed over no key ${CREDENTIAL}.`, {
      hint: `Name it in the unit: LoadCredential=${CREDENTIAL}:<file>`,
    })
  }

  /** A failure is not kept: it may have been want of a descriptor. */
  const current = async (): Promise<KeyObject> => {
    if (key) return key
    loading ??= load()
      .catch(rethrow)
      .finally(() => (loading = null))
    const loaded = await loading
    return (key ??= loaded)
  }

  /** That the system does not read or write a file is no bug of ours, and whoever asked has to hear it. */
  const rethrow = (error: unknown): never => {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (code === undefined || syscall === undefined) throw error
    throw new VosError(
      'bad_key_file',
      `The key in ${file ?? configDirectory} cannot be read or written: ${code} at ${syscall}.`,
      {
        hint: 'Look at its disk, then try again. What the key is now: vosctl key status',
      },
    )
  }

  const status = (): KeyStatus => {
    const isMade = file === null ? store.sealing.read()?.kdf != null : existsSync(file)
    const state = !isMade ? 'none' : file === null && !key ? 'locked' : 'open'
    return { provider, state, path: file, secrets: store.connections.sealedSecrets().length }
  }

  /** One change of the key at a time. */
  const inTurn = async <T>(change: () => T | Promise<T>): Promise<T> => {
    const turn = changing.then(change, change)
    changing = turn.catch(() => undefined)
    return await turn.catch(rethrow)
  }

  const open = async (passphrase: string, kdf: string): Promise<void> => {
    const waitMs = notBefore - performance.now()
    if (waitMs > 0) {
      throw new VosError('store_locked', `The last passphrase was wrong. Wait ${Math.ceil(waitMs / 1000)} s.`)
    }
    const derived = await derive(passphrase, kdf)
    if (isProved(store)(derived)) {
      key = derived
      wrong = 0
      return
    }
    notBefore = performance.now() + Math.min(MAX_PENALTY_MS, 1000 * 2 ** wrong++)
    throw new VosError(
      'store_locked',
      `This is not the passphrase of the sealed store. It stays ${key ? 'open' : 'locked'}.`,
      {
        hint: 'Try again: vosctl key unlock',
      },
    )
  }

  /** In one transaction; then nothing is left in the files that the old key opens. */
  const sealAnew = (old: KeyObject | null, made: KeyObject, kdf: string | null): void => {
    store.write(() => {
      reseal(store, old, made)
      store.sealing.write(proofOf(made), kdf)
      failpoint('rotate.resealed')
    })
    key = made
    store.shred()
  }

  /** What was sealed under a key file before goes under the passphrase. */
  const begin = async (passphrase: string): Promise<void> => {
    const before = path.join(configDirectory, 'key')
    await settle(before, `${before}${NEXT}`, store)
    const old = await readSealingKey(before)
    const kdf = newKdf()
    const made = await derive(passphrase, kdf)
    sealAnew(old, made, kdf)
  }

  const rotateFile = async (file: string): Promise<void> => {
    const old = await current()
    // Of a rotation whose last step failed the key under this name may be the only one that opens anything.
    await settle(file, next, store)
    const made = await writeNext(next)
    failpoint('rotate.written')
    try {
      sealAnew(old, made, null)
    } catch (error) {
      // Rolled back for certain. Whatever else it was, the next start finds out.
      if (error instanceof VosError) rmSync(next, { force: true })
      throw error
    }
    failpoint('rotate.committed')
    renameSync(next, file)
    failpoint('rotate.renamed')
    syncToDisk(path.dirname(file))
  }

  const rotateHandedOver = async (): Promise<void> => {
    const old = await current()
    const made = await readSealingKey(next, checkHandedOver)
    if (!made || made.equals(old)) {
      throw new VosError('bad_request', 'The key comes from systemd, and it has handed over no other one.', {
        hint: `Add LoadCredential=${CREDENTIAL}${NEXT}:<new file> to the unit and restart it: docs/credentials.md`,
      })
    }
    sealAnew(old, made, null)
  }

  return {
    status,
    recover: async () => {
      if (provider === 'file' && file) await settle(file, next, store)
    },
    locked: () => (file === null && !key ? locked() : null),
    async withKey(use) {
      await current()
      return use(key ?? (await current()))
    },
    unlock: (passphrase, isNew) =>
      inTurn(async () => {
        if (file !== null) throw noPassphrase()
        const kdf = store.sealing.read()?.kdf ?? null
        if (kdf !== null && isNew) {
          throw new VosError('bad_request', 'The sealed store has a passphrase already.', { hint: 'vosctl key unlock' })
        }
        if (kdf === null && !isNew) throw new VosError('bad_request', 'The sealed store has no passphrase yet.')
        if (kdf === null) checkLength(passphrase)
        await (kdf === null ? begin(passphrase) : open(passphrase, kdf))
        return status()
      }),
    lock: () =>
      inTurn(() => {
        if (file !== null) throw noPassphrase()
        key = null
        return status()
      }),
    rotate: (passphrase) =>
      inTurn(async () => {
        if ((passphrase === undefined) === (file === null)) throw passphrase === undefined ? locked() : noPassphrase()
        if (provider === 'file' && file) await rotateFile(file)
        else if (provider === 'systemd') await rotateHandedOver()
        else if (passphrase !== undefined) {
          const old = key
          if (!old) throw locked()
          checkLength(passphrase)
          const kdf = newKdf()
          const made = await derive(passphrase, kdf)
          sealAnew(old, made, kdf)
        }
        return status()
      }),
  }
}

/** Whoever has a copy of the database may try as long as they like. */
const MIN_PASSPHRASE = 12

function checkLength(passphrase: string): void {
  if ([...passphrase].length >= MIN_PASSPHRASE) return
  throw new VosError(
    'bad_request',
    `The passphrase is shorter than ${MIN_PASSPHRASE} characters. Nothing was changed.`,
    {
      hint: 'Take several words: a copy of the database would let a short one be guessed.',
    },
  )
}

function locked(): VosError {
  return new VosError('store_locked', 'The sealed store is locked. Nothing was sent.', {
    hint: 'Somebody has to type its passphrase: vosctl key unlock',
  })
}

function noPassphrase(): VosError {
  return new VosError('bad_request', 'The sealed store has a key file, and no passphrase.', {
    hint: 'For a passphrase say "key: passphrase" in config.yaml, and restart the daemon.',
  })
}

/**
 * Ends a rotation that a crash has cut off: the secrets are under the new key exactly if their transaction was committed,
 * and the proof in the same transaction says so.
 */
async function settle(file: string, next: string, store: Store): Promise<void> {
  const made = await readSealingKey(next)
  if (!made) return
  if (isProved(store)(made)) {
    renameSync(next, file)
    failpoint('rotate.settled')
  } else rmSync(next, { force: true })
  syncToDisk(path.dirname(file))
}

/** Complete under its name, and its name on disk, before anything is sealed with it. */
async function writeNext(next: string): Promise<KeyObject> {
  const draft = `${next}.draft`
  rmSync(draft, { force: true })
  const bytes = await writeNewKey(draft)
  renameSync(draft, next)
  syncToDisk(path.dirname(next))
  const made = createSecretKey(bytes)
  bytes.fill(0)
  return made
}

/** @throws VosError that names the secret which cannot be opened */
function reseal(store: Store, old: KeyObject | null, made: KeyObject): void {
  for (const secret of store.connections.sealedSecrets()) {
    const binding = bindingOfSecret(secret)
    try {
      if (!old) throw new VosError('bad_key_file', 'There is no key that opens what was sealed before.')
      const clear = unsealPassword(old, secret.sealed, binding)
      store.connections.reseal(secret.id, sealPassword(made, clear, binding))
    } catch (error) {
      const why = error instanceof VosError ? error.message : 'it cannot be opened.'
      throw new VosError('no_credential', `The key was not changed, because of ${secret.name}: ${why}`, {
        hint: `Set it again, or remove it: vosctl credentials set ${secret.name}`,
      })
    }
  }
}

function bindingOfSecret(secret: SealedSecret): SealBinding {
  const keyPath = secret.credential.startsWith('key:') ? secret.credential.slice('key:'.length) : undefined
  return bindingOf(secret, keyPath)
}

const PROOF: SealBinding = { connectionId: 0, host: '', port: 0, username: 'the key itself' }

function proofOf(key: KeyObject): Buffer {
  return sealPassword(key, '', PROOF)
}

/** Is this the key of the last rotation, or of the passphrase? */
function isProved(store: Store): (key: KeyObject) => boolean {
  const proof = store.sealing.read()?.proof
  return (key) => {
    try {
      if (proof) unsealPassword(key, proof, PROOF)
      return proof !== undefined
    } catch {
      return false
    }
  }
}

function newKdf(): string {
  return JSON.stringify({ name: 'scrypt', ...COST, salt: randomBytes(16).toString('base64') })
}

async function derive(passphrase: string, kdf: string): Promise<KeyObject> {
  const { name, N, r, p, salt } = JSON.parse(kdf) as typeof COST & { readonly name: string; readonly salt: string }
  if (name !== 'scrypt' || !(N >= 2 ** 14 && N <= 2 ** 20 && r === COST.r && p === COST.p)) {
    throw new VosError('database', 'The database is damaged: how its key is made cannot be read.')
  }
  const clear = Buffer.from(passphrase, 'utf8')
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  scrypt(clear, Buffer.from(salt, 'base64'), 32, { N, r, p, maxmem: 256 * N * r }, (error, bytes) => {
    if (error) reject(error)
    else resolve(bytes)
  })
  try {
    const bytes = await promise
    const made = createSecretKey(bytes)
    bytes.fill(0)
    return made
  } finally {
    clear.fill(0)
  }
}
