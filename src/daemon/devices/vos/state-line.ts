import type { ServiceState } from '../../../core/device.ts'

/** The reasons seen on devices. Any other words after a state are kept, but they never split a line in two. */
export const KNOWN_REASONS = [
  'Service Not Activated',
  'Service Activated',
  'Commanded Out of Service',
  'Component is not running',
] as const

/** What stands between the brackets; `[ STOPPED ]` with inner blanks is real (HCM-F 11.5.4). */
export const BRACKET = String.raw`\[\s*([A-Za-z][A-Za-z _-]*?)\s*\]`

/** A name as it may be listed; what may be typed is narrower still: see `isServiceName`. */
export const NAME = String.raw`[A-Za-z0-9][A-Za-z0-9 ._\-/()]*?`

const STATE_LINE = new RegExp(`^[ \\t]*(${NAME})[ \\t]*${BRACKET}(.*)$`)
const KNOWN_REASON = new RegExp(`^(?:${KNOWN_REASONS.join('|')})\\b`, 'i')
const ELLIPSIS = /^[.…]*$/
/** No state line is longer, and the search for a bracket in an endless line of blanks is not for free. */
const MAX_STATE_LINE = 512

/**
 * A line that is a state line as a whole: `<name>[STATE]`, then nothing or a reason. The device's own warning contains
 * "RESTARTED" and one service's name begins another's, so neither a part of a line nor a part of a name counts.
 */
export function parseStateLine(line: string): ServiceState | undefined {
  if (line.length > MAX_STATE_LINE) return undefined
  const [, name, state, rest = ''] = STATE_LINE.exec(line) ?? []
  if (name === undefined || state === undefined || !isReason(rest)) return undefined
  return toServiceState(name, state, rest)
}

export function toServiceState(name: string, state: string, reason: string): ServiceState {
  const words = reason.trim()
  const service = { name: name.trim(), state: state.trim().toUpperCase(), reason: ELLIPSIS.test(words) ? '' : words }
  const refusal = refusalOf(service)
  return refusal === undefined ? service : { ...service, refusal }
}

/** Words follow a state after two blanks, or they are known. "X[STARTED] was asked for" is a sentence, no state line. */
function isReason(rest: string): boolean {
  const words = rest.trim()
  if (/[[\]]/.test(words)) return false
  return ELLIPSIS.test(words) || KNOWN_REASON.test(words) || /^(?: {2}|\t)/.test(rest)
}

function refusalOf({ name, reason }: ServiceState): ServiceState['refusal'] {
  if (name === 'System SSH') return 'cuts_session'
  if (/^Service Not Activated\b/i.test(reason)) return 'not_activated'
  if (/^Commanded Out of Service\b/i.test(reason)) return 'stopped_by_admin'
  return undefined
}
