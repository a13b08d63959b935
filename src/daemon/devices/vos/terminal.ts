import type { Connection } from '../../../core/connection.ts'
import { VosError } from '../../../core/errors.ts'
import { oneLine } from '../../../core/text.ts'
import { failpoint } from '../../failpoint.ts'
import type { Channel } from '../../ssh/channel.ts'
import { toCommandLine, type Command } from './command.ts'
import { createLineReader, type Line } from './line-reader.ts'

export interface TerminalOptions {
  readonly connection: Pick<Connection, 'name' | 'enter'>
  readonly signal: AbortSignal
}

/** A device that prints faster than its lines are taken is held back from here on. */
const MAX_UNREAD = 1000
const MAX_RECENT = 5

/**
 * One shell on the device: lines in, and three ways to send something. All of them go through one function, so that
 * nothing but a command, an Enter and a key for a pager ever reaches a device. There is no way to send Ctrl-C.
 */
export class Terminal {
  readonly #channel: Channel
  readonly #options: TerminalOptions
  readonly #reader = createLineReader(performance.now())
  #unread: Line[] = []
  #recent: string[] = []
  #stopListening: (() => void) | undefined
  #lost: { readonly cause: VosError | undefined } | undefined
  #news = Promise.withResolvers<void>()

  constructor(channel: Channel, options: TerminalOptions) {
    this.#channel = channel
    this.#options = options
    this.#listen()
    void this.#awaitEnd()
  }

  /** The unterminated last line. */
  get pending(): Line {
    return this.#reader.pending
  }

  /** Milliseconds since the last byte, or since the last Enter if that was later. */
  get quietMs(): number {
    return this.#reader.quietFor(performance.now())
  }

  /** Control characters so far that no line shows: see `LineReader.strays`. */
  get strays(): number {
    return this.#reader.strays
  }

  /** Whether the session is gone. What came before that can still be taken. */
  get isLost(): boolean {
    return this.#lost !== undefined
  }

  /** The last lines that say something, since the last command: for an error's `deviceLines`. */
  get recent(): readonly string[] {
    return [...this.#recent, this.pending.text]
      .filter((text) => text.trim() !== '')
      .slice(-MAX_RECENT)
      .map((text) => oneLine(text))
  }

  /** The finished lines that have not been taken yet, and the unterminated one. */
  get unreadText(): string {
    return [...this.#unread, this.pending].map(({ plain }) => plain).join('\n')
  }

  /** Finished lines, each once. */
  take(): Line[] {
    const lines = this.#unread
    this.#unread = []
    this.#listen()
    return lines
  }

  /** Forgets what has been printed so far: what follows is something new. */
  forget(): void {
    this.take()
    this.#recent = []
    this.#reader.cut()
  }

  /** Types a command without Enter; what was printed before is forgotten. */
  type(command: Command): string {
    const line = toCommandLine(command)
    this.forget()
    failpoint('type.before')
    this.#send(line)
    failpoint('type.after')
    return line
  }

  /**
   * Sends the one byte that means Enter.
   * @param check has the last word: nothing lies between it and the byte, and when it throws nothing leaves
   * @throws VosError when the session is gone and nobody has heard of it yet: nothing has left
   */
  enter(check: () => void = () => undefined): void {
    this.#reader.touch(performance.now())
    failpoint('enter.before')
    check()
    const hasLeft = this.#send(this.#options.connection.enter === 'cr' ? '\r' : '\n')
    if (!hasLeft) throw this.lostError('before the command was sent')
    failpoint('enter.after')
  }

  /** Answers a pager; its question is forgotten. */
  press(key: ' ' | 'n' | 'q'): void {
    this.#reader.cut()
    this.#send(key)
  }

  /**
   * Waits until something new has happened, but no longer than `ms`.
   * @throws the reason of the signal
   */
  async wait(ms: number): Promise<void> {
    const { signal } = this.#options
    signal.throwIfAborted()
    let timer: NodeJS.Timeout | undefined
    let onAbort = (): void => {}
    try {
      await Promise.race([
        this.#news.promise,
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, Math.max(ms, 1))
          onAbort = resolve
          signal.addEventListener('abort', onAbort, { once: true })
        }),
      ])
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
    signal.throwIfAborted()
  }

  /** Why the session is gone, with the device's own last words. `when` completes "closed the session …". */
  lostError(when: string): VosError {
    const cause = this.#lost?.cause
    const deviceLines = this.recent
    if (cause) return new VosError(cause.code, cause.message, { hint: cause.hint, cause, deviceLines })
    const said = deviceLines.at(-1)
    const words = said === undefined ? '' : ` Its last words: "${said}".`
    return new VosError('connection_lost', `${this.#options.connection.name} closed the session ${when}.${words}`, {
      deviceLines,
    })
  }

  close(): void {
    this.#channel.close()
  }

  #send(bytes: string): boolean {
    return this.#channel.write(bytes)
  }

  #listen(): void {
    this.#stopListening ??= this.#channel.onData((bytes) => this.#read(bytes))
  }

  #read(bytes: Buffer): void {
    const lines = this.#reader.feed(bytes, performance.now())
    this.#unread.push(...lines)
    for (const { text } of lines.slice(-MAX_RECENT)) if (text.trim() !== '') this.#recent.push(text)
    this.#recent = this.#recent.slice(-MAX_RECENT)
    if (this.#unread.length > MAX_UNREAD) {
      this.#stopListening?.()
      this.#stopListening = undefined
    }
    this.#tell()
  }

  async #awaitEnd(): Promise<void> {
    this.#lost = { cause: await this.#channel.closed }
    this.#tell()
  }

  #tell(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers<void>()
  }
}
