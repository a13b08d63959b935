import { Duplex } from 'node:stream'
import type { Client, ClientChannel } from 'ssh2'
import { closedHere, type Cause, type Peer } from './faults.ts'

/** The link to a jump host, as far as what it carries needs it. */
export interface Carrier {
  readonly client: Client
  readonly peer: Peer
  readonly isEnded: boolean
  /** Bytes wait here that the kernel has not taken. */
  readonly isBackedUp: boolean
  end(reason: unknown): void
}

/** RFC 4254, 5.1 */
const ADMINISTRATIVELY_PROHIBITED = 1

/** A jump host opened no way to the device. */
export class ForwardError extends Error {
  readonly why: Cause

  constructor(reason: number | undefined, words: string) {
    super('The jump host opened no channel.')
    this.why = { type: 'forward', isForbidden: reason === ADMINISTRATIVELY_PROHIBITED, words }
  }
}

/**
 * A connection to a device that begins at a jump host, with as much of `net.Socket` as a link needs. What it carries ends
 * with it: after `destroy` nothing of it leaves any more.
 */
export class ForwardedSocket extends Duplex {
  readonly #carrier: Carrier
  #channel: ClientChannel | null = null
  #passedOn = 0

  constructor(carrier: Carrier) {
    super({ allowHalfOpen: false })
    this.#carrier = carrier
  }

  /** Bytes that were written, passed on or waiting. */
  get bytesWritten(): number {
    return this.#passedOn + this.writableLength
  }

  /** Emits `connect`; or `error`, with a {@link ForwardError}. */
  connect({ host, port }: { readonly host: string; readonly port: number }): void {
    const opened = (error: Error | undefined, channel: ClientChannel): void => {
      if (error) this.destroy(new ForwardError((error as { reason?: number }).reason, error.message))
      else if (this.destroyed) channel.destroy()
      else this.#carryOn(channel)
    }
    try {
      // The origin is for the jump host's log; ours is nobody's business.
      this.#carrier.client.forwardOut('127.0.0.1', 0, host, port, opened)
    } catch (error) {
      opened(error as Error, null as never)
    }
  }

  /** Ends as soon as everything is passed on. */
  destroySoon(): void {
    this.end(() => this.destroy())
  }

  override _read(): void {
    this.#channel?.resume()
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#channel?.write(bytes, () => {
      this.#passedOn += bytes.length
      done()
    })
  }

  override _final(done: () => void): void {
    this.#channel?.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#carrier.isEnded) {
      this.#channel?.destroy()
      // What waits in the jump host's own queue can be called back only with all of it.
      if (this.#channel && this.#carrier.isBackedUp) this.#carrier.end(closedHere(this.#carrier.peer))
    }
    // As with a socket, whoever learns of the end from its cause learns of it first.
    setImmediate(done, error)
  }

  #carryOn(channel: ClientChannel): void {
    this.#channel = channel
    channel.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) channel.pause()
    })
    channel.on('end', () => this.push(null))
    channel.on('error', () => {})
    // Unread, it would use up the window.
    channel.stderr.resume()
    channel.stderr.on('error', () => {})
    this.emit('connect')
  }
}
