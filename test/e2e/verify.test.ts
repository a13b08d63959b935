import { describe, expect, it } from 'vitest'
import { scenarios, type Scenario, type Simulator } from '../../src/simulator/index.ts'
import { Rig, type Ended } from '../helpers/rig.ts'
import { until } from '../helpers/wait.ts'

const TIMEOUT = 60_000
/** Slow enough that a test can act while the service moves. */
const WATCHABLE = { timeScale: 0.05 }
const TOMCAT = 'Cisco Tomcat'

function scenario(name: string): Scenario {
  const found = scenarios.get(name)
  if (!found) throw new Error(`no scenario ${name}`)
  return found
}

const idIn = (text: string) => /[rv]-[0-9a-z]{6}/.exec(text)?.[0] ?? ''
const moving = (output: { stderr: string }) => /stopping|starting/.test(output.stderr)

/** A restart that was seen moving, and whose device then was away for longer than vosctl's patience. */
async function losePatience(rig: Rig): Promise<{ device: Simulator; id: string; ended: Ended }> {
  const device = await rig.appliance('cuc-1', scenario('publisher'), WATCHABLE)
  await rig.prepare(['connections', 'edit', 'cuc-1', '--timing', 'reconnect=50ms'])
  const running = rig.start(['restart', 'cuc-1'])
  await until('the service moves', () => moving(running.output))
  await device.powerOff()
  const ended = await running.ended
  expect(ended.status).toBe(3)
  return { device, id: idIn(ended.stderr), ended }
}

const statusOf = async (rig: Rig, id: string) =>
  JSON.parse((await rig.run(['status', id, '-o', 'json'])).stdout) as Record<string, unknown>

