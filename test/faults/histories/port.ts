import type { Device, Observation, ServiceState, SessionFacts } from '../../../src/core/device.ts'
import { VosError } from '../../../src/core/errors.ts'
import type { DeviceRequest } from '../../../src/daemon/devices/device-request.ts'
import type { Box, Command } from './box.ts'

/** How a call of the port ends. What each means for each call is in {@link Port}. */
export const ANSWERS = ['well', 'cut', 'odd', 'early'] as const
export type Answer = (typeof ANSWERS)[number]

/** A call that the daemon waits for. Nothing happens with it until the history answers it. */
export interface Call {
  readonly what: string
  readonly port: Port
  readonly answer: (how: Answer) => void
}

/** The other end of the ports: the calls of the living daemon, and who must know of what arrives at a device. */
export interface Exchange {
  readonly calls: Set<Call>
  readonly isAlive: () => boolean
  /** The operation that has just said, in the journal, that it goes to this connection; null: none has. */
  readonly owner: (connectionId: number) => string | null
  /** The device is called although the journal does not say so. */
  readonly onStray: (box: Box) => void
  /** An attempt, or the byte, is handed over: nothing can stop it from now on. */
  readonly onHandedOver: (operation: string, what: 'authenticating' | 'dispatching') => void
  readonly onAttempt: (box: Box, operation: string) => void
  readonly onCommand: (box: Box, operation: string) => void
}

const FACTS: SessionFacts = {
  hostKey: { type: 'ssh-ed25519', fingerprint: `SHA256:${'A'.repeat(43)}` },
  software: 'OpenSSH_8.0',
  algorithms: { kex: 'curve25519-sha256', cipher: 'aes256-gcm@openssh.com', mac: '' },
  method: 'password',
  loginMs: 1900,
}
/** Readings of the service list until the time for confirmation is over. */
const POLLS = 12
/** A device that hangs prints its state so often, then nothing more. */
const REPEATS = 2

/**
 * One session with a box, as a recipe gets it. It keeps the contract of {@link Device} to the letter, and every place
 * where a link can break, a device can hesitate or a daemon can die is a call that waits to be answered.
 */
export class Port implements Device {
  readonly box: Box
  readonly #request: DeviceRequest
  readonly #exchange: Exchange
  /** A port is used in the same turn in which its operation says so, so the newest event tells whose it is. */
  #operation: string | null = null
  #at: 'closed' | 'open' | 'broken' = 'closed'
  #command: Command | null = null
  #service = ''
  #printed: string | null = null
  #repeats = 0

  constructor(box: Box, request: DeviceRequest, exchange: Exchange) {
    this.box = box
    this.#request = request
    this.#exchange = exchange
  }

  get isClosed(): boolean {
    return this.#at === 'closed'
  }

  /** cut, early: unreachable. odd: the network was lost in the middle. */
  async connect() {
    const { inTurn = (dial) => dial() } = this.#request
    this.#meetOwner()
    if (this.#operation === null) this.#exchange.onStray(this.box)
    await inTurn(() =>
      this.#ask('connect', (how) => {
        if (how === 'odd') throw lost()
        if (how !== 'well') throw new VosError('unreachable', 'the device cannot be reached')
        if (this.box.hostKeyChanged) throw new VosError('host_key_changed', 'the host key has changed')
        this.#at = 'open'
      }),
    )
    return { username: this.#request.connection.username, method: 'password' }
  }

