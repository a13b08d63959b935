import { execFileSync } from 'node:child_process'
import { createReadStream, type ReadStream } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../test/helpers/wait.ts'

const PATIENCE_MS = 30_000
/** The whole screen, the scrollback, or everything. */
const ERASURE = /\u001b\[[23]J|\u001bc/g

export interface PaneOptions {
  /** Short: the socket of tmux lies in it. */
  readonly directory: string
  readonly columns: number
  readonly rows: number
  readonly env?: Readonly<Record<string, string>>
}

/** A shell in a real terminal, and every byte that is written to it as it comes. */
export class Pane implements Disposable {
  readonly #socket: string
  readonly #stream: ReadStream
  /** Since the pane was opened. */
  written = 0
  /** Since `forget`. */
  erasures = 0
  onBytes: ((text: string, at: number) => void) | null = null
  #tail = ''

  constructor({ directory, columns, rows, env = {} }: PaneOptions) {
    const name = Math.random().toString(36).slice(2, 8)
    this.#socket = path.join(directory, `t-${name}`)
    const pipe = `${this.#socket}.pipe`
    execFileSync('mkfifo', [pipe])
    const variables = Object.entries({ ...env, PS1: '$ ' }).map(([key, value]) => `${key}=${value}`)
    const unset = ['ENV', 'BASH_ENV', 'CI', 'NO_COLOR', 'FORCE_COLOR'].flatMap((key) => ['-u', key])
    const shell = ['env', ...unset, ...variables, 'sh'].map((word) => `'${word}'`).join(' ')
    this.#run('-f', '/dev/null', 'new-session', '-d', '-x', String(columns), '-y', String(rows), shell)
    this.#run('pipe-pane', `exec cat > ${pipe}`)
    this.#stream = createReadStream(pipe, { encoding: 'latin1' })
    this.#stream.on('data', (chunk) => this.#take(String(chunk)))
  }

  line(text: string): void {
    this.#run('send-keys', '-l', text)
    this.press('Enter')
  }

  /** By tmux's names: `Down`, `C-c`, `q`. */
  press(key: string): void {
    this.#run('send-keys', key)
  }

  resize(columns: number, rows: number): void {
    this.#run('resize-window', '-x', String(columns), '-y', String(rows))
  }

  screen(): string {
    return this.#run('capture-pane', '-p')
  }

  /** With the colours, as escape sequences. */
  painted(): string {
    return this.#run('capture-pane', '-e', '-p')
  }

  /** What scrolling up would show, and the screen. */
  scrollback(): string {
    return this.#run('capture-pane', '-p', '-S', '-')
  }

  /** @throws Error with the screen when it does not come true in time */
  async until(what: string, holds: (screen: string) => boolean, limitMs = PATIENCE_MS): Promise<string> {
    let screen = ''
    const look = async () => {
      await sleep(50)
      screen = this.screen()
      return holds(screen) && screen
    }
    return await until(what, look, limitMs).catch((error: Error) => {
      throw new Error(`${error.message}\n${screen}`)
    })
  }

  shows(text: string, limitMs = PATIENCE_MS): Promise<string> {
    return this.until(`"${text}" on the screen`, (screen) => screen.includes(text), limitMs)
  }

  /** The process that runs in the foreground of the shell. */
  child(): Promise<number> {
    const shell = this.#run('display-message', '-p', '#{pane_pid}').trim()
    const words = ['-P', shell]
    return until('a program in the pane', () => {
      try {
        return Number(execFileSync('pgrep', words, { encoding: 'utf8' }).split('\n')[0])
      } catch {
        return null
      }
    })
  }

  forget(): void {
    this.erasures = 0
    this.#tail = ''
  }

  [Symbol.dispose](): void {
    try {
      this.#run('kill-server')
    } catch {
      // The shell has ended it already.
    }
    this.#stream.destroy()
  }

  #take(text: string): void {
    this.written += text.length
    // A sequence may come in two pieces; what was counted is not in the tail.
    const joined = this.#tail + text
    this.erasures += joined.match(ERASURE)?.length ?? 0
    this.#tail = /\u001b\[?[23]?$/.exec(joined)?.[0] ?? ''
    this.onBytes?.(text, performance.timeOrigin + performance.now())
  }

  #run(...words: readonly string[]): string {
    return execFileSync('tmux', ['-S', this.#socket, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }
}
