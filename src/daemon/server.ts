import { createServer, type Server as HttpServer } from 'node:http'
import type { Socket as NetSocket } from 'node:net'
import { Server, type DefaultEventsMap, type ServerOptions as IoOptions, type Socket } from 'socket.io'
import { VosError } from '../core/errors.ts'
import { conceal, maskedIn } from '../core/masks.ts'
import {
  PROTOCOL_VERSION,
  type ClientToServerEvents,
  type EventBatch,
  type Handshake,
  type Heartbeat,
  type Refusal,
  type Reply,
  type ReplyOf,
  type RequestName,
  type RequestOf,
  type ServerToClientEvents,
} from '../core/protocol.ts'
import { ACCESS, explain, REQUESTS } from '../core/schemas.ts'
import { VERSION } from '../core/version.ts'
import { concealed, signed, type Caller } from './caller.ts'
import { failpoint } from './failpoint.ts'
import { Feed, type Watcher } from './feed.ts'
import type { Handlers } from './handlers.ts'
import type { Manager } from './manager.ts'
import type { Store } from './store/store.ts'

const MAX_CLIENTS = 64
/** Subscriptions of one client. */
const MAX_ROOMS = 16
const MAX_PACKET_BYTES = 64 * 1024
const REQUESTS_PER_SECOND = 20
/** Beside its acknowledgements. Beyond that it is no client: to refuse each one would take all of the daemon's time. */
const PACKETS_PER_SECOND = 200
/** How much of each second whoever came with a token may keep the daemon busy with reading. */
const READING_SHARE = 0.25
const HEARTBEAT_MS = 5000
/** Whoever connects and is not admitted within this time leaves its place to others. */
const ENTER_MS = 10_000
/** So long does a goodbye take. */
const LEAVE_MS = 1000
/** A client that asks while so many characters of earlier answers wait for it does not read them. */
const MAX_WAITING = 4 * 2 ** 20
/** What a packet costs beside its characters. */
const PACKET_COST = 256
/** Batches that one client has been sent and has not acknowledged, those of watches that it has left included. */
const MAX_UNDER_WAY = 2 * MAX_ROOMS

/** Who came through a door; nobody is named at the Unix socket. */
interface Entered {
  caller?: Caller
}

export type VosSocket = Socket<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, Entered>
export type VosServer = Server<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, Entered>

export interface ServerOptions {
  readonly store: Store
  readonly manager: Manager
  readonly handlers: Handlers
  readonly now: () => number
  readonly log: (line: string) => void
  /** Called when a client came or left. */
  readonly onClients: (count: number) => void
  /** How many files and sockets this process may have open. Clients get half of them at most. */
  readonly descriptors?: number
}

export interface Door {
  readonly http: HttpServer
  readonly maxClients: number
  /** Who comes in over the network. @throws VosError for who may not */
  readonly enter?: (socket: VosSocket) => Caller
  readonly io?: Partial<IoOptions>
}

/** Who is connected to the daemon. */
export interface Crowd {
  readonly clients: number
  readonly watchers: number
  /** The place in the journal up to which every watcher has taken its events. */
  readonly taken: number
}

export interface RunningServer {
  /** Of the Unix socket. */
  readonly http: HttpServer
  /** At all doors. */
  readonly clients: () => number
  /** One more door to the same house, which closes with it. */
  open(door: Door): VosServer
  /** Who is there, and how far behind the slowest watcher is. */
  readonly crowd: () => Crowd
  /** What somebody asks who came over the network by another way than Socket.IO. */
  ask(name: RequestName, input: unknown, caller: Caller): Promise<Reply<unknown>>
  close(): Promise<void>
}

