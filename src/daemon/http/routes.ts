import { VosError } from '../../core/errors.ts'
import type { RequestName } from '../../core/protocol.ts'
import { REQUESTS } from '../../core/schemas.ts'
import { VERSION } from '../../core/version.ts'
import type { Manager } from '../manager.ts'
import type { Store } from '../store/store.ts'
import { json, type Answer } from './answer.ts'
import type { Metrics } from './metrics.ts'
import { restart } from './restart.ts'

/** What the routes work with. */
export interface Surroundings {
  readonly store: Store
  readonly manager: Manager
  readonly metrics: Metrics
  /** As a request on the socket, in the name of whoever asks. @throws RefusedReply */
  readonly ask: (name: RequestName, input: unknown) => Promise<unknown>
}

export interface Asked {
  /** What stands in the place of `:id`, decoded; may be anything. */
  readonly id: string
  /** Of a POST: its JSON document, not looked at yet. */
  readonly body: unknown
  /** The header `Idempotency-Key`. */
  readonly key: string | undefined
}

export interface Route {
  readonly method: 'GET' | 'POST'
  /** `:id` stands for one segment. */
  readonly path: string
  readonly access: 'read' | 'full'
  readonly answer: (surroundings: Surroundings, asked: Asked) => Answer | Promise<Answer>
}

/** Everything that can be asked; docs/openapi.json tells the same, and a test compares them. */
export const ROUTES: readonly Route[] = [
  { method: 'POST', path: '/api/connections/:id/restart', access: 'full', answer: restart },
  { method: 'GET', path: '/api/operations/:id', access: 'read', answer: operation },
  { method: 'GET', path: '/healthz', access: 'read', answer: health },
  { method: 'GET', path: '/metrics', access: 'read', answer: metrics },
]

async function operation({ ask }: Surroundings, { id }: Asked): Promise<Answer> {
  // Another word is no wrong request, but the name of nothing.
  if (REQUESTS['operation:get'].shape.id.safeParse(id).success) return json(200, await ask('operation:get', { id }))
  throw new VosError('unknown_operation', 'There is no operation of this name.', {
    hint: 'See: vosctl ps, vosctl history',
  })
}

/** 503 when no work would be taken on. */
function health({ store, manager }: Surroundings): Answer {
  const { active, draining } = manager
  const status = draining ? 'draining' : store.isSound ? 'ok' : 'failing'
  return json(status === 'ok' ? 200 : 503, { status, version: VERSION, active, draining })
}

async function metrics({ metrics }: Surroundings): Promise<Answer> {
  const { type, text } = await metrics.read()
  return { status: 200, headers: { 'Content-Type': type }, body: text }
}