describe('vosctl verify on an unknown outcome', { timeout: TIMEOUT }, () => {
  it('says how to look, cannot while the device is off, and settles it by the proof when it is back', async () => {
    const rig = new Rig()
    const { device, id, ended } = await losePatience(rig)
    expect(ended.stderr).toContain(`Look: vosctl verify ${id}`)
    expect((await rig.run(['restart', 'cuc-1'])).status).toBe(5)
    expect((await rig.run(['verify', id])).status).toBe(6)
    expect((await statusOf(rig, id))['status']).toBe('unknown')

    await device.powerOn()
    const { status, stdout, stderr } = await rig.run(['verify', id])
    expect({ status, said: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, said: '' })
    expect(stdout).toMatch(/^v-[0-9a-z]{6} {2}cuc-1 {2}ok {2}\S+\n$/)
    expect(stderr).toContain(`${id}: "${TOMCAT}" restarted, seen STOPPING then STARTED, confirmed by a later look`)
    expect(stderr).toMatch(new RegExp(`${id} is completed now, unknown since \\d\\d:\\d\\d:\\d\\d; cuc-1 is free\\.`))

    expect(await statusOf(rig, id)).toMatchObject({
      status: 'completed',
      exit_code: 0,
      took_ms: null,
      verified: { look: idIn(stdout), was: { status: 'unknown' } },
    })
    expect((await rig.run(['wait', id])).status).toBe(0)
    expect((await rig.run(['history'])).stdout).toMatch(new RegExp(`${id} .* ok; unknown until verified .* by `))
    const log = (await rig.run(['logs', id])).stdout
    expect(log).toMatch(/unknown: outcome unknown.*\n.* {2}verified completed by \S+ \(v-[0-9a-z]{6}\): /)
    expect((await rig.run(['restart', 'cuc-1'])).status).toBe(0)
    expect(device.ledger.restarts()).toHaveLength(2)
  })

  it('says loudly that the service is DOWN when it is', async () => {
    const rig = new Rig()
    const { device, id } = await losePatience(rig)
    await device.powerOn()
    device.setService(TOMCAT, 'STOPPED', 'Component is not running')
    const { status, stderr } = await rig.run(['verify', 'cuc-1'])
    expect(status).toBe(1)
    expect(stderr).toContain(`the service is DOWN: "${TOMCAT}" on cuc-1 is STOPPED (Component is not running)`)
    expect(await statusOf(rig, id)).toMatchObject({ status: 'failed', error: { name: 'service_down' } })
  })

  it('leaves it unknown without proof, whoever asks and however often, until a person accepts it', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cuc-1', scenario('never-began'))
    expect((await rig.run(['restart', 'cuc-1'])).status).toBe(3)
    const id = idIn((await rig.run(['ps', '-o', 'name'])).stdout)
    for (const word of [id, 'cuc-1', 'last']) {
      // `last` is the look before it by then, which looked and settled nothing.
      const { status, stdout, stderr } = await rig.run(['verify', word])
      expect({ word, status, said: status === 3 ? '' : stdout + stderr }).toMatchObject({
        word,
        status: word === 'last' ? 2 : 3,
      })
      if (word === 'last') continue
      expect(stderr).toContain(`the outcome of ${id} stays unknown: "${TOMCAT}" is STARTED; no transition was seen`)
      expect(stderr).toContain(`vosctl ack ${id}`)
      expect(stdout).toContain('unknown')
    }
    expect((await rig.run(['restart', 'cuc-1'])).status).toBe(5)
    expect((await rig.run(['connections', 'remove', 'cuc-1', '--yes'])).status).toBe(2)
    await rig.prepare(['ack', id, '--yes'])
    expect((await rig.run(['verify', id])).status).toBe(0)
    expect((await statusOf(rig, id))['status']).toBe('unknown')
    expect(device.ledger.restarts()).toHaveLength(1)
  })

  it('follows a service that starts for ever no longer than it may, and settles it when it has started after all', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cuc-1', scenario('subscriber-never-starts'))
    await rig.prepare(['connections', 'edit', 'cuc-1', '--timing', 'pollLimit=300ms'])
    expect((await rig.run(['restart', 'cuc-1'])).status).toBe(3)
    const still = await rig.run(['verify', 'cuc-1'])
    expect({ status: still.status, said: still.stderr }).toMatchObject({
      status: 3,
      said: expect.stringContaining('is STARTING still'),
    })
    // The look goes on when patience with it ends, and it sees the service come.
    await rig.prepare(['connections', 'edit', 'cuc-1', '--timing', 'pollLimit=5m'])
    expect((await rig.run(['verify', 'cuc-1', '--timeout', '3s'])).status).toBe(8)
    device.setService(TOMCAT, 'STARTED')
    expect((await rig.run(['attach', 'last'])).status).toBe(0)
    expect(device.ledger.restarts()).toHaveLength(1)
  })

  it('sends no credential to a device with another key, and takes nothing for proof that such a device shows', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cuc-1', scenario('publisher'), WATCHABLE)
    const running = rig.start(['restart', 'cuc-1'])
    await until('the service moves', () => moving(running.output))
    await device.reboot({ hostKey: 'new', downMs: 100 })
    const ended = await running.ended
    expect(ended.status).toBe(3)
    expect(ended.stderr).toContain('is not the pinned one')
    expect(ended.stderr).toContain('No credential was sent')
    const attempts = device.ledger.authAttempts().length
    const id = idIn(ended.stderr)
    const refused = await rig.run(['verify', id])
    expect(refused.status).toBe(6)
    expect(refused.stderr).toContain('is not the pinned one')
    expect(device.ledger.authAttempts()).toHaveLength(attempts)
    const { stdout } = await rig.prepare(['connections', 'show', 'cuc-1', '-o', 'json'])
    const pinned = (JSON.parse(stdout) as { host_key: { fingerprint: string } }).host_key.fingerprint
    const replace = ['--replace', '--old', pinned, '--fingerprint', device.hostKey.fingerprint]
    await rig.prepare(['connections', 'trust', 'cuc-1', ...replace])
    const { status, stderr } = await rig.run(['verify', id])
    expect(status).toBe(3)
    expect(stderr).toContain('the host key is another one since')
    expect((await statusOf(rig, id))['status']).toBe('unknown')
  })

  it('gives two who ask at once one answer, with one login', async () => {
    const rig = new Rig()
    const { device, id } = await losePatience(rig)
    await device.powerOn()
    const before = device.ledger.authAttempts().length
    const both = await Promise.all([rig.run(['verify', id]), rig.run(['verify', 'cuc-1'])])
    expect(both.map(({ status }) => status)).toEqual([0, 0])
    const looks = new Set(both.map(({ stdout }) => idIn(stdout)))
    // The second one may come when the first has answered: then it only looks.
    expect(device.ledger.authAttempts()).toHaveLength(before + looks.size)
    expect((await statusOf(rig, id))['status']).toBe('completed')
  })

  it('that is killed with the daemon has sent nothing, and the question stays open for the next one', async () => {
    const rig = new Rig()
    const { device, id } = await losePatience(rig)
    await device.powerOn()
    const before = device.ledger.authAttempts().length
    const look = rig.start(['verify', id])
    await until('it logs in', () => device.ledger.authAttempts().length > before)
    await rig.killDaemon()
    const { status, stderr } = await look.ended
    expect({ status, said: stderr }).toMatchObject({ status: 6 })
    expect((await statusOf(rig, id))['status']).toBe('unknown')
    expect(device.ledger.restarts()).toHaveLength(1)
  })
})

