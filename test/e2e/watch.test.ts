import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, test, type ExpectStatic, type TestContext } from 'vitest'
import { scenarios, type Scenario, type Simulator } from '../../src/simulator/index.ts'
import { DaemonStandIn, type Answers } from '../cli/daemon-stand-in.ts'
import { Rig, VOSCTL } from '../helpers/rig.ts'
import { atEndOfAll } from '../helpers/temporary.ts'
import { PATIENCE_MS, type Terminal, tmux } from '../helpers/terminal.ts'
import { until } from '../helpers/wait.ts'

/** The dashboard as people have it: the built program, a daemon, simulated appliances and a real terminal. */

const publisher = scenarios.get('publisher') as Scenario

const header = /^vosctl watch/gm

describe.skipIf(tmux === null)('watch on a terminal (needs tmux)', { timeout: 4 * PATIENCE_MS }, () => {
  /** One house for all, with a restart under way. */
  const atEnd = atEndOfAll()
  let rig: Rig
  let appliance: Simulator
  let id = ''

  beforeAll(async () => {
    rig = new Rig(atEnd)
    appliance = await rig.appliance('cucm-pub', publisher, { timeScale: 0.1 })
    await beginRestart()
  }, 4 * PATIENCE_MS)

  /** It stands still in the middle until the appliance is told to go on. */
  async function beginRestart(): Promise<void> {
    id = (await rig.prepare(['restart', 'cucm-pub', '--detach'])).stdout.trim()
    const isTomcat = ({ name }: { readonly name: string }) => name === 'Cisco Tomcat'
    await until('it stops', () => appliance.services.find(isTomcat)?.state === 'STOPPING', 2 * PATIENCE_MS)
    appliance.pauseOutput()
  }

  interface Watching {
    readonly terminal: Terminal
    readonly pid: number
  }

  /** As a process of its own, so that a signal can be sent to it; the shell tells how it ended. */
  async function openWatch(columns: number, rows: number, { onTestFinished }: TestContext): Promise<Watching> {
    const terminal = rig.terminal(columns, rows, onTestFinished)
    const file = `${terminal.file}.pid`
    terminal.type(`(sh -c 'echo $$ > ${file}; exec ${process.execPath} ${VOSCTL} watch'); echo "status $?"`)
    await terminal.until('the row of the restart', (text) => isLive(text) && text.includes('cucm-pub'))
    return { terminal, pid: Number(readFileSync(file, 'utf8')) }
  }

  function isLive(screen: string): boolean {
    return (screen.split('\n')[0] ?? '').endsWith('live')
  }

  function leftNothingBehind(expect: ExpectStatic, terminal: Terminal, screen: string): void {
    expect(screen).toContain('history 1\nhistory 2\nhistory 3\n')
    expect(screen).not.toMatch(header)
    expect(terminal.erasures()).toEqual([])
  }

  test.concurrent(
    'what somebody else writes on the terminal is gone after Ctrl-L, and after a resize',
    async (context) => {
      const { expect } = context
      const { terminal } = await openWatch(80, 24, context)
      // As `wall` does: over the counts, and on a row in which there is nothing.
      const scribble = async () => {
        writeFileSync(terminal.tty, '\u001b7\u001b[2;1HSCRIBBLE\u001b[15;20HSCRIBBLE\u001b8')
        await terminal.shows('SCRIBBLE')
      }
      const isClean = (screen: string) => isLive(screen) && screen.includes('cucm-pub') && !screen.includes('SCRIBBLE')
      await scribble()
      terminal.press('C-l')
      await terminal.until('a clean screen', isClean)
      await scribble()
      terminal.resize(100, 30)
      expect(await terminal.until('a clean screen', isClean)).toContain('1 running')
      expect(terminal.erasures()).toEqual([])
    },
  )

  test.concurrent('ten resizes leave one header, and q gives the shell back as it was', async (context) => {
    const { expect } = context
    const { terminal } = await openWatch(80, 24, context)
    const sizes = [
      [120, 40],
      [79, 24],
      [45, 12],
      [160, 50],
      [59, 20],
      [80, 11],
      [100, 30],
      [46, 9],
      [140, 33],
      [80, 24],
    ]
    for (const [columns = 0, rows = 0] of sizes) {
      terminal.resize(columns, rows)
      const screen = await terminal.until(`one picture of ${columns}x${rows}`, (text) => {
        return isLive(text) && text.split('\n')[0]?.length === columns - 1 && text.includes('cucm-pub')
      })
      expect(screen.match(header)).toHaveLength(1)
    }
    terminal.press('q')
    const after = await terminal.shows('status 0')
    expect(after).toContain('left watch: 1 running, 0 late')
    leftNothingBehind(expect, terminal, after)
  })

  test.concurrent.for([
    ['Ctrl-C', 130, ({ terminal }: Watching): void => terminal.press('C-c')],
    ['SIGTERM', 143, ({ pid }: Watching): void => void process.kill(pid, 'SIGTERM')],
    ['SIGHUP', 129, ({ pid }: Watching): void => void process.kill(pid, 'SIGHUP')],
  ] as const)('%s ends it with %i', async ([, status, end], context) => {
    const { expect } = context
    const watching = await openWatch(80, 24, context)
    end(watching)
    const after = await watching.terminal.shows(`status ${status}`)
    expect(after).toContain('left watch: 1 running')
    leftNothingBehind(expect, watching.terminal, after)
  })

  test.concurrent('a killed pane leaves no client behind', async (context) => {
    const { terminal, pid } = await openWatch(80, 24, context)
    terminal.close()
    await until('the client is gone', () => !isAlive(pid), PATIENCE_MS)
  })

  test.concurrent(
    'after it was stopped it says how far behind it is, until it hears from the daemon',
    async (context) => {
      const { expect } = context
      const { terminal, pid } = await openWatch(80, 24, context)
      process.kill(pid, 'SIGSTOP')
      // Nothing can be awaited of a process that stands still: it must sleep longer than its frames are apart.
      await sleep(3_000)
      const before = terminal.bytes().length
      process.kill(pid, 'SIGCONT')
      await until('it has said so', () => / s behind/.test(terminal.bytes().slice(before)), PATIENCE_MS)
      expect((await terminal.until('live again', isLive)).match(header)).toHaveLength(1)
      // For its shell it is a background job now, which no signal reaches when the terminal is closed.
      terminal.close()
      await until('the client is gone', () => !isAlive(pid), PATIENCE_MS)
    },
  )

  test.concurrent('Ctrl-Z gives the terminal to the shell, and fg draws all of it again', async (context) => {
    const { expect } = context
    const { terminal } = await openWatch(80, 24, context)
    const picture = terminal.screen()
    terminal.press('C-z')
    const shell = await terminal.until('the shell', (text) => text.includes('Stopped'))
    expect(shell).toContain('history 1\nhistory 2\nhistory 3\n')
    terminal.line('echo lines on; echo the normal screen')
    await terminal.shows('\nlines on\nthe normal screen')
    terminal.line('fg')
    const again = await terminal.until('the picture', (text) => isLive(text) && text.includes('q quit'))
    expect(again.match(header)).toHaveLength(1)
    // What stands there but for the times.
    const heads = (text: string) => text.split('\n').map((line) => line.slice(0, 8))
    expect(heads(again)).toEqual(heads(picture))
    // A key, not a line: it is in raw mode again.
    terminal.press('?')
    await terminal.shows('select a row')
    terminal.press('q')
    leftNothingBehind(expect, terminal, await terminal.shows('left watch: 1 running'))
  })

  test.concurrent('a detached session is found again in the size of whoever attaches', async (context) => {
    const { expect } = context
    const { terminal } = await openWatch(80, 24, context)
    const outer = rig.terminal(120, 30, context.onTestFinished)
    for (const [columns, rows] of [
      [120, 30],
      [90, 20],
    ] as const) {
      outer.resize(columns, rows)
      outer.line(terminal.attachCommand)
      const screen = await outer.until('the whole width', (text) => text.split('\n')[0]?.length === columns - 1)
      expect(screen.match(header)).toHaveLength(1)
      terminal.detach()
      await outer.shows('[detached')
      outer.line('clear')
    }
    terminal.press('q')
    leftNothingBehind(expect, terminal, await terminal.shows('status 0'))
  })

  test('the keys: filter, log, details, pause, and attach to the end', async (context) => {
    const { expect } = context
    const { terminal } = await openWatch(80, 24, context)
    terminal.press('/')
    terminal.press('-l', 'nothing like it')
    expect(await terminal.shows('filter "nothing like it" hides 1')).toContain('1 running')
    terminal.press('Escape')
    await terminal.shows('>  cucm-pub')
    terminal.press('l')
    expect(await terminal.shows(`${id} lines 1-`)).toMatch(/^..:..:.. {2}accepted restart "Cisco Tomcat" on cucm-pub/m)
    terminal.press('Escape')
    await terminal.shows('>  cucm-pub')
    terminal.press('Enter')
    await terminal.shows('device transcript (l: full log)')
    terminal.press('Escape')
    await terminal.shows('>  cucm-pub')
    terminal.press('c')
    await terminal.shows('c: cannot cancel, the restart was sent at ')
    terminal.press('p')
    expect(await terminal.shows('paused, 0 changes since')).toMatch(/\((sent|stopping)\)/)
    terminal.press('p')
    await terminal.until('live', isLive)
    terminal.press('a')
    await terminal.shows('Ctrl-C leaves; the restart goes on.')
    appliance.resumeOutput()
    const after = await terminal.shows('status 0')
    expect(after).toContain('+ cucm-pub  restarted in')
    leftNothingBehind(expect, terminal, after)
  })

  test('a daemon that is killed is missed at once, and found again with its new pid', async (context) => {
    const { expect } = context
    await beginRestart()
    const { terminal } = await openWatch(160, 50, context)
    const pid = rig.daemonPid
    expect(terminal.screen()).toContain(`pid ${pid} up `)
    await rig.killDaemon()
    const gone = await terminal.shows('reconnecting (daemon gone 0m')
    expect(gone).toMatch(/cucm-pub .*\((sent|stopping)\)/)
    await rig.prepare(['daemon', 'start'])
    const back = await terminal.shows(`pid ${rig.daemonPid} up 0m`)
    expect(rig.daemonPid).not.toBe(pid)
    expect(back).not.toContain('reconnecting')
    const found = new RegExp(`${id} .* (checking|done|unknown) `)
    await terminal.until('what became of the restart', (text) => found.test(text))
    expect(back.match(header)).toHaveLength(1)
    expect(terminal.erasures()).toEqual([])
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe.skipIf(tmux === null)('watch through an upgrade (needs tmux)', { timeout: 2 * PATIENCE_MS }, () => {
  /** A client of its own, as installed, that watches a daemon which then speaks another protocol. */
  async function outgrown(rig: Rig, upgrade: (installed: string) => void): Promise<Terminal> {
    const installed = path.join(rig.directory, 'installed')
    const root = path.dirname(path.dirname(VOSCTL))
    for (const name of ['bin', 'dist', 'package.json']) {
      cpSync(path.join(root, name), path.join(installed, name), { recursive: true })
    }
    mkdirSync(path.dirname(rig.socket), { recursive: true, mode: 0o700 })
    const answers: Answers = {
      subscribe: () => ({ ok: true, value: { operations: [], cursor: 1, missed: null } }),
      'connection:list': () => ({ ok: true, value: [] }),
    }
    const daemon = new DaemonStandIn(answers, rig.socket)
    await daemon.start()
    const terminal = rig.terminal(80, 24)
    terminal.type(`${process.execPath} ${installed}/bin/vosctl --no-start watch; echo "status $?"`)
    await terminal.shows('No connections yet.')
    await daemon.stop()
    upgrade(installed)
    daemon.refusal = { code: 'daemon_version', message: 'The daemon is vosctl 99.0.0 (protocol 99).', hint: 'Update.' }
    await daemon.start()
    return terminal
  }

  test('the client that is installed now goes on in its place, with the same words', async ({ expect }) => {
    const terminal = await outgrown(new Rig(), (installed) => {
      writeFileSync(path.join(installed, 'package.json'), '{"version":"99.0.0"}')
      const successor = `process.stdin.on('data', (key) => { console.log('got', String(key).trim()); process.exit(5) })`
      writeFileSync(
        path.join(installed, 'bin/vosctl'),
        `console.log('new', process.argv.slice(2), process.env.FORCE_COLOR ?? 'plain'); ${successor}`,
      )
    })
    await terminal.shows("new [ '--no-start', 'watch' ] plain")
    terminal.line('hello')
    expect(await terminal.shows('status 5')).toContain('got hello')
  })

  test('without a newer client it leaves with 7 and says which two do not fit', async ({ expect }) => {
    const terminal = await outgrown(new Rig(), () => {})
    expect(await terminal.shows('status 7')).toContain('vosctl: The daemon is vosctl 99.0.0 (protocol 99).')
  })
})
