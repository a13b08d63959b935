import type {
  AlgorithmProfile,
  Connection,
  Hold,
  HostKey,
  HostKeyType,
  Platform,
  Timings,
  ShownKey,
} from './connection.ts'
import type { ServiceState } from './device.ts'
import type { ErrorInfo } from './errors.ts'
import type { Operation, OperationType, RecordedEvent, SettledStatus } from './operation.ts'
import type { Usual } from './progress.ts'

/**
 * The Socket.IO contract between the daemon and everything that talks to it. Types only: the daemon parses what it gets
 * with schemas.ts, the client trusts its own types. A change that an older peer would misread raises the version.
 */
export const PROTOCOL_VERSION = 4

/** What becomes of a target where something runs already. */
export const IF_RUNNING = ['refuse', 'attach', 'skip', 'queue'] as const

/** `operations` is everything; `connection:<id>` is one connection. */
export type RoomName = 'operations' | `connection:${number}`

/** A failed request is a value, not an exception. */
export type Reply<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Refusal }

/** Why the daemon refused, with the operation that stands in the way when there is one. */
export interface Refusal extends ErrorInfo {
  readonly connection?: { readonly id: number; readonly name: string }
  readonly holder?: Operation
  /** With several targets: every one that was refused. The first is repeated above. */
  readonly refused?: readonly Refusal[]
}

/** What the client says of itself when it connects. */
export interface Handshake {
  readonly protocol: number
  readonly version: string
}

export interface DaemonInfo {
  readonly version: string
  readonly protocol: number
  readonly pid: number
  readonly startedAt: number
  readonly stateDirectory: string
  readonly active: number
  readonly clients: number
  readonly draining: boolean
  readonly memoryBytes: number
  /** How long ended operations are kept; null: for ever. */
  readonly historyMs: number | null
  /** Where the clock of the daemon stands, so that a client can draw with it. */
  readonly now: number
  /** The network door; null when it is off. */
  readonly network: { readonly addresses: readonly string[]; readonly tokens: number } | null
}

/** A token of the network door. The token itself is known to whoever holds its file, and to nobody else. */
export interface TokenView {
  readonly name: string
  readonly access: 'read' | 'full'
  readonly createdAt: number
  readonly createdBy: string
  /** To within ten minutes; null when it never was. */
  readonly lastUsedAt: number | null
}

export interface StartRequest {
  /** Made by the client; the same id gives back the same operations, however often it is sent. */
  readonly requestId: string
  readonly operationType: Exclude<OperationType, 'certificate_renewal'>
  /** In the order in which they shall run. */
  readonly connectionIds: readonly number[]
  readonly service?: string
  /** Of a `verify`: the operation that it is about, whose service it looks at. */
  readonly subject?: string
  readonly createdBy: string
  readonly reason?: string
  /** The operation's own time limit. */
  readonly deadlineMs?: number
  /** How many run at once; one at a time unless told otherwise. */
  readonly parallel?: number
  /** `queue`: run once after what runs there; one operation can wait for a device. */
  readonly ifRunning?: (typeof IF_RUNNING)[number]
  /** Skip a target where the same work completed within this time. */
  readonly ifRecentMs?: number
  readonly startStopped?: boolean
  readonly cutSession?: boolean
  /** A person at a terminal has been asked and wants it although an earlier outcome is unknown. */
  readonly despiteUnknown?: boolean
  /** A person at a terminal tries a login again that was refused before. */
  readonly despiteLoginHold?: boolean
  /** Check everything that can be checked without the device, and start nothing. */
  readonly dryRun?: boolean
  /** With `dryRun`: a person could be asked, so that a password which is typed at each start stands in no way. */
  readonly attended?: boolean
}

