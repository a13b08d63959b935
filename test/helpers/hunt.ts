import fs from 'node:fs'
import path from 'node:path'
import { inspect } from 'node:util'
import { constants, inflateRawSync } from 'node:zlib'
import { oneLine } from '../../src/core/text.ts'

/** One place where a secret was found that must be nowhere. */
export interface Leak {
  /** What was planted: never the secret itself, because reports are printed. */
  readonly secret: string
  /** How it was written there. */
  readonly form: string
  readonly where: string
  readonly offset: number
}

/** A form that is shorter stands in a file by chance. */
const MIN_FORM_BYTES = 6
/** A secret that is this long is found by either half too: a page of a database, or the width of a terminal, cuts it. */
const MIN_HALVED_BYTES = 20
/** Streams inside streams are opened so many times. */
const MAX_DEPTH = 2
const MAX_STREAMS = 64

/** Looks for secrets in every form in which a program, a library or a person in a hurry would write them down. */
export class Hunt {
  readonly #planted = new Map<string, { readonly name: string; readonly forms: readonly Form[] }>()

  /** @throws Error when the secret is so short that it would be found everywhere */
  plant(name: string, secret: string | Buffer): void {
    const forms = typeof secret === 'string' ? formsOf(secret) : formsOfBytes(secret)
    if (Buffer.byteLength(secret) < MIN_FORM_BYTES) throw new Error(`too short to be hunted: ${name}`)
    const key = typeof secret === 'string' ? secret : secret.toString('hex')
    if (!this.#planted.has(key)) this.#planted.set(key, { name, forms })
  }

  get names(): string[] {
    return [...this.#planted.values()].map(({ name }) => name)
  }

  get size(): number {
    return this.#planted.size
  }

  /** @param except names of what may be there */
  search(bytes: Buffer | string, where: string, except: readonly string[] = []): Leak[] {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    return [buffer, ...openStreams(buffer, MAX_DEPTH)].flatMap((each, index) =>
      this.#searchOne(each, index === 0 ? where : `${where} (compressed stream ${index})`, except),
    )
  }

  /** Every file below a directory, its name, and where a link leads. */
  searchTree(directory: string, except: (file: string) => readonly string[] = () => []): Leak[] {
    if (!fs.existsSync(directory)) return []
    const entries = fs.readdirSync(directory, { recursive: true, withFileTypes: true })
    return entries.flatMap((entry) => {
      const file = path.join(entry.parentPath, entry.name)
      const allowed = except(path.relative(directory, file))
      const ofName = this.search(entry.name, `the name of ${file}`, allowed)
      if (entry.isSymbolicLink()) return [...ofName, ...this.search(fs.readlinkSync(file), `the link ${file}`, allowed)]
      return entry.isFile() ? [...ofName, ...this.search(fs.readFileSync(file), file, allowed)] : ofName
    })
  }

  /** What everybody may read of a process, and its owner; nothing once it has ended. */
  searchProcess(pid: number): Leak[] {
    return ['cmdline', 'environ'].flatMap((name) => {
      const file = `/proc/${pid}/${name}`
      try {
        return this.search(fs.readFileSync(file), file)
      } catch {
        return []
      }
    })
  }

  #searchOne(buffer: Buffer, where: string, except: readonly string[]): Leak[] {
    const leaks: Leak[] = []
    for (const { name, forms } of this.#planted.values()) {
      if (except.includes(name)) continue
      for (const { form, bytes } of forms) {
        const offset = buffer.indexOf(bytes)
        if (offset !== -1) leaks.push({ secret: name, form, where, offset })
      }
    }
    return leaks
  }
}

interface Form {
  readonly form: string
  readonly bytes: Buffer
}

/** A secret in each form that the hunt knows. */
export function formsOf(secret: string): Form[] {
  const utf8 = Buffer.from(secret)
  const json = JSON.stringify(secret).slice(1, -1)
  const each = (write: (byte: number) => string, between = '') => [...utf8].map(write).join(between)
  const hex = (byte: number) => byte.toString(16).padStart(2, '0')
  const characters = (write: (character: string) => string) => [...secret].map(write).join('')
  const units = (write: (unit: string) => string) =>
    Array.from({ length: secret.length }, (_, index) =>
      write(secret.charCodeAt(index).toString(16).padStart(4, '0')),
    ).join('')
  const texts: [form: string, text: string][] = [
    ['plain', secret],
    ['as our texts show it', oneLine(secret, 4096)],
    ['reversed', [...secret].toReversed().join('')],
    ['JSON', json],
    ['JSON in JSON', JSON.stringify(json).slice(1, -1)],
    ['JSON, ASCII only', json.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)],
    ['JSON, all escaped', units((unit) => `\\u${unit}`)],
    ['JSON, all escaped, upper case', units((unit) => `\\u${unit.toUpperCase()}`)],
    ['inspected', inspect(secret, { breakLength: Infinity }).slice(1, -1)],
    ['URL', encodeURIComponent(secret.toWellFormed())],
    [
      'URL, strict',
      encodeURIComponent(secret.toWellFormed()).replace(/[!'()*~]/g, (c) => `%${hex(c.charCodeAt(0)).toUpperCase()}`),
    ],
    ['URL, of a query', encodeURIComponent(secret.toWellFormed()).replaceAll("'", '%27')],
    ['URL, lower case', encodeURIComponent(secret.toWellFormed()).replace(/%../g, (code) => code.toLowerCase())],
    ['URL, of a form', new URLSearchParams([['', secret]]).toString().slice(1)],
    ['URL, all escaped', each((byte) => `%${hex(byte).toUpperCase()}`)],
    ['URL, all escaped, lower case', each((byte) => `%${hex(byte)}`)],
    ['HTML', characters((c) => HTML[c] ?? c)],
    ['HTML, numbers', characters((c) => (c in HTML ? `&#${c.codePointAt(0)};` : c))],
    ['HTML, hexadecimal numbers', characters((c) => (c in HTML ? `&#x${c.codePointAt(0)?.toString(16)};` : c))],
    ['quoted for a shell', secret.replaceAll("'", `'\\''`)],
    ['escaped for a shell', secret.replace(/[^A-Za-z0-9_./:@-]/gu, (c) => `\\${c}`)],
    ['CSV', secret.replaceAll('"', '""')],
    ['SQL or YAML', secret.replaceAll("'", "''")],
    ['systemd', secret.replaceAll('%', '%%')],
    ['hexadecimal', each(hex)],
    ['hexadecimal, upper case', each((byte) => hex(byte).toUpperCase())],
    ['hexadecimal, a Buffer inspected', each(hex, ' ')],
    ['hexadecimal, with colons', each(hex, ':')],
    ['hexadecimal, in C', each((byte) => `\\x${hex(byte)}`)],
    [
      'octal, as strace has it',
      each((byte) => (byte < 0x20 || byte > 0x7e ? `\\${byte.toString(8)}` : String.fromCharCode(byte))),
    ],
    ['decimal, a Buffer in JSON', each(String, ',')],
    ['decimal, an array inspected', each(String, ', ')],
    ['taken for Latin-1', utf8.toString('latin1')],
    ...[0, 1, 2].flatMap((shift): [string, string][] => {
      const text = base64At(utf8, shift)
      const name = `base64 at ${shift}`
      return [
        [name, text],
        [`${name}, for URLs`, text.replaceAll('+', '-').replaceAll('/', '_')],
      ]
    }),
  ]
  if (utf8.length >= MIN_HALVED_BYTES) {
    const half = Math.floor(secret.length / 2)
    texts.push(
      ['its first half', secret.slice(0, half).toWellFormed()],
      ['its second half', secret.slice(half).toWellFormed()],
    )
  }
  const binary: Form[] = [
    { form: 'UTF-16LE', bytes: Buffer.from(secret, 'utf16le') },
    { form: 'UTF-16BE', bytes: Buffer.from(secret, 'utf16le').swap16() },
    { form: 'Latin-1', bytes: Buffer.from(secret, 'latin1') },
  ]
  const all = [...texts.map(([form, text]) => ({ form, bytes: Buffer.from(text) })), ...binary]
  const seen = new Set<string>()
  return all.filter(({ bytes }) => {
    const key = bytes.toString('hex')
    if (seen.has(key) || bytes.length < MIN_FORM_BYTES) return false
    seen.add(key)
    return true
  })
}

/** Bytes that are no text, such as a key, in each form in which they would be written. */
function formsOfBytes(bytes: Buffer): Form[] {
  const hex = bytes.toString('hex')
  const pairs = hex.match(/../g) ?? []
  const texts = [hex, hex.toUpperCase(), pairs.join(' '), pairs.join(':'), bytes.join(','), bytes.join(', ')]
  const base64 = [0, 1, 2].map((shift) => base64At(bytes, shift))
  const urls = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))
  return [
    { form: 'as it is', bytes },
    { form: 'taken for Latin-1', bytes: Buffer.from(bytes.toString('latin1')) },
    ...[...texts, ...base64, ...urls].map((text) => ({
      form: `written as ${text.length} characters`,
      bytes: Buffer.from(text),
    })),
  ]
}

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** The characters that depend on nothing else, when the secret begins `shift` bytes after a border of three. */
function base64At(bytes: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString('base64')
    .replace(/=+$/, '')
  const isOpen = (shift + bytes.length) % 3 !== 0
  return text.slice(shift === 0 ? 0 : shift + 1, isOpen ? -1 : undefined)
}

