import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Client, type AuthHandlerMiddleware, type ClientErrorExtensions, type NegotiatedAlgorithms } from 'ssh2'
import { daysOfOldAlgorithms, type AlgorithmProfile, type HostKey, type Timings } from '../../core/connection.ts'
import type { Negotiated } from '../../core/device.ts'
import { VosError } from '../../core/errors.ts'
import { oneLine } from '../../core/text.ts'
import { failpoint, failpointsAroundWrites } from '../failpoint.ts'
import { keyTypeOf, mismatchOf, offerFor } from './algorithms.ts'
import {
  algorithmsExpired,
  closedHere,
  ended,
  hostKeyChanged,
  hostKeyGone,
  hostKeyRefused,
  noCommonAlgorithm,
  pinnedTypeUnknown,
  timedOut,
  type Cause,
  type Peer,
  type Stage,
} from './faults.ts'
import { ForwardedSocket, ForwardError } from './forwarded-socket.ts'
import { faultOfHostKey, isSameHostKey, rsaBits, toHostKey } from './host-keys.ts'
import { watchIdent, type Overheard } from './ident.ts'

/** How long a polite goodbye may take to reach the kernel before the socket is destroyed. */
const GOODBYE_MS = 500

/** Node tries the addresses of a name one after the other; its default of 250 ms gives up on a slow network. */
const ADDRESS_ATTEMPT_MS = 3_000

export interface LinkOptions extends Peer {
  readonly username: string
  readonly algorithms: AlgorithmProfile
  /** The last day on which old algorithms are allowed; null for no end. */
  readonly algorithmsUntil: string | null
  readonly timings: Pick<Timings, 'connectMs' | 'identMs' | 'keyExchangeMs'>
  /** Null accepts any key that is not worthless: for reading it, and for pinning the first one that is seen. */
  readonly pinned: HostKey | null
  /** Without a pin: ask for a key of these types only. */
  readonly keyTypes?: readonly string[]
  /** Null ends the link right after the key exchange: no authentication request of any kind leaves. */
  readonly authHandler: AuthHandlerMiddleware | null
  readonly keepaliveMs: number
  /** The link to the jump host that carries this one, logged in; absent for a connection of its own. */
  readonly through?: Link
}

type Transport = Duplex & Pick<Socket, 'bytesWritten' | 'destroySoon'>

/**
 * One encrypted connection to a server whose host key matched. Owns the socket, so that it can destroy it: ssh2's own
 * `end()` and `destroy()` may leave a frozen one open. It ends once; the first cause wins and everything that waits
 * on the link rejects with it.
 */
export class Link {
  readonly client = new Client()
  readonly closed: Promise<VosError>
  stage: Stage = 'tcp'
  /** Applied to every word of the peer that gets into an error, as long as a secret might be in it. */
  scrub: (text: string) => string = (text) => text

  readonly #options: LinkOptions
  readonly #signal: AbortSignal
  readonly #socket: Transport
  readonly #socketGone: Promise<void>
  readonly #resolveClosed: (cause: VosError) => void
  readonly #endListeners = new Set<(reason: unknown) => void>()
  #leaveCarrier = (): void => {}
  #ended: { readonly reason: unknown } | null = null
  #hostKey: HostKey | null = null
  #hostKeyBits: number | null = null
  #ident = ''
  #overheard: Overheard | null = null
  #negotiated: NegotiatedAlgorithms | null = null

  /** @throws VosError of the phase that failed, or the signal's reason; then nothing is left open. */
  static async open(options: LinkOptions, signal: AbortSignal): Promise<Link> {
    signal.throwIfAborted()
    const { algorithmsUntil } = options
    if (algorithmsUntil !== null && (daysOfOldAlgorithms(options, Date.now()) ?? 0) < 0) {
      throw algorithmsExpired(options, algorithmsUntil)
    }
    const link = new Link(options, signal)
    try {
      await link.#connect()
      await link.#shakeHands()
    } catch (error) {
      link.end(error)
      await link.#socketGone
      throw error
    }
    return link
  }

