import type { Attempt, HopLogin, ServiceState, SessionFacts } from './device.ts'
import type { ErrorInfo } from './errors.ts'
import { milestone, percentAt, type Usual } from './progress.ts'

export const OPERATION_TYPES = ['ssh_test', 'verify', 'service_restart', 'certificate_renewal'] as const
export type OperationType = (typeof OPERATION_TYPES)[number]

export const STATUSES = [
  'pending',
  'in_progress',
  'completed',
  'failed',
  'cancelled',
  'interrupted',
  'unknown',
] as const
export type Status = (typeof STATUSES)[number]

export const PHASES = [
  'accepted',
  'connecting',
  'ready',
  'dispatching',
  'stopping',
  'starting',
  'verifying',
  'reconciling',
  'settled',
] as const
export type Phase = (typeof PHASES)[number]

/** Work of one group excludes other work of that group on the same device. */
export const CONFLICT_GROUP = {
  ssh_test: 'test',
  verify: 'test',
  service_restart: 'change',
  certificate_renewal: 'change',
} as const satisfies Record<OperationType, string>

/** The first letter of an operation's id tells its type. */
export const ID_LETTER = {
  ssh_test: 't',
  verify: 'v',
  service_restart: 'r',
  certificate_renewal: 'c',
} as const satisfies Record<OperationType, string>

export type SettledStatus = Exclude<Status, 'pending' | 'in_progress'>

/** Work on several targets that was asked for at once, and an operation's place in it, from 1. */
export interface Batch {
  readonly id: string
  readonly position: number
  readonly size: number
  /** How many run at once; absent in what an older vosctl wrote. */
  readonly parallel?: number
}

/** What a later look at the device proves about an operation whose outcome is unknown. */
export interface Proof {
  readonly status: 'completed' | 'failed'
  readonly message: string
  readonly error?: ErrorInfo
  readonly evidence: readonly { readonly what: string; readonly value: string }[]
}

/** What happened, in the order in which it was written to disk. Everything else about an operation is derived. */
export type OperationEvent =
  | {
      readonly type: 'accepted'
      readonly operationType: OperationType
      readonly connection: { readonly id: number; readonly name: string }
      readonly device: string
      /** As the person named it; the device's own name follows in `resolved`. */
      readonly service: string | null
      /** Of a `verify`: the operation that it is about; absent when it is about the connection. */
      readonly subject?: string
      readonly createdBy: string
      readonly reason: string | null
      readonly batch: Batch | null
      readonly deadlineMs: number
      readonly allow: { readonly startStopped: boolean; readonly cutSession: boolean }
      readonly usual: Usual | null
      /** It waits for the end of this operation, which has the device; absent when the device is its own. */
      readonly after?: string
    }
  /** The next thing on the network is ours. */
  | { readonly type: 'connecting' }
  /** No host key was pinned, and the connection takes the first one that it sees: from this event on it is the pinned one. */
  | { readonly type: 'pinned'; readonly hostKey: SessionFacts['hostKey'] }
  /** Written before the one authentication attempt is made: at the device, or at a jump host on the way to it. */
  | (Attempt & { readonly type: 'authenticating' })
  /** The device, or that jump host, has accepted the login. */
  | { readonly type: 'authenticated'; readonly hop?: HopLogin }
  | { readonly type: 'ready'; readonly facts: SessionFacts }
  /** The device's service list, as a test reads it. */
  | { readonly type: 'listed'; readonly services: readonly ServiceState[] }
  /** The service under its exact name, and the state of the house before we touch it. */
  | {
      readonly type: 'resolved'
      readonly service: ServiceState
      readonly started: readonly string[]
      readonly listed: number
    }
  /** The intent. Only after this event is on disk may the byte be sent that makes the device act. */
  | { readonly type: 'dispatching'; readonly command: string }
  | { readonly type: 'sent' }
  /** The service was seen moving: proof that this command did something. */
  | { readonly type: 'stopping' | 'starting'; readonly seenIn: 'output' | 'list' }
  /** A line that the device printed, sanitised; `state` when it is a state line of our service. */
  | { readonly type: 'line'; readonly text: string; readonly state?: string }
  /** The same line again, `times` times: a poll of the device, kept as a sign of life. */
  | { readonly type: 'repeated'; readonly times: number }
  | { readonly type: 'silent'; readonly forMs: number }
  /** It has taken longer than nine of ten earlier runs, which took at most `usualMs`; once for each operation. */
  | { readonly type: 'late'; readonly usualMs: number }
  | { readonly type: 'evidence'; readonly what: string; readonly value: string }
  | { readonly type: 'verifying'; readonly because: string }
  | { readonly type: 'reconciling'; readonly because: string }
  /** Since the event before, the wall clock went so much further (or back) than time did. */
  | { readonly type: 'clock'; readonly byMs: number }
  /** Device lines were left out, because the journal of this operation is full. */
  | { readonly type: 'gap'; readonly lines: number; readonly lastLine: string; readonly lastState?: string }
  | {
      readonly type: 'settled'
      readonly status: SettledStatus
      readonly message: string
      readonly error?: ErrorInfo
      /** Of a `verify`: the question about its subject is answered. */
      readonly proves?: Proof
    }
  /** A person accepted an unknown outcome. */
  | { readonly type: 'acknowledged'; readonly by: string }
  /** The look `look`, which `by` asked for, proved how an operation ended whose outcome was unknown. */
  | (Proof & { readonly type: 'verified'; readonly by: string; readonly look: string })

