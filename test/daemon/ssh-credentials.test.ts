import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  loadSealingKey,
  readPrivateKey,
  sealPassword,
  unsealPassword,
  type SealBinding,
} from '../../src/daemon/ssh/credentials.ts'
import { rejection } from '../helpers/rejection.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const isRoot = process.getuid?.() === 0
const BINDING: SealBinding = { connectionId: 3, host: 'cucm-pub', port: 22, username: 'admin' }

const newKey = () => loadSealingKey(join(temporaryDirectory(), 'vosctl', 'key'))
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)

describe('the sealing key', () => {
  it('is made on first use, readable for us alone, and is the same afterwards', async () => {
    const path = join(temporaryDirectory(), 'deep', 'vosctl', 'key')
    const key = await loadSealingKey(path)
    expect(statSync(path).size).toBe(32)
    expect(mode(path)).toBe('600')
    expect(mode(join(path, '..'))).toBe('700')
    expect((await loadSealingKey(path)).equals(key)).toBe(true)
    expect(readdirSync(join(path, '..'))).toEqual(['key'])
  })

  it('is one key when several ask for it at the same time', async () => {
    const path = join(temporaryDirectory(), 'key')
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadSealingKey(path)))
    expect(keys.every((key) => keys[0]?.equals(key))).toBe(true)
    expect(readdirSync(join(path, '..'))).toEqual(['key'])
  })

  const write = (bytes: number, permissions: number): string => {
    const path = join(temporaryDirectory(), 'key')
    writeFileSync(path, Buffer.alloc(bytes, 7))
    chmodSync(path, permissions)
    return path
  }

  it.each([0, 31, 33])('is refused with a length of %i bytes, and left alone', async (bytes) => {
    const path = write(bytes, 0o600)
    const error = await rejection(loadSealingKey(path))
    expect(error.code).toBe('bad_key_file')
    expect(error.message).toContain(`has ${bytes} bytes`)
    expect(readFileSync(path)).toEqual(Buffer.alloc(bytes, 7))
  })

  it.each([0o640, 0o604, 0o660])('is refused when others may use it: %o', async (permissions) => {
    expect((await rejection(loadSealingKey(write(32, permissions)))).code).toBe('bad_key_file')
  })

  it('is refused when it is a link, even to a good key', async () => {
    const path = write(32, 0o600)
    symlinkSync(path, `${path}-link`)
    const error = await rejection(loadSealingKey(`${path}-link`))
    expect(error.code).toBe('bad_key_file')
    expect(error.message).toContain('symbolic link')
  })

  it('is refused when it is a pipe, without waiting for a writer', async () => {
    const path = join(temporaryDirectory(), 'key')
    execFileSync('mkfifo', ['-m', '600', path])
    expect((await rejection(loadSealingKey(path))).code).toBe('bad_key_file')
  })

  it('is refused in a directory where others may write', async () => {
    const directory = join(temporaryDirectory(), 'open')
    mkdirSync(directory)
    chmodSync(directory, 0o777)
    expect((await rejection(loadSealingKey(join(directory, 'key')))).code).toBe('bad_key_file')
    expect(existsSync(join(directory, 'key'))).toBe(false)
  })

  it.skipIf(!isRoot)('is refused when it belongs to somebody else', async () => {
    const path = write(32, 0o600)
    chownSync(path, 65534, 65534)
    const error = await rejection(loadSealingKey(path))
    expect(error.code).toBe('bad_key_file')
    expect(error.message).toContain('another user')
  })
})

describe('a sealed password', () => {
  it('opens again, whatever it holds', async () => {
    const key = await newKey()
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (password) => {
        expect(unsealPassword(key, sealPassword(key, password, BINDING), BINDING)).toBe(password)
      }),
    )
  })

  it('never looks the same twice, and does not hold the password', async () => {
    const key = await newKey()
    const sealed = Array.from({ length: 50 }, () => sealPassword(key, 'correct horse', BINDING))
    expect(new Set(sealed.map((bytes) => bytes.toString('hex'))).size).toBe(50)
    expect(sealed.every((bytes) => bytes[0] === 1 && !bytes.includes('horse'))).toBe(true)
  })

  it.each<[string, Partial<SealBinding>]>([
    ['another connection', { connectionId: 4 }],
    ['another host', { host: 'cucm-sub' }],
    ['another port', { port: 2222 }],
    ['another user', { username: 'root' }],
    ['fields that only look alike when glued together', { host: 'cucm-pub2', port: 2 }],
  ])('does not open for %s', async (_, change) => {
    const key = await newKey()
    const sealed = sealPassword(key, 'secret', BINDING)
    expect(() => unsealPassword(key, sealed, { ...BINDING, ...change })).toThrow(
      expect.objectContaining({
        code: 'no_credential',
        hint: expect.stringContaining('vosctl credentials set') as string,
      }),
    )
  })

  it('does not open with another key', async () => {
    const sealed = sealPassword(await newKey(), 'secret', BINDING)
    const other = await newKey()
    expect(() => unsealPassword(other, sealed, BINDING)).toThrow(expect.objectContaining({ code: 'no_credential' }))
  })

  it('does not open when a single bit of it was changed, or when it was cut', async () => {
    const key = await newKey()
    const sealed = sealPassword(key, 'secret', BINDING)
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ 1
      for (const bytes of [changed, sealed.subarray(0, at)]) {
        expect(() => unsealPassword(key, bytes, BINDING)).toThrow(expect.objectContaining({ code: 'no_credential' }))
      }
    }
  })
})

describe('a private key file', () => {
  const keygen = (...options: string[]): string => {
    const path = join(temporaryDirectory(), 'id')
    execFileSync('ssh-keygen', ['-q', '-C', 'test', '-f', path, ...options])
    return path
  }

  it.each(['ed25519', 'ecdsa', 'rsa'])('of type %s is read', async (type) => {
    const path = keygen('-t', type, ...(type === 'rsa' ? ['-b', '2048'] : []), '-N', '')
    expect(await readPrivateKey(path)).toEqual(readFileSync(path))
  })

  it('is refused with a passphrase, and the error says what to do', async () => {
    const error = await rejection(readPrivateKey(keygen('-t', 'ed25519', '-N', 'hush')))
    expect(error.code).toBe('bad_key_file')
    expect(error.message).toContain('passphrase')
    expect(error.hint).toContain('ssh-keygen')
  })

  it('is refused when it is the public half, something else, too long, a directory, or not there', async () => {
    const path = keygen('-t', 'ed25519', '-N', '')
    const directory = join(path, '..')
    chmodSync(`${path}.pub`, 0o600)
    writeFileSync(join(directory, 'other'), 'hello \u001b[2J', { mode: 0o600 })
    writeFileSync(join(directory, 'long'), Buffer.alloc(100_000), { mode: 0o600 })
    for (const file of [
      `${path}.pub`,
      join(directory, 'other'),
      join(directory, 'long'),
      directory,
      join(directory, 'none'),
    ]) {
      expect((await rejection(readPrivateKey(file))).code).toBe('bad_key_file')
    }
  })

  it('is refused when others may read it', async () => {
    const path = keygen('-t', 'ed25519', '-N', '')
    chmodSync(path, 0o644)
    const error = await rejection(readPrivateKey(path))
    expect(error.code).toBe('bad_key_file')
    expect(error.hint).toContain('chmod 600')
  })
})
