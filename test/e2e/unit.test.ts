import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { startSystemctl } from '../helpers/systemctl.ts'
import { Rig } from '../helpers/rig.ts'
import { createValidator } from '../helpers/schemas.ts'
import { until } from '../helpers/wait.ts'

/** A restart on it stays under way until the test ends. */
const neverFinishes = scenarios.get('never-finishes') as Scenario

function house() {
  const rig = new Rig()
  const systemd = startSystemctl()
  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    rig.run(args, { env: { ...systemd.env, ...env } })
  return { rig, systemd, run }
}

/** Was this daemon started by a unit, and so without `--auto`? */
function commandLine(rig: Rig): string[] {
  return fs.readFileSync(`/proc/${rig.daemonPid}/cmdline`, 'utf8').split('\0')
}

describe('daemon install', { timeout: 60_000 }, () => {
  it('shows the unit, writes it, lets systemd start it, and says what lingering means', async () => {
    const { rig, systemd, run } = house()
    const { status, stdout, stderr } = await run(['daemon', 'install', '--yes'])
    expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringContaining('ExecStart=') as string })
    expect(stdout).toContain(`installed ${systemd.unitFile}; the daemon runs (pid ${rig.daemonPid})`)
    expect(stderr).toContain('loginctl enable-linger')
    expect(systemd.isEnabled()).toBe(true)
    expect(commandLine(rig)).toContain(rig.state)
    expect(commandLine(rig)).not.toContain('--auto')
    expect(rig.log()).toContain('listens on')
  })

  it('done twice changes nothing, and the daemon stays the same', async () => {
    const { rig, systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    const [pid, text] = [rig.daemonPid, fs.readFileSync(systemd.unitFile, 'utf8')]
    systemd.set('lingering', true)
    const { status, stdout, stderr } = await run(['daemon', 'install'])
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: `the unit is installed already, and the daemon runs (pid ${pid})\n`,
    })
    expect(stderr).toContain('lingering is on')
    expect(rig.daemonPid).toBe(pid)
    expect(fs.readFileSync(systemd.unitFile, 'utf8')).toBe(text)
  })

  it('asks first: off a terminal it needs --yes, and writes nothing without', async () => {
    const { systemd, run } = house()
    const { status, stderr } = await run(['daemon', 'install'])
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringContaining('--yes') as string })
    expect(fs.existsSync(systemd.unitFile)).toBe(false)
    expect(systemd.calls().join('\n')).not.toMatch(/enable|start/)
  })

  it('shows how a unit that somebody has edited would change, and asks', async () => {
    const { systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    const edited = fs.readFileSync(systemd.unitFile, 'utf8').replace('UMask=0077', 'UMask=0077\nNice=5')
    fs.writeFileSync(systemd.unitFile, edited)
    expect((await run(['daemon', 'install'])).status).toBe(2)
    expect(fs.readFileSync(systemd.unitFile, 'utf8')).toBe(edited)
    const { status, stderr } = await run(['daemon', 'install', '--yes'])
    expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringMatching(/^- Nice=5$/m) as string })
    expect(fs.readFileSync(systemd.unitFile, 'utf8')).not.toContain('Nice')
  })

  it('puts an idle daemon that a command has started under systemd', async () => {
    const { rig, run } = house()
    await run(['ps'])
    const before = rig.daemonPid
    expect(commandLine(rig)).toContain('--auto')
    expect((await run(['daemon', 'install', '--yes'])).status).toBe(0)
    expect(rig.daemonPid).not.toBe(before)
    expect(commandLine(rig)).not.toContain('--auto')
  })

  it('leaves a daemon that is at work alone: exit 7, and nothing was done', async () => {
    const { rig, systemd, run } = house()
    await rig.appliance('cucm-pub', neverFinishes)
    const pid = rig.daemonPid
    const restart = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => /stopping|starting/.test(restart.output.stderr))
    const { status, stderr } = await run(['daemon', 'install', '--yes'])
    expect({ status, stderr }).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('1 operation under way') as string,
    })
    expect(fs.existsSync(systemd.unitFile)).toBe(false)
    expect([rig.daemonPid, restart.child.exitCode]).toEqual([pid, null])
  })

  it.each([
    ['no systemd can be reached', 'no-bus', 'daemon run'],
    ['it cannot be enabled', 'no-enable', 'Access denied'],
    ['it does not start', 'no-start', 'Job for vosctl.service failed'],
  ] as const)('takes everything back when %s: exit 7', async (_, mode, words) => {
    const { rig, systemd, run } = house()
    systemd.set(mode, true)
    const { status, stderr } = await run(['daemon', 'install', '--yes'])
    expect({ status, stderr }).toMatchObject({ status: 7, stderr: expect.stringContaining(words) as string })
    expect(fs.existsSync(systemd.unitFile)).toBe(false)
    expect(systemd.isEnabled()).toBe(false)
    expect(rig.daemonPid).toBeNull()
  })

  it('says what is missing where there is no systemctl at all', async () => {
    const { systemd, run } = house()
    const { status, stderr } = await run(['daemon', 'install', '--yes'], { PATH: '/nonexistent' })
    expect({ status, stderr }).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('there is no systemctl') as string,
    })
    expect(fs.existsSync(systemd.unitFile)).toBe(false)
  })

  it('does not take the unit of another state directory away', async () => {
    const { rig, systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    const text = fs.readFileSync(systemd.unitFile, 'utf8')
    for (const command of ['install', 'uninstall']) {
      const other = await run(['--state-dir', path.join(rig.directory, 'other'), 'daemon', command, '--yes'])
      expect(other).toMatchObject({ status: 7, stderr: expect.stringContaining(rig.state) as string })
    }
    expect(fs.readFileSync(systemd.unitFile, 'utf8')).toBe(text)
  })

  it('--system prints a unit for root and installs nothing', async () => {
    const { systemd, run } = house()
    const { status, stdout, stderr } = await run(['daemon', 'install', '--system'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^User=/m)
    expect(stderr).toContain('/etc/systemd/system/vosctl.service')
    expect(systemd.calls()).toEqual([''])
  })

  it('answers a program in one document', async () => {
    const check = createValidator()
    const { rig, systemd, run } = house()
    const json = async (...words: readonly string[]) => {
      const { stdout, stderr } = await run(['daemon', ...words, '--yes', '-o', 'json'])
      const document = JSON.parse(stdout) as object
      expect({ stderr, wrong: check('vosctl/daemon-unit/v1', document) }).toEqual({ stderr: '', wrong: null })
      return document
    }
    expect(await json('uninstall')).toMatchObject({ change: 'none', pid: null, lingering: null })
    expect(await json('install', '--system')).toMatchObject({ text: expect.stringContaining('ExecStart=') as string })
    expect(await json('install')).toEqual({
      schema: 'vosctl/daemon-unit/v1',
      path: systemd.unitFile,
      change: 'installed',
      pid: rig.daemonPid,
      lingering: false,
    })
    expect(await json('uninstall')).toMatchObject({ change: 'removed' })
  })
})

