import type { Connection, Timings } from '../../core/connection.ts'

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
}
