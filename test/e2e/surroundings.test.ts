import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, VOSCTL } from '../helpers/rig.ts'

const publisher = scenarios.get('publisher') as Scenario

/** Does not block: the simulated appliance lives in this process. */
async function shell(command: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn('sh', ['-c', command], { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, ...output }
}

function node(rig: Rig, args: string): string {
  return `${process.execPath} ${VOSCTL} --state-dir ${rig.state} ${args}`
}

describe('from a pipe, from cron, from nowhere', { timeout: 60_000 }, () => {
  it('prints no escape byte into a pipe, and exits with the verdict although the reader left', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', publisher)
    const piped = await shell(`${node(rig, 'restart cucm-pub')} 2>&1 | cat`)
    expect(piped.stdout).toContain('ok')
    expect(piped.stdout).not.toContain('\u001b')
    const left = await shell(
      `(${node(rig, 'restart cucm-pub -v')}; echo "status $?" >&2) 2>${rig.directory}/err | true; cat ${rig.directory}/err`,
    )
    expect(left.stdout).toContain('status 0')
    expect((await shell(`(${node(rig, 'history')}; echo "status $?" >&2) | true`)).stderr).toContain('status 0')
  })

  it('works without standard input', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', publisher)
    expect(await shell(`${node(rig, 'restart cucm-pub -q')} </dev/null`)).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    })
    expect(await shell(`${node(rig, 'restart cucm-pub -q')} <&-`)).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })

  it('keeps its exit status with standard output or standard error closed', async () => {
    const rig = new Rig()
    const good = await rig.appliance('cucm-pub', publisher)
    const bad = await rig.appliance('cuc-1', scenarios.get('ends-stopped') as Scenario)
    for (const closed of ['>&-', '2>&-']) {
      const all = await Promise.all(
        ['ps', 'restart cucm-pub', 'restart cuc-1'].map((words) => shell(`${node(rig, words)} ${closed}`)),
      )
      expect({ closed, ended: all.map(({ status }) => status) }).toEqual({ closed, ended: [0, 0, 1] })
      for (const { stdout, stderr } of all) expect(stdout + stderr).not.toMatch(/\n\s+at /)
      expect(all[1]?.[closed === '>&-' ? 'stderr' : 'stdout']).toContain('cucm-pub')
    }
    expect([good.ledger.restarts().length, bad.ledger.restarts().length]).toEqual([2, 2])
  })

  it("finds the same daemon under cron's environment", async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', publisher)
    const pid = rig.daemonPid
    const { status, stdout } = await shell(`env -i PATH=/usr/bin:/bin ${node(rig, 'ps -o json')}`)
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ items: [] })
    expect(rig.daemonPid).toBe(pid)
  })

  it('starts the daemon with a clean environment', async () => {
    const rig = new Rig()
    await rig.prepare(['ps'], { env: { SSH_AUTH_SOCK: '/tmp/agent', MY_SECRET: 'hunter2', LD_LIBRARY_PATH: '/tmp' } })
    const environment = fs.readFileSync(`/proc/${rig.daemonPid}/environ`, 'utf8')
    expect(environment).not.toMatch(/SSH_AUTH_SOCK|hunter2|LD_LIBRARY_PATH/)
  })

  it('ends two clients that start a daemon at once with one daemon', async () => {
    const rig = new Rig()
    const all = await Promise.all(Array.from({ length: 4 }, () => rig.run(['ps', '-o', 'json'])))
    expect(all.map(({ status }) => status)).toEqual([0, 0, 0, 0])
    expect(rig.log().match(/listens on/g)).toHaveLength(1)
  })
})

