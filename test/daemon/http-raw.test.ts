import { randomUUID } from 'node:crypto'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { openFace, say } from '../helpers/face.ts'
import type { Script } from '../helpers/scripted-device.ts'
import { until } from '../helpers/wait.ts'

const STUCK: Script = { pause: (method) => (method === 'login' ? new Promise(() => undefined) : undefined) }
const RESTART = '/api/connections/1/restart'

function head(line: string, ...headers: readonly string[]): string {
  return [`${line} HTTP/1.1`, 'Host: vosctl', ...headers, '', ''].join('\r\n')
}

function post(body: string, ...headers: readonly string[]): string {
  const all = [`Idempotency-Key: ${randomUUID()}`, 'Content-Type: application/json', ...headers]
  return head(`POST ${RESTART}`, ...all) + body
}

const BYE = head('GET /healthz', 'Connection: close')

/** The status of each answer, in their order. */
const statuses = (heard: string) => [...heard.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status))

async function open(options: Parameters<typeof openFace>[1] = {}) {
  const opened = await openFace(STUCK, options)
  opened.house.add('cucm-pub')
  return opened
}

describe('a request that means two things', () => {
  it('is refused, whatever follows it is not read, and nothing starts', async () => {
    const table = [
      ['two lengths', post('{}', 'Content-Length: 2', 'Content-Length: 3')],
      ['two lengths in one', post('{}', 'Content-Length: 2, 2')],
      ['a length and chunks', post('0\r\n\r\n', 'Content-Length: 2', 'Transfer-Encoding: chunked')],
      ['chunks and a length', post('0\r\n\r\n', 'Transfer-Encoding: chunked', 'Content-Length: 5')],
      ['chunks that are something else', post('{}', 'Transfer-Encoding: xchunked')],
      ['chunks inside something else', post('0\r\n\r\n', 'Transfer-Encoding: chunked, identity')],
      ['a length below nothing', post('{}', 'Content-Length: -2')],
      ['a length in hexadecimal', post('{}', 'Content-Length: 0x2')],
      ['a blank before the colon', post('{}', 'Content-Length : 2')],
      ['a folded header', post('{}', 'X-Folded: a\r\n b', 'Content-Length: 2')],
      ['a chunk of no size', post('xyz\r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding: chunked')],
      ['a control character in the path', head('POST /api/connections/1\u0001/restart')],
    ] as const
    const { house, port } = await open()
    for (const [what, bytes] of table) {
      const heard = await say(port, bytes + head(`POST ${RESTART}`, `Idempotency-Key: ${randomUUID()}`))
      expect([what, statuses(heard)]).toEqual([what, [400]])
    }
    expect(house.manager.board()).toEqual([])
  })

  it('that hides another one in its body is one request', async () => {
    const { house, port } = await open()
    const hidden = post('{}', 'Content-Length: 2')
    const heard = await say(port, head('GET /healthz', `Content-Length: ${hidden.length}`) + hidden + BYE)
    expect(statuses(heard)).toEqual([200])
    expect(heard).toMatch(/^connection: close\r$/im)
    expect(house.manager.board()).toEqual([])
  })

  it('that hides another one behind a body which is not wanted is the last of its connection', async () => {
    const { house, port } = await open()
    const hidden = post('{}', 'Content-Length: 2')
    const heard = await say(port, post('x'.repeat(9000) + hidden, 'Content-Length: 100000'))
    expect(statuses(heard)).toEqual([413])
    expect(heard).toMatch(/^connection: close\r$/im)
    expect(house.manager.board()).toEqual([])
  })
})

