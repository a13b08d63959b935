import { formatDuration } from '../duration.ts'
import { VosError, type ErrorInfo } from '../errors.ts'
import { maybeSent, type Operation, type OperationEvent } from '../operation.ts'

type Settled = Extract<OperationEvent, { type: 'settled' }>

/** The one place that turns an error into an ending: before the intent it failed, after it nobody knows. */
export function endingFor(operation: Operation, thrown: unknown): Settled {
  const error = thrown instanceof VosError ? thrown.toInfo() : bug()
  if (!maybeSent(operation)) {
    if (error.code === 'cancelled') return { type: 'settled', status: 'cancelled', message: error.message }
    if (error.code === 'interrupted') return { type: 'settled', status: 'interrupted', message: error.message, error }
    const code = error.code === 'deadline' ? 'deadline_before_sending' : error.code
    return { type: 'settled', status: 'failed', message: error.message, error: { ...error, code } }
  }
  // That no login followed is no news of the command before it.
  const why = error.message.replace(/ ?Nothing was sent\.$/, '').replace(/\.$/, '')
  const message = `outcome unknown: ${why}${lastSeen(operation)}`
  const hint = afterHint(error.hint, operation)
  return { type: 'settled', status: 'unknown', message, error: { ...error, code: unknownCode(error), message, hint } }
}

/** What a person does about an unknown outcome. */
export function lookHint({ id }: Pick<Operation, 'id'>): string {
  return `Look at the device: vosctl verify ${id}. Then accept the outcome: vosctl ack ${id}`
}

/** A look needs a login, so what stands in its way comes first. */
function afterHint(hint: string, operation: Operation): string {
  if (!hint.includes('vosctl ')) return lookHint(operation)
  return `${hint.replace(/\.$/, '')}. Then look: vosctl verify ${operation.id}`
}

/** After the intent only these codes tell the truth; any other one would claim that the device was not touched. */
function unknownCode(error: ErrorInfo): ErrorInfo['code'] {
  const kept = ['silence', 'deadline', 'not_confirmed', 'unanswered_question', 'bug'] as const
  return kept.find((code) => code === error.code) ?? 'connection_lost_after_sending'
}

function lastSeen(operation: Operation): string {
  const when =
    operation.sentAt !== null && operation.lastDeviceAt !== null && operation.clockMovedMs === undefined
      ? ` ${formatDuration(operation.lastDeviceAt - operation.sentAt)} after sending`
      : ''
  if (operation.lastState !== null) return `; last seen ${operation.lastState}${when}`
  return operation.lastLine === null ? '' : `; last line "${operation.lastLine}"${when}`
}

function bug(): ErrorInfo {
  return {
    code: 'bug',
    message: 'vosctl failed in a way that it did not expect',
    hint: 'Read the daemon log and report it: vosctl daemon logs',
  }
}
