import { setTimeout as sleep } from 'node:timers/promises'
import { io, type Socket } from 'socket.io-client'
import { VosError } from '../core/errors.ts'
import {
  PROTOCOL_VERSION,
  type ClientToServerEvents,
  type DaemonInfo,
  type EventBatch,
  type Handshake,
  type Heartbeat,
  type Refusal,
  type Reply,
  type ReplyOf,
  type RequestName,
  type RequestOf,
  type RoomName,
  type ServerToClientEvents,
} from '../core/protocol.ts'
import { Board, HoleError } from './board.ts'
import type { Update, Updates } from './follow.ts'
import { RefusedError } from './refused-error.ts'

/** Not imported: an import looks at every name that http exports, and one of them loads undici, which costs 20 ms. */
const http = process.getBuiltinModule('node:http')

/** How long the daemon may take for an answer. Those that look at a device wait for its own time limits. */
const DEADLINE_MS = 15_000
const DEADLINES_MS: Partial<Record<RequestName, number>> = {
  'connection:host-key': 3 * 60_000,
  'connection:services': 15 * 60_000,
  // A million events take a slow machine a minute.
  'history:verify': 15 * 60_000,
}

/** The daemon takes so many requests in a second; after one the count begins anew. */
const TOO_MANY_MS = 1_000

/** The pace at which a lost daemon is looked for, in milliseconds. */
export interface Patience {
  readonly firstMs: number
  readonly maxMs: number
  /** How long to wait for somebody else to start it again before we do. */
  readonly reviveAfterMs: number
  /** How long one attempt to connect may take. */
  readonly connectMs: number
}

const PATIENCE: Patience = { firstMs: 50, maxMs: 5_000, reviveAfterMs: 3_000, connectMs: 5_000 }

export interface ClientOptions {
  readonly socketPath: string
  readonly version: string
  /** Called before each attempt to connect; throws VosError where the socket may be somebody else's. */
  readonly check?: () => void
  /** Starts a daemon when none has come back by itself. Without it the client waits for one, for ever. */
  readonly revive?: () => Promise<void>
  readonly trace?: (line: string) => void
  readonly patience?: Partial<Patience>
}

/** No answer came: the daemon is gone, or it is stuck. Whether it has acted on the request is not known. */
export class NoAnswerError extends VosError {
  /** Nothing listens on the socket, so a daemon may be started. */
  readonly nobodyThere: boolean

  constructor(message: string, options: { readonly nobodyThere?: boolean; readonly cause?: unknown } = {}) {
    super('no_daemon', message, { hint: 'Look: vosctl daemon status, vosctl daemon logs', cause: options.cause })
    this.nobodyThere = options.nobodyThere ?? false
  }
}

type TypedSocket = Socket<ServerToClientEvents, ClientToServerEvents>

/** One connection to the daemon, and the way back to it when it is lost. */
export class Client {
  readonly #options: ClientOptions
  readonly #patience: Patience
  readonly #closed = new AbortController()
  #socket: TypedSocket
  #info: DaemonInfo

  private constructor(options: ClientOptions, patience: Patience, { socket, info }: Introduced) {
    this.#options = options
    this.#patience = patience
    this.#socket = socket
    this.#info = info
  }

  /** @throws NoAnswerError when no daemon answers, RefusedError when it does not admit this client. */
  static async connect(options: ClientOptions): Promise<Client> {
    const patience = { ...PATIENCE, ...options.patience }
    return new Client(options, patience, await introduce(options, patience))
  }

  /** The daemon as it was when this client connected to it. */
  get info(): DaemonInfo {
    return this.#info
  }

  get connected(): boolean {
    return this.#socket.connected
  }

