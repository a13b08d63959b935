import type { Duplex } from 'node:stream'
import { readKexInit, type KexInit } from './kexinit.ts'

/** No greeting is longer; ssh2 has its own limits for what is. */
const MAX_HELD = 64 * 1024
const MAX_SEEN = 400

type Emit = (event: string | symbol, ...args: unknown[]) => boolean

/** What the peer has said in clear. */
export interface Overheard {
  /** The beginning of what it has sent so far, raw. */
  readonly seen: () => string
  /** What it offers, names raw; null when that has not come, or makes no sense. */
  readonly kexInit: () => KexInit | null
}

/**
 * Reads along until the peer has identified itself and has said what it offers, because ssh2 tells neither. Until the
 * identification it keeps the bytes back, so that ssh2 gets them in one piece: of three it loses the one in the middle
 * (1.17, `parseHeader`).
 * @param found gets the raw identification line (`SSH-2.0-…`) without its end, before ssh2 sees it
 */
export function watchIdent(socket: Duplex, found: (ident: string) => void): Overheard {
  let held: Buffer = Buffer.alloc(0)
  /** Where the line of the identification ends; -1 until it is there. */
  let identEnd = -1
  let kexInit: KexInit | null = null
  const emit = socket.emit.bind(socket) as Emit
  const stop = (): void => {
    socket.emit = emit as Duplex['emit']
    // What is told of it later is its beginning.
    held = Buffer.from(held.subarray(0, MAX_SEEN))
  }
  const overhear = (): void => {
    const read = readKexInit(held.subarray(identEnd))
    if (read !== 'more') kexInit = read
    if (read !== 'more' || held.length > MAX_HELD) stop()
  }
  const listen: Emit = (event, ...args) => {
    const [chunk] = args
    if (event !== 'data' || !Buffer.isBuffer(chunk)) return emit(event, ...args)
    held = Buffer.concat([held, chunk])
    if (identEnd !== -1) {
      overhear()
      return emit(event, chunk)
    }
    const lines = held.toString('latin1').split('\n').slice(0, -1)
    const index = lines.findIndex((line) => line.startsWith('SSH-'))
    if (index === -1 && held.length <= MAX_HELD) return true
    const bytes = held
    if (index === -1) stop()
    else {
      identEnd = lines.slice(0, index + 1).reduce((end, line) => end + line.length + 1, 0)
      overhear()
      found(lines[index]?.replace(/\r$/, '') ?? '')
    }
    return emit(event, bytes)
  }
  socket.emit = listen as Duplex['emit']
  return { seen: () => held.toString('latin1', 0, MAX_SEEN), kexInit: () => kexInit }
}
