import { describe, expect, it } from 'vitest'
import type { Observation, ServiceState } from '../../src/core/device.ts'
import { VosError } from '../../src/core/errors.ts'
import { apply, type Operation, type OperationEvent } from '../../src/core/operation.ts'
import { endingFor } from '../../src/core/recipes/ending.ts'
import { reconcile } from '../../src/core/recipes/reconcile.ts'
import { serviceRestart } from '../../src/core/recipes/service-restart.ts'
import { sshTest } from '../../src/core/recipes/ssh-test.ts'
import type { Recipe } from '../../src/core/recipes/steps.ts'
import { exitStatusFor } from '../../src/core/verdict.ts'
import { ACCEPTED, play, TOMCAT, UNTIL_DISPATCH } from '../helpers/operations.ts'
import { LOST, output, ScriptedDevice, type Script } from '../helpers/scripted-device.ts'

const SENT: Observation = { type: 'sent' }
const ENDED: Observation = { type: 'ended' }
const tomcat = (state: string, reason = ''): ServiceState => ({ name: 'Cisco Tomcat', state, reason })

async function run(recipe: Recipe, script: Script, from: Operation) {
  const device = new ScriptedDevice(script)
  const events: OperationEvent[] = []
  let operation = from
  const keep = (event: OperationEvent) => {
    events.push(event)
    operation = apply(operation, {
      cursor: 0,
      operationId: operation.id,
      seq: operation.seq + 1,
      at: operation.startedAt + events.length,
      event,
    })
  }
  const steps = recipe(device, operation)
  try {
    let step = await steps.next()
    while (!step.done) {
      if (step.value.type === 'dispatching') expect(device.calls).not.toContain('commit')
      keep(step.value)
      step = await steps.next(operation)
    }
  } catch (error) {
    keep(endingFor(operation, error))
  }
  return { operation, events, calls: device.calls }
}

const restart = (script: Script, accepted: Partial<typeof ACCEPTED> = {}) =>
  run(serviceRestart, script, play([{ ...ACCEPTED, ...accepted }]))

