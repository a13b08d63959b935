import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, VOSCTL } from '../helpers/rig.ts'
import { createValidator } from '../helpers/schemas.ts'
import { requireTool } from '../helpers/tools.ts'
import { until } from '../helpers/wait.ts'

const publisher = scenarios.get('publisher') as Scenario
const tmux = requireTool('tmux')
const check = createValidator()

const LISTS = {
  'list.yaml': '- name: web-01\n  host: 10.0.0.1\n  username: deploy\n  platform: linux\n',
  'list.json': '[{"name": "web-01", "host": "10.0.0.1", "username": "deploy", "platform": "linux"}]',
  'list.csv': '\ufeffname;host;username;platform\r\nweb-01;10.0.0.1;deploy;linux\r\n',
  config: 'Host web-01\n  HostName 10.0.0.1\n\nHost *\n  User deploy\n',
}

function file(rig: Rig, name: string, text: string): string {
  // Not beside the house itself: `config` is a name there.
  const where = path.join(fs.mkdtempSync(path.join(rig.directory, 'file-')), name)
  fs.writeFileSync(where, text)
  return where
}

async function names(rig: Rig): Promise<string[]> {
  return (await rig.prepare(['connections', 'list', '-o', 'name'])).stdout.split('\n').filter((name) => name !== '')
}

describe('connections import', { timeout: 60_000 }, () => {
  it.each(Object.entries(LISTS))('reads %s', async (name, text) => {
    const rig = new Rig()
    const list = file(rig, name, text)
    const { status, stdout } = await rig.run(['connections', 'import', list, '--platform', 'linux', '--yes'])
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'imported: 1 new, 0 changed, 0 same\n' })
    const shown = JSON.parse((await rig.prepare(['connections', 'show', 'web-01', '-o', 'json'])).stdout) as object
    expect(shown).toMatchObject({ host: '10.0.0.1', port: 22, user: 'deploy', kind: 'linux', service: null })
  })

  it('shows its plan and asks; with nobody to ask it writes nothing', async () => {
    const rig = new Rig()
    const list = file(rig, 'list.yaml', LISTS['list.yaml'])
    const plan = `${list} (yaml): 1 new, 0 changed, 0 same\n  + web-01  line 1, no connection has this name: deploy@10.0.0.1, linux\n`
    expect(await rig.run(['connections', 'import', list, '--dry-run'])).toMatchObject({ status: 0, stdout: plan })
    const unanswered = await rig.run(['connections', 'import', list])
    expect(unanswered).toMatchObject({ status: 2, stdout: '' })
    expect(unanswered.stderr).toContain(`${plan}vosctl: importing 1 connection needs an answer`)
    expect((await rig.run(['connections', 'import', '-'], { input: LISTS['list.json'] })).stderr).toContain('add --yes')
    expect(await names(rig)).toEqual([])
    expect(await rig.run(['connections', 'import', '-', '-qy'], { input: LISTS['list.json'] })).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    })
    expect(await names(rig)).toEqual(['web-01'])
  })

  it('refuses all of it for one row, names the line, and goes on without that row when told to', async () => {
    const rig = new Rig()
    const list = file(
      rig,
      'hosts.csv',
      'name,host,username,port,password\na,10.0.0.1,u,22,\nb,10.0.0.2,u,99999,\nc,10.0.0.3,u,22,hunter2\n',
    )
    const refused = await rig.run(['connections', 'import', list, '--yes'])
    expect(refused).toMatchObject({ status: 2, stdout: '' })
    expect(refused.stderr).toContain('1 new, 0 changed, 0 same, 2 rejected')
    expect(refused.stderr).toContain('  x line 3, b: port is above 65535\n')
    expect(refused.stderr).toContain(
      '  x line 4, c: password is not taken from a file\n      Take it out, then: vosctl credentials set c\n',
    )
    expect(refused.stderr).not.toContain('hunter2')
    expect(await names(rig)).toEqual([])
    const document = await rig.run(['connections', 'import', list, '--yes', '-o', 'json'])
    expect(document).toMatchObject({ status: 2, stderr: '' })
    const plan = JSON.parse(document.stdout) as object
    expect(check('vosctl/connection-import/v1', plan)).toBeNull()
    expect(plan).toMatchObject({
      imported: false,
      added: [{ name: 'a', line: 2 }],
      rejected: [
        { line: 3, name: 'b', field: 'port' },
        { line: 4, name: 'c', field: 'password' },
      ],
    })
    expect(await rig.run(['connections', 'import', list, '--yes', '--skip-rejected', '-o', 'name'])).toMatchObject({
      status: 0,
      stdout: 'a\n',
    })
    expect(await names(rig)).toEqual(['a'])
  })

  it('takes key and password away from what becomes another device, having said so; a changed key it never takes', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', publisher)
    const other = `SHA256:${'A'.repeat(43)}`
    const forged = file(
      rig,
      'forged.yaml',
      `- name: cucm-pub\n  host_key:\n    type: ssh-ed25519\n    fingerprint: ${other}\n`,
    )
    const refused = await rig.run(['connections', 'import', forged, '--yes'])
    expect(refused.status).toBe(2)
    expect(refused.stderr).toContain('line 2, cucm-pub: host_key is another one than the pinned one')
    expect(refused.stderr).toContain('vosctl connections trust cucm-pub')
    const moved = file(rig, 'moved.yaml', '- {name: cucm-pub, host: 127.0.0.2}\n')
    const { status, stderr } = await rig.run(['connections', 'import', moved, '--yes'])
    expect(status).toBe(0)
    expect(stderr).toContain(`host: ${device.host} -> 127.0.0.2\n      it is another device then; its host key goes`)
    expect(stderr).toContain('its password goes: vosctl credentials set cucm-pub')
    expect((await rig.prepare(['connections', 'show', 'cucm-pub'])).stdout).toMatch(
      /host key +not pinned\ncredential +none/,
    )
  })

  it('is all there or not at all when the daemon is killed under it, and can be repeated', async () => {
    const rig = new Rig()
    await rig.prepare(['daemon', 'start'])
    const list = file(
      rig,
      'many.csv',
      `name,host,username\n${Array.from({ length: 1000 }, (_, n) => `web-${n},10.0.${n >> 8}.${n & 255},deploy\n`).join('')}`,
    )
    const { output, ended } = rig.start(['connections', 'import', list, '--yes'])
    await until('the plan', () => output.stderr.includes('1000 new'), 30_000)
    await rig.killDaemon()
    const { status, stderr } = await ended
    const written = (await names(rig)).length
    expect([0, 1000]).toContain(written)
    if (status !== 0)
      expect({ status, stderr }).toEqual({ status: 7, stderr: expect.stringContaining('or nothing') as string })
    await rig.prepare(['connections', 'import', list, '--yes'])
    expect(await names(rig)).toHaveLength(1000)
  })

  it.each([
    ['there is no such file', 'nowhere.yaml'],
    ['it is a directory', '.'],
  ])('says %s', async (words, name) => {
    const rig = new Rig()
    const { status, stderr } = await rig.run(['connections', 'import', path.join(rig.directory, name)])
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringContaining(words) as string })
    // Nothing was started for a file that cannot be read.
    expect(rig.daemonPid).toBeNull()
  })

  it.skipIf(tmux === null)('asks a person on a terminal (needs tmux)', async () => {
    const rig = new Rig()
    const list = file(rig, 'list.yaml', LISTS['list.yaml'])
    const socket = path.join(rig.directory, 't')
    const run = (...words: string[]) => execFileSync(tmux ?? '', ['-S', socket, ...words], { encoding: 'utf8' })
    onTestFinished(() => void run('kill-server'))
    run('-f', '/dev/null', 'new-session', '-d', '-x', '100', '-y', '30', `env -u ENV 'PS1=$ ' sh`)
    const say = (text: string) => run('send-keys', '-l', text) + run('send-keys', 'Enter')
    const shows = (text: string) =>
      until(`"${text}" on the screen`, async () => (await sleep(30), run('capture-pane', '-p').includes(text)), 20_000)
    const command = `${process.execPath} ${VOSCTL} --state-dir ${rig.state} connections import ${list}; echo status $?`
    say(`clear; ${command}`)
    await shows('Write this? [y/N]')
    await shows('+ web-01  line 1, no connection has this name: deploy@10.0.0.1, linux')
    say('n')
    await shows('you said no. Nothing was done.')
    await shows('status 2')
    expect(await names(rig)).toEqual([])
    say(`clear; ${command}`)
    await shows('Write this? [y/N]')
    say('y')
    await shows('imported: 1 new, 0 changed, 0 same')
    await shows('vosctl connections trust web-01')
    await shows('status 0')
    expect(await names(rig)).toEqual(['web-01'])
  })
})

