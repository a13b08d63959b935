import { once } from 'node:events'
import { createConnection, type NetConnectOpts, type Socket } from 'node:net'
import { PROTOCOL_VERSION } from '../../../src/core/protocol.ts'

const TEXT = 1

/** Which door, and what is said at it. */
export interface Way {
  readonly to: NetConnectOpts
  readonly upgrade: string
  /** What the network door wants to know beside the version. */
  readonly auth?: { readonly token: string }
}

/** What a client says first: the way from HTTP to a websocket. */
export const UPGRADE = [
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
  'Host: localhost',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '',
  '',
].join('\r\n')

export function throughUnix(path: string): Way {
  return { to: { path }, upgrade: UPGRADE }
}

export function throughNetwork(port: number, token: string): Way {
  const upgrade = UPGRADE.replace('Host: localhost', `Host: localhost:${port}`)
  return { to: { port, host: '127.0.0.1' }, upgrade, auth: { token } }
}

/** A peer of the daemon that may send any bytes. What it gets is kept as text; that it is thrown out is no failure. */
export class RawClient implements AsyncDisposable {
  readonly #socket: Socket
  #heard = ''

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => undefined)
    socket.setEncoding('latin1').on('data', (text: string) => (this.#heard = (this.#heard + text).slice(-200_000)))
  }

  /** @param make another socket than a plain one */
  static async connect(
    { to }: Pick<Way, 'to'>,
    make: (to: NetConnectOpts) => Socket = createConnection,
  ): Promise<RawClient> {
    const client = new RawClient(make(to))
    await client.#event('connect')
    return client
  }

  /** As a websocket that has not said who it is. */
  static async upgrade(way: Way): Promise<RawClient> {
    const client = await RawClient.connect(way)
    client.send(way.upgrade)
    await client.hears('"sid"')
    return client
  }

  /** As a client that is let in, with no request yet. */
  static async enter(way: Way): Promise<RawClient> {
    const client = await RawClient.upgrade(way)
    client.say(`40${JSON.stringify({ protocol: PROTOCOL_VERSION, version: 'fuzz', ...way.auth })}`)
    await client.hears('40{"sid"')
    return client
  }

  get isOut(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded
  }

  get heard(): string {
    return this.#heard
  }

  /** What was heard so far is heard no more. */
  forget(): void {
    this.#heard = ''
  }

  send(bytes: Uint8Array | string): void {
    if (!this.isOut) this.#socket.write(bytes)
  }

  /** One text message in a frame as a client makes it. */
  say(message: string): void {
    this.send(frame(Buffer.from(message), { opcode: TEXT }))
  }

  /** Resolves when this has come, or to false when the daemon has thrown it out or has been silent. */
  async hears(text: string, limitMs = 5000): Promise<boolean> {
    const until = performance.now() + limitMs
    while (!this.#heard.includes(text)) {
      if (this.isOut || performance.now() > until) return false
      await this.#event('data', 50)
    }
    return true
  }

  /** Resolves when the daemon has closed, or after a while. */
  async isThrownOut(limitMs: number): Promise<boolean> {
    if (!this.isOut) await this.#event('close', limitMs)
    return this.isOut
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return
    this.#socket.destroy()
    await this.#event('close')
  }

  /** The event or the end of the socket, whichever is first, or nothing after a while. */
  async #event(name: string, limitMs = 5000): Promise<void> {
    const over = new AbortController()
    const timer = setTimeout(() => over.abort(), limitMs)
    const ends = ['close', 'error', name].map((each) => once(this.#socket, each, { signal: over.signal }))
    await Promise.race(ends.map((end) => end.catch(() => undefined)))
    clearTimeout(timer)
    over.abort()
  }
}

export interface FrameOptions {
  readonly opcode: number
  /** First bit, and the three that nobody has given a meaning; 8 when it is a whole message. */
  readonly flags?: number
  readonly isMasked?: boolean
  /** What the header says, if it shall not be the truth. */
  readonly length?: bigint
}

export function frame(
  payload: Buffer,
  { opcode, flags = 8, isMasked = true, length = BigInt(payload.length) }: FrameOptions,
): Buffer {
  const mask = isMasked ? 0x80 : 0
  const header = Buffer.alloc(10)
  header[0] = (flags << 4) | opcode
  let end = 2
  if (length < 126n) header[1] = mask | Number(length)
  else if (length < 65_536n) {
    header[1] = mask | 126
    end = header.writeUInt16BE(Number(length), 2)
  } else {
    header[1] = mask | 127
    end = header.writeBigUInt64BE(length, 2)
  }
  // A mask of zeros leaves the payload readable in a trace.
  return Buffer.concat([header.subarray(0, end), Buffer.alloc(isMasked ? 4 : 0), payload])
}
