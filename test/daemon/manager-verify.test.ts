import { describe, expect, it } from 'vitest'
import type { ServiceState } from '../../src/core/device.ts'
import { VosError } from '../../src/core/errors.ts'
import { apply, type Operation } from '../../src/core/operation.ts'
import { House } from '../helpers/manager.ts'
import { TOMCAT } from '../helpers/operations.ts'
import { output, ScriptedDevice, type Script } from '../helpers/scripted-device.ts'
import { GOOD, stuckIn } from '../helpers/stuck-device.ts'
import { until } from '../helpers/wait.ts'

const tomcat = (state: string): ServiceState => ({ ...TOMCAT, state })

/** A restart that was seen moving when its time limit came. */
const GIVEN_UP: Script = {
  commit: [{ type: 'sent' }, output('Cisco Tomcat[STOPPING]'), new VosError('deadline', 'the time limit has passed')],
}

/** A house in which one outcome is unknown; the devices after it are those of `later`. */
async function houseInDoubt(later: ConstructorParameters<typeof House>[0]) {
  let isFirst = true
  const house = new House((name, signal) => {
    if (!isFirst) return later(name, signal)
    isFirst = false
    return new ScriptedDevice(GIVEN_UP)
  })
  const connection = house.add('cucm-pub')
  const id = house.start(connection).operations[0]?.id ?? ''
  expect((await house.settled(id)).status).toBe('unknown')
  const look = (more = {}) =>
    house.start(connection, { operationType: 'verify', subject: id, createdBy: 'bob', ...more }).operations[0]?.id ?? ''
  return { house, connection, id, look }
}

/** The operation as whoever reads the journal from its beginning sees it. */
function replay(house: House, id: string): Operation | null {
  return house.store.operations.events(id, 0, 5000).reduce<Operation | null>(apply, null)
}

describe('a look at an unknown outcome', () => {
  it('settles it by the proof, frees the connection, and keeps both in history', async () => {
    const { house, connection, id, look } = await houseInDoubt(() => new ScriptedDevice())
    expect(() => house.start(connection)).toThrow(expect.objectContaining({ code: 'unacknowledged' }))
    const before = house.manager.get(id)
    house.clock += 60_000
    const verify = look()
    expect(await house.settled(verify)).toMatchObject({ type: 'verify', status: 'completed', subject: id })
    expect(house.manager.get(id)).toMatchObject({
      status: 'completed',
      completedAt: before.completedAt,
      verified: { by: 'bob', look: verify, at: house.clock, was: { message: before.message } },
    })
    expect(replay(house, id)).toEqual(house.manager.get(id))
    expect(() => house.start(connection)).not.toThrow()
  })

  it('tells the watchers of the proof before the look ends', async () => {
    const { house, look } = await houseInDoubt(() => new ScriptedDevice())
    const verify = look()
    await house.settled(verify)
    expect(house.seen.slice(-2).map(({ event }) => event.type)).toEqual(['verified', 'settled'])
  })

  it('leaves it on the board until it is settled, and five minutes more', async () => {
    const { house, id, look } = await houseInDoubt(() => new ScriptedDevice())
    house.clock += 86_400_000
    house.crash(() => new ScriptedDevice())
    const verify = look()
    await house.settled(verify)
    house.clock += 60_000
    house.crash()
    expect(house.manager.find(id)?.status).toBe('completed')
    house.clock += 300_000
    house.crash()
    expect(house.manager.board()).toEqual([])
    expect(house.manager.get(id).verified?.look).toBe(verify)
  })

  it('teaches nothing about how long a restart takes: nobody saw its end', async () => {
    const { house, connection, look } = await houseInDoubt(() => new ScriptedDevice())
    await house.settled(look())
    expect(house.start(connection).operations[0]?.usual).toBeNull()
  })

  it('says that the service is DOWN, and frees the connection for whoever starts it', async () => {
    const { house, connection, id, look } = await houseInDoubt(
      () => new ScriptedDevice({ lists: [[tomcat('STOPPED')]] }),
    )
    expect((await house.settled(look())).error?.code).toBe('service_down')
    expect(house.manager.get(id)).toMatchObject({ status: 'failed', error: { code: 'service_down' } })
    expect(() => house.start(connection)).not.toThrow()
  })

  it('answers nothing without proof, and the connection stays claimed', async () => {
    const { house, connection, id, look } = await houseInDoubt(
      () => new ScriptedDevice({ lists: [[tomcat('STOPPED')]] }),
    )
    house.clock += 86_400_000
    expect((await house.settled(look())).error?.code).toBe('not_confirmed')
    expect(house.manager.get(id)).toMatchObject({ status: 'unknown', verified: null })
    expect(() => house.start(connection)).toThrow(expect.objectContaining({ code: 'unacknowledged' }))
  })

  it('never sends anything that acts', async () => {
    const devices: ScriptedDevice[] = []
    const { house, look } = await houseInDoubt(() => {
      const device = new ScriptedDevice({ lists: [[tomcat('STARTING')], [tomcat('STARTING')], [TOMCAT]] })
      devices.push(device)
      return device
    })
    await house.settled(look())
    expect(devices.map(({ calls }) => calls)).toEqual([
      ['connect', 'login', 'open', 'services', 'services', 'services', 'close'],
    ])
  })

  it('is one: who asks the same meanwhile is refused, or follows it', async () => {
    const device = stuckIn('login')
    const { house, id, look } = await houseInDoubt(device.open)
    const first = look()
    expect(() => look()).toThrow(expect.objectContaining({ code: 'already_running' }))
    expect(look({ ifRunning: 'attach' })).toBe(first)
    // A look at the connection is about its open question too, however the service is written.
    expect(look({ ifRunning: 'attach', subject: undefined })).toBe(first)
    expect(look({ ifRunning: 'attach', subject: undefined, service: 'cisco tom' })).toBe(first)
    expect(() => look({ ifRunning: 'attach', subject: undefined, service: 'Cisco DRF Local' })).toThrow(
      expect.objectContaining({ code: 'already_running' }),
    )
    device.release()
    await house.settled(first)
    expect(house.manager.get(id).status).toBe('completed')
  })

  it('gives way to a person who accepts the outcome meanwhile: what was accepted stays accepted', async () => {
    const device = stuckIn('services', 2)
    const { house, id, look } = await houseInDoubt(device.open)
    const verify = look()
    await until('it looks', () => house.manager.get(verify).baseline)
    house.manager.acknowledge(id, 'carol')
    device.release()
    expect(await house.settled(verify)).toMatchObject({
      status: 'completed',
      message: expect.stringContaining(`${id} ended unknown, accepted by carol`),
    })
    expect(house.manager.get(id)).toMatchObject({ status: 'unknown', verified: null, acknowledged: { by: 'carol' } })
  })

  it('refuses a person who accepts it too late', async () => {
    const { house, id, look } = await houseInDoubt(() => new ScriptedDevice())
    await house.settled(look())
    expect(() => house.manager.acknowledge(id, 'carol')).toThrow('needs no acknowledgement: it is completed')
  })

  it.each(['connect', 'login', 'services'])(
    'that is killed with the daemon in %s has sent nothing, and the question stays open',
    async (method) => {
      const device = stuckIn(method)
      const { house, id, look } = await houseInDoubt(device.open)
      const verify = look()
      await until('it is there', device.reached)
      house.crash(() => expect.fail('the device was touched'))
      expect(house.manager.get(verify)).toMatchObject({ status: 'interrupted', effect: 'none' })
      expect(house.manager.get(id)).toMatchObject({ status: 'unknown', verified: null, acknowledged: null })
    },
  )

  it('that was only accepted when the daemon was killed is begun by the next one, with its subject', async () => {
    const device = stuckIn('connect')
    const { house, id, look } = await houseInDoubt(device.open)
    const verify = look()
    const accepted = house.store.operations.events(verify, 0, 1)[0]?.event
    await until('it is there', device.reached)
    house.crash(() => new ScriptedDevice())
    if (accepted?.type !== 'accepted') return expect.fail('it was not accepted')
    house.store.write(() => house.store.operations.insert('v-again', accepted, house.clock))
    house.crash()
    expect((await house.settled('v-again')).status).toBe('completed')
    expect(house.manager.get(id).verified?.look).toBe('v-again')
  })

  it('is held as every login is, and holds as every login does', async () => {
    const refused = () => new ScriptedDevice({ login: [new VosError('login_refused', 'the login was refused')] })
    const { house, connection, id, look } = await houseInDoubt(refused)
    expect((await house.settled(look())).error?.code).toBe('login_refused')
    expect(() => look()).toThrow(expect.objectContaining({ code: 'login_held' }))
    expect(() => house.start(connection, { operationType: 'ssh_test' })).toThrow(
      expect.objectContaining({ code: 'login_held' }),
    )
    expect(house.manager.get(id).status).toBe('unknown')
  })
})

