import { VosError } from '../core/errors.ts'
import type { StartRequest, StartResult } from '../core/protocol.ts'
import { NoAnswerError, type Client } from './client.ts'
import { LeftError } from './leaving.ts'
import { RefusedError } from './refused-error.ts'

const RECONNECT_MS = 30_000
const ATTEMPTS = 3

/**
 * Asks for work until there is an answer. The request id makes that safe: the daemon gives the same operations back,
 * however often it is asked.
 * @throws VosError `not_confirmed` when no answer came: the work may have been accepted, and only looking tells
 */
export async function startOperations(
  client: Client,
  request: StartRequest,
  signal: AbortSignal,
  /** The service of the one target when none was named, to tell a duplicate from other work. */
  usualService: string | null = null,
): Promise<StartResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.request('operation:start', request)
    } catch (error) {
      if (error instanceof RefusedError) {
        throw new RefusedError(error.refusal, {
          type: request.operationType,
          service: request.service ?? usualService,
          isNamed: request.service !== undefined,
        })
      }
      if (!(error instanceof NoAnswerError)) throw error
      // Connected and silent: a daemon that is stuck does not answer faster because it is asked again.
      if (client.connected || attempt === ATTEMPTS) throw notConfirmed(error)
    }
    try {
      await client.reconnect(AbortSignal.any([signal, AbortSignal.timeout(RECONNECT_MS)]))
    } catch (error) {
      if (signal.reason instanceof LeftError) throw signal.reason
      throw notConfirmed(error)
    }
  }
}

function notConfirmed(cause: unknown): VosError {
  return new VosError('not_confirmed', 'the daemon did not answer, so nobody knows whether it has accepted this.', {
    hint: 'Look before you ask again: vosctl ps',
    cause,
  })
}
