import { constants } from 'node:crypto'
import http, { type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket as NetSocket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { VosError, type ErrorCode, type ErrorInfo } from '../../core/errors.ts'
import { oneLine } from '../../core/text.ts'
import type { Caller } from '../caller.ts'
import type { RunningServer, VosSocket } from '../server.ts'
import type { Settings } from '../settings.ts'
import type { Store } from '../store/store.ts'
import type { Token } from '../store/tokens.ts'
import { isLoopback, toHostPort, type Address } from './address.ts'
import { answerJson, answerRaw, corsHeaders, preflightHeaders, SAFE_HEADERS } from './answers.ts'
import { bearerOf, checkHost, checkOrigin, findPurpose, headerValues, type No, type Purpose } from './gate.ts'
import { readTls, type TlsMaterial } from './tls.ts'

const MAX_CLIENTS = 32
/** A page that polls uses two. */
const MAX_CONNECTIONS = 4 * MAX_CLIENTS
const REQUESTS_PER_SECOND = 20
/** Beyond that it is no person who has the wrong file. Tokens that are known pass all the same. */
const FAILURES_PER_MINUTE = 60
const MINUTE_MS = 60_000

/** Whoever is slow to say what they want leaves their place to others. */
const LIMITS: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
  // The gate refuses it in our own words.
  requireHostHeader: false,
  insecureHTTPParser: false,
}
/** Longer than the pause between two answers to somebody who polls. */
const SILENCE_MS = 60_000

/** Answers what is no Socket.IO, once Host, Origin and token are found to be right. */
export type Face = (request: IncomingMessage, response: ServerResponse, caller: Caller) => void | Promise<void>

export interface NetworkOptions {
  readonly settings: Settings
  readonly server: Pick<RunningServer, 'open'>
  readonly store: Store
  readonly now: () => number
  readonly log: (line: string) => void
  readonly face?: Face
  /** How many files and sockets this process may have open. */
  readonly descriptors?: number
  readonly failuresPerMinute?: number
}

export interface NetworkDoor {
  /** As a browser would write them. */
  readonly addresses: readonly string[]
  /** Until then whoever connects is sent away. */
  open(): void
  /** At once, for whoever is connected with it. */
  cutOff(token: Token): void
  close(): Promise<void>
}

/** A request that has come past the gate. */
interface Visit {
  readonly purpose: Purpose
  readonly token: Token | null
  readonly host: string
  readonly origin: string | undefined
}

/** What an open session of Socket.IO belongs to. */
interface Session extends Pick<Visit, 'host' | 'origin'> {
  token: Token | null
  readonly end: () => void
}

/** A socket of Engine.IO; its types keep the id to themselves. */
interface Conversation {
  readonly id: string
  readonly request: IncomingMessage
  readonly transport: { readonly name: string }
  close(discard: boolean): void
  once(event: 'close', listener: () => void): void
}

/**
 * Listens where the settings say, and lets in who comes by the right name, from the right page, with a token. Socket.IO
 * and the face stand behind that gate and see nothing of what was refused.
 * @throws VosError `bad_config`, `bad_key_file` or `daemon_start`; then it listens nowhere
 */
