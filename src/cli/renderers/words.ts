import type { Negotiated } from '../../core/device.ts'
import { formatDuration } from '../../core/duration.ts'
import { EXIT_TABLE, exitStatus } from '../../core/errors.ts'
import type { Operation } from '../../core/operation.ts'
import { progressAt, roundedRemaining, RUNS_BEFORE_ESTIMATE, type Progress, type Usual } from '../../core/progress.ts'
import { oneLine, sanitise } from '../../core/text.ts'
import { exitStatusFor } from '../../core/verdict.ts'

export { tookMs } from '../../core/progress.ts'

/** One vocabulary for every renderer, so that a thing has the same name on a terminal, in a pipe and in a verdict. */

/** `14:02:11`, local time. */
export function clock(at: number): string {
  return new Date(at).toTimeString().slice(0, 8)
}

/** A name or a sentence, safe to draw. Whatever came over the socket passes here once more. */
export function clean(text: string): string {
  return oneLine(text, 500)
}

/** A device's line: its spaces are kept, because devices draw tables. */
export function cleanDeviceLine(text: string): string {
  return sanitise(text)
    .replace(/[\n\t]+/g, ' ')
    .trimEnd()
}

/** `curve25519-sha256, rsa-sha2-512, aes128-ctr, hmac-sha2-256`: what the key exchange came to. */
export function algorithmWords({ kex, hostKey, received, ...sent }: Negotiated): string {
  const oneWay = ({ cipher, mac, compression }: Omit<Negotiated, 'kex'>) => [
    cipher,
    ...(mac === '<implicit>' ? [] : [mac]),
    ...(compression === undefined || compression === 'none' ? [] : [compression]),
  ]
  const back = received ? [`back ${oneWay(received).join(' ')}`] : []
  return clean([kex, hostKey ?? '', ...oneWay(sent), ...back].filter((word) => word !== '').join(', '))
}

