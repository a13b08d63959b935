import { connect, type Socket } from 'node:net'
import type { Connection, ServerChannel } from 'ssh2'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { SshSession, type Secret } from '../../src/daemon/ssh/session.ts'
import { watchLeaks } from '../helpers/leaks.ts'
import { reasonOf, rejection } from '../helpers/rejection.ts'
import { playServer, QUICK, toTarget, type Play, type PlayedServer } from '../helpers/ssh-server.ts'
import { until } from '../helpers/wait.ts'

/* Two servers in this process: a jump host, and a device behind it. */

const password: Secret = { type: 'password', password: 'secret' }
const signal = new AbortController().signal
let servers: PlayedServer[] = []
let sessions: SshSession[] = []
let noLeaks = async (): Promise<void> => {}

beforeEach(() => {
  servers = []
  sessions = []
  noLeaks = watchLeaks()
})

afterEach(async () => {
  for (const session of sessions.toReversed()) await session.close()
  for (const server of servers) await server.isEmpty()
  for (const server of servers) await server.close()
  await noLeaks()
})

async function play(options: Play = {}): Promise<PlayedServer> {
  const server = await playServer(options)
  servers.push(server)
  return server
}

/** A session with a jump host, and how to lose it. Without `forwards` it never answers a request to forward. */
async function jumpHost({ forwards = true, abort = signal } = {}) {
  const sockets: Socket[] = []
  const server = await play({
    onSocket: (socket) => sockets.push(socket),
    onClient: (client: Connection) =>
      client.on('tcpip', (accept, _, { destIP, destPort }) => {
        if (forwards) join(accept(), connect(destPort, destIP))
      }),
  })
  const session = await SshSession.connect(toTarget(server, { name: 'bastion' }), abort)
  sessions.push(session)
  await session.authenticate(password, 'password')
  return { session, cut: () => sockets[0]?.resetAndDestroy() }
}

function join(channel: ServerChannel, socket: Socket): void {
  socket.setNoDelay(true)
  socket.on('error', () => {})
  socket.on('close', () => channel.close())
  channel.on('error', () => {})
  channel.on('close', () => socket.destroy())
  channel.pipe(socket).pipe(channel)
}

async function device(server: PlayedServer, through: SshSession, changes: Partial<typeof QUICK> = {}, abort = signal) {
  const target = toTarget(server, { name: 'cucm', timings: { ...QUICK, ...changes }, through })
  const session = await SshSession.connect(target, abort)
  sessions.push(session)
  return session
}

describe('a session that a jump host carries', () => {
  it('logs in with one request, and the jump host can carry another one after it', async () => {
    const [{ session: hop }, server] = await Promise.all([jumpHost(), play()])
    for (const requests of [2, 4]) {
      const session = await device(server, hop)
      await session.authenticate(password, 'password')
      await session.close()
      expect(server.requests).toHaveLength(requests)
    }
    await server.isEmpty()
  })

  it('shows its host key, and gets no request at all', async () => {
    const [{ session: hop }, server] = await Promise.all([jumpHost(), play()])
    expect(await hop.readHostKeyBehind(toTarget(server), signal)).toEqual({ ...server.hostKey, bits: null })
    expect(server.requests).toEqual([])
  })

  it('ends with the jump host, and its end names both', async () => {
    const [{ session: hop, cut }, server] = await Promise.all([jumpHost(), play()])
    const session = await device(server, hop)
    await session.authenticate(password, 'password')
    cut()
    const end = await session.closed
    expect(end.code).toBe('connection_lost')
    expect(end.message).toMatch(
      /^The connection to cucm \(.* through bastion\) was lost: the connection to bastion \(.*\) was lost: .*\.$/,
    )
  })

  it('counts its attempt as made when the jump host is lost during it', async () => {
    const attempted = Promise.withResolvers<void>()
    const [{ session: hop, cut }, server] = await Promise.all([
      jumpHost(),
      play({ onAuthentication: () => attempted.resolve() }),
    ])
    const session = await device(server, hop)
    const login = reasonOf(session.authenticate(password, 'password'))
    await attempted.promise
    cut()
    expect(await login).toMatchObject({ code: 'login_refused' })
    expect((await session.closed).message).toContain('was lost during the login: the connection to bastion')
  })

  it('has made no attempt when the jump host is lost before it', async () => {
    const [{ session: hop, cut }, server] = await Promise.all([jumpHost(), play()])
    const session = await device(server, hop)
    cut()
    await session.closed
    expect(await rejection(session.authenticate(password, 'password'))).toMatchObject({ code: 'connection_lost' })
    expect(server.requests).toEqual(['none'])
  })

  it('gives up when the jump host opens no way to it', async () => {
    const [{ session: hop }, server] = await Promise.all([jumpHost({ forwards: false }), play()])
    const error = await rejection(device(server, hop, { connectMs: 50 }))
    expect(error.code).toBe('connect_timeout')
    expect(error.message).toContain('through bastion')
    expect(server.connections()).toBe(0)
  })

  it('cannot begin over a jump host that is gone', async () => {
    const [{ session: hop }, server] = await Promise.all([jumpHost(), play()])
    await hop.close()
    const error = await rejection(device(server, hop))
    expect(error.code).toBe('connection_lost')
    expect(error.message).toMatch(/^The connection to cucm .* was lost before it was made: the connection to bastion /)
    expect(server.connections()).toBe(0)
  })

  it('ends with the reason of the work when that is stopped, and so does the jump host', async () => {
    const stop = new AbortController()
    const [{ session: hop }, server] = await Promise.all([jumpHost({ abort: stop.signal }), play()])
    const session = await device(server, hop, {}, stop.signal)
    const reason = new VosError('cancelled', 'cancelled by alice')
    stop.abort(reason)
    expect(await session.closed).toBe(reason)
    expect(await hop.closed).toBe(reason)
  })

  it('sends nothing more when it has ended, though the jump host goes on', async () => {
    const [{ session: hop }, server] = await Promise.all([jumpHost(), play({ onAuthentication: () => {} })])
    const session = await device(server, hop, { loginMs: 50 })
    expect(await rejection(session.authenticate(password, 'password'))).toMatchObject({ code: 'login_timeout' })
    await server.isEmpty()
    expect(server.requests).toEqual(['none', 'password'])
    const next = await device(await play(), hop)
    await until('the jump host carries the next one', () => next.software !== '')
  })
})
