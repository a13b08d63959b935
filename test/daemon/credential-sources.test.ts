import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { AuthContext, KeyboardAuthContext } from 'ssh2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isSettled } from '../../src/core/operation.ts'
import type { ConnectionInput } from '../../src/core/protocol.ts'
import { openDevice } from '../../src/daemon/devices/open.ts'
import { LentSecrets } from '../../src/daemon/lent-secrets.ts'
import { Manager } from '../../src/daemon/manager.ts'
import { RefusedError } from '../../src/daemon/refused-error.ts'
import { bindingOf, createSealedStore } from '../../src/daemon/sealed-store.ts'
import { createSecretReader } from '../../src/daemon/secrets.ts'
import { DEFAULT_SETTINGS } from '../../src/daemon/settings.ts'
import { loadSealingKey, sealPassword } from '../../src/daemon/ssh/credentials.ts'
import { toHostKey } from '../../src/daemon/ssh/host-keys.ts'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { playServer } from '../helpers/ssh-server.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'
import { until } from '../helpers/wait.ts'

const AGENT = requireTool('ssh-agent')

/** One secret for each source: what arrives at the device tells where it came from. */
const PASSWORDS = { sealed: 'from the database', helper: 'from the helper', prompt: 'from the person' } as const

let place = ''
let agentSocket = ''
let stopAgent = (): unknown => undefined
const at = (name: string) => path.join(place, name)
const fingerprintOf = (name: string) =>
  toHostKey(Buffer.from(fs.readFileSync(`${at(name)}.pub`, 'utf8').split(' ')[1] ?? '', 'base64')).fingerprint

beforeAll(async () => {
  place = fs.mkdtempSync(path.join(os.tmpdir(), 'vos-sources-'))
  for (const [name, passphrase] of [
    ['plain', ''],
    ['encrypted', 'grüße'],
    ['agent-1', ''],
    ['agent-2', ''],
    ['agent-3', ''],
  ] as const) {
    // Few rounds: what is slow for a thief is slow for a test.
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-a', '1', '-N', passphrase, '-f', at(name)])
  }
  const script = (name: string, body: string) => fs.writeFileSync(at(name), `#!/bin/sh\n${body}\n`, { mode: 0o700 })
  script(
    'good',
    `echo asked >>${at('asked')}; grep -q passphrase && echo '{"passphrase": "grüße"}' || echo '{"password": "${PASSWORDS.helper}"}'`,
  )
  script('wrong', `grep -q passphrase && echo '{"passphrase": "hush"}' || echo '{"password": "no"}'`)
  script('bad', 'exit 1')
  script('garbage', `echo '${PASSWORDS.helper}'`)
  agentSocket = at('agent.sock')
  const agent = spawn(AGENT ?? 'ssh-agent', ['-D', '-a', agentSocket], { stdio: 'ignore' })
  stopAgent = () => agent.kill('SIGKILL')
  await until('the agent listens', () => fs.existsSync(agentSocket))
  const env = { ...process.env, SSH_AUTH_SOCK: agentSocket }
  execFileSync('ssh-add', ['-q', at('agent-1'), at('agent-2'), at('agent-3')], { env })
  // What a daemon must not look at.
  process.env['SSH_AUTH_SOCK'] = agentSocket
})
afterAll(() => {
  stopAgent()
  fs.rmSync(place, { recursive: true, force: true })
})

interface Case {
  readonly source: Partial<ConnectionInput>
  /** Of the connection: sealed beforehand. */
  readonly secret?: string
  readonly lent?: string
  readonly isForeignKey?: boolean
  readonly isLocked?: boolean
  readonly agent?: string | null
  /** The one secret that may arrive, `key <fingerprint>` for a key; null for none. */
  readonly arrives: () => string | null
}

const nothing = () => null
const key = (name: string) => () => `key ${fingerprintOf(name)}`
const just = (secret: string) => () => secret

