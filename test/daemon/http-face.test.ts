import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { codesOf, EXIT_TABLE, type ErrorCode, type ExitName } from '../../src/core/errors.ts'
import type { Operation } from '../../src/core/operation.ts'
import type { Refusal } from '../../src/core/protocol.ts'
import { REQUESTS } from '../../src/core/schemas.ts'
import { VERSION } from '../../src/core/version.ts'
import { refusal, statusOf } from '../../src/daemon/http/answer.ts'
import { MAX_BODY_BYTES } from '../../src/daemon/http/body.ts'
import { createFace } from '../../src/daemon/http/face.ts'
import { RESTART } from '../../src/daemon/http/restart.ts'
import { ask, openFace, type Heard, type Wish } from '../helpers/face.ts'
import { NetworkHouse, ORIGIN } from '../helpers/network.ts'
import { RawClient } from '../faults/fuzz/raw-client.ts'
import { House } from '../helpers/manager.ts'
import { LOST, output, ScriptedDevice, type Script } from '../helpers/scripted-device.ts'
import { until } from '../helpers/wait.ts'

const GOOD: Script = {
  commit: [{ type: 'sent' }, output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STARTED]'), { type: 'ended' }],
}
/** Stays at its login until the test ends. */
const STUCK: Script = { pause: (method) => (method === 'login' ? new Promise(() => undefined) : undefined) }

const document = ({ body }: Heard): unknown => JSON.parse(body)
const operationIn = (heard: Heard) => document(heard) as Operation
const refusalIn = (heard: Heard) => (document(heard) as { error: Refusal }).error
const keyed = (more: Wish = {}, key: string = randomUUID()): Wish => ({
  ...more,
  headers: { 'Idempotency-Key': key, ...more.headers },
})

