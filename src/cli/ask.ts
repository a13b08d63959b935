import { StringDecoder } from 'node:string_decoder'
import { VosError } from '../core/errors.ts'
import { conceal } from '../core/masks.ts'
import type { Io } from './follow.ts'

/** Somebody pressed Ctrl-C at a question: the command ends as if by SIGINT. */
export class InterruptedError extends Error {}

export function canAsk({ stdin, stderr }: Pick<Io, 'stdin' | 'stderr'>): boolean {
  return Boolean(stdin.isTTY && stderr.isTTY)
}

/**
 * A yes-or-no question on stderr. Only `y` and `yes` mean yes; an empty line and the end of input mean no.
 * @throws the signal's reason
 */
export async function confirm(
  question: string,
  io: Pick<Io, 'stdin' | 'stderr'>,
  signal?: AbortSignal,
): Promise<boolean> {
  const answer = await askLine(`${question} [y/N] `, io, signal)
  return /^y(es)?$/i.test(answer?.trim() ?? '')
}

/** One line, trimmed; null at the end of input. */
export async function askText(question: string, io: Pick<Io, 'stdin' | 'stderr'>): Promise<string | null> {
  return (await askLine(`${question} `, io))?.trim() ?? null
}

async function askLine(
  prompt: string,
  { stdin, stderr }: Pick<Io, 'stdin' | 'stderr'>,
  signal?: AbortSignal,
): Promise<string | null> {
  stderr.write(prompt)
  const line = await readLine(stdin, signal)
  if (line === null) stderr.write('\n')
  return line
}

/** Up to the first line break, which the terminal's own line editing has ended. What follows stays in the stream. */
export async function readLine(stdin: NodeJS.ReadStream, signal?: AbortSignal): Promise<string | null> {
  const decoder = new StringDecoder('utf8')
  let text = ''
  const take = (chunk: Buffer) => {
    text += decoder.write(chunk)
    return text.includes('\n') ? 'line' : null
  }
  const end = await readUntil(stdin, take, signal)
  if (end === null && text === '') return null
  const [line = '', ...rest] = text.split('\n')
  if (rest.length > 0 && rest.join('\n') !== '') stdin.unshift(Buffer.from(rest.join('\n')))
  return line.replace(/\r$/, '')
}

/** Everything on standard input, at most `maxBytes`. */
export async function readAll(stdin: NodeJS.ReadStream, maxBytes = 1024 * 1024): Promise<string> {
  return (await readBytes(stdin, maxBytes)).toString()
}

/** Everything on standard input; of more than `maxBytes` the beginning, which is longer than that. */
export async function readBytes(stdin: NodeJS.ReadStream, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  await readUntil(stdin, (chunk) => {
    chunks.push(chunk)
    size += chunk.length
    return size > maxBytes ? 'full' : null
  })
  return Buffer.concat(chunks)
}

/** Read by Node before anything of ours, and it prints what is read from a stream. */
function refuseNodeDebug({ NODE_DEBUG }: NodeJS.ProcessEnv): void {
  if (!NODE_DEBUG) return
  throw new VosError('bad_request', 'NODE_DEBUG is set, with which Node may print the password.', {
    hint: 'Unset it: env -u NODE_DEBUG vosctl …',
  })
}

/**
 * The first line of standard input, which is a secret.
 * @throws VosError `bad_request` where Node would print it
 */
export async function readSecret({ stdin, env }: Pick<Io, 'stdin' | 'env'>): Promise<string | null> {
  refuseNodeDebug(env)
  const line = await readLine(stdin)
  return line === null ? null : kept(line)
}

/** For as long as this client lives: a report about a bug must not show it. */
function kept(secret: string): string {
  conceal(secret)
  return secret
}

const BACKSPACE = ['\b', '\x7f']
const CTRL_C = '\x03'
const CTRL_D = '\x04'
const CTRL_U = '\x15'

/**
 * A secret from the terminal, without echo, not even of its length. Null when the person gave none (Ctrl-D).
 * @throws InterruptedError on Ctrl-C, the terminal is as before in every case; VosError `bad_request` where Node would print it
 */
export async function askSecret(
  question: string,
  { stdin, stderr, env }: Pick<Io, 'stdin' | 'stderr' | 'env'>,
): Promise<string | null> {
  refuseNodeDebug(env)
  const decoder = new StringDecoder('utf8')
  const secret: string[] = []
  let cutOff = ''
  // Before the question: who answers at once must not see the answer on the screen.
  stdin.setRawMode(true)
  try {
    stderr.write(`${question} `)
    const end = await readUntil(stdin, (chunk) => {
      const [typed, rest] = withoutEscapes(cutOff + decoder.write(chunk))
      cutOff = rest
      for (const character of typed) {
        if (character === '\r' || character === '\n') return 'line'
        if (character === CTRL_C) return 'interrupt'
        if (character === CTRL_D) return 'end'
        if (character === CTRL_U) secret.length = 0
        else if (BACKSPACE.includes(character)) secret.pop()
        else if (character >= ' ') secret.push(character)
      }
      return null
    })
    if (end === 'interrupt') throw new InterruptedError('interrupted')
    return end === 'line' ? kept(secret.join('')) : null
  } finally {
    stdin.setRawMode(false)
    stderr.write('\n')
  }
}

/** An escape sequence is a key such as an arrow, nothing of a password. Its beginning, at the end of a piece, is kept. */
function withoutEscapes(text: string): [typed: string, cutOff: string] {
  const cutOff = /\x1b(\[[0-?]*[ -/]*|O)?$/.exec(text)?.[0] ?? ''
  const whole = text.slice(0, text.length - cutOff.length)
  return [whole.replace(/\x1b(\[[0-?]*[ -/]*[@-~]|O[ -~]|[^[O\x00-\x1f])?/g, ''), cutOff]
}

/** Feeds chunks to `take` until it answers, or the stream ends: then null. Leaves the stream paused. */
async function readUntil<End extends string>(
  stdin: NodeJS.ReadStream,
  take: (chunk: Buffer) => End | null,
  signal?: AbortSignal,
): Promise<End | null> {
  signal?.throwIfAborted()
  if (stdin.readableEnded || stdin.destroyed) return null
  return await new Promise((resolve, reject) => {
    const finish = (end: End | null, error?: Error) => {
      stdin.off('data', onData)
      stdin.off('end', onEnd)
      stdin.off('close', onEnd)
      stdin.off('error', onError)
      signal?.removeEventListener('abort', onAbort)
      stdin.pause()
      if (error) reject(error)
      else resolve(end)
    }
    const onData = (chunk: Buffer | string) => {
      const end = take(Buffer.from(chunk))
      if (end !== null) finish(end)
    }
    const onEnd = () => finish(null)
    // A terminal that is gone reads as an error: the same as no answer.
    const onError = (error: NodeJS.ErrnoException) => (error.code === 'EIO' ? finish(null) : finish(null, error))
    const onAbort = () => finish(null, signal?.reason as Error)
    signal?.addEventListener('abort', onAbort)
    stdin.on('data', onData)
    stdin.on('end', onEnd)
    stdin.on('close', onEnd)
    stdin.on('error', onError)
    stdin.resume()
  })
}