/** Every source, as it should be and in each way in which it can fail before anything is sent. */
const CASES: Readonly<Record<string, Case>> = {
  'a sealed password': { source: {}, secret: PASSWORDS.sealed, arrives: just(PASSWORDS.sealed) },
  'a sealed password under another key': { source: {}, secret: PASSWORDS.sealed, isForeignKey: true, arrives: nothing },
  'a sealed password in a locked store': { source: {}, secret: PASSWORDS.sealed, isLocked: true, arrives: nothing },
  'a sealed password that was never set': { source: { credential: 'sealed' }, arrives: nothing },
  'no credential': { source: { credential: 'none' }, arrives: nothing },
  'a helper': { source: { credential: 'helper:good' }, arrives: just(PASSWORDS.helper) },
  'a helper with a wrong password': { source: { credential: 'helper:wrong' }, arrives: just('no') },
  'a helper that fails': { source: { credential: 'helper:bad' }, arrives: nothing },
  'a helper that says garbage': { source: { credential: 'helper:garbage' }, arrives: nothing },
  'a helper that nobody knows': { source: { credential: 'helper:unknown' }, arrives: nothing },
  'a helper that is gone': { source: { credential: 'helper:gone' }, arrives: nothing },
  'a key': { source: { keyPath: 'plain' }, arrives: key('plain') },
  'a key that is gone': { source: { keyPath: 'gone' }, arrives: nothing },
  'an encrypted key, its passphrase sealed': {
    source: { keyPath: 'encrypted' },
    secret: 'grüße',
    arrives: key('encrypted'),
  },
  'an encrypted key, its passphrase of a helper': {
    source: { keyPath: 'encrypted', passphraseFrom: 'helper:good' },
    arrives: key('encrypted'),
  },
  'an encrypted key without a passphrase': { source: { keyPath: 'encrypted' }, arrives: nothing },
  'an encrypted key with a wrong passphrase': { source: { keyPath: 'encrypted' }, secret: 'hush', arrives: nothing },
  'an encrypted key in a locked store': {
    source: { keyPath: 'encrypted' },
    secret: 'grüße',
    isLocked: true,
    arrives: nothing,
  },
  'an encrypted key whose helper fails': {
    source: { keyPath: 'encrypted', passphraseFrom: 'helper:bad' },
    arrives: nothing,
  },
  'an encrypted key whose helper is wrong': {
    source: { keyPath: 'encrypted', passphraseFrom: 'helper:wrong' },
    arrives: nothing,
  },
  'a key of the agent': { source: { credential: 'agent:agent-2' }, arrives: key('agent-2') },
  'a key that the agent lacks': { source: { credential: 'agent:plain' }, arrives: nothing },
  'an agent that is not there': { source: { credential: 'agent:agent-2' }, agent: '/nowhere', arrives: nothing },
  'an agent that nobody named': { source: { credential: 'agent:agent-2' }, agent: null, arrives: nothing },
  'a typed password': { source: { credential: 'prompt' }, lent: PASSWORDS.prompt, arrives: just(PASSWORDS.prompt) },
  'a password that nobody typed': { source: { credential: 'prompt' }, arrives: nothing },
}

