import type { Socket } from 'node:net'

const MAX_LINE = 1024
const MAX_SEEN = 400

/**
 * Reads along until the peer has identified itself, because ssh2 does not tell when that happens. Must be called before
 * ssh2 gets the socket, or the first bytes may be missed.
 * @param found gets the raw identification line (`SSH-2.0-…`) without its end, before ssh2 sees it
 * @returns the beginning of what the peer has sent so far, raw
 */
export function watchIdent(socket: Socket, found: (ident: string) => void): () => string {
  let seen = ''
  let line = ''
  const onData = (chunk: Buffer): void => {
    const text = chunk.toString('latin1')
    if (seen.length < MAX_SEEN) seen = (seen + text).slice(0, MAX_SEEN)
    const lines = (line + text).split('\n')
    line = (lines.pop() ?? '').slice(0, MAX_LINE)
    const ident = lines.find((candidate) => candidate.startsWith('SSH-'))
    if (ident === undefined) return
    socket.off('data', onData)
    found(ident.replace(/\r$/, ''))
  }
  socket.on('data', onData)
  return () => seen
}