export interface StartResult {
  /** The operations of this request in the order asked for: new ones, and with `attach` those that already ran. */
  readonly operations: readonly Operation[]
  readonly attached: readonly string[]
  readonly skipped: readonly Skipped[]
  readonly batch: string | null
  /** With `dryRun`: what would run, and how long it usually takes. */
  readonly plan?: readonly {
    readonly id: number
    readonly name: string
    readonly service: string | null
    readonly usual: Usual | null
    /** It would wait for the end of this operation. */
    readonly after?: string
  }[]
}

/** A target that was left out because the request said so. */
export interface Skipped {
  readonly id: number
  readonly name: string
  readonly why: 'running' | 'recent'
  /** The operation that runs there, or that has just completed. */
  readonly operation: string
  /** When it completed; null while it runs. */
  readonly completedAt: number | null
}

export interface Snapshot {
  /** The board: all active operations, and those that settled in the last minutes or need a person. */
  readonly operations: readonly Operation[]
  /** Everything up to here is in the snapshot; events follow from the next one on. */
  readonly cursor: number
  /** With `after`: the events since then, if they are few enough; otherwise null and the snapshot stands alone. */
  readonly missed: readonly RecordedEvent[] | null
}

export interface EventBatch {
  readonly room: RoomName
  readonly events: readonly RecordedEvent[]
  /** The watcher fell behind and was cut back: it must subscribe again from its cursor. */
  readonly behind?: boolean
}

export interface Heartbeat {
  readonly now: number
  readonly cursor: number
}

export interface ConnectionInput {
  readonly name: string
  readonly host: string
  readonly port?: number
  readonly username: string
  readonly platform?: Platform
  readonly service?: string | null
  /** A private key file: the source `key:<path>`, said in this way alone. */
  readonly keyPath?: string
  /** Any other source, as `credentialWord` says it. */
  readonly credential?: string
  /** Of an encrypted key: `sealed`, or `helper:<name>`. */
  readonly passphraseFrom?: string
  readonly algorithms?: AlgorithmProfile
  readonly algorithmsReason?: string
  readonly algorithmsUntil?: string
  readonly acceptNew?: boolean
  readonly echo?: boolean
  readonly enter?: 'cr' | 'lf'
  readonly sudo?: boolean
  /** The jump host, by name or number; null: none. */
  readonly via?: string | null
  readonly timings?: Partial<Timings>
}

/** What a file may say of a connection. For a host key in it the person vouches who imports the file. */
export interface ImportedConnection extends ConnectionInput {
  readonly hostKey?: HostKey
}

/** One part of an import. The last part writes them all, in one transaction; until then nothing is changed. */
export interface ImportRequest {
  /** Made by the client, the same in every part. */
  readonly importId: string
  /** From 0 on, in order: a list of connections may be longer than a packet. */
  readonly part: number
  readonly parts: number
  readonly add: readonly ImportedConnection[]
  /** `expected` is the digest of `toState` of the connection that the plan was made for. */
  readonly edit: readonly {
    readonly id: number
    readonly expected: string
    readonly change: Partial<ImportedConnection>
  }[]
}

/** A connection with what a list shows beside it. */
export interface ConnectionView extends Connection {
  readonly last: { readonly id: string; readonly status: string; readonly completedAt: number | null } | null
  readonly loginHold: { readonly since: number; readonly message: string } | null
  readonly hold: Hold | null
}

/** What seals the secrets in the database, and whether it is at hand. */
export interface KeyStatus {
  readonly provider: 'file' | 'systemd' | 'passphrase'
  /** `none`: made when the first secret is set. */
  readonly state: 'open' | 'locked' | 'none'
  /** Where the key lies; null for a passphrase. */
  readonly path: string | null
  /** Sealed passwords and passphrases. */
  readonly secrets: number
}

/** Which ended operations are meant; what is left out restricts nothing. */
export interface HistoryFilter {
  readonly connectionIds?: readonly number[]
  /** What went wrong: failed and unknown. A look that found no answer, or somebody at work, is neither. */
  readonly failed?: boolean
  /** Ended at this time or later. */
  readonly since?: number
}

