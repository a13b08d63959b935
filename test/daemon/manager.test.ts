import { describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import type { Operation } from '../../src/core/operation.ts'
import { progressAt } from '../../src/core/progress.ts'
import { ACCEPTED, FACTS, TOMCAT } from '../helpers/operations.ts'
import { House } from '../helpers/manager.ts'
import { LOST, output, ScriptedDevice, type Script } from '../helpers/scripted-device.ts'
import { GOOD, stuckIn } from '../helpers/stuck-device.ts'
import { until } from '../helpers/wait.ts'

const TEN_YEARS = 3652 * 86_400_000

describe('one at a time', () => {
  it('refuses the same restart again, and carries the running operation', async () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const id = house.add('cucm-pub')
    const [running] = house.start(id).operations
    const refuse = () => house.start(id)
    expect(refuse).toThrow(expect.objectContaining({ code: 'already_running' }))
    expect(refuse).toThrow(
      expect.objectContaining({
        refused: [expect.objectContaining({ holder: expect.objectContaining({ id: running?.id }) })],
      }),
    )
    device.release()
    expect((await house.settled(running?.id ?? '')).status).toBe('completed')
    expect(() => house.start(id)).not.toThrow()
  })

  it('lets one of fifty through on two connections that name one device', async () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const ids = [house.add('a', 'CUCM.example.org'), house.add('b', 'cucm.example.org.')]
    const outcomes = Array.from({ length: 50 }, (_, index) => {
      try {
        return house.start(ids[index % 2] ?? 0).operations[0]?.id ?? ''
      } catch (error) {
        return (error as VosError).code
      }
    })
    expect(outcomes.filter((outcome) => outcome === 'already_running')).toHaveLength(49)
    device.release()
    await house.settled(outcomes[0] ?? '')
    expect(device.devices.flatMap(({ calls }) => calls).filter((call) => call === 'commit')).toHaveLength(1)
  })

  it('refuses by the index alone when everything above it looks away', () => {
    const house = new House(() => new ScriptedDevice())
    const { operations } = house.store
    const accepted = { ...ACCEPTED, operationType: 'certificate_renewal' } as const
    house.store.write(() => operations.insert('c-1', accepted, house.clock))
    expect(() => house.store.write(() => operations.insert('r-1', ACCEPTED, house.clock))).toThrow('UNIQUE')
    expect(house.fatal).toEqual([])
    house.store.write(() => operations.insert('t-1', { ...ACCEPTED, operationType: 'ssh_test' }, house.clock))
    expect(operations.board().map(({ id }) => id)).toEqual(['c-1', 't-1'])
  })

  it('lets a test run beside a restart, and neither log in before the other has its answer', async () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const id = house.add('cucm-pub')
    const restart = house.start(id).operations[0]?.id ?? ''
    await until('the restart logs in', device.reached)
    const test = house.start(id, { operationType: 'ssh_test' }).operations[0]?.id ?? ''
    await until('the test is at the door', () =>
      device.devices.some(({ calls }, index) => index === 1 && calls.includes('connect')),
    )
    expect(device.devices[1]?.calls).toEqual(['connect'])
    device.release()
    expect((await house.settled(test)).status).toBe('completed')
    expect((await house.settled(restart)).status).toBe('completed')
  })

  it('gives back the same operation for the same request', async () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const id = house.add('cucm-pub')
    const requestId = '00000000-0000-4000-8000-000000000001'
    const first = house.start(id, { requestId }).operations[0]?.id ?? ''
    await house.settled(first)
    expect(house.start(id, { requestId }).operations[0]?.id).toBe(first)
    expect(house.manager.board()).toHaveLength(1)
  })

  it('refuses the id of another request, which would be answered with the wrong operation', () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const [id, other] = [house.add('cucm-pub'), house.add('cucm-sub', '10.10.0.11')]
    const requestId = '00000000-0000-4000-8000-000000000001'
    house.start(id, { requestId })
    expect(() => house.start(other, { requestId })).toThrow('stands for another request')
    expect(() => house.start(id, { requestId, service: 'Cisco Tftp' })).toThrow('stands for another request')
    house.crash()
    expect(() => house.start(other, { requestId })).toThrow('stands for another request')
    expect(house.manager.board()).toHaveLength(1)
  })

  it('attaches or skips instead of refusing, when told', () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const id = house.add('cucm-pub')
    const running = house.start(id).operations[0]?.id
    expect(house.start(id, { ifRunning: 'attach' })).toMatchObject({
      attached: [running],
      operations: [{ id: running }],
    })
    expect(house.start(id, { ifRunning: 'skip' })).toMatchObject({ skipped: [{ name: 'cucm-pub' }], operations: [] })
    // The verdict of another service would say nothing about the one that was asked for.
    const other = () => house.start(id, { ifRunning: 'attach', service: 'Cisco Tftp' })
    expect(other).toThrow(expect.objectContaining({ code: 'already_running' }))
  })
})

