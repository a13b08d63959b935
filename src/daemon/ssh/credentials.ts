import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { constants } from 'node:fs'
import { link, open, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import ssh2, { type ParsedKey } from 'ssh2'
import { VosError } from '../../core/errors.ts'
import { oneLine } from '../../core/text.ts'
import { makeDirectory, syncToDisk } from '../directory.ts'
import { failpoint } from '../failpoint.ts'
import { distrust } from '../trusted-file.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Format of a sealed password: this byte, the nonce, the ciphertext, the tag. */
const VERSION = 1
const MAX_PRIVATE_KEY_BYTES = 64 * 1024

/** What a sealed password belongs to. It opens for exactly this: a row copied to another device stays shut. */
export interface SealBinding {
  readonly connectionId: number
  readonly host: string
  readonly port: number
  readonly username: string
  /** Of the passphrase of a key file: its path. Without it the secret is a password, and neither opens as the other. */
  readonly keyPath?: string
}

/**
 * The key that seals passwords, from a file of its own outside the state directory: a backup of the state is worth nothing
 * without it. Made on first use.
 * @throws VosError `bad_key_file` when the file is not ours alone, or is no key
 */
export async function loadSealingKey(path: string): Promise<KeyObject> {
  checkDirectory(dirname(path))
  const bytes = (await readKey(path)) ?? (await makeKey(path))
  // One that is found may have been made by a daemon that was killed before its name was on disk.
  syncToDisk(dirname(path))
  return toKey(bytes)
}

/**
 * A sealing key that somebody else has made, a supervisor say; null when there is none.
 * @throws VosError `bad_key_file`
 */
export async function readSealingKey(path: string, check: typeof checkFile = checkFile): Promise<KeyObject | null> {
  const bytes = await readKey(path, check)
  return bytes && toKey(bytes)
}

/** systemd hands a file over that is root's or ours, and that only we may read, by its mode or by an access list. */
export async function checkHandedOver(file: FileHandle, path: string): Promise<{ readonly size: number }> {
  const found = await file.stat()
  const isOurs = found.uid === process.geteuid?.() || found.uid === 0
  if (!found.isFile() || !isOurs || (found.mode & 0o037) !== 0) {
    throw badKeyFile(`${path} is not a key that systemd has handed over to this user alone.`, 'Look at the unit.')
  }
  refuseUntrusted(path)
  return found
}

function toKey(bytes: Buffer): KeyObject {
  try {
    return createSecretKey(bytes)
  } finally {
    bytes.fill(0)
  }
}

/** Seals under a fresh nonce: two sealings of one password differ. */
export function sealPassword(key: KeyObject, password: string, binding: SealBinding): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(toAad(binding))
  const clear = Buffer.from(password, 'utf8')
  try {
    return Buffer.concat([Buffer.of(VERSION), nonce, cipher.update(clear), cipher.final(), cipher.getAuthTag()])
  } finally {
    clear.fill(0)
  }
}

