/** Both clocks of this machine. A suspended machine stops the monotonic one, a paused process neither. */
export interface Clocks {
  readonly monotonicMs: number
  readonly wallMs: number
}

/** The commit before Enter takes milliseconds; after more than this the process, or the machine, was asleep. */
const MAX_STEP_MS = 1_000

export function readClocks(): Clocks {
  return { monotonicMs: performance.now(), wallMs: Date.now() }
}

/** Whether more than a second lies between, on either clock, or the wall clock was set back by as much. */
export function isTooLate(before: Clocks, now: Clocks): boolean {
  const wallStepMs = now.wallMs - before.wallMs
  return now.monotonicMs - before.monotonicMs > MAX_STEP_MS || Math.abs(wallStepMs) > MAX_STEP_MS
}
