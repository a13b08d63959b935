import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import ssh2, { type Algorithms, type Connection } from 'ssh2'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { dayOf } from '../../src/core/connection.ts'
import { readKexInit, type KexInit } from '../../src/daemon/ssh/kexinit.ts'
import { readHostKey, SshSession } from '../../src/daemon/ssh/session.ts'
import { rejection } from '../helpers/rejection.ts'
import { listenRaw, playServer, SOME_HOST_KEY, toTarget, type Listening, type Play } from '../helpers/ssh-server.ts'
import { SSHD, startSshd, type TestSshd } from '../helpers/sshd.ts'

const signal = new AbortController().signal
const servers: Listening[] = []

async function played(play: Play) {
  const server = await playServer(play)
  servers.push(server)
  return server
}

/** A server that says what it offers, by hand, and nothing more. */
async function offering(lists: Partial<KexInit>): Promise<Listening> {
  const all: KexInit = {
    kex: ['curve25519-sha256'],
    serverHostKey: ['ssh-ed25519'],
    cipherToServer: ['aes128-ctr'],
    cipherToClient: ['aes128-ctr'],
    macToServer: ['hmac-sha2-256'],
    macToClient: ['hmac-sha2-256'],
    compressToServer: ['none'],
    compressToClient: ['none'],
    ...lists,
  }
  const names = [...Object.values(all as unknown as Record<string, string[]>).map((list) => list.join(',')), '', '']
  const fields = names.flatMap((name) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(Buffer.byteLength(name))
    return [length, Buffer.from(name)]
  })
  const payload = Buffer.concat([Buffer.from([20]), randomBytes(16), ...fields, Buffer.alloc(5)])
  const padding = 16 - ((payload.length + 5) % 8)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(1 + payload.length + padding)
  head[4] = padding
  const server = await listenRaw((socket) => {
    socket.write('SSH-2.0-Old\r\n')
    socket.write(Buffer.concat([head, payload, randomBytes(padding)]))
  })
  servers.push(server)
  return server
}

afterEach(async () => {
  const open = servers.splice(0)
  for (const server of open) await server.isEmpty()
  for (const server of open) await server.close()
})

const LEGACY = /: vosctl connections edit lab --algorithms legacy-vos --reason … --until …$/
const NONE = /^No command of vosctl allows it: turn on another /

