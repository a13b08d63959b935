import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { DEFAULT_TIMINGS } from '../../src/core/connection.ts'
import type { Scenario, Simulator, SimulatorOptions } from '../../src/simulator/index.ts'
import { startSimulator } from '../../src/simulator/index.ts'
import { Hunt, toLines, type Leak } from './hunt.ts'
import { verifyFile } from './verify-history.ts'
import { Terminal } from './terminal.ts'
import { temporaryDirectory, type AtEnd } from './temporary.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
export const VOSCTL = path.join(ROOT, 'bin', 'vosctl')
export const VOSD = path.join(ROOT, 'bin', 'vosd')

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** What stands on standard input; nothing (an empty file) by default. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** One house for one test: the built programs on a state directory of their own. Everything ends with the test. */
export class Rig {
  readonly directory: string
  readonly state: string
  readonly config: string
  readonly socket: string
  readonly #children = new Set<ChildProcess>()
  readonly #atEnd: AtEnd
  #hunt = new Hunt()
  /** Everything that the client has said, so that the hunt reads it too. */
  readonly #said: { readonly args: readonly string[]; readonly output: Omit<Ended, 'status'> }[] = []
  readonly #leaks: Leak[] = []
  /** Files, from {@link directory}, into which the test itself has written a secret. */
  readonly ownFiles = new Set<string>()
  /** The test itself has changed the database. */
  isEdited = false

