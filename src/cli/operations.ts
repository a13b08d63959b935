import { VosError } from '../core/errors.ts'
import type { Operation, RecordedEvent } from '../core/operation.ts'
import type { Client } from './client.ts'

const PAGE = 1000

/** What the words mean: ids, unique prefixes of ids, `last`, and batches, which stand for all their operations. */
export async function findOperations(client: Client, words: readonly string[], user: string): Promise<Operation[]> {
  const found = new Map<string, Operation>()
  for (const word of words) {
    for (const operation of isBatchId(word)
      ? await findBatch(client, word)
      : [await findOperation(client, word, user)]) {
      found.set(operation.id, operation)
    }
  }
  return [...found.values()]
}

/** @throws RefusedError `unknown_operation` or `ambiguous` */
export async function findOperation(client: Client, word: string, user: string): Promise<Operation> {
  if (isOperationId(word)) return await client.request('operation:get', { id: word, createdBy: user })
  throw new VosError('unknown_operation', `there is no operation "${word}".`, {
    hint: 'See: vosctl ps, vosctl history',
  })
}

/** Could this be the id of an operation, or the beginning of one? */
export function isOperationId(word: string): boolean {
  return word === 'last' || /^[rtvc]-[0-9a-z]{0,12}$/.test(word)
}

export function isBatchId(word: string): boolean {
  return /^b-[0-9a-z]+$/.test(word)
}

/** What ended more than minutes ago is in history only. */
async function findBatch(client: Client, word: string): Promise<Operation[]> {
  const { operations } = await client.request('subscribe', { room: 'operations' })
  const history = await client.request('operation:history', { limit: 1000 })
  const all = new Map([...history, ...operations].map((operation) => [operation.id, operation]))
  const members = [...all.values()].filter(({ batch }) => batch?.id === word)
  if (members.length > 0) return members.toSorted((a, b) => (a.batch?.position ?? 0) - (b.batch?.position ?? 0))
  throw new VosError('unknown_operation', `there is no batch "${word}".`, { hint: 'See: vosctl ps, vosctl history' })
}

/** What the journal holds of an operation after `afterSeq`, however much it is. */
export async function readEvents(client: Client, id: string, afterSeq = 0): Promise<readonly RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for (;;) {
    const page = await client.request('operation:events', { id, afterSeq: events.at(-1)?.seq ?? afterSeq, limit: PAGE })
    events.push(...page)
    if (page.length < PAGE) return events
  }
}
