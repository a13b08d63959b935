import { isSettled, type Operation } from '../../core/operation.ts'
import type { Follow, Update, Updates } from '../follow.ts'

/** A followed operation before and after an update. */
export interface Change {
  readonly before: Operation
  readonly after: Operation
}

/**
 * Reads updates until every operation asked for has settled, or the signal aborts; resolves to the operations as last
 * seen. One that a snapshot no longer shows has left the board: nothing more will come for it, so it is not waited for.
 */
export async function followToEnd(
  follow: Follow,
  see: (update: Update, changes: readonly Change[]) => void = () => {},
): Promise<readonly Operation[]> {
  const known = new Map(follow.operations.map((operation) => [operation.id, operation]))
  const open = new Set(follow.operations.filter((operation) => !isSettled(operation)).map(({ id }) => id))

  const take = (after: Operation): Change[] => {
    const before = known.get(after.id)
    if (!before || after.seq <= before.seq) return []
    known.set(after.id, after)
    if (isSettled(after)) open.delete(after.id)
    return [{ before, after }]
  }

  if (open.size > 0) {
    for await (const update of untilAborted(follow.updates, follow.signal)) {
      if (update.type === 'snapshot') {
        const shown = new Map(update.operations.map((operation) => [operation.id, operation]))
        see(update, follow.operations.flatMap(({ id }) => shown.get(id) ?? []).flatMap(take))
        for (const id of open) if (!shown.has(id)) open.delete(id)
      } else {
        see(update, update.type === 'event' ? take(update.operation) : [])
      }
      if (open.size === 0) break
    }
  }
  return follow.operations.map((operation) => known.get(operation.id) ?? operation)
}

/** The updates until the signal aborts, however long the source stays silent. */
export async function* untilAborted(updates: Updates, signal: AbortSignal): AsyncGenerator<Update, void, void> {
  const iterator = updates[Symbol.asyncIterator]()
  try {
    while (!signal.aborted) {
      const next = await nextOrAbort(iterator, signal)
      if (next === null || next.done === true) return
      yield next.value
    }
  } finally {
    // Not awaited: a generator that waits for the daemon answers only after the daemon did.
    void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}

/** A promise of its own for every step: racing against one that lives for days would pile up its reactions. */
function nextOrAbort(iterator: AsyncIterator<Update>, signal: AbortSignal): Promise<IteratorResult<Update> | null> {
  return new Promise((resolve, reject) => {
    const leave = () => resolve(null)
    signal.addEventListener('abort', leave, { once: true })
    void iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', leave))
  })
}
