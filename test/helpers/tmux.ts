import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from './wait.ts'

/** A machine that is busy with other things takes its time to start a program. */
export const PATIENCE_MS = 15_000

export interface TmuxOptions {
  /** Short: it is a Unix socket. */
  readonly socket: string
  readonly columns: number
  readonly rows: number
  readonly command: readonly string[]
  /** Where the command begins. */
  readonly cwd?: string
  readonly patienceMs?: number
}

/** A program in a real terminal: tmux with a server of its own. It knows of no test, so measurements use it too. */
export class Tmux {
  readonly socket: string
  readonly #patienceMs: number
  #closed = false

  constructor({ socket, columns, rows, command, cwd, patienceMs = PATIENCE_MS }: TmuxOptions) {
    this.socket = socket
    this.#patienceMs = patienceMs
    const size = ['-x', String(columns), '-y', String(rows)]
    const place = cwd === undefined ? [] : ['-c', cwd]
    this.run('-f', '/dev/null', 'new-session', '-d', ...size, ...place, ...command)
  }

  /** The keys of this text, without Enter. */
  write(text: string): void {
    this.run('send-keys', '-l', '--', text)
  }

  line(text: string): void {
    this.write(text)
    this.press('Enter')
  }

  /** By tmux's names: `Down`, `C-c`, `Escape`, `q`. */
  press(...keys: readonly string[]): void {
    this.run('send-keys', ...keys)
  }

  resize(columns: number, rows: number): void {
    this.run('resize-window', '-x', String(columns), '-y', String(rows))
  }

  screen(): string {
    return this.run('capture-pane', '-p')
  }

  /** With the colours, as escape sequences. */
  painted(): string {
    return this.run('capture-pane', '-e', '-p')
  }

  /** What scrolling up would show, and the screen; lines that the terminal has wrapped are whole. */
  scrollback(): string {
    return this.run('capture-pane', '-p', '-J', '-S', '-')
  }

  shows(text: string, limitMs?: number): Promise<string> {
    return this.until(`"${text}" on the screen`, (screen) => screen.includes(text), limitMs)
  }

  /** @throws Error with the screen when it does not come true in time */
  async until(what: string, holds: (screen: string) => boolean, limitMs = this.#patienceMs): Promise<string> {
    let screen = ''
    const look = async () => {
      await sleep(30)
      screen = this.screen()
      return holds(screen) && screen
    }
    return await until(what, look, limitMs).catch((error: Error) => {
      throw new Error(`${error.message}\n${screen}`)
    })
  }

  /** As `kill-pane` or a closed window: who runs in it gets a SIGHUP. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      this.run('kill-server')
    } catch {
      // The shell has ended it already.
    }
  }

  protected run(...words: readonly string[]): string {
    return execFileSync('tmux', ['-S', this.socket, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }
}

/** A shell that says `$ `, reads no start file, and has nothing of ours that decides how things look. */
export function bareShell(env: Readonly<Record<string, string>>): readonly string[] {
  const unset = ['ENV', 'BASH_ENV', 'CI', 'NO_COLOR', 'FORCE_COLOR', 'PAGER', 'LESS'].flatMap((name) => ['-u', name])
  return ['env', ...unset, ...Object.entries({ ...env, PS1: '$ ' }).map(([name, value]) => `${name}=${value}`), 'sh']
}
