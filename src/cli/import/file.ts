import fs from 'node:fs'
import path from 'node:path'
import { VosError } from '../../core/errors.ts'
import { readBytes } from '../ask.ts'
import { clean } from '../renderers/words.ts'
import { refuseTooMany, type Listing } from './fields.ts'
import type { Person } from './ssh-config.ts'

export const IMPORT_FORMATS = ['yaml', 'json', 'csv', 'ssh_config'] as const
export type ImportFormat = (typeof IMPORT_FORMATS)[number]

export const MAX_BYTES = 4 * 1024 * 1024

const BY_EXTENSION: Readonly<Record<string, ImportFormat>> = {
  '.yaml': 'yaml',
  '.yml': 'yaml',
  '.json': 'json',
  '.csv': 'csv',
  '.tsv': 'csv',
}

/** The whole text of a file, or of standard input for `-`. */
export async function readText(file: string, stdin: () => NodeJS.ReadStream): Promise<string> {
  const name = file === '-' ? 'standard input' : clean(file)
  const bytes = file === '-' ? await readBytes(stdin(), MAX_BYTES) : await readFile(file)
  if (bytes.length > MAX_BYTES) {
    throw new VosError('bad_request', `${name} is larger than 4 MiB. Nothing was imported.`, { hint: 'Split it.' })
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {
    // Said below.
  }
  throw new VosError('bad_request', `${name} is not UTF-8 text. Nothing was imported.`, {
    hint: 'Save it as UTF-8; vosctl reads YAML, JSON, CSV and ssh_config.',
  })
}

/** One byte more than {@link MAX_BYTES} at most: a device or a pipe may never end. */
export async function readFile(file: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of fs.createReadStream(file, { end: MAX_BYTES })) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? ''
    const why = { ENOENT: 'there is no such file', EISDIR: 'it is a directory', EACCES: 'you may not read it' }[code]
    throw new VosError('bad_request', `${clean(file)} cannot be read: ${why ?? code}.`, { cause })
  }
}

/** By the name of the file, else by the beginning of the text. */
export function detectFormat(file: string, text: string): ImportFormat {
  const known = BY_EXTENSION[path.extname(file).toLowerCase()]
  if (known) return known
  const first = text.split(/[\r\n]+/).find((line) => /^\s*[^\s#]/.test(line)) ?? ''
  if (/^\s*[[{]/.test(first)) return 'json'
  if (/^\s*(host|match|include)(\s+|\s*=\s*)[^\s=:]/i.test(first)) return 'ssh_config'
  if (/[,;\t]/.test(first) && !first.includes(':')) return 'csv'
  // Options before the first Host.
  return /^[ \t]*host[ \t]+\S/im.test(text) && !/^\s*(- |[a-z_]+:)/.test(first) ? 'ssh_config' : 'yaml'
}

/** @throws VosError when the text as a whole cannot be read, or holds no connection */
export async function parseText(text: string, format: ImportFormat, person: Person): Promise<Listing> {
  const listing = await parse(text, format, person)
  if (listing.rows.length === 0) {
    throw new VosError('empty_selection', 'there is no connection in it. Nothing was imported.', {
      hint: `It was read as ${format}; say what it is with --format.`,
    })
  }
  refuseTooMany(listing.rows.length)
  return listing
}

/** Each parser brings a library, loaded when there is something for it to read. */
async function parse(text: string, format: ImportFormat, person: Person): Promise<Listing> {
  switch (format) {
    case 'yaml':
    case 'json':
      return (await import('./yaml.ts')).readYaml(text, format)
    case 'csv':
      return (await import('./csv.ts')).readCsv(text)
    case 'ssh_config':
      return (await import('./ssh-config.ts')).readSshConfig(text, person)
    default:
      return format satisfies never
  }
}