/** @throws VosError `no_credential` when the key, the binding or the bytes are not those of the sealing */
export function unsealPassword(key: KeyObject, sealed: Uint8Array, binding: SealBinding): string {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  if (bytes[0] !== VERSION || bytes.length < 1 + NONCE_BYTES + TAG_BYTES) throw cannotOpen(binding)
  const nonce = bytes.subarray(1, 1 + NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(toAad(binding))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  const clear = decipher.update(bytes.subarray(1 + NONCE_BYTES, -TAG_BYTES))
  try {
    decipher.final()
    return clear.toString('utf8')
  } catch {
    throw cannotOpen(binding)
  } finally {
    clear.fill(0)
  }
}

/**
 * A private key, read at the moment of use. A link is followed; the file behind it must be ours and nobody else's.
 * @throws VosError `bad_key_file`
 */
export async function readPrivateKey(path: string): Promise<Buffer> {
  return (await openPrivateKey(path)).privateKey
}

/**
 * The same, for a key that may be encrypted.
 * @throws VosError `bad_key_file`, also when the passphrase is not the right one; `no_credential` when it needs one
 */
export async function openPrivateKey(
  path: string,
  passphrase?: string,
): Promise<{ readonly privateKey: Buffer; readonly key: ParsedKey }> {
  const file = await openToRead(path, 0)
  if (!file) throw badKeyFile(`There is no key file ${path}.`, 'Name an existing private key file.')
  try {
    const { size } = await checkFile(file, path)
    if (size > MAX_PRIVATE_KEY_BYTES) throw badKeyFile(`${path} is too long for a private key.`, 'Name a private key.')
    const bytes = await file.readFile()
    const key = ssh2.utils.parseKey(bytes, passphrase)
    if (!(key instanceof Error) && key.isPrivateKey()) return { privateKey: bytes, key }
    bytes.fill(0)
    throw unusable(path, key instanceof Error ? key.message : 'it is a public key', passphrase !== undefined)
  } finally {
    await file.close()
  }
}

function unusable(path: string, why: string, isOpened: boolean): VosError {
  if (isOpened && /integrity|bad passphrase|decrypt|malformed/i.test(why)) {
    return badKeyFile(
      `The passphrase of ${path} is not the right one.`,
      'Set it again: vosctl credentials set <target>',
    )
  }
  if (/encrypted/i.test(why)) {
    return badKeyFile(
      `The private key ${path} is protected by a passphrase, and nobody has said which.`,
      'Seal it: vosctl credentials set <target>. Or name a helper: vosctl connections edit <target> --passphrase-from helper:<helper>. ' +
        'Or make a key for vosctl alone, without one: ssh-keygen -t ed25519 -N "" -f …',
    )
  }
  return badKeyFile(
    `${path} holds no private key that can be used: ${oneLine(why)}.`,
    'Name an OpenSSH or PEM private key.',
  )
}

/** JSON keeps the fields apart, whatever they hold. */
function toAad({ connectionId, host, port, username, keyPath }: SealBinding): Buffer {
  const login = [VERSION, connectionId, host, port, username]
  const words = keyPath === undefined ? ['vosctl password', ...login] : ['vosctl passphrase', ...login, keyPath]
  return Buffer.from(JSON.stringify(words), 'utf8')
}

function cannotOpen({ username, host, port, keyPath }: SealBinding): VosError {
  return new VosError(
    'no_credential',
    `The stored ${keyPath === undefined ? 'password' : 'passphrase'} of ${username} at ${host}:${port} cannot be opened: it was sealed for another device, or with another key.`,
    { hint: 'Enter it again: vosctl credentials set <target>' },
  )
}

function badKeyFile(message: string, hint: string): VosError {
  return new VosError('bad_key_file', message, { hint })
}

/** @throws VosError `bad_key_file` when somebody else could put another one in its place */
function refuseUntrusted(path: string): void {
  const wrong = distrust(path)
  if (wrong !== null)
    throw badKeyFile(`${path} cannot be trusted: ${wrong}.`, 'Make it, and the way to it, yours alone.')
}

/** Whoever can write in the directory can put another key there. */
function checkDirectory(path: string): void {
  makeDirectory(path)
  refuseUntrusted(path)
}

async function readKey(path: string, check: typeof checkFile = checkFile): Promise<Buffer | null> {
  const file = await openToRead(path, constants.O_NOFOLLOW)
  if (!file) return null
  try {
    const { size } = await check(file, path)
    if (size !== KEY_BYTES) {
      throw badKeyFile(
        `The sealing key ${path} has ${size} bytes and not ${KEY_BYTES}.`,
        'Restore it from a backup. If there is none: remove it, and set the credentials again.',
      )
    }
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** @throws the system's error when the file is there already */
export async function writeNewKey(path: string): Promise<Buffer> {
  const bytes = randomBytes(KEY_BYTES)
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  return bytes
}

/** Written under another name and linked: the key appears complete or not at all, and never over another one. */
async function makeKey(path: string): Promise<Buffer> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  const bytes = await writeNewKey(draft)
  try {
    failpoint('key.written')
    await link(draft, path)
    failpoint('key.linked')
  } catch (error) {
    // Another daemon was faster, and its key is the key.
    const theirs = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await readKey(path) : null
    if (!theirs) throw error
    return theirs
  } finally {
    await unlink(draft)
  }
  return bytes
}

/** Null when there is no such file. Never waits, not even for a pipe. */
async function openToRead(path: string, flags: number): Promise<FileHandle | null> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | flags)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    if (code === 'ELOOP') throw badKeyFile(`${path} is a symbolic link.`, 'Put the key itself there.')
    throw badKeyFile(
      `The key file ${path} cannot be read: ${code ?? 'unknown error'}.`,
      'Check its owner and its mode.',
    )
  }
}

async function checkFile(file: FileHandle, path: string): Promise<{ readonly size: number }> {
  const found = await file.stat()
  if (!found.isFile()) throw badKeyFile(`${path} is not a file.`, 'Name a private key file.')
  if (found.uid !== process.geteuid?.()) {
    throw badKeyFile(`The key file ${path} belongs to another user.`, 'Use a key that is your own.')
  }
  if ((found.mode & 0o077) !== 0) {
    throw badKeyFile(`Other users may read the key file ${path}.`, `Make it yours alone: chmod 600 ${path}`)
  }
  refuseUntrusted(path)
  return found
}

/**
 * A file that holds a key of another kind: ours, and nobody else's.
 * @throws VosError `bad_key_file`
 */
export async function readOwnFile(path: string, maxBytes: number): Promise<Buffer> {
  const file = await openToRead(path, 0)
  if (!file) throw badKeyFile(`There is no key file ${path}.`, 'Name an existing private key file.')
  try {
    const { size } = await checkFile(file, path)
    if (size > maxBytes) throw badKeyFile(`${path} is too long for a private key.`, 'Name a private key.')
    return await file.readFile()
  } finally {
    await file.close()
  }
}
