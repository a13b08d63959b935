import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { AtEnd } from './temporary.ts'
import { requireTool } from './tools.ts'
import { until } from './wait.ts'

/** Null where there is none: `describe.skipIf(tmux === null)`. */
export const tmux = requireTool('tmux')

/** A machine that is busy with other tests takes its time to start a program. */
export const PATIENCE_MS = 15_000

export interface TerminalOptions {
  /** Where the socket of tmux and the bytes that were written lie. */
  readonly directory: string
  readonly columns: number
  readonly rows: number
  readonly env?: Readonly<Record<string, string>>
  readonly atEnd?: AtEnd
}

/** A real terminal with a shell in it: tmux with a server of its own, which ends with the test. */
export class Terminal {
  /** A name for files that belong to it. */
  readonly file: string
  readonly #bytes: string
  #closed = false

  constructor({ directory, columns, rows, env = {}, atEnd = onTestFinished }: TerminalOptions) {
    this.file = join(directory, `tmux-${Math.random().toString(36).slice(2, 8)}`)
    this.#bytes = `${this.file}.bytes`
    const size = ['-x', String(columns), '-y', String(rows)]
    const variables = Object.entries({ ...env, PS1: '$ ' }).map(([name, value]) => `${name}=${value}`)
    const shell = ['env', '-u', 'ENV', '-u', 'BASH_ENV', '-u', 'CI', ...variables, 'sh']
    this.#run('-f', '/dev/null', 'new-session', '-d', ...size, shell.map((word) => `'${word}'`).join(' '))
    atEnd(() => this.close())
    this.#run('pipe-pane', `cat > ${this.#bytes}`)
  }

  /** Some lines of history, then the command, whose own output {@link erasures} looks at. */
  type(command: string): void {
    this.line(`clear; for i in 1 2 3; do echo history $i; done; ${command}`)
  }

  line(text: string): void {
    this.#run('send-keys', '-l', text)
    this.press('Enter')
  }

  /** By tmux's names: `Down`, `C-c`, `Escape`, `q`. */
  press(...keys: readonly string[]): void {
    this.#run('send-keys', ...keys)
  }

  resize(columns: number, rows: number): void {
    this.#run('resize-window', '-x', String(columns), '-y', String(rows))
  }

  screen(): string {
    return this.#run('capture-pane', '-p')
  }

  shows(text: string): Promise<string> {
    return this.until(`"${text}" on the screen`, (screen) => screen.includes(text))
  }

  async until(what: string, holds: (screen: string) => boolean): Promise<string> {
    let screen = ''
    const look = async () => {
      await sleep(30)
      screen = this.screen()
      return holds(screen) && screen
    }
    return await until(what, look, PATIENCE_MS).catch((error: Error) => {
      throw new Error(`${error.message}\n${screen}`)
    })
  }

  /** Everything the programs have written, the first line of history and what follows it. */
  bytes(): string {
    const bytes = readFileSync(this.#bytes, 'latin1')
    return bytes.slice(bytes.indexOf('history 1'))
  }

  /** Whole screens or the scrollback erased by the program; the shell's own `clear` comes before its first line. */
  erasures(): string[] {
    return this.bytes().match(/\u001b\[[23]J|\u001bc/g) ?? []
  }

  /** Typed into another terminal it shows this one there, as a person sees who attaches to a session. */
  get attachCommand(): string {
    return `TMUX= ${tmux} -S ${this.file} attach`
  }

  detach(): void {
    this.#run('detach-client')
  }

  /** As `kill-pane` or a closed window: who runs in it gets a SIGHUP. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      this.#run('kill-server')
    } catch {
      // The shell has ended it already.
    }
  }

  #run(...words: readonly string[]): string {
    return execFileSync(tmux ?? 'tmux', ['-S', this.file, ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }
}