describe('several targets', () => {
  it('runs them one after the other, and none after the first that did not complete', async () => {
    const calls: string[] = []
    const house = new House((name) => {
      calls.push(name)
      return new ScriptedDevice(name === 'b' ? { prepare: new VosError('echo_mismatch', 'the echo differs') } : GOOD)
    })
    const ids = ['a', 'b', 'c', 'd'].map((name, index) => house.add(name, `10.0.0.${index + 1}`))
    const { operations, batch } = house.start(ids)
    expect(batch).toMatch(/^b-/)
    await Promise.all(operations.map(({ id }) => house.settled(id)))
    expect(operations.map(({ id }) => house.manager.get(id).status)).toEqual([
      'completed',
      'failed',
      'cancelled',
      'cancelled',
    ])
    expect(house.manager.get(operations[2]?.id ?? '').message).toContain('not started')
    expect(calls).toEqual(['a', 'b'])
  })

  it('stops after one whose device could not even be opened', async () => {
    const house = new House((name) => {
      if (name === 'a') throw new VosError('bad_key_file', 'the key file is not there')
      return new ScriptedDevice(GOOD)
    })
    const { operations } = house.start(['a', 'b'].map((name, index) => house.add(name, `10.0.0.${index + 1}`)))
    await Promise.all(operations.map(({ id }) => house.settled(id)))
    expect(operations.map(({ id }) => house.manager.get(id).status)).toEqual(['failed', 'cancelled'])
  })

  it('goes on without one that a person took out before it began', async () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const { operations } = house.start(['a', 'b', 'c'].map((name, index) => house.add(name, `10.0.0.${index + 1}`)))
    house.manager.cancel(operations[1]?.id ?? '', 'bob')
    device.release()
    await Promise.all(operations.map(({ id }) => house.settled(id)))
    expect(operations.map(({ id }) => house.manager.get(id).status)).toEqual(['completed', 'cancelled', 'completed'])
  })

  it('runs as many side by side as it is told', async () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const ids = ['a', 'b', 'c', 'd', 'e'].map((name, index) => house.add(name, `10.0.0.${index + 1}`))
    const { operations } = house.start(ids, { parallel: 3 })
    await until('three log in', () => device.devices.filter(({ calls }) => calls.includes('login')).length === 3)
    expect(device.devices).toHaveLength(3)
    device.release()
    await Promise.all(operations.map(({ id }) => house.settled(id)))
    expect(device.devices).toHaveLength(5)
  })

  it('starts nothing anywhere when one of them is busy', () => {
    const house = new House(stuckIn('login').open)
    const [a, b] = [house.add('a', '10.0.0.1'), house.add('b', '10.0.0.2')]
    house.start(b)
    expect(() => house.start([a, b])).toThrow(expect.objectContaining({ code: 'already_running' }))
    expect(house.manager.board()).toHaveLength(1)
  })

  it('refuses two names of one device', () => {
    const house = new House(() => new ScriptedDevice())
    const ids = [house.add('a'), house.add('b')]
    expect(() => house.start(ids)).toThrow('are the same device')
  })
})

describe('cancelling', () => {
  it('ends an operation before the intent, and says who did it', async () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
    await until('it logs in', device.reached)
    house.manager.cancel(id, 'bob')
    const operation = await house.settled(id)
    expect(operation).toMatchObject({
      status: 'cancelled',
      effect: 'none',
      message: 'cancelled by bob before anything was sent',
    })
    expect(device.devices[0]?.calls.at(-1)).toBe('close')
  })

  it('says that it is too late from the intent on, and touches nothing', async () => {
    const device = stuckIn('observation')
    const house = new House(device.open)
    const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
    await until('the intent is written', () => house.manager.get(id).phase === 'dispatching')
    expect(() => house.manager.cancel(id, 'bob')).toThrow(expect.objectContaining({ code: 'cannot_cancel' }))
    device.release()
    expect((await house.settled(id)).status).toBe('completed')
  })

  it('wins over an intent that is not yet on disk', async () => {
    const device = stuckIn('prepare Cisco Tomcat')
    const house = new House(device.open)
    const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
    await until('it types', device.reached)
    device.release()
    house.manager.cancel(id, 'bob')
    expect((await house.settled(id)).status).toBe('cancelled')
    expect(device.devices[0]?.calls).not.toContain('commit')
  })
})

