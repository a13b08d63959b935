import { setImmediate as turn } from 'node:timers/promises'
import { isLook, isSettled, maybeSent, type Operation, type SettledStatus } from '../core/operation.ts'
import { tookMs } from '../core/progress.ts'
import type { HistoryFilter, ServiceStatistics } from '../core/protocol.ts'
import { quantile, type OperationTable } from './store/operations.ts'

/** So many operations are read in one turn of the event loop: a history of years must not hold up those that run. */
const PAGE = 200
const RECENT = 20

type Run = ServiceStatistics['recent'][number]

interface Group extends Pick<ServiceStatistics, 'connection' | 'operationType' | 'service'> {
  readonly runs: Run[]
  notSent: number
}

/** How each kind of work has gone on each connection, sorted by the connection's name. */
export async function statisticsOf(
  table: OperationTable,
  board: readonly Operation[],
  { connectionIds, since = 0 }: HistoryFilter,
): Promise<ServiceStatistics[]> {
  const groups = new Map<string, Group>()
  // In one turn with the board: what moves from there into history later is counted once.
  const places = table.places({ since, ...(connectionIds && { connectionIds }) })
  for (let index = 0; index < places.length; index += PAGE) {
    for (const operation of table.at(places.slice(index, index + PAGE))) add(groups, operation)
    await turn()
  }
  for (const operation of board) {
    const isMeant = connectionIds?.includes(operation.connection.id) ?? true
    if (isSettled(operation) && isMeant && (operation.completedAt ?? 0) >= since) add(groups, operation)
  }
  return [...groups.values()]
    .map(summary)
    .toSorted(
      (a, b) => a.connection.name.localeCompare(b.connection.name) || (a.service ?? '').localeCompare(b.service ?? ''),
    )
}

function add(groups: Map<string, Group>, operation: Operation): void {
  if (isLook(operation)) return
  const { id, connection, type, service, status, completedAt } = operation
  const key = `${connection.id} ${type} ${service?.toLowerCase() ?? ''}`
  const { runs, notSent } = groups.get(key) ?? { runs: [] as Run[], notSent: 0 }
  const sent = maybeSent(operation)
  // Under the names that it has now.
  groups.set(key, { connection, operationType: type, service, runs, notSent: notSent + (sent ? 0 : 1) })
  if (!sent) return
  runs.push({ id, status: status as SettledStatus, completedAt: completedAt ?? 0, tookMs: tookMs(operation) })
}

function summary({ runs, ...group }: Group): ServiceStatistics {
  const took = runs.flatMap((run) => (run.status === 'completed' && run.tookMs !== null ? [run.tookMs] : []))
  const count = (status: SettledStatus) => runs.filter((run) => run.status === status).length
  const quantileOrNull = (part: number) => (took.length > 0 ? quantile(took, part) : null)
  return {
    ...group,
    runs: runs.length,
    failed: count('failed'),
    unknown: count('unknown'),
    p50Ms: quantileOrNull(0.5),
    p90Ms: quantileOrNull(0.9),
    recent: runs.toSorted((a, b) => a.completedAt - b.completedAt).slice(-RECENT),
  }
}
