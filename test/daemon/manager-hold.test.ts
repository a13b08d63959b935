import { describe, expect, it } from 'vitest'
import { House } from '../helpers/manager.ts'
import { output, ScriptedDevice } from '../helpers/scripted-device.ts'
import { GOOD, stuckIn } from '../helpers/stuck-device.ts'
import { until } from '../helpers/wait.ts'

const hold = (house: House, id: number, reason: string | null = 'TAC case, do not restart') =>
  house.store.write(() => house.store.connections.setHold(id, { since: house.clock, by: 'bob', reason }))
const release = (house: House, id: number) => house.store.write(() => house.store.connections.clearHold(id))
const untouched = () => expect.fail('the device was touched')

describe('a hold', () => {
  it.each(['service_restart', 'ssh_test', 'verify'] as const)(
    'refuses a %s with who and why, over a restart of the daemon, until it is released',
    async (operationType) => {
      const house = new House(untouched)
      const id = house.add('cucm-pub')
      hold(house, id)
      const start = () => house.start(id, { operationType })
      expect(start).toThrow(expect.objectContaining({ code: 'on_hold' }))
      expect(start).toThrow(/^cucm-pub is on hold since .* by bob: "TAC case, do not restart"\. Nothing was sent\.$/)
      house.crash(() => new ScriptedDevice(GOOD))
      expect(start).toThrow(expect.objectContaining({ code: 'on_hold' }))
      release(house, id)
      expect((await house.settled(start().operations[0]?.id ?? '')).status).toBe('completed')
    },
  )

  it('is on the device, whatever the connection is called', () => {
    const house = new House(untouched)
    const [held, twin] = [house.add('a'), house.add('b')]
    hold(house, held, null)
    expect(() => house.start(twin)).toThrow(/^b is on hold since .* by bob \(as a, which is the same device\)/)
  })

  it('does not touch what runs already, not even the look after a lost link', async () => {
    const device = stuckIn('observation', 3)
    const house = new House(device.open)
    const connection = house.add('cucm-pub')
    const id = house.start(connection).operations[0]?.id ?? ''
    await until('it moves', () => house.manager.get(id).transition)
    hold(house, connection)
    house.crash(() => new ScriptedDevice())
    expect((await house.settled(id)).status).toBe('completed')
    expect(() => house.start(connection)).toThrow(expect.objectContaining({ code: 'on_hold' }))
  })

  it('that is set after a batch was accepted is found before the first byte, and ends the batch', async () => {
    const first = stuckIn('observation', 3)
    const house = new House((name, signal) => {
      return name === 'a' ? first.open(name, signal) : new ScriptedDevice({ pause: untouched })
    })
    const ids = ['a', 'b', 'c'].map((name, index) => house.add(name, `10.0.0.${index + 1}`))
    const { operations } = house.start(ids)
    await until('the first one moves', () => house.manager.get(operations[0]?.id ?? '').transition)
    hold(house, ids[1] ?? 0)
    first.release()
    await Promise.all(operations.map(({ id }) => house.settled(id)))
    const [, held, rest] = operations.map(({ id }) => house.manager.get(id))
    expect(held).toMatchObject({ status: 'failed', effect: 'none', beganAt: null, error: { code: 'on_hold' } })
    expect(rest).toMatchObject({ status: 'cancelled', effect: 'none', message: 'not started: b ended failed' })
  })

  it('refuses what a dead daemon had accepted and not begun', async () => {
    const stuck = stuckIn('connect')
    const house = new House(stuck.open)
    const id = house.add('cucm-pub')
    const running = house.start(id).operations[0]?.id ?? ''
    const [accepted] = house.store.operations.events(running, 0, 1)
    await until('it is there', stuck.reached)
    house.crash(untouched)
    if (accepted?.event.type !== 'accepted') return expect.fail('it was not accepted')
    const { event } = accepted
    house.store.write(() => house.store.operations.insert('r-again', event, house.clock))
    hold(house, id)
    house.crash(() => new ScriptedDevice({ pause: untouched }))
    expect((await house.settled('r-again')).error?.code).toBe('on_hold')
  })

  it('is checked before a plan is made', () => {
    const house = new House(untouched)
    const id = house.add('cucm-pub')
    hold(house, id)
    expect(() => house.start(id, { dryRun: true })).toThrow(expect.objectContaining({ code: 'on_hold' }))
  })

  it('lets who asks for what runs already follow it', () => {
    const house = new House(stuckIn('login', 1, { commit: [output('x')] }).open)
    const id = house.add('cucm-pub')
    const running = house.start(id).operations[0]?.id
    hold(house, id)
    expect(house.start(id, { ifRunning: 'attach' }).attached).toEqual([running])
  })
})
