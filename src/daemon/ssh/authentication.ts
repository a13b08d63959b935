import ssh2, { type AuthHandlerMiddleware, type NextAuthHandler, type ParsedKey, type Prompt } from 'ssh2'
import { VosError } from '../../core/errors.ts'
import { oneLine } from '../../core/text.ts'
import { OneKeyAgent, type AgentKey } from './agent.ts'
import { where, type Peer } from './faults.ts'
import { toHostKey } from './host-keys.ts'
import type { Link } from './link.ts'
import { judgeRound, type Round } from './prompts.ts'

/** What proves who we are. A key's buffer is wiped by the attempt that uses it; a string cannot be. */
export type Secret =
  | { readonly type: 'password'; readonly password: string }
  /** `key` is what was made of an encrypted file, which opens with a passphrase only. */
  | { readonly type: 'key'; readonly privateKey: Buffer; readonly key?: ParsedKey }
  | { readonly type: 'agent'; readonly key: AgentKey }

/** Neither `inspect` nor JSON shows the password of it, however it comes into an error. */
export function passwordSecret(password: string): Secret {
  return Object.defineProperty({ type: 'password', password: '' } as const, 'password', {
    value: password,
    enumerable: false,
  })
}

const METHODS: Record<Secret['type'], readonly string[]> = {
  // keyboard-interactive first: some appliances offer `password` and refuse it.
  password: ['keyboard-interactive', 'password'],
  key: ['publickey'],
  agent: ['publickey'],
}

const WORDS: Record<Secret['type'], string> = { password: 'a password', key: 'a key', agent: 'a key' }

/** The method when the server let us in without any proof: nothing is sent then. */
const NONE = 'none'

/** ssh2's authentication handler, held between the question which methods there are and the one attempt. */
export class Authentication {
  readonly #peer: Peer
  readonly #username: string
  readonly #maySignSha1: boolean
  readonly #offered = Promise.withResolvers<readonly string[]>()
  readonly #result = Promise.withResolvers<void>()
  #methods: readonly string[] = []
  #next: NextAuthHandler | null = null
  #state: 'new' | 'asking' | 'held' | 'attempting' | 'done' = 'new'
  #link: Link | null = null
  /** How much had been written when the attempt was under way. */
  #requestedAt = -1
  /** Bytes written before the attempt: when there are no more after it, there was none. */
  #before = 0

  /** @param maySignSha1 an RSA key may sign with SHA-1, for a server that takes nothing better */
  constructor(peer: Peer, username: string, maySignSha1: boolean) {
    this.#peer = peer
    this.#username = username
    this.#maySignSha1 = maySignSha1
  }

