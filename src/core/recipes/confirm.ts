import { movingPhase, type Device, type ServiceState } from '../device.ts'
import { IDENTITY_CHANGED, isProven, type Operation, type OperationEvent } from '../operation.ts'
import type { Steps } from './steps.ts'

/**
 * A list reading of STOPPED may fall between stopping and starting, and one of STARTED before stopping has begun: so both
 * must be read this often in a row before they count as the end. A service that was seen moving and is STARTED needs one.
 */
const STOPPED_READINGS = 2
const UNMOVED_READINGS = 4

/** Polls the service list until it proves an ending, or proves that none can be proven. */
export async function* confirm(device: Device, operation: Operation): Steps {
  const name = operation.service ?? ''
  const before = operation.baseline?.service.identity
  let last: ServiceState | undefined
  let readings = 0
  for await (const services of device.follow(name)) {
    const now = services.find((service) => service.name === name)
    if (!now) continue
    readings = now.state === last?.state ? readings + 1 : 1
    last = now
    const phase = movingPhase(now.state)
    // Without the `sent` event it is not certain that the movement is ours: another admin may have caused it.
    if (phase && operation.sentAt !== null && !operation.transition) operation = yield { type: phase, seenIn: 'list' }
    if (before !== undefined && now.identity !== undefined && now.identity !== before && now.state === 'STARTED') {
      operation = yield { type: 'evidence', what: IDENTITY_CHANGED, value: `${before || 'none'} to ${now.identity}` }
      return yield* settleCompleted(operation, now, services)
    }
    if (now.state === 'STARTED' && before === undefined && isProven(operation)) {
      return yield* settleCompleted(operation, now, services)
    }
    if (now.state === 'STARTED' && readings >= UNMOVED_READINGS) {
      return yield unknown(operation, `no transition was seen; the service is ${now.state} now`)
    }
    if (
      now.state === 'STOPPED' &&
      readings >= (operation.phase === 'verifying' && operation.lastState === 'STOPPED' ? 1 : STOPPED_READINGS)
    ) {
      return yield* settleDown(operation, now, services)
    }
  }
  return yield unknown(
    operation,
    last
      ? `the service is still ${last.state} after the time for confirmation`
      : `"${name}" is no longer in the service list`,
  )
}

async function* settleCompleted(operation: Operation, now: ServiceState, services: readonly ServiceState[]): Steps {
  operation = yield { type: 'evidence', what: 'service list', value: `${now.name}[${now.state}]` }
  const first = operation.phases.find(({ phase }) => phase === 'stopping' || phase === 'starting')?.phase
  const how = first
    ? `seen ${first.toUpperCase()} then STARTED`
    : operation.transition
      ? 'seen moving, then STARTED'
      : 'proved by its new identity'
  const confirmed = operation.lastState === 'STARTED' ? '' : ', confirmed by the service list'
  const collateral = lost(operation, services)
  for (const service of collateral) {
    operation = yield {
      type: 'evidence',
      what: 'collateral',
      value: `${service.name}[${service.state}] ${service.reason}`.trim(),
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
  const message = `the service is DOWN: "${now.name}" on ${operation.connection.name} is STOPPED${now.reason ? ` (${now.reason})` : ''}${collateralWords(collateral)}`
  operation = yield { type: 'evidence', what: 'service list', value: `${now.name}[${now.state}] ${now.reason}`.trim() }
  return yield {
    type: 'settled',
    status: 'failed',
    message,
    error: {
      code: 'service_down',
      message,
      hint: `Start it on the device, or try again: vosctl restart ${operation.connection.name} -s "${now.name}" --start-stopped`,
    },
  }
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
      hint: `Look at the device: vosctl test ${operation.connection.name}. Then accept the outcome: vosctl ack ${operation.id}`,
    },
  }
}