  /**
   * On the way: cut or early, the link is gone and nothing arrived; odd, there was no secret to send. On the way back:
   * cut or early, the peer hung up; odd, it never answers.
   */
  async authenticate(): Promise<void> {
    this.#exchange.onHandedOver(this.#owner, 'authenticating')
    await this.#ask('authenticate', (how) => {
      if (how === 'odd') throw this.#break(new VosError('no_credential', 'there is no password'))
      if (how !== 'well' || this.#at !== 'open') throw this.#break(lost())
      this.box.attempts.push(this.#owner)
      this.#exchange.onAttempt(this.box, this.#owner)
    })
    await this.#ask('answer to the login', (how) => {
      if (how === 'odd') throw this.#break(new VosError('login_timeout', 'no answer to the login'))
      if (how !== 'well') throw this.#break(new VosError('login_refused', 'the device hung up during the login'))
      if (!this.box.acceptsPassword) throw this.#break(new VosError('login_refused', 'the login was refused'))
    })
  }

  async open(): Promise<SessionFacts> {
    await this.#askOpen('open', (how) => {
      if (how !== 'well') throw this.#break(new VosError('prompt_timeout', 'the prompt did not come'))
    })
    return FACTS
  }

  async services(): Promise<readonly ServiceState[]> {
    return this.#askOpen('services', (how) => {
      if (how !== 'well') throw new VosError('not_a_service_list', 'this is no service list')
      return this.box.list()
    })
  }

  async prepare(service: string): Promise<string> {
    this.#service = service
    await this.#askOpen('prepare', (how) => {
      if (how !== 'well') throw this.#break(new VosError('echo_mismatch', 'the echo differs'))
    })
    return `utils service restart ${service}`
  }

  arm(): void {}

  /**
   * On the way: cut, the link is gone and nothing left; odd, the daemon woke up late and did not send; early, the byte left
   * and went into a dead network. Once it has left, nothing makes it unsent.
   */
  async *commit(): AsyncGenerator<Observation> {
    this.#exchange.onHandedOver(this.#owner, 'dispatching')
    await this.#ask('commit', (how) => {
      if (how === 'odd') throw this.#break(new VosError('woke_up_late', 'the daemon woke up late'))
      if (how === 'cut' || this.#at !== 'open') throw this.#break(lost())
      if (how === 'early') this.#at = 'broken'
      else {
        this.#command = this.box.receive(this.#owner, this.#service)
        this.#exchange.onCommand(this.box, this.#owner)
      }
    })
    await this.#ask('byte is out', () => undefined, { untilAborted: false })
    yield { type: 'sent' }
    for (;;) {
      const seen = await this.#ask('observe', (how) => this.#observe(how))
      yield seen
      if (seen.type === 'ended' || seen.type === 'lost') return
    }
  }

  /** odd or early: the time for confirmation is over. */
  async *follow(): AsyncGenerator<readonly ServiceState[]> {
    for (let poll = 0; poll < POLLS; poll++) {
      const list = await this.#askOpen('poll', (how) => {
        if (how !== 'well') return null
        if (poll > 0) for (const { name } of this.box.list()) this.box.move(name)
        return this.box.list()
      })
      if (!list) return
      yield list
    }
  }

  async close(): Promise<void> {
    this.#meetOwner()
    if (this.#at === 'closed') return
    await this.#ask('close', () => undefined, { untilAborted: false })
    this.#at = 'closed'
  }

  /** odd: a question, or silence when one was asked. early: the prompt comes back before the service is at rest. */
  #observe(how: Answer): Observation {
    const { box } = this
    const name = this.#service
    if (how === 'cut' || this.#at !== 'open') {
      this.#at = 'broken'
      return { type: 'lost', error: lost() }
    }
    if (how === 'odd') {
      if (this.#repeats++ > 0) throw new VosError('silence', 'the device has been silent for too long')
      return { type: 'question', text: 'Continue (yes/no)?' }
    }
    if (this.#command?.temper === 'refuses') {
      if (this.#printed !== null) return { type: 'ended' }
      this.#printed = ''
      return { type: 'line', text: 'Service Manager refused it' }
    }
    // A device that acts always prints at least one state.
    if (how === 'early' && this.#printed !== null) return { type: 'ended' }
    if (this.#printed === box.state(name)) {
      if (box.isMoving(name)) box.move(name)
      else if (this.#command?.temper !== 'hangs') return { type: 'ended' }
      else if (this.#repeats++ >= REPEATS) throw new VosError('silence', 'the device has been silent for too long')
    }
    this.#printed = box.state(name)
    const service = { name, state: this.#printed, reason: '' }
    return { type: 'state', service, text: `${name}[${this.#printed}]` }
  }

  get #owner(): string {
    return this.#operation ?? 'nobody'
  }

  #meetOwner(): void {
    this.#operation ??= this.#exchange.owner(this.#request.connection.id)
  }

  #break(error: VosError): VosError {
    this.#at = 'broken'
    return error
  }

  /** A call that needs the link: with cut it is gone. */
  #askOpen<T>(what: string, act: (how: Answer) => T): Promise<T> {
    return this.#ask(what, (how) => {
      if (how === 'cut' || this.#at !== 'open') throw this.#break(lost())
      return act(how)
    })
  }

  /** Rejects with the reason of the operation's signal, unless nothing can take back what was asked. */
  async #ask<T>(what: string, act: (how: Answer) => T, { untilAborted = true } = {}): Promise<T> {
    const { calls, isAlive } = this.#exchange
    const { signal } = this.#request
    // A daemon that was killed waits for ever.
    if (!isAlive()) return Promise.withResolvers<T>().promise
    if (untilAborted) signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const leave = () => {
      calls.delete(call)
      signal.removeEventListener('abort', abort)
    }
    const abort = () => {
      leave()
      reject(signal.reason as Error)
    }
    const call: Call = {
      what,
      port: this,
      answer: (how) => {
        leave()
        try {
          resolve(act(how))
        } catch (error) {
          reject(error)
        }
      },
    }
    calls.add(call)
    if (untilAborted) signal.addEventListener('abort', abort)
    return promise
  }
}

function lost(): VosError {
  return new VosError('connection_lost', 'the connection was lost')
}
