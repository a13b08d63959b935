import { execFileSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import ssh2 from 'ssh2'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Leaving } from '../../src/cli/leaving.ts'
import { run } from '../../src/cli/run.ts'
import { createHostKey } from '../../src/simulator/host-key.ts'
import { scenarios, startSimulator, type Scenario, type Simulator } from '../../src/simulator/index.ts'
import { Rig, timings, type Ended } from '../helpers/rig.ts'
import { startSshd } from '../helpers/sshd.ts'
import { fakeIo } from '../cli/render-scenes.ts'
import { createValidator } from '../helpers/schemas.ts'
import { tmux } from '../helpers/terminal.ts'
import { requireTool } from '../helpers/tools.ts'

const publisher = scenarios.get('publisher') as Scenario
const KEYSCAN = requireTool('ssh-keyscan')
const trust = (...words: string[]) => ['connections', 'trust', 'cucm-pub', ...words]

/** The client in this process, at the real daemon: many questions in the time of one program. */
async function ask(rig: Rig, args: readonly string[]): Promise<Ended> {
  const io = fakeIo({ env: { VOSCTL_CONFIG_DIR: rig.config, PATH: process.env['PATH'] } })
  const status = await run(['--state-dir', rig.state, ...args], io.io, new Leaving(() => {}))
  return { status, stdout: io.stdout(), stderr: io.stderr() }
}

async function answer(rig: Rig, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await ask(rig, args)
  expect({ status, stderr }).toMatchObject({ status: 0 })
  return stdout
}

/** An appliance of which nobody has pinned a key yet. */
async function stranger(rig: Rig, flags: readonly string[] = []) {
  const key = createHostKey('ssh-ed25519')
  const simulator = await startSimulator(publisher, { timeScale: 0.002, hostKey: key })
  onTestFinished(() => simulator.stop())
  const address = ['--host', simulator.host, '--port', String(simulator.port), '--username', simulator.username]
  await rig.prepare(['connections', 'add', 'cucm-pub', ...address, ...timings(0.002), ...flags])
  await rig.prepare(['credentials', 'set', 'cucm-pub', '--stdin'], { input: `${simulator.password}\n` })
  return { simulator, line: lineOf(key.privateKey) }
}

function lineOf(privateKey: string): string {
  const key = ssh2.utils.parseKey(privateKey)
  if (key instanceof Error) throw key
  return `${key.type} ${key.getPublicSSH().toString('base64')}`
}

async function pinned(rig: Rig): Promise<string | null> {
  const stdout = await answer(rig, ['connections', 'show', 'cucm-pub', '-o', 'json'])
  const { host_key: key } = JSON.parse(stdout) as { host_key: { fingerprint: string } | null }
  return key?.fingerprint ?? null
}

const change = (simulator: Simulator): string => {
  simulator.changeHostKey()
  return simulator.hostKey.fingerprint
}

describe('without a terminal', { timeout: 60_000 }, () => {
  it('a key is pinned only for whoever brings its fingerprint along, and no word of ours gives it away', async () => {
    const rig = new Rig()
    const { simulator } = await stranger(rig)
    const { fingerprint } = simulator.hostKey
    for (const words of [[], ['--yes'], ['--replace']]) {
      const { status, stdout, stderr } = await ask(rig, trust(...words))
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
      expect(stderr).not.toContain(fingerprint.slice(7, 20))
      expect(stderr).toContain('shows an ssh-ed25519 key, and nobody vouches for it')
      expect(stderr).toContain('Compare it with what the device itself has')
    }
    expect((await ask(rig, trust('--fingerprint', `SHA256:${'A'.repeat(43)}`))).status).toBe(6)
    expect((await ask(rig, trust('--fingerprint', 'MD5:00:11'))).status).toBe(2)
    expect(await pinned(rig)).toBeNull()
    expect((await ask(rig, trust('--fingerprint', fingerprint))).status).toBe(0)
    expect(await pinned(rig)).toBe(fingerprint)
  })

  it('a pinned key is replaced only for whoever knows both', async () => {
    const rig = new Rig()
    const simulator = await rig.appliance('cucm-pub', publisher)
    const old = simulator.hostKey.fingerprint
    const next = change(simulator)
    expect((await ask(rig, ['test', 'cucm-pub'])).status).toBe(6)
    for (const [words, expected] of [
      [[], 6],
      [['--yes'], 6],
      [['--fingerprint', next], 6],
      [['--replace', '--fingerprint', next], 6],
      [['--replace', '--old', old], 6],
      [['--old', old, '--fingerprint', next], 2],
      [['--replace', '--old', next, '--fingerprint', next], 2],
      [['--replace', '--old', old, '--fingerprint', old], 6],
    ] as const) {
      const { status, stderr } = await ask(rig, trust(...words))
      expect({ words, status }).toEqual({ words, status: expected })
      if (!(words as readonly string[]).some((word) => word === next || word === old))
        expect(stderr).not.toContain(next)
    }
    expect(await pinned(rig)).toBe(old)
    await answer(rig, trust('--replace', '--old', old, '--fingerprint', next))
    expect(await pinned(rig)).toBe(next)
    expect((await ask(rig, ['test', 'cucm-pub'])).status).toBe(0)
  })
})

