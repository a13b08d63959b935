import { deviceKey, type Connection, type ShownKey } from '../../core/connection.ts'
import type { Attempt, Device, Observation, ServiceState, SessionFacts } from '../../core/device.ts'
import { VosError } from '../../core/errors.ts'
import { SshSession, type Secret } from '../ssh/session.ts'
import { credentialKind } from './credential-kind.ts'
import type { DeviceRequest, HopRequest } from './device-request.ts'
import { connectPatiently } from './patience.ts'

export interface ViaOptions extends Pick<DeviceRequest, 'signal' | 'inTurn'> {
  readonly hops: readonly HopRequest[]
  readonly readSecret: (hop: Connection) => Promise<Secret>
  /** The device itself, which is connected through the session that `through` gives. */
  readonly device: (through: () => SshSession) => Device
}

/** A jump host that is connected and waits for the attempt to log in. */
interface Arrival {
  readonly hop: HopRequest
  readonly session: SshSession
  readonly method: string
  readonly leave: () => void
}

/**
 * A device behind jump hosts. Each has a session of its own, with its own pin, credential and attempt, made for this
 * device alone and closed with it.
 */
export class ViaDevice implements Device {
  readonly #options: ViaOptions
  readonly #device: Device
  /** Logged in, from here on. */
  #sessions: readonly SshSession[] = []
  #arrival: Arrival | null = null
  #dial: { readonly abort: AbortController; readonly done: Promise<unknown> } | null = null
  #beganAt = 0
  /** What a hop's first login worked with; the look at a device that was lost uses it again. */
  readonly #provenMethods = new Map<number, string>()

  constructor(options: ViaOptions) {
    this.#options = options
    this.#device = options.device(() => this.#last())
  }

  async connect({ patient = false }: { readonly patient?: boolean } = {}): Promise<Attempt> {
    this.#options.signal.throwIfAborted()
    if (this.#dial || this.#arrival) throw new Error('connect() while a jump host is being logged in')
    const hop = this.#options.hops[this.#sessions.length]
    if (!hop) return await this.#connectDevice(patient)
    const abort = new AbortController()
    // It may be waited for, but not over a jump host that is gone.
    void this.#sessions.at(-1)?.closed.then((error) => abort.abort(error))
    const arriving = this.#arrive(hop, patient, AbortSignal.any([this.#options.signal, abort.signal]))
    this.#dial = { abort, done: arriving.catch(() => {}) }
    try {
      this.#arrival = await arriving
    } finally {
      this.#dial = null
    }
    const { id, name, username } = hop.connection
    return { username, method: this.#arrival.method, hop: { id, name, device: deviceKey(hop.connection) } }
  }

  async authenticate(): Promise<void> {
    const arrival = this.#arrival
    if (!arrival) return await this.#device.authenticate()
    this.#arrival = null
    const { hop, session, method, leave } = arrival
    try {
      await session.authenticate(await this.#options.readSecret(hop.connection), method)
    } catch (error) {
      await session.close()
      throw error
    } finally {
      leave()
    }
    this.#provenMethods.set(hop.connection.id, method)
    this.#sessions = [...this.#sessions, session]
  }

  async open(): Promise<SessionFacts> {
    const facts = await this.#device.open()
    const via = this.#options.hops.map(({ connection }) => connection.name)
    return { ...facts, via, loginMs: Math.round(performance.now() - this.#beganAt) }
  }

  services(named?: string): Promise<readonly ServiceState[]> {
    return this.#device.services(named)
  }

  prepare(service: string): Promise<string> {
    return this.#device.prepare(service)
  }

  arm(): void {
    this.#device.arm()
  }

  commit(): AsyncIterable<Observation> {
    return this.#device.commit()
  }

  follow(named: string): AsyncIterable<readonly ServiceState[]> {
    return this.#device.follow(named)
  }

  async hostKeyOf(behind: Connection, types?: readonly string[]): Promise<ShownKey> {
    if (!this.#device.hostKeyOf) throw new Error(`${behind.name} is behind something that forwards nothing`)
    return await this.#device.hostKeyOf(behind, types)
  }

  async close(): Promise<void> {
    this.#dial?.abort.abort(
      new VosError('connection_lost', 'The connection was closed by vosctl while it was being made.'),
    )
    await this.#dial?.done
    const arrival = this.#arrival
    this.#arrival = null
    arrival?.leave()
    // From the far end on, so that each goodbye still finds its way.
    await this.#device.close()
    await arrival?.session.close()
    const sessions = this.#sessions
    this.#sessions = []
    for (const session of sessions.toReversed()) await session.close()
  }

  async #arrive(hop: HopRequest, patient: boolean, signal: AbortSignal): Promise<Arrival> {
    const { inTurn = (dial) => dial() } = this.#options
    const { connection, timings } = hop
    const kind = credentialKind(connection)
    const through = this.#sessions.at(-1)
    // Nobody would write down which key a jump host has shown first.
    const target = { ...connection, acceptNew: false, timings, ...(through && { through }) }
    const leave = await hop.enter(signal)
    if (!through) this.#beganAt = performance.now()
    try {
      const session = await connectPatiently(() => inTurn(() => SshSession.connect(target, signal)), {
        forMs: patient ? timings.reconnectMs : 0,
        signal,
      })
      try {
        return { hop, session, method: session.methodFor(kind, this.#provenMethods.get(connection.id)), leave }
      } catch (error) {
        await session.close()
        throw error
      }
    } catch (error) {
      leave()
      throw error
    }
  }

  /** The same for the device, which knows nothing of jump hosts. */
  async #connectDevice(patient: boolean): Promise<Attempt> {
    let isDone = false
    const lost = this.#last().closed.then(async (error) => {
      if (!isDone) await this.#device.close()
      throw error
    })
    try {
      return await Promise.race([this.#device.connect({ patient }), lost])
    } finally {
      isDone = true
    }
  }

  #last(): SshSession {
    const session = this.#sessions.at(-1)
    if (!session) throw new Error('no jump host is logged in')
    return session
  }
}
