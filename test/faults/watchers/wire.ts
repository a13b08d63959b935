import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { PROTOCOL_VERSION } from '../../../src/core/protocol.ts'

/**
 * The socket of a client that no library keeps from misbehaving. It reads nothing unless it is told to.
 */
export class Wire {
  readonly socket: Socket
  #requests = 0

  private constructor(socket: Socket) {
    this.socket = socket
    // It is there to be cut off.
    socket.on('error', () => undefined)
  }

  static async open(path: string): Promise<Wire> {
    const wire = new Wire(connect(path))
    await once(wire.socket, 'connect')
    return wire
  }

  /** Asks for a websocket, or for the first half of one. */
  handshake(part: 'whole' | 'half' = 'whole'): void {
    const lines = [
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    ]
    this.socket.write(part === 'whole' ? `${lines.join('\r\n')}\r\n\r\n` : lines.slice(0, 4).join('\r\n'))
  }

  /** Enters as the vosctl client does; reads up to its admission, and from then on nothing. */
  async enter(): Promise<void> {
    this.handshake()
    // What is said before the daemon has spoken is lost.
    await this.#read('"sid"')
    this.#send(`40${JSON.stringify({ protocol: PROTOCOL_VERSION, version: '0' })}`)
    await this.#read('"sid"')
  }

  /** Reads and forgets, from now on. */
  discard(): void {
    this.socket.resume()
  }

  async #read(words: string): Promise<void> {
    this.socket.resume()
    for (let read = ''; !read.includes(words);) {
      const [bytes] = (await once(this.socket, 'data')) as [Buffer]
      read += bytes.toString('latin1')
    }
    this.socket.pause()
  }

  request(name: string, input: unknown, part: 'whole' | 'half' = 'whole'): void {
    this.#send(`42${this.#requests++}${JSON.stringify([name, input])}`, part)
  }

  /** One masked text frame; a mask of zeros leaves the text as it is. */
  #send(text: string, part: 'whole' | 'half' = 'whole'): void {
    const payload = Buffer.from(text)
    const head =
      payload.length < 126 ? [0x81, 0x80 | payload.length] : [0x81, 0xfe, payload.length >> 8, payload.length & 255]
    const frame = Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload])
    this.socket.write(part === 'whole' ? frame : frame.subarray(0, frame.length / 2))
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
