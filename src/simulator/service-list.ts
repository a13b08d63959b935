import type { ServiceState } from './scenario.ts'

export interface ServiceStatus {
  readonly name: string
  readonly state: ServiceState
  readonly reason: string
}

/** The answer of `utils service list` in pieces: plain text, and places where the state of a service stands. */
export type ServiceList = readonly (string | Place)[]

interface Place extends ServiceStatus {
  /** `System SSH [STARTED]`: the platform group has a blank before the bracket. */
  readonly gap: string
  /** `[ STOPPED ]`: HCM-F pads this one state. */
  readonly pad: string
  readonly beforeReason: string
}

export function parseServiceList(text: string): ServiceList {
  const pieces: (string | Place)[] = []
  let end = 0
  for (const match of text.matchAll(place)) {
    const { name = '', gap = '', pad = '', state = '', beforeReason, reason = '' } = match.groups ?? {}
    pieces.push(text.slice(end, match.index))
    pieces.push({
      name,
      state: state as ServiceState,
      reason,
      gap,
      pad,
      beforeReason: beforeReason ?? (gap === '' ? '  ' : ' '),
    })
    end = match.index + match[0].length
  }
  pieces.push(text.slice(end))
  return pieces
}

/** The statuses as the text has them, in its order. */
export function statusesOf(list: ServiceList): ServiceStatus[] {
  return list.filter((piece) => typeof piece !== 'string').map(({ name, state, reason }) => ({ name, state, reason }))
}

/** The same text with other states. */
export function renderServiceList(list: ServiceList, statusOf: (name: string) => ServiceStatus | undefined): string {
  return list
    .map((piece) => {
      if (typeof piece === 'string') return piece
      const { state, reason } = statusOf(piece.name) ?? piece
      const pad = state === 'STOPPED' ? piece.pad : ''
      return `${piece.name}${piece.gap}[${pad}${state}${pad}]${reason === '' ? '' : piece.beforeReason + reason}`
    })
    .join('')
}

/** What the evidence has after a bracket; anything else there is the next service on the same line (list-01). */
const reasons = 'Service Not Activated|Service Activated|Commanded Out of Service|Component is not running'

const place = new RegExp(
  String.raw`(?<name>\p{L}[^\[\]\p{Cc}]*?)(?<gap> ?)` +
    String.raw`\[(?<pad> *)(?<state>STARTED|STOPPED|STARTING|STOPPING|NOTRUNNING) *\]` +
    String.raw`(?:(?<beforeReason> +)(?<reason>${reasons}))?`,
  'gu',
)
