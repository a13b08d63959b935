import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Names } from '../../src/core/names.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, VOSCTL } from '../helpers/rig.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { Tmux } from '../helpers/tmux.ts'
import { requireTool } from '../helpers/tools.ts'
import { until } from '../helpers/wait.ts'

const publisher = scenarios.get('publisher') as Scenario

/** The words that fish would offer; the flag of the rig would stand in the place of the hidden command. */
function ask(rig: Rig, ...words: string[]): string[] {
  const argv = [VOSCTL, 'complete', 'fish', '--state-dir', rig.state, ...words]
  const lines = execFileSync(process.execPath, argv, { encoding: 'utf8' }).split('\n').slice(0, -1)
  return lines.map((line) => line.replace(/\t.*/, ''))
}

describe('the names that complete', { timeout: 60_000 }, () => {
  it('follow connections as they come, change and go, and outlive the daemon', async () => {
    const rig = new Rig()
    const file = path.join(rig.state, 'run', 'names.json')
    await rig.prepare(['connections', 'add', 'cucm-pub', '--host', '127.0.0.1', '--username', 'admin'])
    const offers = (...names: string[]) =>
      until(
        `${names.join(', ')} completes`,
        () => JSON.stringify(ask(rig, 'restart', '')) === JSON.stringify(names),
        15_000,
      )
    await offers('cucm-pub')
    expect(fs.statSync(file).mode & 0o777).toBe(0o600)
    await rig.prepare(['connections', 'add', 'web-01', '--host', '127.0.0.2', '--username', 'a', '--platform', 'linux'])
    await rig.prepare(['connections', 'edit', 'cucm-pub', '--name', 'cucm-old'])
    await offers('cucm-old', 'web-01')
    await rig.prepare(['connections', 'remove', 'cucm-old', '--yes'])
    await offers('web-01')
    const pid = rig.daemonPid
    await rig.killDaemon()
    expect(ask(rig, 'restart', '')).toEqual(['web-01'])
    // Whoever starts writes its own number there.
    expect(rig.daemonPid).toBe(pid)
  })

  it('hold the services that a device has shown, and the operations with how they ended', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', publisher)
    await rig.prepare(['test', 'cucm-pub', '-q'])
    const { stdout } = await rig.prepare(['restart', 'cucm-pub', '-d'])
    const id = stdout.trim()
    expect((await rig.run(['wait', id])).status).toBe(0)
    // A daemon that stops writes what it had not written yet.
    await rig.prepare(['daemon', 'stop'])
    const names = JSON.parse(fs.readFileSync(path.join(rig.state, 'run', 'names.json'), 'utf8')) as Names
    expect(names.operations[0]).toMatchObject({ id, connection: 'cucm-pub', status: 'completed', open: false })
    expect(names.connections[0]?.services).toEqual(expect.arrayContaining(['Cisco Tomcat', 'Cisco Tftp']))
    expect(ask(rig, 'restart', 'cucm-pub', '-s', '')).toContain('Cisco Tftp')
    expect(ask(rig, 'cancel', '')).toEqual([])
    expect(ask(rig, 'logs', '')).toContain(id)
  })

  it('are not worth a word more than one in the log when they cannot be written, and nothing else suffers', async () => {
    const rig = new Rig()
    // Where the file is written before it gets its name.
    fs.mkdirSync(path.join(rig.state, 'run', '.names.json.new'), { recursive: true, mode: 0o700 })
    await rig.appliance('cucm-pub', publisher)
    expect((await rig.run(['restart', 'cucm-pub', '-q'])).status).toBe(0)
    await rig.prepare(['daemon', 'stop'])
    expect(rig.log().match(/names for completion were not written/g)).toHaveLength(1)
    expect(ask(rig, 'restart', '')).toEqual([])
  })

  it('do not keep a service from being mistyped: exit 2 with the right one, and nothing was sent', async () => {
    const rig = new Rig()
    const simulator = await rig.appliance('cucm-pub', publisher)
    const { status, stderr } = await rig.run(['restart', 'cucm-pub', '-s', 'Cisco Tomact'])
    expect(status).toBe(2)
    expect(stderr).toContain('There is no service "Cisco Tomact" on this device. Nothing was sent')
    expect(stderr).toContain('"Cisco Tomcat" [STARTED]')
    expect(simulator.ledger.restarts()).toEqual([])
  })

  it('tell a connection in the place of a command from a mistyped one', async () => {
    const rig = new Rig()
    await rig.prepare(['connections', 'add', 'cucm-pub', '--host', '127.0.0.1', '--username', 'admin'])
    await rig.prepare(['daemon', 'stop'])
    const { status, stderr } = await rig.run(['cucm-pub'])
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr:
        'vosctl: "cucm-pub" is a connection, not a command. Nothing was sent to it.\n' +
        '  Say what to do with it: vosctl status cucm-pub, vosctl restart cucm-pub\n',
    })
    expect(rig.daemonPid).toBeNull()
  })
})

const tmux = requireTool('tmux')

