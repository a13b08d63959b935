import { describe, expect, it, vi } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { exitStatusFor } from '../../src/core/verdict.ts'
import { ACCEPTED } from '../helpers/operations.ts'
import { House } from '../helpers/manager.ts'
import { LOST, output, ScriptedDevice, type Script } from '../helpers/scripted-device.ts'
import { GOOD, stuckIn } from '../helpers/stuck-device.ts'
import { until } from '../helpers/wait.ts'

/** A restart that stands still in `method`, and what was queued after it. */
function line(method = 'login', nth = 1, script: Script = GOOD) {
  const device = stuckIn(method, nth, script)
  const house = new House(device.open)
  const connection = house.add('cucm-pub')
  const first = house.start(connection).operations[0]?.id ?? ''
  const second = house.start(connection, { ifRunning: 'queue' }).operations[0]?.id ?? ''
  return { device, house, connection, first, second }
}

const commits = (devices: readonly ScriptedDevice[]) =>
  devices.flatMap(({ calls }) => calls).filter((call) => call === 'commit').length

describe('an operation that is queued', () => {
  it('waits for the one that has the device, and runs once after it', async () => {
    const { device, house, connection, first, second } = line()
    expect(house.manager.get(second)).toMatchObject({ after: first, status: 'pending', beganAt: null })
    await until('the first logs in', device.reached)
    expect(device.devices).toHaveLength(1)
    device.release()
    await house.settled(second)
    const [before, after] = [first, second].map((id) => house.manager.get(id))
    expect([before?.status, after?.status]).toEqual(['completed', 'completed'])
    const events = house.seen.map(({ operationId, event }) => `${operationId} ${event.type}`)
    expect(events.indexOf(`${second} connecting`)).toBeGreaterThan(events.indexOf(`${first} settled`))
    expect(commits(device.devices)).toBe(2)
    expect(() => house.start(connection)).not.toThrow()
  })

  it('begins at once when nothing runs there', async () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const [operation] = house.start(house.add('cucm-pub'), { ifRunning: 'queue' }).operations
    expect(operation).not.toHaveProperty('after')
    expect((await house.settled(operation?.id ?? '')).status).toBe('completed')
  })

  it('is given back to whoever wishes the same, and stands in the way of who wishes something else', () => {
    const { house, connection, second } = line()
    const again = house.start(connection, { ifRunning: 'queue', service: 'cisco tomcat' })
    expect(again).toMatchObject({ attached: [second], operations: [{ id: second }] })
    const other = () => house.start(connection, { ifRunning: 'queue', service: 'Cisco Tftp' })
    expect(other).toThrow(
      expect.objectContaining({
        refused: [
          expect.objectContaining({ code: 'already_running', holder: expect.objectContaining({ id: second }) }),
        ],
      }),
    )
    expect(house.manager.board()).toHaveLength(2)
  })

  it('is not what a request without the flag sees: that sees the one that runs', () => {
    const { house, connection, first } = line()
    const refused = () => house.start(connection)
    expect(refused).toThrow(
      expect.objectContaining({
        refused: [expect.objectContaining({ holder: expect.objectContaining({ id: first }) })],
      }),
    )
    expect(house.start(connection, { ifRunning: 'attach' }).attached).toEqual([first])
    expect(house.start(connection, { ifRunning: 'skip' }).skipped).toMatchObject([{ why: 'running', operation: first }])
  })

  it('is named by a dry run, which queues nothing', () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const id = house.add('cucm-pub')
    const first = house.start(id).operations[0]?.id
    expect(house.start(id, { ifRunning: 'queue', dryRun: true }).plan).toMatchObject([
      { name: 'cucm-pub', after: first },
    ])
    expect(house.manager.board()).toHaveLength(1)
  })

  it('is refused by the index alone when one waits already and everything above it looks away', () => {
    const { house, first } = line()
    const accepted = { ...ACCEPTED, after: first } as const
    expect(() => house.store.write(() => house.store.operations.insert('r-1', accepted, house.clock))).toThrow('UNIQUE')
    expect(house.fatal).toEqual([])
  })

  it('can be cancelled while it waits, and its place is free again', async () => {
    const { device, house, connection, first, second } = line()
    expect(house.manager.cancel(second, 'bob')).toMatchObject({ status: 'cancelled', effect: 'none' })
    const third = house.start(connection, { ifRunning: 'queue' }).operations[0]
    expect(third).toMatchObject({ after: first })
    device.release()
    expect((await house.settled(third?.id ?? '')).status).toBe('completed')
    expect(commits(device.devices)).toBe(2)
  })

  it('has its turn when the one before it is cancelled', async () => {
    const { device, house, first, second } = line('connect')
    await until('the first connects', device.reached)
    device.release()
    house.manager.cancel(first, 'bob')
    expect((await house.settled(second)).status).toBe('completed')
    expect(house.manager.get(first).status).toBe('cancelled')
    expect(commits(device.devices)).toBe(1)
  })
})