describe('--from-known-hosts', { timeout: 60_000 }, () => {
  it('pins what the device shows and the file vouches for, and nothing else', async () => {
    const rig = new Rig()
    const { simulator, line } = await stranger(rig)
    const name = `[${simulator.host}]:${simulator.port}`
    const file = (text: string): string => {
      const place = path.join(rig.directory, 'known_hosts')
      fs.writeFileSync(place, text)
      return place
    }
    const other = lineOf(createHostKey('ssh-ed25519').privateKey)
    for (const [text, expected, words] of [
      ['', 2, `no key for cucm-pub, under the name ${name}`],
      [`${simulator.host} ${line}`, 2, 'under the name'],
      [
        `${name} ssh-dss ${Buffer.from('\0\0\0\u0007ssh-dssx').toString('base64')}`,
        2,
        'vosctl does not check (ssh-dss)',
      ],
      [`@revoked ${name} ${line}\n${name} ${line}`, 2, 'but revoked ones'],
      [`@revoked * ${line}\n${name} ${other}`, 6, 'revokes that key'],
      [`@cert-authority ${name} ${line}`, 2, '@cert-authority is ignored'],
      [`${name} ${other}`, 6, 'has another one for it'],
      ['\u001b[2J\0\u202e'.repeat(1000), 2, 'no key for cucm-pub'],
    ] as const) {
      const { status, stderr } = await ask(rig, trust('--from-known-hosts', file(text)))
      expect({ status, stderr }).toEqual({ status: expected, stderr: expect.stringContaining(words) as string })
    }
    expect((await ask(rig, trust('--from-known-hosts', rig.directory))).status).toBe(2)
    expect(await pinned(rig)).toBeNull()
    const salt = Buffer.alloc(20, 7)
    const hash = createHmac('sha1', salt).update(name).digest('base64')
    const stdout = await answer(
      rig,
      trust('--from-known-hosts', file(`# hashed\n|1|${salt.toString('base64')}|${hash} ${line}\n`)),
    )
    expect(stdout).toBe(`pinned ssh-ed25519 ${simulator.hostKey.fingerprint} for cucm-pub\n`)
    expect(await pinned(rig)).toBe(simulator.hostKey.fingerprint)
    // It vouches for a first key; to replace one needs its fingerprint as well.
    const next = createHostKey('ssh-ed25519')
    simulator.changeHostKey(next)
    const newer = file(`${name} ${lineOf(next.privateKey)}`)
    expect((await ask(rig, trust('--from-known-hosts', newer))).status).toBe(6)
    expect(await pinned(rig)).not.toBe(next.fingerprint)
    await answer(rig, trust('--from-known-hosts', newer, '--replace', '--old', (await pinned(rig)) ?? ''))
    expect(await pinned(rig)).toBe(next.fingerprint)
  })

  it.skipIf(!KEYSCAN || !requireTool('sshd'))(
    'asks a server of several keys for the type that stands in the file',
    async () => {
      const rig = new Rig()
      const sshd = await startSshd({ hostKeyTypes: ['ed25519', 'rsa'] })
      onTestFinished(() => sshd.stop())
      const file = path.join(rig.directory, 'known_hosts')
      const scan = ['-t', 'rsa', '-p', String(sshd.port), sshd.host]
      fs.writeFileSync(file, execFileSync(KEYSCAN ?? '', scan, { stdio: ['ignore', 'pipe', 'ignore'] }))
      const address = ['--host', sshd.host, '--port', String(sshd.port), '--username', 'x', '--platform', 'linux']
      await rig.prepare(['connections', 'add', 'cucm-pub', ...address])
      expect((await ask(rig, trust())).stderr).toContain('ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')
      const stdout = await answer(rig, trust('--from-known-hosts', file))
      expect(stdout).toMatch(/^pinned ssh-rsa \(3072 bits\) SHA256:/)
      // The same through a jump host, which is this server too: no other login than the jump host's is made.
      const hop = [...address.slice(0, 5), sshd.username, '--platform', 'linux', '--key', sshd.keyPath]
      await rig.prepare(['connections', 'add', 'bastion', ...hop])
      await rig.prepare(['connections', 'trust', 'bastion', '--fingerprint', sshd.hostKey.fingerprint])
      await rig.prepare(['connections', 'add', 'behind', ...address, '--via', 'bastion'])
      const behind = ['connections', 'trust', 'behind']
      expect((await ask(rig, behind)).stderr).toContain('shows an ssh-ed25519 key')
      expect(await answer(rig, [...behind, '--from-known-hosts', file])).toBe(stdout.replace('cucm-pub', 'behind'))
      expect(sshd.log().match(/^(Accepted|Failed) publickey /gm)).toHaveLength(2)
    },
  )
})

