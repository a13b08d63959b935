import type { Writable } from 'node:stream'

const guarded = new WeakSet<Writable>()

/**
 * Writes lines until the reader is gone, then nothing more: a broken pipe must not change a verdict. The listener stays
 * for the life of the stream, because the error of a last line may come after everybody has stopped writing.
 */
export function createLineWriter(stream: Writable): (line: string) => void {
  let closed = false
  guardStream(stream)
  stream.once('error', () => {
    closed = true
  })
  return (line) => {
    if (!closed && !stream.destroyed) stream.write(`${line}\n`)
  }
}

/** Without a listener Node turns a closed pipe into a stack trace and exit status 1. */
export function guardStream(stream: Writable): void {
  if (guarded.has(stream)) return
  guarded.add(stream)
  stream.on('error', () => {})
}