  /** Called by ssh2 at the start and after every rejection. What it does not answer is never sent. */
  readonly handler: AuthHandlerMiddleware = (offered, partial, next) => {
    if (this.#state === 'new') {
      this.#state = 'asking'
      next({ type: 'none', username: this.#username })
    } else if (this.#state === 'asking') {
      this.#next = next
      this.#hold(offered)
    } else if (this.#state === 'attempting') {
      this.#state = 'done'
      // With an agent ssh2 finds out only later that it cannot use the key.
      const isSent = this.#link?.bytesWritten !== this.#before
      this.#link?.end(!isSent ? this.#notSent('publickey') : partial ? this.#needsMore(offered) : this.#refused())
    }
  }

  /** Watches the link whose client was given {@link handler}. */
  attach(link: Link): void {
    this.#link = link
    link.client.on('ready', () => {
      if (this.#state === 'asking') {
        link.stage = 'open'
        this.#hold([NONE])
      } else if (this.#state === 'attempting') {
        this.#state = 'done'
        link.stage = 'open'
        this.#result.resolve()
      }
    })
    // Without a listener an expired password is silent; with one, nothing is answered and the link ends.
    link.client.on('change password', () => link.end(this.#expired()))
  }

  /** What the server offers. Pending until it has answered `none`; never rejects by itself. */
  get offered(): Promise<readonly string[]> {
    return this.#offered.promise
  }

  /**
   * The method that an attempt with this kind of secret would use. Sends nothing.
   * @param remembered what worked before; used when it is still offered
   * @throws VosError `login_method`
   */
  methodFor(kind: Secret['type'], remembered?: string): string {
    if (this.#methods.includes(NONE)) return NONE
    const possible = METHODS[kind].filter((method) => this.#methods.includes(method))
    const method = possible.find((candidate) => candidate === remembered) ?? possible[0]
    if (method !== undefined) return method
    const offers = oneLine(this.#methods.join(', '), 120) || 'no method'
    throw new VosError(
      'login_method',
      `${where(this.#peer)} offers ${offers} to ${this.#username}, and ${WORDS[kind]} needs ${METHODS[kind].join(' or ')}. No credential was sent.`,
      { hint: `Name one that it takes: vosctl connections edit ${this.#peer.name} --credential <source>` },
    )
  }

  /** The one attempt. Resolves when we are in; every other ending ends the link with its error, and this stays pending. */
  attempt(secret: Secret, method: string): Promise<void> {
    const link = this.#link
    if (this.#state !== 'held' || !link) throw new Error('There is exactly one attempt, after the methods are known.')
    if (this.methodFor(secret.type, method) !== method) throw new Error(`A ${secret.type} cannot use ${method}.`)
    if (method === NONE) {
      this.#state = 'done'
      return Promise.resolve()
    }
    if (link.isEnded) return this.#result.promise
    const proof = this.#proof(secret, method)
    this.#state = 'attempting'
    link.stage = 'attempt'
    this.#before = link.bytesWritten
    try {
      this.#next?.(proof)
    } catch {
      link.end(this.#notSent(method))
    }
    this.#requestedAt = link.bytesWritten
    // ssh2 skips a method that it cannot use, without a word and without a byte.
    if (link.bytesWritten === this.#before && secret.type !== 'agent') link.end(this.#notSent(method))
    return this.#result.promise
  }

  #hold(offered: readonly string[]): void {
    this.#state = 'held'
    this.#methods = offered
    this.#offered.resolve(offered)
  }

  #proof(secret: Secret, method: string): Parameters<NextAuthHandler>[0] {
    const username = this.#username
    if (secret.type === 'agent') {
      return { type: 'agent', username, agent: this.#agentOf(secret.key) }
    }
    if (secret.type === 'key') {
      const key = secret.key ?? ssh2.utils.parseKey(secret.privateKey)
      if (key instanceof Error || !key.isPrivateKey()) {
        throw new VosError('bad_key_file', 'The private key cannot be used. Nothing was sent.')
      }
      if (!this.#maySignSha1 && key.type === 'ssh-rsa') this.#keepFromSha1(key)
      return { type: 'publickey', username, key }
    }
    if (method === 'password') return { type: 'password', username, password: secret.password }
    let isAnswered = false
    return {
      type: 'keyboard-interactive',
      username,
      prompt: (name, instructions, _language, prompts, finish) => {
        // ssh2 answers a round without a question by itself, and all that shows is that something was written.
        const isFirst = !isAnswered && this.#link?.bytesWritten === this.#requestedAt
        const answer = this.#judge({ isFirst, isAnswered }, [name, instructions], prompts)
        if (answer instanceof VosError) return this.#link?.end(answer)
        isAnswered = true
        finish([secret.password])
      },
    }
  }

  #agentOf(key: AgentKey): OneKeyAgent {
    const isRsa = toHostKey(key.blob).type === 'ssh-rsa'
    const sign: AgentKey['sign'] = async (data, hash) => {
      if (isRsa && !this.#maySignSha1 && hash !== 'sha256' && hash !== 'sha512') throw this.#needsSha1()
      return await key.sign(data, hash)
    }
    return new OneKeyAgent({ ...key, sign }, (reason) => this.#unsigned(reason))
  }

  /** ssh2 falls back to SHA-1 when the server does not say which signatures it takes: then nothing is signed. */
  #keepFromSha1(key: ParsedKey): void {
    const sign = key.sign.bind(key)
    key.sign = (data, algorithm) => {
      if (algorithm === 'sha256' || algorithm === 'sha512') return sign(data, algorithm)
      const error = this.#needsSha1()
      this.#link?.end(error)
      // As ssh2 wants it; it is not asked what became of it.
      return error as unknown as Buffer
    }
  }

  #judge(round: Round, texts: readonly string[], prompts: readonly Prompt[]): 'answer' | VosError {
    const verdict = judgeRound(round, texts, prompts)
    const asked = oneLine(this.#link?.scrub(prompts.map(({ prompt }) => prompt).join(' / ')) ?? '', 120)
    switch (verdict) {
      case 'answer':
        return 'answer'
      case 'expired':
        return this.#expired()
      case 'refused':
        return this.#refused()
      case 'unknown':
        return new VosError(
          'login_method',
          `${where(this.#peer)} asked ${this.#username} "${asked}", which is not a plain password question. It was not answered.`,
          {
            hint: 'vosctl answers one password question and no other: give this user a login without further questions.',
          },
        )
      default:
        return verdict satisfies never
    }
  }

  #unsigned(reason: unknown): void {
    const { name } = this.#peer
    const strange = new VosError('no_credential', `The ssh-agent has no signature for ${name} that can be used.`)
    this.#link?.end(reason instanceof VosError ? reason : strange)
  }

  #refused(): VosError {
    return new VosError('login_refused', `${where(this.#peer)} refused the login of ${this.#username}.`, {
      hint: `One attempt was made and it will not be repeated. Check the credential: vosctl credentials set ${this.#peer.name}`,
    })
  }

  #expired(): VosError {
    return new VosError(
      'password_expired',
      `${where(this.#peer)} wants a new password for ${this.#username}. It was not answered.`,
      {
        hint: `Log in by hand and change it, then: vosctl credentials set ${this.#peer.name}`,
      },
    )
  }

  #needsMore(offered: readonly string[]): VosError {
    return new VosError(
      'login_method',
      `${where(this.#peer)} accepted the credential of ${this.#username} and wants another one too (${oneLine(offered.join(', '), 120)}).`,
      { hint: 'vosctl logs in with one credential: give this user a login without a second factor.' },
    )
  }

  #needsSha1(): VosError {
    return new VosError(
      'login_method',
      `${where(this.#peer)} takes signatures of an RSA key with SHA-1 only, or does not say which it takes. Nothing was signed.`,
      {
        hint: `Log in with an Ed25519 or ECDSA key: vosctl connections edit ${this.#peer.name} --key …`,
      },
    )
  }

  #notSent(method: string): VosError {
    return new VosError(
      'login_method',
      `The login of ${this.#username} at ${where(this.#peer)} could not be made with ${method}. Nothing was sent.`,
      { hint: 'For an RSA key: the server accepts none of the signatures that this key can make.' },
    )
  }
}
