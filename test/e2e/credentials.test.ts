import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scenarios, startSimulator, type Scenario, type Simulator } from '../../src/simulator/index.ts'
import { Rig, timings } from '../helpers/rig.ts'
import { PATIENCE_MS, tmux } from '../helpers/terminal.ts'

/** The built programs, with real SSH behind them. */

async function open(settings: string) {
  const rig = new Rig()
  const device = await startSimulator(scenarios.get('publisher') as Scenario, { timeScale: 0.002 })
  onTestFinished(() => device.stop())
  fs.mkdirSync(rig.config, { mode: 0o700 })
  fs.writeFileSync(path.join(rig.config, 'config.yaml'), settings.replaceAll('@', rig.directory))
  return { rig, device }
}

async function add(rig: Rig, device: Simulator, source: readonly string[]): Promise<void> {
  const login = ['--host', device.host, '--port', String(device.port), '--username', device.username]
  await rig.prepare(['connections', 'add', 'pub', ...login, ...timings(0.002), ...source])
  await rig.prepare(['connections', 'trust', 'pub', '--fingerprint', device.hostKey.fingerprint])
}

/** Every file of the house that holds this text. */
function found(rig: Rig, text: string, except: readonly string[] = []): string[] {
  const files = fs.readdirSync(rig.directory, { recursive: true }).map((name) => path.join(rig.directory, String(name)))
  return files.filter(
    (file) => fs.statSync(file).isFile() && !except.includes(file) && fs.readFileSync(file).includes(text),
  )
}

test('a helper of the settings logs in, and one that is not there sends nothing', async () => {
  const { rig, device } = await open('helpers:\n  ops: [@/ops, word]\n')
  const helper = path.join(rig.directory, 'ops')
  fs.writeFileSync(helper, `#!/bin/sh\ncat >${helper}.asked\necho '{"password": "${device.password}"}'\n`, {
    mode: 0o700,
  })
  await add(rig, device, ['--credential', 'helper:ops'])
  expect((await rig.run(['restart', 'pub', '-q'])).status).toBe(0)
  expect(JSON.parse(fs.readFileSync(`${helper}.asked`, 'utf8'))).toMatchObject({
    what: 'password',
    username: device.username,
  })
  const before = device.ledger.authAttempts().length
  fs.rmSync(helper)
  const gone = await rig.run(['restart', 'pub'])
  expect(gone).toMatchObject({ status: 2, stderr: expect.stringContaining('The helper "ops" has no secret for pub') })
  expect(gone.stderr).toContain('Nothing was sent')
  // No hold is left, and no other source is found.
  expect((await rig.run(['status', 'pub'])).stdout).not.toContain('held')
  expect(device.ledger.authAttempts().length).toBe(before)
  expect(found(rig, device.password)).toEqual([])
})

test('an encrypted key file has its passphrase sealed, which is compared with the file at once', async () => {
  const { rig, device } = await open('')
  const key = path.join(rig.directory, 'id')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-a', '1', '-N', 'grüße', '-f', key])
  await add(rig, device, ['--key', key])
  const wrong = await rig.run(['credentials', 'set', 'pub', '--stdin'], { input: 'hush\n' })
  expect(wrong).toMatchObject({
    status: 2,
    stderr: expect.stringContaining(`The passphrase of ${key} is not the right`),
  })
  expect((await rig.prepare(['credentials', 'set', 'pub', '--stdin'], { input: 'grüße\n' })).stdout).toContain(
    'passphrase',
  )
  const { stdout } = await rig.prepare(['connections', 'show', 'pub', '-o', 'json'])
  expect(JSON.parse(stdout)).toMatchObject({ credential_source: `key:${key}`, passphrase_from: 'sealed' })
  const moved = await rig.prepare(['connections', 'edit', 'pub', '--username', 'root'])
  expect(moved.stderr).toContain('The passphrase belonged to another login and was removed')
  execFileSync('ssh-keygen', ['-q', '-p', '-P', 'grüße', '-N', '', '-f', key])
  const needless = await rig.run(['credentials', 'set', 'pub', '--stdin'], { input: 'a password\n' })
  expect(needless).toMatchObject({ status: 2, stderr: expect.stringContaining('has no passphrase. None was set.') })
  expect(found(rig, 'grüße')).toEqual([])
})

describe.skipIf(tmux === null)('at a terminal (needs tmux)', { timeout: 6 * PATIENCE_MS }, () => {
  test('a password is typed for one operation, and kept nowhere; without a terminal there is none', async () => {
    const { rig, device } = await open('')
    await add(rig, device, ['--credential', 'prompt'])
    for (const words of [['pub'], ['pub', '--dry-run']]) {
      expect(await rig.run(['restart', ...words])).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('wants its password typed at each start'),
      })
    }
    const terminal = rig.terminal(100, 24)
    terminal.line('vosctl restart pub --dry-run; echo dry $?')
    expect(await terminal.shows('dry 0')).toContain('would restart')
    terminal.line('vosctl restart pub; echo status $?')
    await terminal.shows(`Password of ${device.username} on pub:`)
    terminal.line(device.password)
    expect(await terminal.shows('status 0')).toContain('seen STOPPING then STARTED')
    expect(terminal.screen()).not.toContain(device.password)
    expect((await rig.run(['restart', 'pub'])).status).toBe(2)
    expect(device.ledger.restarts('Cisco Tomcat')).toHaveLength(1)
    expect(found(rig, device.password)).toEqual([])
  })

  test('a passphrase opens the sealed store until the daemon ends; before that nothing is sent', async () => {
    const { rig, device } = await open('key: passphrase\n')
    await add(rig, device, [])
    const terminal = rig.terminal(100, 24)
    const unlock = (input: string, ...words: string[]) => rig.run(['key', 'unlock', '--stdin', ...words], { input })
    expect((await unlock('open sesame, door\n')).stderr).toContain('has no passphrase yet')
    terminal.line('vosctl key unlock; echo status $?')
    await terminal.shows('A new passphrase for the sealed store:')
    terminal.line('open sesame, door')
    await terminal.shows('Once more:')
    terminal.line('open sesame, door')
    await terminal.shows('status 0')
    await rig.prepare(['credentials', 'set', 'pub', '--stdin'], { input: `${device.password}\n` })
    expect((await rig.run(['test', 'pub'])).status).toBe(0)
    await rig.prepare(['daemon', 'restart'])
    const locked = await rig.run(['restart', 'pub'])
    expect(locked).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('The sealed store is locked. Nothing was'),
    })
    expect(locked.stderr).toContain('vosctl key unlock')
    expect((await rig.run(['key', 'status'])).stdout).toContain('LOCKED')
    expect((await unlock('open sesame, door\n')).status).toBe(0)
    expect((await rig.run(['restart', 'pub', '-q'])).status).toBe(0)
    expect(device.ledger.restarts('Cisco Tomcat')).toHaveLength(1)
    expect([...found(rig, 'sesame'), ...found(rig, device.password)]).toEqual([])
  })
})
