import { movingPhase, type Device, type ServiceState } from '../device.ts'
import {
  IDENTITY_CHANGED,
  needsAcknowledgement,
  SEEN_MOVING,
  type Operation,
  type OperationEvent,
  type Proof,
} from '../operation.ts'
import { resolveService } from '../service-name.ts'
import { downWords, identityChange, listLine, movedWords, serviceDown, STOPPED_READINGS } from './confirm.ts'
import { logIn, loginWords, type Steps } from './steps.ts'

/** What the daemon knows beside the device. Asked anew each time, because it may change during a look. */
export interface Known {
  /** The operation in question; null when the look is about the connection. */
  readonly subject: () => Operation | null
  /** Is what a service does now still what this operation's command made it do? */
  readonly isOurs: (operation: Operation) => boolean
  /** Work that may change this device and is under way. */
  readonly underWay: () => Operation | null
}

/**
 * A read-only look at the device: what is true now? For an operation whose outcome is unknown it looks until there is
 * proof, or until it is clear that none can come.
 */
export async function* verify(device: Device, operation: Operation, known: Known): Steps {
  operation = yield { type: 'connecting' }
  operation = yield* logIn(device)
  const services = await device.services(operation.service ?? undefined)
  operation = yield { type: 'listed', services }
  if (operation.service === null) return yield seen(operation, null, known)

  const subject = known.subject()
  const question = subject && needsAcknowledgement(subject) ? subject : null
  // What was sent has the exact name in it: one that is only similar is another service.
  const service = question
    ? services.find(({ name }) => name === question.service)
    : resolveService(operation.service, services)
  if (!service) return yield undecided(operation, `"${operation.service}" is no longer in the service list`)
  operation = yield { type: 'resolved', service, started: [], listed: services.length }
  operation = yield { type: 'evidence', what: 'service list', value: listLine(service) }
  const open = known.underWay()
  // A service that is not resolved yet may be this one.
  if (open && (open.baseline === null || open.service === service.name)) return yield busy(operation, open, service)
  return question ? yield* decide(device, operation, known, question) : yield present(operation, service, known)
}

/** Polls while the service moves, because where it comes to rest may be the proof. */
async function* decide(device: Device, operation: Operation, known: Known, subject: Operation): Steps {
  const name = subject.service ?? ''
  // Another key is another machine, or a new installation: what it shows says nothing about the command.
  const isSameMachine = operation.facts?.hostKey.fingerprint === subject.facts?.hostKey.fingerprint
  const isOurs = () => isSameMachine && known.isOurs(subject)
  const evidence: { what: string; value: string }[] = []
  let last = operation.baseline?.service
  let readings = 0
  for await (const services of device.follow(name)) {
    const now = services.find((service) => service.name === name)
    if (!now) continue
    if (now.state !== last?.state) operation = yield { type: 'evidence', what: 'service list', value: listLine(now) }
    readings = now.state === last?.state ? readings + 1 : 1
    last = now
    if (movingPhase(now.state)) {
      const isNews = isOurs() && !subject.transition && evidence.length === 0
      if (isNews) evidence.push({ what: SEEN_MOVING, value: listLine(now) })
      continue
    }
    if (now.state === 'STOPPED' && readings < STOPPED_READINGS) continue
    if (!isOpen(known)) return yield overtaken(operation, now, known)
    evidence.push({ what: 'service list', value: listLine(now) })
    if (!isSameMachine) return yield undecided(operation, `${stateWords(now)}, but the host key is another one since`)
    if (now.state === 'STARTED') return yield started(operation, subject, now, evidence, isOurs())
    if (now.state !== 'STOPPED') return yield undecided(operation, stateWords(now))
    // Stopped on purpose, or so late that it may be somebody else's doing: loud, but no answer to the question.
    if (!isOurs() || now.refusal === 'stopped_by_admin') return yield undecided(operation, downWords(operation, now))
    return yield down(operation, subject, now, evidence)
  }
  if (last && !isOpen(known)) return yield overtaken(operation, last, known)
  return yield undecided(operation, last ? `${stateWords(last)} still` : `"${name}" is no longer in the service list`)
}

function isOpen(known: Known): boolean {
  const current = known.subject()
  return current !== null && needsAcknowledgement(current)
}

