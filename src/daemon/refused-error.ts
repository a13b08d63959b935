import { VosError, type ErrorInfo } from '../core/errors.ts'
import type { Refusal } from '../core/protocol.ts'

/** Why work was not taken on, target by target. */
export class RefusedError extends VosError {
  readonly refused: readonly Refusal[]

  constructor(refused: readonly Refusal[]) {
    const [first] = refused
    if (!first) throw new Error('a refusal without a reason')
    super(first.code, first.message, { hint: first.hint })
    this.refused = refused
  }

  override toInfo(): ErrorInfo & Refusal {
    const [first] = this.refused
    return { ...super.toInfo(), ...first, ...(this.refused.length > 1 ? { refused: this.refused } : {}) }
  }
}