describe('a look is refused before anything is sent', () => {
  it('at another device than the operation was sent to', async () => {
    const { house, connection, look } = await houseInDoubt(() => expect.fail('the device was touched'))
    house.store.write(() => house.store.connections.edit(connection, { host: '10.10.0.99' }))
    expect(() => look()).toThrow('it was sent to 10.10.0.10:22, and cucm-pub is 10.10.0.99:22 now')
  })

  it('about an operation that only looked, and about one that nobody knows', async () => {
    const { house, connection, look } = await houseInDoubt(() => new ScriptedDevice())
    const verify = look()
    await house.settled(verify)
    expect(() => look({ subject: verify })).toThrow('it only looked')
    expect(() => look({ subject: 'r-nobody' })).toThrow(expect.objectContaining({ code: 'unknown_operation' }))
    expect(() => house.start(connection, { subject: verify })).toThrow(expect.objectContaining({ code: 'bad_request' }))
  })
})

describe('a look beside other work', () => {
  it('runs beside a restart, says so, and judges nothing', async () => {
    const restart = stuckIn('observation', 3)
    let isFirst = true
    const house = new House((name, signal) => {
      if (!isFirst) return new ScriptedDevice({ lists: [[tomcat('STOPPING')]] })
      isFirst = false
      return restart.open(name, signal)
    })
    const connection = house.add('cucm-pub')
    const id = house.start(connection).operations[0]?.id ?? ''
    await until('it moves', () => house.manager.get(id).transition)
    const verify = house.start(connection, { operationType: 'verify' }).operations[0]?.id ?? ''
    expect(await house.settled(verify)).toMatchObject({
      status: 'failed',
      error: { code: 'already_running' },
      message: `${id} is under way on cucm-pub (stopping); "Cisco Tomcat" is STOPPING now`,
    })
    restart.release()
    expect((await house.settled(id)).status).toBe('completed')
  })

  it('of a connection where nothing is open tells what is there', async () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const verify = house.start(house.add('cucm-pub'), { operationType: 'verify' }).operations[0]?.id ?? ''
    expect(verify).toMatch(/^v-/)
    expect((await house.settled(verify)).message).toContain('"Cisco Tomcat" is STARTED')
  })
})
