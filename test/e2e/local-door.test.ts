import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { migrate, openDatabase } from '../../src/daemon/store/database.ts'
import { MIGRATIONS } from '../../src/daemon/store/migrations.ts'
import { Rig, VOSCTL, VOSD, type Ended } from '../helpers/rig.ts'

/** Only root can be another user too. */
const isRoot = process.getuid?.() === 0
const NOBODY = 65_534
/** `daemon`: a user of every machine, and in no group of ours. */
const STRANGER = 1

const publisher = scenarios.get('publisher') as Scenario

async function run(args: readonly string[], as: { readonly uid?: number; readonly gid?: number } = {}): Promise<Ended> {
  const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8' }
  const child = spawn(process.execPath, args, { env, ...as, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, ...output }
}

type Attempt = readonly ['connect' | 'open' | 'list' | 'signal', string]

const ATTEMPTS = `
  const fs = require('node:fs'), net = require('node:net')
  process.setgroups([]); process.setgid(${NOBODY}); process.setuid(${NOBODY})
  const fails = async (kind, at) => {
    try {
      if (kind === 'open') fs.closeSync(fs.openSync(at, 'r'))
      else if (kind === 'list') fs.readdirSync(at)
      else if (kind === 'signal') process.kill(Number(at.split(' ')[0]), at.split(' ')[1])
      else await new Promise((resolve, reject) => net.connect(at, resolve).on('error', reject))
      return 'done'
    } catch (error) { return error.code }
  }
  const attempts = JSON.parse(process.argv[1])
  Promise.all(attempts.map(async ([kind, at]) => [kind, at, await fails(kind, at)]))
    .then((all) => { console.log(JSON.stringify(all)); process.exit() })`

/** What nobody gets for each attempt; one that works says "done". */
async function asNobody(attempts: readonly Attempt[]): Promise<readonly [string, string, string][]> {
  const { stdout, stderr } = await run(['-e', ATTEMPTS, JSON.stringify(attempts)])
  expect(stderr).toBe('')
  return JSON.parse(stdout) as [string, string, string][]
}

/** A daemon at home, with everything in it that there can be: history, a journal, a key, a log, a backup. */
async function livedIn(): Promise<{ rig: Rig; files: string[] }> {
  const rig = new Rig()
  await rig.appliance('cucm-pub', publisher)
  await rig.prepare(['restart', 'cucm-pub', '-q'])
  await rig.prepare(['daemon', 'stop'])
  const file = path.join(rig.state, 'vosctl.db')
  const db = openDatabase(file)
  migrate(db, MIGRATIONS.length - 1, null)
  db.close()
  // Which makes a backup first.
  await rig.prepare(['hold', 'cucm-pub', '--reason', 'x'])
  // The way to the state directory is open, as that to a home is.
  fs.chmodSync(rig.directory, 0o755)
  const names = [...fs.readdirSync(rig.state), 'run/names.json', 'run/holder.json'].filter((name) => name !== 'run')
  return { rig, files: [...names.map((name) => path.join(rig.state, name)), path.join(rig.config, 'key')] }
}

describe.skipIf(!isRoot)('another user of the machine', { timeout: 60_000 }, () => {
  it('cannot connect, read, list, signal or look into the process', async () => {
    const { rig, files } = await livedIn()
    const kinds = ['vosctl.db', 'vosctl.db-wal', 'daemon.log', 'key', 'vosctl.db.before-v']
    for (const kind of kinds) expect(files.some((file) => path.basename(file).startsWith(kind))).toBe(true)
    const proc = `/proc/${rig.daemonPid}`
    const run = path.join(rig.state, 'run')
    const process: Attempt[] = [
      ['signal', `${rig.daemonPid} SIGTERM`],
      ['signal', `${rig.daemonPid} SIGUSR1`],
      ...['environ', 'mem', 'maps', 'auxv', 'io'].map((name): Attempt => ['open', `${proc}/${name}`]),
      ['list', `${proc}/fd`],
      ['list', `${proc}/map_files`],
    ]
    const opened = files.map((file): Attempt => ['open', file])
    const got = await asNobody([
      ['connect', rig.socket],
      ...opened,
      ['list', rig.state],
      ['list', run],
      ['list', rig.config],
      ...process,
    ])
    for (const [kind, at, code] of got)
      expect([kind, at, ['EACCES', 'EPERM'].includes(code) || code]).toEqual([kind, at, true])
    // One door behind the other: were the directories open, the files still would not be.
    for (const directory of [rig.state, run, rig.config]) fs.chmodSync(directory, 0o755)
    const second = await asNobody([['connect', rig.socket], ...opened])
    for (const [kind, at, code] of second) expect([kind, at, code]).toEqual([kind, at, 'EACCES'])
    // The attempts are real: root's own succeed.
    const own = await asNobody([['list', rig.state]])
    expect(own).toEqual([['list', rig.state, 'done']])
    expect(rig.daemonPid).not.toBeNull()
  })

  it.each([
    ['the socket', (rig: Rig) => [rig.socket]],
    ['the directory of the socket, and the socket', (rig: Rig) => [path.dirname(rig.socket), rig.socket]],
    ['the state directory and all in it', (rig: Rig) => [rig.state, path.dirname(rig.socket), rig.socket]],
  ])('who has planted %s is not spoken to, by no command', async (_, planted) => {
    const rig = new Rig()
    fs.mkdirSync(path.dirname(rig.socket), { recursive: true, mode: 0o700 })
    let callers = 0
    const server = createServer((socket) => {
      callers++
      socket.destroy()
    }).listen(rig.socket)
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    for (const place of planted(rig)) fs.chownSync(place, NOBODY, NOBODY)
    const before = fs.lstatSync(rig.socket)
    const commands = [['ps'], ['daemon', 'stop']]
    const all = await Promise.all(commands.map((words) => rig.run(words)))
    for (const { status, stdout, stderr } of all) {
      expect(status).toBe(7)
      expect(stdout + stderr).toMatch(/belongs to (?:uid 65534|nobody)/)
    }
    const daemon = await run([VOSD, '--state-dir', rig.state, '--config-dir', rig.config])
    expect(daemon).toMatchObject({ status: 7, stderr: expect.stringContaining('belongs to uid 65534') as string })
    expect(callers).toBe(0)
    const after = fs.lstatSync(rig.socket)
    expect([after.ino, after.mode, after.ctimeMs]).toEqual([before.ino, before.mode, before.ctimeMs])
  })

  it('cannot decide what the settings say', async () => {
    const rig = new Rig()
    fs.mkdirSync(rig.config, { mode: 0o700 })
    fs.writeFileSync(path.join(rig.config, 'config.yaml'), 'history: 1d\n')
    fs.chownSync(path.join(rig.config, 'config.yaml'), NOBODY, NOBODY)
    const { status, stderr } = await rig.run(['ps'])
    expect({ status, stderr }).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('config.yaml belongs') as string,
    })
    expect(fs.existsSync(rig.state)).toBe(false)
    const { stdout } = await rig.run(['doctor', '-q'])
    expect(stdout).toMatch(/^FAIL {2}state .*config\.yaml belongs to uid 65534 .*\n {6}If it is yours: chown -h 0 \//m)
  })
})