describe('vosctl verify on a connection', { timeout: TIMEOUT }, () => {
  it('tells what is true now, in every format', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', scenario('publisher'))
    expect(await rig.run(['verify', 'cucm-pub', '-q'])).toEqual({ status: 0, stdout: '', stderr: '' })
    expect((await rig.run(['verify', 'cucm-pub', '-o', 'name'])).stdout).toMatch(/^v-[0-9a-z]{6}\n$/)
    const json = await rig.run(['verify', 'cucm-pub', '-o', 'json'])
    expect(JSON.parse(json.stdout)).toMatchObject({
      operation_type: 'verify',
      subject: null,
      status: 'completed',
      effect: 'none',
      message: expect.stringContaining(`"${TOMCAT}" is STARTED`),
    })
    const lines = (await rig.run(['verify', 'cucm-pub', '-o', 'jsonl'])).stdout.trim().split('\n')
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ type: 'result', exit_code: 0 })
    const other = await rig.run(['verify', 'cucm-pub', '-s', 'Cisco DirSync'])
    expect({ status: other.status, said: other.stderr }).toMatchObject({
      status: 1,
      said: expect.stringContaining('the service is DOWN: "Cisco DirSync"'),
    })
    const typo = await rig.run(['verify', 'cucm-pbu'])
    expect(typo.status).toBe(2)
    expect(typo.stderr).toContain('Did you mean cucm-pub?')
    expect((await rig.run(['verify', 'r-1', '-s', 'x'])).status).toBe(2)
  })

  it('runs beside a restart and says so', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), { timeScale: 0.1 })
    const running = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => moving(running.output))
    const { status, stderr } = await rig.run(['verify', 'cucm-pub'])
    expect({ status, said: stderr }).toMatchObject({ status: 4, said: expect.stringContaining('is under way on') })
    expect((await running.ended).status).toBe(0)
    expect(device.ledger.restarts()).toHaveLength(1)
  })
})

describe('a device that reboots', { timeout: TIMEOUT }, () => {
  it('in the middle of a restart is waited for, and what it shows then is judged by what was seen before', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    const running = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => moving(running.output))
    await device.reboot({ downMs: 2_000 })
    const { status, stderr } = await running.ended
    expect({ status, said: stderr }).toMatchObject({ status: 0, said: expect.stringContaining('checking the device') })
    expect(device.ledger.restarts()).toHaveLength(1)
  })
})

describe('vosctl hold', { timeout: TIMEOUT }, () => {
  it('keeps every hand off, also over a crash, until it is released', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'))
    const opened = device.ledger.of('open').length
    const held = await rig.run(['hold', 'cucm-pub', '--reason', 'TAC case, do not restart'])
    expect(held).toMatchObject({ status: 0, stdout: expect.stringContaining('cucm-pub is on hold') })
    await rig.killDaemon()
    for (const command of [
      'restart cucm-pub',
      'restart cucm-pub --dry-run',
      'test cucm-pub',
      'verify cucm-pub',
      'connections services cucm-pub',
      'connections trust cucm-pub',
      'credentials test cucm-pub',
    ]) {
      const { status, stderr } = await rig.run(command.split(' '))
      expect({ command, status }).toEqual({ command, status: 5 })
      expect(stderr).toMatch(/on hold since .* by \S+: "TAC case, do not restart"\. Nothing was sent\./)
      expect(stderr).toContain('vosctl release cucm-pub')
    }
    expect(device.ledger.of('open')).toHaveLength(opened)
    expect((await rig.run(['connections', 'list'])).stdout).toMatch(/ HOLD\n/)
    expect((await rig.run(['connections', 'show', 'cucm-pub'])).stdout).toContain('TAC case, do not restart')
    expect((await rig.run(['status'])).stdout).toContain('On hold\n  cucm-pub')
    expect((await rig.run(['connections', 'remove', 'cucm-pub', '--yes'])).status).toBe(2)
    expect((await rig.run(['hold', 'cucm-pub'])).status).toBe(2)
    await rig.prepare(['release', 'cucm-pub'])
    expect((await rig.run(['release', 'cucm-pub'])).status).toBe(2)
    expect((await rig.run(['restart', 'cucm-pub'])).status).toBe(0)
  })

  it('lets what runs there go on, and says so', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    const running = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => moving(running.output))
    const { stderr } = await rig.run(['hold', 'cucm-pub'])
    expect(stderr).toMatch(/r-[0-9a-z]{6} \(restart "Cisco Tomcat"\) runs there and goes on\./)
    expect((await running.ended).status).toBe(0)
    expect(device.ledger.restarts()).toHaveLength(1)
  })
})
