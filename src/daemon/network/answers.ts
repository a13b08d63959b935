import { STATUS_CODES, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ErrorInfo } from '../../core/errors.ts'
import { headerValues } from './gate.ts'

/** On every answer: nothing here is a page, nothing may be framed, kept, guessed at or embedded. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  Vary: 'Origin',
  'X-Content-Type-Options': 'nosniff',
}

/** For a page whose origin has been found in the list: that one may read the answer, and without cookies. */
export function corsHeaders(request: IncomingMessage): Record<string, string> {
  const [origin] = headerValues(request, 'origin')
  if (origin === undefined) return {}
  return { 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': 'Location, Retry-After' }
}

export function preflightHeaders(request: IncomingMessage): Record<string, string> {
  const isPrivate = headerValues(request, 'access-control-request-private-network').join() === 'true'
  return {
    ...corsHeaders(request),
    'Access-Control-Allow-Methods': 'GET, POST',
    'Access-Control-Allow-Headers': 'Authorization, Content-Type, Idempotency-Key',
    'Access-Control-Max-Age': '600',
    ...(isPrivate ? { 'Access-Control-Allow-Private-Network': 'true' } : {}),
  }
}

/** One JSON document, and the end of the answer. */
export function answerJson(response: ServerResponse, status: number, document: unknown): void {
  const body = `${JSON.stringify(document)}\n`
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

/** An answer where there is no response to write it to: what was no request, or one to upgrade. The end of the socket. */
export function answerRaw(socket: Duplex, status: number, error: ErrorInfo, headers: OutgoingHttpHeaders = {}): void {
  const body = `${JSON.stringify({ error })}\n`
  const all = {
    ...SAFE_HEADERS,
    ...headers,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${String(value)}`)
  socket.on('error', () => undefined)
  if (!socket.writable) return void socket.destroy()
  socket.end([`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', body].join('\r\n'), () =>
    socket.destroy(),
  )
}
