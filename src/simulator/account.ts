import type { Clock } from './clock.ts'
import type { Auth } from './scenario.ts'

/** The one administrator account: counts failures and is locked for a while, which nobody is told. */
export class Account {
  readonly #clock: Clock
  #failures = 0
  #lockedUntil = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get locked(): boolean {
    return this.#clock.now() < this.#lockedUntil
  }

  /** Whether a login with these credentials succeeds; a failure is counted. */
  admits(correct: boolean, { lock }: Auth): boolean {
    if (this.locked) return false
    if (correct) {
      this.#failures = 0
      return true
    }
    this.#failures += 1
    if (lock && this.#failures >= lock.after) {
      this.#failures = 0
      this.#lockedUntil = this.#clock.now() + lock.forMs
    }
    return false
  }
}