describe('where a unit is installed', { timeout: 60_000 }, () => {
  it('the next command starts the daemon through systemd, and only when none runs', async () => {
    const { rig, systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    await run(['daemon', 'stop'])
    const { status, stderr } = await run(['ps'])
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: `vosctl: started the daemon (pid ${rig.daemonPid})\n`,
    })
    expect(commandLine(rig)).not.toContain('--auto')
    const calls = systemd.calls().length
    expect((await run(['ps'])).status).toBe(0)
    expect(systemd.calls()).toHaveLength(calls)
  })

  it('a systemd that does not start it is said, and nothing is started beside it', async () => {
    const { rig, systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    await run(['daemon', 'stop'])
    systemd.set('no-start', true)
    const { status, stderr } = await run(['ps'])
    expect({ status, stderr }).toMatchObject({ status: 7, stderr: expect.stringContaining('enable-linger') as string })
    expect(rig.daemonPid).toBeNull()
  })

  it('the daemon of another state directory is started as ever', async () => {
    const { rig, systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    const calls = systemd.calls().length
    const other = path.join(rig.state, 'other')
    expect((await run(['--state-dir', other, 'ps'])).status).toBe(0)
    expect(systemd.calls()).toHaveLength(calls)
  })
})

describe('daemon uninstall', { timeout: 60_000 }, () => {
  it('stops the daemon and takes the unit away; the database stays', async () => {
    const { rig, systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    const { status, stdout } = await run(['daemon', 'uninstall', '--yes'])
    expect({ status, stdout }).toEqual({ status: 0, stdout: `removed ${systemd.unitFile}\n` })
    expect(fs.existsSync(systemd.unitFile)).toBe(false)
    expect(systemd.isEnabled()).toBe(false)
    expect(rig.daemonPid).toBeNull()
    expect(fs.existsSync(path.join(rig.state, 'vosctl.db'))).toBe(true)
    expect(await run(['daemon', 'uninstall'])).toEqual({ status: 0, stdout: 'no unit is installed\n', stderr: '' })
  })

  it('asks first', async () => {
    const { systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    expect((await run(['daemon', 'uninstall'])).status).toBe(2)
    expect(systemd.isEnabled()).toBe(true)
  })

  it('works without systemd: the files are gone, and it says so', async () => {
    const { systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    systemd.set('no-bus', true)
    const { status, stderr } = await run(['daemon', 'uninstall', '--yes'])
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('No medium found') as string,
    })
    expect(fs.existsSync(systemd.unitFile)).toBe(false)
    expect(systemd.isEnabled()).toBe(false)
  })

  it('leaves a daemon that is at work alone', async () => {
    const { rig, systemd, run } = house()
    await run(['daemon', 'install', '--yes'])
    await rig.appliance('cucm-pub', neverFinishes)
    const restart = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => /stopping|starting/.test(restart.output.stderr))
    expect((await run(['daemon', 'uninstall', '--yes'])).status).toBe(7)
    expect([systemd.isEnabled(), restart.child.exitCode]).toEqual([true, null])
  })
})
