import { randomUUID } from 'node:crypto'
import type { PasswordAuthContext } from 'ssh2'
import { describe, expect, it, onTestFinished } from 'vitest'
import { scenarios, vary, type Scenario } from '../../src/simulator/index.ts'
import { RawClient, throughUnix } from '../faults/fuzz/raw-client.ts'
import { startAppliance } from '../helpers/quick-house.ts'
import { Rig, timings } from '../helpers/rig.ts'
import { playServer } from '../helpers/ssh-server.ts'

/** What cron gives a job. */
const CRON = { PATH: '/usr/bin:/bin', LANG: undefined }
/** The daemon lets a client ask so often in a second. */
const AT_ONCE = 20

/** As {@link AT_ONCE} jobs that start at the same moment, without the time that Node takes to start. */
async function ask(rig: Rig, connectionId: number): Promise<string[]> {
  await using client = await RawClient.enter(throughUnix(rig.socket))
  for (let index = 0; index < AT_ONCE; index++) {
    const operationType = index % 4 === 0 ? 'ssh_test' : 'service_restart'
    const request = { requestId: randomUUID(), operationType, connectionIds: [connectionId], createdBy: 'cron' }
    client.say(`42${index}${JSON.stringify(['operation:start', request])}`)
  }
  for (let index = 0; index < AT_ONCE; index++) await client.hears(`43${index}[`)
  return [...client.heard.matchAll(/43\d+\[\{"ok":(?:true|false,"error":\{"code":"(\w+)")/g)].map(
    ([, code]) => code ?? 'ok',
  )
}

describe('one login attempt', { timeout: 60_000 }, () => {
  it('is all that a thousand cron runs with a wrong password make, over every kind of end of the daemon', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenarios.get('keyboard-interactive-only') as Scenario)
    await rig.prepare(['credentials', 'set', 'cucm-pub', '--stdin'], { input: 'a wrong password 4711\n' })
    const first = await rig.run(['restart', 'cucm-pub', '-q'], { env: CRON })
    expect(first.status).toBe(6)
    expect(first.stderr).toContain('refused the login')
    let runs = 1
    for (let round = 0; round < 5; round++) {
      // Killed, killed, stopped, killed, killed: the next job starts a daemon, which knows what the last one knew.
      if (round === 2) await rig.prepare(['daemon', 'stop', '--yes'])
      else await rig.killDaemon()
      const jobs = await Promise.all(
        Array.from({ length: 4 }, () => rig.run(['restart', 'cucm-pub', '-q'], { env: CRON })),
      )
      for (const { status, stderr } of jobs) {
        expect(stderr).toContain('the login of administrator did not work')
        expect(status).toBe(5)
      }
      runs += jobs.length
      for (let client = 0; client < 10; client++) {
        const codes = await ask(rig, 1)
        expect(codes).toEqual(Array.from({ length: AT_ONCE }, () => 'login_held'))
        runs += codes.length
      }
    }
    expect(runs).toBeGreaterThan(1000)
    expect(device.ledger.authAttempts()).toHaveLength(1)
    expect(device.ledger.of('open').length).toBeLessThanOrEqual(2)
  })

  it('is counted before it is made: a daemon that is killed in the middle of it leaves a hold', async () => {
    const rig = new Rig()
    const arrived = Promise.withResolvers<string>()
    const server = await playServer({
      onAuthentication: (context) => arrived.resolve((context as PasswordAuthContext).password),
    })
    onTestFinished(() => server.close())
    const address = ['--host', '127.0.0.1', '--port', String(server.port), '--username', 'admin']
    await rig.prepare(['connections', 'add', 'cucm-pub', ...address, ...timings(0.002)])
    await rig.prepare(['connections', 'trust', 'cucm-pub', '--fingerprint', server.hostKey.fingerprint])
    await rig.prepare(['credentials', 'set', 'cucm-pub', '--stdin'], { input: 'a wrong password 4711\n' })
    const job = rig.start(['restart', 'cucm-pub', '-q'], { env: CRON })
    expect(await arrived.promise).toBe('a wrong password 4711')
    await rig.killDaemon()
    // The client finds its operation again with the next daemon: interrupted, nothing was sent.
    expect((await job.ended).status).toBe(6)
    for (let run = 0; run < 3; run++) {
      const { status, stderr } = await rig.run(['restart', 'cucm-pub', '-q'], { env: CRON })
      expect(status).toBe(5)
      expect(stderr).toContain('the answer to an attempt is not known')
      await rig.killDaemon()
    }
    expect(server.requests).toEqual(['none', 'password'])
  })

  it.each([
    ['inside SSH, by the password method', 'expired-over-ssh', { offers: ['password'], accepts: ['password'] }],
    [
      'inside SSH, by questions',
      'expired-over-ssh',
      { offers: ['keyboard-interactive'], accepts: ['keyboard-interactive'] },
    ],
    ['in the shell', 'expired-in-shell', {}],
  ] as const)('of an expired password that is asked for %s answers nothing, and is the last', async (_, name, auth) => {
    const rig = new Rig()
    const base = scenarios.get(name) as Scenario
    await rig.prepare(['daemon', 'start'])
    const device = await startAppliance(rig, 'cucm-pub', vary(base, base, { access: { auth } }))
    const first = await rig.run(['restart', 'cucm-pub'], { env: CRON })
    expect(first.stderr).toContain('wants a new password')
    expect(first.stderr).toContain('vosctl credentials set cucm-pub')
    expect(first.status).toBe(6)
    const { status, stderr } = await rig.run(['restart', 'cucm-pub'], { env: CRON })
    expect(stderr).toContain('wants a new password')
    expect(status).toBe(5)
    expect(device.ledger.of('answer')).toEqual([])
    expect(device.ledger.of('auth').filter(({ method }) => method === 'password-change')).toEqual([])
    expect(device.ledger.authAttempts()).toHaveLength(1)
    expect(device.ledger.commands()).toEqual([])
  })
})
