import { describe, expect, it, onTestFinished } from 'vitest'
import { Rig } from '../helpers/rig.ts'
import { SSHD, startSshd, layCable, type TestSshd } from '../helpers/sshd.ts'
import { until } from '../helpers/wait.ts'

/*
 * A real OpenSSH server, the built daemon and the built client. Stood in: systemctl and sudo, because there is no systemd
 * on the machines that run these tests; the stand-ins keep units in files and write down every call.
 */
const FAST = ['--timing', 'poll=100ms', '--timing', 'pollLimit=5s', '--timing', 'reconnect=5s']

async function house(flags: readonly string[] = []): Promise<{ rig: Rig; sshd: TestSshd }> {
  const rig = new Rig()
  const sshd = await startSshd()
  onTestFinished(() => sshd.stop())
  await add(rig, sshd, 'web-01', sshd.port, flags)
  return { rig, sshd }
}

async function add(rig: Rig, sshd: TestSshd, name: string, port: number, flags: readonly string[] = []): Promise<void> {
  const where = ['--platform', 'linux', '--host', sshd.host, '--port', String(port), '--username', sshd.username]
  await rig.prepare([
    'connections',
    'add',
    name,
    ...where,
    '--key',
    sshd.keyPath,
    '--service',
    'nginx',
    ...FAST,
    ...flags,
  ])
  await rig.prepare(['connections', 'trust', name, '--fingerprint', sshd.hostKey.fingerprint])
}

/** `sudo -l` only asks whether it would be allowed. */
const restarts = (sshd: TestSshd) => sshd.calls().filter((words) => words.includes('restart') && !words.includes('-l'))

describe.skipIf(SSHD === null)('a Linux host behind OpenSSH', { timeout: 60_000 }, () => {
  it('is restarted once, and proved by its new invocation', async () => {
    const { rig, sshd } = await house()
    sshd.setUnit('nginx.service', { stopSeconds: 0.2, startSeconds: 0.3 })
    const { status, stdout } = await rig.run(['restart', 'web-01'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^r-\w{6} {2}web-01 {2}ok/)
    expect(restarts(sshd)).toEqual([['systemctl', 'restart', 'nginx.service']])
    const evidence = (await rig.run(['status', 'last', '-o', 'json'])).stdout
    expect(evidence).toContain('identity changed')
  })

  it('is restarted through sudo when the connection says so', async () => {
    const { rig, sshd } = await house(['--sudo'])
    sshd.setUnit('nginx.service', {})
    expect((await rig.run(['restart', 'web-01'])).status).toBe(0)
    expect(restarts(sshd)).toContainEqual(['sudo', '-n', 'systemctl', 'restart', 'nginx.service'])
  })

  it.each([
    ['a unit that is not there', {}, ['-s', 'no-such-unit'], 2, 'no service "no-such-unit"'],
    [
      'a masked unit',
      { LoadState: 'masked', ActiveState: 'inactive', SubState: 'dead', UnitFileState: 'masked' },
      [],
      5,
      'is masked',
    ],
    ['a unit that an admin stopped', { ActiveState: 'inactive', SubState: 'dead' }, [], 5, 'was stopped on purpose'],
    ['a name that is not a unit', {}, ['-s', 'nginx; reboot'], 2, 'nginx; reboot'],
  ] as const)('refuses %s before anything is sent', async (_, unit, flags, exit, words) => {
    const { rig, sshd } = await house()
    sshd.setUnit('nginx.service', unit)
    const { status, stderr } = await rig.run(['restart', 'web-01', ...flags])
    expect(stderr).toContain(words)
    expect(status).toBe(exit)
    expect(restarts(sshd)).toEqual([])
  })

  it('says that sudo wants a password, and sends nothing', async () => {
    const { rig, sshd } = await house(['--sudo'])
    sshd.setUnit('nginx.service', {})
    sshd.setMode('refuses', true)
    const { status, stderr } = await rig.run(['restart', 'web-01'])
    expect(status).toBe(6)
    expect(stderr).toContain('sudo')
    expect(restarts(sshd)).toEqual([])
  })

  it('fails loudly when the unit does not come up', async () => {
    const { rig, sshd } = await house()
    sshd.setUnit('nginx.service', { fails: true })
    const { status, stderr } = await rig.run(['restart', 'web-01'])
    expect(status).toBe(1)
    expect(stderr).toContain('DOWN')
    expect(restarts(sshd)).toHaveLength(1)
  })

  it('is proved by its new invocation although the link was lost meanwhile, and not restarted again', async () => {
    const { rig, sshd } = await house()
    const cable = await layCable(sshd.port)
    onTestFinished(() => cable.close())
    await add(rig, sshd, 'web-02', cable.port)
    sshd.setUnit('nginx.service', { stopSeconds: 1, startSeconds: 1 })
    const running = rig.start(['restart', 'web-02'])
    await until('it was sent', () => restarts(sshd).length === 1)
    cable.cut()
    expect((await running.ended).status).toBe(0)
    expect(restarts(sshd)).toHaveLength(1)
  })
})