export async function openNetworkDoor(options: NetworkOptions): Promise<NetworkDoor> {
  const { settings, server, store, now, log, face } = options
  const { descriptors = Infinity, failuresPerMinute = FAILURES_PER_MINUTE } = options
  const { listen, origins, polling, tls } = settings
  const { tokens } = store
  const material = tls && (await readTls(tls))
  const complain = createComplaints(log)
  const failures = createWindow(MINUTE_MS)
  const requests = new Map<number, ReturnType<typeof createWindow>>()
  const hosts = new Set(settings.hosts)
  const rules = { hosts, origins: new Set(origins), polling }
  const visits = new WeakMap<IncomingMessage, Visit>()
  const sessions = new Map<string, Session>()
  let isOpen = false

  // Never listens: what has passed the gate is handed to it.
  const inner = http.createServer()
  const io = server.open({
    http: inner,
    maxClients: MAX_CLIENTS,
    enter,
    io: { transports: polling ? ['polling', 'websocket'] : ['websocket'], allowUpgrades: false },
  })
  io.engine.on('connection', (conn: Conversation) => {
    const visit = visits.get(conn.request)
    const end = () => {
      conn.close(true)
      if (conn.transport.name === 'websocket') conn.request.socket.destroy()
    }
    if (!visit) return end()
    sessions.set(conn.id, { token: visit.token, host: visit.host, origin: visit.origin, end })
    conn.once('close', () => {
      sessions.delete(conn.id)
      // Whoever does not close their end would keep a place that others want.
      if (conn.transport.name === 'websocket') conn.request.socket.destroySoon()
    })
  })
  io.engine.on('headers', (headers: object) => Object.assign(headers, SAFE_HEADERS))

  /** A page cannot send a header with a websocket, so the token may come in the first packet. Before that nothing is served. */
  function enter(socket: VosSocket): Caller {
    const session = sessions.get((socket.conn as unknown as Conversation).id)
    const { token: said } = socket.handshake.auth as { token?: unknown }
    const token = said === undefined ? session?.token : identify(said)
    const isOther = session?.token && session.token.id !== token?.id
    if (!session || !token || isOther) {
      setImmediate(() => socket.conn.close())
      if (said !== undefined) countFailure(socket.request)
      throw new VosError('bad_token', 'The token is missing, or it is not known.', {
        hint: 'Send it in the handshake: auth: { token }. Make one: vosctl daemon token create <name>',
      })
    }
    session.token = token
    return toCaller(token)
  }

  function toCaller({ id, name, access }: Token): Caller {
    return { name, access, isKnown: () => tokens.list().some((one) => one.id === id) }
  }

  function identify(said: unknown): Token | null {
    const token = typeof said === 'string' && /^vosctl_[\w-]{43}$/.test(said) ? tokens.find(said) : null
    const at = now()
    if (token && tokens.isUseNews(token, at)) store.write(() => tokens.used(token, at))
    return token
  }

  function countFailure({ socket }: IncomingMessage): boolean {
    complain('token', `a wrong token, from ${socket.remoteAddress ?? 'somebody who has left'}`)
    return failures() > failuresPerMinute
  }

  function judge(request: IncomingMessage, isUpgrade: boolean): Visit | No {
    const no = checkHost(request, rules) ?? checkOrigin(request, rules)
    if (no) return no
    const purpose = findPurpose(request, isUpgrade, rules)
    if ('status' in purpose) return purpose
    const [host = ''] = headerValues(request, 'host')
    const [origin] = headerValues(request, 'origin')
    const visit = { purpose, token: null, host: host.toLowerCase(), origin }
    if (purpose.type === 'preflight') return visit
    const said = bearerOf(request)
    if (said === null)
      return isUpgrade ? visit : { status: 401, message: 'Authorization: Bearer and a token is missing.' }
    const token = typeof said === 'string' ? identify(said) : null
    if (!token) {
      if (countFailure(request)) return { status: 429, message: 'Too many wrong tokens.' }
      return typeof said === 'string' ? { status: 401, message: 'The token is not known.' } : said
    }
    if (purpose.type === 'face') {
      const window = requests.get(token.id) ?? createWindow(1000)
      requests.set(token.id, window)
      if (window() > REQUESTS_PER_SECOND) return { status: 429, message: 'Too many requests in a second.' }
    } else if (purpose.session === null) {
      // One that polls has no connection by which it would be counted.
      const mine = [...sessions.values()].filter((session) => session.token?.id === token.id)
      if (mine.length >= MAX_CLIENTS) return { status: 429, message: 'Too many sessions of this token.' }
    } else {
      const session = sessions.get(purpose.session)
      if (!session) return { status: 400, message: 'There is no such session.' }
      if (session.token?.id !== token.id || session.origin !== visit.origin || session.host !== visit.host) {
        return { status: 403, message: 'The session is of somebody else.' }
      }
    }
    return { ...visit, token }
  }

  /** What passes; of what does not, an answer. */
  function admit(request: IncomingMessage, isUpgrade: boolean): Visit | (No & { error: ErrorInfo; headers: Headers }) {
    const visit = judge(request, isUpgrade)
    if (!('status' in visit)) return visit
    const { status, message, offered } = visit
    if (status === 403 || status === 421)
      complain(message, `${message} ${offered === undefined ? '' : oneLine(offered, 100)}`)
    // A page that may ask may also read what is wrong.
    const isListed = !checkHost(request, rules) && !checkOrigin(request, rules)
    const headers = {
      ...(isListed ? corsHeaders(request) : {}),
      ...(status === 401 ? { 'WWW-Authenticate': 'Bearer realm="vosctl"' } : {}),
      ...(status === 405 ? { Allow: 'GET, HEAD, POST' } : {}),
      ...(status === 429 ? { 'Retry-After': '1' } : {}),
      Connection: 'close',
    }
    return { ...visit, error: { code: CODES[status] ?? 'bad_request', message, hint: '' }, headers }
  }

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    if (!isReady(request.socket)) return
    const open = underWay.get(request.socket) ?? new Set()
    underWay.set(request.socket, open.add(request))
    response.once('close', () => open.delete(request))
    response.setHeaders(new Map(Object.entries(SAFE_HEADERS)))
    const visit = admit(request, false)
    if ('status' in visit) {
      response.setHeaders(new Map(Object.entries(visit.headers)))
      return answerJson(response, visit.status, { error: visit.error })
    }
    const { purpose, token } = visit
    if (purpose.type === 'preflight') return void response.writeHead(204, preflightHeaders(request)).end()
    response.setHeaders(new Map(Object.entries(corsHeaders(request))))
    if (purpose.type === 'socket') {
      visits.set(request, visit)
      inner.emit('request', request, response)
    } else if (token && face) void show(face, request, response, toCaller(token))
    else answerJson(response, 404, { error: { code: 'bad_request', message: 'There is nothing here.', hint: '' } })
  }

  async function show(face: Face, request: IncomingMessage, response: ServerResponse, caller: Caller): Promise<void> {
    try {
      await face(request, response, caller)
    } catch (error) {
      log(`network: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      if (response.headersSent) response.destroy()
      else answerJson(response, 500, { error: { code: 'bug', message: 'The daemon failed unexpectedly.', hint: '' } })
    }
  }

  function onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!isReady(request.socket)) return
    if (isAwaited(socket)) return void socket.destroy()
    const visit = admit(request, true)
    if ('status' in visit) return answerRaw(socket, visit.status, visit.error, visit.headers)
    visits.set(request, visit)
    inner.emit('upgrade', request, socket, head)
  }

  /** TLS has refused everybody without a certificate already; it is asked once more because so much hangs on it. */
  function isReady(socket: NetSocket): boolean {
    const isReady = isOpen && (!tls?.clients || (socket as TLSSocket).authorized)
    if (!isReady) socket.destroy()
    return isReady
  }

  const raw = new Set<NetSocket>()
  const servers: Server[] = []
  const close = async (): Promise<void> => {
    isOpen = false
    const closed = servers.map((each) => new Promise((resolve) => each.close(resolve)))
    for (const socket of raw) socket.destroy()
    await Promise.all(closed)
  }
  const addresses: string[] = []
  try {
    for (const address of listen) {
      const each = createListener(material, Boolean(tls?.clients), descriptors)
      each.on('request', onRequest).on('upgrade', onUpgrade)
      each.on('connection', (socket: NetSocket) => {
        raw.add(socket)
        socket.on('close', () => raw.delete(socket))
      })
      servers.push(each)
      const { port } = await bind(each, address, Boolean(tls?.clients))
      const names = [toHostPort({ ...address, port }), `localhost:${port}`]
      // A browser leaves out the port that its scheme has anyway.
      const usual = port === (tls ? 443 : 80) ? names.map((name) => name.replace(/:\d+$/, '')) : []
      for (const name of [...names, ...usual]) hosts.add(name.toLowerCase())
      addresses.push(`${tls ? 'https' : 'http'}://${names[0] ?? ''}`)
    }
  } catch (error) {
    await close()
    throw error
  }

  return {
    addresses,
    open: () => (isOpen = true),
    cutOff: ({ id }) => {
      requests.delete(id)
      for (const session of sessions.values()) if (session.token?.id === id) session.end()
    },
    close,
  }
}

