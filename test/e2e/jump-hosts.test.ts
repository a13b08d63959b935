import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig } from '../helpers/rig.ts'
import { createValidator } from '../helpers/schemas.ts'
import { playServer } from '../helpers/ssh-server.ts'
import { SSHD, startSshd, type TestSshd } from '../helpers/sshd.ts'

/* The built programs, a real OpenSSH server as the jump host, and a simulated appliance behind it. */

async function addHop(
  rig: Rig,
  name: string,
  hop: Pick<TestSshd, 'host' | 'port' | 'username' | 'keyPath' | 'hostKey'>,
) {
  const where = ['--host', hop.host, '--port', String(hop.port), '--username', hop.username, '--key', hop.keyPath]
  await rig.prepare(['connections', 'add', name, '--platform', 'linux', ...where])
  await rig.prepare(['connections', 'trust', name, '--fingerprint', hop.hostKey.fingerprint])
}

describe.skipIf(SSHD === null)('connections through a jump host', { timeout: 60_000 }, () => {
  it('are tested, shown, exported and imported with it', async () => {
    const rig = new Rig()
    const bastion = await startSshd()
    onTestFinished(() => bastion.stop())
    await addHop(rig, 'bastion', bastion)
    const cucm = await rig.appliance('cucm', scenarios.get('publisher') as Scenario, {}, ['--via', 'bastion'])

    const tested = await rig.run(['test', 'cucm', '-o', 'json'])
    expect(JSON.parse(tested.stdout)).toMatchObject({ status: 'completed', exit_code: 0, via: ['bastion'] })
    expect(cucm.ledger.authAttempts()).toHaveLength(1)
    const log = (await rig.run(['logs', 'last'])).stdout
    expect(log).toMatch(/logging in at bastion as \w+ \(publickey\)\n.*bastion let us in\n.*logging in as \w+ \(/)
    expect(log).toContain('logged in via bastion after ')
    const audit = (await rig.run(['export', 'last'])).stdout
    expect(createValidator()('vosctl/audit/v1', JSON.parse(audit))).toBeNull()
    const { operations } = JSON.parse(audit) as { operations: { logins: object[] }[] }
    const time = expect.any(String) as string
    expect(operations[0]?.logins).toMatchObject([
      { user: bastion.username, hop: 'bastion', accepted_at: time, accepted: null },
      { user: cucm.username, hop: null, accepted_at: time, accepted: { host_key: cucm.hostKey } },
    ])
    expect((await rig.run(['connections', 'show', 'cucm'])).stdout).toMatch(/^via +bastion$/m)
    expect((await rig.run(['connections', 'list'])).stdout).toMatch(/ VIA\n.*bastion .* -\n.*cucm .* bastion\n/)
    expect((await rig.run(['doctor'])).stdout).toMatch(/ok +jump-host +1 reached through bastion/)

    const file = path.join(rig.directory, 'house.yaml')
    writeFileSync(file, (await rig.run(['connections', 'export'])).stdout)
    const other = new Rig()
    await other.prepare(['connections', 'import', file, '--yes'])
    expect((await other.run(['connections', 'export'])).stdout).toBe((await rig.run(['connections', 'export'])).stdout)
    const config = path.join(rig.directory, 'ssh_config')
    writeFileSync(config, 'Host a\n  ProxyJump bastion\nHost b\n  ProxyJump nowhere\n')
    const plan = await other.run([
      'connections',
      'import',
      config,
      '--format',
      'ssh_config',
      '--skip-rejected',
      '--yes',
    ])
    expect(plan.stderr).toContain('line 3, b: via names nowhere, and there is no such connection')
    expect(plan.status).toBe(0)
    const shown = JSON.parse((await other.run(['connections', 'show', 'a', '-o', 'json'])).stdout) as object
    expect(shown).toMatchObject({ name: 'a', via: 'bastion' })

    await rig.prepare(['hold', 'bastion'])
    expect((await rig.run(['restart', 'cucm'])).status).toBe(5)
    expect((await rig.run(['connections', 'remove', 'bastion', '--yes'])).stderr).toContain(
      'cucm is reached through it',
    )
    await rig.prepare(['connections', 'edit', 'cucm', '--no-via'])
    expect((await rig.run(['connections', 'show', 'cucm'])).stdout).not.toContain('bastion')
  })

  it('leave a hold on the jump host when the daemon is killed during the attempt there', async () => {
    const rig = new Rig()
    const attempted = Promise.withResolvers<void>()
    const silent = await playServer({ methods: ['publickey'], onAuthentication: () => attempted.resolve() })
    const bastion = await startSshd()
    onTestFinished(async () => {
      await silent.close()
      await bastion.stop()
    })
    await addHop(rig, 'bastion', bastion)
    const cucm = await rig.appliance('cucm', scenarios.get('publisher') as Scenario, {}, ['--via', 'bastion'])
    // From now on it is a machine that never answers an attempt.
    await rig.prepare(['connections', 'edit', 'bastion', '--port', String(silent.port)])
    await rig.prepare(['connections', 'trust', 'bastion', '--fingerprint', silent.hostKey.fingerprint])
    const before = cucm.ledger.entries.length
    const running = rig.start(['restart', 'cucm'])
    await attempted.promise
    await rig.killDaemon()
    await running.ended
    const last = JSON.parse((await rig.run(['status', 'last', '-o', 'json'])).stdout) as { status: string }
    expect(last.status).toBe('interrupted')
    const shown = JSON.parse((await rig.run(['connections', 'show', 'bastion', '-o', 'json'])).stdout) as object
    expect(shown).toMatchObject({ login_hold: { reason: 'the answer to an attempt is not known' } })
    const again = await rig.run(['restart', 'cucm'])
    expect(again.status).toBe(5)
    expect(again.stderr).toContain('cucm is reached through bastion: bastion is held')
    expect(silent.requests.filter((method) => method !== 'none')).toHaveLength(1)
    expect(cucm.ledger.entries).toHaveLength(before)
  })
})
