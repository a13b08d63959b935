import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { io, type Socket } from 'socket.io-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { apply, type Operation, type RecordedEvent } from '../../src/core/operation.ts'
import { PROTOCOL_VERSION, type EventBatch, type Reply, type Snapshot } from '../../src/core/protocol.ts'
import { createHandlers } from '../../src/daemon/handlers.ts'
import { LentSecrets } from '../../src/daemon/lent-secrets.ts'
import { createSealedStore } from '../../src/daemon/sealed-store.ts'
import { listen, prepareStateDirectory, statePaths } from '../../src/daemon/lifecycle.ts'
import { createVosServer } from '../../src/daemon/server.ts'
import { RawClient, throughUnix } from '../faults/fuzz/raw-client.ts'
import { House } from '../helpers/manager.ts'
import { output, ScriptedDevice, type Script } from '../helpers/scripted-device.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { until } from '../helpers/wait.ts'

const GOOD: Script = {
  commit: [{ type: 'sent' }, output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STARTED]'), { type: 'ended' }],
}

async function serve(script: Script = GOOD, house = new House(() => new ScriptedDevice(script))) {
  const paths = statePaths(path.join(temporaryDirectory(), 'state'))
  prepareStateDirectory(paths)
  const { manager, store } = house
  const log: string[] = []
  const handlers = createHandlers({
    store,
    manager,
    sealed: {
      ...createSealedStore({ store, provider: 'file', configDirectory: temporaryDirectory() }),
      withKey: () => Promise.reject(new Error('no key in this test')),
    },
    lent: new LentSecrets(),
    now: () => house.clock,
    info: () => expect.fail('not asked'),
    stop: () => ({ active: 0 }),
  })
  const server = createVosServer({
    store,
    manager,
    handlers,
    now: Date.now,
    log: (line) => log.push(line),
    onClients: () => undefined,
  })
  await listen(server.http, paths)
  onTestFinished(() => server.close())
  return { house, server, paths, log }
}

