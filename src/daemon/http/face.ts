import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { VosError } from '../../core/errors.ts'
import type { Refusal, RequestName } from '../../core/protocol.ts'
import type { Caller } from '../caller.ts'
import type { Manager } from '../manager.ts'
import type { RunningServer } from '../server.ts'
import type { Store } from '../store/store.ts'
import { HttpError, json, refusal, type Answer } from './answer.ts'
import { BODY_MS, hasBody, readJson } from './body.ts'
import { createMetrics } from './metrics.ts'
import { ROUTES, type Route } from './routes.ts'

export interface FaceOptions {
  readonly store: Store
  readonly manager: Manager
  readonly server: Pick<RunningServer, 'ask' | 'crowd'>
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: (line: string) => void
  /** How long a body may take, in milliseconds. */
  readonly bodyMs?: number
}

export interface Face {
  /** Answers one request, whose Host, Origin and token the door has found good. */
  readonly answer: (request: IncomingMessage, response: ServerResponse, caller: Caller) => void
  readonly close: () => void
}

/** The HTTP face of the daemon, for scripts and monitoring: docs/openapi.json. */
export function createFace({ store, manager, server, now, log, bodyMs = BODY_MS }: FaceOptions): Face {
  const metrics = createMetrics({ store, manager, crowd: server.crowd, now })
  const turns = new WeakMap<Socket, Promise<void>>()

  async function respond(request: IncomingMessage, caller: Caller): Promise<Answer> {
    const { route, id } = find(request)
    if (route.access === 'full' && caller.access !== 'full') {
      throw new VosError('not_allowed', `The token ${caller.name} may only read. Nothing was started.`, {
        hint: 'Ask with a token that was not made with --read-only.',
      })
    }
    const body = route.method === 'POST' ? await readJson(request, bodyMs) : undefined
    if (caller.isKnown?.() === false) {
      throw new VosError('bad_token', 'The token was revoked while its request was on the way. Nothing was started.')
    }
    const key = request.headers['idempotency-key'] as string | undefined
    const asCaller = async (name: RequestName, input: unknown) => {
      const reply = await server.ask(name, input, caller)
      if (reply.ok) return reply.value
      throw new RefusedReply(reply.error)
    }
    return route.answer({ store, manager, metrics, ask: asCaller }, { id, body, key })
  }

  function refuse(error: unknown): Answer {
    if (error instanceof HttpError) return json(error.status, { error: error.toInfo() }, error.headers)
    if (error instanceof RefusedReply) return refusal(error.refusal)
    if (error instanceof VosError) return refusal(error.toInfo())
    log(`http: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    const message = 'The daemon failed in a way that it did not expect.'
    return refusal({ code: 'bug', message, hint: 'Read its log and report it: vosctl daemon logs' })
  }

  return {
    answer: (request, response, caller) => {
      // In one breath somebody may ask for a restart and then for how it goes: the one is done before the other.
      const before = turns.get(request.socket) ?? Promise.resolve()
      const turn = before
        .then(() => respond(request, caller))
        .catch(refuse)
        .then((answer) => send(request, response, answer))
      turns.set(request.socket, turn)
    },
    close: metrics.close,
  }
}

/** What the daemon said to a request, with all that it said. */
class RefusedReply extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.message)
    this.refusal = refusal
  }
}

function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
  response.statusCode = status
  const all = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }
  for (const [name, value] of Object.entries({ ...all, ...headers })) response.setHeader(name, value)
  response.setHeader('Content-Length', Buffer.byteLength(body))
  // A body that was not wanted may be endless, and must not be read as the next request.
  if (hasBody(request) && !request.readableEnded) response.setHeader('Connection', 'close')
  // Node leaves the body out of the answer to a HEAD.
  response.end(body)
}

/** @throws HttpError 400, 404 or 405 */
function find({ method = '', url = '' }: IncomingMessage): { readonly route: Route; readonly id: string } {
  // Taken as it is: what `..` or a second slash would mean to others is not guessed.
  const path = url.split('?', 1)[0] ?? ''
  const found = ROUTES.filter((route) => idIn(route.path, path) !== null)
  const [first] = found
  if (!first) throw new HttpError(404, 'There is nothing of this name.', { hint: 'See docs/openapi.json.' })
  const allowed = found.flatMap((route) => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]))
  if (!allowed.includes(method)) {
    throw new HttpError(405, `This takes ${allowed.join(', ')}.`, { headers: { Allow: allowed.join(', ') } })
  }
  // A service that was named there would be overlooked, and the wrong one restarted.
  if (url.length > path.length) throw new HttpError(400, 'Nothing is taken from behind a question mark.')
  const route = found.find((one) => one.method === (method === 'HEAD' ? 'GET' : method)) ?? first
  try {
    return { route, id: decodeURIComponent(idIn(route.path, path) ?? '') }
  } catch {
    throw new HttpError(400, 'The path holds a percent sign that encodes nothing.')
  }
}

/** What stands in the place of `:id`, not decoded yet; empty when the pattern has no such place, null for another path. */
function idIn(pattern: string, path: string): string | null {
  const [before = '', after] = pattern.split(':id')
  if (after === undefined) return path === pattern ? '' : null
  const id = path.slice(before.length, path.length - after.length)
  return id !== '' && !id.includes('/') && path === `${before}${id}${after}` ? id : null
}
