import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Check } from '../../src/cli/doctor/check.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, VOSCTL, type Ended } from '../helpers/rig.ts'
import { createValidator } from '../helpers/schemas.ts'
import { startSystemctl } from '../helpers/systemctl.ts'

const publisher = scenarios.get('publisher') as Scenario
const check = createValidator()

interface Report {
  readonly schema: string
  readonly checks: readonly Check[]
  readonly crontab?: string | null
}

const report = ({ stdout }: Ended) => JSON.parse(stdout) as Report
const level = (ended: Ended, id: string) => report(ended).checks.find((check) => check.id === id)?.level

/** The command of a crontab line, run as cron runs it: what it prints is the mail. */
async function asCron(line: string): Promise<Ended> {
  const command = line.split(/\s+/).slice(5).join(' ').replaceAll('\\%', '%')
  const { homedir, username } = os.userInfo()
  const env = { HOME: homedir, LOGNAME: username, SHELL: '/bin/sh', PATH: '/usr/bin:/bin' }
  return await run('/bin/sh', ['-c', command], env, homedir)
}

/** Without the rig's `--state-dir`: for a state directory that comes from a variable. */
function vosctl(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<Ended> {
  return run(process.execPath, [VOSCTL, ...args], { PATH: process.env['PATH'], ...env })
}

async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Promise<Ended> {
  const child = spawn(program, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, ...output }
}

describe('doctor', { timeout: 60_000 }, () => {
  it('finds a house in order: exit 0, one line a check', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', publisher)
    const { status, stdout, stderr } = await rig.run(['doctor'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).not.toContain('FAIL')
    for (const id of [
      'node',
      'package',
      'launcher',
      'state',
      'file-system',
      'settings',
      'daemon',
      'clock',
      'connections',
    ]) {
      expect(stdout).toMatch(new RegExp(`^ok +${id} `, 'm'))
    }
    expect(stdout).toContain(`pid ${rig.daemonPid}`)
    expect(stdout).toMatch(/^ok +connections +all 1 have a pinned host key and a credential$/m)
    expect(stdout).toMatch(/^ok +sealing-key /m)
  })

  it('never starts a daemon and makes nothing', async () => {
    const rig = new Rig()
    const ended = await rig.run(['doctor', '-o', 'json'])
    expect(ended.status).toBe(0)
    expect(check('vosctl/doctor/v1', report(ended))).toBeNull()
    expect(level(ended, 'daemon')).toBe('warn')
    expect(rig.daemonPid).toBeNull()
    expect([fs.existsSync(rig.state), fs.existsSync(rig.config)]).toEqual([false, false])
  })

  it('says of each connection what it lacks, with the command: exit 2', async () => {
    const rig = new Rig()
    await rig.prepare(['connections', 'add', 'web-01', '--host', '192.0.2.1', '--username', 'x'])
    const { status, stdout } = await rig.run(['doctor', '-q'])
    expect(status).toBe(2)
    expect(stdout).toMatch(/^FAIL {2}host-key +web-01 .*\n {6}vosctl connections trust web-01$/m)
    expect(stdout).toMatch(/^FAIL {2}credential +web-01 .*\n {6}vosctl credentials set web-01$/m)
    expect(stdout).not.toMatch(/^ok/m)
  })

  it('says that others may read the sealing key; its command mends that', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', publisher)
    const key = path.join(rig.config, 'key')
    fs.chmodSync(key, 0o644)
    const ended = await rig.run(['doctor', '-o', 'json'])
    expect(ended.status).toBe(2)
    const fix = report(ended).checks.find(({ id }) => id === 'sealing-key')?.fix
    expect(fix).toBe(`chmod 600 ${key}`)
    fs.chmodSync(key, 0o600)
    expect((await rig.run(['doctor'])).status).toBe(0)
  })

  it('says that the state directory is open: exit 7', async () => {
    const rig = new Rig()
    fs.mkdirSync(rig.state, { mode: 0o755 })
    const ended = await rig.run(['doctor', '-o', 'json'])
    expect(ended.status).toBe(7)
    expect(level(ended, 'state')).toBe('fail')
  })

  it('tells a unit whose Node is gone, and lingering that is off', async () => {
    const rig = new Rig()
    const { env, unitFile } = startSystemctl()
    await rig.prepare(['daemon', 'install', '--yes'], { env })
    const installed = await rig.run(['doctor', '-o', 'json'], { env })
    expect([level(installed, 'unit'), level(installed, 'lingering')]).toEqual(['ok', 'warn'])
    const text = fs.readFileSync(unitFile, 'utf8').replace(process.execPath, '/opt/node-18/bin/node')
    fs.writeFileSync(unitFile, text)
    const broken = await rig.run(['doctor', '-o', 'json'], { env })
    expect(broken.status).toBe(7)
    expect(report(broken).checks).toContainEqual({
      id: 'unit',
      level: 'fail',
      message: 'the installed unit starts /opt/node-18/bin/node, which is not there',
      fix: 'vosctl daemon install',
    })
  })
})