describe('the evidence table of a restart', () => {
  it('is completed when moving lines, STARTED, the prompt and the list agree', async () => {
    const { operation, calls } = await restart({
      commit: [
        SENT,
        output('Cisco Tomcat[STOPPING]'),
        output('Cisco Tomcat[STARTING]'),
        output('Cisco Tomcat[STARTED]'),
        ENDED,
      ],
    })
    expect(operation.status).toBe('completed')
    expect(operation.message).toBe('"Cisco Tomcat" restarted, seen STOPPING then STARTED')
    expect(operation.progress).toBe(100)
    expect(calls.filter((call) => call === 'commit')).toHaveLength(1)
  })

  it('is completed, confirmed by the service list, when the prompt came back after STARTING', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STARTING]'), ENDED],
      lists: [[TOMCAT], [tomcat('STARTING')], [tomcat('STARTING')], [TOMCAT]],
    })
    expect(operation.status).toBe('completed')
    expect(operation.message).toContain('confirmed by the service list')
  })

  it('is unknown when only STARTED lines were printed: no transition was seen', async () => {
    const { operation } = await restart({ commit: [SENT, output('Cisco Tomcat[STARTED]'), ENDED] })
    expect(operation.status).toBe('unknown')
    expect(operation.message).toContain('no transition was seen')
    expect(exitStatusFor(operation)).toBe(3)
  })

  it('proves nothing about Cisco Tomcat from lines of Cisco Tomcat Stats Servlet', async () => {
    const { operation } = await restart({
      commit: [
        SENT,
        output('Cisco Tomcat Stats Servlet[STOPPING]'),
        output('Cisco Tomcat Stats Servlet[STARTING]'),
        output('Cisco Tomcat Stats Servlet[STARTED]'),
        ENDED,
      ],
    })
    expect(operation.status).toBe('failed')
    expect(operation.error?.code).toBe('refused_by_device')
    expect(operation.transition).toBe(false)
  })

  it('is failed with the words of the device when the prompt came back without any state line', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Service Manager is running'), output('Executed command unsuccessfully.'), ENDED],
    })
    expect(operation.status).toBe('failed')
    expect(operation.message).toContain('Executed command unsuccessfully.')
    expect(exitStatusFor(operation)).toBe(1)
  })

  it('says loudly that the service is down when it ends STOPPED and the list agrees', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STOPPED]'), ENDED],
      lists: [[TOMCAT], [tomcat('STOPPED', 'Component is not running')]],
    })
    expect(operation.error?.code).toBe('service_down')
    expect(operation.message).toContain('the service is DOWN')
    expect(operation.message).toContain('Component is not running')
    expect(operation.error?.hint).toContain('--start-stopped')
  })

  it('does not take one STOPPED reading between stopping and starting for the end', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STOPPING]'), ENDED],
      lists: [[TOMCAT], [tomcat('STOPPED')], [tomcat('STARTING')], [TOMCAT]],
    })
    expect(operation.status).toBe('completed')
  })

  it('looks at the device with one login after the link was lost, and completes when it had seen the service move', async () => {
    const { operation, calls } = await restart({
      commit: [SENT, output('Cisco Tomcat[STOPPING]'), LOST],
      lists: [[TOMCAT], [tomcat('STARTING')], [TOMCAT]],
    })
    expect(operation.status).toBe('completed')
    expect(operation.reconciliations).toBe(1)
    expect(calls.filter((call) => call === 'login')).toHaveLength(2)
    expect(calls.filter((call) => call === 'commit')).toHaveLength(1)
  })

  it('is unknown after a lost link when the service reads STARTED and was never seen moving', async () => {
    const { operation } = await restart({ commit: [SENT, LOST] })
    expect(operation.status).toBe('unknown')
    expect(operation.message).toContain('the service is STARTED now')
  })

  it('does not credit movement to a command of which nobody knows that it was sent', async () => {
    const { operation } = await run(
      (device, now) => reconcile(device, now, 'the daemon ended'),
      { lists: [[tomcat('STARTING')], [TOMCAT]] },
      play(UNTIL_DISPATCH),
    )
    expect(operation.status).toBe('unknown')
  })

  it('looks at the device when the link is lost while the list is polled', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STARTING]'), ENDED],
      lists: [[TOMCAT], [tomcat('STARTING')], new VosError('connection_lost', 'the connection was lost'), [TOMCAT]],
    })
    expect(operation).toMatchObject({ status: 'completed', reconciliations: 1 })
  })

  it('does not call a service DOWN that passed through STOPPED before the link was lost', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STOPPED]'), LOST],
      lists: [[TOMCAT], [tomcat('STOPPED')], [tomcat('STARTING')], [TOMCAT]],
    })
    expect(operation.status).toBe('completed')
  })

  it('is unknown, not refused, when nobody saw the end of the command', async () => {
    expect((await restart({ commit: [SENT] })).operation.status).toBe('unknown')
  })

  it('is not refused when the list says that something happened after all', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Executed command unsuccessfully'), ENDED],
      lists: [[TOMCAT], [tomcat('STOPPED')]],
    })
    expect(operation.error?.code).toBe('service_down')
  })

  it('is failed after a lost link when the service stays STOPPED', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STOPPING]'), LOST],
      lists: [[TOMCAT], [tomcat('STOPPED')]],
    })
    expect(operation.error?.code).toBe('service_down')
  })

  it('follows a service that moves for longer than one series of polls after a lost link', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STOPPING]'), LOST],
      lists: [[TOMCAT], ...Array.from({ length: 50 }, () => [tomcat('STARTING')]), [TOMCAT]],
      polls: 20,
    })
    expect(operation.status).toBe('completed')
  })

  it('did not say of a restart that was sent "Nothing was sent", when the look after it could not log in', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STOPPING]'), LOST],
      connect: ['ok', new VosError('no_common_algorithm', 'there is no cipher in common. Nothing was sent.')],
    })
    expect(operation.message).toBe(
      'outcome unknown: there is no cipher in common; last seen STOPPING 0m00s after sending',
    )
  })

  it('looks at most three times when the link is lost again and again', async () => {
    const { operation, calls } = await restart({
      commit: [SENT, LOST],
      lists: [[TOMCAT], new VosError('connection_lost', 'the connection was lost')],
    })
    expect(operation.status).toBe('unknown')
    expect(calls.filter((call) => call === 'connect patiently')).toHaveLength(3)
  })

  it('refuses to log in where the host key has changed meanwhile, and is unknown', async () => {
    const { operation, calls } = await restart({
      connect: [
        'ok',
        new VosError('host_key_changed', 'the host key has changed', {
          hint: 'Compare it. Then: vosctl connections trust cucm-pub',
        }),
      ],
      commit: [SENT, output('Cisco Tomcat[STOPPING]'), LOST],
    })
    expect(operation.status).toBe('unknown')
    expect(operation.message).toContain('the host key has changed')
    expect(operation.error?.hint).toBe(
      'Compare it. Then: vosctl connections trust cucm-pub. Then look: vosctl verify r-7k2m9q',
    )
    expect(calls.filter((call) => call === 'login')).toHaveLength(1)
    expect(exitStatusFor(operation)).toBe(3)
  })

  it.each(['deadline', 'silence'] as const)(
    'is unknown, never completed, when the limit "%s" ends it',
    async (code) => {
      const { operation } = await restart({
        commit: [SENT, output('Cisco Tomcat[STARTING]'), new VosError(code, 'the limit has passed')],
      })
      expect(operation.status).toBe('unknown')
      expect(operation.message).toContain('last seen STARTING')
    },
  )

  it('answers no question, and is unknown with the text', async () => {
    const { operation } = await restart({
      commit: [SENT, { type: 'question', text: 'Continue (y/n)?' }, new VosError('deadline', 'the limit has passed')],
    })
    expect(operation.status).toBe('unknown')
    expect(operation.message).toContain('Continue (y/n)?')
  })

  it('is unknown when the confirmation never comes: still STARTING is not completed', async () => {
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STARTING]'), ENDED],
      lists: [[TOMCAT], [tomcat('STARTING')]],
    })
    expect(operation.status).toBe('unknown')
    expect(operation.message).toContain('still STARTING')
  })

  it('names the services that are no longer STARTED afterwards', async () => {
    const sync = { name: 'Cisco Sync Agent', state: 'STARTED', reason: '' }
    const { operation } = await restart({
      commit: [SENT, output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STARTED]'), ENDED],
      lists: [
        [TOMCAT, sync],
        [TOMCAT, { ...sync, state: 'STOPPED' }],
      ],
    })
    expect(operation.status).toBe('completed')
    expect(operation.message).toContain('no longer STARTED: Cisco Sync Agent (STOPPED)')
  })

  it('completes on a changed identity although nobody saw it move', async () => {
    const nginx = (identity: string): ServiceState => ({
      name: 'nginx.service',
      state: 'STARTED',
      reason: '',
      identity,
    })
    const { operation } = await restart(
      {
        lists: [[nginx('a1')], [nginx('b2')]],
        commit: [SENT, { type: 'ended', exitStatus: 0 }],
      },
      { service: 'nginx' as never },
    )
    expect(operation.status).toBe('completed')
    expect(operation.evidence.map(({ value }) => value)).toContain('a1 to b2')
  })

  it('does not credit another run of it to a command of which nobody knows that it was sent', async () => {
    const nginx = (identity: string): ServiceState => ({
      name: 'nginx.service',
      state: 'STARTED',
      reason: '',
      identity,
    })
    const events = UNTIL_DISPATCH.map((event) =>
      event.type === 'resolved' ? { ...event, service: nginx('a1') } : event,
    )
    const { operation } = await run(
      (device, now) => reconcile(device, now, 'the daemon ended'),
      { lists: [[nginx('b2')]] },
      play(events),
    )
    expect(operation.status).toBe('unknown')
  })

  it('does not complete on the same identity, whatever the exit status says', async () => {
    const nginx: ServiceState = { name: 'nginx.service', state: 'STARTED', reason: '', identity: 'a1' }
    const { operation } = await restart(
      { lists: [[nginx]], commit: [SENT, { type: 'ended', exitStatus: 0 }] },
      { service: 'nginx' as never },
    )
    expect(operation.status).toBe('unknown')
  })
})

