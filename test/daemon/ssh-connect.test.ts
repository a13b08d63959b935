import { getEventListeners } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { readHostKey, SshSession } from '../../src/daemon/ssh/session.ts'
import { Proxy } from '../faults/network/proxy.ts'
import { watchLeaks } from '../helpers/leaks.ts'
import {
  listenDeaf,
  listenRaw,
  playServer,
  QUICK,
  SOME_HOST_KEY,
  toTarget,
  type Listening,
  type Play,
} from '../helpers/ssh-server.ts'
import { reasonOf, rejection } from '../helpers/rejection.ts'
import { freePort } from '../helpers/sshd.ts'
import { until } from '../helpers/wait.ts'

const open: Listening[] = []
let controller = new AbortController()
let noLeaks = async (): Promise<void> => {}

async function raw(onSocket: (socket: Socket) => void): Promise<Listening> {
  const server = await listenRaw(onSocket)
  open.push(server)
  return server
}

async function played(play?: Play) {
  const server = await playServer(play)
  open.push(server)
  return server
}

beforeEach(() => {
  controller = new AbortController()
  noLeaks = watchLeaks()
})

afterEach(async () => {
  const servers = open.splice(0)
  try {
    for (const server of servers) await server.isEmpty()
    if (getEventListeners(controller.signal, 'abort').length > 0) throw new Error('a listener of the signal is left')
  } finally {
    for (const server of servers) await server.close()
  }
  await noLeaks()
})

const quick = (changes: Partial<typeof QUICK>) => ({ timings: { ...QUICK, ...changes } })

