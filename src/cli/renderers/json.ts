import type { SessionFacts } from '../../core/device.ts'
import { exitStatusOf, type ErrorInfo } from '../../core/errors.ts'
import { isSettled, type Operation, type RecordedEvent } from '../../core/operation.ts'
import type { Refusal } from '../../core/protocol.ts'
import { sanitise } from '../../core/text.ts'
import { exitStatusFor } from '../../core/verdict.ts'
import { deadlineAt, standingAt, stateWord, usualWords } from './words.ts'

/** What scripts read. Fields are only ever added; unknown is null; durations are whole milliseconds. */
export type JsonObject = { readonly [key: string]: unknown }

export function toOperationJson(operation: Operation, now: number): JsonObject {
  const standing = standingAt(operation, now)
  const open = !isSettled(operation)
  const { usual, completedAt, batch, acknowledged, verified } = operation
  return {
    schema: 'vosctl/operation/v1',
    id: operation.id,
    operation_type: operation.type,
    connection: operation.connection,
    device: operation.device,
    // Of the last login; until there was one nobody knows.
    via: operation.facts && (operation.facts.via ?? []),
    service: text(operation.service),
    subject: operation.subject,
    created_by: text(operation.createdBy),
    reason: text(operation.reason),
    batch,
    after: operation.after ?? null,
    status: operation.status,
    phase: operation.phase,
    progress: standing.percent,
    message: text(operation.message),
    effect: operation.effect,
    exit_code: exitStatusFor(operation),
    started_at: time(operation.startedAt),
    began_at: time(operation.beganAt),
    sent_at: time(operation.sentAt),
    completed_at: time(completedAt),
    deadline_at: time(deadlineAt(operation)),
    // When an outcome was proved later, nobody saw how long it took.
    took_ms: completedAt === null || verified ? null : standing.elapsedMs,
    last_device_at: time(operation.lastDeviceAt),
    last_state: text(operation.lastState),
    timing: {
      phase_started_at: time(operation.phaseStartedAt),
      eta_at: open && standing.remainingMs !== null ? time(now + standing.remainingMs) : null,
      late_at: time(operation.lateAt ?? null),
      late_ms: standing.lateMs,
      usual_ms:
        usual && usualWords(usual) !== null ? { p50: usual.p50Ms, p90: usual.p90Ms, samples: usual.runs } : null,
    },
    session: operation.facts && sessionJson(operation.facts),
    evidence: operation.evidence.map(({ at, what, value }) => ({ at: time(at), what, value: text(value) })),
    error: operation.error && failureJson(operation.error),
    acknowledged: acknowledged && { by: text(acknowledged.by), at: time(acknowledged.at) },
    verified: verified && {
      by: text(verified.by),
      at: time(verified.at),
      look: verified.look,
      was: { status: 'unknown', message: text(verified.was.message) },
    },
  }
}

/** An error that ends the command: the only document on stdout. */
export function toErrorJson(error: Refusal, now: number = Date.now()): JsonObject {
  const { connection, holder, refused } = error
  return {
    schema: 'vosctl/error/v1',
    exit_code: exitStatusOf(error.code),
    ...failureJson(error),
    connection: connection ?? null,
    holder: holder ? toHolderJson(holder, now) : null,
    ...(refused && refused.length > 1 ? { refused: refused.map((one) => toErrorJson(one, now)) } : {}),
  }
}

/** One recorded event; `seq` is its place in the store's journal, so that a stream can be resumed after a cut. */
export function toEventJson(recorded: RecordedEvent, operation: Operation): JsonObject {
  return {
    v: 1,
    seq: recorded.cursor,
    at: time(recorded.at),
    ...eventFields(recorded, operation),
    op: operation.id,
    connection: operation.connection.name,
  }
}

/** The operation that stands in the way. */
function toHolderJson(operation: Operation, now: number): JsonObject {
  const { percent, remainingMs } = standingAt(operation, now)
  return {
    op: operation.id,
    kind: operation.type,
    service: text(operation.service),
    by: text(operation.createdBy),
    started_at: time(operation.startedAt),
    state: stateWord(operation),
    ratio: percent / 100,
    eta_at: remainingMs === null ? null : time(now + remainingMs),
  }
}