describe('when its turn comes it is checked again', () => {
  it('and a hold that was set meanwhile ends it: nothing is sent', async () => {
    const { device, house, connection, second } = line()
    house.store.write(() => house.store.connections.setHold(connection, { since: 1, by: 'bob', reason: 'TAC case' }))
    device.release()
    const operation = await house.settled(second)
    expect(operation).toMatchObject({ status: 'failed', effect: 'none', error: { code: 'on_hold' } })
    expect(operation.message).toContain('TAC case')
    expect(exitStatusFor(operation)).toBe(5)
    expect(device.devices[1]?.calls ?? []).not.toContain('connect')
  })

  it('and a login that the one before it was refused ends it: there is no second attempt', async () => {
    const { device, house, second } = line('login', 1, {
      login: [new VosError('login_refused', 'the login was refused')],
    })
    device.release()
    const operation = await house.settled(second)
    expect(operation).toMatchObject({ status: 'failed', error: { code: 'login_held' } })
    expect(exitStatusFor(operation)).toBe(5)
    expect(device.devices.flatMap(({ calls }) => calls).filter((call) => call === 'login')).toHaveLength(1)
  })

  it('and so does a login that was refused after a person had asked for it despite an earlier hold', async () => {
    const refused = new VosError('login_refused', 'the login was refused')
    const device = stuckIn('login', 1, { login: [refused] })
    const house = new House(device.open)
    const connection = house.add('cucm-pub')
    const { store } = house
    store.operations.setLoginHold('10.10.0.10:22', 'admin', { since: 1, operationId: 'r-0', message: 'x' })
    house.start(connection, { despiteLoginHold: true })
    const [second] = house.start(connection, { ifRunning: 'queue', despiteLoginHold: true }).operations
    device.release()
    expect(await house.settled(second?.id ?? '')).toMatchObject({ status: 'failed', error: { code: 'login_held' } })
    expect(device.devices.flatMap(({ calls }) => calls).filter((call) => call === 'login')).toHaveLength(1)
  })

  it('and an unknown outcome of the one before it ends it, until a person accepts that', async () => {
    const lost: Script = { commit: [{ type: 'sent' }, LOST], login: ['ok', new VosError('login_timeout', 'x')] }
    const device = stuckIn('commit', 1, lost)
    const house = new House(device.open)
    const connection = house.add('cucm-pub')
    const first = house.start(connection).operations[0]?.id ?? ''
    const second = house.start(connection, { ifRunning: 'queue' }).operations[0]?.id ?? ''
    await until('it sends', device.reached)
    // The login that looked was not answered; a person has set the password, and nobody has looked at the outcome.
    house.manager.onEvent(({ event }, { id, device: where }) => {
      if (id === first && event.type === 'settled') house.store.operations.clearLoginHold(where, 'admin')
    })
    device.release()
    const operation = await house.settled(second)
    expect(house.manager.get(first).status).toBe('unknown')
    expect(operation).toMatchObject({ status: 'failed', effect: 'none', error: { code: 'unacknowledged' } })
    expect(operation.message).toContain(first)
    expect(exitStatusFor(operation)).toBe(5)
    expect(commits(device.devices)).toBe(1)
  })
})

