import type { Connection, ShownKey } from './connection.ts'
import type { VosError } from './errors.ts'

/** The four states that every appliance uses, as VOS prints them. A device may print others: they are kept verbatim. */
export type KnownState = 'STARTED' | 'STOPPED' | 'STARTING' | 'STOPPING'

/** One service as the device lists it. */
export interface ServiceState {
  /** The exact name on the device. */
  readonly name: string
  /** Upper case, trimmed: a {@link KnownState} or whatever the device printed. */
  readonly state: string
  /** The device's words after the state, verbatim; empty when it gave none. */
  readonly reason: string
  /**
   * A value that differs after every start of the service (systemd's InvocationID): a change proves a restart.
   * Absent where the platform has none, as on VOS.
   */
  readonly identity?: string
  /** Why a restart of it must not be sent, when the platform says so. */
  readonly refusal?: 'not_activated' | 'stopped_by_admin' | 'masked' | 'cuts_session'
}

/** The phase that a state between STARTED and STOPPED stands for; null for a state at rest. */
export function movingPhase(state: string): 'stopping' | 'starting' | null {
  if (state === 'STOPPING') return 'stopping'
  return state === 'STARTING' ? 'starting' : null
}

/** What the key exchange came to. What an older vosctl wrote has only the first three. */
export interface Negotiated {
  readonly kex: string
  /** Of what we send; `<implicit>` where the cipher authenticates by itself. */
  readonly cipher: string
  readonly mac: string
  readonly compression?: string
  /** How the host key has signed: `rsa-sha2-512`, or the type of the key. */
  readonly hostKey?: string
  /** Of what the device sends, where that is not the same. */
  readonly received?: { readonly cipher: string; readonly mac: string; readonly compression: string }
}

/** What a login taught us. Nothing in it is secret. */
export interface SessionFacts {
  readonly hostKey: { readonly type: string; readonly fingerprint: string }
  /** The peer's identification string, sanitised. */
  readonly software: string
  readonly algorithms: Negotiated
  /** The authentication method that worked, as SSH names it. */
  readonly method: string
  /** The names of the jump hosts on the way, from here on; absent when there is none. */
  readonly via?: readonly string[]
  /** From the first network byte to the ready prompt, in milliseconds. */
  readonly loginMs: number
}

/** What the device does after the command was sent, in the order in which it was seen. */
export type Observation =
  /** The one byte (or the one exec request) has been handed to the kernel. */
  | { readonly type: 'sent' }
  /** A whole output line, sanitised. */
  | { readonly type: 'line'; readonly text: string }
  /** A whole state line, or a changed state seen by polling. */
  | { readonly type: 'state'; readonly service: ServiceState; readonly text: string }
  /** No byte for this long; a warning, not an end. */
  | { readonly type: 'silent'; readonly forMs: number }
  /** A question that vosctl does not answer. Nothing is sent any more. */
  | { readonly type: 'question'; readonly text: string }
  /** The command ended by itself: the prompt is back, or the exit status is known. */
  | { readonly type: 'ended'; readonly exitStatus?: number }
  /** The session is gone; what the device does now is not visible. */
  | { readonly type: 'lost'; readonly error: VosError }

/** The one attempt that follows a `connect`. */
export interface Attempt {
  readonly username: string
  readonly method: string
  /** The attempt is made at this jump host, and another `connect` follows it; absent when it is made at the device. */
  readonly hop?: HopLogin
  /** The key that the device shows, when none is pinned: it must be pinned before the attempt. Never a jump host's. */
  readonly firstSight?: { readonly type: string; readonly fingerprint: string }
}

/** Where an attempt is made on the way to a device. */
export interface HopLogin {
  readonly id: number
  readonly name: string
  /** Its key, as `Operation.device`. */
  readonly device: string
}

/**
 * A device as a recipe sees it. Every method rejects with a VosError; when the operation is cancelled or out of time it
 * rejects with the reason of the operation's signal. No method ever repeats a command, and none after `authenticate` logs in
 * again: after a `close`, `connect` begins a fresh connection that a recipe asks for explicitly.
 */
export interface Device {
  /**
   * TCP, key exchange, host key of the next machine on the way. When it resolves, no credential has been sent there. Jump
   * hosts come first, each with an `authenticate` of its own; the last one is the device.
   */
  connect(options?: { readonly patient?: boolean }): Promise<Attempt>
  /** The single authentication attempt at the machine that was connected last. */
  authenticate(): Promise<void>
  /** From the accepted login to the point where the device takes a command. */
  open(): Promise<SessionFacts>
  /** The device's service list, read now. `named` makes sure that a service which is not loaded is listed too. */
  services(named?: string): Promise<readonly ServiceState[]>
  /** Everything short of acting: on VOS the typed command whose echo was compared. Resolves to the command's text. */
  prepare(service: string): Promise<string>
  /** Notes the clocks. `commit` refuses with `woke_up_late` if more than a second has passed since. */
  arm(): void
  /**
   * Sends the one byte that makes the device act, then reports what it does: `sent` first, and then it ends after `ended`
   * or `lost`. It throws before `sent` only if it is certain that nothing has left.
   */
  commit(): AsyncIterable<Observation>
  /** Of a jump host: the host key of what is behind it. No credential goes there. Absent where nothing is forwarded. */
  hostKeyOf?(behind: Connection, types?: readonly string[]): Promise<ShownKey>
  /** Polls the service list at the connection's pace until its limit; ends when the limit is reached. */
  follow(named: string): AsyncIterable<readonly ServiceState[]>
  /** Leaves politely where that is possible, then closes everything. Never rejects; may be called at any time, twice too. */
  close(): Promise<void>
}