describe('a body on its way', () => {
  it('may come in chunks', async () => {
    const { house, port } = await open()
    const body = '7\r\n{"reaso\r\n8;x=y\r\nn":"CAB"\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n'
    const heard = await say(port, post(body, 'Transfer-Encoding: chunked') + BYE)
    expect(statuses(heard)).toEqual([202, 200])
    expect(house.manager.board()).toMatchObject([{ reason: 'CAB' }])
  })

  it('may be asked for first', async () => {
    const { port } = await open()
    const heard = await say(port, post('', 'Content-Length: 2', 'Expect: 100-continue', 'Connection: close'), '{}')
    expect(statuses(heard)).toEqual([100, 202])
  })

  it.each([
    ['a restart', 413, post('', 'Transfer-Encoding: chunked')],
    ['a restart of nothing', 404, head('POST /api/connections/9/restart/', 'Transfer-Encoding: chunked')],
    ['what takes none', 200, head('GET /healthz', 'Transfer-Encoding: chunked')],
    ['a form', 415, head(`POST ${RESTART}`, 'Content-Type: text/plain', 'Transfer-Encoding: chunked')],
  ])('that never ends is cut off: %s is answered %d', async (_, status, bytes) => {
    const { house, port } = await open()
    const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`
    const heard = await say(port, bytes, ...Array.from({ length: 2000 }, () => chunk))
    // Whoever goes on speaking may find the answer torn away with the connection; never another one.
    expect([[status], []]).toContainEqual(statuses(heard))
    expect(house.manager.board()).toEqual([])
  })

  it('that is slow is not waited for', async () => {
    const { house, port } = await open({ bodyMs: 50 })
    const heard = await say(port, post('{"reason":', 'Content-Length: 20'))
    expect(statuses(heard)).toEqual([408])
    expect(house.manager.board()).toEqual([])
  })

  it.each(['ended', 'torn'])(
    'that is cut by a connection which is %s starts nothing, though what came is whole',
    async (how) => {
      const { house, port, door } = await open()
      const socket = net.connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      const came = new Promise((resolve) => door.once('request', resolve))
      // A document may end before the length that was promised.
      socket.write(post('{"reason":"CAB"}', 'Content-Length: 20'))
      await came
      if (how === 'ended') socket.end()
      else socket.resetAndDestroy()
      const count = () => new Promise<number>((resolve) => door.getConnections((_, open) => resolve(open)))
      await until('the server has let go of it', async () => (await count()) === 0)
      expect(house.manager.board()).toEqual([])
    },
  )
})

describe('requests in one breath', () => {
  it('are answered in their order', async () => {
    const { house, port } = await open()
    const bytes = [
      post('{}', 'Content-Length: 2'),
      head('GET /api/operations/last'),
      post('{}', 'Content-Length: 2'),
      head('GET /metrics'),
      head('HEAD /healthz'),
      head('GET /nothing'),
      BYE,
    ]
    const heard = await say(port, bytes.join(''))
    expect(statuses(heard)).toEqual([202, 200, 409, 200, 200, 404, 200])
    const [operation] = house.manager.board()
    // The new one, the last one, the one in the way.
    const { id } = operation ?? {}
    expect([...heard.matchAll(/"id":"(r-[^"]+)"/g)].map(([, told]) => told)).toEqual([id, id, id])
  })

  it('that are the same are one restart', async () => {
    const { house, port } = await open()
    const wish = post('{}', 'Content-Length: 2')
    expect(statuses(await say(port, wish + wish + wish + BYE))).toEqual([202, 202, 202, 200])
    expect(house.manager.board()).toHaveLength(1)
  })
})

describe('a path', () => {
  it('is what it is, and nothing is made of it', async () => {
    const table = [
      ['/healthz/', 404],
      ['//healthz', 404],
      ['/./healthz', 404],
      ['/api/../healthz', 404],
      ['/api/operations/../../healthz', 404],
      ['/api/operations/%2e%2e', 404],
      ['/api/operations/..%2f..%2fhealthz', 404],
      ['/api//operations/last', 404],
      ['/api/operations/', 404],
      ['/api/operations/last/', 404],
      ['/api/operations/last/events', 404],
      ['/HEALTHZ', 404],
      ['/%68ealthz', 404],
      ['/healthz%00', 404],
      ['/healthz;x', 404],
      ['/healthz\\', 404],
      ['/', 404],
      ['*', 404],
      ['healthz', 400],
      ['http://vosctl/healthz', 404],
      ['/__proto__', 404],
      ['/healthz?', 400],
      ['/healthz?token=x', 400],
      ['/api/operations/last?x', 400],
      ['/api/operations/%', 400],
      ['/api/operations/%zz', 400],
      ['/api/operations/%ff', 400],
      [`/api/operations/${'x'.repeat(8000)}`, 404],
      [`/api/operations/${'x'.repeat(20_000)}`, 431],
      ['/api/operations/\u00e9', 400],
    ] as const
    const { port } = await open()
    for (const [path, status] of table) {
      const heard = await say(port, head(`GET ${path}`, 'Connection: close'))
      expect([path, statuses(heard)]).toEqual([path, [status]])
    }
  })

  it('names a connection by its number or its exact name, and nothing else starts anything', async () => {
    const table = [
      ['/api/connections/CUCM-PUB/restart', 404],
      ['/api/connections/1%20/restart', 404],
      ['/api/connections/-1/restart', 404],
      ['/api/connections/1e0/restart', 404],
      ['/api/connections/0/restart', 404],
      ['/api/connections/99999999999999999999/restart', 404],
      ['/api/connections/cucm%2Fpub/restart', 404],
      ['/api/connections/*/restart', 404],
      ['/api/connections/restart', 404],
      ['/api/connections//restart', 404],
      ['/api/connections/1/restart/', 404],
      ['/api/connections/1/RESTART', 404],
      ['/api/connections/1/restart?service=Cisco%20Tftp', 400],
      ['/api/connections/%63ucm-pub/restart', 202],
      // One runs now.
      ['/api/connections/%31/restart', 409],
      ['/api/connections/01/restart', 409],
    ] as const
    const { house, port } = await open()
    for (const [path, status] of table) {
      const headers = [`Idempotency-Key: ${randomUUID()}`, 'Connection: close']
      const heard = await say(port, head(`POST ${path}`, ...headers))
      expect([path, statuses(heard)]).toEqual([path, [status]])
      expect(house.manager.board()).toHaveLength(status < 400 || status === 409 ? 1 : 0)
    }
  })
})