describe('connections export', { timeout: 60_000 }, () => {
  it('is what an empty house imports, without a secret, and nothing new where it comes from', async () => {
    const [here, there] = [new Rig(), new Rig()]
    await here.appliance('cucm-pub', publisher)
    await here.prepare([
      'connections',
      'add',
      'web-01',
      '--host',
      'web',
      '--username',
      'deploy',
      '--platform',
      'linux',
      '--key',
      '/k',
      '--sudo',
    ])
    const { stdout } = await here.prepare(['connections', 'export'])
    const json = (await here.prepare(['connections', 'export', '-o', 'json'])).stdout
    expect(check('vosctl/connection-export/v1', JSON.parse(json))).toBeNull()
    expect((await here.prepare(['connections', 'export', '--format', 'json'])).stdout).toBe(json)
    expect((await here.prepare(['connections', 'export', 'web-*'])).stdout).not.toContain('cucm-pub')
    expect(await here.run(['connections', 'import', '-'], { input: stdout })).toMatchObject({
      status: 0,
      stdout: 'nothing to import: 0 new, 0 changed, 2 same\n',
    })
    expect(await there.run(['connections', 'import', '-', '-y'], { input: stdout })).toMatchObject({
      status: 0,
      stdout: 'imported: 2 new, 0 changed, 0 same\n',
    })
    expect((await there.prepare(['connections', 'export'])).stdout).toBe(stdout)
    expect(await there.run(['connections', 'import', '-'], { input: json })).toMatchObject({ status: 0 })
    expect((await there.prepare(['connections', 'show', 'cucm-pub'])).stdout).toMatch(
      /host key +ssh-.* SHA256:[^]*credential +none/,
    )
  })
})