describe('a restart over HTTP', () => {
  it('is accepted with 202 and the operation, which runs and can be read where Location says', async () => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    const heard = await ask('POST', '/api/connections/cucm-pub/restart', keyed({ body: { reason: 'CAB-7' } }))
    expect(heard.status).toBe(202)
    const { id } = operationIn(heard)
    expect(operationIn(heard)).toMatchObject({ type: 'service_restart', createdBy: 'token:ci', reason: 'CAB-7' })
    expect(heard.headers.location).toBe(`/api/operations/${id}`)
    await house.settled(id)
    const read = await ask('GET', heard.headers.location ?? '')
    expect(read.status).toBe(200)
    expect(operationIn(read)).toEqual(house.manager.get(id))
    expect(operationIn(read)).toMatchObject({ status: 'completed', effect: 'confirmed' })
  })

  it('takes the number of a connection for its name, and no body for the defaults', async () => {
    const { house, ask } = await openFace(GOOD)
    const id = house.add('cucm-pub')
    const heard = await ask('POST', `/api/connections/${id}/restart`, keyed())
    expect(heard.status).toBe(202)
    expect(operationIn(heard)).toMatchObject({ service: 'Cisco Tomcat', connection: { id, name: 'cucm-pub' } })
  })

  it('that is asked for again with its key is the same, and nothing is sent twice', async () => {
    const devices: ScriptedDevice[] = []
    const house = new House(() => {
      devices.push(new ScriptedDevice(GOOD))
      return devices.at(-1) as ScriptedDevice
    })
    const { ask } = await openFace({}, {}, house)
    house.add('cucm-pub')
    const wish = keyed({ body: { service: 'Cisco Tomcat' } })
    const answers = await Promise.all([1, 2, 3].map(() => ask('POST', '/api/connections/1/restart', wish)))
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202])
    const ids = new Set(answers.map((heard) => operationIn(heard).id))
    expect(ids.size).toBe(1)
    await house.settled([...ids][0] ?? '')
    const key = String(wish.headers?.['Idempotency-Key'])
    // One number, in whatever letters.
    const shouted = keyed({ body: wish.body }, key.toUpperCase())
    expect(operationIn(await ask('POST', '/api/connections/1/restart', shouted)).id).toBe([...ids][0])
    const late = await ask('POST', '/api/connections/cucm-pub/restart', wish)
    expect(late.status).toBe(202)
    expect(operationIn(late)).toMatchObject({ id: [...ids][0], status: 'completed' })
    expect(devices.flatMap(({ calls }) => calls).filter((call) => call === 'commit')).toHaveLength(1)
  })

  it.each([
    ['another connection', '/api/connections/2/restart', {}],
    ['another service', '/api/connections/1/restart', { body: { service: 'Cisco Tftp' } }],
    ['another token', '/api/connections/1/restart', { headers: { authorization: 'Bearer else' } }],
  ])('is refused to a key that stands for %s, instead of being told of the wrong one', async (_, path, more) => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    house.add('cucm-sub', '10.10.0.11')
    const key = randomUUID()
    await ask('POST', '/api/connections/1/restart', keyed({}, key))
    const heard = await ask('POST', path, keyed(more, key))
    expect(heard.status).toBe(422)
    expect(refusalIn(heard).message).toBe('This request id stands for another request. Nothing was started.')
    expect(house.manager.board()).toHaveLength(1)
  })

  it('keeps its key over a crash of the daemon', async () => {
    const first = await openFace(GOOD)
    const { house } = first
    house.add('cucm-pub')
    const wish = keyed()
    const { id } = operationIn(await first.ask('POST', '/api/connections/1/restart', wish))
    await house.settled(id)
    house.crash()
    const second = await openFace({}, {}, house)
    expect(operationIn(await second.ask('POST', '/api/connections/1/restart', wish)).id).toBe(id)
    expect(house.manager.board()).toHaveLength(1)
  })

  it('goes on when who asked for it has left', async () => {
    const gate = Promise.withResolvers<void>()
    const script: Script = {
      ...GOOD,
      pause: (method) => (method === 'prepare Cisco Tomcat' ? gate.promise : undefined),
    }
    const { house, port } = await openFace(script)
    house.add('cucm-pub')
    const socket = connect(port, '127.0.0.1')
    const path = '/api/connections/1/restart'
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: ${randomUUID()}\r\n\r\n`)
    const [{ id }] = await until('it began', () => {
      const board = house.manager.board()
      return board[0]?.phase === 'ready' ? (board as [Operation]) : null
    })
    socket.resetAndDestroy()
    gate.resolve()
    expect(await house.settled(id)).toMatchObject({ status: 'completed' })
  })

  it('is refused with 409 and the operation that runs there', async () => {
    const { house, ask } = await openFace(STUCK)
    house.add('cucm-pub')
    const { id } = operationIn(await ask('POST', '/api/connections/1/restart', keyed()))
    const heard = await ask('POST', '/api/connections/1/restart', keyed())
    expect(heard.status).toBe(409)
    expect(refusalIn(heard)).toMatchObject({
      code: 'already_running',
      holder: { id },
      connection: { name: 'cucm-pub' },
    })
  })

  it.each([
    ['attach', 200],
    ['skip', 200],
    ['queue', 202],
  ] as const)(
    'that may %s where one runs is answered %d with the operation that stands for it',
    async (ifRunning, status) => {
      const { house, ask } = await openFace(STUCK)
      house.add('cucm-pub')
      const { id } = operationIn(await ask('POST', '/api/connections/1/restart', keyed()))
      const heard = await ask('POST', '/api/connections/1/restart', keyed({ body: { ifRunning } }))
      expect(heard.status).toBe(status)
      const told = operationIn(heard)
      expect(heard.headers.location).toBe(`/api/operations/${told.id}`)
      if (status === 200) expect(told.id).toBe(id)
      else expect(told.after).toBe(id)
    },
  )

  it('is answered with the one that completed lately, where that is enough', async () => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    const { id } = operationIn(await ask('POST', '/api/connections/1/restart', keyed()))
    await house.settled(id)
    const heard = await ask('POST', '/api/connections/1/restart', keyed({ body: { ifRecentMs: 60_000 } }))
    expect([heard.status, operationIn(heard).id]).toEqual([200, id])
  })

  it('is refused to a token that reads, before a word of its body', async () => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    const headers = { authorization: 'Bearer reader', 'content-type': 'text/plain' }
    const heard = await ask('POST', '/api/connections/1/restart', keyed({ headers, body: 'x' }))
    expect(heard.status).toBe(403)
    expect(refusalIn(heard).code).toBe('not_allowed')
    expect(house.manager.board()).toEqual([])
  })

  it.each([
    [
      'a hold',
      423,
      'on_hold',
      (house: House) => house.store.connections.setHold(1, { since: 1, by: 'bob', reason: 'TAC' }),
    ],
    [
      'a refused login',
      423,
      'login_held',
      (house: House) =>
        house.store.operations.setLoginHold('10.10.0.10:22', 'admin', { since: 1, operationId: 'r-1', message: 'no' }),
    ],
    ['no password', 422, 'no_credential', (house: House) => house.store.connections.setSealedPassword(1, null)],
    [
      'no host key',
      422,
      'host_key_unpinned',
      (house: House) => house.store.connections.edit(1, { host: '10.10.0.99' }),
    ],
    ['no default service', 422, 'bad_request', (house: House) => house.store.connections.edit(1, { service: null })],
    ['no connection', 404, 'unknown_connection', (house: House) => house.store.connections.remove(1)],
  ])('is refused for %s with %d', async (_, status, code, prepare) => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    house.store.write(() => prepare(house))
    if (code === 'host_key_unpinned') {
      house.store.write(() => house.store.connections.setSealedPassword(1, Buffer.from('sealed')))
    }
    const heard = await ask('POST', '/api/connections/1/restart', keyed())
    expect([heard.status, refusalIn(heard).code]).toEqual([status, code])
    expect(house.manager.board()).toEqual([])
  })

  it('is refused with 423 while an outcome is unknown, and no word of a body gets past that', async () => {
    const { house, ask } = await openFace({ commit: [{ type: 'sent' }, LOST], connect: ['ok', new Error('gone')] })
    house.add('cucm-pub')
    const { id } = operationIn(await ask('POST', '/api/connections/1/restart', keyed()))
    expect(await house.settled(id)).toMatchObject({ status: 'unknown' })
    const heard = await ask('POST', '/api/connections/1/restart', keyed())
    expect([heard.status, refusalIn(heard).code]).toEqual([423, 'unacknowledged'])
    expect(refusalIn(heard).holder?.id).toBe(id)
    for (const word of ['despiteUnknown', 'despiteLoginHold', 'cutSession']) {
      const heard = await ask('POST', '/api/connections/1/restart', keyed({ body: { [word]: true } }))
      expect(heard.status).toBe(422)
    }
  })

  it('is refused with 503 by a daemon that stops', async () => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    await house.manager.drain(new AbortController().signal)
    const heard = await ask('POST', '/api/connections/1/restart', keyed())
    expect([heard.status, refusalIn(heard).code]).toEqual([503, 'draining'])
    const health = await ask('GET', '/healthz')
    expect([health.status, document(health)]).toEqual([
      503,
      { status: 'draining', version: VERSION, active: 0, draining: true },
    ])
  })
})

describe('a body', () => {
  const word = (text: string | Buffer, type = 'application/json') =>
    keyed({ body: text, headers: { 'content-type': type } })
  const longest = JSON.stringify({ service: 'x'.repeat(96), reason: '€'.repeat(500), deadlineMs: 7 * 86_400_000 })

  it('that is not as it should be is refused, and starts nothing', async () => {
    const table: readonly [string, number, Wish][] = [
      ['not JSON', 400, word('{')],
      ['empty, where JSON was promised', 400, word('')],
      ['with a byte order mark', 400, word('\uFEFF{}')],
      ['not UTF-8', 400, word(Buffer.from('7b22726561736f6e223a22ff227d', 'hex'))],
      ['in UTF-16', 400, word(Buffer.from('{}', 'utf16le'))],
      ['that names a service twice', 400, word('{"service":"Cisco Tftp","service":"Cisco Tomcat"}')],
      ['that names a service twice in two spellings', 400, word('{"service":"A","s\\u0065rvice" : "B"}')],
      ['of a form', 415, word('service=Cisco+Tomcat', 'application/x-www-form-urlencoded')],
      ['of another character set', 415, word('{}', 'application/json; charset=iso-8859-1')],
      ['of a type that only begins so', 415, word('{}', 'application/json-patch+json')],
      ['of two types', 415, word('{}', 'application/json, text/plain')],
      ['of no type', 415, keyed({ body: '{}', headers: { 'content-type': '' } })],
      ['that is compressed', 415, keyed({ body: '{}', headers: { 'content-encoding': 'gzip' } })],
      ['that is too long', 413, word(`{"reason":"${'x'.repeat(MAX_BODY_BYTES)}"}`)],
      ['that is a list', 422, word('[]')],
      ['that is null', 422, word('null')],
      ['with __proto__', 422, word('{"__proto__":{"startStopped":true}}')],
      ['with constructor', 422, word('{"constructor":{}}')],
      ['with a field that nobody knows', 422, word('{"servce":"Cisco Tftp"}')],
      ['with an operation type', 422, word('{"operationType":"ssh_test"}')],
      ['with another connection', 422, word('{"connectionIds":[2]}')],
      ['with another name to sign with', 422, word('{"createdBy":"root"}')],
      ['with a number for a text', 422, word('{"service":7}')],
      ['with a line break in the service', 422, word('{"service":"Cisco Tomcat\\nutils system shutdown"}')],
      ['with an invisible character in the reason', 422, word('{"reason":"a\\u202eb"}')],
      ['with a time limit of nothing', 422, word('{"deadlineMs":0}')],
      ['nested too deeply for anybody', 400, word('['.repeat(MAX_BODY_BYTES))],
    ]
    const { house, ask, log } = await openFace(GOOD)
    house.add('cucm-pub')
    for (const [what, status, wish] of table) {
      const heard = await ask('POST', '/api/connections/1/restart', wish)
      expect([what, heard.status, refusalIn(heard).code]).toEqual([what, status, 'bad_request'])
    }
    expect(house.manager.board()).toEqual([])
    expect(log).toEqual([])
  })

  it('of any shape is answered in the words of the document, and never by accident', async () => {
    const { house, ask, log } = await openFace(STUCK)
    house.add('cucm-pub')
    const field = fc.oneof(fc.constantFrom(...Object.keys(RESTART.shape)), fc.string())
    const anything = fc.oneof(fc.dictionary(field, fc.anything()), fc.anything(), fc.string())
    await fc.assert(
      fc.asyncProperty(anything, async (value) => {
        const body = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
        const { status } = await ask('POST', '/api/connections/1/restart', word(body))
        expect([202, 400, 409, 413, 422]).toContain(status)
      }),
      { numRuns: 150 },
    )
    expect(log).toEqual([])
    for (const { service } of house.manager.board()) expect(service).toBe('Cisco Tomcat')
  })

  it.each([
    ['application/json;charset=UTF-8', longest],
    ['Application/JSON; charset="utf-8"', ' {\n}\n'],
    ['application/json', '{"reason":"\\"service\\": \\"service\\": twice"}'],
  ])('of type %s may be %j', async (type, text) => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    expect((await ask('POST', '/api/connections/1/restart', word(text, type))).status).toBe(202)
  })
})

describe('the key', () => {
  const key = randomUUID()
  it.each<[string, number, Wish]>([
    ['missing', 422, {}],
    ['no UUID', 422, keyed({}, 'again')],
    ['said twice', 422, { headers: { 'idempotency-key': [randomUUID(), randomUUID()] } }],
    ['another in the body', 422, keyed({ body: { requestId: randomUUID() } })],
    ['the same in the body', 202, keyed({ body: { requestId: key } }, key)],
    ['in the body alone', 202, { body: { requestId: randomUUID() } }],
    ['in quotes, as its draft has it', 202, keyed({}, `"${randomUUID()}"`)],
  ])('%s is answered %d', async (_, status, wish) => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    expect((await ask('POST', '/api/connections/1/restart', wish)).status).toBe(status)
    expect(house.manager.board()).toHaveLength(status === 202 ? 1 : 0)
  })
})

describe('an operation over HTTP', () => {
  it('is read by id, by the beginning of it, and as the last one of this token', async () => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    house.add('cucm-sub', '10.10.0.11')
    const { id } = operationIn(await ask('POST', '/api/connections/1/restart', keyed()))
    const other = { headers: { authorization: 'Bearer else' } }
    await ask('POST', '/api/connections/2/restart', keyed(other))
    const all = await Promise.all([id, id.slice(0, -1), 'last'].map((name) => ask('GET', `/api/operations/${name}`)))
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(all.map((heard) => operationIn(heard).id)).toEqual([id, id, id])
  })

  it('that is named by nothing is not there: 404', async () => {
    const { house, ask } = await openFace(GOOD)
    house.add('a', '10.0.0.1')
    house.add('b', '10.0.0.2')
    for (const one of [1, 2]) await ask('POST', `/api/connections/${one}/restart`, keyed())
    const names = [
      'r-zzzzzz',
      'r',
      'R-7K2M9Q',
      'last',
      "r-1'--",
      'r%00',
      '..',
      '%2e%2e',
      '%2F',
      '*',
      'r-',
      encodeURIComponent('é'),
    ]
    const reader = { headers: { authorization: 'Bearer reader' } }
    for (const name of names) {
      const heard = await ask('GET', `/api/operations/${name}`, reader)
      expect([name, heard.status]).toEqual([name, 404])
    }
  })

  it('has nothing in it that moves a terminal, and still says what the device said', async () => {
    const { house, ask } = await openFace({
      ...GOOD,
      commit: [{ type: 'sent' }, output('\u202e\u009b2J\u{E0041} x'), { type: 'ended' }],
    })
    house.add('cucm-pub')
    const { id } = operationIn(await ask('POST', '/api/connections/1/restart', keyed()))
    await house.settled(id)
    const heard = await ask('GET', `/api/operations/${id}`)
    expect(heard.body).not.toMatch(/[\p{Cc}\p{Cf}](?!$)/u)
    expect(operationIn(heard).lastLine).toBe('\u202e\u009b2J\u{E0041} x')
  })
})

describe('the daemon over HTTP', () => {
  it('is well, and says who it is', async () => {
    const { house, ask } = await openFace(STUCK)
    house.add('cucm-pub')
    await ask('POST', '/api/connections/1/restart', keyed())
    const heard = await ask('GET', '/healthz', { headers: { authorization: 'Bearer reader' } })
    expect([heard.status, document(heard)]).toEqual([
      200,
      { status: 'ok', version: VERSION, active: 1, draining: false },
    ])
    expect(heard.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })

  it('is not well when its database is not', async () => {
    const { house, ask } = await openFace()
    // As a disk that has failed once: the store believes nothing any more.
    expect(() =>
      house.store.write(() => {
        throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_FSYNC' })
      }),
    ).toThrow('disk I/O error')
    const heard = await ask('GET', '/healthz')
    expect([heard.status, document(heard)]).toMatchObject([503, { status: 'failing' }])
  })

  it('answers 500 to a mistake of its own, tells nobody what it was, and writes it down', async () => {
    const { house, ask, log } = await openFace()
    house.store.close()
    const heard = await ask('GET', '/api/operations/last')
    expect([heard.status, refusalIn(heard).code]).toEqual([500, 'bug'])
    expect(heard.body).not.toContain('database')
    expect(log.join()).toContain('The database connection is not open')
  })

  it('answers 405 to another method, and says what it takes', async () => {
    const { ask } = await openFace()
    const table = [
      ['PUT', '/healthz', 'GET, HEAD'],
      ['POST', '/metrics', 'GET, HEAD'],
      ['DELETE', '/api/operations/r-7k2m9q', 'GET, HEAD'],
      ['GET', '/api/connections/1/restart', 'POST'],
      ['HEAD', '/api/connections/1/restart', 'POST'],
      ['OPTIONS', '/api/connections/1/restart', 'POST'],
      ['PATCH', '/api/connections/1/restart', 'POST'],
    ] as const
    for (const [method, path, allow] of table) {
      const heard = await ask(method, path)
      expect([method, path, heard.status, heard.headers.allow]).toEqual([method, path, 405, allow])
    }
  })

  it('answers a HEAD as a GET, without the document', async () => {
    const { house, ask } = await openFace(GOOD)
    house.add('cucm-pub')
    const { id } = operationIn(await ask('POST', '/api/connections/1/restart', keyed()))
    await house.settled(id)
    for (const path of ['/healthz', `/api/operations/${id}`, '/api/operations/r-zzzzzz']) {
      const [head, get] = [await ask('HEAD', path), await ask('GET', path)]
      expect([head.status, head.headers['content-length']]).toEqual([get.status, get.headers['content-length']])
      expect(head.body).toBe('')
    }
  })
})

describe('the status of a refusal', () => {
  it('that comes of asking too much says when to ask again', () => {
    const { status, headers } = refusal({ code: 'too_many_requests', message: 'm', hint: '' })
    expect([status, headers]).toEqual([429, { 'Retry-After': '1' }])
  })

  it('is told of every code there is, by its exit status', () => {
    const statuses = (name: ExitName) =>
      [...new Set((codesOf(name) as ErrorCode[]).map(statusOf))].toSorted((a, b) => a - b)
    const table = Object.fromEntries(EXIT_TABLE.map(({ name }) => [name, statuses(name)]))
    expect(table).toMatchObject({
      failed: [409, 502],
      usage: [401, 403, 404, 422],
      unknown: [504],
      busy: [409],
      held: [423],
      unreached: [422, 502],
      daemon: [429, 503],
      pending: [504],
      bug: [500],
    })
  })
})

describe('behind the network door', () => {
  async function open() {
    const network = new NetworkHouse(GOOD)
    const { server, house } = network
    const { store, manager } = house
    const face = createFace({ store, manager, server, now: () => house.clock, log: (line) => network.log.push(line) })
    onTestFinished(face.close)
    house.add('cucm-pub')
    return { network, port: (await network.open({}, { face: face.answer })).port }
  }

  it('a page of a listed origin may send the key, and read where the operation is', async () => {
    const { network, port } = await open()
    const authorization = `Bearer ${network.token('page', 'full')}`
    const preflight = await fetch(`http://127.0.0.1:${port}/api/connections/1/restart`, {
      method: 'OPTIONS',
      headers: { origin: ORIGIN, 'access-control-request-method': 'POST' },
    })
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Idempotency-Key')
    const headers = { authorization, origin: ORIGIN, 'idempotency-key': randomUUID() }
    const heard = await ask(port, 'POST', '/api/connections/1/restart', { headers })
    expect(heard.status).toBe(202)
    expect(heard.headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-expose-headers': 'Location, Retry-After',
      location: expect.stringMatching(/^\/api\/operations\/r-/) as string,
    })
  })

  it('a token that is revoked while its body is on the way starts nothing', async () => {
    const { network, port } = await open()
    const token = network.token('ci', 'full')
    const lines = [`Host: localhost:${port}`, `Authorization: Bearer ${token}`, `Idempotency-Key: ${randomUUID()}`]
    await using client = await RawClient.connect({ to: { port } })
    const more = ['Content-Type: application/json', 'Content-Length: 2', 'Connection: close', 'Expect: 100-continue']
    client.send(['POST /api/connections/1/restart HTTP/1.1', ...lines, ...more, '', ''].join('\r\n'))
    expect(await client.hears('100 Continue')).toBe(true)
    network.revoke('ci')
    client.send('{}')
    expect(await client.isThrownOut(5000)).toBe(true)
    expect(client.heard).toContain('HTTP/1.1 401')
    expect(network.house.manager.board()).toEqual([])
  })

  it('a token with the longest name can start work, and there is none with a longer one', async () => {
    const { network, port } = await open()
    const name = 't'.repeat(58)
    const headers = { authorization: `Bearer ${network.token(name, 'full')}`, 'idempotency-key': randomUUID() }
    const heard = await ask(port, 'POST', '/api/connections/1/restart', { headers })
    expect(operationIn(heard).createdBy).toBe(`token:${name}`)
    expect(REQUESTS['token:create'].shape.name.safeParse(name).success).toBe(true)
    expect(REQUESTS['token:create'].shape.name.safeParse(`${name}t`).success).toBe(false)
  })
})