/** A daemon's parts, real all the way to the device, in which every other source would work. */
async function tryLogin(one: Case, methods: AuthContext['method'][], isAccepted: boolean) {
  const arrived: string[] = []
  const server = await playServer({
    methods,
    onAuthentication: (context) => {
      const answer = (secret: string) => {
        if (arrived.at(-1) !== secret) arrived.push(secret)
        if (isAccepted) context.accept()
        else context.reject(methods)
      }
      if (context.method === 'password') answer(context.password)
      else if (context.method === 'publickey') answer(`key ${toHostKey(context.key.data).fingerprint}`)
      else {
        const asked = context as KeyboardAuthContext
        asked.prompt([{ prompt: 'Password: ', echo: false }], ([given = '']) => answer(given))
      }
    },
  })
  const directory = temporaryDirectory()
  const store = new Store(openDatabase(path.join(directory, 'vosctl.db')), (error) => expect.fail(error.message))
  const { connections, operations } = store
  const sealingKey = await loadSealingKey(path.join(directory, 'key'))
  const add = (name: string, source: Partial<ConnectionInput>, secret?: string, by = sealingKey): number =>
    store.write(() => {
      const login = { name, host: '127.0.0.1', port: server.port, username: 'admin', platform: 'linux' } as const
      const connection = connections.add({ ...login, ...source, timings: { shellMs: 500, commandMs: 500 } }, 0)
      connections.pin(connection.id, server.hostKey)
      if (secret !== undefined) {
        connections.setSealedPassword(connection.id, sealPassword(by, secret, bindingOf(connection, source.keyPath)))
      }
      return connection.id
    })
  const source = {
    ...one.source,
    ...(one.source.keyPath === undefined ? {} : { keyPath: at(one.source.keyPath) }),
    ...(one.source.credential?.startsWith('agent:')
      ? { credential: `agent:${fingerprintOf(one.source.credential.slice('agent:'.length))}` }
      : {}),
  }
  const foreign = one.isForeignKey ? await loadSealingKey(path.join(directory, 'foreign')) : undefined
  const id = add('lab', source, one.secret, foreign)
  // The same device by another name, with a password that would do.
  add('twin', {}, 'of the twin')
  const lent = new LentSecrets()
  const helpers = Object.fromEntries(
    ['good', 'wrong', 'bad', 'garbage', 'gone'].map((name) => [name, [at(name)] as const]),
  )
  const settings = { ...DEFAULT_SETTINGS, helpers, agent: one.agent === undefined ? agentSocket : one.agent }
  const provider = one.isLocked ? 'passphrase' : 'file'
  const sealed = createSealedStore({ store, provider, configDirectory: directory })
  const told: string[] = []
  const { read, missing } = createSecretReader({ store, sealed, settings, lent })
  const manager = new Manager({
    store,
    openDevice: (request) =>
      openDevice({ ...request, readSecret: () => read({ ...request, conceal: (secret) => told.push(secret) }) }),
    now: Date.now,
    log: () => undefined,
    missing,
    lent,
  })
  fs.rmSync(at('asked'), { force: true })
  const requestId = randomUUID()
  if (one.lent !== undefined) lent.lend(requestId, connections.get(id), one.lent)
  // For another connection, and for another request.
  lent.lend(requestId, { ...connections.get(id), id: id + 1 }, 'lent to another connection')
  lent.lend(randomUUID(), connections.get(id), 'lent to another request')
  let code: string | undefined
  try {
    const [operation] = manager.start({
      requestId,
      operationType: 'ssh_test',
      connectionIds: [id],
      createdBy: 'a',
    }).operations
    const ended = await until('it has ended', () => {
      const now = manager.get(operation?.id ?? '')
      return isSettled(now) ? now : null
    })
    code = ended.error?.code
    expect(lent.find(ended.id, connections.get(id))).toBeUndefined()
    expect(JSON.stringify([ended, operations.events(ended.id, 0, 100)])).not.toMatch(/from the|grüße|hush|lent to/)
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error
    code = error.code
  }
  const hold = operations.loginHold(`127.0.0.1:${server.port}`, 'admin')
  manager.stopSweeping()
  await server.isEmpty()
  await server.close()
  store.close()
  const timesAsked = fs.existsSync(at('asked')) ? fs.readFileSync(at('asked'), 'utf8').trim().split('\n').length : 0
  return { arrived, requests: server.requests, code, hold, timesAsked, told }
}

const OFFERS: readonly AuthContext['method'][][] = [
  ['password', 'keyboard-interactive', 'publickey'],
  ['publickey', 'password'],
]
const GRID = Object.entries(CASES).flatMap(([name, one]) => [
  ...OFFERS.map((methods) => [name, one, methods, false] as const),
  [name, one, OFFERS[0] ?? [], true] as const,
])

describe.skipIf(!AGENT)('whatever a source does', () => {
  it.each(GRID)(
    '%s: one attempt with its own secret at most, no other source, no hold without an attempt',
    async (_, one, methods, isAccepted) => {
      const { arrived, requests, code, hold, timesAsked, told } = await tryLogin(one, methods, isAccepted)
      const expected = one.arrives()
      // A password that is sent was concealed before, and so was the passphrase of a key.
      const isOpened = expected?.startsWith('key ') && one.source.keyPath === 'encrypted'
      if (isOpened) expect(told).toEqual(['grüße'])
      else if (expected !== null && !expected.startsWith('key ')) expect(told).toEqual([expected])
      expect(arrived).toEqual(expected === null ? [] : [expected])
      // What SSH counts: a key is shown, then used; a password is one request.
      const attempts = requests.filter((method) => method !== 'none')
      expect(new Set(attempts).size).toBe(expected === null ? 0 : 1)
      expect(attempts.length).toBeLessThanOrEqual(expected?.startsWith('key ') && isAccepted ? 2 : 1)
      if (expected === null) {
        expect(['no_credential', 'bad_key_file', 'store_locked', 'needs_answer']).toContain(code)
        expect(hold).toBeNull()
      } else if (!isAccepted) {
        expect(code).toBe('login_refused')
        expect(hold).not.toBeNull()
      } else expect(hold).toBeNull()
      const isHelper = [one.source.credential, one.source.passphraseFrom].includes('helper:good')
      expect(timesAsked).toBe(isHelper ? 1 : 0)
    },
  )
})
