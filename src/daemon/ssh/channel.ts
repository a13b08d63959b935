import type { ClientChannel } from 'ssh2'
import type { VosError } from '../../core/errors.ts'
import type { Link } from './link.ts'

/** A terminal on the device: bytes both ways. */
export interface Channel {
  /** Hands bytes to the kernel in order. False after the end: nothing has left, and `closed` tells the cause. */
  write(data: Uint8Array | string): boolean
  /**
   * Calls `listener` for everything the device sends, in order; what came before the first listener is kept for it.
   * Without a listener nothing is read, so the device is held back by SSH's window. Returns the way to stop listening.
   */
  onData(listener: (bytes: Buffer) => void): () => void
  /** Resolves once, after the last byte: undefined when the device closed the channel, else why the link is gone. */
  readonly closed: Promise<VosError | undefined>
  /** Closes this channel only; idempotent. */
  close(): void
}

export function toChannel(stream: ClientChannel, link: Link): Channel {
  const listeners = new Set<(bytes: Buffer) => void>()
  const closed = Promise.withResolvers<VosError | undefined>()
  let isOpen = true

  // When the device closes the terminal, the stream's end comes first; when the link dies, the link's end does.
  const stop = link.onEnd(() => {
    isOpen = false
    // Bytes that arrived before the end are still on their way to the listeners.
    setImmediate(() => closed.resolve(link.closed))
  })
  stream.on('close', () => {
    isOpen = false
    stop()
    closed.resolve(undefined)
  })
  stream.on('data', (bytes: Buffer) => {
    for (const listener of listeners) listener(bytes)
  })
  stream.pause()
  // A terminal has no second stream; unread, it would use up the window.
  stream.stderr.resume()
  stream.on('error', ignore)
  stream.stderr.on('error', ignore)

  return {
    closed: closed.promise,
    write(data) {
      if (!isOpen || !stream.writable) return false
      stream.write(data)
      return true
    },
    onData(listener) {
      listeners.add(listener)
      stream.resume()
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) stream.pause()
      }
    },
    close() {
      if (!isOpen) return
      stream.close()
      // The close is seen only after the last byte was read.
      if (listeners.size === 0) stream.resume()
    },
  }
}

/** A stream's own error says nothing that its close, or the link's end, does not say better. */
function ignore(): void {}
