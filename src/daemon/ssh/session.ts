import type { AlgorithmProfile, HostKey, Timings, ShownKey } from '../../core/connection.ts'
import type { Negotiated } from '../../core/device.ts'
import { VosError } from '../../core/errors.ts'
import { oneLine } from '../../core/text.ts'
import { failpoint } from '../failpoint.ts'
import { signsSha1 } from './algorithms.ts'
import { Authentication, type Secret } from './authentication.ts'
import { toChannel, type Channel } from './channel.ts'
import {
  runCommand,
  startCommand,
  type ExecOptions,
  type ExecResult,
  type RemoteCommand,
  type StartOptions,
} from './command.ts'
import { hostKeyUnpinned, timedOut, where, type Peer } from './faults.ts'
import { Link } from './link.ts'

export { passwordSecret, type Secret } from './authentication.ts'
export type { Channel } from './channel.ts'
export type { CommandEnd, ExecOptions, ExecResult, OutputStream, RemoteCommand, StartOptions } from './command.ts'

const KEEPALIVE_MS = 15_000

export interface SshTarget extends Peer {
  readonly username: string
  /** Null: nothing is connected, `host_key_unpinned`. */
  readonly hostKey: HostKey | null
  /** Without a pin any key will do: whoever asks for that pins {@link SshSession.hostKey} before it authenticates. */
  readonly acceptNew: boolean
  readonly algorithms: AlgorithmProfile
  readonly algorithmsUntil: string | null
  readonly timings: Timings
  /** Between two signs of life once logged in; three without an answer end the session. 15 s by default. */
  readonly keepaliveMs?: number
  /** A session with the jump host from which it is reached, logged in; it carries this one and stays open after it. */
  readonly through?: SshSession
}

/**
 * A session on one device. Made in two steps, so that the one authentication attempt can be written to disk between them:
 * `connect` sends no credential, `authenticate` makes exactly one attempt. Nothing here is ever tried twice.
 */
export class SshSession {
  readonly #link: Link
  readonly #authentication: Authentication
  readonly #timings: Timings
  readonly offeredMethods: readonly string[]

