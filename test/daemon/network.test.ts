import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import net, { type NetConnectOpts } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { io, type Socket } from 'socket.io-client'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Operation } from '../../src/core/operation.ts'
import { PROTOCOL_VERSION, type EventBatch, type Reply, type RequestName } from '../../src/core/protocol.ts'
import { ACCESS, REQUESTS } from '../../src/core/schemas.ts'
import { concealed, signed } from '../../src/daemon/caller.ts'
import { openNetworkDoor } from '../../src/daemon/network/door.ts'
import { DEFAULT_SETTINGS, type TlsSettings } from '../../src/daemon/settings.ts'
import { RawClient } from '../faults/fuzz/raw-client.ts'
import { VALID } from '../faults/fuzz/targets-request.ts'
import { NetworkHouse, ORIGIN } from '../helpers/network.ts'
import { ACCEPTED } from '../helpers/operations.ts'
import { output } from '../helpers/scripted-device.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'
import { until } from '../helpers/wait.ts'

const GOOD = {
  commit: [{ type: 'sent' }, output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STARTED]'), { type: 'ended' }],
} as const

/** As a program or a page with the ordinary library does it. */
async function connect(port: number, token: string, transport: 'websocket' | 'polling' = 'websocket'): Promise<Socket> {
  const socket = io(`http://127.0.0.1:${port}`, {
    transports: [transport],
    auth: { protocol: PROTOCOL_VERSION, version: '0', token },
    extraHeaders: { Origin: ORIGIN, ...(transport === 'polling' ? { Authorization: `Bearer ${token}` } : {}) },
    reconnection: false,
    forceNew: true,
  })
  onTestFinished(() => void socket.disconnect())
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('connect', resolve)
  socket.once('connect_error', reject)
  await promise
  return socket
}

async function ask<T>(socket: Socket, name: string, input: unknown = {}): Promise<Reply<T>> {
  return (await socket.timeout(5000).emitWithAck(name, input)) as Reply<T>
}

/** One request and all of its answer, at a door that closes after it. */
async function say(to: NetConnectOpts, text: string): Promise<string> {
  await using client = await RawClient.connect({ to })
  client.send(text)
  await client.isThrownOut(5000)
  return client.heard
}