  constructor(atEnd: AtEnd = onTestFinished) {
    this.#atEnd = atEnd
    this.directory = temporaryDirectory(atEnd)
    atEnd(() => this.#findNoSecret())
    atEnd(() => this.#verifyHistory())
    this.state = path.join(this.directory, 'state')
    this.config = path.join(this.directory, 'config')
    this.socket = path.join(this.state, 'run', 'vosd.sock')
    atEnd(() => this.#killAll())
  }

  /** A terminal in which `vosctl` finds this house. */
  terminal(columns: number, rows: number, atEnd: AtEnd = this.#atEnd): Terminal {
    const env = { VOSCTL_STATE_DIR: this.state, VOSCTL_CONFIG_DIR: this.config, LANG: 'C.UTF-8' }
    const terminal = new Terminal({ directory: this.directory, columns, rows, env, atEnd })
    terminal.line(`vosctl() { ${process.execPath} ${VOSCTL} "$@"; }`)
    return terminal
  }

  /** Starts the built client; ends on its own or with the test. */
  start(args: readonly string[], { input = '', env = {} }: RunOptions = {}) {
    const child = spawn(process.execPath, [VOSCTL, '--state-dir', this.state, ...args], {
      env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', VOSCTL_CONFIG_DIR: this.config, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#children.add(child)
    const output = { stdout: '', stderr: '' }
    this.#said.push({ args, output })
    if (args.includes('--stdin')) this.hide('the password on standard input', input.split('\n')[0] ?? '')
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    const ended = once(child, 'close').then(([status]): Ended => {
      this.#children.delete(child)
      return { status: status as number | null, ...output }
    })
    return { child, output, ended }
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.start(args, options).ended
  }

  /** Runs a command that only prepares; fails the test with its words when it fails. */
  async prepare(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const ended = await this.run(args, options)
    if (ended.status !== 0) throw new Error(`vosctl ${args.join(' ')}: ${ended.status}\n${ended.stdout}${ended.stderr}`)
    return ended
  }

  /** A simulated appliance as a connection with its key pinned and its password set. */
  async appliance(
    name: string,
    scenario: Scenario,
    options: SimulatorOptions = {},
    flags: readonly string[] = [],
  ): Promise<Simulator> {
    const timeScale = options.timeScale ?? 0.002
    const simulator = await startSimulator(scenario, { ...options, timeScale })
    this.#atEnd(() => simulator.stop())
    await this.add(name, simulator, flags, timings(timeScale))
    return simulator
  }

  /** From now on this secret may be nowhere: neither in a file of this house nor in a word that is said in it. */
  hide(name: string, secret: string | Buffer): void {
    if (secret.length >= 8) this.#hunt.plant(name, secret)
  }

  /** Words that came out of this house on another way than from the client. */
  hear(from: string, words: string): void {
    this.#leaks.push(...this.#hunt.search(words, from))
  }

  /** The words and the environment of every process that runs here now. */
  searchProcesses(): void {
    for (const pid of this.#pids()) this.#leaks.push(...this.#hunt.searchProcess(Number(pid)))
  }

  /** Of a client in a terminal of this house, by a word of its command. */
  pidOf(word: string): number | undefined {
    const isHere = (pid: string) => readProcess(pid, 'environ').includes(this.state)
    const pid = this.#pids(VOSCTL, word).find(isHere)
    return pid === undefined ? undefined : Number(pid)
  }

  /** What was found was expected: a test of the hunt itself. */
  forgive(): void {
    this.#hunt = new Hunt()
  }

  /** Where a secret of this house is that must not be there, so far. */
  leaks(): string[] {
    for (const { args, output } of this.#said) {
      const where = `of vosctl ${args.slice(0, 3).join(' ')}`
      this.#leaks.push(...this.#hunt.search(args.join('\n'), `the words ${where}`))
      this.#leaks.push(...this.#hunt.search(output.stdout, `stdout ${where}`))
      this.#leaks.push(...this.#hunt.search(output.stderr, `stderr ${where}`))
    }
    this.#said.length = 0
    const files = this.#hunt.searchTree(this.directory, (file) => (this.ownFiles.has(file) ? this.#hunt.names : []))
    return toLines([...this.#leaks, ...files])
  }

  /** Of every test that has a house: what it planted is nowhere in it when the test is over. */
  #findNoSecret(): void {
    if (this.#hunt.size === 0) return
    const leaks = this.leaks()
    if (leaks.length > 0) throw new Error(`A secret has leaked:\n${leaks.join('\n')}`)
  }

  /** Of every test that has a house: whatever has happened in it, its history is as it was written. */
  async #verifyHistory(): Promise<void> {
    const file = path.join(this.state, 'vosctl.db')
    if (this.isEdited || !fs.existsSync(file)) return
    const { bad } = await verifyFile(file)
    if (bad) throw new Error(`History is not whole: ${bad.table} ${bad.row} ${bad.what}`)
  }

  async add(name: string, simulator: Simulator, flags: readonly string[] = [], timing = timings(0.002)): Promise<void> {
    const address = ['--host', simulator.host, '--port', String(simulator.port), '--username', simulator.username]
    await this.prepare(['connections', 'add', name, ...address, ...timing, ...flags])
    await this.prepare(['connections', 'trust', name, '--fingerprint', simulator.hostKey.fingerprint])
    await this.prepare(['credentials', 'set', name, '--stdin'], { input: `${simulator.password}\n` })
  }

  get daemonPid(): number | null {
    try {
      const { pid } = JSON.parse(fs.readFileSync(path.join(this.state, 'run', 'holder.json'), 'utf8')) as {
        pid: number
      }
      return pid
    } catch {
      return null
    }
  }

  /** As a power cut for the daemon; resolves when it is gone. */
  async killDaemon(): Promise<void> {
    const pid = this.daemonPid
    if (pid === null) return
    kill(pid)
    while (isAlive(pid)) await new Promise(setImmediate)
  }

  /**
   * Everything that was started on this state directory, and whatever that has started. A daemon that lost the race for
   * the lock may still be on its way in, and would make itself at home in a directory that is gone.
   */
  async #killAll(): Promise<void> {
    this.searchProcesses()
    for (const child of this.#children) child.kill('SIGKILL')
    await this.killDaemon()
    while (fs.existsSync('/proc')) {
      const left = this.#pids()
      if (left.length === 0) return
      for (const pid of left) kill(Number(pid))
      await new Promise(setImmediate)
    }
  }

  /** Of everything that was started on this state directory. */
  #pids(...words: readonly string[]): string[] {
    if (!fs.existsSync('/proc')) return []
    const marks = words.length === 0 ? [this.state] : words
    return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOurs(name, marks))
  }

  log(): string {
    return fs.readFileSync(path.join(this.state, 'daemon.log'), 'utf8')
  }
}

/** Time limits in the proportion of the simulator's clock, with room for a slow machine. */
export function timings(timeScale: number): string[] {
  const scaled: Partial<Record<keyof typeof DEFAULT_TIMINGS, number>> = {
    quietMs: 30,
    nudgeMs: Math.max(300, DEFAULT_TIMINGS.nudgeMs * timeScale),
    pollMs: Math.max(20, DEFAULT_TIMINGS.pollMs * timeScale),
    pollLimitMs: Math.max(3000, DEFAULT_TIMINGS.pollLimitMs * timeScale),
    reconnectMs: Math.max(5000, DEFAULT_TIMINGS.reconnectMs * timeScale),
  }
  return Object.entries(scaled).flatMap(([name, ms]) => ['--timing', `${name.replace(/Ms$/, '')}=${ms}ms`])
}

/** A zombie has no command line any more. */
function isOurs(pid: string, marks: readonly string[]): boolean {
  const words = readProcess(pid, 'cmdline')
  return Number(pid) !== process.pid && marks.every((mark) => words.includes(mark))
}

/** Empty when it has ended, or is not ours to read. */
function readProcess(pid: string, what: 'cmdline' | 'environ'): string {
  try {
    return fs.readFileSync(`/proc/${pid}/${what}`, 'utf8')
  } catch {
    return ''
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It was gone already.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A zombie that nobody has waited for answers too.
    return !fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}
