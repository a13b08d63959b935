import { VosError } from '../../../core/errors.ts'

const LIMIT_MS = 1_000
const BEAT_MS = 100

/**
 * Notices that this process was stopped or the machine slept: what was decided before must not be sent afterwards. Both
 * clocks are needed: the monotonic one stands still while the machine sleeps, the other one may be set.
 */
export class AwakeWatch {
  #monotonic = performance.now()
  #wall = Date.now()
  #isLate = false
  #timer: NodeJS.Timeout | null = null

  /** From now on only a gap between two beats counts: waiting for a slow device is not sleeping. */
  beat(): void {
    this.assert()
    this.#timer ??= setInterval(() => this.#note(), BEAT_MS)
  }

  /** @throws VosError `woke_up_late` when more than a second has passed unnoticed. */
  assert(): void {
    this.#note()
    if (this.#isLate) {
      throw new VosError('woke_up_late', 'vosctl was stopped for a moment just before sending. Nothing was sent.', {
        hint: 'Try again.',
      })
    }
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
  }

  #note(): void {
    const monotonic = performance.now()
    const wall = Date.now()
    this.#isLate ||= monotonic - this.#monotonic > LIMIT_MS || Math.abs(wall - this.#wall) > LIMIT_MS
    this.#monotonic = monotonic
    this.#wall = wall
  }
}