describe('with a token', () => {
  it.each(['websocket', 'polling'] as const)('a page on a listed origin follows a restart by %s', async (transport) => {
    const house = new NetworkHouse(GOOD)
    const { port } = await house.open({ polling: transport === 'polling' })
    const socket = await connect(port, house.token('ci', 'full'), transport)
    const id = house.house.add('cucm-pub')
    const endings: string[] = []
    socket.on('events', ({ events }: EventBatch, acknowledge: () => void) => {
      for (const { event } of events) if (event.type === 'settled') endings.push(event.status)
      acknowledge()
    })
    await ask(socket, 'subscribe', { room: 'operations' })
    const request = {
      requestId: randomUUID(),
      operationType: 'service_restart',
      connectionIds: [id],
      createdBy: 'root',
    }
    const started = await ask<{ operations: Operation[] }>(socket, 'operation:start', request)
    await until('it has ended', () => endings.length > 0)
    expect(endings).toEqual(['completed'])
    // In its own name, whatever it said.
    const [operation] = started.ok ? started.value.operations : []
    expect(operation?.createdBy).toBe('token:ci')
    expect(house.house.manager.get(operation?.id ?? '').createdBy).toBe('token:ci')
  })

  it('nothing that is local is answered, and nothing of it comes as far as a handler', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open()
    const socket = await connect(port, house.token('ci', 'full'))
    const names = (Object.keys(REQUESTS) as RequestName[]).filter((name) => ACCESS[name] === 'local')
    expect(names).toEqual(expect.arrayContaining(['credential:set', 'connection:trust', 'daemon:stop', 'token:create']))
    for (const name of names) {
      const caller = { name: 'ci', access: 'full' } as const
      const refusal = { ok: false, error: { code: 'not_allowed' } }
      for (const input of VALID[name]) expect(await house.server.ask(name, input, caller)).toMatchObject(refusal)
      expect(await house.server.ask(name, null, caller)).toMatchObject(refusal)
    }
    expect(await ask(socket, 'credential:set', VALID['credential:set'][0])).toMatchObject({
      ok: false,
      error: { code: 'not_allowed' },
    })
    expect(house.asked).toEqual([])
  })

  it('that may only read, nothing is begun or changed', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open()
    const socket = await connect(port, house.token('grafana', 'read'))
    const caller = { name: 'grafana', access: 'read' } as const
    for (const name of Object.keys(REQUESTS) as RequestName[]) {
      if (ACCESS[name] === 'read') continue
      for (const input of VALID[name]) {
        const reply = await house.server.ask(name, input, caller)
        expect({ name, reply }).toMatchObject({ name, reply: { ok: false, error: { code: 'not_allowed' } } })
      }
    }
    const reply = await ask(socket, 'operation:start', VALID['operation:start'][0])
    expect(reply).toMatchObject({ ok: false, error: { message: 'The token grafana may only read.' } })
    expect(house.asked).toEqual([])
    expect(await ask(socket, 'connection:list')).toEqual({ ok: true, value: [] })
  })

  it('nobody speaks in the name of another, whatever they ask', () => {
    for (const name of Object.keys(REQUESTS) as RequestName[]) {
      if (ACCESS[name] === 'local') continue
      const words = Object.keys(REQUESTS[name].shape)
      // Whatever may say who asks has one of these names.
      const by = words.filter((word) => word === 'createdBy' || word === 'by')
      expect(words.filter((word) => /by$|user|caller|token/i.test(word))).toEqual(by)
      for (const input of VALID[name]) {
        const plain = Object.entries(input as object).filter(([word]) => !word.startsWith('despite'))
        const said = { ...Object.fromEntries(plain), ...Object.fromEntries(by.map((word) => [word, 'root'])) }
        const made = signed(name, said, { name: 'ci', access: 'full' }) as Record<string, unknown>
        expect(by.map((word) => made[word])).toEqual(by.map(() => 'token:ci'))
      }
    }
  })

  it('nobody says that a person at a terminal wants it all the same', async () => {
    const house = new NetworkHouse()
    const caller = { name: 'ci', access: 'full' } as const
    const input = { ...VALID['operation:start'][0], despiteLoginHold: true }
    expect(await house.server.ask('operation:start', input, caller)).toMatchObject({
      ok: false,
      error: { code: 'not_allowed' },
    })
    expect(house.asked).toEqual([])
  })

  it('nobody hears where things lie on the machine of the daemon', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open()
    const socket = await connect(port, house.token('ci', 'full'))
    const { store } = house.house
    store.write(() =>
      store.connections.add({ name: 'a', host: '10.0.0.1', username: 'admin', keyPath: '/home/alice/.ssh/id' }, 0),
    )
    const words = JSON.stringify([await ask(socket, 'connection:list'), await ask(socket, 'daemon:info')])
    expect(words).toContain('"credential":{"type":"key"}')
    expect(words).not.toContain('/home/alice')
    const error = { code: 'bad_key_file', message: 'There is no key file /home/alice/.ssh/id.', hint: 'Name /one.' }
    const settled = { type: 'settled', status: 'failed', message: error.message, error }
    expect(JSON.stringify(concealed({ ok: false, error }))).not.toContain('/')
    expect(JSON.stringify(concealed([{ events: [{ event: settled }] }]))).not.toContain('/')
    // A helper or an agent that fails; and after the intent the code is that of a doubt.
    const unknown = {
      code: 'connection_lost_after_sending',
      message: 'The key file /k/id is gone',
      hint: 'S=/run/a.sock x',
    }
    const helper = { code: 'no_credential', message: 'The helper "v" has none: /opt/v is no file.', hint: '"/opt/v"' }
    for (const error of [unknown, helper]) expect(JSON.stringify(concealed({ error }))).not.toContain('/')
    expect(concealed({ message: 'Cisco Tomcat/DB 1/2' })).toEqual({ message: 'Cisco Tomcat/DB 1/2' })
  })

  it('that is revoked, whoever is connected is cut off, by whatever way they came', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open({ polling: true })
    const [mine, other] = [house.token('mine', 'full'), house.token('other', 'full')]
    const cut = await Promise.all([connect(port, mine), connect(port, mine, 'polling')])
    const stays = await connect(port, other)
    // One that has shown its token and not yet entered.
    await using half = await RawClient.connect({ to: { port } })
    half.send(upgradeWith(port, `Authorization: Bearer ${mine}\r\n`))
    expect(await half.hears('"sid"')).toBe(true)
    house.revoke('mine')
    await until('they are gone', () => cut.every(({ disconnected }) => disconnected))
    expect(await half.isThrownOut(5000)).toBe(true)
    expect((await ask(stays, 'connection:list')).ok).toBe(true)
    await expect(connect(port, mine)).rejects.toMatchObject({ data: { code: 'bad_token' } })
    // Another one of the same name is another one.
    const again = house.token('mine', 'full')
    await expect(connect(port, mine)).rejects.toMatchObject({ data: { code: 'bad_token' } })
    expect((await connect(port, again)).connected).toBe(true)
  })

  it('its last use is known to within ten minutes', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open()
    const token = house.token('ci', 'read')
    const used = () => house.house.store.tokens.list()[0]?.lastUsedAt
    const request = `GET / HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`
    expect(used()).toBeNull()
    await say({ port }, request)
    const first = house.house.clock
    expect(used()).toBe(first)
    house.house.clock += 9 * 60_000
    await say({ port }, request)
    expect(used()).toBe(first)
    house.house.clock += 60_000
    await say({ port }, request)
    expect(used()).toBe(house.house.clock)
  })
})

