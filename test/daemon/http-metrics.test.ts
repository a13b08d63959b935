import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Operation } from '../../src/core/operation.ts'
import { VERSION } from '../../src/core/version.ts'
import { createMetrics } from '../../src/daemon/http/metrics.ts'
import { openFace } from '../helpers/face.ts'
import { House } from '../helpers/manager.ts'
import { until } from '../helpers/wait.ts'
import { LOST, output, ScriptedDevice } from '../helpers/scripted-device.ts'

type Opened = Awaited<ReturnType<typeof openFace>>

/** Every sample by its name and labels. Fails on a line that is neither a sample nor a comment of the format. */
async function read({ ask }: Opened): Promise<ReadonlyMap<string, number>> {
  const { status, headers, body } = await ask('GET', '/metrics')
  expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
  const samples = body.split('\n').filter((line) => line !== '' && !/^# (HELP|TYPE) [a-z_]+ ./.test(line))
  return new Map(
    samples.map((line) => {
      const [, name = '', value] = /^([a-z_]+(?:\{[a-z]+="[^"\\]*"(?:,[a-z]+="[^"\\]*")*\})?) (\S+)$/.exec(line) ?? []
      if (name === '' || Number.isNaN(Number(value))) throw new Error(`no sample: ${line}`)
      return [name, Number(value)]
    }),
  )
}

async function restart({ ask, house }: Opened, connection: number): Promise<Operation> {
  const heard = await ask('POST', `/api/connections/${connection}/restart`, {
    headers: { 'Idempotency-Key': randomUUID() },
  })
  expect(heard.status).toBe(202)
  return house.settled((JSON.parse(heard.body) as Operation).id)
}

const ended = (type: string, status: string) => `vosctl_operations_total{type="${type}",status="${status}"}`

