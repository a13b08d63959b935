import { credentialWord } from '../core/connection.ts'
import type { Operation } from '../core/operation.ts'
import type { ConnectionView, HistoryVerification, ServiceStatistics, StartResult } from '../core/protocol.ts'
import { toOperationJson, type JsonObject } from './renderers/json.ts'

/** Documents beside the operation itself. Times are RFC 3339 UTC, unknown is null, fields are only ever added. */

export function toListJson(
  operations: readonly Operation[],
  now: number,
  daemonVersion: string,
  more: { readonly [key: string]: unknown } = {},
): JsonObject {
  return {
    schema: 'vosctl/operation-list/v1',
    at: toTime(now),
    daemon: { running: true, version: daemonVersion },
    items: operations.map((operation) => toOperationJson(operation, now)),
    ...more,
  }
}

export function toStatisticsJson(items: readonly ServiceStatistics[], now: number, since: number | null): JsonObject {
  return {
    schema: 'vosctl/statistics/v1',
    at: toTime(now),
    since: toTime(since),
    items: items.map(
      ({ connection, operationType, service, runs, failed, unknown, notSent, p50Ms, p90Ms, recent }) => ({
        connection,
        operation_type: operationType,
        service,
        runs,
        failed,
        unknown,
        not_sent: notSent,
        failure_rate: runs === 0 ? null : (failed + unknown) / runs,
        took_ms: p50Ms === null ? null : { p50: p50Ms, p90: p90Ms },
        // The newest last.
        recent: recent.map(({ id, status, completedAt, tookMs }) => ({
          id,
          status,
          completed_at: toTime(completedAt),
          took_ms: tookMs,
        })),
      }),
    ),
  }
}

/** `problem` is the sentence that a person reads; null when history is whole and every noted head is in it. */
export function toVerificationJson(
  { chain, prunedTo, operations, events, pruned, head, bad, heads }: HistoryVerification,
  problem: string | null,
  now: number,
): JsonObject {
  return {
    schema: 'vosctl/history-verification/v1',
    at: toTime(now),
    whole: problem === null,
    problem,
    bad,
    operations,
    events,
    pruned: { until: prunedTo, digests: pruned },
    chain: { id: chain.id, begun_at: toTime(chain.begunAt), begun_after: chain.begunAfter },
    head,
    heads,
  }
}

export function toSkippedJson(skipped: StartResult['skipped']): readonly JsonObject[] {
  return skipped.map(({ completedAt, ...one }) => ({ ...one, completed_at: toTime(completedAt) }))
}

export function toConnectionJson(connection: ConnectionView): JsonObject {
  const { last, hold, loginHold, credential } = connection
  const loginHeld = loginHold && { reason: loginHold.message, since: toTime(loginHold.since) }
  return {
    schema: 'vosctl/connection/v1',
    id: connection.id,
    name: connection.name,
    kind: connection.platform,
    host: connection.host,
    port: connection.port,
    user: connection.username,
    service: connection.service,
    credential: credential.type,
    credential_source: credentialWord(credential),
    key_path: credential.type === 'key' ? credential.path : null,
    passphrase_from: credential.type === 'key' ? (credential.passphrase ?? null) : null,
    host_key: connection.hostKey,
    accept_new: connection.acceptNew,
    algorithms: connection.algorithms,
    algorithms_reason: connection.algorithmsReason,
    algorithms_until: connection.algorithmsUntil,
    echo: connection.echo,
    enter: connection.enter,
    sudo: connection.sudo,
    via: connection.hops.at(-1)?.name ?? null,
    timings_ms: Object.fromEntries(
      Object.entries(connection.timings).map(([name, ms]) => [name.replace(/Ms$/, ''), ms]),
    ),
    last: last && { op: last.id, verdict: last.status, ended_at: toTime(last.completedAt) },
    // What keeps work from it: somebody who says so, or a login that did not work.
    hold: hold
      ? { by: hold.by, reason: hold.reason, since: toTime(hold.since) }
      : loginHeld && { by: null, ...loginHeld },
    login_hold: loginHeld,
  }
}

export function toTime(at: number): string
export function toTime(at: number | null): string | null
export function toTime(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}