describe('one login attempt', () => {
  const refused = () => new ScriptedDevice({ login: [new VosError('login_refused', 'the login was refused')] })

  it('holds the connection after a refused login, over a restart of the daemon, until a person acts', async () => {
    let opened = 0
    const house = new House(() => (opened++, refused()))
    const id = house.add('cucm-pub')
    expect((await house.settled(house.start(id).operations[0]?.id ?? '')).error?.code).toBe('login_refused')
    expect(() => house.start(id)).toThrow(expect.objectContaining({ code: 'login_held' }))
    house.crash()
    expect(() => house.start(id, { operationType: 'ssh_test' })).toThrow(
      expect.objectContaining({ code: 'login_held' }),
    )
    expect(opened).toBe(1)
    expect(() => house.start(id, { despiteLoginHold: true })).not.toThrow()
  })

  it('lets one attempt reach the device when a restart and a test begin together', async () => {
    const devices: ScriptedDevice[] = []
    const house = new House(() => {
      const device = refused()
      devices.push(device)
      return device
    })
    const id = house.add('cucm-pub')
    const started = [house.start(id), house.start(id, { operationType: 'ssh_test' })].map(
      ({ operations }) => operations[0]?.id ?? '',
    )
    const codes = await Promise.all(started.map(async (one) => (await house.settled(one)).error?.code))
    expect(codes.toSorted((a, b) => String(a).localeCompare(String(b)))).toEqual(['login_held', 'login_refused'])
    expect(devices.flatMap(({ calls }) => calls).filter((call) => call === 'login')).toHaveLength(1)
  })

  it('holds it too when the daemon was killed before the answer came', async () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const id = house.add('cucm-pub')
    const operation = house.start(id).operations[0]?.id ?? ''
    await until('it logs in', device.reached)
    house.crash()
    expect(house.manager.get(operation)).toMatchObject({ status: 'interrupted', effect: 'none' })
    expect(() => house.start(id)).toThrow(expect.objectContaining({ code: 'login_held' }))
  })

  it.each([
    ['the link was lost before the attempt', { login: [new VosError('connection_lost', 'x')] }],
    ['there was no secret to send', { login: [new VosError('no_credential', 'x')] }],
    ['the prompt did not come after the login was accepted', { open: [new VosError('prompt_timeout', 'x')] }],
    ['the link was lost after the login was accepted', { open: [new VosError('connection_lost', 'x')] }],
  ])('does not hold it when %s', async (_, script) => {
    const house = new House(() => new ScriptedDevice(script))
    const id = house.add('cucm-pub')
    await house.settled(house.start(id).operations[0]?.id ?? '')
    expect(() => house.start(id)).not.toThrow()
  })

  it('holds it when the login that looks at a device after a lost link is refused', async () => {
    const house = new House(
      () => new ScriptedDevice({ login: ['ok', new VosError('login_refused', 'x')], commit: [{ type: 'sent' }, LOST] }),
    )
    const id = house.add('cucm-pub')
    expect((await house.settled(house.start(id).operations[0]?.id ?? '')).status).toBe('unknown')
    expect(() => house.start(id, { operationType: 'ssh_test' })).toThrow(
      expect.objectContaining({ code: 'login_held' }),
    )
  })

  it('holds it when the shell behind an accepted login asks for a new password', async () => {
    const house = new House(() => new ScriptedDevice({ open: [new VosError('password_expired', 'x')] }))
    const id = house.add('cucm-pub')
    await house.settled(house.start(id).operations[0]?.id ?? '')
    expect(() => house.start(id)).toThrow(expect.objectContaining({ code: 'login_held' }))
    house.crash()
    expect(() => house.start(id)).toThrow(expect.objectContaining({ code: 'login_held' }))
  })

  it('holds it too when that comes after the command was sent, and the ending says no more than unknown', async () => {
    const open = ['ok', new VosError('password_expired', 'x')] as const
    const house = new House(() => new ScriptedDevice({ open, commit: [{ type: 'sent' }, LOST] }))
    const id = house.add('cucm-pub')
    expect((await house.settled(house.start(id).operations[0]?.id ?? '')).status).toBe('unknown')
    expect(() => house.start(id, { operationType: 'verify' })).toThrow(expect.objectContaining({ code: 'login_held' }))
  })

  it.each(['login_refused', 'password_expired'] as const)(
    'uses a credential that ended in %s nowhere else in its batch, not even where it has connected already',
    async (code) => {
      const devices = new Map<string, ScriptedDevice>()
      const gate = Promise.withResolvers<void>()
      const house = new House((name) => {
        const device = new ScriptedDevice({
          login: [name === 'a' ? new VosError(code, 'x') : 'ok'],
          pause: (method) => (method === 'connect' && name !== 'a' ? gate.promise : undefined),
        })
        devices.set(name, device)
        return device
      })
      const ids = ['a', 'b', 'c', 'd'].map((name, index) => house.add(name, `10.10.0.${index + 1}`))
      // This one logs in as somebody else.
      house.store.write(() => {
        house.store.connections.edit(ids[2] ?? 0, { username: 'operator' })
        house.store.connections.setSealedPassword(ids[2] ?? 0, Buffer.from('sealed'))
      })
      const [first, second, third, fourth] = house
        .start(ids, { operationType: 'ssh_test', parallel: 3 })
        .operations.map((operation) => operation.id)
      expect((await house.settled(first ?? '')).error?.code).toBe(code)
      gate.resolve()
      expect((await house.settled(second ?? '')).error).toMatchObject({
        code: 'login_held',
        message: expect.stringContaining('refused by a, in this batch'),
      })
      expect((await house.settled(third ?? '')).status).toBe('completed')
      expect((await house.settled(fourth ?? '')).status).toBe('cancelled')
      expect(devices.get('b')?.calls).not.toContain('login')
      expect(devices.has('d')).toBe(false)
      // Nothing was attempted there, so nothing is held there.
      expect(() => house.start(ids[1] ?? 0)).not.toThrow()
    },
  )

  it('looks again when the link was lost before the attempt, and is not held up by its own attempt', async () => {
    const house = new House(
      () =>
        new ScriptedDevice({
          login: ['ok', new VosError('connection_lost', 'x'), 'ok'],
          commit: [{ type: 'sent' }, output('Cisco Tomcat[STOPPING]'), LOST],
        }),
    )
    const id = house.add('cucm-pub')
    const operation = await house.settled(house.start(id).operations[0]?.id ?? '')
    expect(operation).toMatchObject({ status: 'completed', reconciliations: 2 })
    expect(() => house.start(id)).not.toThrow()
  })

  it('keeps the hold of a refused login when a person tries again and nothing was attempted', async () => {
    let tries = 0
    const house = new House(
      () => new ScriptedDevice({ login: [new VosError(++tries === 1 ? 'login_refused' : 'connection_lost', 'x')] }),
    )
    const id = house.add('cucm-pub')
    await house.settled(house.start(id).operations[0]?.id ?? '')
    await house.settled(house.start(id, { despiteLoginHold: true }).operations[0]?.id ?? '')
    expect(() => house.start(id)).toThrow(expect.objectContaining({ code: 'login_held' }))
  })

  it('holds it when a person cancelled in the middle of the login: the answer is not known', async () => {
    const device = stuckIn('login')
    const house = new House(device.open)
    const id = house.add('cucm-pub')
    const operation = house.start(id).operations[0]?.id ?? ''
    await until('it logs in', device.reached)
    house.manager.cancel(operation, 'bob')
    await house.settled(operation)
    expect(() => house.start(id)).toThrow(expect.objectContaining({ code: 'login_held' }))
  })

  it('does not log in again when the daemon was killed in the login that looks at the device', async () => {
    const device = stuckIn('login', 2, { commit: [{ type: 'sent' }, LOST] })
    const house = new House(device.open)
    const id = house.add('cucm-pub')
    const operation = house.start(id).operations[0]?.id ?? ''
    await until(
      'it looks',
      () => house.manager.get(operation).phase === 'reconciling' && house.manager.get(operation).authenticating,
    )
    house.crash(() => expect.fail('the device was touched'))
    expect(house.manager.get(operation).status).toBe('unknown')
    expect(() => house.start(id, { operationType: 'ssh_test' })).toThrow(
      expect.objectContaining({ code: 'login_held' }),
    )
  })
})

