import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import ssh2, { type PublicKeyAuthContext } from 'ssh2'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { findAgentKey } from '../../src/daemon/ssh/agent.ts'
import { SshSession } from '../../src/daemon/ssh/session.ts'
import { rejection } from '../helpers/rejection.ts'
import { playServer, QUICK, toTarget, type PlayedServer } from '../helpers/ssh-server.ts'
import { SSHD, startSshd, type TestSshd } from '../helpers/sshd.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'
import { accepts, until } from '../helpers/wait.ts'

const MODERN = { algorithms: 'modern', algorithmsUntil: null, acceptNew: false } as const

const AGENT = requireTool('ssh-agent')
const ADD = requireTool('ssh-add')
const signal = new AbortController().signal

let keys = ''
beforeAll(() => {
  keys = fs.mkdtempSync(path.join(os.tmpdir(), 'vos-keys-'))
  for (const type of ['ed25519', 'ecdsa', 'rsa']) {
    const bits = type === 'rsa' ? ['-b', '2048'] : []
    execFileSync('ssh-keygen', ['-q', '-t', type, ...bits, '-N', '', '-C', type, '-f', path.join(keys, type)])
  }
})
afterAll(() => fs.rmSync(keys, { recursive: true, force: true }))

interface TestAgent {
  readonly socket: string
  readonly fingerprint: (type: string) => string
}

