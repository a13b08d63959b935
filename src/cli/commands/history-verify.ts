import { VosError, exitStatus, type ExitStatus } from '../../core/errors.ts'
import type { BadRow, HistoryVerification, JournalHead } from '../../core/protocol.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { toVerificationJson } from '../json-documents.ts'
import { clean } from '../renderers/words.ts'
import { dateWords } from '../times.ts'
import type { HistoryOptions } from './history.ts'

export interface HistoryVerifyOptions extends HistoryOptions {
  readonly head?: readonly JournalHead[]
}

/** Is history as it was written? The first row that is not is named; 0 means that there is none. */
export async function verifyHistory(context: Context, options: HistoryVerifyOptions): Promise<ExitStatus> {
  const { head: heads, failed, since, stats, lines } = options
  if (failed || stats || since !== undefined || lines !== undefined) {
    throw new VosError('bad_request', 'history verify looks at all of history: it knows no flag but --head.')
  }
  const client = await context.connect()
  const result = await client.request('history:verify', heads ? { heads } : {})
  const broken = whatIsBroken(result)
  if (isMachine(context.flags)) {
    printJson(context, toVerificationJson(result, broken, context.now()))
    return exitStatus(broken === null ? 'ok' : 'failed')
  }
  if (broken !== null) {
    throw new VosError('history_broken', `${broken}.`, {
      hint: 'Keep a copy of the database as it is before anything else: docs/history.md says what this means.',
    })
  }
  // As --head reads it: what somebody keeps elsewhere.
  if (context.flags.output === 'name') context.print(headWords(result))
  else if (!context.flags.quiet) for (const line of wholeLines(result)) context.print(line)
  return 0
}

function whatIsBroken({ bad, heads, head }: HistoryVerification): string | null {
  if (bad) return `history is not whole: ${rowWords(bad)} ${clean(bad.what)}`
  const wrong = heads.find(({ found }) => found !== 'same')
  if (!wrong) return null
  const why = {
    other: 'another event stands there now: history was rewritten before it',
    missing: `history ends at ${head.cursor}: it was cut off, or an older copy was put in its place`,
    pruned: 'that event is not kept any more, so it cannot be checked',
    unchecked: 'it was not reached',
    same: '',
  }[wrong.found]
  return `the noted head ${wrong.cursor}:${wrong.hash.slice(0, 12)}… is not in this history: ${why}`
}

function rowWords({ table, row, operation }: BadRow): string {
  const name = clean(row)
  if (table === 'operation_events') return `event ${name}${operation === null ? '' : ` (of ${clean(operation)})`}`
  if (table === 'journal_chain') return `the beginning of the chain (${table})`
  return `${name} (in ${table})`
}

function headWords({ head }: HistoryVerification): string {
  return `${head.cursor}:${head.hash}`
}

function wholeLines(result: HistoryVerification): string[] {
  const { operations, events, chain, prunedTo, heads } = result
  const earlier =
    chain.begunAfter > prunedTo
      ? [`Events up to ${chain.begunAfter} were there before that: what became of them until then, nobody can tell.`]
      : []
  return [
    `history is whole: ${operations} operations, ${events} events; chain from ${dateWords(chain.begunAt)}`,
    ...earlier,
    ...(prunedTo > 0 ? [`Pruned: the events up to ${prunedTo}.`] : []),
    ...heads.map(({ cursor }) => `The noted head at ${cursor} is in it.`),
    `head ${headWords(result)}`,
  ]
}