/** An event with its place: `seq` counts within its operation from 1, `cursor` over the whole journal. */
export interface RecordedEvent {
  readonly cursor: number
  readonly operationId: string
  readonly seq: number
  /** Milliseconds since 1970, by the daemon's clock. */
  readonly at: number
  readonly event: OperationEvent
}

export interface Operation {
  readonly id: string
  readonly type: OperationType
  readonly connection: { readonly id: number; readonly name: string }
  readonly device: string
  /** The exact name once it is resolved, until then as the person named it. */
  readonly service: string | null
  /** Of a `verify`: the id of the operation that it is about; otherwise null. */
  readonly subject: string | null
  readonly createdBy: string
  readonly reason: string | null
  readonly batch: Batch | null
  readonly allow: { readonly startStopped: boolean; readonly cutSession: boolean }
  readonly status: Status
  readonly phase: Phase
  readonly progress: number
  /** One sentence for a person: what is going on, or how it ended. */
  readonly message: string
  readonly error: ErrorInfo | null
  /** Was the device touched? `possible` from the intent on, `confirmed` once it was seen to act. */
  readonly effect: 'none' | 'possible' | 'confirmed'
  readonly seq: number
  readonly startedAt: number
  /** When the first network byte went out; null while it waits. */
  readonly beganAt: number | null
  readonly sentAt: number | null
  readonly completedAt: number | null
  readonly deadlineMs: number
  readonly phaseStartedAt: number
  /** How much of the time since `beganAt` is only the clock that was set; absent when it was not. */
  readonly clockMovedMs?: number
  /** Every phase entered so far with the time of entry. */
  readonly phases: readonly { readonly phase: Phase; readonly at: number }[]
  readonly lastDeviceAt: number | null
  readonly lastLine: string | null
  /** The last state of our service that the device printed. */
  readonly lastState: string | null
  readonly facts: SessionFacts | null
  /** An attempt to authenticate is under way, or its answer was lost with the daemon. */
  readonly authenticating: Attempt | null
  readonly baseline: {
    readonly service: ServiceState
    readonly started: readonly string[]
    readonly listed: number
  } | null
  /** Seen STOPPING or STARTING after our command was sent. */
  readonly transition: boolean
  readonly reconciliations: number
  readonly evidence: readonly { readonly at: number; readonly what: string; readonly value: string }[]
  readonly usual: Usual | null
  /** The operation that had the device when this one was asked for; it begins when that one has ended. */
  readonly after?: string
  /** When it was seen to be late. */
  readonly lateAt?: number
  readonly acknowledged: { readonly by: string; readonly at: number } | null
  /** Ended unknown, and proved later; `was` keeps what was said at the end. */
  readonly verified: {
    readonly by: string
    readonly at: number
    readonly look: string
    readonly was: { readonly message: string; readonly error: ErrorInfo | null }
  } | null
}

const MOVES: Record<Phase, readonly Phase[]> = {
  accepted: ['connecting', 'settled'],
  connecting: ['ready', 'settled'],
  ready: ['dispatching', 'settled'],
  dispatching: ['stopping', 'starting', 'verifying', 'reconciling', 'settled'],
  stopping: ['starting', 'verifying', 'reconciling', 'settled'],
  starting: ['stopping', 'verifying', 'reconciling', 'settled'],
  verifying: ['reconciling', 'settled'],
  reconciling: ['reconciling', 'settled'],
  settled: [],
}

const SENT_PHASES: readonly Phase[] = ['dispatching', 'stopping', 'starting', 'verifying', 'reconciling']

