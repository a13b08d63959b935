import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/**
 * What ssh2 gets instead of the socket. Frozen, it neither reads nor writes while TCP stays up: a half-open link,
 * in which each end believes in the other. Thawed, everything held back goes on its way, as after an outage.
 */
export class Wire extends Duplex {
  readonly #socket: Socket
  /** The beginning, until the peer's first line is whole: ssh2 (1.17) loses the middle one of three pieces of it. */
  #firstLine: Buffer | null = Buffer.alloc(0)
  #frozen = false
  #held: (() => void)[] = []
  /** Whether this end finished or broke the connection. */
  ended = false

  constructor(socket: Socket) {
    super({ allowHalfOpen: false })
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      if (!this.#take(chunk)) socket.pause()
    })
    socket.on('end', () => this.push(null))
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => this.destroy())
    // The owner hears of it by `close`; an error without a listener would end the process.
    this.on('error', () => {})
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort
  }

  freeze(): void {
    this.#frozen = true
    this.#socket.pause()
  }

  thaw(): void {
    this.#frozen = false
    const held = this.#held
    this.#held = []
    for (const go of held) go()
    this.#socket.resume()
  }

  /** RST instead of FIN: the client sees ECONNRESET. */
  reset(): void {
    this.ended = true
    this.#socket.resetAndDestroy()
  }

  /** FIN after what is already written. */
  finish(): void {
    this.ended = true
    this.end()
  }

  override _read(): void {
    if (!this.#frozen) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#unlessFrozen(() => {
      if (this.#socket.write(chunk)) done()
      else this.#socket.once('drain', done)
    })
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#unlessFrozen(() => {
      this.#socket.end()
      done()
    })
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  #take(chunk: Buffer): boolean {
    if (this.#firstLine === null) return this.push(chunk)
    const begun = Buffer.concat([this.#firstLine, chunk])
    const isWhole = begun.includes('\n')
    this.#firstLine = isWhole ? null : begun
    return isWhole ? this.push(begun) : true
  }

  #unlessFrozen(go: () => void): void {
    if (this.#frozen) this.#held.push(go)
    else go()
  }
}