  /**
   * @throws RefusedError when the daemon says no
   * @throws NoAnswerError when it does not say anything: lost, or slower than `deadlineMs`
   */
  async request<Name extends RequestName>(
    name: Name,
    input: RequestOf<Name>,
    options: { readonly deadlineMs?: number } = {},
  ): Promise<ReplyOf<Name>> {
    const deadlineMs = options.deadlineMs ?? DEADLINES_MS[name] ?? DEADLINE_MS
    for (const giveUpAt = performance.now() + deadlineMs; ; await sleep(TOO_MANY_MS)) {
      const began = performance.now()
      const reply = await ask<ReplyOf<Name>>(this.#socket, name, input, deadlineMs)
      const took = (performance.now() - began).toFixed(1)
      this.#options.trace?.(`${name} ${reply.ok ? 'ok' : reply.error.code} ${took} ms`)
      if (reply.ok) return reply.value
      // It was not looked at, so asking again is not doing it twice.
      if (reply.error.code !== 'too_many_requests' || performance.now() > giveUpAt) throw new RefusedError(reply.error)
    }
  }

  /**
   * Connected again, however long it takes; for requests that may be repeated.
   * @throws the signal's reason, or RefusedError when the daemon that came back does not admit this client
   */
  async reconnect(signal: AbortSignal): Promise<void> {
    const { firstMs, maxMs, reviveAfterMs } = this.#patience
    const { revive, trace } = this.#options
    let reviveAt = performance.now() + reviveAfterMs
    for (let delayMs = firstMs; !this.#socket.connected; delayMs = Math.min(maxMs, delayMs * 2)) {
      signal.throwIfAborted()
      try {
        const { socket, info } = await introduce(this.#options, this.#patience)
        this.#socket = socket
        this.#info = info
        // Left in the meantime: the new socket must not outlive the client.
        if (signal.aborted) socket.disconnect()
        continue
      } catch (error) {
        if (error instanceof RefusedError && error.code === 'daemon_version') throw error
        if (!(error instanceof VosError)) throw error
        if (error.code === 'state_directory' || error.code === 'socket_path') throw error
        trace?.(`not connected: ${error.message}`)
        if (revive && error instanceof NoAnswerError && error.nobodyThere && performance.now() >= reviveAt) {
          reviveAt = performance.now() + 10 * reviveAfterMs
          await revive().catch((reason: unknown) => trace?.(`not started: ${String(reason)}`))
        }
      }
      await sleep(delayMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }

  /**
   * The board and everything that happens on it: snapshot, then events, without gap or duplicate across reconnections.
   * Ends when the signal aborts. One at a time on a client. With `after` the first snapshot brings what was missed since.
   * @throws RefusedError from the iteration when the daemon that came back does not admit this client
   */
  watch(room: RoomName, options: { readonly signal: AbortSignal; readonly after?: number | undefined }): Updates {
    const left = new AbortController()
    const signal = AbortSignal.any([options.signal, left.signal, this.#closed.signal])
    const updates = this.#updates(room, signal, options.after)
    const iterator: AsyncIterator<Update> = {
      next: () => updates.next(),
      // Unlike a generator's own, this one ends a `next` that waits.
      return: () => {
        left.abort()
        return updates.return(undefined)
      },
    }
    return { [Symbol.asyncIterator]: () => iterator }
  }

  async *#updates(room: RoomName, signal: AbortSignal, from?: number): AsyncGenerator<Update, undefined> {
    const board = new Board(from)
    let reported = false
    while (!signal.aborted) {
      if (!this.connected) {
        if (!reported) yield { type: 'disconnected', since: Date.now() }
        reported = true
        const back = await unlessAborted(signal, () => this.reconnect(signal))
        if (back === 'aborted') return
      }
      const inbox = new Inbox(this.#socket, room, signal)
      try {
        const after = board.cursor === null ? {} : { after: board.cursor }
        const snapshot = await unlessAborted(signal, () => this.request('subscribe', { room, ...after }))
        if (snapshot === 'aborted') return
        yield* board.reset(snapshot)
        reported = false
        yield* live(board, inbox)
      } catch (error) {
        if (error instanceof HoleError) this.#options.trace?.(error.message)
        else if (!(error instanceof NoAnswerError)) throw error
        // A daemon that is connected and does not answer is as good as gone.
        else if (this.connected) this.#socket.disconnect()
      } finally {
        inbox.close()
      }
    }
  }

  /** Ends the connection, and with it everything that watches. */
  close(): void {
    this.#closed.abort()
    this.#socket.disconnect()
  }
}

/** Until the daemon is gone, has cut us back, or we leave. A batch is acknowledged when its last event has been taken. */
async function* live(board: Board, inbox: Inbox): AsyncGenerator<Update> {
  for (;;) {
    const item = await inbox.next()
    switch (item.type) {
      case 'heartbeat':
        yield { ...item.beat, type: 'heartbeat' }
        break
      case 'batch':
        yield* board.take(item.batch.events)
        item.acknowledge()
        if (item.batch.behind) return
        break
      case 'over':
        return
      default:
        item satisfies never
    }
  }
}

type Item =
  | { readonly type: 'batch'; readonly batch: EventBatch; readonly acknowledge: () => void }
  | { readonly type: 'heartbeat'; readonly beat: Heartbeat }
  /** The socket is gone, or we leave. */
  | { readonly type: 'over' }

/** What came over the socket and was not taken yet. The daemon sends one batch at a time, so it stays small. */
class Inbox {
  readonly #socket: TypedSocket
  readonly #room: RoomName
  readonly #signal: AbortSignal
  readonly #items: Item[] = []
  #wake: (() => void) | null = null

  constructor(socket: TypedSocket, room: RoomName, signal: AbortSignal) {
    this.#socket = socket
    this.#room = room
    this.#signal = signal
    socket.on('events', this.#onEvents)
    socket.on('heartbeat', this.#onHeartbeat)
    socket.on('disconnect', this.#onOver)
    signal.addEventListener('abort', this.#onOver)
    if (signal.aborted || !socket.connected) this.#onOver()
  }

  async next(): Promise<Item> {
    for (;;) {
      if (this.#signal.aborted) return { type: 'over' }
      const item = this.#items.shift()
      if (item) return item
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  close(): void {
    this.#socket.off('events', this.#onEvents)
    this.#socket.off('heartbeat', this.#onHeartbeat)
    this.#socket.off('disconnect', this.#onOver)
    this.#signal.removeEventListener('abort', this.#onOver)
  }

  readonly #onEvents = (batch: EventBatch, acknowledge: () => void) => {
    // Of another room: somebody asked for its board once, and nobody listens.
    if (batch.room === this.#room) this.#put({ type: 'batch', batch, acknowledge })
  }
  readonly #onHeartbeat = (beat: Heartbeat) => {
    // A watcher that does not look needs to know the last one only.
    if (this.#items.at(-1)?.type === 'heartbeat') this.#items.pop()
    this.#put({ type: 'heartbeat', beat })
  }
  readonly #onOver = () => this.#put({ type: 'over' })

  #put(item: Item): void {
    this.#items.push(item)
    this.#wake?.()
  }
}

interface Introduced {
  readonly socket: TypedSocket
  readonly info: DaemonInfo
}

/** Connects and asks who is there: a daemon that does not answer that is none. */
async function introduce(options: ClientOptions, patience: Patience): Promise<Introduced> {
  options.check?.()
  const socket = await open(options, patience)
  try {
    const reply = await ask<DaemonInfo>(socket, 'daemon:info', {}, patience.connectMs)
    if (reply.ok) return { socket, info: reply.value }
    throw new RefusedError(reply.error)
  } catch (error) {
    socket.disconnect()
    throw error
  }
}

/** Who leaves does not wait for an answer that may never come. */
async function unlessAborted<Value>(signal: AbortSignal, act: () => Promise<Value>): Promise<Value | 'aborted'> {
  if (signal.aborted) return 'aborted'
  const { promise: aborted, resolve } = Promise.withResolvers<'aborted'>()
  const onAbort = () => resolve('aborted')
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([act(), aborted])
  } catch (error) {
    if (signal.aborted) return 'aborted'
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Over the Unix socket; of all the ways that socket.io-client has for it only an agent works. */
function open({ socketPath, version }: ClientOptions, { connectMs }: Patience): Promise<TypedSocket> {
  const auth: Handshake = { protocol: PROTOCOL_VERSION, version }
  const socket: TypedSocket = io('http://localhost', {
    // Both types are too narrow: the agent connects with whatever options it has, and the transport takes any agent.
    agent: new http.Agent({ socketPath } as object) as unknown as string,
    transports: ['websocket'],
    reconnection: false,
    forceNew: true,
    auth,
  })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.disconnect()
      reject(new NoAnswerError(`the daemon on ${socketPath} does not answer.`))
    }, connectMs)
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve(socket)
    })
    socket.once('connect_error', (error) => {
      clearTimeout(timer)
      socket.disconnect()
      reject(connectError(error, socketPath))
    })
  })
}

function connectError(
  error: Error & { readonly data?: unknown; readonly description?: unknown },
  path: string,
): VosError {
  if (isRefusal(error.data)) return new RefusedError(error.data)
  const cause = (error.description as { readonly error?: NodeJS.ErrnoException } | undefined)?.error ?? error
  const code = (cause as NodeJS.ErrnoException).code
  if (code === 'EACCES' || code === 'EPERM') {
    return new VosError('state_directory', `you may not use the socket ${path}.`, {
      hint: 'It belongs to somebody else: run vosctl as that user, or name a state directory of your own.',
      cause,
    })
  }
  const nobodyThere = code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR'
  // It takes no more connections than it has places for and closes the others without a word.
  const turnedAway = code === 'ECONNRESET' || code === 'EPIPE'
  const message = nobodyThere
    ? 'no daemon is running.'
    : turnedAway
      ? `the daemon on ${path} turned this client away: too many are connected, or it is stopping.`
      : `the daemon on ${path} does not answer: ${cause.message}.`
  return new NoAnswerError(message, { nobodyThere, cause })
}

function isRefusal(data: unknown): data is Refusal {
  return typeof data === 'object' && data !== null && 'code' in data && 'message' in data
}

function ask<Value>(socket: TypedSocket, name: RequestName, input: unknown, deadlineMs: number): Promise<Reply<Value>> {
  return new Promise((resolve, reject) => {
    // socket.io would keep the request and send it whenever a connection comes: later than anybody expects.
    if (!socket.connected) return reject(new NoAnswerError('the connection to the daemon is lost.'))
    const timer = setTimeout(() => {
      end()
      reject(new NoAnswerError(`the daemon did not answer ${name} within ${deadlineMs / 1000} s.`))
    }, deadlineMs)
    const onDisconnect = () => {
      end()
      reject(new NoAnswerError(`the daemon went away before it answered ${name}.`))
    }
    const end = () => {
      clearTimeout(timer)
      socket.off('disconnect', onDisconnect)
    }
    socket.on('disconnect', onDisconnect)
    const untyped = socket as unknown as {
      emit(name: string, input: unknown, reply: (reply: Reply<Value>) => void): void
    }
    untyped.emit(name, input, (reply) => {
      end()
      resolve(reply)
    })
  })
}