/** As it would be typed into a shell. */
export function quoted(name: string): string {
  const safe = clean(name)
  // Between single quotes nothing has a meaning but their end.
  if (/["$`\\!]/.test(safe)) return `'${safe.replaceAll("'", `'\\''`)}'`
  return /[^\w.@:/+-]/.test(safe) ? `"${safe}"` : safe
}

/** `restart "Cisco Tomcat"`, `test`. */
export function describe({
  type,
  service,
  subject = null,
}: Pick<Operation, 'type' | 'service'> & Partial<Pick<Operation, 'subject'>>): string {
  if (subject !== null) return `verify ${subject}`
  const verbs = {
    service_restart: 'restart',
    ssh_test: 'test',
    verify: 'verify',
    certificate_renewal: 'renew certificates',
  }
  const verb = verbs[type]
  return service === null ? verb : `${verb} ${quoted(service)}`
}

/** `12 connections, 3 at a time` */
export function connectionsWords(operations: readonly Pick<Operation, 'batch'>[]): string {
  const parallel = Math.min(operations.length, operations[0]?.batch?.parallel ?? 1)
  return `${operations.length} connections${parallel > 1 ? `, ${parallel} at a time` : ''}`
}

/** The batch that all of them belong to; null when they do not share one. */
export function batchOf(operations: readonly Pick<Operation, 'batch'>[]): string | null {
  const id = operations[0]?.batch?.id ?? null
  return operations.length > 1 && operations.every(({ batch }) => batch?.id === id) ? id : null
}

/** The word for where an operation is or how it ended. */
export function stateWord({
  phase,
  status,
  sentAt,
  error = null,
}: Pick<Operation, 'phase' | 'status' | 'sentAt'> & Partial<Pick<Operation, 'error'>>): string {
  switch (phase) {
    case 'accepted':
      return 'queued'
    case 'ready':
      return 'logged in'
    case 'dispatching':
      return sentAt === null ? 'sending' : 'sent'
    case 'reconciling':
      return 'checking'
    case 'settled':
      if (status === 'completed') return 'done'
      // A look that could not answer the question has not failed: the answer is unknown.
      if (error?.code === 'not_confirmed') return 'unknown'
      // Ten letters are all the room there is, and this is what `interrupted` means.
      return status === 'interrupted' ? 'not sent' : status
    default:
      return phase
  }
}

/** `waiting for r-7k2m9q`: accepted, and another operation has the device. */
export function waitingWords({ after }: Pick<Operation, 'after'>): string {
  return after === undefined ? 'waiting' : `waiting for ${after}`
}

/** `usual 3m20-4m30`; null when too few runs are known. */
export function usualWords(usual: Usual | null): string | null {
  if (!usual || usual.runs < RUNS_BEFORE_ESTIMATE) return null
  const [from, to] = [usual.p50Ms, usual.p90Ms].map((ms) => formatDuration(ms).replace(/s$/, ''))
  return from === to ? `usual ${from}` : `usual ${from}-${to}`
}

export interface Standing extends Progress {
  /** Is there anything to estimate from? Without it percent is only the last fixed point. */
  readonly known: boolean
}

/** {@link progressAt}, without the estimates that have no ground: nothing has begun yet, or the device is being checked. */
export function standingAt(operation: Operation, now: number): Standing {
  const progress = progressAt(operation, now)
  const known = usualWords(operation.usual) !== null
  const grounded = operation.beganAt !== null && operation.phase !== 'reconciling'
  return { ...progress, known, remainingMs: grounded ? progress.remainingMs : null }
}

/** `~1m20s` */
export function remainingWords(ms: number): string {
  return `~${formatDuration(roundedRemaining(ms))}`
}

/** `1m20s`, `2m`: for sentences that say "about". */
export function aboutWords(ms: number): string {
  return formatDuration(roundedRemaining(ms)).replace(/m00s$/, 'm')
}

/** `3 s`, then `1m12s`. */
export function agoWords(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  return seconds < 60 ? `${seconds} s` : formatDuration(ms)
}

/** When the daemon gives an operation up; its time runs from the first network byte. */
export function deadlineAt({ beganAt, deadlineMs }: Pick<Operation, 'beganAt' | 'deadlineMs'>): number | null {
  return beganAt === null ? null : beganAt + deadlineMs
}

/** The word for an ending that scripts and people see: the exit status's name, or the two endings that are nobody's fault. */
export function verdictWord(operation: Operation): string {
  if (operation.status === 'interrupted') return 'interrupted'
  if (operation.status === 'cancelled') return operation.beganAt === null ? 'not started' : 'cancelled'
  const status = exitStatusFor(operation)
  return status === null ? 'running' : (EXIT_TABLE.find((row) => row.status === status)?.name ?? 'bug')
}

/** A look that found no answer, or somebody at work, has not failed: it has told what is true. */
export function isFailure(operation: Operation): boolean {
  if (operation.status !== 'failed') return false
  return operation.type !== 'verify' || !['unknown', 'busy'].includes(verdictWord(operation))
}

/** `+` done, `x` failed, `?` unknown, `-` ended before anything was sent. */
export function endingMark(operation: Pick<Operation, 'status' | 'error' | 'effect'>): '+' | 'x' | '?' | '-' {
  const { status } = operation
  if (status === 'completed') return '+'
  if (exitStatusFor(operation) === exitStatus('unknown')) return '?'
  return status === 'failed' ? 'x' : '-'
}

/** The last phase before the end. */
export function phaseBeforeEnd({ phases }: Pick<Operation, 'phases'>): Operation['phase'] {
  return phases.findLast(({ phase }) => phase !== 'settled')?.phase ?? 'accepted'
}

/** `10.10.0.10`: the device without the port that everybody expects. */
export function deviceWords({ device }: Pick<Operation, 'device'>): string {
  return clean(device).replace(/:22$/, '')
}

/** `[####....]`; null leaves the inside empty, because nothing is known. */
export function bar(percent: number | null, width: number): string {
  if (percent === null) return `[${' '.repeat(width)}]`
  const filled = Math.min(width, Math.max(0, Math.floor((percent / 100) * width)))
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`
}
