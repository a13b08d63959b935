import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { io } from 'socket.io-client'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Operation } from '../../src/core/operation.ts'
import { PROTOCOL_VERSION, type Refusal } from '../../src/core/protocol.ts'
import { scenarios, type Simulator, type SimulatorOptions } from '../../src/simulator/index.ts'
import { ask, say, type Heard, type Wish } from '../helpers/face.ts'
import { Rig } from '../helpers/rig.ts'
import { atEndOfAll } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'
import { until } from '../helpers/wait.ts'

const TIMEOUT = 60_000
const curl = requireTool('curl')

/** A house with its network door open, an appliance, and a token of each kind, for all tests of a group. */
function house(options: SimulatorOptions = {}) {
  const rig = new Rig(atEndOfAll())
  const tokens = { ci: '', monitor: '' }
  const here = { rig, tokens, port: 0, device: undefined as unknown as Simulator, as }
  beforeAll(async () => {
    fs.mkdirSync(rig.config, { mode: 0o700, recursive: true })
    fs.writeFileSync(path.join(rig.config, 'config.yaml'), 'listen: 127.0.0.1:0\n', { mode: 0o600 })
    here.device = await rig.appliance('cucm-pub', publisher, options)
    await rig.prepare(['daemon', 'token', 'create', 'ci'])
    await rig.prepare(['daemon', 'token', 'create', 'monitor', '--read-only'])
    for (const name of ['ci', 'monitor'] as const)
      tokens[name] = fs.readFileSync(path.join(rig.config, 'tokens', name), 'utf8').trim()
    here.port = await portOf(rig)
  })
  function as(name: keyof typeof tokens) {
    return (method: string, where: string, wish: Wish = {}) =>
      ask(here.port, method, where, { ...wish, headers: { authorization: `Bearer ${tokens[name]}`, ...wish.headers } })
  }
  return here
}

/** Of the daemon that runs, or of one that is started now. */
async function portOf(rig: Rig): Promise<number> {
  await rig.prepare(['daemon', 'start'])
  const port = [...rig.log().matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)].at(-1)?.[1]
  return Number(port)
}

const RESTART = '/api/connections/cucm-pub/restart'
const publisher = scenarios.get('publisher') ?? expect.fail('no scenario')
const operationIn = ({ body }: Heard) => JSON.parse(body) as Operation
const codeIn = ({ body }: Heard) => (JSON.parse(body) as { error: Refusal }).error.code
const keyed = (key: string = randomUUID()): Wish => ({ headers: { 'idempotency-key': key } })

async function ended(read: ReturnType<ReturnType<typeof house>['as']>, id: string): Promise<Operation> {
  const look = async () => {
    const operation = operationIn(await read('GET', `/api/operations/${id}`))
    return operation.phase === 'settled' && operation
  }
  return until('it ends', look, 30_000)
}