describe('the end of the daemon', () => {
  it('interrupts what waits, as all that was not begun', async () => {
    const { device, house, first, second } = line('observation', 2)
    await until('it was sent', () => house.manager.get(first).sentAt)
    const drained = house.manager.drain(new AbortController().signal)
    expect(house.manager.get(second)).toMatchObject({ status: 'interrupted', effect: 'none' })
    device.release()
    await drained
    expect(house.manager.get(first).status).toBe('completed')
    expect(device.devices).toHaveLength(1)
  })

  it('leaves it waiting for the next daemon, which looks at the one before it first', async () => {
    const { house, first, second } = line('observation', 3)
    await until('it moves', () => house.manager.get(first).transition)
    const later = stuckIn('services')
    house.crash(later.open)
    await until('the new daemon looks', later.reached)
    expect(house.manager.get(second)).toMatchObject({ status: 'pending', after: first })
    expect(later.devices).toHaveLength(1)
    later.release()
    await house.settled(second)
    expect([first, second].map((id) => house.manager.get(id).status)).toEqual(['completed', 'completed'])
    expect(commits(later.devices)).toBe(1)
  })

  it('gives it the device with the ending of the one before it, whatever comes in between', async () => {
    const { device, house, first, second } = line('observation')
    await until('it commits', () => house.manager.get(first).phase === 'dispatching')
    // Killed in the very moment at which the ending is on disk: nothing that follows from it has happened.
    const died = Promise.withResolvers<void>()
    house.manager.onEvent(({ event }, { id }) => {
      if (id !== first || event.type !== 'settled') return
      died.resolve()
      throw new Error('killed')
    })
    device.release()
    await died.promise
    expect(house.manager.get(second).beganAt).toBeNull()
    const later = stuckIn('connect')
    house.crash(later.open)
    expect(() => house.store.write(() => house.store.operations.insert('r-1', ACCEPTED, house.clock))).toThrow('UNIQUE')
    later.release()
    expect((await house.settled(second)).status).toBe('completed')
    expect(commits(later.devices)).toBe(1)
  })

  it('does not begin it any more when the next daemon comes too late', async () => {
    const { house, first, second } = line('observation', 3)
    await until('it moves', () => house.manager.get(first).transition)
    house.clock += 301_000
    house.crash(() => new ScriptedDevice())
    expect(house.manager.get(second)).toMatchObject({ status: 'interrupted', effect: 'none' })
    expect((await house.settled(first)).status).toBe('completed')
  })

  it('runs it after one that was still logging in when the daemon was killed, unless that left a hold', async () => {
    const { device, house, first, second } = line('services')
    await until('the first reads the list', device.reached)
    house.crash(() => new ScriptedDevice(GOOD))
    expect(house.manager.get(first).status).toBe('interrupted')
    expect((await house.settled(second)).status).toBe('completed')
  })
})