/** Of each connection, the requests that have no answer yet. */
const underWay = new WeakMap<Duplex, Set<IncomingMessage>>()

/** What is said past it would be taken for the answer to a request that has come whole, and may have begun something. */
function isAwaited(socket: Duplex): boolean {
  return [...(underWay.get(socket) ?? [])].some(({ complete }) => complete)
}

type Headers = Readonly<Record<string, string>>

const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'bad_token',
  403: 'not_allowed',
  421: 'not_allowed',
  429: 'too_many_requests',
}

function createListener(material: TlsMaterial | null, asksForCertificate: boolean, descriptors: number): Server {
  const listener: Server = material
    ? https.createServer({
        ...LIMITS,
        ...material,
        minVersion: 'TLSv1.2',
        requestCert: asksForCertificate,
        rejectUnauthorized: true,
        handshakeTimeout: 10_000,
        // Every session shows its certificate anew.
        secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
      })
    : http.createServer(LIMITS)
  listener.timeout = SILENCE_MS
  // Node drops without a word what is beyond this number; an Origin may be among it. The size is limited anyway.
  listener.maxHeadersCount = 0
  listener.maxConnections = Math.min(MAX_CONNECTIONS, Math.max(1, Math.floor(descriptors / 8)))
  listener.on('clientError', ({ code = '' }: NodeJS.ErrnoException, socket) => {
    // Only who speaks HTTP, however badly, is answered in it.
    if (!/^(HPE|ERR_HTTP)_/.test(code) || isAwaited(socket)) return void socket.destroy()
    const status = code === 'HPE_HEADER_OVERFLOW' ? 431 : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
    answerRaw(socket, status, { code: 'bad_request', message: 'This is no request that can be read.', hint: '' })
  })
  listener.on('checkExpectation', (request: IncomingMessage) => request.socket.destroy())
  return listener
}

