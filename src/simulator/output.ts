import type { ServerChannel } from 'ssh2'
import type { Clock } from './clock.ts'
import type { Terminal } from './scenario.ts'

export type OutputKind = 'prompt' | 'echo' | 'output'

/** What the shell prints: `\n` becomes the line end of this terminal, and some things leave byte by byte. */
export class Output {
  readonly #channel: ServerChannel
  readonly #terminal: Terminal
  readonly #clock: Clock
  readonly #record: (bytes: Buffer) => void
  #queue: Buffer[] = []
  #dribbling: Promise<void> | undefined
  #muted = false
  #lines = 0

  constructor(channel: ServerChannel, terminal: Terminal, clock: Clock, record: (bytes: Buffer) => void) {
    this.#channel = channel
    this.#terminal = terminal
    this.#clock = clock
    this.#record = record
  }

  print(text: string, kind: OutputKind = 'output'): void {
    if (text === '') return
    const styled = this.#terminal.ansi && kind === 'output' ? text.replace(stateWord, '\x1b[1m$1\x1b[0m') : text
    const bytes = Buffer.from(styled.replaceAll('\n', () => this.#lineEnd()))
    if (this.#terminal.dribbles.includes(kind)) this.#queue.push(...split(bytes))
    else this.#queue.push(bytes)
    if (this.#queue.length === 1 && this.#dribbling === undefined) this.#send()
    else this.#dribbling ??= this.#dribble()
  }

  /** From now on the shell is silent, and what it would have printed is lost. */
  mute(): void {
    this.#muted = true
  }

  /** Resolves when everything printed so far has left. */
  async drained(): Promise<void> {
    await this.#dribbling
  }

  /** Ends the channel as a finished shell does, after its last words. */
  async close(lastWords: string): Promise<void> {
    await this.#dribbling
    this.#muted = false
    this.print(lastWords)
    await this.#dribbling
    this.#channel.exit(0)
    this.#channel.end()
  }

  async #dribble(): Promise<void> {
    while (this.#queue.length > 0) {
      this.#send()
      await this.#clock.wait(dribbleMs)
    }
    this.#dribbling = undefined
  }

  #send(): void {
    const bytes = this.#queue.shift()
    if (bytes === undefined || this.#muted || !this.#channel.writable) return
    this.#record(bytes)
    this.#channel.write(bytes)
  }

  #lineEnd(): string {
    this.#lines += 1
    if (this.#terminal.newline === 'crlf') return '\r\n'
    return this.#terminal.newline === 'cr' || this.#lines % 2 === 0 ? '\r' : '\r\n'
  }
}

function split(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.of(byte))
}

const dribbleMs = 2
const stateWord = /(?<=\[)(STARTED|STOPPED|STARTING|STOPPING)(?=\])/g
