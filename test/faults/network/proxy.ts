import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export const DIRECTIONS = ['to-daemon', 'to-device'] as const
export type Direction = (typeof DIRECTIONS)[number]

/**
 * cut: FIN to both ends. reset: RST to both. cut-twice: FIN, then RST. half-close: FIN to the receiver of this direction,
 * the other direction goes on. mute: this direction forwards nothing more and TCP stays up; blackhole: neither direction.
 * flip: one bit. drip: byte by byte for a while. delay: a pause.
 */
export const KINDS = ['cut', 'reset', 'cut-twice', 'half-close', 'mute', 'blackhole', 'flip', 'drip', 'delay'] as const
export type Kind = (typeof KINDS)[number]

export interface Strike {
  readonly kind: Kind
  readonly direction: Direction
  /** The first byte of this direction that does not pass as if nothing were wrong, counted from 0. */
  readonly offset: number
  /** Which connection is struck, counted from 1. */
  readonly connection: number
}

const DRIPPING_BYTES = 300
/** Longer than the quiet that makes a prompt a prompt. */
const DELAY_MS = 60
const SECOND_BLOW_MS = 5

/** The network between the daemon and one device. */
export class Proxy implements AsyncDisposable {
  /** Where the device is. */
  target = 0
  readonly links: Link[] = []
  readonly #server: Server
  readonly #strikes: readonly Strike[]

  static async start(strikes: readonly Strike[] = []): Promise<Proxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    const proxy = new Proxy(server, strikes)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  private constructor(server: Server, strikes: readonly Strike[]) {
    this.#server = server
    this.#strikes = strikes
    server.on('connection', (daemon) => {
      const device = connect({ host: '127.0.0.1', port: this.target, allowHalfOpen: true, noDelay: true })
      const number = this.links.length + 1
      this.links.push(
        new Link(
          { 'to-daemon': daemon, 'to-device': device },
          this.#strikes.find(({ connection }) => connection === number),
        ),
      )
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** When the last of its strikes struck, in milliseconds since 1970; null if none has. */
  get struckAt(): number | null {
    return this.links.reduce<number | null>((last, { struckAt }) => struckAt ?? last, null)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.links) link.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** One TCP connection, in two halves. Named after where its bytes go. */
export class Link {
  /** Bytes that have come through so far. */
  readonly passed: Record<Direction, number> = { 'to-daemon': 0, 'to-device': 0 }
  struckAt: number | null = null
  readonly #progress: { readonly at: number; readonly passed: Readonly<Record<Direction, number>> }[] = []
  readonly #ends: Readonly<Record<Direction, Socket>>
  readonly #strike: Strike | undefined
  /** Directions in which nothing passes any more, an end of the connection included. */
  readonly #dead = new Set<Direction>()
  /** What a direction still has to deliver, in order. */
  readonly #lanes: Record<Direction, Promise<void>> = { 'to-daemon': Promise.resolve(), 'to-device': Promise.resolve() }

  constructor(ends: Readonly<Record<Direction, Socket>>, strike: Strike | undefined) {
    this.#ends = ends
    this.#strike = strike
    for (const direction of DIRECTIONS) {
      const from = ends[opposite(direction)]
      from.on('data', (bytes) => this.#take(direction, bytes))
      from.on('end', () => this.#inOrder(direction, () => void ends[direction].end()))
      from.on('error', () => undefined)
      from.on('close', (isBroken) => {
        if (isBroken) this.#inOrder(direction, () => void ends[direction].resetAndDestroy())
      })
    }
  }

  /** How much had come through at this time, in milliseconds since 1970. */
  passedAt(direction: Direction, at: number): number {
    return this.#progress.findLast((step) => step.at <= at)?.passed[direction] ?? 0
  }

  destroy(): void {
    for (const end of Object.values(this.#ends)) end.destroy()
  }

  #take(direction: Direction, bytes: Buffer): void {
    const strike = this.#strike?.direction === direction && this.struckAt === null ? this.#strike : undefined
    const before = this.passed[direction]
    this.passed[direction] += bytes.length
    this.#progress.push({ at: Date.now(), passed: { ...this.passed } })
    if (!strike || strike.offset >= this.passed[direction]) return this.#send(direction, bytes)
    const place = strike.offset - before
    this.struckAt = Date.now()
    if (place > 0) this.#send(direction, bytes.subarray(0, place))
    this.#blow(strike, Buffer.from(bytes.subarray(place)))
  }

  #blow({ kind, direction, offset }: Strike, rest: Buffer): void {
    const ends = Object.values(this.#ends)
    switch (kind) {
      case 'cut':
      case 'cut-twice':
        this.#kill(DIRECTIONS, () => ends.forEach((end) => end.end()))
        if (kind === 'cut-twice') setTimeout(() => ends.forEach((end) => end.resetAndDestroy()), SECOND_BLOW_MS)
        break
      case 'reset':
        this.#kill(DIRECTIONS, () => ends.forEach((end) => end.resetAndDestroy()))
        break
      case 'half-close':
        this.#kill([direction], () => void this.#ends[direction].end())
        break
      case 'mute':
        this.#kill([direction])
        break
      case 'blackhole':
        this.#kill(DIRECTIONS)
        break
      case 'flip':
        rest[0] = (rest[0] ?? 0) ^ (1 << (offset % 8))
        this.#send(direction, rest)
        break
      case 'drip':
        for (const byte of rest.subarray(0, DRIPPING_BYTES)) {
          this.#send(direction, Buffer.of(byte))
          this.#inOrder(direction, () => new Promise((resolve) => setImmediate(resolve)))
        }
        this.#send(direction, rest.subarray(DRIPPING_BYTES))
        break
      case 'delay':
        this.#inOrder(direction, () => new Promise((resolve) => setTimeout(resolve, DELAY_MS)))
        this.#send(direction, rest)
        break
      default:
        kind satisfies never
    }
  }

  /** What was sent before still arrives. */
  #kill(directions: readonly Direction[], last: () => void = () => undefined): void {
    void Promise.all(directions.map((direction) => this.#lanes[direction])).then(last)
    for (const direction of directions) this.#dead.add(direction)
  }

  #send(direction: Direction, bytes: Buffer): void {
    if (bytes.length > 0) this.#inOrder(direction, () => void this.#ends[direction].write(bytes))
  }

  #inOrder(direction: Direction, act: () => void | Promise<void>): void {
    if (!this.#dead.has(direction)) this.#lanes[direction] = this.#lanes[direction].then(act)
  }
}

function opposite(direction: Direction): Direction {
  return direction === 'to-daemon' ? 'to-device' : 'to-daemon'
}