function upgradeWith(port: number, lines: string): string {
  return (
    `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost:${port}\r\n${lines}Upgrade: websocket\r\n` +
    'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
  )
}

describe('a session by polling', () => {
  it('answers only to the token, the Origin, the Host and the transport that opened it', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open({ polling: true, origins: [ORIGIN, 'https://two.example'] })
    const [mine, other, gone] = [house.token('a', 'full'), house.token('b', 'full'), house.token('c', 'full')]
    house.revoke('c')
    const to = { port }
    const ask = (line: string, host: string, origin: string | null, token: string | null, body = '') =>
      say(
        to,
        [
          `${line} HTTP/1.1`,
          `Host: ${host}:${port}`,
          ...(origin === null ? [] : [`Origin: ${origin}`]),
          ...(token === null ? [] : [`Authorization: Bearer ${token}`]),
          ...(body === '' ? [] : [`Content-Length: ${body.length}`]),
          'Connection: close',
          '',
          body,
        ].join('\r\n'),
      )
    const open = await ask('GET /socket.io/?EIO=4&transport=polling', 'localhost', ORIGIN, mine)
    const sid = /"sid":"([\w-]+)"/.exec(open)?.[1] ?? ''
    expect(sid).not.toBe('')
    const place = `/socket.io/?EIO=4&transport=polling&sid=${sid}`
    const entry = `40${JSON.stringify({ protocol: PROTOCOL_VERSION, version: '0' })}`
    const request = '420["connection:list",{}]'
    const tries = ['localhost', '127.0.0.1'].flatMap((host) =>
      [ORIGIN, 'https://two.example', null].flatMap((origin) =>
        [mine, other, gone, null].flatMap((token) =>
          [
            [`GET ${place}`, ''],
            [`POST ${place}`, entry],
            [`POST ${place}`, request],
          ].map(([line = '', body = '']) => ({ host, origin, token, line, body })),
        ),
      ),
    )
    for (const { host, origin, token, line, body } of tries) {
      if (host === 'localhost' && origin === ORIGIN && token === mine) continue
      expect(await ask(line, host, origin, token, body)).toMatch(/^HTTP\/1\.1 40[013] /)
    }
    // Nor may a websocket take it over, with whatever token.
    for (const token of [mine, other]) {
      const upgrade = upgradeWith(port, `Origin: ${ORIGIN}\r\nAuthorization: Bearer ${token}\r\n`)
      expect(await say(to, upgrade.replace('websocket HTTP', `websocket&sid=${sid} HTTP`))).toMatch(/^HTTP\/1\.1 400 /)
    }
    expect(house.asked).toEqual([])
    // All that did not hurt whom it belongs to.
    expect(await ask(`POST ${place}`, 'localhost', ORIGIN, mine, entry)).toMatch(/^HTTP\/1\.1 200 /)
    expect(await ask(`POST ${place}`, 'localhost', ORIGIN, mine, request)).toMatch(/^HTTP\/1\.1 200 /)
    await until('it is served', () => house.asks('connection:list') === 1)
  })

  it('is one of few: nobody fills the memory by opening more', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open({ polling: true })
    const open = async (token: string) => {
      const lines = `Host: localhost:${port}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`
      return (await say({ port }, `GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n${lines}`)).slice(9, 12)
    }
    const [greedy, modest] = [house.token('a', 'read'), house.token('b', 'read')]
    const statuses: string[] = []
    for (let times = 0; times < 34; times++) statuses.push(await open(greedy))
    expect(statuses).toEqual([...Array.from({ length: 32 }, () => '200'), '429', '429'])
    expect(await open(modest)).toBe('200')
  })

  it('that a header has opened takes no other token in its first packet', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open()
    const [mine, other] = [house.token('a', 'read'), house.token('b', 'full')]
    await using client = await RawClient.connect({ to: { port } })
    client.send(upgradeWith(port, `Authorization: Bearer ${mine}\r\n`))
    expect(await client.hears('"sid"')).toBe(true)
    client.say(`40${JSON.stringify({ protocol: PROTOCOL_VERSION, version: '0', token: other })}`)
    expect(await client.hears('bad_token')).toBe(true)
    expect(await client.isThrownOut(5000)).toBe(true)
  })

  it('is not served before it has said its token', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open()
    for (const packet of [
      '420["connection:list",{}]',
      '40/admin,{}',
      '41',
      '451-["x",{"_placeholder":true,"num":0}]',
    ]) {
      await using client = await RawClient.connect({ to: { port } })
      client.send(upgradeWith(port, ''))
      expect(await client.hears('"sid"')).toBe(true)
      client.say(packet)
      client.say('420["connection:list",{}]')
      expect(await client.isThrownOut(5000)).toBe(true)
    }
    expect(house.asked).toEqual([])
  })
})