/** Each connection has the device that its name says. */
function houseOf(clock: () => void = () => undefined): House {
  const house: House = new House((name, signal) => {
    const moved = [{ type: 'sent' } as const, output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STARTED]')]
    if (name === 'stuck') {
      const left = new Promise<void>((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      )
      return new ScriptedDevice({ pause: (method) => (method === 'login' ? left : undefined) })
    }
    if (name === 'lost')
      return new ScriptedDevice({ commit: [{ type: 'sent' }, LOST], connect: ['ok', new Error('x')] })
    const pause = (method: string) => void (method === 'observation' && clock())
    return new ScriptedDevice({ commit: [...moved, { type: 'ended' }], pause })
  })
  for (const [index, name] of ['good', 'lost', 'stuck', 'held'].entries()) house.add(name, `10.0.0.${index + 1}`)
  return house
}

describe('the metrics', () => {
  it('begin at nothing, with every series that there may be', async () => {
    const opened = await openFace({}, {}, houseOf())
    const samples = await read(opened)
    const types = ['ssh_test', 'verify', 'service_restart']
    for (const type of types) {
      for (const status of ['completed', 'failed', 'cancelled', 'interrupted', 'unknown'])
        expect(samples.get(ended(type, status))).toBe(0)
      expect(samples.get(`vosctl_operation_duration_seconds_count{type="${type}"}`)).toBe(0)
    }
    expect(samples.get('vosctl_connections')).toBe(4)
    expect(samples.get('vosctl_holds{kind="login"}')).toBe(0)
    const build = [...samples.keys()].find((name) => name.startsWith('vosctl_build_info'))
    expect(build).toContain(`version="${VERSION}"`)
    expect(samples.get('process_resident_memory_bytes')).toBeGreaterThan(2 ** 20)
  })

  it('count how operations ended and how long they took, those before the first question too', async () => {
    const house = houseOf(() => (house.clock += 40_000))
    const opened = await openFace({}, {}, house)
    await restart(opened, 1)
    expect((await read(opened)).get(ended('service_restart', 'completed'))).toBe(1)
    await restart(opened, 1)
    await restart(opened, 2)
    const samples = await read(opened)
    expect(samples.get(ended('service_restart', 'completed'))).toBe(2)
    expect(samples.get(ended('service_restart', 'unknown'))).toBe(1)
    expect(samples.get('vosctl_operations_unacknowledged')).toBe(1)
    const bucket = (le: string) =>
      samples.get(`vosctl_operation_duration_seconds_bucket{le="${le}",type="service_restart"}`)
    // Three observations of 40 s each before the end.
    expect([bucket('120'), bucket('180'), bucket('+Inf')]).toEqual([0, 2, 2])
    expect(samples.get('vosctl_operation_duration_seconds_sum{type="service_restart"}')).toBe(320)
    expect(samples.get('vosctl_events_total')).toBe(house.store.operations.cursor())
  })

  it('begin anew with the daemon, as a counter may', async () => {
    const house = houseOf()
    await restart(await openFace({}, {}, house), 1)
    house.crash()
    expect((await read(await openFace({}, {}, house))).get(ended('service_restart', 'completed'))).toBe(0)
  })

  it('tell what is under way, what waits, and what is held', async () => {
    const house = houseOf()
    const opened = await openFace({}, {}, house)
    house.start(3)
    const waiting = house.start(3, { ifRunning: 'queue' }).operations[0]
    house.store.write(() => house.store.connections.setHold(4, { since: 1, by: 'bob', reason: null }))
    const refused = { since: 1, operationId: 'r-1', message: 'no' }
    // The second one is a device that no connection leads to any more.
    for (const device of ['10.0.0.1:22', '10.0.0.99:22'])
      house.store.write(() => house.store.operations.setLoginHold(device, 'admin', refused))
    house.add('twin', '10.0.0.1')
    const samples = await read(opened)
    expect(samples.get('vosctl_operations_active')).toBe(2)
    expect(samples.get('vosctl_operations_queued')).toBe(1)
    expect(samples.get('vosctl_holds{kind="connection"}')).toBe(1)
    // The attempt of the one that is at its login is no hold yet.
    expect(house.store.operations.loginHolds()).toHaveLength(3)
    expect(samples.get('vosctl_holds{kind="login"}')).toBe(1)
    house.manager.cancel(waiting?.id ?? '', 'bob')
    expect((await read(opened)).get(ended('service_restart', 'cancelled'))).toBe(1)
    await house.manager.drain(AbortSignal.abort())
    expect((await read(opened)).get('vosctl_draining')).toBe(1)
  })

  it('tell how far behind the slowest watcher is', async () => {
    const house = houseOf()
    const { store, manager } = house
    const crowd = { clients: 3, watchers: 5, taken: 0 }
    const metrics = createMetrics({ store, manager, crowd: () => crowd, now: () => house.clock })
    onTestFinished(metrics.close)
    house.start(3)
    await until('it is at its login', () => manager.board()[0]?.authenticating)
    house.clock += 1500
    const cursor = store.operations.cursor()
    const lag = async () => (await metrics.read()).text.match(/^vosctl_(clients|watch\w+) .*/gm)
    const told = (events: number, seconds: number) => [
      'vosctl_clients 3',
      'vosctl_watchers 5',
      `vosctl_watcher_lag_events ${events}`,
      `vosctl_watcher_lag_seconds ${seconds}`,
    ]
    expect(await lag()).toEqual(told(cursor, 1.5))
    crowd.taken = cursor
    expect(await lag()).toEqual(told(0, 0))
  })

  it('name no connection, service, person or reason, so that there is nothing to forge a line with', async () => {
    const house = houseOf()
    const service = 'x"} 1\\n# HELP'
    house.store.write(() => house.store.connections.edit(1, { name: 'good', service }))
    const opened = await openFace({}, {}, house)
    await house.settled(house.start(1, { service, createdBy: 'mallory', reason: 'whyever"' }).operations[0]?.id ?? '')
    const { body } = await opened.ask('GET', '/metrics')
    expect(body).not.toMatch(/good|x"} 1|mallory|whyever|10\.0\.0/)
    await read(opened)
  })

  it('count on without a question, and keep no more than so many endings for it', async () => {
    const house = houseOf()
    const { store, manager } = house
    const crowd = () => ({ clients: 0, watchers: 0, taken: 0 })
    const metrics = createMetrics({ store, manager, crowd, now: () => house.clock }, 2)
    onTestFinished(metrics.close)
    house.start(3)
    for (let index = 0; index < 5; index++) {
      const { operations } = house.start(3, { ifRunning: 'queue' })
      house.manager.cancel(operations[0]?.id ?? '', 'bob')
    }
    expect((await metrics.read()).text).toContain(`${ended('service_restart', 'cancelled')} 5\n`)
  })
})