/** A real ssh-agent that holds three keys; with `askpass` it asks that program before it signs. */
async function startAgent(options: { readonly askpass?: string; readonly also?: string } = {}): Promise<TestAgent> {
  const directory = temporaryDirectory()
  const socket = path.join(directory, 'agent.sock')
  const env = { PATH: process.env['PATH'], SSH_ASKPASS: options.askpass, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' }
  const agent = spawn(AGENT ?? 'ssh-agent', ['-D', '-a', socket], { env, stdio: 'ignore' })
  onTestFinished(() => void agent.kill('SIGKILL'))
  await until('the agent listens', () => accepts(socket))
  const add = (...words: string[]) =>
    void execFileSync(ADD ?? 'ssh-add', ['-q', ...words], { env: { ...process.env, SSH_AUTH_SOCK: socket } })
  const confirm = options.askpass ? ['-c'] : []
  add(...confirm, ...['ed25519', 'ecdsa', 'rsa'].map((type) => path.join(keys, type)))
  if (options.also) add(options.also)
  return { socket, fingerprint: (type) => fingerprintOf(path.join(keys, type)) }
}

/** As ssh-keygen says it: an independent judge of our own. */
function fingerprintOf(file: string): string {
  return execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' }).split(' ')[1] ?? ''
}

/** Every publickey request that reached the server: which key, and whether it was signed and rightly so. */
async function meet(isAccepted: (signed: boolean) => boolean = () => true) {
  const seen: { readonly fingerprint: string; readonly signed: boolean; readonly isRight: boolean | null }[] = []
  const server: PlayedServer = await playServer({
    methods: ['publickey', 'password'],
    onAuthentication: (context) => {
      const { key, signature, blob, hashAlgo } = context as PublicKeyAuthContext
      const parsed = ssh2.utils.parseKey(key.data)
      const isRight = signature && !(parsed instanceof Error) && blob ? parsed.verify(blob, signature, hashAlgo) : null
      const digest = createHash('sha256').update(key.data).digest('base64')
      const fingerprint = `SHA256:${digest.replace(/=+$/, '')}`
      seen.push({ fingerprint, signed: signature !== undefined, isRight })
      if (isAccepted(signature !== undefined) && isRight !== false) context.accept()
      else context.reject(['publickey', 'password'])
    },
  })
  onTestFinished(() => server.close())
  const session = await SshSession.connect(toTarget(server), signal)
  onTestFinished(() => session.close())
  return { server, session, seen }
}

const login = async (session: SshSession, socket: string, fingerprint: string) => {
  const key = await findAgentKey(socket, fingerprint, 'lab', signal, 2000)
  await session.authenticate({ type: 'agent', key }, session.methodFor('agent'))
}

describe.skipIf(!AGENT || !ADD)('a key of an agent that holds three', () => {
  it.each(['ed25519', 'ecdsa', 'rsa'])(
    'of type %s logs in with one request, and no other key is shown',
    async (type) => {
      const agent = await startAgent()
      const { server, session, seen } = await meet()
      await login(session, agent.socket, agent.fingerprint(type))
      const fingerprint = agent.fingerprint(type)
      // SSH asks whether the key is welcome before it is used.
      expect(seen).toEqual([
        { fingerprint, signed: false, isRight: null },
        { fingerprint, signed: true, isRight: true },
      ])
      expect(server.requests).toEqual(['none', 'publickey', 'publickey'])
    },
  )

  it('that is refused is one request: none of the two others is tried, and no password', async () => {
    const agent = await startAgent()
    const { server, session, seen } = await meet(() => false)
    const error = await rejection(login(session, agent.socket, agent.fingerprint('ecdsa')))
    expect(error.code).toBe('login_refused')
    expect(seen).toEqual([{ fingerprint: agent.fingerprint('ecdsa'), signed: false, isRight: null }])
    expect(server.requests).toEqual(['none', 'publickey'])
  })

  it('that is refused after its signature is one attempt too', async () => {
    const agent = await startAgent()
    const { seen, session } = await meet((signed) => !signed)
    expect((await rejection(login(session, agent.socket, agent.fingerprint('rsa')))).code).toBe('login_refused')
    expect(seen.map(({ signed }) => signed)).toEqual([false, true])
  })

  it('that it does not hold is not replaced by one that it does: nothing is sent', async () => {
    const agent = await startAgent()
    const { server, session } = await meet()
    const error = await rejection(login(session, agent.socket, `SHA256:${'A'.repeat(43)}`))
    expect(error.code).toBe('no_credential')
    expect(error.message).toContain(`it does not hold the key SHA256:${'A'.repeat(43)}. Nothing was sent.`)
    expect(server.requests).toEqual(['none'])
  })

  it('that a person must confirm, and does not, signs nothing', async () => {
    const agent = await startAgent({ askpass: '/bin/false' })
    const { server, session, seen } = await meet()
    const error = await rejection(login(session, agent.socket, agent.fingerprint('ed25519')))
    expect(error.code).toBe('no_credential')
    expect(error.message).toContain('it refused')
    expect(seen.map(({ signed }) => signed)).toEqual([false])
    expect(server.requests).toEqual(['none', 'publickey'])
  })

  it('is not used where the server takes no key at all', async () => {
    const agent = await startAgent()
    const server = await playServer({ methods: ['password'] })
    onTestFinished(() => server.close())
    const session = await SshSession.connect(toTarget(server), signal)
    onTestFinished(() => session.close())
    expect((await rejection(login(session, agent.socket, agent.fingerprint('rsa')))).message).toContain(
      'offers password to admin, and a key needs publickey',
    )
    expect(server.requests).toEqual(['none'])
  })

  it('that the server can take no signature of says that nothing was sent', async () => {
    const agent = await startAgent()
    const { server, session } = await meet()
    // What ssh2 takes from the server's list of signatures, which would be empty of those that RSA can make.
    const key = await findAgentKey(agent.socket, agent.fingerprint('rsa'), 'lab', signal)
    const strange = { ...key, blob: Buffer.from('no key at all') }
    const error = await rejection(session.authenticate({ type: 'agent', key: strange }, 'publickey'))
    expect(error.message).toContain('Nothing was sent.')
    expect(server.requests).toEqual(['none'])
  })
})

describe.skipIf(!AGENT || !SSHD)("OpenSSH's own server", () => {
  let sshd: TestSshd
  beforeAll(async () => {
    sshd = await startSshd()
  })
  afterAll(() => sshd.stop())

  it('counts one attempt by an agent with four keys, of which the last one may log in', async () => {
    const agent = await startAgent({ also: sshd.keyPath })
    const target = { ...sshd, ...MODERN, name: 'web', timings: QUICK } as const
    const session = await SshSession.connect(target, signal)
    onTestFinished(() => session.close())
    await login(session, agent.socket, fingerprintOf(sshd.keyPath))
    const { stdout } = await session.exec(['id', '-un'])
    expect(stdout.trim()).toBe(sshd.username)
    await until('sshd has logged it', () => sshd.log().includes('Accepted publickey'))
    expect(sshd.log()).not.toContain('Failed publickey')
    expect(sshd.log().match(/Accepted key|Accepted publickey/g)).not.toBeNull()
  })

  it('sees one failure, and no more, when the named key is not the one that may', async () => {
    const agent = await startAgent({ also: sshd.keyPath })
    const before = sshd.log().match(/Failed publickey/g)?.length ?? 0
    const target = { ...sshd, ...MODERN, name: 'web', timings: QUICK } as const
    const session = await SshSession.connect(target, signal)
    const error = await rejection(login(session, agent.socket, agent.fingerprint('ecdsa')))
    expect(error.code).toBe('login_refused')
    await until('sshd has logged it', () => (sshd.log().match(/Failed publickey/g)?.length ?? 0) === before + 1)
    expect(sshd.log()).toContain(`ECDSA ${agent.fingerprint('ecdsa')}`)
    expect(sshd.log()).not.toContain(agent.fingerprint('ed25519'))
  })
})

describe('an agent', () => {
  const FINGERPRINT = `SHA256:${'A'.repeat(43)}`
  const frame = (...bytes: number[]) => Buffer.from([0, 0, 0, bytes.length, ...bytes])

  /** Says this to whoever connects, or nothing. */
  const stranger = async (words: Buffer | null): Promise<string> => {
    const file = path.join(temporaryDirectory(), 'agent.sock')
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined)
      if (words) socket.end(words)
    })
    const sockets = new Set<net.Socket>()
    server.on('connection', (socket) => sockets.add(socket))
    server.listen(file)
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    await until('it listens', () => fs.existsSync(file))
    return file
  }

  it.each([
    ['says nothing', null, 'it did not answer within 0.2 s'],
    ['hangs up', Buffer.alloc(0), 'it hung up'],
    ['refuses', frame(5), 'it refused'],
    ['answers another question', frame(14, 0, 0, 0, 0), 'its answer is not understood'],
    ['says too much', Buffer.from([0x7f, 0, 0, 0, 12]), 'its answer is not understood'],
    ['says less than it promised', frame(12, 0, 0, 0, 9), 'its answer is cut short'],
    ['counts keys without end', frame(12, 0xff, 0xff, 0xff, 0xff), 'its answer is cut short'],
    ['has a key that is longer than its answer', frame(12, 0, 0, 0, 1, 0x7f, 0, 0, 0), 'its answer is cut short'],
  ])('that %s is none', async (_, words, why) => {
    const socket = await stranger(words)
    const error = await rejection(findAgentKey(socket, FINGERPRINT, 'lab', signal, 200))
    expect(error.code).toBe('no_credential')
    expect(error.message).toBe(`The ssh-agent has no signature for lab: ${why}. Nothing was sent.`)
  })

  it('is not asked where somebody else could have put it', async () => {
    const socket = await stranger(frame(12, 0, 0, 0, 0))
    fs.chmodSync(path.dirname(socket), 0o777)
    const asked = (file: string) => rejection(findAgentKey(file, FINGERPRINT, 'lab', signal, 2000))
    expect((await asked(socket)).message).toContain('is open to other users')
    fs.chmodSync(path.dirname(socket), 0o700)
    const file = path.join(path.dirname(socket), 'file')
    fs.writeFileSync(file, '')
    fs.symlinkSync(socket, `${file}-link`)
    for (const each of [file, `${file}-link`]) expect((await asked(each)).message).toContain('is no socket')
    expect((await asked(`${file}-none`)).message).toContain('cannot be used (ENOENT)')
    fs.chmodSync(socket, 0o777)
    expect((await asked(socket)).message).toContain('is open to other users')
  })
})