describe('what is no request of ours', () => {
  it('gets no answer behind a request that has come whole: it would be taken for the answer to that', async () => {
    const house = new NetworkHouse()
    let taken = 0
    const { port } = await house.open({}, { face: () => void taken++ })
    const bearer = `Host: localhost:${port}\r\nAuthorization: Bearer ${house.token('ci', 'full')}\r\n`
    const restart = `POST /api/connections/1/restart HTTP/1.1\r\n${bearer}Content-Length: 2\r\n\r\n{}`
    for (const rest of ['}\n', upgradeWith(port, ''), upgradeWith(port, 'Origin: https://evil.example\r\n')]) {
      expect(await say({ port }, restart + rest)).toBe('')
    }
    expect(taken).toBe(3)
  })

  it.each([
    ['a target with a scheme', 'GET http://localhost:PORT/ HTTP/1.1\r\nHost: localhost:PORT\r\n', 400],
    ['a target of another host', 'GET http://evil.example/ HTTP/1.1\r\nHost: localhost:PORT\r\n', 400],
    ['a target with two slashes', 'GET //evil.example/ HTTP/1.1\r\nHost: localhost:PORT\r\n', 400],
    ['a backslash', 'GET /\\evil.example HTTP/1.1\r\nHost: localhost:PORT\r\n', 400],
    ['a star', 'OPTIONS * HTTP/1.1\r\nHost: localhost:PORT\r\n', 400],
    ['HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n', 400],
    ['a bare line feed', 'GET / HTTP/1.1\nHost: localhost:PORT\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: localhost:PORT\r\nContent-Length: 1\r\nContent-Length: 2\r\n', 400],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: localhost:PORT\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n',
      400,
    ],
    ['a body of 65 KiB', `POST / HTTP/1.1\r\nHost: localhost:PORT\r\nContent-Length: ${65 * 1024 + 1}\r\n`, 413],
    ['headers of 9 KiB', `GET / HTTP/1.1\r\nHost: localhost:PORT\r\nX: ${'x'.repeat(9000)}\r\n`, 431],
    ['another method', 'DELETE / HTTP/1.1\r\nHost: localhost:PORT\r\n', 405],
    ['a tunnel', 'CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:PORT\r\n', null],
    ['an expectation', 'GET / HTTP/1.1\r\nHost: localhost:PORT\r\nExpect: the unexpected\r\n', null],
    [
      'an upgrade to another protocol',
      'GET / HTTP/1.1\r\nHost: localhost:PORT\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n',
      400,
    ],
    ['polling by JSONP', 'GET /socket.io/?EIO=4&transport=polling&j=0 HTTP/1.1\r\nHost: localhost:PORT\r\n', 400],
    ['a key twice', 'GET /socket.io/?EIO=4&EIO=4&transport=polling HTTP/1.1\r\nHost: localhost:PORT\r\n', 400],
    ['a key in disguise', 'GET /socket.io/?EIO=4&transport=polling&%73id=x HTTP/1.1\r\nHost: localhost:PORT\r\n', 400],
    ['an older protocol', 'GET /socket.io/?EIO=3&transport=polling HTTP/1.1\r\nHost: localhost:PORT\r\n', 400],
    [
      'a path beside that of Socket.IO',
      'GET /socket.io/admin?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost:PORT\r\n',
      404,
    ],
    [
      'a session of nobody',
      'GET /socket.io/?EIO=4&transport=polling&sid=__proto__ HTTP/1.1\r\nHost: localhost:PORT\r\n',
      400,
    ],
  ])('%s is refused with a good token, and nobody behind the gate sees it', async (_, text, status) => {
    const house = new NetworkHouse()
    const { port } = await house.open({ polling: true })
    const token = house.token('ci', 'full')
    const heard = await say(
      { port },
      `${text.replaceAll('PORT', String(port))}Authorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
    )
    if (status === null) expect(heard).toBe('')
    else expect(heard).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    // Every answer forbids to keep, frame, embed or guess, and says nothing of the server.
    if (status !== null) expect(heard).toMatch(/Cache-Control: no-store\r\n[^]*nosniff\r\n/)
    expect(heard).not.toMatch(/^(Server|X-Powered-By|Access-Control-Allow-Origin):/im)
    expect([house.shown, house.asked]).toEqual([[], []])
  })
})

describe('the limits', () => {
  it('of wrong tokens are for those who have none: one that is known passes all the same', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open({}, { failuresPerMinute: 3 })
    const token = house.token('ci', 'full')
    const status = async (token: string) => {
      const lines = `Host: localhost:${port}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`
      return (await say({ port }, `GET / HTTP/1.1\r\n${lines}`)).slice(9, 12)
    }
    const wrong = `vosctl_${'x'.repeat(43)}`
    const seen: string[] = []
    for (let times = 0; times < 6; times++) seen.push(await status(wrong))
    expect(seen).toEqual(['401', '401', '401', '429', '429', '429'])
    expect(await status(token)).toBe('200')
    // Said once, without its value.
    expect(house.log).toEqual(['network: refused: a wrong token, from 127.0.0.1'])
  })

  it('of requests are for a token, not for its connections', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open()
    const request = (token: string) =>
      `GET / HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`
    const [greedy, modest] = [request(house.token('a', 'read')), request(house.token('b', 'read'))]
    const answers = await Promise.all(Array.from({ length: 60 }, () => say({ port }, greedy)))
    expect(answers.filter((heard) => heard.startsWith('HTTP/1.1 429')).length).toBeGreaterThan(0)
    expect(await say({ port }, modest)).toMatch(/^HTTP\/1\.1 200/)
  })

  it('of reading leave the daemon to others: a token that asks for too much too often has to wait', async () => {
    const { house, server } = new NetworkHouse()
    const { operations } = house.store
    house.store.write(() => {
      for (let id = 0; id < 500; id++) {
        const { operation } = operations.insert(`r-${id}`, { ...ACCEPTED, device: `d${id}:22` }, id)
        operations.append(operation, { type: 'settled', status: 'cancelled', message: 'm' }, id)
        operations.archive(`r-${id}`)
      }
    })
    const ask = (name: string) => server.ask('operation:history', { limit: 5000 }, { name, access: 'read' })
    const isRefused = async () => {
      const reply = await ask('greedy')
      return !reply.ok && reply.error.code === 'too_many_requests'
    }
    let asked = 0
    while (!(await isRefused())) expect(++asked).toBeLessThan(1000)
    expect(await ask('modest')).toMatchObject({ ok: true })
    await until('it may ask again', async () => !(await isRefused()))
  })

  it('of connections turn away whoever comes too much, and those who are in stay', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open({}, { descriptors: 64 })
    const socket = await connect(port, house.token('ci', 'full'))
    const more = Array.from({ length: 20 }, () => net.connect({ port, host: '127.0.0.1' }).on('error', () => undefined))
    onTestFinished(() => {
      for (const each of more) each.destroy()
    })
    await until('some are turned away', () => more.filter(({ closed }) => closed).length >= 13)
    expect((await ask(socket, 'connection:list')).ok).toBe(true)
  })
})

describe('where it listens', () => {
  it('is asked of the socket itself: what other machines reach is closed again', async () => {
    const house = new NetworkHouse()
    for (const host of ['0.0.0.0', '127.0.0.2', '::']) {
      await expect(house.open({ listen: [{ host, port: 0 }] })).rejects.toMatchObject({
        code: 'bad_config',
        message: expect.stringContaining('which other machines reach'),
      })
    }
  })

  it('is everywhere that the settings say, or nowhere', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open()
    const spare = net.createServer()
    spare.listen(0, '127.0.0.1')
    await once(spare, 'listening')
    const { port: free } = spare.address() as net.AddressInfo
    spare.close()
    await once(spare, 'close')
    const listen = [free, port].map((port) => ({ host: '127.0.0.1', port }))
    await expect(house.open({ listen })).rejects.toMatchObject({
      code: 'daemon_start',
      message: `Cannot listen on 127.0.0.1:${port}: the port is in use.`,
    })
    const probe = net.connect({ port: free, host: '127.0.0.1' })
    await expect(once(probe, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('sends everybody away until the daemon has taken up its work', async () => {
    const house = new NetworkHouse()
    const { server, house: inside } = house
    const settings = { ...DEFAULT_SETTINGS, listen: [{ host: '::1', port: 0 }] }
    const door = await openNetworkDoor({ settings, server, store: inside.store, now: () => 0, log: () => undefined })
    onTestFinished(() => door.close())
    const { port, host } = new URL(door.addresses[0] ?? '')
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${house.token('ci', 'full')}\r\n\r\n`
    const to = { port: Number(port), host: '::1' }
    expect(await say(to, request)).toBe('')
    door.open()
    // There is no face here.
    expect(await say(to, request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))).toMatch(/^HTTP\/1\.1 404/)
  })
})

