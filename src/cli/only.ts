import { isSettled, type Operation } from '../core/operation.ts'
import { VosError } from '../core/errors.ts'
import { NoAnswerError } from './client.ts'
import type { Update, Updates } from './follow.ts'

/**
 * The updates of some operations alone. A snapshot shows the board, which an operation leaves minutes after its end: one
 * that ended while we were cut off is fetched, so that nobody waits for an ending that has already happened.
 */
export async function* only(
  updates: Updates,
  ids: readonly string[],
  fetch: (id: string) => Promise<Operation>,
): AsyncGenerator<Update, void, void> {
  const open = new Set(ids)
  for await (const update of updates) {
    if (update.type === 'event') {
      if (!ids.includes(update.operation.id)) continue
      if (isSettled(update.operation)) open.delete(update.operation.id)
      yield update
    } else if (update.type === 'snapshot') {
      const operations = await complete(update.operations, open, fetch)
      // Lost again while asking: the next snapshot comes with the next connection.
      if (operations === null) continue
      for (const operation of operations) if (isSettled(operation)) open.delete(operation.id)
      yield { ...update, operations: operations.filter(({ id }) => ids.includes(id)) }
    } else yield update
  }
}

async function complete(
  board: readonly Operation[],
  open: ReadonlySet<string>,
  fetch: (id: string) => Promise<Operation>,
): Promise<readonly Operation[] | null> {
  const shown = new Set(board.map(({ id }) => id))
  const fetched: Operation[] = []
  for (const id of open) {
    if (shown.has(id)) continue
    try {
      fetched.push(await fetch(id))
    } catch (error) {
      if (error instanceof NoAnswerError) return null
      // The daemon does not know it any more: leaving it out tells the renderer so.
      if (!(error instanceof VosError && error.code === 'unknown_operation')) throw error
    }
  }
  return [...board, ...fetched]
}