/** How each shell is started bare, and how it takes its completion; `vosctl` then shows what it was given. */
const SHELLS = {
  bash: {
    arguments: ['--norc', '--noprofile', '-i'],
    setUp: [`source <(command vosctl completion bash); vosctl() { printf '<%s>\\n' "\${@: -1}"; }; PS1='% '`],
  },
  zsh: {
    arguments: ['-f', '-i'],
    setUp: [
      'autoload -U compinit; compinit -D -u; source <(command vosctl completion zsh)',
      `vosctl() { printf '<%s>\\n' "\${@[-1]}"; }; PS1='%% '`,
    ],
  },
  fish: {
    arguments: ['--no-config', '--private', '-i'],
    setUp: [
      'set -g fish_autosuggestion_enabled 0; command vosctl completion fish | source; function fish_prompt; echo -n "% "; end',
      `function vosctl; printf '<%s>\\n' "$argv[-1]"; end`,
    ],
  },
} as const

/** Each is told from the others by its first letter. */
const SERVICES = [
  'Cisco Tomcat',
  'D $(touch pwned)',
  'E `touch pwned`',
  `F'; touch pwned; "`,
  'G" & touch pwned #',
  'H | touch pwned > ~/* {a,b} ?[x] ^ % =',
  'I \\',
  'J\n$(touch pwned)',
] as const

describe.each(['bash', 'zsh', 'fish'] as const)('%s', (name) => {
  const shell = requireTool(name)

  it.skipIf(shell === null || tmux === null)(
    'puts every name on the line as what it is, and runs nothing of it',
    { timeout: 120_000 },
    async () => {
      const terminal = new Shell(name, shell ?? '')
      for (const service of SERVICES) {
        const [letter = ''] = service
        const shown = service.includes('\n') ? letter : service
        await terminal.enter(`vosctl restart cucm-pub -s ${letter}`, `<${shown}>`)
      }
      await terminal.enter(`vosctl restart cucm-pub --service=C`, '<--service=Cisco Tomcat>')
      await terminal.enter(`vosctl restart cucm-pub -s "C`, '<Cisco Tomcat>')
      await terminal.enter(`vosctl restart cucm-pub -s 'F`, `<${SERVICES[3]}>`)
      await terminal.enter('vosctl restart cuc', '<cucm-pub>')
      await terminal.enter('vosctl connections l', '<list>')
      await terminal.enter('vosctl restart cucm-pub --if-running at', '<attach>')
      await terminal.enter('vosctl ps --state-dir ./here-i', '<./here-it-is')
      expect(fs.readdirSync(terminal.directory).filter((file) => file.startsWith('pwned'))).toEqual([])
    },
  )
})

/** An interactive shell, in a directory of its own, with a house that has one connection with strange services. */
class Shell extends Tmux {
  readonly directory: string
  readonly #ready: Promise<unknown>

  constructor(name: keyof typeof SHELLS, shell: string) {
    const directory = temporaryDirectory()
    const bin = path.join(directory, 'bin')
    const run = path.join(directory, 'state', 'run')
    for (const each of [bin, run, path.join(directory, 'here-it-is')])
      fs.mkdirSync(each, { recursive: true, mode: 0o700 })
    fs.writeFileSync(path.join(bin, 'vosctl'), `#!/bin/sh\nexec '${process.execPath}' '${VOSCTL}' "$@"\n`, {
      mode: 0o755,
    })
    const connection = { id: 1, name: 'cucm-pub', platform: 'vos', service: null, services: SERVICES } as const
    const names: Names = { connections: [connection], operations: [] }
    fs.writeFileSync(path.join(run, 'names.json'), JSON.stringify(names), { mode: 0o600 })
    const env = {
      PATH: `${bin}:${process.env['PATH']}`,
      HOME: directory,
      LANG: 'C.UTF-8',
      TERM: 'screen',
      HISTFILE: '/dev/null',
      VOSCTL_STATE_DIR: path.join(directory, 'state'),
    }
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    const command = ['env', '-i', ...variables, shell, ...SHELLS[name].arguments]
    const socket = path.join(directory, 'tmux')
    super({ socket, columns: 150, rows: 50, command, cwd: directory, patienceMs: 20_000 })
    onTestFinished(() => this.close())
    this.directory = directory
    this.#ready = this.#setUp(SHELLS[name].setUp)
  }

  async #setUp(lines: readonly string[]): Promise<void> {
    for (const [index, line] of lines.entries()) {
      // Read by the shell before the next line is typed.
      this.line(`${line}; printf 'ready%s\\n' -${index}`)
      await this.shows(`ready-${index}`)
    }
  }

  /** Types the beginning of a line, presses Tab, and Enter once the shell has answered it; waits for what is printed. */
  async enter(begun: string, printed: string): Promise<void> {
    await this.#ready
    this.press('C-l')
    this.write(begun)
    const typed = await this.shows(begun)
    this.press('Tab')
    if (printed !== `<${begun.at(-1)}>`) await this.until(`Tab behind ${begun}`, (screen) => screen !== typed)
    this.press('Enter')
    await this.shows(printed)
    // Whatever an unfinished quote has left.
    this.press('C-c')
  }
}
