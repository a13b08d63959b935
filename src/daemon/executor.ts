import type { Device } from '../core/device.ts'
import { VosError } from '../core/errors.ts'
import { isSettled, maybeSent, type Operation, type OperationEvent } from '../core/operation.ts'
import { endingFor } from '../core/recipes/ending.ts'
import type { Recipe } from '../core/recipes/steps.ts'

export interface Execution {
  readonly recipe: Recipe
  readonly device: Device
  readonly operation: Operation
  /** Aborted with a VosError: `cancelled`, `deadline`, or `interrupted` when the daemon stops. */
  readonly signal: AbortSignal
  /** May wait before an event, and may refuse it by throwing. */
  readonly before: (event: OperationEvent, operation: Operation) => Promise<void> | void
  /** Puts the event on disk, then tells the watchers. Throws when it is not on disk. `error`: what it ends by. */
  readonly record: (operation: Operation, event: OperationEvent, error?: unknown) => Operation
}

/**
 * Runs a recipe on a device. A recipe goes on only after its event is on disk: that is all there is to write-ahead.
 * Resolves when the operation has settled, or when the daemon stops with the command under way (the next start looks).
 */
export async function execute({ recipe, device, operation, signal, before, record }: Execution): Promise<void> {
  const steps = recipe(device, operation)
  try {
    let step = await steps.next()
    while (!step.done) {
      await before(step.value, operation)
      // A cancellation that came while the recipe was busy wins as long as the intent is not on disk.
      if (signal.aborted && step.value.type !== 'settled' && !maybeSent(operation)) throw signal.reason
      operation = record(operation, step.value)
      step = await steps.next(operation)
    }
    if (!isSettled(operation)) throw new Error(`${operation.id}: its recipe ended in ${operation.phase}`)
  } catch (error) {
    await steps.return(operation).catch(() => undefined)
    if (isSettled(operation)) throw error
    const stopping = signal.aborted && signal.reason instanceof VosError && signal.reason.code === 'interrupted'
    if (stopping && maybeSent(operation)) return
    record(operation, endingFor(operation, error), error)
    if (!(error instanceof VosError)) throw error
  } finally {
    await device.close()
  }
}
