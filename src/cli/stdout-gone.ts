import type { Io } from './follow.ts'

/** Aborts when nobody reads stdout any more: a command that prints for ever has then nothing left to do. */
export function stdoutGone({ stdout }: Pick<Io, 'stdout'>): AbortSignal {
  const gone = new AbortController()
  stdout.once('error', () => gone.abort())
  stdout.once('close', () => gone.abort())
  return gone.signal
}
