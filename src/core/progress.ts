import type { Operation, Phase } from './operation.ts'

/** How long this work usually takes, learned from earlier runs that completed. Durations in milliseconds. */
export interface Usual {
  readonly runs: number
  readonly p50Ms: number
  readonly p90Ms: number
  /** Median per phase. */
  readonly phases: Partial<Record<Phase, number>>
  /** 90th percentile per phase; absent in what an older vosctl wrote. */
  readonly phasesP90?: Partial<Record<Phase, number>>
}

/** Fewer runs than this say nothing about the next one. */
export const RUNS_BEFORE_ESTIMATE = 3

export interface Progress {
  /** 0 to 100. Reaches 100 only with the verdict. */
  readonly percent: number
  readonly elapsedMs: number
  /** Null while too few runs are known, or when it is late. */
  readonly remainingMs: number | null
  /** How far past the 90th percentile; null when it is not late. */
  readonly lateMs: number | null
}

const FLOOR: Record<Exclude<Phase, 'settled' | 'reconciling'>, number> = {
  accepted: 0,
  connecting: 10,
  ready: 30,
  dispatching: 50,
  stopping: 50,
  starting: 60,
  verifying: 90,
}

type Progressing = Pick<Operation, 'phase' | 'status' | 'progress' | 'usual' | 'phaseStartedAt'>

/** The fixed points that users know: 10 testing, 30 connected, 50 executing, 90 processing results, 100 ended. */
export function milestone(operation: Progressing): number {
  const { phase, status } = operation
  if (phase === 'settled') return status === 'completed' || status === 'failed' ? 100 : operation.progress
  // Looking at the device after an interruption: nothing is known that would move the number.
  if (phase === 'reconciling') return operation.progress
  return phase === 'starting' ? startingFloor(learned(operation)) : FLOOR[phase]
}

/**
 * Where the operation stands at `now`. Within a phase the position is elapsed ÷ the median of that phase, and it waits at
 * the phase's end: the number follows evidence and never runs ahead of it.
 */
export function progressAt(operation: Operation, now: number): Progress {
  const end = operation.completedAt ?? now
  const elapsedMs = Math.max(0, end - (operation.beganAt ?? operation.startedAt) - (operation.clockMovedMs ?? 0))
  if (operation.phase === 'settled') {
    return { percent: operation.progress, elapsedMs, remainingMs: null, lateMs: null }
  }
  const usual = learned(operation)
  const lateMs = usual && operation.beganAt !== null && elapsedMs > usual.p90Ms ? elapsedMs - usual.p90Ms : null
  const remainingMs = usual && lateMs === null ? remaining(operation, usual, now) : null
  return { percent: percentAt(operation, now), elapsedMs, remainingMs, lateMs }
}

function learned({ usual }: Progressing): Usual | null {
  return usual && usual.runs >= RUNS_BEFORE_ESTIMATE ? usual : null
}

/** What is shown in a phase counts when the next event comes, so that a phase which comes back does not pull it down. */
export function percentAt(operation: Progressing, now: number): number {
  const floor = milestone(operation)
  const usualMs = learned(operation)?.phases[operation.phase]
  const part = usualMs ? Math.min(1, Math.max(0, now - operation.phaseStartedAt) / usualMs) : 0
  return Math.max(operation.progress, floor, Math.floor(floor + (ceilingOf(operation) - floor) * part))
}

function ceilingOf(operation: Progressing): number {
  switch (operation.phase) {
    case 'accepted':
      return 0
    case 'connecting':
      return 29
    case 'ready':
      return 49
    case 'dispatching':
    case 'stopping':
      return startingFloor(learned(operation)) - 1
    case 'starting':
      return 89
    case 'verifying':
      return 97
    case 'reconciling':
    case 'settled':
      return operation.progress
    default:
      return operation.phase satisfies never
  }
}

/** Between 50 and 90 stopping and starting share the road as they share the time. */
function startingFloor(usual: Usual | null): number {
  const stopping = usual?.phases.stopping
  const starting = usual?.phases.starting
  if (!stopping || !starting || stopping < 0 || starting < 0) return FLOOR.starting
  return Math.round(52 + 36 * (stopping / (stopping + starting)))
}

/** What is left of this phase and of those that follow it, by their medians; null where they tell nothing. */
function remaining(operation: Operation, usual: Usual, now: number): number | null {
  const order: readonly Phase[] = ['connecting', 'ready', 'dispatching', 'stopping', 'starting', 'verifying']
  const index = order.indexOf(operation.phase)
  if (index === -1) return null
  // In its last phase for longer than usual: hardly anything is left, which is not the same as knowing nothing.
  if (order.slice(index).every((phase) => usual.phases[phase] === undefined)) return null
  const here = Math.max(0, (usual.phases[operation.phase] ?? 0) - Math.max(0, now - operation.phaseStartedAt))
  return order.slice(index + 1).reduce((sum, phase) => sum + (usual.phases[phase] ?? 0), here)
}

/** How long it took; null while it runs, when it never began, and when nobody saw its end. */
export function tookMs(operation: Operation): number | null {
  const { beganAt, completedAt, verified } = operation
  return beganAt === null || completedAt === null || verified ? null : progressAt(operation, completedAt).elapsedMs
}

/** Rounded up to 5 s, because more would pretend to a precision that nobody has. */
export function roundedRemaining(ms: number): number {
  return Math.max(5_000, Math.ceil(ms / 5_000) * 5_000)
}