describe('a new daemon', () => {
  it.each([
    ['connect', 'interrupted'],
    ['login', 'interrupted'],
    ['services', 'interrupted'],
    ['prepare Cisco Tomcat', 'interrupted'],
  ])('that finds an operation in %s calls it %s and sends nothing', async (method, status) => {
    const device = stuckIn(method)
    const house = new House(device.open)
    const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
    await until('it is there', device.reached)
    house.crash(() => expect.fail('the device was touched'))
    expect(house.manager.get(id)).toMatchObject({ status, effect: 'none' })
  })

  const MOVING: Script = {
    commit: [
      { type: 'sent' },
      output('Cisco Tomcat[STOPPING]'),
      output('Cisco Tomcat[STARTING]'),
      output('Cisco Tomcat[STARTED]'),
      { type: 'ended' },
    ],
  }
  it.each([
    ['dispatching, before the byte', 'observation', 1, 'dispatching', 'unknown'],
    ['dispatching, after the byte', 'observation', 2, 'dispatching', 'unknown'],
    ['stopping', 'observation', 3, 'stopping', 'completed'],
    ['starting', 'observation', 4, 'starting', 'completed'],
    ['verifying', 'services', 2, 'verifying', 'completed'],
  ] as const)(
    'that finds an operation in %s looks once, sends nothing, and calls it by what the journal proves',
    async (_, method, nth, phase, status) => {
      const device = stuckIn(method, nth, MOVING)
      const house = new House(device.open)
      const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
      const isThere = () => house.manager.get(id)
      await until('it is there', () => isThere().phase === phase && (nth === 1 || isThere().sentAt !== null))
      const later = new ScriptedDevice()
      house.crash(() => later)
      expect(await house.settled(id)).toMatchObject({ status, reconciliations: 1 })
      expect(later.calls.filter((call) => call === 'login')).toHaveLength(1)
      expect(later.calls.some((call) => call.startsWith('prepare') || call === 'commit')).toBe(false)
    },
  )

  it.each([
    ['moves', [[{ ...TOMCAT, state: 'STARTING' }], [TOMCAT]], 'no transition was seen'],
    [
      'is STOPPED',
      [[{ ...TOMCAT, state: 'STOPPED' }]],
      'it is not certain that this restart did it: the service is DOWN',
    ],
  ])(
    'that was away for a day does not credit the restart with what the service does now: it %s',
    async (_, lists, why) => {
      const device = stuckIn('observation', 2)
      const house = new House(device.open)
      const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
      await until('it was sent', () => house.manager.get(id).sentAt)
      house.clock += 86_400_000
      house.crash(() => new ScriptedDevice({ lists }))
      expect(await house.settled(id)).toMatchObject({ status: 'unknown', message: expect.stringContaining(why) })
    },
  )

  it('looks at the device when the intent was written, sends nothing, and settles by what the journal proves', async () => {
    const device = stuckIn('observation', 3)
    const house = new House(device.open)
    const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
    await until('it moves', () => house.manager.get(id).transition)
    const later = new ScriptedDevice({ lists: [[{ ...TOMCAT, state: 'STARTING' }], [TOMCAT]] })
    house.crash(() => later)
    const operation = await house.settled(id)
    expect(operation.status).toBe('completed')
    expect(later.calls.filter((call) => call === 'login')).toHaveLength(1)
    expect(later.calls.some((call) => call.startsWith('prepare') || call === 'commit')).toBe(false)
  })

  it('calls it unknown when it reads STARTED and nothing proves a restart, and holds the device until a person accepts', async () => {
    const device = stuckIn('observation')
    const house = new House(device.open)
    const connection = house.add('cucm-pub')
    const id = house.start(connection).operations[0]?.id ?? ''
    await until('the intent is written', () => house.manager.get(id).phase === 'dispatching')
    house.crash(() => new ScriptedDevice())
    expect((await house.settled(id)).status).toBe('unknown')
    expect(() => house.start(connection)).toThrow(expect.objectContaining({ code: 'unacknowledged' }))
    expect(() => house.start(connection, { operationType: 'ssh_test' })).not.toThrow()
    house.manager.acknowledge(id, 'bob')
    expect(() => house.start(connection)).not.toThrow()
  })

  it('gives up after three looks that were cut off', async () => {
    const device = stuckIn('observation')
    const house = new House(device.open)
    const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
    await until('the intent is written', () => house.manager.get(id).phase === 'dispatching')
    for (let look = 1; look <= 3; look++) {
      const looking = stuckIn('connect patiently')
      house.crash(looking.open)
      await until('it looks', looking.reached)
      expect(house.manager.get(id)).toMatchObject({ phase: 'reconciling', reconciliations: look })
    }
    house.crash(() => new ScriptedDevice())
    expect((await house.settled(id)).status).toBe('unknown')
  })

  it('runs what was accepted a moment ago, and nothing that is older than its start deadline', async () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const { operations } = house.store
    const at = house.clock
    const insert = (id: string, name: string, acceptedAt: number) => {
      const connection = { id: house.add(name, name, 1), name }
      house.store.write(() => operations.insert(id, { ...ACCEPTED, connection, device: `${name}:1` }, acceptedAt))
    }
    insert('r-fresh', 'a', at - 60_000)
    insert('r-stale', 'b', at - 301_000)
    insert('r-ahead', 'c', at + 60_000)
    house.crash()
    expect((await house.settled('r-fresh')).status).toBe('completed')
    expect(house.manager.get('r-stale').status).toBe('interrupted')
    expect(house.manager.get('r-ahead').status).toBe('interrupted')
  })
})