describe('a connection of a lab', { timeout: 60_000 }, () => {
  it('takes the first key, says so everywhere, and no other one', async () => {
    const rig = new Rig()
    const check = createValidator()
    const { simulator } = await stranger(rig, ['--accept-new'])
    const first = simulator.hostKey.fingerprint
    expect(await answer(rig, ['connections', 'list'])).toContain('none, accept-new')
    const stdout = await answer(rig, ['test', 'cucm-pub', '-o', 'json'])
    const operation = JSON.parse(stdout) as { session: object; message: string }
    expect(check('vosctl/operation/v1', operation)).toBeNull()
    expect(operation.message).toContain('host key pinned on first sight')
    expect(operation.session).toMatchObject({
      host_key: { type: 'ssh-ed25519', fingerprint: first },
      algorithms: { kex: 'curve25519-sha256', host_key: 'ssh-ed25519', cipher: 'aes128-gcm@openssh.com' },
    })
    expect(await pinned(rig)).toBe(first)
    const logs = await answer(rig, ['logs', 'last'])
    expect(logs).toMatch(new RegExp(`pinned the host key on first sight: ssh-ed25519 ${first.replace(/[+/]/g, '.')}`))
    expect(logs).toContain('curve25519-sha256, ssh-ed25519, aes128-gcm@openssh.com')
    expect(await answer(rig, ['status', 'last'])).toMatch(/^session +SSH-2\.0-\S+, curve25519-sha256, /m)
    expect((await ask(rig, ['doctor'])).stdout).toMatch(
      /^warn {2}accept-new +cucm-pub pins the first host key .*\n +vosctl connections edit cucm-pub --no-accept-new$/m,
    )
    change(simulator)
    const logins = simulator.ledger.of('auth').length
    expect((await ask(rig, ['test', 'cucm-pub'])).status).toBe(6)
    expect(simulator.ledger.of('auth')).toHaveLength(logins)
    expect(await pinned(rig)).toBe(first)
    await answer(rig, ['connections', 'edit', 'cucm-pub', '--no-accept-new'])
    expect(await answer(rig, ['connections', 'show', 'cucm-pub'])).not.toContain('accept-new')
  })
})

describe.skipIf(tmux === null)('on a terminal', { timeout: 60_000 }, () => {
  it('a changed key is shown beside the pinned one, and Enter alone keeps that', async () => {
    const rig = new Rig()
    const simulator = await rig.appliance('cucm-pub', publisher)
    const address = ['--host', simulator.host, '--port', String(simulator.port), '--username', 'x']
    await answer(rig, ['connections', 'add', 'alias', ...address])
    await answer(rig, ['connections', 'trust', 'alias', '--fingerprint', simulator.hostKey.fingerprint])
    const old = simulator.hostKey.fingerprint
    const next = change(simulator)
    const terminal = rig.terminal(110, 30)
    await terminal.lineAfresh('vosctl connections trust cucm-pub; echo status $?')
    const screen = await terminal.shows('Replace the pinned key by the new one? [y/N]')
    expect(screen).toContain('has CHANGED.')
    expect(screen).toMatch(new RegExp(`pinned +ssh-ed25519 ${old.replace(/[+/]/g, '.')}`))
    expect(screen).toMatch(new RegExp(`shown +ssh-ed25519 ${next.replace(/[+/]/g, '.')}`))
    expect(screen).toMatch(/another +is pinned for alias \(127\.0\.0\.1:\d+\), the same device/)
    terminal.line('')
    await terminal.shows('status 2')
    expect(await pinned(rig)).toBe(old)
    await terminal.lineAfresh('vosctl connections trust cucm-pub; echo status $?')
    await terminal.shows('Replace the pinned key by the new one? [y/N]')
    terminal.line('y')
    await terminal.shows('status 0')
    expect(await pinned(rig)).toBe(next)
    await terminal.lineAfresh('vosctl test cucm-pub; echo status $?')
    expect(await terminal.shows('status 0')).toContain('over curve25519-sha256, ssh-ed25519, aes128-gcm@openssh.com')
  })

  it('an answer counts for what was shown, and for nothing that somebody has made of it meanwhile', async () => {
    const rig = new Rig()
    const { simulator } = await stranger(rig)
    const { username, port } = simulator
    const terminal = rig.terminal(110, 30)
    await terminal.lineAfresh('vosctl connections trust cucm-pub; echo status $?')
    await terminal.shows('Is it the right one? Pin it? [y/N]')
    await answer(rig, ['connections', 'edit', 'cucm-pub', '--host', '127.0.0.2'])
    terminal.line('y')
    const screen = await terminal.shows('status 2')
    expect(screen).toContain(`cucm-pub was changed meanwhile: it is 127.0.0.2:${port} now. Nothing was changed.`)
    expect(await pinned(rig)).toBeNull()
    await terminal.lineAfresh('vosctl credentials set cucm-pub; echo status $?')
    await terminal.shows(`Password of ${username} on cucm-pub:`)
    await answer(rig, ['connections', 'edit', 'cucm-pub', '--username', 'other'])
    terminal.line('typed-for-another-7')
    expect(await terminal.shows('status 2')).toContain(`it is other@127.0.0.2:${port} now. Nothing was changed.`)
    expect(await answer(rig, ['connections', 'show', 'cucm-pub'])).toMatch(/^credential +none/m)
  })
})