  private constructor(options: LinkOptions, signal: AbortSignal) {
    this.#options = options
    this.#socket = options.through ? new ForwardedSocket(options.through) : new Socket()
    this.#signal = signal
    const closed = Promise.withResolvers<VosError>()
    this.closed = closed.promise
    this.#resolveClosed = closed.resolve
    this.#socketGone = new Promise((resolve) => this.#socket.once('close', () => resolve()))
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.stage !== 'tcp') return
      this.#endBy(error instanceof ForwardError ? error.why : { type: 'socket', code: error.code ?? '' })
    })
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  get peer(): Peer {
    return this.#options
  }

  get isEnded(): boolean {
    return this.#ended !== null
  }

  get hostKey(): HostKey {
    if (!this.#hostKey) throw new Error('The host key is known only after the key exchange.')
    return this.#hostKey
  }

  /** Of an RSA key; null for another. */
  get hostKeyBits(): number | null {
    return this.#hostKeyBits
  }

  /** The peer's identification line, sanitised. */
  get software(): string {
    return this.#ident
  }

  get algorithms(): Negotiated {
    if (!this.#negotiated) throw new Error('The algorithms are known only after the key exchange.')
    const { kex, serverHostKey: hostKey, cs, sc } = this.#negotiated
    const inWords = ({ cipher, mac, compress }: typeof cs) => ({
      cipher,
      mac: mac || '<implicit>',
      compression: compress,
    })
    const [sent, received] = [inWords(cs), inWords(sc)]
    const isSame = JSON.stringify(sent) === JSON.stringify(received)
    return { kex, hostKey, ...sent, ...(isSame ? {} : { received }) }
  }

  /** Bytes handed to the kernel or waiting for it. */
  get bytesWritten(): number {
    return this.#socket.bytesWritten
  }

  get isBackedUp(): boolean {
    return this.#socket.writableLength > 0 || (this.#options.through?.isBackedUp ?? false)
  }

  /** Waits for `work`, at most `ms`; a timeout ends the whole link. Rejects with whatever ends the link first. */
  async within<T>(work: Promise<T>, ms: number, timeout: () => VosError): Promise<T> {
    const timer = setTimeout(() => this.end(timeout()), ms)
    try {
      return await this.whileOpen(work)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Waits for `work`; rejects with whatever ends the link first. */
  async whileOpen<T>(work: Promise<T>): Promise<T> {
    if (this.#ended) {
      // Work on a dead link fails for a lesser reason than the one that ended it.
      work.catch(() => {})
      throw this.#ended.reason
    }
    let stop = (): void => {}
    const end = new Promise<never>((_, reject) => {
      stop = this.onEnd(reject)
    })
    try {
      return await Promise.race([work, end])
    } finally {
      stop()
    }
  }

  /** Calls `listener` with the reason when the link ends, at once if it has. Returns the way to stop listening. */
  onEnd(listener: (reason: unknown) => void): () => void {
    if (this.#ended) {
      listener(this.#ended.reason)
      return () => {}
    }
    this.#endListeners.add(listener)
    return () => this.#endListeners.delete(listener)
  }

  /** Ends the link for this reason, unless it has ended. From then on no byte leaves. */
  end(reason: unknown): void {
    if (this.#settle(reason)) this.#socket.destroy()
  }

  /** Says goodbye where that is possible. Resolves when the socket is gone; never rejects; may be called twice. */
  async close(): Promise<void> {
    if (this.#settle(closedHere(this.peer))) this.#sayGoodbye()
    await this.#socketGone
  }

  readonly #onAbort = (): void => this.end(this.#signal.reason)

  #settle(reason: unknown): boolean {
    if (this.#ended) return false
    this.#ended = { reason }
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#leaveCarrier()
    this.#resolveClosed(
      reason instanceof VosError
        ? reason
        : new VosError('cancelled', `The work on ${this.#options.name} was stopped.`, { cause: reason }),
    )
    for (const listener of this.#endListeners) listener(reason)
    this.#endListeners.clear()
    return true
  }

  #sayGoodbye(): void {
    if (this.stage === 'tcp' || this.stage === 'ident' || this.stage === 'key-exchange') {
      this.#socket.destroy()
      return
    }
    // A peer that does not read keeps the goodbye in our buffer for ever: it gets this long and no more.
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_MS)
    this.#socket.once('close', () => clearTimeout(timer))
    try {
      this.client.end()
    } finally {
      this.#socket.destroySoon()
    }
  }

  /** What ends everything ends this link for its own reason. */
  #onCarrierEnd(reason: unknown): void {
    if (this.#signal.aborted) this.end(this.#signal.reason)
    else this.#endBy({ type: 'carrier', words: reason instanceof Error ? reason.message : '' })
  }

  #endBy(cause: Cause): void {
    const scrubbed = 'words' in cause ? { ...cause, words: this.scrub(cause.words) } : cause
    this.end(ended(this.peer, this.stage, scrubbed, this.#overheard?.seen()))
  }

  async #connect(): Promise<void> {
    const { host, port, timings, through } = this.#options
    if (through) this.#leaveCarrier = through.onEnd((reason) => this.#onCarrierEnd(reason))
    const connected = new Promise<void>((resolve) => this.#socket.once('connect', () => resolve()))
    failpoint('connect.before')
    if (this.#socket instanceof ForwardedSocket) this.#socket.connect({ host, port })
    if (this.#socket instanceof Socket) {
      this.#socket.setNoDelay(true)
      this.#socket.connect({ host, port, autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS })
    }
    // Not earlier: `connect` gives the socket its own `write` back.
    failpointsAroundWrites(this.#socket)
    await this.within(connected, timings.connectMs, () => timedOut('connect_timeout', this.peer, timings.connectMs))
    failpoint('connect.after')
    this.stage = 'ident'
  }

  async #shakeHands(): Promise<void> {
    const { authHandler, keepaliveMs, pinned, timings, username } = this.#options
    const offer = this.#offer()
    if (!offer) throw pinned ? pinnedTypeUnknown(this.peer, pinned) : new Error('No key type that can be checked.')

    const ident = Promise.withResolvers<void>()
    const handshake = Promise.withResolvers<void>()
    // Stages change where the bytes are read, not where a promise is awaited: ident and key exchange may share a packet.
    this.#overheard = watchIdent(this.#socket, (line) => {
      this.#ident = oneLine(line, 255)
      this.stage = 'key-exchange'
      ident.resolve()
    })
    this.client
      .on('error', (error) => this.#onClientError(error))
      .on('end', () => this.#endBy({ type: 'closed' }))
      .on('close', () => this.#endBy({ type: 'closed' }))
      .once('handshake', (negotiated) => {
        this.#negotiated = negotiated
        this.stage = 'asking'
        handshake.resolve()
        // ssh2 asks for the authentication service right after this event; a destroyed socket takes no byte.
        if (!authHandler) this.#socket.destroy()
      })
    this.client.connect({
      sock: this.#socket,
      username,
      algorithms: offer,
      // Must be there: without a verifier ssh2 accepts any key.
      hostVerifier: (blob: Buffer) => this.#isHostKeyAccepted(blob),
      // Must be a function: ssh2's own list would try every credential it has.
      authHandler: authHandler ?? (() => {}),
      // Every phase has its own timer; this one would end a slow appliance.
      readyTimeout: 0,
      keepaliveInterval: keepaliveMs,
      keepaliveCountMax: 3,
    })

    await this.within(ident.promise, timings.identMs, () => timedOut('ident_timeout', this.peer, timings.identMs))
    await this.within(handshake.promise, timings.keyExchangeMs, () =>
      timedOut('key_exchange_timeout', this.peer, timings.keyExchangeMs),
    )
  }

  /** Also asked again at every later key exchange. */
  #isHostKeyAccepted(blob: Buffer): boolean {
    // Without a pin what was seen first counts.
    const pinned = this.#options.pinned ?? this.#hostKey
    const offered = toHostKey(blob)
    if (pinned && !isSameHostKey(pinned, offered)) {
      this.end(hostKeyChanged(this.peer, pinned, offered))
      return false
    }
    const fault = faultOfHostKey(blob)
    if (fault !== null) {
      this.end(hostKeyRefused(this.peer, fault))
      return false
    }
    this.#hostKey = offered
    this.#hostKeyBits = rsaBits(blob)
    return true
  }

  /** ssh2's errors are told apart by level, code and text; none of them goes further than this. */
  #onClientError(error: Error & ClientErrorExtensions & { readonly code?: unknown }): void {
    const mismatch = /no matching (.+)$/.exec(error.message)?.[1]
    if (error.level === 'handshake' && mismatch !== undefined) this.end(this.#noMatch(mismatch))
    else if (error.message === 'Connection lost before handshake') this.#endBy({ type: 'closed' })
    else if (error.level === 'client-socket')
      this.#endBy({ type: 'socket', code: typeof error.code === 'string' ? error.code : '' })
    else if (error.level === 'client-timeout') this.#endBy({ type: 'keepalive' })
    else if (typeof error.code === 'number') this.#endBy({ type: 'disconnect', words: error.message })
    else this.#endBy({ type: 'protocol', words: error.message })
  }

  #offer(profile = this.#options.algorithms) {
    const { pinned, keyTypes } = this.#options
    return offerFor(profile, pinned ? [pinned.type] : (keyTypes ?? null))
  }

  #noMatch(what: string): VosError {
    const { algorithms, pinned } = this.#options
    const server = this.#overheard?.kexInit() ?? null
    const [offer, legacy] = [this.#offer(), this.#offer('legacy-vos')]
    const mismatch = server && offer && mismatchOf(offer, server)
    const kind = mismatch?.kind ?? CLASS_WORDS.find(([words]) => what.includes(words))?.[1] ?? 'algorithm'
    // Has it no key of the pinned type, or one that signs in a way that is not allowed?
    const isGone = server
      ? !server.serverHostKey.some((algorithm) => keyTypeOf(algorithm) === pinned?.type)
      : !(pinned?.type === 'ssh-rsa' && algorithms === 'modern')
    if (kind === 'host key algorithm' && pinned && isGone) return hostKeyGone(this.peer, pinned)
    const isLegacyEnough = server && legacy && mismatchOf(legacy, server) === null
    return noCommonAlgorithm(this.peer, algorithms, kind, mismatch, isLegacyEnough)
  }
}

const CLASS_WORDS = [
  ['key exchange', 'key exchange algorithm'],
  ['host key', 'host key algorithm'],
  ['cipher', 'cipher'],
  ['MAC', 'MAC'],
  ['compression', 'compression'],
] as const