async function connect(
  socketPath: string,
  auth: Record<string, unknown> = { protocol: PROTOCOL_VERSION, version: '0' },
) {
  const agent = new http.Agent()
  // Socket.IO knows no option for a Unix socket; its agent does.
  Object.assign(agent, {
    createConnection: (_: unknown, done: never) =>
      http.Agent.prototype.createConnection.call(agent, { path: socketPath } as never, done),
  })
  const socket = io('http://localhost', {
    agent: agent as never,
    transports: ['websocket'],
    auth,
    reconnection: false,
    forceNew: true,
  })
  onTestFinished(() => {
    socket.disconnect()
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('connect', resolve)
  socket.once('connect_error', reject)
  await promise
  return socket
}

async function ask<T>(socket: Socket, name: string, input: unknown = {}): Promise<Reply<T>> {
  return (await socket.timeout(5000).emitWithAck(name, input)) as Reply<T>
}

async function value<T>(socket: Socket, name: string, input: unknown = {}): Promise<T> {
  const reply = await ask<T>(socket, name, input)
  if (!reply.ok) throw new Error(reply.error.message)
  return reply.value
}

/** Puts batches together as a client does, and fails on a gap or a repetition. */
function collect(socket: Socket, from = 0) {
  const events: RecordedEvent[] = []
  let cursor = from
  socket.on('events', (batch: EventBatch, acknowledge: () => void) => {
    for (const event of batch.events) {
      expect(event.cursor).toBeGreaterThan(cursor)
      cursor = event.cursor
      events.push(event)
    }
    acknowledge()
  })
  return events
}

const START = { operationType: 'service_restart', createdBy: 'alice' } as const

describe('the Unix socket', () => {
  it('is for its owner alone', async () => {
    const { paths } = await serve()
    expect(fs.statSync(paths.socket).mode & 0o777).toBe(0o600)
    expect(fs.statSync(path.dirname(paths.socket)).mode & 0o777).toBe(0o700)
  })

  it('takes the place of a stale socket, and never of anything else', async () => {
    const { paths } = await serve()
    const other = statePaths(path.join(temporaryDirectory(), 'state'))
    prepareStateDirectory(other)
    fs.writeFileSync(other.socket, 'precious')
    await expect(listen(http.createServer(), other)).rejects.toThrow(
      'is in the way: it is a regular file and not a socket. It was not touched.',
    )
    expect(fs.readFileSync(other.socket, 'utf8')).toBe('precious')
    expect(fs.existsSync(paths.socket)).toBe(true)
  })

  it('refuses a path that is too long, before anything is made', () => {
    const paths = statePaths(path.join(temporaryDirectory(), 'x'.repeat(100)))
    expect(() => prepareStateDirectory(paths)).toThrow('longer than the 107 bytes')
    expect(fs.existsSync(paths.directory)).toBe(false)
  })

  it.each([
    ['is open to others', (directory: string) => fs.mkdirSync(directory, { mode: 0o755 }), 'is open to other users'],
    ['is a file', (directory: string) => fs.writeFileSync(directory, ''), 'is in the way: it is a regular file'],
    [
      'is a link',
      (directory: string) => fs.symlinkSync(os.tmpdir(), directory),
      'is in the way: it is a symbolic link',
    ],
  ])('refuses a state directory that %s', (_, make, message) => {
    const directory = path.join(temporaryDirectory(), 'state')
    make(directory)
    expect(() => prepareStateDirectory(statePaths(directory))).toThrow(message)
  })

  it.skipIf(process.getuid?.() !== 0)('refuses a state directory that belongs to somebody else', () => {
    const directory = path.join(temporaryDirectory(), 'state')
    fs.mkdirSync(directory, { mode: 0o700 })
    fs.chownSync(directory, 65_534, 65_534)
    expect(() => prepareStateDirectory(statePaths(directory))).toThrow('belongs to uid 65534')
  })
})

describe('requests', () => {
  it('start work that is on disk when the reply comes', async () => {
    const { house, paths } = await serve()
    const socket = await connect(paths.socket)
    const id = house.add('cucm-pub')
    const started = await value<{ operations: Operation[] }>(socket, 'operation:start', {
      ...START,
      requestId: randomUUID(),
      connectionIds: [id],
    })
    expect(house.store.operations.find(started.operations[0]?.id ?? '')).toHaveLength(1)
    await house.settled(started.operations[0]?.id ?? '')
  })

  it.each([
    [
      'an unknown key',
      { ...START, connectionIds: [1], requestId: randomUUID(), force: true },
      'Unrecognized key: "force"',
    ],
    ['a port of 70000', { name: 'x', host: 'x', username: 'x', port: 70_000 }, 'port: is above 65535'],
    ['a name with a newline', { name: 'x\ny', host: 'x', username: 'x' }, 'name: must begin with a letter'],
    ['__proto__', JSON.parse('{"name":"x","host":"x","username":"x","__proto__":{"port":1}}'), '__proto__'],
    ['binary', Buffer.from('x'), 'expected string'],
    ['nothing', null, 'expected object'],
  ])('refuse %s and change nothing', async (_, input, message) => {
    const { house, paths } = await serve()
    const socket = await connect(paths.socket)
    const name =
      typeof input === 'object' && input !== null && 'requestId' in input ? 'operation:start' : 'connection:add'
    const reply = await ask(socket, name, input)
    expect(reply).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    expect(!reply.ok && reply.error.message).toContain(message)
    expect(house.store.connections.list()).toEqual([])
  })

  it.each(['constructor', '__proto__', 'connection:drop', 'toString'])('do not know %j', async (name) => {
    const { paths } = await serve()
    const socket = await connect(paths.socket)
    expect(await ask(socket, name)).toMatchObject({ ok: false, error: { code: 'bad_request' } })
  })

  it('are limited to twenty in a second, for their sender alone', async () => {
    const { paths } = await serve()
    const [greedy, modest] = [await connect(paths.socket), await connect(paths.socket)]
    const replies = await Promise.all(Array.from({ length: 30 }, () => ask(greedy, 'connection:list')))
    expect(replies.filter((reply) => !reply.ok && reply.error.code === 'too_many_requests').length).toBeGreaterThan(0)
    expect((await ask(modest, 'connection:list')).ok).toBe(true)
  })

  it('larger than 64 KiB end the connection of their sender and nothing else', async () => {
    const { paths } = await serve()
    const [huge, other] = [await connect(paths.socket), await connect(paths.socket)]
    huge.emit('connection:add', { name: 'x'.repeat(70_000) }, () => undefined)
    await until('it is cut off', () => huge.disconnected)
    expect((await ask(other, 'connection:list')).ok).toBe(true)
  })

  it('that end in a bug say so without a word of its cause', async () => {
    const { house, paths, log } = await serve()
    const socket = await connect(paths.socket)
    const id = house.add('cucm-pub')
    const reply = await ask(socket, 'credential:set', { id, login: 'admin@10.10.0.10:22', password: 'hunter2-secret' })
    expect(reply).toMatchObject({ ok: false, error: { code: 'bug' } })
    expect(log.join()).toContain('no key in this test')
    expect(JSON.stringify(reply) + log.join()).not.toContain('hunter2')
  })
})

it('is not kept busy by a host name that is made for it', async () => {
  const { paths } = await serve()
  const socket = await connect(paths.socket)
  const start = performance.now()
  await ask(socket, 'connection:add', { name: 'x', username: 'x', host: `${':'.repeat(60_000)}!` })
  expect(performance.now() - start).toBeLessThan(1000)
})

describe('admission', () => {
  it('refuses another protocol and names both versions', async () => {
    const { paths } = await serve()
    const refused = connect(paths.socket, { protocol: PROTOCOL_VERSION + 1, version: '9.9.9' })
    await expect(refused).rejects.toMatchObject({
      data: { code: 'daemon_version', message: expect.stringContaining('9.9.9') },
    })
  })

  it.each([{ toString: 1 }, [], 'x'.repeat(1000), null])('refuses the protocol %j and lives', async (protocol) => {
    const { paths } = await serve()
    await expect(connect(paths.socket, { protocol, version: protocol })).rejects.toMatchObject({
      data: { code: 'daemon_version' },
    })
    expect((await ask(await connect(paths.socket), 'connection:list')).ok).toBe(true)
  })

  it('ends in a moment although somebody holds a connection and never says a word', async () => {
    const { paths, server } = await serve()
    await connect(paths.socket)
    const silent = net.connect({ path: paths.socket })
    await once(silent, 'connect')
    const closed = once(silent, 'close')
    await server.close()
    await closed
  })

  it('refuses the 65th client and keeps the 64', async () => {
    const { paths, server } = await serve()
    await Promise.all(Array.from({ length: 64 }, () => connect(paths.socket)))
    await expect(connect(paths.socket)).rejects.toMatchObject({ data: { code: 'too_many_clients' } })
    expect(server.clients()).toBe(64)
  })
})

describe('a connection', () => {
  const ENTRY = `40${JSON.stringify({ protocol: PROTOCOL_VERSION, version: '0' })}`

  it('is one client, however often it enters', async () => {
    const { paths, server } = await serve()
    await using client = await RawClient.upgrade(throughUnix(paths.socket))
    for (let times = 0; times < 100; times++) client.say(ENTRY)
    expect(await client.isThrownOut(5000)).toBe(true)
    expect(client.heard.match(/40\{"sid"/g)).toHaveLength(1)
    await until('nobody is counted any more', () => server.clients() === 0)
  })

  it('ends when its client has left: what it may ask in a second does not begin anew', async () => {
    const { paths } = await serve()
    await using client = await RawClient.enter(throughUnix(paths.socket))
    for (const packet of ['41', ENTRY]) client.say(packet)
    expect(await client.isThrownOut(5000)).toBe(true)
    expect(client.heard.match(/40\{"sid"/g)).toHaveLength(1)
  })

  it.each([
    ['into rooms that are not there', '40/a,'],
    ['nothing but signs of life', '3'],
    ['what wants no reply', '42["connection:list",{}]'],
    ['more than is answered', '421["connection:list",{}]'],
  ])('that sends %s without end is cut off, whether it has entered or not', async (_, packet) => {
    const { paths } = await serve()
    const way = throughUnix(paths.socket)
    for (const enter of ['upgrade', 'enter'] as const) {
      await using client = await RawClient[enter](way)
      for (let times = 0; times < 5000; times++) client.say(packet)
      expect(await client.isThrownOut(5000)).toBe(true)
    }
    expect((await ask(await connect(paths.socket), 'connection:list')).ok).toBe(true)
  })
})

describe('watching', () => {
  it('gives a snapshot, then every event once and in order, and the reducer agrees with the daemon', async () => {
    const { house, paths } = await serve()
    const socket = await connect(paths.socket)
    const id = house.add('cucm-pub')
    const snapshot = await value<Snapshot>(socket, 'subscribe', { room: 'operations' })
    expect(snapshot).toEqual({ operations: [], cursor: 0, missed: null })
    const events = collect(socket)
    const operation = house.start(id).operations[0]?.id ?? ''
    const ended = await house.settled(operation)
    await until('all is here', () => events.at(-1)?.event.type === 'settled')
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.reduce<Operation | null>(apply, null)).toEqual(ended)
  })

  it('beats while somebody watches, with the clock and the place in the journal', { timeout: 15_000 }, async () => {
    const { paths } = await serve()
    const socket = await connect(paths.socket)
    await value(socket, 'subscribe', { room: 'operations' })
    const [beat] = (await once(socket as never, 'heartbeat')) as [{ now: number; cursor: number }]
    expect(beat).toEqual({ now: expect.any(Number), cursor: 0 })
  })

  it('shows a room only its own connection', async () => {
    const { house, paths } = await serve()
    const socket = await connect(paths.socket)
    const [a, b] = [house.add('a', '10.0.0.1'), house.add('b', '10.0.0.2')]
    await value(socket, 'subscribe', { room: `connection:${b}` })
    const events = collect(socket)
    const [first, second] = [house.start(a), house.start(b)].map(({ operations }) => operations[0]?.id ?? '')
    await house.settled(first ?? '')
    await until('all is here', () => events.at(-1)?.event.type === 'settled')
    expect(new Set(events.map(({ operationId }) => operationId))).toEqual(new Set([second]))
  })

  it('gives a client that comes back what it missed, without gap or repetition', async () => {
    const { house, paths } = await serve()
    const first = await connect(paths.socket)
    const id = house.add('cucm-pub')
    await value(first, 'subscribe', { room: 'operations' })
    const events = collect(first)
    await house.settled(house.start(id).operations[0]?.id ?? '')
    await until('some are here', () => events.length > 2)
    const { cursor } = events.at(-1) as RecordedEvent
    first.disconnect()
    await house.settled(house.start(id).operations[0]?.id ?? '')
    const snapshot = await value<Snapshot>(await connect(paths.socket), 'subscribe', {
      room: 'operations',
      after: cursor,
    })
    const all = [...events, ...(snapshot.missed ?? [])].map((event) => event.cursor)
    expect(all).toEqual(Array.from({ length: snapshot.cursor }, (_, index) => index + 1))
  })

  it('gives a client of one connection what it missed of an operation that has left the board', async () => {
    const { house, paths } = await serve()
    const id = house.add('cucm-pub')
    await house.settled(house.start(id).operations[0]?.id ?? '')
    const socket = await connect(paths.socket)
    const { missed, cursor } = await value<Snapshot>(socket, 'subscribe', { room: `connection:${id}`, after: 0 })
    expect(missed).toHaveLength(cursor)
    const [operation] = house.manager.board()
    house.store.write(() => house.store.operations.archive(operation?.id ?? ''))
    house.crash()
    const again = await serve(GOOD, house)
    const later = await value<Snapshot>(await connect(again.paths.socket), 'subscribe', {
      room: `connection:${id}`,
      after: 0,
    })
    expect(later.operations).toEqual([])
    expect(later.missed).toHaveLength(cursor)
  })

  it('cuts a watcher that does not take its events back to a snapshot, and keeps nothing for it', async () => {
    const lines = Array.from({ length: 1900 }, (_, index) => output(`line ${index}`))
    const { house, paths } = await serve({ commit: [{ type: 'sent' }, ...lines, ...(GOOD.commit?.slice(1) ?? [])] })
    const socket = await connect(paths.socket)
    await value(socket, 'subscribe', { room: 'operations' })
    const batches: EventBatch[] = []
    let take = () => {}
    socket.on('events', (batch: EventBatch, acknowledge: () => void) => {
      batches.push(batch)
      take = acknowledge
    })
    const ids = Array.from({ length: 4 }, (_, index) => house.add(`c${index}`, `10.0.0.${index + 1}`))
    for (const id of ids) await house.settled(house.start(id).operations[0]?.id ?? '')
    await until('one batch is under way', () => batches.length === 1)
    take()
    await until('it is cut back', () => batches.length === 2)
    expect(batches[1]).toEqual({ room: 'operations', events: [], behind: true })
    const again = await value<Snapshot>(socket, 'subscribe', {
      room: 'operations',
      after: batches[0]?.events.at(-1)?.cursor ?? 0,
    })
    expect(again.missed).toBeNull()
    expect(again.operations.map(({ status }) => status)).toEqual(['completed', 'completed', 'completed', 'completed'])
  })
})