describe('several targets', () => {
  const rig = () => {
    const device = stuckIn('login')
    const opened: string[] = []
    const house = new House((name, signal) => {
      opened.push(name)
      return device.open(name, signal)
    })
    const ids = ['a', 'b', 'c'].map((name, index) => house.add(name, `10.0.0.${index + 1}`))
    return { device, house, ids, opened }
  }

  it('wait each for its own device, and keep their order', async () => {
    const { device, house, ids, opened } = rig()
    const [, b] = ids
    const holder = house.start(b ?? 0).operations[0]?.id ?? ''
    const { operations } = house.start(ids, { ifRunning: 'queue' })
    expect(operations.map(({ after }) => after)).toEqual([undefined, holder, undefined])
    device.release()
    await Promise.all(operations.map(({ id }) => house.settled(id)))
    expect(operations.map(({ id }) => house.manager.get(id).status)).toEqual(['completed', 'completed', 'completed'])
    expect(opened.filter((name) => name !== 'b')).toEqual(['a', 'c'])
    const began = operations.map(({ id }) =>
      house.seen.findIndex((one) => one.operationId === id && one.event.type === 'connecting'),
    )
    expect(began).toEqual(began.toSorted((one, other) => one - other))
  })

  it('hold up those that follow, for as long as the device of one is not free', async () => {
    const { device, house, ids, opened } = rig()
    const [a] = ids
    house.start(a ?? 0)
    const { operations } = house.start(ids, { ifRunning: 'queue' })
    await until('the holder logs in', device.reached)
    expect(opened).toEqual(['a'])
    device.release()
    await Promise.all(operations.map(({ id }) => house.settled(id)))
    expect(opened).toEqual(['a', 'a', 'b', 'c'])
  })

  it('go on side by side where the device is free', async () => {
    const { device, house, ids, opened } = rig()
    const [a] = ids
    house.start(a ?? 0)
    const { operations } = house.start(ids, { ifRunning: 'queue', parallel: 2 })
    await until('the second one logs in', () => opened.includes('b'))
    expect(opened).toEqual(['a', 'b'])
    device.release()
    await Promise.all(operations.map(({ id }) => house.settled(id)))
    expect(operations.map(({ id }) => house.manager.get(id).status)).toEqual(['completed', 'completed', 'completed'])
  })

  it('go on when the one that waits for its device is taken out', async () => {
    const { device, house, ids } = rig()
    const [a] = ids
    house.start(a ?? 0)
    const { operations } = house.start(ids, { ifRunning: 'queue' })
    const [waits, ...others] = operations.map(({ id }) => id)
    expect(house.manager.cancel(waits ?? '', 'bob')).toMatchObject({ status: 'cancelled' })
    device.release()
    await Promise.all(others.map((id) => house.settled(id)))
    expect(others.map((id) => house.manager.get(id).status)).toEqual(['completed', 'completed'])
  })

  it('are all taken out when one before them does not complete, also the one that waits', async () => {
    const device = stuckIn('login')
    const house = new House((name, signal) =>
      name === 'a' ? new ScriptedDevice({ prepare: new VosError('echo_mismatch', 'x') }) : device.open(name, signal),
    )
    const ids = ['a', 'b'].map((name, index) => house.add(name, `10.0.0.${index + 1}`))
    house.start(ids[1] ?? 0)
    const { operations } = house.start(ids, { ifRunning: 'queue' })
    await Promise.all(operations.map(({ id }) => house.settled(id)))
    expect(operations.map(({ id }) => house.manager.get(id).status)).toEqual(['failed', 'cancelled'])
  })
})