const OPENSSL = requireTool('openssl')

/** Two authorities, a server, and a client of each, made by openssl in a directory. */
function makeCertificates(directory: string): void {
  const run = (...args: string[]) => execFileSync(OPENSSL ?? '', args, { cwd: directory, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  for (const name of ['ca', 'other']) {
    run('req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`)
  }
  for (const [name, ca] of [
    ['server', 'ca'],
    ['good', 'ca'],
    ['bad', 'other'],
  ] as const) {
    const san = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
    const by = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-addext', 'basicConstraints=critical,CA:false']
    run('req', '-x509', ...key, ...san, ...by, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`)
  }
}

describe.skipIf(OPENSSL === null)('with TLS', () => {
  let made = ''
  beforeAll(() => {
    made = fs.mkdtempSync(path.join(os.tmpdir(), 'vos-'))
    makeCertificates(made)
    return () => fs.rmSync(made, { recursive: true, force: true })
  })
  const setUp = () => {
    const directory = temporaryDirectory()
    fs.cpSync(made, directory, { recursive: true })
    const file = (name: string) => path.join(directory, name)
    const tls: TlsSettings = { certificate: file('server.pem'), key: file('server.key'), clients: file('ca.pem') }
    return { file, tls }
  }

  it('and client certificates, other addresses are open: to who shows a right one, and a token', async () => {
    const { file, tls: settings } = setUp()
    const house = new NetworkHouse()
    const listen = [{ host: '0.0.0.0', port: 0 }]
    const { port } = await house.open({ tls: settings, listen })
    const { port: near } = await house.open({ tls: { ...settings, clients: null } })
    const token = house.token('ci', 'full')
    /** What came back, or nothing when it was cut off. */
    const visit = async (who: string | null, more: tls.ConnectionOptions = {}, bearer = token): Promise<string> => {
      const mine =
        who === null ? {} : { cert: fs.readFileSync(file(`${who}.pem`)), key: fs.readFileSync(file(`${who}.key`)) }
      const to = { host: '127.0.0.1', port, ca: fs.readFileSync(file('ca.pem')), ...mine, ...more }
      const socket = tls.connect(to)
      let heard = ''
      socket.setEncoding('latin1').on('data', (text: string) => (heard += text))
      socket.on('error', () => undefined)
      socket.write(
        `GET /in HTTP/1.1\r\nHost: localhost:${to.port}\r\nAuthorization: Bearer ${bearer}\r\nConnection: close\r\n\r\n`,
      )
      await until('it is closed', () => socket.closed)
      return heard
    }
    expect(await visit('good')).toMatch(/^HTTP\/1\.1 200/)
    expect(await visit('good', { maxVersion: 'TLSv1.2' })).toMatch(/^HTTP\/1\.1 200/)
    expect(await visit('good', {}, 'vosctl_x')).toMatch(/^HTTP\/1\.1 401/)
    expect(house.shown).toHaveLength(2)
    expect(await visit(null)).toBe('')
    expect(await visit('bad')).toBe('')
    const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    expect(await visit('good', old)).toBe('')
    // Nor without TLS at all.
    expect(await say({ port }, `GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)).not.toMatch(/ 200 /)
    expect(house.shown).toHaveLength(2)
    // On this machine alone TLS may ask for no certificate.
    expect(await visit(null, { port: near })).toMatch(/^HTTP\/1\.1 200/)
  })

  it.each([
    [
      'a key that others may read',
      (file: (name: string) => string) => fs.chmodSync(file('server.key'), 0o640),
      'bad_key_file',
    ],
    [
      'a key of another certificate',
      (file: (name: string) => string) => fs.copyFileSync(file('good.key'), file('server.key')),
      'bad_config',
    ],
    ['no certificate', (file: (name: string) => string) => fs.writeFileSync(file('server.pem'), 'x'), 'bad_config'],
    ['no authority of clients', (file: (name: string) => string) => fs.writeFileSync(file('ca.pem'), ''), 'bad_config'],
    [
      'a broken authority',
      (file: (name: string) => string) =>
        fs.writeFileSync(file('ca.pem'), '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----'),
      'bad_config',
    ],
    [
      'a certificate that others may write',
      (file: (name: string) => string) => fs.chmodSync(file('server.pem'), 0o666),
      'bad_config',
    ],
    [
      'authorities that others may write',
      (file: (name: string) => string) => fs.chmodSync(file('ca.pem'), 0o666),
      'bad_config',
    ],
    ['no key', (file: (name: string) => string) => fs.rmSync(file('server.key')), 'bad_key_file'],
  ])('does not begin with %s', async (_, harm, code) => {
    const { file, tls } = setUp()
    harm(file)
    const house = new NetworkHouse()
    await expect(house.open({ tls })).rejects.toMatchObject({ code })
  })
})
