import { formatDuration } from '../core/duration.ts'
import type { OperationEvent, RecordedEvent } from '../core/operation.ts'
import { longDuration } from './times.ts'
import { algorithmWords, clean, cleanDeviceLine, clock, describe } from './renderers/words.ts'

/** `14:00:15  Cisco Tomcat[STOPPING]`: one event as a line of a log; device lines behind a bar. */
export function eventLine({ at, event }: RecordedEvent): string {
  return `${clock(at)}  ${eventWords(event)}`.trimEnd()
}

/** Polls of the device in a row are one line, with the time and the place of the last. */
export function collapsed(events: readonly RecordedEvent[]): RecordedEvent[] {
  const result: RecordedEvent[] = []
  for (const recorded of events) {
    const before = result.at(-1)?.event
    const { event } = recorded
    if (before?.type === 'repeated' && event.type === 'repeated') {
      result[result.length - 1] = { ...recorded, event: { type: 'repeated', times: before.times + event.times } }
    } else result.push(recorded)
  }
  return result
}

function eventWords(event: OperationEvent): string {
  switch (event.type) {
    case 'accepted': {
      const reason = event.reason === null ? '' : `: ${clean(event.reason)}`
      const what = describe({ type: event.operationType, service: event.service, subject: event.subject ?? null })
      const after = event.after === undefined ? '' : `, after ${event.after}`
      return `accepted ${what} on ${clean(event.connection.name)} by ${clean(event.createdBy)}${after}${reason}`
    }
    case 'connecting':
      return 'connecting'
    case 'pinned':
      return `pinned the host key on first sight: ${clean(event.hostKey.type)} ${clean(event.hostKey.fingerprint)}`
    case 'authenticating':
      return `logging in ${event.hop ? `at ${clean(event.hop.name)} ` : ''}as ${clean(event.username)} (${clean(event.method)})`
    case 'authenticated':
      return `${event.hop ? clean(event.hop.name) : 'the device'} let us in`
    case 'ready': {
      const { algorithms, hostKey, software, via = [], loginMs } = event.facts
      const way = via.map((name) => ` via ${clean(name)}`).join('')
      return `logged in${way} after ${(loginMs / 1000).toFixed(1)} s; ${clean(software)}, host key ${clean(hostKey.fingerprint)}, ${algorithmWords(algorithms)}`
    }
    case 'listed':
      return `the device lists ${event.services.length} services`
    case 'resolved':
      return `"${clean(event.service.name)}" is ${clean(event.service.state)}`
    case 'dispatching':
      return `about to send: ${clean(event.command)}`
    case 'sent':
      return 'sent'
    case 'stopping':
    case 'starting':
      return `seen ${event.type.toUpperCase()} in the ${event.seenIn === 'list' ? 'service list' : 'output'}`
    case 'line':
      return `| ${cleanDeviceLine(event.text)}`
    case 'repeated':
      return event.times === 1 ? '| (the same line again)' : `| (the same line ${event.times} times again)`
    case 'gap':
      return `| (${event.lines} lines left out) ${cleanDeviceLine(event.lastLine)}`
    case 'silent':
      return `nothing from the device for ${formatDuration(event.forMs)}`
    case 'late':
      return `late: longer than the ${formatDuration(event.usualMs)} that nine of ten earlier runs took`
    case 'evidence':
      return `${clean(event.what)}: ${clean(event.value)}`
    case 'verifying':
      return `verifying: ${clean(event.because)}`
    case 'reconciling':
      return `looking at the device: ${clean(event.because)}`
    case 'clock': {
      const by = longDuration(Math.abs(event.byMs))
      return event.byMs < 0
        ? `this machine's clock went ${by} back: it was set`
        : `this machine's clock went ${by} ahead: it was set, or the machine slept`
    }
    case 'settled':
      return `${event.status}: ${clean(event.message)}`
    case 'acknowledged':
      return `accepted by ${clean(event.by)}`
    case 'verified':
      return `verified ${event.status} by ${clean(event.by)} (${event.look}): ${clean(event.message)}`
    default:
      return event satisfies never
  }
}