  /**
   * TCP, identification, key exchange, the host key compared with the pin; then asks `none` to learn the methods.
   * @throws VosError of the phase that failed, or the signal's reason; then nothing is left open. After it has resolved
   *   the signal ends the session.
   */
  static async connect(target: SshTarget, signal: AbortSignal): Promise<SshSession> {
    const { acceptNew, hostKey: pinned, keepaliveMs = KEEPALIVE_MS, timings, username, through, ...peer } = target
    signal.throwIfAborted()
    if (!pinned && !acceptNew) throw hostKeyUnpinned(target)
    const authentication = new Authentication(target, username, signsSha1(target.algorithms))
    const link = await Link.open(
      {
        ...peer,
        pinned,
        keepaliveMs,
        timings,
        username,
        authHandler: authentication.handler,
        ...(through && { through: through.#link }),
      },
      signal,
    )
    try {
      authentication.attach(link)
      const offered = await link.within(authentication.offered, timings.loginMs, () =>
        timedOut('login_timeout', target, timings.loginMs),
      )
      return new SshSession(link, authentication, timings, offered)
    } catch (error) {
      await link.close()
      throw error
    }
  }

  private constructor(link: Link, authentication: Authentication, timings: Timings, offered: readonly string[]) {
    this.#link = link
    this.#authentication = authentication
    this.#timings = timings
    this.offeredMethods = offered.map((method) => oneLine(method, 64))
  }

  get peer(): Peer {
    return this.#link.peer
  }

  get hostKey(): HostKey {
    return this.#link.hostKey
  }

  /** The peer's identification string, sanitised. */
  get software(): string {
    return this.#link.software
  }

  get algorithms(): Negotiated {
    return this.#link.algorithms
  }

  /** Resolves once, with whatever ended the session. */
  get closed(): Promise<VosError> {
    return this.#link.closed
  }

  /**
   * The method that {@link authenticate} would use with this kind of secret. Sends nothing.
   * @param remembered the method that worked before; used when it is still offered
   * @throws VosError `login_method`
   */
  methodFor(kind: Secret['type'], remembered?: string): string {
    return this.#authentication.methodFor(kind, remembered)
  }

  /**
   * Exactly one attempt; a key's buffer is wiped by it. When it rejects, the session has ended.
   * @throws VosError `login_refused`, `password_expired`, `login_method`, `login_timeout`; `connection_lost` only when
   *   the link was gone before the attempt
   */
  async authenticate(secret: Secret, method: string): Promise<void> {
    const link = this.#link
    const { loginMs } = this.#timings
    // A peer may send back what it was given: in a question, or in the reason for hanging up.
    if (secret.type === 'password' && secret.password !== '') {
      link.scrub = (text) => text.replaceAll(secret.password, '[password]')
    }
    try {
      failpoint('login.before', () => link.peer.name)
      const attempt = this.#authentication.attempt(secret, method)
      await link.within(attempt, loginMs, () => timedOut('login_timeout', link.peer, loginMs))
      failpoint('login.after')
    } catch (error) {
      await link.close()
      throw error
    } finally {
      link.scrub = (text) => text
      if (secret.type === 'key') secret.privateKey.fill(0)
    }
  }

  /**
   * Opens a terminal. A wide and tall one keeps the device from wrapping lines and from paging.
   * @throws VosError `shell_timeout` (the session has ended), `channel_refused`, or what ended the session
   */
  async shell(window: { readonly cols: number; readonly rows: number }): Promise<Channel> {
    const link = this.#link
    const { shellMs } = this.#timings
    const { promise: opened, resolve, reject } = Promise.withResolvers<Channel>()
    try {
      link.client.shell({ ...window, width: 0, height: 0, term: 'vt100' }, (error, stream) => {
        if (error) reject(this.#noTerminal(error))
        else resolve(toChannel(stream, link))
      })
    } catch (error) {
      reject(this.#noTerminal(error))
    }
    return await link.within(opened, shellMs, () => timedOut('shell_timeout', link.peer, shellMs))
  }

  /**
   * Runs a read-only command, given as words, to its end.
   * @throws VosError `command_timeout` (the session stays), `channel_refused`, or what ended the session
   */
  exec(words: readonly string[], options: Partial<ExecOptions> = {}): Promise<ExecResult> {
    return runCommand(this.#link, words, { timeoutMs: this.#timings.commandMs, ...options })
  }

  /**
   * Starts the command that acts: tells when it has left, and what it does. A server that opens no channel in time ends
   * the session, so that the command cannot leave later.
   */
  start(words: readonly string[], options: StartOptions = {}): RemoteCommand {
    const link = this.#link
    const { shellMs } = this.#timings
    const command = startCommand(link, words, options)
    link.within(command.sent, shellMs, () => timedOut('shell_timeout', link.peer, shellMs)).catch(() => {})
    return command
  }

  /** {@link readHostKey} of what is reached from here. */
  readHostKeyBehind(
    target: Parameters<typeof readHostKey>[0],
    signal: AbortSignal,
    types?: readonly string[],
  ): Promise<ShownKey> {
    return readHostKey(target, signal, types, this.#link)
  }

  /** Says goodbye and destroys the socket. Resolves when it is gone; never rejects; idempotent. */
  close(): Promise<void> {
    return this.#link.close()
  }

  #noTerminal(error: unknown): VosError {
    const { peer } = this.#link
    return new VosError(
      'channel_refused',
      `${where(peer)} opens no terminal: ${oneLine(error instanceof Error ? error.message : '')}.`,
      {
        hint: 'It may have no free session: end idle ones on the device, or try again later.',
      },
    )
  }
}

/**
 * Reads a server's host key and stops before any authentication request, `none` included. The server has proved that it
 * holds the key.
 * @param keyTypes ask for a key of these types only, all of them types that can be checked
 * @returns the key, and how long it is when it is an RSA key
 * @throws VosError of the phase that failed, or the signal's reason
 */
export async function readHostKey(
  target: Pick<SshTarget, 'name' | 'host' | 'port' | 'algorithms' | 'algorithmsUntil' | 'timings'>,
  signal: AbortSignal,
  keyTypes?: readonly string[],
  through?: Link,
): Promise<ShownKey> {
  const only = { ...(keyTypes && { keyTypes }), ...(through && { through }) }
  const options = { ...target, ...only, username: '', pinned: null, authHandler: null, keepaliveMs: 0 }
  const link = await Link.open(options, signal)
  await link.close()
  return { ...link.hostKey, bits: link.hostKeyBits }
}
