import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { apply, type Operation, type OperationEvent } from '../../src/core/operation.ts'
import { endingFor } from '../../src/core/recipes/ending.ts'
import { serviceRestart } from '../../src/core/recipes/service-restart.ts'
import { LinuxDevice } from '../../src/daemon/devices/linux.ts'
import { watchLeaks } from '../helpers/leaks.ts'
import { ACCEPTED, play } from '../helpers/operations.ts'
import { QUICK } from '../helpers/ssh-server.ts'
import { layCable, SSHD, startSshd, type Cable, type TestSshd } from '../helpers/sshd.ts'

/** The recipe of core over a real sshd; systemctl is a stand-in, see test/helpers/sshd.ts. */
describe.skipIf(SSHD === null)('the restart of a service on a Linux server', () => {
  let sshd: TestSshd
  let cable: Cable
  let device: LinuxDevice
  let noLeaks = async (): Promise<void> => {}

  beforeAll(async () => {
    sshd = await startSshd()
    cable = await layCable(sshd.port)
  })
  afterAll(async () => {
    await cable.close()
    await sshd.stop()
  })
  beforeEach(() => {
    noLeaks = watchLeaks()
    sshd.setUnit('nginx.service', { stopSeconds: 0.1, startSeconds: 0.1 })
    sshd.setUnit('failing.service', { fails: true })
    sshd.setUnit('masked.service', { LoadState: 'masked', ActiveState: 'inactive', SubState: 'dead' })
    sshd.setUnit('stopped.service', { ActiveState: 'inactive', SubState: 'dead' })
    device = new LinuxDevice({
      connection: {
        id: 1,
        name: 'web1',
        host: '127.0.0.1',
        port: cable.port,
        username: sshd.username,
        platform: 'linux',
        service: null,
        credential: { type: 'key', path: sshd.keyPath },
        hostKey: sshd.hostKey,
        acceptNew: false,
        algorithms: 'modern',
        algorithmsReason: null,
        algorithmsUntil: null,
        echo: true,
        enter: 'cr',
        sudo: false,
        via: null,
        hops: [],
        timings: {},
      },
      timings: { ...QUICK, pollMs: 150, pollLimitMs: 2_000, reconnectMs: 3_000 },
      readSecret: () => ({ type: 'key', privateKey: readFileSync(sshd.keyPath) }),
      signal: new AbortController().signal,
    })
  })
  afterEach(async () => {
    await device.close()
    await noLeaks()
  })

  async function restart(service: string, onEvent: (event: OperationEvent) => void = () => {}): Promise<Operation> {
    let operation = play([{ ...ACCEPTED, connection: { id: 1, name: 'web1' }, service }])
    const keep = (event: OperationEvent): void => {
      onEvent(event)
      const recorded = { cursor: 0, operationId: operation.id, seq: operation.seq + 1, at: Date.now(), event }
      operation = apply(operation, recorded)
    }
    try {
      const steps = serviceRestart(device, operation)
      for (let step = await steps.next(); !step.done; step = await steps.next(operation)) keep(step.value)
    } catch (error) {
      keep(endingFor(operation, error))
    }
    return operation
  }

  const restarts = (service: string) =>
    sshd.calls().filter((call) => call[1] === 'restart' && call[2] === service).length

  it('is completed, proved by a new identity', async () => {
    const before = restarts('nginx.service')
    const operation = await restart('nginx')
    expect(operation).toMatchObject({ status: 'completed', service: 'nginx.service', effect: 'confirmed' })
    expect(operation.evidence.map(({ what }) => what)).toContain('identity changed')
    expect(restarts('nginx.service') - before).toBe(1)
  })

  it('that fails to start is failed, and says that the service is down', async () => {
    const operation = await restart('failing')
    expect(operation).toMatchObject({ status: 'failed', error: { code: 'service_down' } })
    expect(operation.message).toContain('the service is DOWN')
  })

  it.each([
    ['masked', 'service_masked'],
    ['stopped', 'service_stopped_by_admin'],
    ['no-such-service', 'unknown_service'],
    ['$(reboot)', 'unknown_service'],
  ])('of %s is refused before anything is sent', async (service, code) => {
    const before = sshd.calls().filter((call) => call[1] === 'restart').length
    const operation = await restart(service)
    expect(operation).toMatchObject({ status: 'failed', effect: 'none', error: { code } })
    expect(sshd.calls().filter((call) => call[1] === 'restart')).toHaveLength(before)
  })

  it('whose connection is cut is completed after a second look, and was sent once', async () => {
    const before = restarts('nginx.service')
    let cuts = 0
    const operation = await restart('nginx', (event) => {
      if (event.type !== 'stopping') return
      cuts++
      cable.cut()
    })
    expect(cuts).toBe(1)
    expect(operation).toMatchObject({ status: 'completed', reconciliations: 1 })
    expect(restarts('nginx.service') - before).toBe(1)
  })
})
