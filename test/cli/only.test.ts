import { expect, it } from 'vitest'
import { NoAnswerError } from '../../src/cli/client.ts'
import type { Update } from '../../src/cli/follow.ts'
import { only } from '../../src/cli/only.ts'
import { VosError } from '../../src/core/errors.ts'
import type { Operation } from '../../src/core/operation.ts'
import { moving, sampleRestart, scene, sentAt } from './render-scenes.ts'

const RUNNING = scene('r-7k2m9q', 'cucm-pub', '14:02:11', [...sentAt('14:02:11'), ...moving('14:02:13', 'stopping')])
const OTHER = scene('r-zzzzzz', 'cuc-1', '14:02:11', sentAt('14:02:11'))
const ENDED = sampleRestart().operation

function snapshot(...operations: readonly Operation[]): Update {
  return { type: 'snapshot', operations, cursor: 1, gap: false }
}

function event(of: typeof RUNNING): Update {
  const recorded = of.recorded.at(-1)
  if (!recorded) throw new Error('a scene without events')
  return { type: 'event', recorded, operation: of.operation }
}

async function through(updates: readonly Update[], fetch: (id: string) => Promise<Operation>): Promise<string[]> {
  async function* source() {
    yield* updates
  }
  const seen: string[] = []
  for await (const update of only(source(), ['r-7k2m9q'], fetch)) {
    if (update.type === 'snapshot')
      seen.push(`snapshot ${update.operations.map(({ id, phase }) => `${id} ${phase}`).join()}`)
    else seen.push(update.type === 'event' ? `event ${update.operation.id}` : update.type)
  }
  return seen
}

const unknown = () => Promise.reject(new VosError('unknown_operation', 'there is no such operation'))

it('lets through what belongs to the operations followed, and every sign of the daemon', async () => {
  const updates: Update[] = [
    snapshot(RUNNING.operation, OTHER.operation),
    event(OTHER),
    event(RUNNING),
    { type: 'heartbeat', now: 1, cursor: 1 },
    { type: 'disconnected', since: 1 },
  ]
  expect(await through(updates, unknown)).toEqual([
    'snapshot r-7k2m9q stopping',
    'event r-7k2m9q',
    'heartbeat',
    'disconnected',
  ])
})

it('fetches one that has left the board while nobody looked, so that its ending is seen', async () => {
  const asked: string[] = []
  const fetch = (id: string) => {
    asked.push(id)
    return Promise.resolve(ENDED)
  }
  const updates = [snapshot(RUNNING.operation), snapshot(OTHER.operation), snapshot(OTHER.operation)]
  expect(await through(updates, fetch)).toEqual([
    'snapshot r-7k2m9q stopping',
    'snapshot r-7k2m9q settled',
    // Its ending is known now: it is not asked for again.
    'snapshot ',
  ])
  expect(asked).toEqual(['r-7k2m9q'])
})

it('keeps a board back that it could not complete: a renderer would take the missing one for gone', async () => {
  const fetch = () => Promise.reject(new NoAnswerError('gone again'))
  expect(await through([snapshot(OTHER.operation), event(RUNNING)], fetch)).toEqual(['event r-7k2m9q'])
})

it('leaves out one that the daemon does not know, so that nobody waits for it', async () => {
  expect(await through([snapshot(OTHER.operation)], unknown)).toEqual(['snapshot '])
})
