import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Rig, VOSCTL, VOSD } from '../helpers/rig.ts'
import { startSystemctl } from '../helpers/systemctl.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { accepts, until } from '../helpers/wait.ts'

/** A house with a trap: a module that writes down the words of every program that loads it. */
function trapped() {
  const rig = new Rig()
  const [module, caught] = [path.join(rig.directory, 'trap.cjs'), path.join(rig.directory, 'caught')]
  const text = `require('node:fs').appendFileSync(${JSON.stringify(caught)}, process.argv.join(' ') + '\\n')`
  fs.writeFileSync(module, text)
  const env = {
    NODE_OPTIONS: `--require ${module}`,
    NODE_EXTRA_CA_CERTS: '/secret-ca.pem',
    LD_PRELOAD: '/secret-library.so',
    LD_LIBRARY_PATH: '/secret-libraries',
    SSH_AUTH_SOCK: '/secret-agent',
    MY_SECRET: 'hunter2',
  }
  return { rig, env, caught: () => (fs.existsSync(caught) ? fs.readFileSync(caught, 'utf8') : '') }
}

/** Starts a program that stays, and waits for the daemon that it is or has. */
async function startAndStay(rig: Rig, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(process.execPath, args, { env: { PATH: process.env['PATH'], ...env }, stdio: 'ignore' })
  onTestFinished(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await until('the daemon listens', () => accepts(rig.socket), 30_000)
  return child.pid ?? 0
}

const WAYS = {
  'a command': async (rig: Rig, env: Record<string, string>) => {
    await rig.prepare(['ps'], { env })
  },
  'daemon run': async (rig: Rig, env: Record<string, string>) => {
    await startAndStay(rig, [VOSCTL, '--state-dir', rig.state, 'daemon', 'run'], {
      VOSCTL_CONFIG_DIR: rig.config,
      ...env,
    })
  },
  'a person, by hand': async (rig: Rig, env: Record<string, string>) => {
    const pid = await startAndStay(rig, [VOSD, '--state-dir', rig.state, '--config-dir', rig.config], env)
    // It has become another program and stays the same process, which is what a supervisor wants.
    expect(rig.daemonPid).toBe(pid)
  },
  'a unit': async (rig: Rig, env: Record<string, string>) => {
    await rig.prepare(['daemon', 'install', '--yes'], { env: { ...startSystemctl({ daemon: env }).env } })
  },
}

describe('a daemon that is started by', { timeout: 60_000 }, () => {
  it.each(Object.keys(WAYS) as (keyof typeof WAYS)[])(
    '%s has none of the environment, leaves no core, and opens no debugger',
    async (way) => {
      const { rig, env, caught } = trapped()
      await WAYS[way](rig, env)
      const proc = `/proc/${rig.daemonPid}`
      const names = fs
        .readFileSync(`${proc}/environ`, 'utf8')
        .split('\0')
        .map((word) => word.split('=')[0])
      const allowed = ['PATH', 'LANG', 'HOME', 'PWD', 'OLDPWD', 'SHLVL', '_', '']
      expect(names.filter((name) => !allowed.includes(name ?? ''))).toEqual([])
      // One that is started by hand walks into the trap, and then is another program, which does not.
      expect(caught()).not.toContain('--clean-start')
      if (way !== 'a person, by hand') expect(caught()).not.toContain('vosd')
      expect(fs.readFileSync(`${proc}/maps`, 'utf8')).not.toContain('secret')

      expect(fs.readFileSync(`${proc}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m)
      expect(fs.readFileSync(`${proc}/coredump_filter`, 'utf8').trim()).toBe('00000000')

      // In this order: the one that answers has had the signal, and a debugger would have opened its port.
      process.kill(rig.daemonPid ?? 0, 'SIGUSR1')
      expect((await rig.run(['daemon', 'status', '-o', 'name'])).stdout).toBe(`${rig.daemonPid}\n`)
      const status = fs.readFileSync(`${proc}/status`, 'utf8')
      expect(Number.parseInt(/^SigPnd:\t(\w+)$/m.exec(status)?.[1] ?? 'x', 16)).toBe(0)
      expect(listening(rig.daemonPid ?? 0)).toEqual([])
    },
  )

  it.each([
    ['NODE_OPTIONS', '--no-warnings', 7],
    ['LD_LIBRARY_PATH', '/nowhere', 7],
    ['SSH_AUTH_SOCK', '/agent', 0],
  ])('a person, on a Node that cannot become another program, with %s: exit', async (name, value, exit) => {
    const { directory } = new Rig()
    const old = path.join(directory, 'old.cjs')
    fs.writeFileSync(old, 'delete process.execve; process.on("exit", () => console.log(process.env.SSH_AUTH_SOCK))')
    const child = spawn(process.execPath, ['--require', old, VOSD, '--version'], { env: { [name]: value } })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    expect((await once(child, 'close'))[0]).toBe(exit)
    expect(stderr).toContain(exit === 7 ? `this environment sets ${name}.` : '')
    // Nor does it pass on what it must not have.
    expect(stdout).toContain('undefined')
  })

  it('is given the key that systemd hands over to its unit, and by a client that starts it none', async () => {
    const credentials = temporaryDirectory()
    fs.writeFileSync(path.join(credentials, 'vosctl-key'), Buffer.alloc(32, 'k'), { mode: 0o400 })
    const env = { CREDENTIALS_DIRECTORY: credentials }
    const unit = new Rig()
    await startAndStay(unit, [VOSD, '--state-dir', unit.state, '--config-dir', unit.config], env)
    const { stdout } = await unit.prepare(['key', 'status', '-o', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({ provider: 'systemd', state: 'open', path: `${credentials}/vosctl-key` })
    const client = new Rig()
    const forked = await client.prepare(['key', 'status', '-o', 'json'], { env })
    expect(JSON.parse(forked.stdout)).toMatchObject({ provider: 'file' })
  })

  it('falls into the trap where nothing guards it, so that the trap is one', async () => {
    const { rig, env, caught } = trapped()
    await rig.run(['--version'], { env })
    expect(caught()).toContain('vosctl')
  })
})

/** TCP ports of one process. */
function listening(pid: number): string[] {
  const own = fs.readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
    } catch {
      return []
    }
  })
  return ['tcp', 'tcp6']
    .flatMap((name) => fs.readFileSync(`/proc/${pid}/net/${name}`, 'utf8').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && own.includes(inode ?? ''))
    .map(([, local]) => local ?? '')
}