describe('what is refused before anything is sent', () => {
  it.each([
    [{ ...TOMCAT, state: 'STOPPING' }, 'service_moving', 4],
    [{ ...TOMCAT, state: 'STARTING' }, 'service_moving', 4],
    [{ ...TOMCAT, state: 'STOPPED', refusal: 'not_activated' }, 'service_not_activated', 5],
    [{ ...TOMCAT, state: 'STOPPED', refusal: 'stopped_by_admin' }, 'service_stopped_by_admin', 5],
    [{ ...TOMCAT, refusal: 'masked' }, 'service_masked', 5],
    [{ ...TOMCAT, refusal: 'cuts_session' }, 'service_cuts_session', 5],
    [{ ...TOMCAT, name: 'Cisco Tomcut' }, 'unknown_service', 2],
  ] as const)('refuses %o', async (service, code, exit) => {
    const { operation, calls } = await restart({ lists: [[service]] })
    expect(operation.error?.code).toBe(code)
    expect(operation.effect).toBe('none')
    expect(exitStatusFor(operation)).toBe(exit)
    expect(calls).not.toContain('commit')
    expect(calls.filter((call) => call.startsWith('prepare'))).toEqual([])
  })

  it('restarts a stopped service when the person said so', async () => {
    const { operation } = await run(
      serviceRestart,
      {
        lists: [[{ ...tomcat('STOPPED'), refusal: 'stopped_by_admin' }], [TOMCAT]],
        commit: [SENT, output('Cisco Tomcat[STARTING]'), output('Cisco Tomcat[STARTED]'), ENDED],
      },
      play([{ ...ACCEPTED, allow: { startStopped: true, cutSession: false } }]),
    )
    expect(operation.status).toBe('completed')
  })

  it('fails with nothing sent when the echo differs', async () => {
    const { operation, calls } = await restart({ prepare: new VosError('echo_mismatch', 'the echo differs') })
    expect(operation.status).toBe('failed')
    expect(operation.effect).toBe('none')
    expect(exitStatusFor(operation)).toBe(6)
    expect(calls).not.toContain('commit')
  })

  it.each(['woke_up_late', 'echo_mismatch', 'connection_lost'] as const)(
    'is interrupted, with nothing sent, by %s after the intent was written',
    async (code) => {
      const { operation } = await restart({ commit: [new VosError(code, 'x')] })
      expect(operation.status).toBe('interrupted')
      expect(operation.effect).toBe('none')
      expect(exitStatusFor(operation)).toBe(6)
    },
  )
})

describe('a test of a connection', () => {
  it('logs in, reads the list and touches nothing', async () => {
    const { operation, calls } = await run(sshTest, {}, play([{ ...ACCEPTED, operationType: 'ssh_test' }]))
    expect(operation.message).toBe('login ok 1.9s, host key pinned, 1 services, "Cisco Tomcat" STARTED')
    expect(calls).toEqual(['connect', 'login', 'open', 'services'])
  })
})