async function bind(listener: Server, address: Address, isGuarded: boolean): Promise<AddressInfo> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  listener.once('error', reject)
  listener.listen({ ...address, ipv6Only: true }, resolve)
  const where = toHostPort(address)
  try {
    await promise
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    const inUse = code === 'EADDRINUSE'
    throw new VosError('daemon_start', `Cannot listen on ${where}: ${inUse ? 'the port is in use' : code}.`, {
      hint: `Correct listen: in config.yaml${inUse ? ', or end what uses it' : ''}.`,
    })
  }
  listener.removeListener('error', reject)
  const bound = listener.address() as AddressInfo
  // What counts is where it listens, and not what the settings seem to say.
  if (isLoopback(bound.address) || isGuarded) return bound
  throw new VosError('bad_config', `${where} is ${bound.address}, which other machines reach.`, {
    hint: 'Say 127.0.0.1 or [::1], or configure tls with clients.',
  })
}

/** The first of a kind in a minute is logged; those after it are counted. */
function createComplaints(log: (line: string) => void): (kind: string, line: string) => void {
  const kinds = new Map<string, { readonly at: number; more: number }>()
  return (kind, line) => {
    const last = kinds.get(kind)
    const at = performance.now()
    if (last && at - last.at < MINUTE_MS) return void last.more++
    log(`network: refused: ${line.trim()}${last?.more ? ` (and ${last.more} like it before)` : ''}`)
    kinds.set(kind, { at, more: 0 })
  }
}

/** Counts itself; begins anew when this time has passed. */
function createWindow(ms: number): () => number {
  let since = -Infinity
  let count = 0
  return () => {
    const at = performance.now()
    if (at - since >= ms) [since, count] = [at, 0]
    return ++count
  }
}