/** What gzip and zlib streams hold, wherever in the bytes they begin. */
function openStreams(buffer: Buffer, depth: number): Buffer[] {
  if (depth === 0) return []
  const found: Buffer[] = []
  // Cut-off streams are opened as far as they go.
  const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 64 * 2 ** 20 }
  for (const magic of ['1f8b08', '7801', '785e', '789c', '78da'].map((hex) => Buffer.from(hex, 'hex'))) {
    for (let at = buffer.indexOf(magic); at !== -1 && found.length < MAX_STREAMS; at = buffer.indexOf(magic, at + 1)) {
      try {
        // Without the header what follows the stream does not matter.
        const inside = inflateRawSync(buffer.subarray(at + headerBytes(buffer, at)), options)
        if (inside.length > 0) found.push(inside, ...openStreams(inside, depth - 1))
      } catch {
        // These bytes only look like the beginning of a stream.
      }
    }
  }
  return found
}

/** RFC 1950 has two bytes, RFC 1952 ten and then what its flags say. */
function headerBytes(buffer: Buffer, at: number): number {
  if (buffer[at] !== 0x1f) return 2
  const flags = buffer[at + 3] ?? 0
  let end = at + 10
  if (flags & 4) end += 2 + buffer.readUInt16LE(end)
  for (const flag of [8, 16]) if (flags & flag) end = buffer.indexOf(0, end) + 1
  if (flags & 2) end += 2
  return end - at
}

/** For `expect(...).toEqual([])`: one line for each place, without the secret. */
export function toLines(leaks: readonly Leak[]): string[] {
  return leaks.map(({ secret, form, where, offset }) => `${secret}, ${form}: ${where} at ${offset}`)
}
