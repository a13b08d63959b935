import { formatDuration } from '../../core/duration.ts'
import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { Operation } from '../../core/operation.ts'
import type { ServiceStatistics } from '../../core/protocol.ts'
import type { Client } from '../client.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { toListJson, toStatisticsJson } from '../json-documents.ts'
import { printPaged, type PagerOptions } from '../pager.ts'
import { resultColumns } from '../renderers/choose.ts'
import { clean, describe, tookMs, verdictWord } from '../renderers/words.ts'
import { chooseTargets } from '../selection.ts'
import { table } from '../table.ts'
import { dateWords } from '../times.ts'

const ROWS = 50

export interface HistoryOptions extends PagerOptions {
  readonly lines?: number
  readonly failed?: boolean
  /** Milliseconds since 1970. */
  readonly since?: number
  readonly stats?: boolean
}

/** Finished operations, the newest first in every format; or how they went. */
export async function history(
  context: Context,
  words: readonly string[],
  options: HistoryOptions,
): Promise<ExitStatus> {
  const { lines: limit = ROWS, failed, since, stats } = options
  if (stats && (failed || options.lines !== undefined)) {
    throw new VosError('bad_request', `--stats counts every run: it knows no ${failed ? '--failed' : '--lines'}.`)
  }
  const client = await context.connect()
  const { connections } = words.length === 0 ? {} : await chooseTargets(context, client, words)
  const filter = {
    ...(connections ? { connectionIds: connections.map(({ id }) => id) } : {}),
    ...(since === undefined ? {} : { since }),
  }
  if (stats) {
    const items = await client.request('operation:statistics', filter)
    return await sayStatistics(context, items, options)
  }
  const operations = await client.request('operation:history', { ...filter, limit, ...(failed ? { failed } : {}) })
  return await sayHistory(context, client, operations, options)
}

async function sayHistory(
  context: Context,
  client: Client,
  operations: readonly Operation[],
  options: HistoryOptions,
): Promise<ExitStatus> {
  if (isMachine(context.flags)) {
    printJson(context, toListJson(operations, context.now(), client.info.version))
  } else if (context.flags.output === 'name') {
    for (const { id } of operations) context.print(id)
  } else if (operations.length > 0) {
    const lines = historyLines(operations, resultColumns(context.io.stdout, context.io.env))
    await printPaged(context, lines, options)
  } else {
    const what = options.failed ? 'gone wrong' : 'finished'
    context.note(`Nothing has ${what}${options.since === undefined ? ' yet' : ' since then'}.`)
  }
  return 0
}

/** What became of an unknown outcome: both are history. */
function laterWords({ acknowledged, verified }: Operation): string {
  if (verified) return `; unknown until verified ${dateWords(verified.at)} by ${clean(verified.by)}`
  return acknowledged ? ', accepted' : ''
}

export function historyLines(operations: readonly Operation[], columns = Number.POSITIVE_INFINITY): string[] {
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
  return table(['WHEN', 'OP', 'CONNECTION', 'WHAT', 'BY', 'TOOK', 'VERDICT'], rows, { gives: 'WHAT', columns })
}

async function sayStatistics(
  context: Context,
  items: readonly ServiceStatistics[],
  options: HistoryOptions,
): Promise<ExitStatus> {
  if (isMachine(context.flags)) printJson(context, toStatisticsJson(items, context.now(), options.since ?? null))
  else if (context.flags.output === 'name') {
    for (const name of new Set(items.map(({ connection }) => clean(connection.name)))) context.print(name)
  } else if (items.length > 0) await printPaged(context, statisticsLines(items), options)
  else context.note('No restart has finished yet.')
  return 0
}

export function statisticsLines(items: readonly ServiceStatistics[]): string[] {
  const rows = items.map(({ connection, operationType, service, runs, failed, unknown, notSent, ...item }) => [
    clean(connection.name),
    describe({ type: operationType, service }),
    String(runs),
    rateWords(failed + unknown, runs),
    String(notSent),
    item.p50Ms === null ? '-' : formatDuration(item.p50Ms),
    item.p90Ms === null ? '-' : formatDuration(item.p90Ms),
    sparkline(item.recent),
  ])
  return table(['CONNECTION', 'WHAT', 'RUNS', 'FAILED', 'NOT SENT', 'P50', 'P90', 'LAST 20'], rows)
}

/** Never 0 % where something went wrong, nor 100 % where something went well. */
function rateWords(bad: number, all: number): string {
  const percent = Math.round((bad / all) * 100)
  if (all === 0) return '-'
  return bad > 0 && percent === 0 ? '<1%' : bad < all && percent === 100 ? '>99%' : `${percent}%`
}

const RAMP = '.:-=*#'

/** `.:-=*#x`: heights in proportion to the longest of them, so that runs which took about the same look the same. */
export function sparkline(recent: ServiceStatistics['recent']): string {
  const isTimed = ({ status, tookMs }: (typeof recent)[number]) => status === 'completed' && tookMs !== null
  const longest = Math.max(1, ...recent.filter(isTimed).map(({ tookMs }) => tookMs ?? 0))
  return recent
    .map(({ status, tookMs }) => {
      if (status !== 'completed') return status === 'unknown' ? '?' : 'x'
      return tookMs === null ? '+' : RAMP[Math.min(RAMP.length - 1, Math.floor((tookMs / longest) * RAMP.length))]
    })
    .join('')
}