/** May the command have been sent? True from the moment the intent is on disk. */
export function maybeSent(operation: Pick<Operation, 'phase' | 'effect'>): boolean {
  return SENT_PHASES.includes(operation.phase) || operation.effect !== 'none'
}

/** Work that reads and touches nothing. */
export function isLook({ type }: Pick<Operation, 'type'>): boolean {
  return CONFLICT_GROUP[type] === 'test'
}

export function isSettled(operation: Pick<Operation, 'phase'>): boolean {
  return operation.phase === 'settled'
}

/** An ended operation whose outcome nobody knows and nobody has accepted yet; it keeps its connection claimed. */
export function needsAcknowledgement(operation: Pick<Operation, 'status' | 'acknowledged'>): boolean {
  return operation.status === 'unknown' && operation.acknowledged === null
}

/** The state after an event. An event that is not newer than the operation changes nothing: it was seen before. */
export function apply(operation: Operation | null, recorded: RecordedEvent): Operation {
  if (operation === null) return begin(recorded)
  if (recorded.seq <= operation.seq) return operation
  if (recorded.seq !== operation.seq + 1)
    throw new Error(`${operation.id}: event ${recorded.seq} after ${operation.seq}`)
  const next = { ...operation, ...change(operation, recorded.event, recorded.at), seq: recorded.seq }
  return { ...next, progress: Math.max(percentAt(operation, recorded.at), milestone(next)) }
}

function begin(recorded: RecordedEvent): Operation {
  const { event, at } = recorded
  if (event.type !== 'accepted') throw new Error(`${recorded.operationId}: the first event is ${event.type}`)
  const { type: _, operationType, ...request } = event
  return {
    ...request,
    id: recorded.operationId,
    type: operationType,
    subject: event.subject ?? null,
    status: 'pending',
    phase: 'accepted',
    progress: 0,
    message: 'accepted',
    error: null,
    effect: 'none',
    seq: recorded.seq,
    startedAt: at,
    beganAt: null,
    sentAt: null,
    completedAt: null,
    phaseStartedAt: at,
    phases: [{ phase: 'accepted', at }],
    lastDeviceAt: null,
    lastLine: null,
    lastState: null,
    facts: null,
    authenticating: null,
    baseline: null,
    transition: false,
    reconciliations: 0,
    evidence: [],
    acknowledged: null,
    verified: null,
  }
}

function change(operation: Operation, event: OperationEvent, at: number): Partial<Operation> {
  switch (event.type) {
    case 'accepted':
      throw new Error(`${operation.id}: accepted twice`)
    case 'connecting':
      return {
        ...enter(operation, 'connecting', at),
        status: 'in_progress',
        beganAt: at,
        message: 'testing the SSH connection',
      }
    case 'pinned': {
      const value = `pinned on first sight: ${event.hostKey.type} ${event.hostKey.fingerprint}`
      return { evidence: [...operation.evidence, { at, what: FIRST_SIGHT, value }], lastDeviceAt: at }
    }
    case 'authenticating': {
      const { type: _, ...authenticating } = event
      return { authenticating }
    }
    case 'authenticated':
      return { authenticating: null, lastDeviceAt: at }
    case 'ready': {
      const facts = { facts: event.facts, lastDeviceAt: at }
      // A second login, to look at the device after the link was lost, does not bring the operation back to `ready`.
      if (operation.phase === 'reconciling') return facts
      return { ...enter(operation, 'ready', at), ...facts, message: 'SSH connection successful' }
    }
    case 'listed': {
      const value = `${event.services.length} services`
      return { evidence: [...operation.evidence, { at, what: 'service list', value }], lastDeviceAt: at }
    }
    case 'resolved': {
      const { service, started, listed } = event
      return { service: service.name, baseline: { service, started, listed }, lastDeviceAt: at }
    }
    case 'dispatching':
      return { ...enter(operation, 'dispatching', at), effect: 'possible', message: 'executing the restart command' }
    case 'sent':
      return { sentAt: at }
    case 'stopping':
    case 'starting': {
      const moving = {
        transition: true,
        effect: 'confirmed' as const,
        message: `the service is ${event.type}`,
      }
      const stays = operation.phase === event.type || ['verifying', 'reconciling'].includes(operation.phase)
      return stays ? moving : { ...enter(operation, event.type, at), ...moving }
    }
    case 'line':
      return {
        lastDeviceAt: at,
        lastLine: event.text,
        ...(event.state === undefined ? {} : { lastState: event.state }),
      }
    case 'repeated':
      return { lastDeviceAt: at }
    case 'silent':
      return {}
    case 'late':
      return { lateAt: at }
    case 'gap':
      return {
        lastDeviceAt: at,
        lastLine: event.lastLine,
        ...(event.lastState === undefined ? {} : { lastState: event.lastState }),
      }
    case 'evidence':
      return { evidence: [...operation.evidence, { at, what: event.what, value: event.value }] }
    case 'verifying':
      return { ...enter(operation, 'verifying', at), message: 'processing results' }
    case 'reconciling':
      return {
        ...enter(operation, 'reconciling', at),
        authenticating: null,
        reconciliations: operation.reconciliations + 1,
        message: `looking at the device: ${event.because}`,
      }
    case 'clock':
      return operation.beganAt === null ? {} : { clockMovedMs: (operation.clockMovedMs ?? 0) + event.byMs }
    case 'settled':
      checkClaim(operation, event.status, event.error)
      return {
        ...enter(operation, 'settled', at),
        status: event.status,
        message: event.message,
        error: event.error ?? null,
        completedAt: at,
        authenticating: null,
        ...(event.status === 'interrupted' ? { effect: 'none' as const } : {}),
      }
    case 'acknowledged':
      if (operation.status !== 'unknown') throw new Error(`${operation.id}: nothing to acknowledge`)
      return { acknowledged: { by: event.by, at } }
    case 'verified':
      return verifiedBy(operation, event, at)
    default:
      return event satisfies never
  }
}