describe('a server that offers in one class only', () => {
  it.each<[string, Algorithms, string, RegExp]>([
    ['chacha20-poly1305', { cipher: ['chacha20-poly1305@openssh.com'] }, 'cipher', NONE],
    ['CBC', { cipher: ['aes256-cbc', '3des-cbc'], hmac: ['hmac-sha2-256'] }, 'cipher', LEGACY],
    ['hmac-sha1', { cipher: ['aes128-ctr'], hmac: ['hmac-sha1'] }, 'MAC', LEGACY],
    ['hmac-md5', { cipher: ['aes128-ctr'], hmac: ['hmac-md5'] }, 'MAC', NONE],
    ['group14-sha1', { kex: ['diffie-hellman-group14-sha1'] }, 'key exchange algorithm', LEGACY],
    ['compression', { compress: ['zlib@openssh.com', 'zlib'] }, 'compression', NONE],
    // The first class alone would be mended by the old algorithms, and then the next one fails.
    [
      'old, and strange too',
      { kex: ['diffie-hellman-group1-sha1'], compress: ['zlib'] },
      'key exchange algorithm',
      NONE,
    ],
  ])('%s is refused, with the class and what it offers', async (_, algorithms, kind, hint) => {
    const server = await played({ config: { algorithms } })
    const error = await rejection(SshSession.connect(toTarget(server), signal))
    expect(error.code).toBe('no_common_algorithm')
    const offers = Object.values(algorithms as Record<string, string[]>)[kind === 'MAC' ? 1 : 0] ?? []
    expect(error.message).toContain(
      `profile "modern" have no ${kind} in common. The device offers: ${offers.join(', ')}`,
    )
    expect(error.message).toMatch(/Nothing was sent\.$/)
    expect(error.hint).toMatch(hint)
    expect(server.requests).toEqual([])
  })

  it.each([
    ['a SHA-1 signature of its host key', ['ssh-rsa'], LEGACY],
    ['a DSA host key', ['ssh-dss'], NONE],
    ['a certificate', ['ssh-ed25519-cert-v01@openssh.com'], NONE],
    ['nothing at all', [], NONE],
  ])('%s is refused', async (_, serverHostKey, hint) => {
    const server = await offering({ serverHostKey })
    const error = await rejection(readHostKey(toTarget(server), signal))
    expect(error.code).toBe('no_common_algorithm')
    expect(error.message).toContain(`no host key algorithm in common. The device offers: ${serverHostKey[0] ?? 'none'}`)
    expect(error.hint).toMatch(hint)
  })

  it('the other direction is told too', async () => {
    const server = await offering({ cipherToClient: ['aes128-cbc'] })
    const error = await rejection(readHostKey(toTarget(server), signal))
    expect(error.message).toContain('no cipher in common. The device offers: aes128-cbc.')
    expect(error.hint).toMatch(LEGACY)
  })

  it('names that draw, or that never end, are text of a few lines', async () => {
    const names = Array.from({ length: 1000 }, (_, index) => `\u001b]0;x\u0007\u202eevil-${index}`)
    const server = await offering({ kex: names })
    const error = await rejection(readHostKey(toTarget(server), signal))
    expect(error.message).toContain('evil-0')
    expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(error.message.length).toBeLessThan(600)
  })
})

describe('a weak host key', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const weak = privateKey.export({ type: 'pkcs1', format: 'pem' })

  it.each(['modern', 'legacy-vos'] as const)('is refused by %s when it is pinned too', async (algorithms) => {
    const server = await played({ config: { hostKeys: [weak] } })
    const pin = ssh2.utils.parseKey(weak)
    if (pin instanceof Error) throw pin
    const { createHash } = await import('node:crypto')
    const digest = createHash('sha256').update(pin.getPublicSSH()).digest('base64').replace(/=+$/, '')
    const hostKey = { type: 'ssh-rsa', fingerprint: `SHA256:${digest}` }
    const error = await rejection(SshSession.connect(toTarget(server, { hostKey, algorithms }), signal))
    expect(error.code).toBe('host_key_refused')
    expect(error.message).toContain('its host key is an RSA key of 1024 bits, and vosctl trusts none under 2048')
    expect((await rejection(readHostKey(toTarget(server), signal))).code).toBe('host_key_refused')
    expect(server.requests).toEqual([])
  })
})

describe('old algorithms whose last day is over', () => {
  const limits = (days: number) =>
    ({ algorithms: 'legacy-vos', algorithmsUntil: dayOf(Date.now() + days * 86_400_000) }) as const

  it('are not spoken any more: nothing is connected', async () => {
    const server = await played({})
    for (const days of [-1, -400]) {
      const target = toTarget(server, limits(days))
      const error = await rejection(SshSession.connect(target, signal))
      expect(error.code).toBe('algorithms_expired')
      expect(error.message).toContain(`allowed until ${target.algorithmsUntil}, and that is over. Nothing was sent.`)
      expect((await rejection(readHostKey(target, signal))).code).toBe('algorithms_expired')
    }
    expect(server.connections()).toBe(0)
  })

  it('are spoken on that day', async () => {
    const server = await played({ config: { algorithms: { kex: ['diffie-hellman-group14-sha1'] } } })
    const session = await SshSession.connect(toTarget(server, limits(0)), signal)
    expect(session.algorithms.kex).toBe('diffie-hellman-group14-sha1')
    await session.close()
  })
})