/** How one kind of work has gone on one connection. Looks are not counted. */
export interface ServiceStatistics {
  readonly connection: { readonly id: number; readonly name: string }
  readonly operationType: OperationType
  readonly service: string | null
  /** Ended operations whose command may have been sent; `failed` and `unknown` are among them. */
  readonly runs: number
  readonly failed: number
  readonly unknown: number
  /** Those that ended before anything was sent. */
  readonly notSent: number
  /** Of the completed ones whose end was seen; null when there is none. */
  readonly p50Ms: number | null
  readonly p90Ms: number | null
  /** The last runs, the newest at the end. */
  readonly recent: readonly {
    readonly id: string
    readonly status: SettledStatus
    readonly completedAt: number
    readonly tookMs: number | null
  }[]
}

/** A place in the journal and the hash there (hexadecimal), which stands for everything before it. */
export interface JournalHead {
  readonly cursor: number
  readonly hash: string
}

/** The first row that is not as it was written. */
export interface BadRow {
  readonly table: 'operation_events' | 'active_operations' | 'operation_history' | 'journal_chain' | 'sqlite_sequence'
  /** The cursor of an event, the id of an operation. */
  readonly row: string
  readonly operation: string | null
  /** A clause of which the row is the subject. */
  readonly what: string
}

/** How the chain of events began. */
export interface ChainStart {
  readonly id: string
  readonly begunAt: number
  /** Events up to here were there before the chain: nobody can vouch for what became of them until then. */
  readonly begunAfter: number
}

export interface HistoryVerification {
  readonly chain: ChainStart
  /** Up to here nothing is kept any more; 0: everything is. */
  readonly prunedTo: number
  readonly operations: number
  readonly events: number
  /** Events behind that place of which only the digest is kept. */
  readonly pruned: number
  /** Where the walk ended. */
  readonly head: JournalHead
  readonly bad: BadRow | null
  /** What was asked about: is the event there the one that it was? */
  readonly heads: readonly (JournalHead & { readonly found: 'same' | 'other' | 'pruned' | 'missing' | 'unchecked' })[]
}

/** A part of the journal from an operation's first event to its last; of what belongs to others only digests. */
export interface ChainPage {
  readonly chain: ChainStart & { readonly nonce: string }
  /** The link before the first one here. */
  readonly before: JournalHead
  readonly links: readonly (
    | { readonly cursor: number; readonly digest: string }
    | {
        readonly cursor: number
        readonly seq: number
        readonly at: number
        readonly event: string
        readonly hash: string
      }
  )[]
  /** Go on after this one; null when this is the last part. */
  readonly next: number | null
  readonly head: JournalHead
}

