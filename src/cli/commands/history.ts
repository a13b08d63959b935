import { formatDuration } from '../../core/duration.ts'
import type { ExitStatus } from '../../core/errors.ts'
import { isSettled, type Operation } from '../../core/operation.ts'
import type { RoomName } from '../../core/protocol.ts'
import type { Client } from '../client.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { toListJson } from '../json-documents.ts'
import { clean, describe, tookMs, verdictWord } from '../renderers/words.ts'
import { chooseTarget } from '../selection.ts'
import { table } from '../table.ts'
import { dateWords } from '../times.ts'

const ROWS = 50

export interface HistoryOptions {
  readonly lines?: number
}

/** Finished operations, the newest first in every format. */
export async function history(
  context: Context,
  word: string | undefined,
  { lines = ROWS }: HistoryOptions,
): Promise<ExitStatus> {
  const client = await context.connect()
  const connectionId = word === undefined ? undefined : (await chooseTarget(client, word)).id
  const operations = (await finished(client, connectionId, lines)).slice(0, lines)
  if (isMachine(context.flags)) {
    printJson(context, toListJson(operations, context.now(), client.info.version))
  } else if (context.flags.output === 'name') {
    for (const { id } of operations) context.print(id)
  } else if (operations.length === 0) {
    context.note('Nothing has finished yet.')
  } else for (const line of historyLines(operations)) context.print(line)
  return 0
}

/** What has ended, the newest first: history itself, and what is still on the board because it has just ended. */
export async function finished(client: Client, connectionId: number | undefined, limit: number): Promise<Operation[]> {
  const room: RoomName = connectionId === undefined ? 'operations' : `connection:${connectionId}`
  const { operations } = await client.request('subscribe', { room })
  const target = connectionId === undefined ? {} : { connectionId }
  const history = await client.request('operation:history', { ...target, limit })
  const byId = new Map([...history, ...operations.filter(isSettled)].map((operation) => [operation.id, operation]))
  return [...byId.values()].toSorted((a, b) => endOf(b) - endOf(a) || b.startedAt - a.startedAt)
}

function endOf({ completedAt, startedAt }: Operation): number {
  return completedAt ?? startedAt
}

/** What became of an unknown outcome: both are history. */
function laterWords({ acknowledged, verified }: Operation): string {
  if (verified) return `; unknown until verified ${dateWords(verified.at)} by ${clean(verified.by)}`
  return acknowledged ? ', accepted' : ''
}

export function historyLines(operations: readonly Operation[]): string[] {
  const rows = operations.map((operation) => {
    const took = tookMs(operation)
    return [
      dateWords(operation.startedAt),
      operation.id,
      clean(operation.connection.name),
      describe(operation),
      clean(operation.createdBy),
      took === null ? '-' : formatDuration(took),
      verdictWord(operation) + laterWords(operation),
    ]
  })
  return table(['WHEN', 'OP', 'CONNECTION', 'WHAT', 'BY', 'TOOK', 'VERDICT'], rows)
}