/** Somebody has accepted the outcome during the look, and may have begun something new: only the present can be told. */
function overtaken(operation: Operation, service: ServiceState, known: Known): OperationEvent {
  const open = known.underWay()
  return open ? busy(operation, open, service) : present(operation, service, known)
}

/** STARTED proves nothing by itself: the service must have been seen moving, or be another run of it. */
function started(
  operation: Operation,
  subject: Operation,
  now: ServiceState,
  evidence: readonly { readonly what: string; readonly value: string }[],
  isOurs: boolean,
): OperationEvent {
  const change = identityChange(subject, now)
  if (change !== null && (isOurs || subject.transition)) {
    return restarted(subject, `"${now.name}" restarted, proved by its new identity`, [
      { what: IDENTITY_CHANGED, value: change },
      ...evidence,
    ])
  }
  if (subject.baseline?.service.identity !== undefined) {
    return undecided(operation, `${stateWords(now)}; it is not certain that this restart started it`)
  }
  const isMoved = subject.transition || evidence.some(({ what }) => what === SEEN_MOVING)
  if (!isMoved) return undecided(operation, `${stateWords(now)}; no transition was seen`)
  return restarted(subject, `"${now.name}" restarted, ${movedWords(subject)}, confirmed by a later look`, evidence)
}

function restarted(subject: Operation, message: string, evidence: Proof['evidence']) {
  const proves: Proof = { status: 'completed', message, evidence }
  return { type: 'settled', status: 'completed', message: `${subject.id}: ${message}`, proves } as const
}

function down(operation: Operation, subject: Operation, now: ServiceState, evidence: Proof['evidence']) {
  const message = downWords(operation, now)
  const error = serviceDown(message, operation, now)
  const proves: Proof = { status: 'failed', message, error, evidence }
  return { type: 'settled', status: 'failed', message: `${subject.id}: ${message}`, error, proves } as const
}

/** The question stays open, and nothing was settled. */
function undecided({ subject, connection }: Operation, what: string): OperationEvent {
  const message = `the outcome of ${subject} stays unknown: ${what}`
  const hint = `Accept it and free ${connection.name}: vosctl ack ${subject}`
  return { type: 'settled', status: 'failed', message, error: { code: 'not_confirmed', message, hint } }
}

/** Nothing is judged while somebody is at work: that work will tell. */
function busy(operation: Operation, open: Operation, service: ServiceState): OperationEvent {
  const message = `${open.id} is under way on ${operation.connection.name} (${open.phase}); ${stateWords(service)} now`
  const error = { code: 'already_running', message, hint: `Follow it: vosctl attach ${open.id}` } as const
  return { type: 'settled', status: 'failed', message, error }
}

/** No question is open: only what is true now. */
function present(operation: Operation, service: ServiceState, known: Known): OperationEvent {
  if (service.state === 'STARTED') return seen(operation, service, known)
  if (movingPhase(service.state)) {
    const message = `${stateWords(service)} on ${operation.connection.name}, and not by vosctl`
    const hint = 'Somebody else is at work there. Look again in a while.'
    return { type: 'settled', status: 'failed', message, error: { code: 'service_moving', message, hint } }
  }
  if (service.state !== 'STOPPED') {
    const message = `${stateWords(service)} on ${operation.connection.name}, and vosctl does not know what that means`
    return {
      type: 'settled',
      status: 'failed',
      message,
      error: { code: 'not_confirmed', message, hint: 'Look at the device.' },
    }
  }
  const message = downWords(operation, service)
  const error = serviceDown(message, operation, service)
  return { type: 'settled', status: 'failed', message, error }
}

function seen({ facts }: Operation, service: ServiceState | null, known: Known): OperationEvent {
  const subject = known.subject()
  const open = known.underWay()
  const parts = [
    ...(service ? [stateWords(service)] : []),
    ...(subject ? [outcomeWords(subject)] : []),
    ...(open ? [`${open.id} is under way there (${open.phase})`] : []),
    loginWords(facts),
    'host key pinned',
  ]
  return { type: 'settled', status: 'completed', message: parts.join(', ') }
}

function outcomeWords({ id, status, phase, acknowledged }: Operation): string {
  if (phase !== 'settled') return `${id} waits`
  return `${id} ended ${status}${acknowledged ? `, accepted by ${acknowledged.by}` : ''}`
}

function stateWords({ name, state, reason }: ServiceState): string {
  return `"${name}" is ${state}${reason === '' ? '' : ` (${reason})`}`
}