describe('a session that takes the first key', () => {
  it('ends when a later key exchange shows another one', async () => {
    let showAnother = (): void => {}
    const server = await played({
      onClient: (client) => {
        const { _protocol: protocol } = client as unknown as { _protocol: { _hostKeys: Record<string, unknown> } }
        showAnother = () => {
          const { private: other } = ssh2.utils.generateKeyPairSync('ed25519')
          protocol._hostKeys = { 'ssh-ed25519': ssh2.utils.parseKey(other) }
          client.rekey()
        }
      },
    })
    const session = await SshSession.connect(toTarget(server, { hostKey: null, acceptNew: true }), signal)
    expect(session.hostKey).toEqual(server.hostKey)
    await session.authenticate({ type: 'password', password: 'x' }, 'password')
    showAnother()
    expect((await session.closed).code).toBe('host_key_changed')
    await session.close()
  })
})

describe('an RSA key of a user', () => {
  const { private: pem } = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 })
  const privateKey = () => ({ type: 'key', privateKey: Buffer.from(pem) }) as const

  /** ssh2's server then does not say which signatures it takes, as OpenSSH before 7.6 does not. */
  function keepQuiet(client: Connection): void {
    const { _protocol: protocol } = client as unknown as { _protocol: { _kex: unknown } }
    let kex: unknown
    Object.defineProperty(protocol, '_kex', {
      get: () => kex,
      set: (value: object | undefined) => {
        kex = value && Object.defineProperty(value, 'remoteExtInfoEnabled', { get: () => false, set: () => {} })
      },
    })
  }

  async function logIn(isQuiet: boolean, algorithms: 'modern' | 'legacy-vos') {
    const signed: (string | undefined)[] = []
    const server = await played({
      methods: ['publickey'],
      ...(isQuiet && { onClient: keepQuiet }),
      onAuthentication: (context) => {
        if (context.method === 'publickey' && context.signature) signed.push(context.hashAlgo ?? 'sha1')
        context.accept()
      },
    })
    const session = await SshSession.connect(toTarget(server, { algorithms }), signal)
    const attempt = session.authenticate(privateKey(), 'publickey')
    return { attempt, session, signed }
  }

  it('signs with SHA-2 when the server says that it takes that', async () => {
    const { attempt, session, signed } = await logIn(false, 'modern')
    await attempt
    expect(signed).toEqual(['sha256'])
    await session.close()
  })

  it('never signs with SHA-1 where old algorithms are not allowed', async () => {
    const { attempt, signed } = await logIn(true, 'modern')
    const error = await rejection(attempt)
    expect(error.code).toBe('login_method')
    expect(error.message).toContain('with SHA-1 only, or does not say which it takes. Nothing was signed.')
    expect(signed).toEqual([])
  })

  it('signs with SHA-1 where they are', async () => {
    const { attempt, session, signed } = await logIn(true, 'legacy-vos')
    await attempt
    expect(signed).toEqual(['sha1'])
    await session.close()
  })
})

describe('a prefix that somebody in between takes away (Terrapin)', () => {
  it('is found, because the exchange is strict: a message that was slipped in ends it', async () => {
    const server = await played({})
    let asked = Buffer.alloc(0)
    let isAttacked = false
    const sockets: Socket[] = []
    const middle = createServer((near) => {
      const far = connect(server.port, '127.0.0.1')
      sockets.push(near, far)
      for (const socket of [near, far]) socket.on('error', () => {})
      near.on('data', (bytes) => {
        asked = Buffer.concat([asked, bytes])
        far.write(bytes)
      })
      let isSlippedIn = !isAttacked
      far.on('data', (bytes) => {
        if (isSlippedIn) return void near.write(bytes)
        isSlippedIn = true
        const end = bytes.indexOf('\n') + 1
        near.write(bytes.subarray(0, end))
        // SSH_MSG_IGNORE with an empty text.
        near.write(Buffer.concat([Buffer.from('0000000c060200000000', 'hex'), Buffer.alloc(6)]))
        near.write(bytes.subarray(end))
      })
      near.on('close', () => far.destroy())
      far.on('close', () => near.destroy())
    }).listen(0, '127.0.0.1')
    await once(middle, 'listening')
    const target = { ...toTarget(server), port: (middle.address() as AddressInfo).port }
    await readHostKey(target, signal)
    const offer = readKexInit(asked.subarray(asked.indexOf('\n') + 1)) as KexInit
    expect(offer.kex).toContain('kex-strict-c-v00@openssh.com')
    isAttacked = true
    const error = await rejection(SshSession.connect(target, signal))
    expect(error.code).toBe('connection_lost')
    expect(error.message).toContain('strict KEX')
    expect(server.requests).toEqual([])
    for (const socket of sockets) socket.destroy()
    middle.close()
    await once(middle, 'close')
  })
})

