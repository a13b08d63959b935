import { exitStatusOf, VosError, type ErrorCode } from '../../core/errors.ts'
import { maskedIn } from '../../core/masks.ts'
import type { Refusal } from '../../core/protocol.ts'

/** What goes back to whoever asked. */
export interface Answer {
  readonly status: number
  /** Besides those that every answer has. */
  readonly headers?: Readonly<Record<string, string>>
  /** JSON unless the headers say something else. */
  readonly body: string
}

/** A refusal that is about HTTP itself, with a status of its own. */
export class HttpError extends VosError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    message: string,
    { hint = '', headers = {} }: { readonly hint?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super('bad_request', message, { hint })
    this.status = status
    this.headers = headers
  }
}

/** By the exit status that the same error has on a command line. */
const BY_EXIT_STATUS: Partial<Record<number, number>> = {
  1: 502, // failed: the device said no
  2: 422, // usage: as it was asked, or as the connection is, it cannot be done
  3: 504, // unknown: nobody heard how it ended
  4: 409, // busy
  5: 423, // held
  6: 502, // unreached
  7: 503, // daemon: it stops, or it has too much to do
  8: 504, // pending
}

/** Codes whose group is about something else than what HTTP asks. */
const BY_CODE: Partial<Record<ErrorCode, number>> = {
  unknown_connection: 404,
  unknown_operation: 404,
  // What names several operations is the name of none.
  ambiguous: 404,
  bad_token: 401,
  not_allowed: 403,
  cannot_cancel: 409,
  // Admission looked at what is stored; no device was asked.
  host_key_unpinned: 422,
  too_many_requests: 429,
}

/** The HTTP status of a refusal; a code that nobody knows is a bug. */
export function statusOf(code: ErrorCode): number {
  return BY_CODE[code] ?? BY_EXIT_STATUS[exitStatusOf(code)] ?? 500
}

export function json(status: number, document: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body: `${printable(JSON.stringify(document))}\n` }
}

/** The refusal as the socket sends it: without a secret that somebody has sent in a wrong place. */
export function refusal(error: Refusal): Answer {
  const status = statusOf(error.code)
  return json(status, { error: maskedIn(error) }, status === 429 ? { 'Retry-After': '1' } : {})
}

/** JSON that a terminal may show: what could move a cursor or turn a line around is escaped, which changes no value. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}
