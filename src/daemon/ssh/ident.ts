import type { Duplex } from 'node:stream'

/** No greeting is longer; ssh2 has its own limits for what is. */
const MAX_HELD = 64 * 1024
const MAX_SEEN = 400

type Emit = (event: string | symbol, ...args: unknown[]) => boolean

/**
 * Reads along until the peer has identified itself, because ssh2 does not tell when that happens. Until then it keeps the
 * bytes back, so that ssh2 gets them in one piece: of three it loses the one in the middle (1.17, `parseHeader`).
 * @param found gets the raw identification line (`SSH-2.0-…`) without its end, before ssh2 sees it
 * @returns the beginning of what the peer has sent so far, raw
 */
export function watchIdent(socket: Duplex, found: (ident: string) => void): () => string {
  let held: Buffer = Buffer.alloc(0)
  const emit = socket.emit.bind(socket) as Emit
  const hold: Emit = (event, ...args) => {
    const [chunk] = args
    if (event !== 'data' || !Buffer.isBuffer(chunk)) return emit(event, ...args)
    held = Buffer.concat([held, chunk])
    const lines = held.toString('latin1').split('\n').slice(0, -1)
    const ident = lines.find((line) => line.startsWith('SSH-'))
    if (ident === undefined && held.length <= MAX_HELD) return true
    socket.emit = emit as Duplex['emit']
    if (ident !== undefined) found(ident.replace(/\r$/, ''))
    return emit(event, held)
  }
  socket.emit = hold as Duplex['emit']
  return () => held.toString('latin1', 0, MAX_SEEN)
}