describe.skipIf(!SSHD)('a real sshd', () => {
  let sshd: TestSshd
  beforeAll(async () => {
    sshd = await startSshd({ hostKeyTypes: ['rsa'], config: ['Ciphers aes256-ctr', 'MACs hmac-sha2-512'] })
  })
  afterAll(() => sshd.stop())

  it.each([
    ['modern', 'ssh-ed25519'],
    ['legacy-vos', 'ssh-ed25519'],
    ['modern', 'ecdsa-sha2-nistp256'],
    ['legacy-vos', 'ecdsa-sha2-nistp521'],
  ] as const)('with %s and without the pinned key of type %s has changed its key', async (algorithms, type) => {
    const hostKey = { ...SOME_HOST_KEY, type }
    const error = await rejection(SshSession.connect(toTarget(sshd, { algorithms, hostKey }), signal))
    expect(error.code).toBe('host_key_changed')
    expect(error.message).toContain(`Offered: none of type ${type}.`)
    expect(error.hint).toContain('vosctl connections trust lab')
  })

  it('that only signs with SHA-1 still has the pinned key, and the old algorithms would do', async () => {
    const old = await startSshd({ hostKeyTypes: ['rsa'], config: ['HostKeyAlgorithms ssh-rsa'] })
    const error = await rejection(SshSession.connect(toTarget(old), signal))
    expect(error.code).toBe('no_common_algorithm')
    expect(error.message).toContain('no host key algorithm in common. The device offers: ssh-rsa.')
    expect(error.hint).toMatch(LEGACY)
    const session = await SshSession.connect(toTarget(old, { algorithms: 'legacy-vos' }), signal)
    expect(session.algorithms.hostKey).toBe('ssh-rsa')
    await session.close()
    await old.stop()
  })

  it('without an RSA key has lost the pinned one, also where modern could not have taken its signature', async () => {
    const other = await startSshd({ hostKeyTypes: ['ed25519'] })
    for (const algorithms of ['modern', 'legacy-vos'] as const) {
      const hostKey = { ...SOME_HOST_KEY, type: 'ssh-rsa' }
      const error = await rejection(SshSession.connect(toTarget(other, { algorithms, hostKey }), signal))
      expect(error.code).toBe('host_key_changed')
      expect(error.message).toContain('Offered: none of type ssh-rsa.')
    }
    await other.stop()
  })

  it('tells what was negotiated', async () => {
    const session = await SshSession.connect(toTarget(sshd), signal)
    expect(session.algorithms).toEqual({
      kex: 'curve25519-sha256',
      hostKey: 'rsa-sha2-512',
      cipher: 'aes256-ctr',
      mac: 'hmac-sha2-512',
      compression: 'none',
    })
    await session.close()
    expect(await readHostKey(toTarget(sshd), signal)).toEqual({ ...sshd.hostKey, bits: 3072 })
    expect((await rejection(readHostKey(toTarget(sshd), signal, ['ssh-ed25519']))).code).toBe('no_common_algorithm')
  })
})
