import { VosError } from '../core/errors.ts'
import type { OperationType } from '../core/operation.ts'
import type { Refusal } from '../core/protocol.ts'

/** The work that was refused; its service is null where it is not known. */
export interface Wanted {
  readonly type: OperationType
  readonly service: string | null
  /** The person has said the service: whoever asks again has to say it too. */
  readonly isNamed?: boolean
}

/** The daemon said no. Keeps who stands in the way, which the message alone does not say. */
export class RefusedError extends VosError {
  readonly refusal: Refusal
  readonly wanted: Wanted

  constructor(refusal: Refusal, wanted: Wanted = { type: 'service_restart', service: null }) {
    super(refusal.code, refusal.message, { hint: refusal.hint, deviceLines: refusal.deviceLines ?? [] })
    this.refusal = refusal
    this.wanted = wanted
  }

  /** One for each target that was refused. */
  get refused(): readonly Refusal[] {
    return this.refusal.refused ?? [this.refusal]
  }
}