describe('bad input', { timeout: 60_000 }, () => {
  it.each([
    ['an unknown target', ['restart', 'cucm-pbu'], 2, 'Did you mean cucm-pub?'],
    ['a port of 70000', ['connections', 'add', 'x', '--host', 'x', '--username', 'x', '--port', '70000'], 2, '70000'],
    ['a name with a newline', ['connections', 'add', 'x\ny', '--host', 'x', '--username', 'x'], 2, 'name'],
    ['an empty selection', ['restart', 'zzz-*'], 2, 'zzz-*'],
    ['no target', ['restart'], 2, 'target'],
    ['an unknown flag', ['restart', 'cucm-pub', '--frce'], 2, '--frce'],
    ['an unknown command', ['restrat', 'cucm-pub'], 2, 'restart'],
    ['a timeout that is none', ['restart', 'cucm-pub', '--timeout', 'soon'], 2, 'soon'],
    ['an unknown operation', ['attach', 'r-zzzzzz'], 2, 'r-zzzzzz'],
    ['a missing host', ['connections', 'add', 'x', '--username', 'x'], 2, '--host'],
    [
      'a host key that is another',
      ['connections', 'trust', 'cucm-pub', '--fingerprint', `SHA256:${'A'.repeat(43)}`],
      6,
      'SHA256:',
    ],
  ] as const)('%s: one clear line, nothing changed', async (_, args, exit, words) => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', publisher)
    const before = (await rig.run(['connections', 'list', '-o', 'json'])).stdout
    const { status, stdout, stderr } = await rig.run(args)
    expect({ status, stdout }).toEqual({ status: exit, stdout: '' })
    expect(stderr).toContain(words)
    expect(stderr).toMatch(/^vosctl: /)
    expect(stderr.trim().split('\n').length).toBeLessThan(5)
    expect(device.ledger.restarts()).toEqual([])
    expect((await rig.run(['connections', 'list', '-o', 'json'])).stdout).toBe(before)
  })

  it('an empty list of names on stdin is not "all"', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', publisher)
    expect((await rig.run(['restart', '-', '--yes'], { input: '\n' })).status).toBe(2)
    expect(device.ledger.of('open')).toHaveLength(1)
  })

  it('a database that is a text file: 7, and the file stays as it is', async () => {
    const rig = new Rig()
    fs.mkdirSync(rig.state, { mode: 0o700 })
    const file = path.join(rig.state, 'vosctl.db')
    fs.writeFileSync(file, 'precious notes\n'.repeat(20), { mode: 0o600 })
    rig.isEdited = true
    const { status, stderr } = await rig.run(['ps'])
    expect(status).toBe(7)
    expect(stderr).toContain('is not a database')
    expect(fs.readFileSync(file, 'utf8')).toContain('precious')
  })

  it.skipIf(process.getuid?.() !== 0)(
    'a state directory that belongs to somebody else: 7, with both names',
    async () => {
      const rig = new Rig()
      fs.mkdirSync(rig.state, { mode: 0o700 })
      fs.chownSync(rig.state, 65_534, 65_534)
      const { status, stderr } = await rig.run(['ps'])
      expect(status).toBe(7)
      expect(stderr).toMatch(/nobody|65534/)
      expect(stderr).toMatch(/root|uid 0/)
    },
  )

  it('a socket path that is too long: 7, with the reason', async () => {
    const rig = new Rig()
    const { status, stderr } = await rig.run(['--state-dir', path.join(rig.directory, 'x'.repeat(120)), 'ps'])
    expect(status).toBe(7)
    expect(stderr).toContain('107')
  })

  it('a password never reaches the disk, the log, an argument or an event in clear', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', publisher)
    const secret = 'kX9-unique-secret-42'
    await rig.prepare(['credentials', 'set', 'cucm-pub', '--stdin'], { input: `${secret}\n` })
    await rig.run(['restart', 'cucm-pub', '-v'])
    const outputs = [await rig.run(['logs', 'last']), await rig.run(['connections', 'show', 'cucm-pub', '-o', 'json'])]
    await rig.prepare(['daemon', 'stop'])
    for (const { stdout, stderr } of outputs) expect(stdout + stderr).not.toContain(secret)
    for (const name of fs.readdirSync(rig.directory, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(rig.directory, name)
      if (fs.statSync(file).isFile()) expect(fs.readFileSync(file).includes(secret)).toBe(false)
    }
  })
})