describe('a house with an open door', { timeout: TIMEOUT }, () => {
  const here = house()

  it('refuses, at the door and behind it, and starts nothing', async () => {
    const { rig, port, tokens, as } = here
    const without = (wish: Wish) => ask(port, 'POST', RESTART, wish)
    expect((await without(keyed())).status).toBe(401)
    expect((await without({ headers: { ...keyed().headers, authorization: 'Bearer x' } })).status).toBe(401)
    expect((await as('monitor')('POST', RESTART, keyed())).status).toBe(403)
    expect((await as('ci')('PUT', '/healthz')).headers.allow).toBe('GET, HEAD, POST')
    expect((await as('ci')('POST', '/healthz')).headers.allow).toBe('GET, HEAD')
    const raw = (headers: readonly string[], body: string, host = `127.0.0.1:${port}`) => {
      const all = [
        `Host: ${host}`,
        `Authorization: Bearer ${tokens.ci}`,
        `Idempotency-Key: ${randomUUID()}`,
        ...headers,
      ]
      const head = [`POST ${RESTART} HTTP/1.1`, 'Content-Type: application/json', ...all, '', '']
      return say(port, head.join('\r\n') + body)
    }
    const table = [
      ['421', raw(['Content-Length: 2'], '{}', 'evil.example')],
      ['400', raw(['Content-Length: 2', 'Content-Length: 3'], '{}')],
      ['400', raw(['Content-Length: 2', 'Transfer-Encoding: chunked'], '0\r\n\r\n')],
      ['400', raw(['Transfer-Encoding: xchunked'], '{}')],
      ['413', raw(['Content-Length: 9000'], '{}')],
      ['413', raw(['Content-Length: 90000'], '{}')],
    ] as const
    for (const [status, heard] of table) expect((await heard).slice(0, 12)).toBe(`HTTP/1.1 ${status}`)
    const none = await as('monitor')('GET', '/metrics')
    expect(none.body).toContain('\nvosctl_events_total 0\n')
    expect(here.device.ledger.of('auth')).toEqual([])
    expect(rig.log()).not.toContain(tokens.ci)
  })

  it.skipIf(curl === null)('restarts once for a script with curl, however often that repeats itself', async () => {
    const { rig, port, tokens, as, device } = here
    const header = path.join(rig.directory, 'header')
    fs.writeFileSync(header, `Authorization: Bearer ${tokens.ci}\n`, { mode: 0o600 })
    const key = randomUUID()
    const script = async () => {
      const patience = ['--silent', '--show-error', '--fail-with-body', '--retry', '2']
      const headers = ['--header', `@${header}`, '--header', `Idempotency-Key: ${key}`]
      const body = ['--header', 'Content-Type: application/json', '--data', '{"reason": "CAB-7"}']
      const child = spawn(curl ?? '', [...patience, ...headers, ...body, `http://127.0.0.1:${port}${RESTART}`])
      let out = ''
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
      const [status] = (await once(child, 'close')) as [number]
      expect(status).toBe(0)
      return JSON.parse(out) as Operation
    }
    const [first, second] = await Promise.all([script(), script()])
    expect(second.id).toBe(first.id)
    const read = as('monitor')
    expect(await ended(read, first.id)).toMatchObject({ status: 'completed', createdBy: 'token:ci', reason: 'CAB-7' })
    expect((await script()).id).toBe(first.id)
    expect(device.ledger.restarts('Cisco Tomcat')).toHaveLength(1)
    expect((await rig.run(['history', '--json'])).stdout).toContain('"created_by": "token:ci"')
    const { body } = await read('GET', '/metrics')
    expect(body).toContain('vosctl_operations_total{type="service_restart",status="completed"} 1\n')
    expect(body).not.toMatch(/cucm-pub|Tomcat|CAB-7|vosctl_[\w-]{43}/)
    expect(rig.log()).not.toContain(tokens.ci)
  })

  it('shows in its metrics a watcher that does not take its events', async () => {
    const { port, tokens, as } = here
    const ci = as('ci')
    const read = async (name: string) => {
      const { body } = await ci('GET', '/metrics')
      return Number(new RegExp(`^${name} (.*)$`, 'm').exec(body)?.[1])
    }
    const before = await read('vosctl_events_total')
    const auth = { protocol: PROTOCOL_VERSION, version: '0', token: tokens.monitor }
    const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'], auth, reconnection: false })
    onTestFinished(() => {
      socket.disconnect()
    })
    // It listens and never acknowledges.
    socket.on('events', () => undefined)
    await once(socket as never, 'connect')
    await socket.emitWithAck('subscribe', { room: 'operations' })
    const { id } = operationIn(await ci('POST', RESTART, keyed()))
    await ended(ci, id)
    expect(await read('vosctl_watchers')).toBe(1)
    expect(await read('vosctl_watcher_lag_events')).toBe((await read('vosctl_events_total')) - before)
    expect(await read('vosctl_watcher_lag_seconds')).toBeGreaterThan(0)
    socket.disconnect()
    await until('it is gone', async () => (await read('vosctl_watchers')) === 0)
    expect(await read('vosctl_watcher_lag_events')).toBe(0)
  })
})

describe('a daemon that ends', { timeout: TIMEOUT }, () => {
  // Slow enough that a test can act while the service moves.
  const here = house({ timeScale: 0.02 })

  it('says so while it drains, takes on nothing, and still tells how its work goes', async () => {
    const { rig, as, device } = here
    const [ci, monitor] = [as('ci'), as('monitor')]
    expect((await monitor('GET', '/healthz')).status).toBe(200)
    const { id } = operationIn(await ci('POST', RESTART, keyed()))
    await until('it was sent', () => device.ledger.restarts().length === 1, 30_000)
    const pid = rig.daemonPid ?? expect.fail('no daemon')
    process.kill(pid, 'SIGTERM')
    await until('it drains', async () => (await monitor('GET', '/healthz')).status === 503)
    const refused = await ci('POST', RESTART, keyed())
    expect([refused.status, codeIn(refused)]).toEqual([503, 'draining'])
    expect((await monitor('GET', `/api/operations/${id}`)).status).toBe(200)
    expect((await monitor('GET', '/metrics')).body).toContain('\nvosctl_draining 1\n')
    await until('it has ended', () => rig.daemonPid === null, 30_000)
  })

  it('killed in the middle leaves a key that the next one knows, and nothing is sent again', async () => {
    const { rig, as, device } = here
    here.port = await portOf(rig)
    const before = device.ledger.restarts().length
    const wish = keyed()
    const { id } = operationIn(await as('ci')('POST', RESTART, wish))
    await until('it was sent', () => device.ledger.restarts().length > before, 30_000)
    await rig.killDaemon()
    here.port = await portOf(rig)
    const again = await as('ci')('POST', RESTART, wish)
    expect([again.status, operationIn(again).id]).toEqual([202, id])
    await ended(as('monitor'), id)
    expect(device.ledger.restarts()).toHaveLength(before + 1)
  })
})