it('a log that is a link is not written to, nor read: exit 7', { timeout: 60_000 }, async () => {
  const rig = new Rig()
  fs.mkdirSync(rig.state, { mode: 0o700 })
  const precious = path.join(rig.directory, 'precious')
  fs.writeFileSync(precious, 'precious')
  fs.symlinkSync(precious, path.join(rig.state, 'daemon.log'))
  for (const words of [['ps'], ['daemon', 'logs']]) {
    const { status, stderr } = await rig.run(words)
    expect({ status, stderr }).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('a symbolic link') as string,
    })
  }
  expect(fs.readFileSync(precious, 'utf8')).toBe('precious')
})

describe.skipIf(!isRoot)('a group that shares the daemon', { timeout: 60_000 }, () => {
  it('uses it, starts none, and reads nothing but what the daemon tells', async () => {
    const rig = new Rig()
    fs.chmodSync(rig.directory, 0o755)
    fs.mkdirSync(rig.config, { mode: 0o700 })
    const group = fs
      .readFileSync('/etc/group', 'utf8')
      .split('\n')
      .find((line) => line.split(':')[2] === String(NOBODY))
    fs.writeFileSync(path.join(rig.config, 'config.yaml'), `group: ${group?.split(':')[0]}\n`)
    await rig.appliance('cucm-pub', publisher)
    const pid = rig.daemonPid
    const modes = [rig.state, path.dirname(rig.socket), rig.socket].map((place) => {
      const { mode, uid, gid } = fs.statSync(place)
      return [(mode & 0o777).toString(8), uid, gid]
    })
    expect(modes).toEqual([
      ['750', 0, NOBODY],
      ['750', 0, NOBODY],
      ['660', 0, NOBODY],
    ])
    const files = ['vosctl.db', 'vosctl.db-wal', 'daemon.log'].map((name): Attempt => [
      'open',
      path.join(rig.state, name),
    ])
    const got = await asNobody([...files, ['open', path.join(rig.config, 'key')], ['signal', `${pid} SIGTERM`]])
    for (const [kind, at, code] of got)
      expect([kind, at, ['EACCES', 'EPERM'].includes(code) || code]).toEqual([kind, at, true])

    const member = (...words: string[]) =>
      run([VOSCTL, '--state-dir', rig.state, ...words], { uid: NOBODY, gid: NOBODY })
    expect(await member('restart', 'cucm-pub', '-q')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect((await rig.run(['doctor'])).stdout).toMatch(new RegExp(`^ok +state .*shared with group ${NOBODY}$`, 'm'))

    expect(await member('daemon', 'logs')).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('cannot be read: EACCES') as string,
    })

    const stranger = await run([VOSCTL, '--state-dir', rig.state, 'ps'], { uid: STRANGER, gid: STRANGER })
    expect(stranger).toMatchObject({ status: 7, stderr: expect.stringContaining('belongs to root') as string })

    // One that is stopped is started by its owner only.
    expect(await member('daemon', 'restart')).toMatchObject({ status: 7 })
    expect(rig.daemonPid).toBe(pid)
    expect((await member('daemon', 'stop')).status).toBe(0)
    expect(await member('ps')).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('belongs to root') as string,
    })
    expect(rig.daemonPid).toBeNull()

    // Settings that name no group leave nothing open.
    fs.rmSync(path.join(rig.config, 'config.yaml'))
    const { status, stderr } = await rig.run(['ps'])
    expect({ status, stderr }).toMatchObject({
      status: 7,
      stderr: expect.stringContaining(`chmod 700 ${rig.state}`) as string,
    })
  })
})