describe('work that completed a moment ago', () => {
  const HOUR = 3_600_000
  const completed = async () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const connection = house.add('cucm-pub')
    const id = house.start(connection).operations[0]?.id ?? ''
    await house.settled(id)
    return { house, connection, id }
  }
  const recent = { ifRecentMs: 6 * HOUR }

  it('is skipped when that was asked for, on the board and in history, by its age', async () => {
    const { house, connection, id } = await completed()
    const skipped = [{ id: connection, name: 'cucm-pub', why: 'recent', operation: id }]
    expect(house.start(connection, recent)).toMatchObject({ operations: [], batch: null, skipped })
    expect(house.start(connection, { ...recent, service: 'cisco TOMCAT' })).toMatchObject({ operations: [], skipped })
    house.clock += 5 * HOUR
    house.crash()
    expect(house.manager.board()).toEqual([])
    expect(house.start(connection, { ...recent, dryRun: true })).toMatchObject({ plan: [], skipped })
    expect(house.start(connection, recent)).toMatchObject({ operations: [], skipped })
    house.clock += HOUR + 1
    expect(house.start(connection, recent)).toMatchObject({ skipped: [], operations: [{ status: 'pending' }] })
  })

  it.each([
    ['of another service', { service: 'Cisco Tftp' }],
    ['of another kind', { operationType: 'ssh_test' }],
  ] as const)('is not skipped for work %s', async (_, more) => {
    const { house, connection } = await completed()
    expect(house.start(connection, { ...recent, ...more }).skipped).toEqual([])
  })

  it('is found under the name by which it was asked for', async () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const connection = house.add('cucm-pub')
    const id = house.start(connection, { service: 'Cisco' }).operations[0]?.id ?? ''
    await house.settled(id)
    expect(house.manager.get(id)).toMatchObject({ status: 'completed', service: 'Cisco Tomcat' })
    expect(house.start(connection, { ...recent, service: 'Cisco' }).skipped).toMatchObject([{ operation: id }])
    expect(house.start(connection, recent).skipped).toMatchObject([{ operation: id }])
  })

  it('does not count when it failed, or when its age is less than nothing', async () => {
    const { house, connection } = await completed()
    house.clock -= HOUR
    expect(house.start(connection, recent).skipped).toEqual([])
    const failing = new House(() => new ScriptedDevice({ prepare: new VosError('echo_mismatch', 'x') }))
    const id = failing.add('cucm-pub')
    await failing.settled(failing.start(id).operations[0]?.id ?? '')
    expect(failing.start(id, recent).skipped).toEqual([])
  })

  it('does not count when it went wrong later, but does when what was tried later sent nothing', async () => {
    const scripts: Script[] = [
      GOOD,
      { prepare: new VosError('echo_mismatch', 'x') },
      { commit: [{ type: 'sent' }, output('Invalid service'), { type: 'ended' }] },
    ]
    const house = new House(() => new ScriptedDevice(scripts.shift() ?? {}))
    const connection = house.add('cucm-pub')
    const run = async (more = {}) => {
      house.clock++
      const result = house.start(connection, more)
      for (const { id } of result.operations) await house.settled(id)
      return result
    }
    const [good] = (await run()).operations
    await run()
    expect((await run(recent)).skipped).toMatchObject([{ operation: good?.id }])
    const [bad] = (await run()).operations
    expect(house.manager.get(bad?.id ?? '')).toMatchObject({ status: 'failed', error: { code: 'refused_by_device' } })
    expect((await run({ ...recent, dryRun: true })).skipped).toEqual([])
  })

  it('is found although it is long ago, without reading what lies between twice', async () => {
    const house = new House((name) => new ScriptedDevice(name === 'b' ? GOOD : {}))
    const [a, b] = [house.add('a', '10.0.0.1'), house.add('b', '10.0.0.2')]
    const id = house.start(b).operations[0]?.id ?? ''
    await house.settled(id)
    const read = vi.spyOn(house.store.operations, 'outcomes')
    expect(house.start([a, b], { ...recent, dryRun: true })).toMatchObject({
      plan: [{ name: 'a' }],
      skipped: [{ operation: id }],
    })
    expect(read).toHaveBeenCalledTimes(1)
  })

  it('is skipped although something runs there now, and leaves the other targets to be done', async () => {
    const device = stuckIn('login', 2)
    const house = new House(device.open)
    const [a, b] = [house.add('a', '10.0.0.1'), house.add('b', '10.0.0.2')]
    const first = house.start(a).operations[0]?.id ?? ''
    device.release()
    await house.settled(first)
    const result = house.start([a, b], recent)
    expect(result).toMatchObject({
      skipped: [{ name: 'a', operation: first }],
      operations: [{ connection: { name: 'b' } }],
    })
    await house.settled(result.operations[0]?.id ?? '')
  })

  it('counts when a later look proved it', async () => {
    const script: Script = {
      commit: [{ type: 'sent' }, output('Cisco Tomcat[STOPPING]'), LOST],
      login: ['ok', new VosError('login_timeout', 'x')],
    }
    const house = new House(() => new ScriptedDevice(script))
    const connection = house.add('cucm-pub')
    const id = house.start(connection).operations[0]?.id ?? ''
    expect((await house.settled(id)).status).toBe('unknown')
    expect(
      house.start(connection, { ...recent, despiteUnknown: true, despiteLoginHold: true, dryRun: true }).skipped,
    ).toEqual([])
    house.crash(() => new ScriptedDevice())
    const look = house.start(connection, { operationType: 'verify', subject: id, despiteLoginHold: true }).operations[0]
    await house.settled(look?.id ?? '')
    expect(house.manager.get(id)).toMatchObject({ status: 'completed', verified: { look: look?.id } })
    expect(house.start(connection, { ...recent, despiteLoginHold: true }).skipped).toMatchObject([{ operation: id }])
  })
})