function failureJson({ code, message, hint, deviceLines }: ErrorInfo): JsonObject {
  return { name: code, message: text(message), hint: text(hint), device_lines: (deviceLines ?? []).map(sanitise) }
}

/** What the last login taught. */
export function sessionJson({ hostKey, software, algorithms, method, loginMs }: SessionFacts): JsonObject {
  const { received = null, hostKey: signature = null, compression = null, ...sent } = algorithms
  const negotiated = { ...sent, compression, host_key: signature, received }
  return {
    host_key: hostKeyJson(hostKey),
    software: text(software),
    algorithms: negotiated,
    method: text(method),
    login_ms: loginMs,
  }
}

function hostKeyJson({ type, fingerprint }: SessionFacts['hostKey']): JsonObject {
  return { type: text(type), fingerprint: text(fingerprint) }
}

function eventFields({ event }: RecordedEvent, operation: Operation): JsonObject {
  switch (event.type) {
    case 'accepted':
      return {
        type: 'accepted',
        operation_type: event.operationType,
        device: event.device,
        service: text(event.service),
        subject: event.subject ?? null,
        created_by: text(event.createdBy),
        reason: text(event.reason),
        batch: event.batch,
        after: event.after ?? null,
        deadline_ms: event.deadlineMs,
      }
    case 'connecting':
      return { type: 'phase', phase: operation.phase }
    case 'ready':
      return {
        type: 'phase',
        phase: operation.phase,
        ready: true,
        login_ms: event.facts.loginMs,
        via: event.facts.via ?? [],
      }
    case 'dispatching':
      return { type: 'phase', phase: operation.phase, command: text(event.command) }
    case 'stopping':
    case 'starting':
      // While the result is being read the phase stays: what was seen is told beside it.
      return { type: 'phase', phase: operation.phase, seen: event.type, seen_in: event.seenIn }
    case 'verifying':
    case 'reconciling':
      return { type: 'phase', phase: operation.phase, because: text(event.because) }
    case 'pinned':
      return { type: 'pinned', host_key: hostKeyJson(event.hostKey) }
    case 'authenticating':
      return {
        type: 'authenticating',
        username: text(event.username),
        method: event.method,
        hop: event.hop?.name ?? null,
      }
    case 'listed':
      return { type: 'listed', services: event.services.length }
    case 'resolved':
      return { type: 'resolved', service: text(event.service.name), state: event.service.state, listed: event.listed }
    case 'sent':
      return { type: 'sent' }
    case 'line':
      return { type: 'device', text: text(event.text), state: event.state ?? null }
    case 'repeated':
      return { type: 'device', text: text(operation.lastLine), repeated: event.times }
    case 'gap':
      return { type: 'device', text: text(event.lastLine), state: event.lastState ?? null, left_out: event.lines }
    case 'silent':
      return { type: 'silent', for_ms: event.forMs }
    case 'late':
      return { type: 'late', usual_ms: event.usualMs, late_ms: lateMs(operation, event.usualMs) }
    case 'clock':
      return { type: 'clock', moved_ms: event.byMs }
    case 'evidence':
      return { type: 'evidence', what: event.what, value: text(event.value) }
    case 'settled':
      return {
        type: 'verdict',
        status: event.status,
        message: text(event.message),
        exit_code: exitStatusFor(operation),
        effect: operation.effect,
        error: event.error ? failureJson(event.error) : null,
      }
    case 'authenticated':
      return { type: 'authenticated', hop: event.hop?.name ?? null }
    case 'acknowledged':
      return { type: 'acknowledged', by: text(event.by) }
    case 'verified':
      return {
        type: 'verified',
        status: event.status,
        message: text(event.message),
        exit_code: exitStatusFor(operation),
        by: text(event.by),
        look: event.look,
        evidence: event.evidence.map(({ what, value }) => ({ what, value: text(value) })),
        error: event.error ? failureJson(event.error) : null,
      }
    default:
      return event satisfies never
  }
}

/** How far past what is usual it was when it was called late. */
function lateMs({ beganAt, lateAt, clockMovedMs = 0 }: Operation, usualMs: number): number {
  return Math.max(0, (lateAt ?? 0) - (beganAt ?? 0) - clockMovedMs - usualMs)
}

function time(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}

/** Sanitised once more, because a terminal may be what reads it; nothing said is null. */
function text(value: string | null): string | null {
  return value === null || value === '' ? null : sanitise(value)
}
