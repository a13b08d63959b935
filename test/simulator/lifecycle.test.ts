import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createHostKey, scenarios, startSimulator, type Simulator } from '../../src/simulator/index.ts'
import { brokenAt } from '../../src/simulator/scenarios/losses.ts'
import { cucmList, hcmfList } from '../../src/simulator/scenarios/lists.ts'
import { publisher } from '../../src/simulator/scenarios/restarts.ts'
import { connect, openShell, simulate } from './session.ts'

test('After stop nothing keeps the process alive, whatever was going on', async () => {
  const program = `
    import ssh2 from 'ssh2'
    import { fault, scenarios, startSimulator, vary } from './src/simulator/index.ts'
    const names = ['publisher', 'never-finishes', 'half-open-at-prompt', 'silence-at-tcp', 'silence-at-kex', 'slow-auth']
    for (const name of names) {
      const simulator = await startSimulator(scenarios.get(name), { timeScale: 0.001 })
      const client = new ssh2.Client()
      client.on('error', () => {}).on('ready', () => client.shell((error, channel) => channel?.on('data', () => {})))
      client.connect({ ...simulator, readyTimeout: 0 })
      await simulator.ledger.until((ledger) => ledger.entries.length >= 2)
      await Promise.all([simulator.stop(), simulator.stop()])
      if (simulator.connections !== 0) throw new Error('A connection is left.')
    }
    console.log('done')
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: new URL('../..', import.meta.url).pathname,
    timeout: 4_500,
  })
  expect(stdout).toBe('done\n')
})

test('Every ready-made scenario starts, says what it is, and stops', async () => {
  expect(scenarios.size).toBeGreaterThan(100)
  // One key for all: making RSA keys is slow, and is tested where they are used.
  const hostKey = createHostKey('ssh-rsa')
  await Promise.all(
    [...scenarios].map(async ([name, scenario]) => {
      const simulator = await startSimulator(scenario, { hostKey })
      expect(simulator.port).toBeGreaterThan(0)
      expect([scenario.name, scenario.story !== '', scenario.evidence !== '']).toEqual([name, true, true])
      await simulator.stop()
    }),
  )
})

test('The clock is real life unless it is told otherwise', async () => {
  const started = Date.now()
  const simulator = await startSimulator(brokenAt('tcp', 'silence'))
  await simulator.stop()
  await expect(startSimulator(publisher, { timeScale: 0 })).rejects.toThrow('time scale')
  expect(Date.now() - started).toBeLessThan(1_000)
})

describe('Power', () => {
  test('A node that is off refuses TCP, and answers on the same port with the same key when it is back', async () => {
    const simulator = await simulate(publisher)
    const session = await openShell(simulator)
    await session.until('admin:')
    const { port, hostKey } = simulator
    await simulator.powerOff()
    await session.lost
    expect((await connect(simulator)).errors[0]?.message).toContain('ECONNREFUSED')
    await simulator.powerOn()
    await (await openShell(simulator)).until('admin:')
    expect({ port: simulator.port, hostKey: simulator.hostKey }).toEqual({ port, hostKey })
  })

  test('A reboot ends a restart that was going on, and can bring another host key', async () => {
    const simulator = await simulate(publisher)
    const session = await openShell(simulator)
    await session.until('admin:')
    session.send('utils service restart Cisco Tomcat\n')
    await session.until((text) => text.includes('[STARTING]'))
    const { fingerprint } = simulator.hostKey
    await simulator.reboot({ downMs: 10_000, hostKey: 'new' })
    expect(simulator.hostKey.fingerprint).not.toBe(fingerprint)
    expect(tomcat(simulator)).toBe('STARTED')
    expect(simulator.ledger.of('power').map(({ on }) => on)).toEqual([false, true])
  })

  test('A simulator that is stopped while it is off stays stopped', async () => {
    const simulator = await simulate(publisher)
    void simulator.reboot({ downMs: 5_000 })
    await simulator.ledger.until((ledger) => ledger.of('power').length > 0)
    await simulator.stop()
    expect((await connect(simulator)).errors[0]?.message).toContain('ECONNREFUSED')
  })
})

describe('Live control', () => {
  test('An outage holds everything back in both directions, and then lets it go', async () => {
    const simulator = await simulate(publisher)
    const session = await openShell(simulator)
    await session.until('admin:')
    simulator.pauseOutput()
    session.send('show cli pagination\n')
    // Another connection is not part of the outage; its full login is the proof that time went by.
    await (await openShell(simulator)).until('admin:')
    expect(simulator.ledger.commands()).toEqual([])
    expect(session.text).toMatch(/admin:$/)
    simulator.resumeOutput()
    await session.until('Pagination : On.\r\nadmin:')
    expect(simulator.ledger.commands()).toEqual(['show cli pagination'])
  })

  test('Connections can be dropped by RST or by FIN', async () => {
    const simulator = await simulate(publisher)
    const errors: unknown[] = []
    for (const how of ['reset', 'close'] as const) {
      const session = await openShell(simulator)
      await session.until('admin:')
      simulator.dropConnections(how)
      await session.lost
      errors.push(session.errors.map(({ message }) => message))
    }
    expect(errors).toEqual([['read ECONNRESET'], []])
    await simulator.ledger.until((ledger) => ledger.of('close').length === 2)
    expect(simulator.ledger.of('close').map(({ by }) => by)).toEqual(['appliance', 'appliance'])
  })

  test('Somebody else can stop a service', async () => {
    const simulator = await simulate(cucmList)
    simulator.setService('Cisco Tomcat', 'STOPPED', 'Commanded Out of Service')
    const session = await openShell(simulator)
    expect(await session.run('utils service list')).toContain('Cisco Tomcat[STOPPED]  Commanded Out of Service\n')
    expect(tomcat(simulator)).toBe('STOPPED')
  })

  test('A state is put into the list in the layout of its line', async () => {
    const simulator = await simulate(hcmfList)
    simulator.setService('Cisco HCS Admin UI', 'STARTED')
    simulator.setService('System SSH', 'STARTING')
    simulator.setService('System SSH', 'STARTED')
    simulator.setService('Service Manager', 'STOPPED', 'Component is not running')
    const list = await (await openShell(simulator)).run('utils service list', 'admin: ')
    expect(list).toContain('\nCisco HCS Admin UI[STARTED]\n')
    expect(list).toContain('\nService Manager [STOPPED] Component is not running\n')
  })

  test('Another scenario is in force from the next connection on, and services keep their states', async () => {
    const simulator = await simulate(publisher)
    simulator.setService('Cisco Tomcat', 'STOPPED')
    simulator.setScenario(brokenAt('auth', 'reset'))
    expect((await connect(simulator)).errors[0]?.message).toContain('ECONNRESET')
    simulator.setScenario(publisher)
    const session = await openShell(simulator)
    expect(await session.run('utils service list')).toContain('Cisco Tomcat[STOPPED]\n')
  })
})

function tomcat(simulator: Simulator): string | undefined {
  return simulator.services.find(({ name }) => name === 'Cisco Tomcat')?.state
}
