import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { AtEnd } from './temporary.ts'
import { bareShell, Tmux } from './tmux.ts'
import { requireTool } from './tools.ts'

export { PATIENCE_MS } from './tmux.ts'

/** Null where there is none: `describe.skipIf(tmux === null)`. */
export const tmux = requireTool('tmux')

export interface TerminalOptions {
  /** Where the socket of tmux and the bytes that were written lie. */
  readonly directory: string
  readonly columns: number
  readonly rows: number
  readonly env?: Readonly<Record<string, string>>
  readonly atEnd?: AtEnd
}

/** A shell in a real terminal, which ends with the test. */
export class Terminal extends Tmux {
  /** A name for files that belong to it. */
  readonly file: string
  readonly #bytes: string
  #rounds = 0

  constructor({ directory, columns, rows, env = {}, atEnd = onTestFinished }: TerminalOptions) {
    const file = join(directory, `tmux-${Math.random().toString(36).slice(2, 8)}`)
    super({ socket: file, columns, rows, command: bareShell(env) })
    this.file = file
    this.#bytes = `${file}.bytes`
    atEnd(() => this.close())
    this.run('pipe-pane', `cat > ${this.#bytes}`)
  }

  /** Some lines of history, then the command, whose own output {@link erasures} looks at. */
  type(command: string): void {
    this.line(`clear; for i in 1 2 3; do echo history $i; done; ${command}`)
  }

  /** On an empty screen: what stood there before is gone when this returns, and is not taken for an answer. */
  async lineAfresh(command: string): Promise<void> {
    const round = ++this.#rounds
    this.line(`clear; echo "round $((${round} + 0))"; ${command}`)
    await this.shows(`round ${round}`)
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

  /** What is written to this file appears on the terminal, as another program's words do. */
  get tty(): string {
    return this.run('display-message', '-p', '#{pane_tty}').trim()
  }

  detach(): void {
    this.run('detach-client')
  }
}
