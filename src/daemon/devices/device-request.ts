import type { Connection, Timings } from '../../core/connection.ts'
import type { SshSession } from '../ssh/session.ts'

/** What every device is opened with. */
export interface DeviceRequest {
  readonly connection: Connection
  /** For which a secret may have been lent. */
  readonly operationId?: string
  /** All of them: the connection's own merged into the defaults. */
  readonly timings: Timings
  /** The operation's: when it is aborted, everything closes and every method rejects with its reason. */
  readonly signal: AbortSignal
  /** Runs a handshake when there is a place for one; at once where this is absent. */
  readonly inTurn?: <T>(handshake: () => Promise<T>) => Promise<T>
  /** Told every secret before it is used, so that nothing which the device says or which goes wrong shows it. */
  readonly conceal?: (secret: string) => void
  /** The jump hosts on the way, from here on. */
  readonly hops?: readonly HopRequest[]
  /** The session that carries the next connection; absent where there is no jump host. */
  readonly through?: () => SshSession
}

/** What a jump host is logged in with. */
export interface HopRequest {
  readonly connection: Connection
  readonly timings: Timings
  /** Waits for a place among those who log in there; resolves to the function that gives it back. */
  readonly enter: (signal: AbortSignal) => Promise<() => void>
}
