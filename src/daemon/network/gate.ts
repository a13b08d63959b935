import type { IncomingMessage } from 'node:http'

/** Who may come as far as the question for a token. */
export interface Rules {
  /** What may stand in a Host header, in small letters. */
  readonly hosts: ReadonlySet<string>
  readonly origins: ReadonlySet<string>
  readonly polling: boolean
}

/** Why a request is refused, with the status of its answer. */
export interface No {
  readonly status: number
  readonly message: string
  /** What the log may say of it, beside what the answer says; from outside, so it is to be cleaned. */
  readonly offered?: string
}

/** What a request is for. A session is that of an earlier request by polling. */
export type Purpose =
  | { readonly type: 'preflight' }
  | { readonly type: 'socket'; readonly session: string | null }
  | { readonly type: 'face' }

export const SOCKET_PATH = '/socket.io/'
const METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS']
const MAX_BODY_BYTES = 64 * 1024

/** Every value of a header. Node keeps the first of some, joins others, and one that counts must not come twice. */
export function headerValues({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name)
}

/**
 * Does it come to this house by its own name? A page that has its name point to this machine (DNS rebinding) sends the
 * name that its browser shows.
 */
export function checkHost(request: IncomingMessage, { hosts }: Rules): No | null {
  const [host, ...more] = headerValues(request, 'host')
  if (host === undefined || more.length > 0) return { status: 400, message: 'There must be one Host header.' }
  if (hosts.has(host.toLowerCase())) return null
  return { status: 421, message: 'This is not a host of this daemon (hosts:).', offered: host }
}

/**
 * Does it come from a page that may ask? Programs send no Origin. A browser leaves it out too for some requests, but then
 * says what made it ask: only a person at the address line passes.
 */
export function checkOrigin(request: IncomingMessage, { origins }: Rules): No | null {
  const [origin, ...more] = headerValues(request, 'origin')
  if (more.length > 0) return { status: 400, message: 'There must be no more than one Origin header.' }
  if (origin !== undefined) {
    if (origins.has(origin)) return null
    return { status: 403, message: 'This origin may not ask (origins:).', offered: origin }
  }
  const site = headerValues(request, 'sec-fetch-site')
  if (site.every((value) => value === 'none')) return null
  return { status: 403, message: 'A page must say its origin.' }
}

/** What is it for? Nothing is decoded: what would need that is refused. */
export function findPurpose(request: IncomingMessage, isUpgrade: boolean, { polling }: Rules): Purpose | No {
  const { method = '', url = '' } = request
  const bad = (message: string, status = 400): No => ({ status, message })
  const [, path = '', question] = /^(\/(?!\/)[\w./~:@!$'()*,;=%+-]*)(?:\?(.*))?$/s.exec(url) ?? []
  if (path === '') return bad('The target of the request is no path.')
  if (!METHODS.includes(method)) return bad('There are only GET, HEAD, POST and OPTIONS.', 405)
  const query = readQuery(question)
  // A token in a query would be in every log that it passes, so that nobody gets used to it: none is looked at.
  if (!query) return bad('The query is none that the daemon knows. A token is never sent in it.')
  if (Number(headerValues(request, 'content-length')[0] ?? 0) > MAX_BODY_BYTES) return bad('The body is too long.', 413)
  if (method === 'OPTIONS') {
    const asks = headerValues(request, 'origin').length + headerValues(request, 'access-control-request-method').length
    return asks === 2 ? { type: 'preflight' } : bad('OPTIONS is for the preflight of a page.', 405)
  }
  if (path !== SOCKET_PATH) {
    if (path.startsWith('/socket.io')) return bad('There is nothing here.', 404)
    if (isUpgrade) return bad('Nothing is upgraded here.')
    return query.size > 0 ? bad('The query is none that the daemon knows.') : { type: 'face' }
  }
  const session = query.get('sid') ?? null
  const transport = query.get('transport')
  if (query.get('EIO') !== '4') return bad('Only Engine.IO 4 is spoken.')
  if (transport === 'websocket') {
    // A session stays with the transport that it began with, so that every request of it can bring its token.
    if (session !== null) return bad('No session is taken over by a websocket.')
    return isUpgrade && isWebsocket(request)
      ? { type: 'socket', session }
      : bad('A websocket begins with an upgrade, version 13.')
  }
  if (transport !== 'polling' || isUpgrade) return bad('There is no such transport.')
  if (!polling) return bad('Polling is off (polling: true).')
  return method === 'GET' || (method === 'POST' && session !== null)
    ? { type: 'socket', session }
    : bad('A session by polling begins with GET.', 405)
}

/** So that the library which takes it from here finds nothing to refuse in its own words. */
function isWebsocket(request: IncomingMessage): boolean {
  const value = (name: string) => headerValues(request, name).join()
  return (
    request.method === 'GET' &&
    value('upgrade').toLowerCase() === 'websocket' &&
    value('sec-websocket-version') === '13' &&
    /^[\w+/]{22}==$/.test(value('sec-websocket-key'))
  )
}

/** What Socket.IO asks with, each at most once; null for anything else. */
function readQuery(question = ''): ReadonlyMap<string, string> | null {
  const query = new Map<string, string>()
  if (question === '') return query
  for (const part of question.split('&')) {
    const [, key = '', value = ''] = /^(EIO|transport|sid|t)=([\w-]{1,64})$/.exec(part) ?? []
    if (key === '' || query.has(key)) return null
    query.set(key, value)
  }
  return query
}

/** The one token of an Authorization header; null when there is none, and a refusal when it is no token. */
export function bearerOf(request: IncomingMessage): string | null | No {
  const values = headerValues(request, 'authorization')
  if (values.length === 0) return null
  const [, token] = /^Bearer ([\w.~+/=-]{1,256})$/i.exec(values.join()) ?? []
  return token ?? { status: 401, message: 'The Authorization header must be: Bearer and a token.' }
}
