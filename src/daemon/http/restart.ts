import { z } from 'zod'
import type { Connection } from '../../core/connection.ts'
import { VosError } from '../../core/errors.ts'
import type { StartResult } from '../../core/protocol.ts'
import { explain, REQUESTS } from '../../core/schemas.ts'
import type { Store } from '../store/store.ts'
import { json, type Answer } from './answer.ts'
import type { Asked, Surroundings } from './routes.ts'

const { requestId, ...fields } = REQUESTS['operation:start'].pick({
  requestId: true,
  service: true,
  reason: true,
  deadlineMs: true,
  ifRunning: true,
  ifRecentMs: true,
  startStopped: true,
}).shape

/**
 * What a restart may be asked with, as on the socket. Left out is what only a person can say who was asked: that an unknown
 * outcome is accepted, that a refused login is tried again, that our own session is cut.
 */
export const RESTART = z.strictObject({ ...fields, requestId: requestId.exactOptional() })

/**
 * Starts a restart of one connection, at most once for each key.
 * @returns 202 with the new operation, also when it is asked for again; 200 with the one that stands in its place
 * @throws VosError as `operation:start`
 */
export async function restart({ store, ask }: Surroundings, { id, body, key }: Asked): Promise<Answer> {
  const connection = connectionOf(store, id)
  const parsed = RESTART.safeParse(body)
  if (!parsed.success) throw invalid(explain(parsed.error))
  const { requestId, ...wish } = parsed.data
  const { operations, attached, skipped } = (await ask('operation:start', {
    ...wish,
    requestId: keyOf(key, requestId),
    operationType: 'service_restart',
    connectionIds: [connection.id],
  })) as StartResult
  const [operation] = operations
  const Location = `/api/operations/${operation?.id ?? skipped[0]?.operation}`
  if (operation) return json(attached.length > 0 ? 200 : 202, operation, { Location })
  return json(200, await ask('operation:get', { id: skipped[0]?.operation }), { Location })
}

function connectionOf({ connections }: Store, word: string): Connection {
  const found = /^\d{1,15}$/.test(word)
    ? connections.get(Number(word))
    : connections.list().find(({ name }) => name === word)
  if (found) return found
  throw new VosError('unknown_connection', 'There is no connection of this name.', {
    hint: 'See: vosctl connections list',
  })
}

/** Without one a program that asks again, because the answer was lost, would restart again. */
function keyOf(header: string | undefined, inBody: string | undefined): string {
  const key = header?.replace(/^"(.*)"$/, '$1').toLowerCase() ?? inBody?.toLowerCase()
  if (key === undefined) {
    throw invalid(
      'it has no Idempotency-Key',
      'Send a UUID: a new one for each wish (uuidgen), the same for its repetitions.',
    )
  }
  if (!z.uuid().safeParse(key).success) throw invalid('Idempotency-Key: is not one UUID')
  if (inBody !== undefined && inBody.toLowerCase() !== key) throw invalid('Idempotency-Key and requestId differ')
  return key
}

function invalid(what: string, hint = ''): VosError {
  return new VosError('bad_request', `The request is not valid: ${what}. Nothing was started.`, { hint })
}