describe('a way to the device that does not work', () => {
  it('is unreachable when nobody listens on the port', async () => {
    const error = await rejection(SshSession.connect(toTarget({ port: await freePort() }), controller.signal))
    expect(error.code).toBe('unreachable')
    expect(error.message).toMatch(/^Cannot reach lab \(127\.0\.0\.1:\d+\): the connection was refused\.$/)
  })

  it('is unreachable when the host name is unknown', async () => {
    const target = { ...toTarget({ port: 22 }), host: 'no-such-host.invalid' }
    const error = await rejection(SshSession.connect(target, controller.signal))
    expect(error.code).toBe('unreachable')
    expect(error.message).toMatch(/host name is unknown|name server/)
  })

  it('times out while the connection is being made', async () => {
    const server = await listenDeaf()
    const target = toTarget(server, quick({ connectMs: 80 }))
    const error = await rejection(SshSession.connect(target, controller.signal))
    await server.close()
    expect(error.code).toBe('connect_timeout')
    expect(error.message).toContain('within 0.08 s')
  })

  it('is given up at once when the work is aborted while the connection is being made', async () => {
    const server = await listenDeaf()
    const thrown = reasonOf(SshSession.connect(toTarget(server), controller.signal))
    controller.abort('enough')
    expect(await thrown).toBe('enough')
    await server.close()
  })

  it('times out when the server does not say who it is', async () => {
    const server = await raw(() => {})
    const error = await rejection(SshSession.connect(toTarget(server, quick({ identMs: 80 })), controller.signal))
    expect(error.code).toBe('ident_timeout')
  })

  it('times out when the server sends notices for ever instead of saying who it is', async () => {
    const server = await raw((socket) => {
      const timer = setInterval(() => socket.write('please wait\r\n'), 5)
      socket.on('close', () => clearInterval(timer))
    })
    const error = await rejection(SshSession.connect(toTarget(server, quick({ identMs: 80 })), controller.signal))
    expect(error.code).toBe('ident_timeout')
  })

  it('times out when the server says who it is and nothing more', async () => {
    const server = await raw((socket) => void socket.write('SSH-2.0-OpenSSH_5.3\r\n'))
    const error = await rejection(SshSession.connect(toTarget(server, quick({ keyExchangeMs: 80 })), controller.signal))
    expect(error.code).toBe('key_exchange_timeout')
  })

  it('times out when the server does not answer which methods there are', async () => {
    const server = await played({
      onClient: (client) => void client.removeAllListeners('authentication').on('authentication', () => {}),
    })
    const error = await rejection(SshSession.connect(toTarget(server, quick({ loginMs: 80 })), controller.signal))
    expect(error.code).toBe('login_timeout')
  })

  it('is lost when the server closes before it says who it is, and shows what came instead', async () => {
    const server = await raw((socket) => void socket.end('Exceeded MaxStartups\r\n'))
    const error = await rejection(SshSession.connect(toTarget(server), controller.signal))
    expect(error.code).toBe('connection_lost')
    expect(error.message).toContain('It sent: "Exceeded MaxStartups".')
  })

  it('is lost when something else than SSH answers', async () => {
    const server = await raw((socket) => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
    const error = await rejection(SshSession.connect(toTarget(server), controller.signal))
    expect(error.code).toBe('connection_lost')
    expect(error.message).toContain('did not speak SSH')
    expect(error.message).toContain('HTTP/1.1 400 Bad Request')
  })

  it('is lost when the server closes during the key exchange', async () => {
    const server = await raw((socket) => {
      socket.write('SSH-2.0-OpenSSH_5.3\r\n')
      socket.once('data', () => socket.end())
    })
    const error = await rejection(SshSession.connect(toTarget(server), controller.signal))
    expect(error.code).toBe('connection_lost')
    expect(error.message).toContain('during the key exchange')
  })

  it('is lost when the key exchange is garbage that came in one packet with the identification', async () => {
    const server = await raw((socket) => void socket.write(`SSH-2.0-x\r\n${'A'.repeat(64)}`))
    const error = await rejection(SshSession.connect(toTarget(server), controller.signal))
    expect(error.code).toBe('connection_lost')
    expect(error.message).toContain('during the key exchange')
  })

  it('is lost when the server closes before it answers which methods there are', async () => {
    const server = await played({
      onClient: (client) => void client.removeAllListeners('authentication').on('authentication', () => client.end()),
    })
    const error = await rejection(SshSession.connect(toTarget(server), controller.signal))
    expect(error.code).toBe('connection_lost')
    expect(error.message).toContain('before the login')
  })
})

describe('the host key', () => {
  it('must be pinned, or nothing is connected', async () => {
    const server = await played()
    const error = await rejection(SshSession.connect(toTarget(server, { hostKey: null }), controller.signal))
    expect(error.code).toBe('host_key_unpinned')
    expect(error.hint).toContain('vosctl connections trust lab')
    expect(server.connections()).toBe(0)
  })

  it('must be the pinned one, or not even the question for the methods is sent', async () => {
    const server = await played()
    const error = await rejection(SshSession.connect(toTarget(server, { hostKey: SOME_HOST_KEY }), controller.signal))
    expect(error.code).toBe('host_key_changed')
    expect(error.message).toContain(`Pinned: ssh-ed25519 ${SOME_HOST_KEY.fingerprint}.`)
    expect(error.message).toContain(`Offered: ssh-ed25519 ${server.hostKey.fingerprint}.`)
    expect(server.requests).toEqual([])
  })

  it('counts as changed when the server has none of the pinned type any more', async () => {
    const server = await played({ keyType: 'ecdsa' })
    const error = await rejection(SshSession.connect(toTarget(server, { hostKey: SOME_HOST_KEY }), controller.signal))
    expect(error.code).toBe('host_key_changed')
    expect(error.message).toContain('Offered: none of type ssh-ed25519.')
    expect(server.requests).toEqual([])
  })

  it.each(['ed25519', 'ecdsa', 'rsa'] as const)('is accepted when it is the pinned %s key', async (keyType) => {
    const server = await played({ keyType })
    const session = await SshSession.connect(toTarget(server), controller.signal)
    expect(session.hostKey).toEqual(server.hostKey)
    await session.close()
  })

  it('can be read without a pin, and no authentication request of any kind is sent', async () => {
    const server = await played()
    expect(await readHostKey(toTarget(server), controller.signal)).toEqual({ ...server.hostKey, bits: null })
    await server.isEmpty()
    expect(server.requests).toEqual([])
  })
})

describe('before the login', () => {
  it('one question is asked, and the answer names the methods', async () => {
    const server = await played({ methods: ['publickey', 'keyboard-interactive'] })
    const session = await SshSession.connect(toTarget(server), controller.signal)
    expect(session.offeredMethods).toEqual(['publickey', 'keyboard-interactive'])
    expect(session.methodFor('password')).toBe('keyboard-interactive')
    expect(session.methodFor('key')).toBe('publickey')
    expect(session.software).toMatch(/^SSH-2\.0-ssh2js/)
    expect(session.algorithms).toMatchObject({ kex: 'curve25519-sha256', cipher: 'aes128-gcm@openssh.com' })
    await session.close()
    expect(server.requests).toEqual(['none'])
  })

  it('a method that worked before is used again while it is offered', async () => {
    const server = await played({ methods: ['password', 'keyboard-interactive'] })
    const session = await SshSession.connect(toTarget(server), controller.signal)
    expect(session.methodFor('password')).toBe('keyboard-interactive')
    expect(session.methodFor('password', 'password')).toBe('password')
    expect(session.methodFor('password', 'publickey')).toBe('keyboard-interactive')
    await session.close()
  })

  it('a kind of secret that no offered method takes is refused without sending anything', async () => {
    const server = await played({ methods: ['publickey'] })
    const session = await SshSession.connect(toTarget(server), controller.signal)
    expect(() => session.methodFor('password')).toThrow(
      expect.objectContaining({
        code: 'login_method',
        message: expect.stringContaining('offers publickey to admin') as string,
      }),
    )
    await session.close()
    expect(server.requests).toEqual(['none'])
  })

  it('the end of the connection is told by `closed`', async () => {
    let drop = (): void => {}
    const server = await played({ onSocket: (socket) => (drop = () => void socket.destroy()) })
    const session = await SshSession.connect(toTarget(server), controller.signal)
    drop()
    expect((await session.closed).code).toBe('connection_lost')
    await session.close()
    await expect(session.authenticate({ type: 'password', password: 'x' }, 'password')).rejects.toMatchObject({
      code: 'connection_lost',
    })
  })

  it('closing twice is closing once', async () => {
    const server = await played()
    const session = await SshSession.connect(toTarget(server), controller.signal)
    await Promise.all([session.close(), session.close()])
    await session.close()
    expect(server.connections()).toBe(1)
  })
})

describe('an abort', () => {
  const reason = new VosError('cancelled', 'a person cancelled')

  it('before the connection means that there is none', async () => {
    const server = await played()
    controller.abort(reason)
    await expect(SshSession.connect(toTarget(server), controller.signal)).rejects.toBe(reason)
    expect(server.connections()).toBe(0)
  })

  it.each([
    ['the identification', () => {}],
    ['the key exchange', (socket: Socket) => void socket.write('SSH-2.0-x\r\n')],
  ])('while %s is awaited closes the connection and rejects with its reason', async (_, onSocket) => {
    const server = await raw(onSocket)
    const connecting = SshSession.connect(toTarget(server), controller.signal)
    const thrown = reasonOf(connecting)
    await until('it has connected', () => server.connections() === 1)
    controller.abort(reason)
    expect(await thrown).toBe(reason)
  })

  it('while the methods are awaited closes the connection and rejects with its reason', async () => {
    let isAsked = false
    const server = await played({
      onClient: (client) =>
        void client.removeAllListeners('authentication').on('authentication', () => (isAsked = true)),
    })
    const thrown = reasonOf(SshSession.connect(toTarget(server), controller.signal))
    await until('the question has arrived', () => isAsked)
    controller.abort(reason)
    expect(await thrown).toBe(reason)
  })

  it('with a reason that is no error of ours rejects with that very reason', async () => {
    const server = await raw(() => {})
    const connecting = SshSession.connect(toTarget(server), controller.signal)
    const thrown = reasonOf(connecting)
    await until('it has connected', () => server.connections() === 1)
    controller.abort('enough')
    expect(await thrown).toBe('enough')
  })

  it('after the connection ends the session', async () => {
    const server = await played()
    const session = await SshSession.connect(toTarget(server), controller.signal)
    controller.abort(reason)
    expect(await session.closed).toBe(reason)
    await session.close()
  })
})

describe('text of the peer', () => {
  it('is shown as harmless text when it identifies itself in colour', async () => {
    const server = await played({ config: { ident: 'x\u001b]0;owned\u0007\u001b[2J' } })
    const session = await SshSession.connect(toTarget(server), controller.signal)
    expect(session.software).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
    await session.close()
  })

  it('may come before the identification and as a banner, and changes nothing', async () => {
    const server = await played({ config: { greeting: 'SSH? \u001b[2J admin:', banner: '\u001b[31madmin:\u202e' } })
    const session = await SshSession.connect(toTarget(server), controller.signal)
    expect(session.offeredMethods).toEqual(['password'])
    await session.close()
  })

  it('is read when it comes byte by byte: of an identification in many pieces the middle was once lost', async () => {
    const server = await played({ config: { greeting: 'hello', ident: 'OpenSSH_7.4' } })
    await using proxy = await Proxy.start([{ kind: 'drip', direction: 'to-daemon', offset: 0, connection: 1 }])
    proxy.target = server.port
    const target = { ...toTarget(server), port: proxy.port }
    const session = await SshSession.connect(target, controller.signal)
    expect(session.software).toBe('SSH-2.0-OpenSSH_7.4')
    await session.close()
  })

  it('is sanitised in an error when it came instead of an identification', async () => {
    const server = await raw((socket) => void socket.end('\u001b[2J\u001b]52;c;bad\u0007 go\r\naway\r\n'))
    const error = await rejection(SshSession.connect(toTarget(server), controller.signal))
    expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
    expect(error.message).toContain('away')
  })
})
