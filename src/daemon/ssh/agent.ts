import { lstatSync } from 'node:fs'
import { connect } from 'node:net'
import ssh2, { type IdentityCallback, type SignCallback, type SigningRequestOptions } from 'ssh2'
import { VosError } from '../../core/errors.ts'
import { distrust } from '../trusted-file.ts'
import { toHostKey } from './host-keys.ts'

/** A person may have to confirm. */
const LIMIT_MS = 10_000
const MAX_ANSWER_BYTES = 256 * 1024

const FAILURE = 5
const REQUEST_IDENTITIES = 11
const IDENTITIES_ANSWER = 12
const SIGN_REQUEST = 13
const SIGN_RESPONSE = 14
const FLAGS: Readonly<Record<string, number>> = { sha256: 2, sha512: 4 }

/** One key of an agent, and the way to have it sign. */
export interface AgentKey {
  /** In SSH's wire format. */
  readonly blob: Buffer
  readonly sign: (data: Buffer, hash: string | undefined) => Promise<Buffer>
}

/**
 * The key with this fingerprint, if the agent on this socket has it. No other key of the agent is ever used.
 * @throws VosError `no_credential`, or the signal's reason; nothing was signed
 */
export async function findAgentKey(
  socketPath: string,
  fingerprint: string,
  name: string,
  signal: AbortSignal,
  limitMs: number = LIMIT_MS,
): Promise<AgentKey> {
  const fail = (why: string) =>
    new VosError('no_credential', `The ssh-agent has no signature for ${name}: ${why}. Nothing was sent.`, {
      hint: `See what it holds: SSH_AUTH_SOCK=${socketPath} ssh-add -l`,
    })
  const wrong = distrustSocket(socketPath)
  if (wrong !== null) throw fail(wrong)
  const ask = async (message: Buffer, expected: number): Promise<Reader> => {
    const answer = await exchange(socketPath, message, fail, signal, limitMs)
    if (answer[0] === FAILURE) throw fail('it refused')
    if (answer[0] !== expected) throw fail('its answer is not understood')
    return new Reader(answer.subarray(1), () => fail('its answer is cut short'))
  }
  const listed = await ask(Buffer.of(REQUEST_IDENTITIES), IDENTITIES_ANSWER)
  const blobs = Array.from({ length: Math.min(listed.uint32(), 1000) }, () => {
    const blob = listed.string()
    listed.string()
    return blob
  })
  const blob = blobs.find((one) => toHostKey(one).fingerprint === fingerprint)
  if (!blob) throw fail(`it does not hold the key ${fingerprint}`)
  return {
    blob,
    sign: async (data, hash) => {
      const flags = Buffer.alloc(4)
      flags.writeUInt32BE(FLAGS[hash ?? ''] ?? 0)
      const request = Buffer.concat([Buffer.of(SIGN_REQUEST), toString(blob), toString(data), flags])
      const signature = new Reader((await ask(request, SIGN_RESPONSE)).string(), () => fail('its answer is cut short'))
      // The name of the algorithm comes first; ssh2 wants the signature alone.
      signature.string()
      return signature.string()
    },
  }
}

/** What ssh2 sees of an agent: one key, and nothing else to try after it. */
export class OneKeyAgent extends ssh2.BaseAgent<Buffer> {
  readonly #key: AgentKey
  readonly #onFailure: (reason: unknown) => void

  /** `onFailure` is told why nothing was signed, before ssh2 is. */
  constructor(key: AgentKey, onFailure: (reason: unknown) => void) {
    super()
    this.#key = key
    this.#onFailure = onFailure
  }

  override getIdentities(reply: IdentityCallback<Buffer>): void {
    reply(undefined, [this.#key.blob])
  }

  override sign(_: unknown, data: Buffer, options: SigningRequestOptions | SignCallback, reply?: SignCallback): void {
    const done = typeof options === 'function' ? options : reply
    const hash = typeof options === 'function' ? undefined : options.hash
    void this.#answer(data, hash, done ?? (() => undefined))
  }

  async #answer(data: Buffer, hash: string | undefined, done: SignCallback): Promise<void> {
    try {
      const signature = await this.#key.sign(data, hash)
      // Throws where it cannot read the signature: then nothing of it has left either.
      done(undefined, signature)
    } catch (reason) {
      this.#onFailure(reason)
      done(new Error('not signed'))
    }
  }
}

function distrustSocket(socketPath: string): string | null {
  try {
    return lstatSync(socketPath).isSocket() ? distrust(socketPath) : `${socketPath} is no socket`
  } catch (error) {
    return `${socketPath} cannot be used (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`
  }
}

/** One question, one answer, one connection. */
async function exchange(
  socketPath: string,
  message: Buffer,
  fail: (why: string) => VosError,
  signal: AbortSignal,
  limitMs: number,
): Promise<Buffer> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const socket = connect(socketPath)
  const timer = setTimeout(() => reject(fail(`it did not answer within ${limitMs / 1000} s`)), limitMs)
  const onAbort = () => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort)
  let answer = Buffer.alloc(0)
  socket.on('error', (error: NodeJS.ErrnoException) => reject(fail(`it cannot be asked (${error.code ?? ''})`)))
  socket.on('close', () => reject(fail('it hung up')))
  socket.on('data', (chunk: Buffer) => {
    answer = Buffer.concat([answer, chunk])
    if (answer.length < 4) return
    const length = answer.readUInt32BE(0)
    if (length < 1 || length > MAX_ANSWER_BYTES) reject(fail('its answer is not understood'))
    else if (answer.length >= 4 + length) resolve(answer.subarray(4, 4 + length))
  })
  socket.write(toString(message))
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
  }
}

/** Its length in four bytes, then the bytes: SSH's string, and the frame of a message to an agent. */
function toString(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

class Reader {
  readonly #bytes: Buffer
  readonly #short: () => VosError
  #at = 0

  constructor(bytes: Buffer, short: () => VosError) {
    this.#bytes = bytes
    this.#short = short
  }

  uint32(): number {
    if (this.#at + 4 > this.#bytes.length) throw this.#short()
    this.#at += 4
    return this.#bytes.readUInt32BE(this.#at - 4)
  }

  string(): Buffer {
    const length = this.uint32()
    if (this.#at + length > this.#bytes.length) throw this.#short()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