function enter(operation: Operation, phase: Phase, at: number): Partial<Operation> {
  if (!MOVES[operation.phase].includes(phase)) throw new Error(`${operation.id}: ${operation.phase} → ${phase}`)
  return { phase, phaseStartedAt: at, phases: [...operation.phases, { phase, at }] }
}

/** The name of the evidence that the first host key that was seen has been pinned. */
export const FIRST_SIGHT = 'host key'
/** The name of the evidence that a changed {@link ServiceState.identity} leaves behind. */
export const IDENTITY_CHANGED = 'identity changed'
/** The name of the evidence that a later look leaves behind which finds the service still STOPPING or STARTING. */
export const SEEN_MOVING = 'seen moving'

/** A service that reads STARTED proves nothing; that it was seen moving, or that its identity changed, does. */
export function isProven(operation: Pick<Operation, 'transition' | 'evidence'>): boolean {
  return (
    operation.transition || operation.evidence.some(({ what }) => what === IDENTITY_CHANGED || what === SEEN_MOVING)
  )
}

/**
 * Is what a service does at `at` still what our command made it do? After the operation's own time limit somebody else
 * may have acted, and a clock that was set meanwhile is no witness.
 */
export function isStillOurs(
  { sentAt, deadlineMs, clockMovedMs }: Pick<Operation, 'sentAt' | 'deadlineMs' | 'clockMovedMs'>,
  at: number,
): boolean {
  return sentAt !== null && clockMovedMs === undefined && at >= sentAt && at - sentAt <= deadlineMs
}

/** The ending becomes the truth, and what was said before stays beside it. The claim needs the same right as any other. */
function verifiedBy(
  operation: Operation,
  event: Extract<OperationEvent, { type: 'verified' }>,
  at: number,
): Partial<Operation> {
  if (!needsAcknowledgement(operation)) throw new Error(`${operation.id}: nothing to verify`)
  const { status, message, error = null, by, look } = event
  const evidence = [...operation.evidence, ...event.evidence.map(({ what, value }) => ({ at, what, value }))]
  const isAllowed = status === 'completed' ? isProven({ ...operation, evidence }) : error?.code === 'service_down'
  if (!isAllowed) throw new Error(`${operation.id}: ${status} cannot be verified`)
  const was = { message: operation.message, error: operation.error }
  const effect = status === 'completed' ? 'confirmed' : operation.effect
  return { status, message, error, evidence, effect, verified: { by, at, look, was } }
}

/** An ending may only be claimed with the right to it. This is the last guard: a recipe that lies fails here. */
function checkClaim(operation: Operation, status: SettledStatus, error: ErrorInfo | undefined): void {
  const sent = maybeSent(operation)
  const allowed = {
    completed: isLook(operation) ? operation.phase === 'ready' : sent && isProven(operation),
    // After the intent no exit status may say that the device was not touched.
    failed: !sent || error?.code === 'refused_by_device' || error?.code === 'service_down',
    cancelled: !sent,
    // After the intent only while it is certain that the byte never left.
    interrupted: !sent || (operation.phase === 'dispatching' && operation.sentAt === null),
    unknown: sent,
  }[status]
  if (!allowed) throw new Error(`${operation.id}: ${status} cannot be claimed in ${operation.phase}`)
}
