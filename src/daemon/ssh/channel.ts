import type { VosError } from '../../core/errors.ts'

/** A terminal on the device: bytes both ways. */
export interface Channel {
  /** Hands bytes to the kernel in order. A write after the end does nothing: `closed` tells the cause. */
  write(data: Uint8Array | string): void
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
