import type { IncomingMessage } from 'node:http'
import { HttpError } from './answer.ts'

/** The longest body: every field of a request at its longest is shorter. */
export const MAX_BODY_BYTES = 8 * 1024

/** A client that sends its body more slowly than this is not waited for. */
export const BODY_MS = 10_000

/**
 * The JSON document of a request; an empty object where there is no body and no word about one.
 * @throws HttpError 400 what is not JSON, 408 too slow, 413 too long, 415 something else than JSON in UTF-8
 */
export async function readJson(request: IncomingMessage, limitMs = BODY_MS): Promise<unknown> {
  const { 'content-type': type, 'content-encoding': encoding } = request.headers
  if (type === undefined && !hasBody(request)) return {}
  if (!/^application\/json[ \t]*(;[ \t]*charset=("utf-8"|utf-8))?[ \t]*$/i.test(type ?? '') || encoding !== undefined) {
    throw new HttpError(415, 'The body is not JSON in UTF-8.', {
      hint: 'Send it plain, with the header Content-Type: application/json',
    })
  }
  return parse(await read(request, limitMs))
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** All of it. What was cut off on its way is no body. */
async function read(request: IncomingMessage, limitMs: number): Promise<Buffer> {
  const tooLong = new HttpError(413, `The body is longer than ${MAX_BODY_BYTES} bytes.`)
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLong
  const chunks: Buffer[] = []
  let length = 0
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onData = (chunk: Buffer) => {
    length += chunk.length
    if (length > MAX_BODY_BYTES) reject(tooLong)
    else chunks.push(chunk)
  }
  const onCut = () => reject(new HttpError(400, 'The body was cut off.'))
  const late = setTimeout(() => reject(new HttpError(408, 'The body did not come in time.')), limitMs)
  request.on('data', onData).on('end', resolve).on('error', onCut).on('close', onCut)
  if (request.destroyed) onCut()
  try {
    await promise
  } finally {
    clearTimeout(late)
    request.off('data', onData)
    request.pause()
  }
  return Buffer.concat(chunks)
}

function parse(bytes: Buffer): unknown {
  // The words of the parser would repeat what was sent.
  const refuse = (what: string) => new HttpError(400, `The body ${what}.`)
  let text: string
  let document: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw refuse('is not UTF-8')
  }
  try {
    document = JSON.parse(text)
  } catch {
    throw refuse(text.startsWith('\uFEFF') ? 'begins with a byte order mark' : 'is not JSON')
  }
  if (saysTwice(text)) throw refuse('names a field twice')
  return document
}

/** Of two values for one name a parser takes the last, and whoever wrote them may have meant the first. */
function saysTwice(json: string): boolean {
  const names = [...json.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?/g)].flatMap(([, name = '""', colon]) =>
    colon === undefined ? [] : [JSON.parse(name) as string],
  )
  return new Set(names).size < names.length
}