export interface ClientToServerEvents {
  'operation:start': Request<StartRequest, StartResult>
  'operation:cancel': Request<{ id: string; by: string }, Operation>
  'operation:acknowledge': Request<{ id: string; by: string }, Operation>
  /** By id, by unique prefix, or `last` for the newest one of `createdBy`. */
  'operation:get': Request<{ id: string; createdBy?: string }, Operation>
  'operation:events': Request<{ id: string; afterSeq?: number; limit?: number }, readonly RecordedEvent[]>
  /** What has ended, the newest ending first: that on the board too. */
  'operation:history': Request<HistoryFilter & { limit?: number }, readonly Operation[]>
  'operation:statistics': Request<Omit<HistoryFilter, 'failed'>, readonly ServiceStatistics[]>
  /** The events of an operation as they are stored, and their place in the chain. */
  'operation:chain': Request<{ id: string; after?: number; limit?: number }, ChainPage>
  /** Is history as it was written? With heads that somebody noted: and as it was then? */
  'history:verify': Request<{ heads?: readonly JournalHead[] }, HistoryVerification>
  subscribe: Request<{ room: RoomName; after?: number }, Snapshot>
  'connection:list': Request<Record<string, never>, readonly ConnectionView[]>
  'connection:add': Request<ConnectionInput, ConnectionView>
  'connection:edit': Request<{ id: number; change: Partial<ConnectionInput> }, ConnectionView>
  /** Of each row what is wrong with it, or null; a row may leave fields out. Changes nothing. */
  'connection:check': Request<{ rows: readonly unknown[] }, readonly (string | null)[]>
  /** Null until the last part; then how many were written. */
  'connection:import': Request<ImportRequest, { added: number; changed: number } | null>
  'connection:remove': Request<{ id: number }, ConnectionView>
  /** Reads the device's host key, with `types` one of these types; `bits` of an RSA key. No credential leaves. */
  'connection:host-key': Request<{ id: number; types?: readonly HostKeyType[] }, ShownKey>
  /**
   * Pins a key that was compared with this device (its `deviceKey`): it may be another one meanwhile, and then nothing is
   * pinned. In place of another key only when `replaces` is the fingerprint that is pinned at that moment.
   */
  'connection:trust': Request<{ id: number; device: string; hostKey: HostKey; replaces?: string }, ConnectionView>
  /** Keeps hands off until somebody releases it: no work begins there. What runs goes on. */
  'connection:hold': Request<{ id: number; by: string; reason?: string }, ConnectionView>
  'connection:release': Request<{ id: number }, ConnectionView>
  /**
   * One login; it is recorded as asked for by `createdBy`, or by the daemon's own user. `requestId` as in
   * `operation:start`, so that a password can be lent to it.
   */
  'connection:services': Request<
    { id: number; createdBy?: string; despiteLoginHold?: boolean; requestId?: string },
    readonly ServiceState[]
  >
  /**
   * Seals a password; the passphrase of its key where the connection names a key file. `login` is the `loginKey` for which
   * it was typed; it is kept for no other.
   */
  'credential:set': Request<{ id: number; login: string; password: string }, ConnectionView>
  /**
   * What a person typed for `login` (as above) and the operation that this request id will start there. It is kept for
   * that one alone.
   */
  'credential:lend': Request<{ requestId: string; connectionId: number; login: string; password: string }, null>
  'credential:remove': Request<{ id: number }, ConnectionView>
  /** `digest` is the SHA-256 of the token, in base64url: the token never comes here. */
  'token:create': Request<{ name: string; access: 'read' | 'full'; digest: string; createdBy: string }, TokenView>
  'token:list': Request<Record<string, never>, readonly TokenView[]>
  /** At once: whoever is connected with it is cut off. */
  'token:revoke': Request<{ name: string }, TokenView>
  'key:status': Request<Record<string, never>, KeyStatus>
  /** Opens a store that a passphrase seals. Where there is no passphrase yet, this becomes it. */
  'key:unlock': Request<{ passphrase: string; isNew: boolean }, KeyStatus>
  'key:lock': Request<Record<string, never>, KeyStatus>
  /** Another key for everything that is sealed; `passphrase` is the new one where a passphrase is the key. */
  'key:rotate': Request<{ passphrase?: string }, KeyStatus>
  'daemon:info': Request<Record<string, never>, DaemonInfo>
  'daemon:stop': Request<{ mode: 'idle' | 'drain' | 'now' }, { readonly active: number }>
}

export type RequestName = keyof ClientToServerEvents
export type RequestOf<Name extends RequestName> = Parameters<ClientToServerEvents[Name]>[0]
export type ReplyOf<Name extends RequestName> =
  Parameters<Parameters<ClientToServerEvents[Name]>[1]>[0] extends Reply<infer T> ? T : never

export interface ServerToClientEvents {
  /** Acknowledged by the client; the next batch waits for it. */
  events: (batch: EventBatch, acknowledge: () => void) => void
  heartbeat: (beat: Heartbeat) => void
}

type Request<Input, Output> = (input: Input, reply: (reply: Reply<Output>) => void) => void
