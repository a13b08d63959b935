import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Context } from './context.ts'
import { LeftError, type LeaveSignal } from './leaving.ts'
import { binary } from './package.ts'

export interface Ended {
  readonly status: number
  readonly output: string
}

/** An appliance as the stage needs to know it. */
export interface Actor {
  readonly host: string
  readonly port: number
  readonly hostKey: { readonly fingerprint: string }
  readonly username: string
  readonly password: string
}

/**
 * A house of its own in a temporary directory, in which the real client runs as a child, with a daemon of its own. What
 * does not end as it should is remembered: the demo must not say that something was shown which did not happen.
 */
export class Stage implements AsyncDisposable {
  readonly problems: string[] = []
  readonly #context: Context
  readonly #directory = mkdtempSync(path.join(os.tmpdir(), 'vosctl-demo-'))
  readonly #left: AbortSignal
  readonly #endLeaving: () => void

  constructor(context: Context) {
    this.#context = context
    const left = context.leaving.begin()
    this.#left = left.signal
    this.#endLeaving = () => left[Symbol.dispose]()
  }

  say(...lines: readonly string[]): void {
    if (!this.#context.flags.quiet) for (const line of lines) this.#context.print(line)
  }

  /** Shows the command as a person would type it, then runs it in front of the audience. */
  async show(words: readonly string[], expected: number): Promise<Ended> {
    this.say('', `$ vosctl ${words.map(quote).join(' ')}`)
    const ended = await this.#run(words, this.#context.flags.quiet ? 'catch' : 'pass')
    this.#compare(words, ended, expected)
    return ended
  }

  /** Runs a command and keeps its output. */
  async run(words: readonly string[], expected: number, input?: string): Promise<Ended> {
    const ended = await this.#run(words, 'catch', input)
    this.#compare(words, ended, expected)
    return ended
  }

  /** Adds a connection, pins its key, sets its password; `flags` are not worth showing. */
  async add(name: string, actor: Actor, flags: readonly string[]): Promise<void> {
    const address = ['--host', actor.host, '--port', String(actor.port), '--username', actor.username]
    await this.run(['connections', 'add', name, ...address, ...flags], 0)
    await this.run(['connections', 'trust', name, '--fingerprint', actor.hostKey.fingerprint], 0)
    await this.run(['credentials', 'set', name, '--stdin'], 0, `${actor.password}\n`)
  }

  expect(holds: boolean, problem: string): void {
    if (!holds) this.problems.push(problem)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#endLeaving()
    await this.#spawn(['daemon', 'stop', '--now', '--no-start'], 'catch')
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #compare(words: readonly string[], { status, output }: Ended, expected: number): void {
    if (status === expected) return
    const said = output.trim() === '' ? '' : `: ${output.trim()}`
    this.problems.push(`"vosctl ${words.map(quote).join(' ')}" ended with ${status}, not with ${expected}${said}`)
  }

  async #run(words: readonly string[], output: 'pass' | 'catch', input?: string): Promise<Ended> {
    this.#left.throwIfAborted()
    const ended = await this.#spawn(words, output, input)
    this.#left.throwIfAborted()
    return ended
  }

  async #spawn(words: readonly string[], output: 'pass' | 'catch', input?: string): Promise<Ended> {
    const { spawn } = process.getBuiltinModule('node:child_process')
    const stream = output === 'pass' ? 'inherit' : 'pipe'
    const own = ['--state-dir', path.join(this.#directory, 'state'), ...words]
    const child = spawn(process.execPath, [binary('vosctl'), ...own], {
      // Nobody is asked: what the demo does it says itself.
      stdio: [input === undefined ? 'ignore' : 'pipe', stream, stream],
      env: this.#environment(),
    })
    let caught = ''
    for (const from of [child.stdout, child.stderr])
      from?.setEncoding('utf8').on('data', (text: string) => (caught += text))
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
    const stop = () => child.kill(signalOf(this.#left))
    this.#left.addEventListener('abort', stop)
    const { promise, resolve, reject } = Promise.withResolvers<number | null>()
    child.once('error', reject)
    child.once('close', (code) => resolve(code))
    try {
      return { status: (await promise) ?? 70, output: caught }
    } finally {
      this.#left.removeEventListener('abort', stop)
    }
  }

  /** The person's own, without what would change the play, and with nothing kept outside of the directory. */
  #environment(): NodeJS.ProcessEnv {
    const { env } = this.#context.io
    const kept = Object.entries(env).filter(([name]) => !name.startsWith('VOSCTL_') || name === 'VOSCTL_PROGRESS')
    return {
      ...Object.fromEntries(kept),
      VOSCTL_CONFIG_DIR: path.join(this.#directory, 'config'),
      NODE_DISABLE_COMPILE_CACHE: '1',
    }
  }
}

function signalOf({ reason }: AbortSignal): LeaveSignal {
  return reason instanceof LeftError ? reason.signal : 'SIGTERM'
}

function quote(word: string): string {
  return /^[\w.@:/+=-]+$/.test(word) ? word : `'${word}'`
}