describe('the end of the daemon', () => {
  it('interrupts what was not sent, waits for what was, and takes on nothing new', async () => {
    const before = stuckIn('login')
    const after = stuckIn('observation')
    const house = new House((name, signal) => (name === 'a' ? before.open(name, signal) : after.open(name, signal)))
    const [a, b] = [house.add('a', '10.0.0.1'), house.add('b', '10.0.0.2')]
    const [first, second] = [house.start(a), house.start(b)].map(({ operations }) => operations[0]?.id ?? '')
    await until('both are under way', () => before.reached() && house.manager.get(second ?? '').phase === 'dispatching')
    const drained = house.manager.drain(new AbortController().signal)
    expect(() => house.start(a)).toThrow(expect.objectContaining({ code: 'draining' }))
    expect((await house.settled(first ?? '')).status).toBe('interrupted')
    after.release()
    await drained
    expect(house.manager.get(second ?? '').status).toBe('completed')
  })

  it('leaves what does not end in time as it is, for the next daemon to look at', async () => {
    const device = stuckIn('observation', 2)
    const house = new House(device.open)
    const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
    await until('it was sent', () => house.manager.get(id).sentAt)
    await house.manager.drain(AbortSignal.abort())
    expect(house.manager.get(id).phase).toBe('dispatching')
  })
})

