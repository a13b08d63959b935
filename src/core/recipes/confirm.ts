import { movingPhase, type Device, type ServiceState } from '../device.ts'
import type { ErrorInfo } from '../errors.ts'
import { IDENTITY_CHANGED, isProven, type Operation, type OperationEvent } from '../operation.ts'
import { lookHint } from './ending.ts'
import type { Steps } from './steps.ts'

/**
 * A list reading of STOPPED may fall between stopping and starting, and one of STARTED before stopping has begun: so both
 * must be read this often in a row before they count as the end. A service that was seen moving and is STARTED needs one.
 */
export const STOPPED_READINGS = 2
const UNMOVED_READINGS = 4

/**
 * Polls the service list until it proves an ending, or proves that none can be proven. When it is not `isOurs`
 * any more, the command was sent so long ago that what the service does may be somebody else's work: then only what was
 * seen before counts.
 */
export async function* confirm(device: Device, operation: Operation, isOurs = () => true): Steps {
  const name = operation.service ?? ''
  const before = operation.baseline?.service.identity
  let last: ServiceState | undefined
  let readings = 0
  do {
    for await (const services of device.follow(name)) {
      const now = services.find((service) => service.name === name)
      if (!now) continue
      readings = now.state === last?.state ? readings + 1 : 1
      last = now
      const phase = movingPhase(now.state)
      // Without the `sent` event it is not certain that the movement is ours: another admin may have caused it.
      const isOurMove = phase !== null && isOurs() && operation.sentAt !== null
      if (isOurMove && !operation.transition) operation = yield { type: phase, seenIn: 'list' }
      const change = identityChange(operation, now)
      if (change !== null && (isOurs() || operation.transition)) {
        operation = yield { type: 'evidence', what: IDENTITY_CHANGED, value: change }
        return yield* settleCompleted(operation, now, services)
      }
      if (now.state === 'STARTED' && before === undefined && isProven(operation)) {
        return yield* settleCompleted(operation, now, services)
      }
      if (now.state === 'STARTED' && readings >= UNMOVED_READINGS) {
        const why =
          operation.transition || change !== null
            ? 'it is not certain that this restart started it'
            : 'no transition was seen'
        return yield unknown(operation, `${why}; the service is ${now.state} now`)
      }
      if (
        now.state === 'STOPPED' &&
        readings >= (operation.phase === 'verifying' && operation.lastState === 'STOPPED' ? 1 : STOPPED_READINGS)
      ) {
        return isOurs()
          ? yield* settleDown(operation, now, services)
          : yield unknown(operation, `it is not certain that this restart did it: ${downWords(operation, now)}`)
      }
    }
    // Nobody sees the command's own output any more: as long as it moves, the operation's time limit alone ends this.
  } while (operation.phase === 'reconciling' && last && movingPhase(last.state))
  return yield unknown(
    operation,
    last
      ? `the service is still ${last.state} after the time for confirmation`
      : `"${name}" is no longer in the service list`,
  )
}

/**
 * `a1 to b2` when the service was started anew since before the command; null when not, or when there is no telling.
 * Without the `sent` event it may be another admin's run of it.
 */
export function identityChange(
  { baseline, sentAt }: Pick<Operation, 'baseline' | 'sentAt'>,
  now: ServiceState,
): string | null {
  const before = sentAt === null ? undefined : baseline?.service.identity
  if (before === undefined || now.identity === undefined || now.identity === before) return null
  return now.state === 'STARTED' ? `${before || 'none'} to ${now.identity}` : null
}

/** How a service that was seen moving and is STARTED came there. */
export function movedWords({ phases }: Pick<Operation, 'phases'>): string {
  const first = phases.find(({ phase }) => phase === 'stopping' || phase === 'starting')?.phase
  return first ? `seen ${first.toUpperCase()} then STARTED` : 'seen moving, then STARTED'
}

/** A service as evidence. */
export function listLine({ name, state, reason }: ServiceState): string {
  return `${name}[${state}] ${reason}`.trim()
}

/** Said loudly, because it is what somebody must act on. */
export function downWords({ connection }: Pick<Operation, 'connection'>, now: ServiceState): string {
  return `the service is DOWN: "${now.name}" on ${connection.name} is ${now.state}${now.reason ? ` (${now.reason})` : ''}`
}

const DOWN_FOR_A_REASON: Partial<Record<NonNullable<ServiceState['refusal']>, string>> = {
  not_activated: 'If it shall run, activate it on the device first.',
  masked: 'If it shall run, unmask it on the host first.',
}

export function serviceDown(
  message: string,
  { connection }: Pick<Operation, 'connection'>,
  now: ServiceState,
): ErrorInfo {
  return {
    code: 'service_down',
    message,
    hint:
      (now.refusal && DOWN_FOR_A_REASON[now.refusal]) ||
      `Start it on the device, or try again: vosctl restart ${connection.name} -s "${now.name}" --start-stopped`,
  }
}

async function* settleCompleted(operation: Operation, now: ServiceState, services: readonly ServiceState[]): Steps {
  operation = yield { type: 'evidence', what: 'service list', value: `${now.name}[${now.state}]` }
  const how = operation.transition ? movedWords(operation) : 'proved by its new identity'
  const confirmed = operation.lastState === 'STARTED' ? '' : ', confirmed by the service list'
  const collateral = lost(operation, services)
  for (const service of collateral) {
    operation = yield {
      type: 'evidence',
      what: 'collateral',
      value: listLine(service),
    }
  }
  return yield {
    type: 'settled',
    status: 'completed',
    message: `"${now.name}" restarted, ${how}${confirmed}${collateralWords(collateral)}`,
  }
}

async function* settleDown(operation: Operation, now: ServiceState, services: readonly ServiceState[]): Steps {
  const collateral = lost(operation, services).filter(({ name }) => name !== now.name)
  const message = `${downWords(operation, now)}${collateralWords(collateral)}`
  operation = yield { type: 'evidence', what: 'service list', value: listLine(now) }
  return yield { type: 'settled', status: 'failed', message, error: serviceDown(message, operation, now) }
}

/** Services that were STARTED before the restart and are not now. */
function lost(operation: Operation, services: readonly ServiceState[]): ServiceState[] {
  const before = new Set(operation.baseline?.started)
  return services.filter((service) => before.has(service.name) && service.state !== 'STARTED')
}

function collateralWords(services: readonly ServiceState[]): string {
  return services.length === 0
    ? ''
    : `; no longer STARTED: ${services.map(({ name, state }) => `${name} (${state})`).join(', ')}`
}

function unknown(operation: Operation, why: string): OperationEvent {
  const last = operation.lastLine === null ? '' : `; last line: ${operation.lastLine}`
  const message = `outcome unknown: ${why}${last}`
  return {
    type: 'settled',
    status: 'unknown',
    message,
    error: {
      code: 'not_confirmed',
      message,
      hint: lookHint(operation),
    },
  }
}
