import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { EXIT_TABLE, VosError } from '../../../src/core/errors.ts'
import { loadSealingKey, readPrivateKey } from '../../../src/daemon/ssh/credentials.ts'
import { killGroup } from '../arena.ts'
import { faultyDaemon } from '../build.ts'
import { Random } from '../random.ts'
import type { Rig } from '../rig.ts'
import { mutate } from './mutate.ts'
import { SAFE } from './target.ts'

/** One case in so many starts a daemon, because a process is what it costs. */
const ONE_IN_IS_A_DAEMON = 40
const START_MS = 20_000

const MODES = [0o600, 0o600, 0o400, 0o644, 0o660, 0o000]
const WORDS = ['--state-dir', '--config-dir', '--state-source', 'env', '--auto', '--version', '--', '-x', '--bogus', '']
const PLACES = [
  'state',
  '',
  '.',
  '/dev/null',
  '/proc/x/y',
  '/dev/full/x',
  'dangling/x',
  'x'.repeat(300),
  'a\nb',
  '\u001b[2J',
  '~',
]

/**
 * The sealing key, private keys and the daemon's arguments: taken as they are, or refused with a sentence. A key that is
 * there is never written over, and no secret is ever in a sentence.
 */
const run: Rig = async ({ cases, seed }) => {
  const directory = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'vosf-'))
  try {
    const random = new Random(seed)
    const violations: string[] = []
    const counts = { 'sealing keys': 0, 'private keys': 0, daemons: 0 }
    const keys = privateKeys()
    for (let index = 0; index < cases && violations.length < 5; index++) {
      const [kind, attack] =
        index % ONE_IN_IS_A_DAEMON === 0
          ? (['daemons', () => startDaemon(directory, random, index / ONE_IN_IS_A_DAEMON)] as const)
          : random.below(2) === 0
            ? (['sealing keys', () => trySealingKey(directory, random)] as const)
            : (['private keys', () => tryPrivateKey(directory, keys, random)] as const)
      counts[kind]++
      violations.push(...(await attack()).map((what) => `seed ${seed}, case ${index}, ${kind}: ${what}`))
    }
    return { cases, violations, facts: counts }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function trySealingKey(directory: string, random: Random): Promise<string[]> {
  const place = path.join(directory, 'config')
  const file = path.join(place, 'key')
  mkdirSync(place, { mode: 0o700 })
  try {
    const bytes = put(file, Buffer.alloc(random.pick([0, 1, 31, 32, 32, 32, 33, 4096]), 1 + random.below(255)), random)
    const found = await outcome(() => loadSealingKey(file))
    const after = statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file) : null
    if (found instanceof Error)
      return [...complain(found, bytes), ...(isKept(bytes, after) ? [] : ['the key file was changed'])]
    const isRight =
      isOurs(file) && after !== null && found.export().equals(after) && after.length === 32 && isKept(bytes, after)
    return isRight ? [] : ['a key was taken that is not the one in the file, or that others may read']
  } finally {
    chmodSync(place, 0o700)
    rmSync(place, { recursive: true })
  }
}

async function tryPrivateKey(directory: string, keys: readonly Buffer[], random: Random): Promise<string[]> {
  const file = path.join(directory, 'id')
  try {
    const key = random.pick(keys)
    const words = ['-----BEGIN', 'ENCRYPTED', '\n', '=', 'Proc-Type: 4,ENCRYPTED\n', '\0'].map((word) =>
      Buffer.from(word),
    )
    const bytes = put(file, random.below(4) === 0 ? key : Buffer.from(mutate(key, words, keys, random)), random)
    const found = await outcome(() => readPrivateKey(file))
    if (found instanceof Error) return complain(found, bytes)
    return isOurs(file) && bytes && found.equals(bytes)
      ? []
      : ['something else was read than is in the file, or others may read it']
  } finally {
    rmSync(file, { recursive: true, force: true })
  }
}

/** Something at this place: mostly a file with these bytes. Returns what a reader must find, null when it is no file. */
function put(file: string, bytes: Buffer, random: Random): Buffer | null {
  switch (random.below(12)) {
    case 0:
      mkdirSync(file)
      return null
    case 1:
      symlinkSync('/nowhere', file)
      return null
    case 2:
      return null
    default:
      writeFileSync(file, bytes)
      chmodSync(file, random.pick(MODES))
      return bytes
  }
}

function isOurs(file: string): boolean {
  return (statSync(file).mode & 0o077) === 0
}

function isKept(before: Buffer | null, after: Buffer | null): boolean {
  return before === null || (after?.equals(before) ?? false)
}

async function outcome<T>(work: () => Promise<T>): Promise<T | Error> {
  try {
    return await work()
  } catch (error) {
    return error as Error
  }
}

function complain(error: Error, secret: Buffer | null): string[] {
  if (!(error instanceof VosError) || error.code !== 'bad_key_file') return [`thrown: ${error.stack ?? error.message}`]
  const words = `${error.message} ${error.hint}`
  if (error.hint === '' || !SAFE.test(words)) return [`refused with ${JSON.stringify(words)}`]
  const lines = secret?.toString('latin1').split('\n') ?? []
  return lines.some((line) => line.length > 20 && words.includes(line)) ? [`a part of the key is in: ${words}`] : []
}

function privateKeys(): Buffer[] {
  const pem = { type: 'pkcs1', format: 'pem' } as const
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  return [
    Buffer.from(rsa.privateKey.export(pem)),
    Buffer.from(ec.privateKey.export({ type: 'sec1', format: 'pem' })),
    Buffer.from(rsa.publicKey.export(pem)),
    Buffer.from(rsa.privateKey.export({ ...pem, cipher: 'aes-256-cbc', passphrase: 'x' })),
  ]
}

/** A daemon that is started wrongly ends soon and says why; one that is started well has made its house where it was told to. */
async function startDaemon(directory: string, random: Random, count: number): Promise<string[]> {
  const place = mkdtempSync(path.join(directory, 'd-'))
  symlinkSync('/nowhere/at/all', path.join(place, 'dangling'))
  const args = Array.from({ length: random.below(3) }, () => random.pick(WORDS))
  args.splice(random.below(args.length + 1), 0, `--state-dir=${PLACES[count % PLACES.length]}`)
  const child = spawn(process.execPath, [await faultyDaemon(), ...args], {
    cwd: place,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let words = ''
  const isUp = Promise.withResolvers<void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => (words += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words += text
    if (words.includes(' listens on ')) isUp.resolve()
  })
  const ended = once(child, 'close')
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), START_MS)
  try {
    const isLate = once(late.signal, 'abort').then(() => 'late' as const)
    if ((await Promise.race([isUp.promise, ended, isLate])) === 'late')
      return [`neither up nor ended: ${args.join(' ')}`]
    if (words.includes(' listens on ')) child.kill('SIGTERM')
    const status = (await ended)[0] as number | null
    const broken: string[] = []
    if (!EXIT_TABLE.some((each) => each.status === status && each.name !== 'bug')) broken.push(`ended with ${status}`)
    if (/^\s+at /m.test(words)) broken.push('there is a stack trace')
    if (existsSync(path.join(place, 'run')) && !args.includes('--state-dir=.'))
      broken.push('it lives where it was started')
    return broken.map((what) => `${JSON.stringify(args)}: ${what}: ${words.slice(0, 800)}`)
  } finally {
    clearTimeout(timer)
    killGroup(child)
    rmSync(place, { recursive: true, force: true })
  }
}

export default run