describe('the board and the journal', () => {
  it('moves what has ended into history after five minutes, and finds it there', async () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const connection = house.add('cucm-pub')
    const id = house.start(connection).operations[0]?.id ?? ''
    await house.settled(id)
    house.clock += 5 * 60_000
    house.crash()
    expect(house.manager.board()).toEqual([])
    expect(house.store.operations.history(connection, 10).map((operation) => operation.id)).toEqual([id])
    expect(house.manager.get(id.slice(0, 5)).status).toBe('completed')
    expect(house.manager.get('last', 'alice').id).toBe(id)
  })

  it('learns how long it takes, and knows it still when the history is pruned', async () => {
    const house = new House(() => new ScriptedDevice({ ...GOOD, pause: () => void (house.clock += 1000) }))
    const id = house.add('cucm-pub')
    for (let run = 0; run < 3; run++) {
      await house.settled(house.start(id).operations[0]?.id ?? '')
      house.clock += 5 * 60_000
    }
    house.crash()
    const later: Operation[] = []
    for (let quarter = 0; quarter < 5; quarter++) {
      house.clock += 81 * 86_400_000
      house.crash()
      later.unshift(house.start(id).operations[0] as Operation)
      await house.settled(later[0]?.id ?? '')
    }
    house.clock += 5 * 60_000
    house.crash()
    expect(house.store.operations.history(null, 10).map((operation) => operation.id)).toEqual(later.map(({ id }) => id))
    const usual = later.at(-1)?.usual
    expect(usual).toMatchObject({ runs: 3, phases: { stopping: 2000 } })
  })

  it('teaches nothing when the clock was set back meanwhile', async () => {
    const house = new House(() => new ScriptedDevice({ ...GOOD, pause: () => void (house.clock -= 1000) }))
    const id = house.add('cucm-pub')
    expect((await house.settled(house.start(id).operations[0]?.id ?? '')).status).toBe('completed')
    expect(house.start(id).operations[0]?.usual).toBeNull()
  })

  it('keeps history and requests while the clock is ten years ahead: all of it was once pruned as old', async () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const id = house.add('cucm-pub')
    const first = house.start(id, { requestId: 'one' }).operations[0]?.id ?? ''
    await house.settled(first)
    house.clock += TEN_YEARS
    const second = house.start(id).operations[0]?.id ?? ''
    await house.settled(second)
    house.clock -= TEN_YEARS
    house.crash()
    house.clock += 5 * 60_000
    house.crash()
    expect(house.store.operations.history(null, 10).map((operation) => operation.id)).toEqual([second, first])
    expect(house.start(id, { requestId: 'one' }).operations[0]?.id).toBe(first)
  })

  it.each([
    ['ahead', TEN_YEARS],
    ['back', -TEN_YEARS],
  ])('says that the clock was set %s, and neither counts nor learns that as time', async (_, byMs) => {
    let steady = 0
    let isSet = false
    const pass = (ms: number): void => {
      steady += ms
      house.clock += ms
      if (!isSet) house.clock += byMs
      isSet = true
    }
    const house = new House(() => new ScriptedDevice({ ...GOOD, pause: () => pass(1000) }), { monotonic: () => steady })
    const id = house.add('cucm-pub')
    const { id: operation } = await house.settled(house.start(id).operations[0]?.id ?? '')
    const clocks = house.store.operations.events(operation, 0, 100).filter(({ event }) => event.type === 'clock')
    expect(clocks).toMatchObject([{ event: { byMs } }])
    const ended = house.manager.get(operation)
    expect(progressAt(ended, house.clock).elapsedMs).toBe(steady)
    expect(house.start(id).operations[0]?.usual).toBeNull()
  })

  it('writes a phase once for a device that goes to and fro', async () => {
    const fro = Array.from({ length: 300 }, () => [
      output('Cisco Tomcat[STOPPING]'),
      output('Cisco Tomcat[STARTING]'),
    ]).flat()
    const house = new House(() => new ScriptedDevice({ commit: [{ type: 'sent' }, ...fro, { type: 'ended' }] }))
    const operation = await house.settled(house.start(house.add('cucm-pub')).operations[0]?.id ?? '')
    expect(operation.phases.map(({ phase }) => phase).filter((phase) => phase === 'stopping')).toHaveLength(1)
  })

  it('keeps two thousand lines of an operation and counts the rest', async () => {
    const lines = Array.from({ length: 3000 }, (_, index) => output(`line ${index}`))
    const house = new House(
      () => new ScriptedDevice({ commit: [{ type: 'sent' }, ...lines, ...(GOOD.commit?.slice(1) ?? [])] }),
    )
    const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
    await house.settled(id)
    const gaps = house.store.operations
      .events(id, 0, 5000)
      .flatMap(({ event }) => (event.type === 'gap' ? [event.lines] : []))
    expect(gaps.reduce((sum, count) => sum + count, 0)).toBe(1002)
    expect(house.manager.get(id).status).toBe('completed')
  })

  it('has written an event before anybody sees it', async () => {
    const house = new House(() => new ScriptedDevice(GOOD))
    const id = house.add('cucm-pub')
    house.manager.onEvent((recorded, operation) => {
      expect(house.store.operations.events(operation.id, recorded.seq - 1, 1)).toEqual([recorded])
    })
    await house.settled(house.start(id).operations[0]?.id ?? '')
    expect(house.log).toEqual([])
  })

  it.each([
    ['no host key', { pin: false, password: true }, 'host_key_unpinned'],
    ['no credential', { pin: true, password: false }, 'no_credential'],
  ])('refuses a connection with %s before anything is written', (_, { pin, password }, code) => {
    const house = new House(() => new ScriptedDevice())
    const { id } = house.store.connections.add({ name: 'x', host: 'x', username: 'x' }, 0)
    if (pin) house.store.connections.pin(id, FACTS.hostKey)
    if (password) house.store.connections.setSealedPassword(id, Buffer.from('x'))
    expect(() => house.start(id)).toThrow(expect.objectContaining({ code }))
    expect(house.manager.board()).toEqual([])
  })
})