/** The Socket.IO face of the daemon, on an HTTP server that the caller lets listen. */
export function createVosServer(options: ServerOptions): RunningServer {
  const { manager, store, handlers, now, log, onClients, descriptors = Infinity } = options
  const maxClients = Math.min(MAX_CLIENTS, Math.max(1, Math.floor(descriptors / 4)))
  const http = createServer((_, response) => response.writeHead(404).end())
  const raw = new Map<NetSocket, NodeJS.Timeout>()
  http.on('connection', (socket) => {
    const late = setTimeout(() => socket.destroy(), ENTER_MS).unref()
    raw.set(socket, late)
    socket.on('close', () => {
      clearTimeout(late)
      raw.delete(socket)
    })
  })
  // Clients that are admitted or being refused; whoever sends nothing must not keep the daemon from its descriptors.
  http.maxConnections = maxClients * 2
  const doors = new Set<VosServer>()
  const readings = createReadings()
  const clients = () => [...doors].reduce((sum, io) => sum + io.sockets.sockets.size, 0)
  const feed = new Feed(store.operations, (id) => (manager.find(id) ?? store.operations.find(id)[0])?.connection.id)
  const stopFeeding = manager.onEvent((recorded) => feed.push(recorded))
  const beat = setInterval(() => {
    if (feed.watchers === 0) return
    for (const io of doors) io.emit('heartbeat', { now: now(), cursor: feed.cursor } satisfies Heartbeat)
  }, HEARTBEAT_MS)
  beat.unref()

  const meet = (socket: VosSocket): void => {
    const { caller } = socket.data
    onClients(clients())
    const watchers = new Map<string, Watcher>()
    let underWay = 0
    socket.on('disconnect', () => {
      for (const watcher of watchers.values()) watcher.close()
      onClients(clients())
      socket.conn.close()
    })
    serve(socket, caller, {
      ...handlers,
      subscribe: ({ room, after }) => {
        watchers.get(room)?.close()
        if (watchers.size >= MAX_ROOMS && !watchers.has(room)) {
          throw new VosError('too_many_clients', `No more than ${MAX_ROOMS} rooms for a client.`, {
            hint: 'Subscribe to "operations".',
          })
        }
        // The snapshot and the place in the journal are taken in one turn: no event can fall between them.
        const snapshot = {
          operations: manager.board().filter(({ connection }) => feed.isIn(room, connection.id)),
          cursor: feed.cursor,
          missed: after === undefined ? null : feed.missed(after, room),
        }
        const send = (batch: Omit<EventBatch, 'room'>) => {
          const { promise, resolve } = Promise.withResolvers<void>()
          if (++underWay > MAX_UNDER_WAY) cutOff(socket.conn)
          failpoint('events.before', () => String(batch.events.at(-1)?.cursor ?? ''))
          const told = caller ? (concealed(batch) as typeof batch) : batch
          socket.emit('events', { ...told, room }, () => {
            underWay--
            resolve()
          })
          return promise
        }
        watchers.set(room, feed.watch(feed.cursor, room, send))
        return snapshot
      },
    })
  }

  const open = ({ http, maxClients, enter, io: more }: Door): VosServer => {
    const io: VosServer = new Server(http, {
      serveClient: false,
      transports: ['websocket'],
      maxHttpBufferSize: MAX_PACKET_BYTES,
      perMessageDeflate: false,
      httpCompression: false,
      connectTimeout: ENTER_MS,
      ...more,
    })
    doors.add(io)
    io.engine.on('connection', bound)
    // A client is a connection: it enters once, and leaves with it.
    const entered = new WeakSet<object>()
    io.use((socket, next) => {
      try {
        if (entered.has(socket.conn)) throw new VosError('bad_request', 'A connection enters once.')
        entered.add(socket.conn)
        if (enter) socket.data.caller = enter(socket)
        admit(socket.handshake.auth, io.sockets.sockets.size, maxClients)
        next()
      } catch (error) {
        const { error: data } = refuse(error)
        setImmediate(() => socket.conn.close())
        next(Object.assign(new Error(data.message), { data }))
      }
    })
    io.on('connection', meet)
    return io
  }
  open({ http, maxClients }).on('connection', ({ request }) => clearTimeout(raw.get(request.socket)))

  /** Every request is parsed, answered once, and cannot hurt anybody but its sender. */
  function serve(socket: VosSocket, caller: Caller | undefined, table: AllHandlers): void {
    let windowStart = -Infinity
    let requests = 0
    socket.use(([name, input, reply]: unknown[], next) => {
      if (typeof reply !== 'function') return next(new Error('a request without a reply'))
      const answer = reply as (reply: Reply<unknown>) => void
      const at = performance.now()
      if (at - windowStart >= 1000) {
        windowStart = at
        requests = 0
      }
      if (++requests > REQUESTS_PER_SECOND) {
        const message = `More than ${REQUESTS_PER_SECOND} requests in a second.`
        return answer(refuse(new VosError('too_many_requests', message, { hint: 'Ask more slowly.' })))
      }
      if (typeof name !== 'string' || !Object.hasOwn(REQUESTS, name)) {
        return answer(refuse(new VosError('bad_request', 'The daemon does not know this request.')))
      }
      void respond(name as RequestName, input, table, caller).then((reply) => {
        failpoint('reply.before', () => name)
        answer(reply)
        failpoint('reply.after', () => `${name} ${JSON.stringify(reply)}`)
      })
    })
    // Without a listener a refused packet would be an uncaught error.
    socket.on('error', () => undefined)
  }

  async function respond(
    name: RequestName,
    input: unknown,
    table: AllHandlers,
    caller: Caller | undefined,
  ): Promise<Reply<unknown>> {
    if (!caller || ACCESS[name] !== 'read') {
      const reply = await answer(name, input, table, caller)
      return caller ? (concealed(reply) as typeof reply) : reply
    }
    if (!readings.hasTime(caller)) {
      const message = 'What this token reads keeps the daemon too busy.'
      return refuse(new VosError('too_many_requests', message, { hint: 'Ask more slowly, and for less at once.' }))
    }
    const reply = await readings.timed(caller, () => answer(name, input, table, caller))
    return readings.timed(caller, () => concealed(reply) as typeof reply)
  }

  async function answer(
    name: RequestName,
    input: unknown,
    table: AllHandlers,
    caller: Caller | undefined,
  ): Promise<Reply<unknown>> {
    const reveal = concealIn(input)
    try {
      const parsed = REQUESTS[name].safeParse(caller ? signed(name, input, caller) : input)
      if (!parsed.success) throw new VosError('bad_request', `The request is not valid: ${explain(parsed.error)}.`)
      const handler = table[name] as (input: unknown) => unknown
      return { ok: true, value: await handler(parsed.data) }
    } catch (error) {
      if (!(error instanceof VosError)) {
        log(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      }
      return refuse(error)
    } finally {
      reveal()
    }
  }

  return {
    http,
    clients,
    crowd: () => ({ clients: clients(), watchers: feed.watchers, taken: feed.taken }),
    open,
    ask: (name, input, caller) => {
      const table = {
        ...handlers,
        subscribe: () => {
          throw new VosError('bad_request', 'Only a socket can watch.')
        },
      }
      return respond(name, input, table, caller)
    },
    async close() {
      clearInterval(beat)
      stopFeeding()
      // Whoever does not close their end, or never said a word, must not keep the daemon from ending.
      const closed = [...doors].map((io) => {
        const closed = io.close()
        io.disconnectSockets(true)
        return closed
      })
      http.closeAllConnections()
      for (const socket of raw.keys()) socket.destroy()
      await Promise.all(closed)
    },
  }
}

/** Of each token, how much of the daemon's time its questions have taken: while it reads, nobody else has a turn. */
function createReadings() {
  const spent = new Map<string, { readonly at: number; readonly ms: number }>()
  const level = ({ name }: Caller, now: number): number => {
    const { at, ms } = spent.get(name) ?? { at: now, ms: 0 }
    return Math.max(0, ms - (now - at) * READING_SHARE)
  }
  return {
    hasTime: (caller: Caller): boolean => level(caller, performance.now()) < READING_SHARE * 1000,
    timed<T>(caller: Caller, work: () => T): T {
      const began = performance.now()
      const before = level(caller, began)
      const result = work()
      const at = performance.now()
      spent.set(caller.name, { at, ms: before + at - began })
      return result
    },
  }
}

type AllHandlers = {
  readonly [Name in RequestName]: (input: RequestOf<Name>) => ReplyOf<Name> | Promise<ReplyOf<Name>>
}

/** Before anybody is a client, too: what is sent costs time, and what is answered and not read costs memory. */
function bound(conn: VosSocket['conn']): void {
  let waiting = 0
  let since = -Infinity
  let packets = 0
  conn.on('packetCreate', ({ data }: { data?: string | Buffer }) => {
    waiting += PACKET_COST + (data?.length ?? 0)
    // An event, which will be acknowledged.
    if (typeof data === 'string' && data.startsWith('2')) packets--
  })
  conn.on('drain', () => (waiting = 0))
  // Whoever does not answer a goodbye is cut off.
  conn.once('close', () => setTimeout(() => cutOff(conn), LEAVE_MS).unref())
  conn.on('packet', ({ type, data }: { type: string; data?: unknown }) => {
    const at = performance.now()
    if (at - since >= 1000) [since, packets] = [at, 0]
    // An acknowledgement wants no answer, nor does a sign of life: whoever still reads sends them.
    const wantsAnswer = type === 'message' && !/^[36]/.test(String(data))
    if (++packets > PACKETS_PER_SECOND || (wantsAnswer && waiting > MAX_WAITING)) cutOff(conn)
  })
}

/** At once, and with all that waits for it: what a client does not take must not fill the daemon. */
function cutOff(conn: VosSocket['conn']): void {
  conn.close(true)
  // Polling comes over many connections.
  if (conn.transport.name !== 'polling') conn.request.socket.destroy()
}

/** @throws VosError */
function admit(auth: Record<string, unknown>, clients: number, maxClients: number): void {
  const { protocol, version } = auth as Partial<Handshake>
  if (protocol !== PROTOCOL_VERSION) {
    const theirs = typeof version === 'string' ? version.slice(0, 32) : 'unknown'
    const spoken = typeof protocol === 'number' ? protocol : 'unknown'
    throw new VosError(
      'daemon_version',
      `The daemon is vosctl ${VERSION} (protocol ${PROTOCOL_VERSION}), this client is ${theirs} (protocol ${spoken}).`,
      { hint: 'Use one version, or restart the daemon when it is idle: vosctl daemon restart' },
    )
  }
  if (clients >= maxClients) {
    throw new VosError('too_many_clients', `The daemon already has ${maxClients} clients.`, {
      hint: 'Close one of them.',
    })
  }
}

/** A password or passphrase in a request stays out of whatever goes wrong with it. */
function concealIn(input: unknown): () => void {
  const { password, passphrase } = (input ?? {}) as { readonly password?: unknown; readonly passphrase?: unknown }
  const secret = password ?? passphrase
  return typeof secret === 'string' ? conceal(secret) : () => {}
}

function refuse(error: unknown): { ok: false; error: Refusal } {
  if (error instanceof VosError) return { ok: false, error: maskedIn<Refusal>(error.toInfo()) }
  const message = 'The daemon failed in a way that it did not expect.'
  return { ok: false, error: { code: 'bug', message, hint: 'Read its log and report it: vosctl daemon logs' } }
}