describe('doctor --cron', { timeout: 60_000 }, () => {
  /** Not the rig's directory of settings: cron would not know it. */
  const plain = { VOSCTL_CONFIG_DIR: undefined }

  it('proves that cron reaches the same daemon and database', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', publisher)
    const { status, stdout } = await rig.run(['doctor', '--cron'], { env: plain })
    expect(status).toBe(0)
    expect(stdout).toContain(`cron reaches the same daemon (pid ${rig.daemonPid}) and database (${rig.state})`)
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^30 3 \* \* 0 {2}\/.* --state-dir \/.* restart cucm-pub -q /)
  })

  it('prints a line that restarts when it is pasted', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', publisher)
    const advice = report(await rig.run(['doctor', '--cron', '-o', 'json'], { env: plain }))
    expect(check('vosctl/doctor/v1', advice)).toBeNull()
    const { crontab } = advice
    expect(await asCron(crontab ?? '')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(device.ledger.restarts()).toHaveLength(1)
  })

  it('says so when no daemon runs, and starts none', async () => {
    const rig = new Rig()
    const { status, stdout } = await rig.run(['doctor', '--cron'], { env: plain })
    expect(status).toBe(0)
    expect(stdout).toContain(`no daemon runs now; cron would start it on the same database (${rig.state})`)
    expect(rig.daemonPid).toBeNull()
  })

  it.each(['VOSCTL_STATE_DIR', 'XDG_STATE_HOME'])(
    'fails when %s is set in this environment only, and prints a line that works all the same',
    async (name) => {
      const rig = new Rig()
      const home = path.join(rig.state, '..', 'xdg')
      const state = name === 'VOSCTL_STATE_DIR' ? rig.state : path.join(home, 'vosctl')
      const env = { ...plain, [name]: name === 'VOSCTL_STATE_DIR' ? rig.state : home }
      const ended = await vosctl(['doctor', '--cron', '-o', 'json'], env)
      expect(ended.status).toBe(7)
      const { checks, crontab } = report(ended)
      const { message, fix } = checks.find(({ id }) => id === 'cron-daemon') ?? {}
      expect(message).toContain(state)
      expect(message).toContain(`because ${name} is set in this environment only`)
      expect(fix).toContain(`unset ${name}`)
      expect(level(ended, 'cron-line')).toBe('ok')
      expect(crontab).toContain(` --state-dir ${state} `)
    },
  )

  it('fails when the settings lie where only this environment knows, and the line names them', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', publisher)
    const ended = await rig.run(['doctor', '--cron', '-o', 'json'])
    expect(ended.status).toBe(2)
    expect(level(ended, 'cron-settings')).toBe('fail')
    expect(level(ended, 'cron-line')).toBe('ok')
    // A daemon that cron has to start finds the key that seals the password.
    await rig.prepare(['daemon', 'stop'])
    expect((await asCron(report(ended).crontab ?? '')).status).toBe(0)
    expect(device.ledger.restarts()).toHaveLength(1)
  })
})
