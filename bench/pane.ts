import { execFileSync } from 'node:child_process'
import { createReadStream, type ReadStream } from 'node:fs'
import path from 'node:path'
import { bareShell, Tmux } from '../test/helpers/tmux.ts'
import { until } from '../test/helpers/wait.ts'

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
export class Pane extends Tmux implements Disposable {
  readonly #stream: ReadStream
  /** Since the pane was opened. */
  written = 0
  /** Since `forget`. */
  erasures = 0
  onBytes: ((text: string, at: number) => void) | null = null
  #tail = ''

  constructor({ directory, columns, rows, env = {} }: PaneOptions) {
    const socket = path.join(directory, `t-${Math.random().toString(36).slice(2, 8)}`)
    super({ socket, columns, rows, command: bareShell(env), patienceMs: 30_000 })
    const pipe = `${socket}.pipe`
    execFileSync('mkfifo', [pipe])
    this.run('pipe-pane', `exec cat > ${pipe}`)
    this.#stream = createReadStream(pipe, { encoding: 'latin1' })
    this.#stream.on('data', (chunk) => this.#take(String(chunk)))
  }

  /** The process that runs in the foreground of the shell. */
  child(): Promise<number> {
    const shell = this.run('display-message', '-p', '#{pane_pid}').trim()
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
    this.close()
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
}
