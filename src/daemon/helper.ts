import { spawn, type ChildProcess } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import type { Connection } from '../core/connection.ts'
import { VosError } from '../core/errors.ts'
import { oneLine } from '../core/text.ts'
import { distrust } from './trusted-file.ts'

const LIMIT_MS = 10_000
const MAX_OUTPUT_BYTES = 64 * 1024
const MAX_SECRET = 1024

/** A program of `config.yaml` and its arguments. No shell reads them. */
export type HelperCommand = readonly [program: string, ...words: string[]]

export type Asked = 'password' | 'passphrase'

/**
 * Asks a helper once. It gets one JSON object on its standard input and answers with one on its standard output,
 * `{"password": "…"}`, `{"passphrase": "…"}` or `{"error": "…"}`. What it says on standard error nobody reads: there is no
 * place where words of a program that handles secrets could be kept.
 * @throws VosError `no_credential` with the helper's name, or the signal's reason; nothing of the secret is in it
 */
export async function askHelper(
  helper: { readonly name: string; readonly command: HelperCommand },
  connection: Pick<Connection, 'id' | 'name' | 'host' | 'port' | 'username' | 'credential'>,
  what: Asked,
  signal: AbortSignal,
  limitMs: number = LIMIT_MS,
): Promise<string> {
  const fail = (why: string) => helperFailed(helper.name, connection.name, why)
  const wrong = distrustProgram(helper.command[0])
  if (wrong !== null) throw fail(wrong)
  const { id, name, host, port, username, credential } = connection
  const key = credential.type === 'key' ? { key: credential.path } : {}
  const question = { version: 1, what, connection: { id, name }, host, port, username, ...key }
  const { output, end } = await run(helper.command, `${JSON.stringify(question)}\n`, signal, limitMs)
  try {
    if (end.why !== null) throw fail(end.why)
    const answer = toAnswer(output, what)
    const said = answer?.error === undefined ? '' : `: ${plainWords(answer.error)}`
    if (end.status !== 0) throw fail(`it ended with ${end.status ?? 'a signal'}${said}`)
    if (answer?.error !== undefined) throw fail(`it says${said}`)
    if (answer?.secret === undefined) throw fail(`it gave no answer of the form {"${what}": "…"}`)
    return answer.secret
  } finally {
    output.fill(0)
  }
}

function helperFailed(helper: string, connection: string, why: string): VosError {
  return new VosError(
    'no_credential',
    `The helper "${helper}" has no secret for ${connection}: ${why}. Nothing was sent.`,
    {
      hint: 'Run it by hand with such a question: docs/credentials.md shows one.',
    },
  )
}

function distrustProgram(program: string): string | null {
  try {
    const why = distrust(program)
    if (why !== null) return why
    if (!fs.statSync(program).isFile()) return `${program} is no file`
    fs.accessSync(program, fs.constants.X_OK)
    return null
  } catch (error) {
    return `${program} cannot be used (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`
  }
}

/** It handles secrets, and one may be in its words: only what looks like a word of a sentence is repeated. */
function plainWords(text: string): string {
  const isPlain = /^["'(]?(?:\d{1,3}|(?:\p{Lu}?\p{Ll}{1,20}|\p{Lu}{1,8})(?:[-'/]\p{Ll}{1,20})*)["').,:;!?]*$/u
  const words = oneLine(text, 200).split(' ')
  return words.map((word) => (isPlain.test(word) ? word : '[…]')).join(' ')
}

interface End {
  /** Null for a signal. */
  readonly status: number | null
  /** What went wrong with it as a process. */
  readonly why: string | null
}

/** Its own process group, so that all of it can be ended; standard streams and no other descriptor; a fixed environment. */
async function run(
  [program, ...words]: HelperCommand,
  input: string,
  signal: AbortSignal,
  limitMs: number,
): Promise<{ readonly output: Buffer; readonly end: End }> {
  signal.throwIfAborted()
  const { homedir, username } = os.userInfo()
  const env = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: homedir,
    USER: username,
    LOGNAME: username,
    LANG: 'C.UTF-8',
  }
  // Without descriptors for them a child has no streams, whatever the types say, and its error comes later.
  const child: ChildProcess = spawn(program, words, {
    cwd: '/',
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const { promise: ended, resolve } = Promise.withResolvers<End>()
  const killAll = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // All of it is gone.
    }
  }
  const stop = (why: string) => {
    killAll()
    // One that has left the group may hold the stream for ever.
    child.stdout?.destroy()
    resolve({ status: null, why })
  }
  const chunks: Buffer[] = []
  let size = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size > MAX_OUTPUT_BYTES) stop(`it gave more than ${MAX_OUTPUT_BYTES / 1024} KiB`)
  })
  // One that does not read its question may have ended already; how, is told by its end.
  child.stdin?.on('error', () => undefined)
  child.on('error', (error: NodeJS.ErrnoException) => stop(`it cannot be run (${error.code ?? 'unknown error'})`))
  // Whatever it has left behind ends with it.
  child.on('exit', killAll)
  child.on('close', (status) => resolve({ status, why: null }))
  child.stdin?.end(input)
  const timer = setTimeout(() => stop(`it did not answer within ${limitMs / 1000} s`), limitMs)
  const onAbort = () => stop('the work was stopped')
  signal.addEventListener('abort', onAbort)
  try {
    const end = await ended
    signal.throwIfAborted()
    return { output: Buffer.concat(chunks), end }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    for (const chunk of chunks) chunk.fill(0)
  }
}

/** Strictly one object with one known key; null for anything else. */
function toAnswer(output: Buffer, what: Asked): { readonly secret?: string; readonly error?: string } | null {
  let parsed: unknown
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(output))
  } catch {
    return null
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null
  const [entry, ...more] = Object.entries(parsed)
  if (!entry || more.length > 0) return null
  const [key, value] = entry as [string, unknown]
  if (typeof value !== 'string' || value === '') return null
  if (key === 'error') return { error: value }
  const isGood = key === what && value.length <= MAX_SECRET && !/[\0\r\n]/.test(value) && value.isWellFormed()
  return isGood ? { secret: value } : null
}
