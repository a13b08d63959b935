import { apply, type Operation, type RecordedEvent } from '../core/operation.ts'
import { VosError } from '../core/errors.ts'
import { NoAnswerError, type Client } from './client.ts'
import { readEvents } from './operations.ts'
import type { Context } from './context.ts'
import type { Passed } from './follow.ts'

/** `--from`: where a stream of events goes on, in its numbers. */
export interface FromOptions {
  readonly from?: number
}

/** A person has no place in the journal to come back to. */
export function refuseFromForPeople({ flags }: Context, { from }: FromOptions): void {
  if (from === undefined || flags.output === 'jsonl') return
  throw new VosError('bad_request', `--from ${from} goes on with a stream of events, and -o ${flags.output} is none.`, {
    hint: 'Add -o jsonl.',
  })
}

/**
 * The events of these operations that `wanted` picks, in the order of the journal, each with its operation as it was
 * after it: rebuilt from the operation's own journal, because an event alone does not say it. An operation whose
 * beginning is no longer recorded has none. Null when the daemon went meanwhile: nobody can tell, and whoever watches finds
 * his way back.
 */
export async function passedEvents(
  client: Client,
  ids: Iterable<string>,
  wanted: (recorded: RecordedEvent) => boolean,
): Promise<readonly Passed[] | null> {
  const passed: Passed[] = []
  for (const id of new Set(ids)) {
    let operation: Operation | null = null
    const events = await recordedOf(client, id)
    if (events === null) return null
    for (const recorded of events) {
      if (recorded.seq !== (operation?.seq ?? 0) + 1) break
      operation = apply(operation, recorded)
      if (wanted(recorded)) passed.push({ recorded, operation })
    }
  }
  return passed.toSorted((a, b) => a.recorded.cursor - b.recorded.cursor)
}

async function recordedOf(client: Client, id: string): Promise<readonly RecordedEvent[] | null> {
  try {
    return await readEvents(client, id)
  } catch (error) {
    if (error instanceof NoAnswerError) return null
    if (error instanceof VosError && error.code === 'unknown_operation') return []
    throw error
  }
}
