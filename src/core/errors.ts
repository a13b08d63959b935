/**
 * The one table of exit statuses. `help exit-codes` prints it, every command exits by it, and a test starts the real
 * binary for each row. Promise: 4 to 7 mean that the device was not touched.
 */
export const EXIT_TABLE = [
  {
    status: 0,
    name: 'ok',
    means: 'done (or accepted with --detach, or skipped because you asked)',
    touched: 'as ordered',
  },
  { status: 1, name: 'failed', means: 'the operation failed and we know it', touched: 'maybe' },
  {
    status: 2,
    name: 'usage',
    means: 'bad flags, unknown name, configuration, or a question nobody can answer',
    touched: 'no',
  },
  {
    status: 3,
    name: 'unknown',
    means: 'the command may have run and nobody can prove it: vosctl verify, or ack',
    touched: 'maybe',
  },
  { status: 4, name: 'busy', means: 'refused: an operation is already running there', touched: 'no' },
  { status: 5, name: 'held', means: 'refused: hold, policy, login hold or an unacknowledged unknown', touched: 'no' },
  {
    status: 6,
    name: 'unreached',
    means: 'unreachable, host key, login refused, cancelled or interrupted before anything was sent',
    touched: 'no',
  },
  {
    status: 7,
    name: 'daemon',
    means: 'daemon not running, cannot start, wrong version or wrong state directory',
    touched: 'no',
  },
  { status: 8, name: 'pending', means: 'your --timeout ended; the operation continues', touched: 'in progress' },
  { status: 9, name: 'mixed', means: 'several targets, different verdicts', touched: 'see list' },
  { status: 70, name: 'bug', means: 'unexpected exception; a report file was written', touched: 'unknown' },
  { status: 129, name: 'hangup', means: 'SIGHUP: this client left, the operation continues', touched: 'in progress' },
  {
    status: 130,
    name: 'interrupt',
    means: 'Ctrl-C: this client left, the operation continues',
    touched: 'in progress',
  },
  {
    status: 143,
    name: 'terminate',
    means: 'SIGTERM: this client left, the operation continues',
    touched: 'in progress',
  },
] as const

export type ExitName = (typeof EXIT_TABLE)[number]['name']
export type ExitStatus = (typeof EXIT_TABLE)[number]['status']

/** Every error code that vosctl can report, grouped under the exit status that it leads to. */
const CODES = {
  failed: [
    'refused_by_device', // the device answered the command with a refusal of its own
    'service_down', // the service is STOPPED after the command
    'cannot_cancel', // the command was already sent
    'history_broken', // a row is not as it was written, or a noted head is not found
  ],
  usage: [
    'bad_request',
    'unknown_connection',
    'unknown_operation',
    'unknown_service',
    'ambiguous',
    'empty_selection',
    'connection_exists',
    'connection_in_use',
    'needs_answer',
    'declined',
    'no_credential',
    'bad_key_file',
    'store_locked', // the key of what is sealed is a passphrase that nobody has typed yet
    'bad_config', // the settings file
    'not_allowed', // over the network: never, or not with this token
    'bad_token', // over the network: none, or one that is not known
  ],
  unknown: [
    'silence', // no byte from the device for longer than the limit, after the command was sent
    'deadline', // the operation's own time limit
    'not_confirmed', // no proof either way
    'unanswered_question', // the device asked something that vosctl does not answer
    'connection_lost_after_sending',
  ],
  busy: ['already_running', 'service_moving'],
  held: [
    'on_hold', // somebody said "do not touch this connection"
    'algorithms_expired', // the last day on which its old algorithms were allowed is over
    'login_held',
    'unacknowledged',
    'service_not_activated',
    'service_stopped_by_admin',
    'service_masked',
    'service_cuts_session',
  ],
  unreached: [
    'unreachable',
    'connect_timeout',
    'ident_timeout',
    'key_exchange_timeout',
    'login_timeout',
    'shell_timeout',
    'channel_refused', // the server opens no terminal, or runs no command for this user
    'prompt_timeout',
    'command_timeout',
    'echo_timeout',
    'echo_mismatch',
    'no_common_algorithm',
    'host_key_unpinned',
    'host_key_changed',
    'host_key_refused', // too weak, malformed, revoked, or of a type that is not checked
    'login_refused',
    'login_method',
    'password_expired',
    'connection_lost',
    'unexpected_prompt',
    'not_a_service_list',
    'sudo_needs_password',
    'no_systemd',
    'cancelled',
    'interrupted',
    'woke_up_late',
    'deadline_before_sending',
  ],
  daemon: [
    'no_daemon',
    'daemon_start',
    'no_user_manager', // no systemd that could run the daemon for this user
    'daemon_version',
    'state_directory',
    'socket_path',
    'database',
    'database_locked',
    'draining',
    'too_many_clients',
    'too_many_requests',
    'too_many_operations',
  ],
  pending: ['still_running'],
  bug: ['bug'],
} as const satisfies Partial<Record<ExitName, readonly string[]>>

export type ErrorCode = (typeof CODES)[keyof typeof CODES][number]

const EXIT_BY_CODE = new Map<string, ExitName>(
  Object.entries(CODES).flatMap(([exit, codes]) => codes.map((code) => [code, exit as ExitName] as const)),
)
const STATUS_BY_NAME = new Map<ExitName, ExitStatus>(EXIT_TABLE.map((row) => [row.name, row.status]))

export function exitStatus(name: ExitName): ExitStatus {
  return STATUS_BY_NAME.get(name) ?? 70
}

/** The exit status for an error code; a code that nobody knows is a bug. */
export function exitStatusOf(code: string): ExitStatus {
  return exitStatus(EXIT_BY_CODE.get(code) ?? 'bug')
}

/** Every error code that leads to one of these. */
export function codesOf(...names: readonly ExitName[]): string[] {
  return [...EXIT_BY_CODE].filter(([, name]) => names.includes(name)).map(([code]) => code)
}

/** Failures of the way to a device. A wrong host key or a refused login does not get better by trying again. */
const TRANSPORT: readonly ErrorCode[] = [
  'unreachable',
  'connect_timeout',
  'ident_timeout',
  'key_exchange_timeout',
  'connection_lost',
]

export function isTransportFailure(error: unknown): error is VosError {
  return error instanceof VosError && TRANSPORT.includes(error.code)
}

/** An error as it travels: over the socket, into the journal, onto the screen. Holds no secret and no raw device bytes. */
export interface ErrorInfo {
  readonly code: ErrorCode
  /** What happened, with the offending value. */
  readonly message: string
  /** What to do next, in the imperative. Empty when there is nothing to add. */
  readonly hint: string
  /** The last lines that the device printed, sanitised, when they explain the error. */
  readonly deviceLines?: readonly string[]
}

/** What vosctl throws when the cause is known. Anything else that is thrown is a bug. */
export class VosError extends Error {
  readonly code: ErrorCode
  readonly hint: string
  readonly deviceLines: readonly string[]

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly hint?: string; readonly cause?: unknown; readonly deviceLines?: readonly string[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'VosError'
    this.code = code
    this.hint = options.hint ?? ''
    this.deviceLines = options.deviceLines ?? []
  }

  toInfo(): ErrorInfo {
    const { code, message, hint, deviceLines } = this
    return deviceLines.length === 0 ? { code, message, hint } : { code, message, hint, deviceLines }
  }

  static fromInfo(info: ErrorInfo): VosError {
    return new VosError(info.code, info.message, { hint: info.hint, deviceLines: info.deviceLines ?? [] })
  }
}
