import type { Device } from '../device.ts'
import { isTransportFailure, VosError } from '../errors.ts'
import type { Operation } from '../operation.ts'
import { confirm } from './confirm.ts'
import { logIn, type Steps } from './steps.ts'

/** How often the device is looked at, over all lives of the daemon, before the outcome is called unknown. */
export const MAX_RECONCILIATIONS = 3

/**
 * A read-only look at a device that may have got the command: sends no command that acts. `isOurs` as in
 * {@link confirm}.
 */
export async function* reconcile(device: Device, operation: Operation, because: string, isOurs = () => true): Steps {
  for (;;) {
    if (operation.reconciliations >= MAX_RECONCILIATIONS) {
      throw new VosError('connection_lost_after_sending', because)
    }
    operation = yield { type: 'reconciling', because }
    await device.close()
    try {
      operation = yield* logIn(device, true)
      return yield* confirm(device, operation, isOurs)
    } catch (error) {
      if (!isTransportFailure(error)) throw error
      because = error.message
    }
  }
}
