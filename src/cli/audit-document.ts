import { VosError } from '../core/errors.ts'
import { apply, type Operation, type OperationEvent, type RecordedEvent } from '../core/operation.ts'
import type { ChainPage, ConnectionView, JournalHead } from '../core/protocol.ts'
import { sanitise } from '../core/text.ts'
import { VERSION } from '../core/version.ts'
import { toConnectionJson, toTime } from './json-documents.ts'
import { sessionJson, toEventJson, toOperationJson, type JsonObject } from './renderers/json.ts'
import { clean, cleanDeviceLine } from './renderers/words.ts'

/** All that is kept of an operation: its part of the journal, with digests of what lies between. */
export interface Journal {
  readonly id: string
  readonly before: JournalHead
  readonly links: ChainPage['links']
}

export interface Audit {
  readonly at: number
  readonly by: string
  readonly daemonVersion: string
  readonly chain: ChainPage['chain']
  readonly head: JournalHead
  readonly journals: readonly Journal[]
  readonly connections: readonly ConnectionView[]
}

interface Step {
  readonly recorded: RecordedEvent
  /** As it was after the event. */
  readonly operation: Operation
}

/** `vosctl/audit/v1`: who did what to which machine and why, how it ended, and what proves that nobody changed it since. */
export function toAuditJson({ at, by, daemonVersion, chain, head, journals, connections }: Audit): JsonObject {
  return {
    schema: 'vosctl/audit/v1',
    at: toTime(at),
    exported_by: clean(by),
    vosctl: VERSION,
    daemon: daemonVersion,
    chain: {
      id: chain.id,
      begun_at: toTime(chain.begunAt),
      begun_at_ms: chain.begunAt,
      begun_after: chain.begunAfter,
      nonce: chain.nonce,
      head,
    },
    operations: journals.map((journal) => toAuditedJson(journal, connections, at)),
  }
}

function toAuditedJson(journal: Journal, connections: readonly ConnectionView[], now: number): JsonObject {
  const steps = told(journal)
  const operation = steps.at(-1)?.operation
  if (!operation) throw unreadable(journal.id)
  const connection = connections.find(({ id }) => id === operation.connection.id)
  return {
    operation: toOperationJson(operation, now),
    connection: connection ? toConnectionJson(connection) : null,
    logins: logins(steps),
    commands: commands(steps),
    transcript: transcript(steps),
    events: steps.map((step) => toEventJson(step.recorded, step.operation)),
    journal: {
      before: journal.before,
      links: journal.links.map((link) => {
        if ('digest' in link) return link
        const { cursor, seq, at, event, hash } = link
        return { cursor, seq, at: toTime(at), at_ms: at, event, hash }
      }),
    },
  }
}

function told({ id, links }: Journal): readonly Step[] {
  const steps: Step[] = []
  try {
    for (const link of links) {
      if ('digest' in link) continue
      const { cursor, seq, at, event } = link
      const recorded = { cursor, operationId: id, seq, at, event: JSON.parse(event) as OperationEvent }
      steps.push({ recorded, operation: apply(steps.at(-1)?.operation ?? null, recorded) })
    }
  } catch (cause) {
    throw unreadable(id, cause)
  }
  return steps
}

function unreadable(id: string, cause?: unknown): VosError {
  return new VosError('history_broken', `the events of ${id} cannot be read as they are stored.`, {
    hint: 'Look for the first row that is not as it was written: vosctl history verify',
    cause,
  })
}

/** Every login with what the machine showed: a credential goes out only to the pinned key. */
function logins(steps: readonly Step[]): readonly JsonObject[] {
  const found: JsonObject[] = []
  for (const { recorded } of steps) {
    const { at, event } = recorded
    if (event.type === 'authenticating') {
      const login = { at: toTime(at), user: clean(event.username), method: clean(event.method) }
      found.push({ ...login, hop: event.hop ? clean(event.hop.name) : null, accepted_at: null, accepted: null })
    }
    if (event.type === 'authenticated') found.push({ ...found.pop(), accepted_at: toTime(at) })
    if (event.type !== 'ready') continue
    const { user = null, accepted_at = null } = found.pop() ?? {}
    const { method, ...accepted } = sessionJson(event.facts)
    found.push({ at: toTime(at), user, method, hop: null, accepted_at, accepted })
  }
  return found
}

/** As they were dispatched; `sent_at` is null where the byte that makes the device act is not known to have left. */
function commands(steps: readonly Step[]): readonly JsonObject[] {
  const sent = steps.find(({ recorded }) => recorded.event.type === 'sent')
  return steps.flatMap(({ recorded: { at, event } }) =>
    event.type === 'dispatching'
      ? [{ at: toTime(at), command: sanitise(event.command), sent_at: toTime(sent?.recorded.at ?? null) }]
      : [],
  )
}

function transcript(steps: readonly Step[]): string {
  const lines = steps.flatMap(({ recorded: { at, event } }) => {
    const words = deviceWords(event)
    return words === null ? [] : [`${toTime(at)}  ${words}`.trimEnd()]
  })
  return lines.map((line) => `${line}\n`).join('')
}

function deviceWords(event: OperationEvent): string | null {
  switch (event.type) {
    case 'line':
      return cleanDeviceLine(event.text)
    case 'repeated':
      return `(the same line, times more: ${event.times})`
    case 'gap':
      return `(lines left out: ${event.lines}) ${cleanDeviceLine(event.lastLine)}`
    default:
      return null
  }
}
