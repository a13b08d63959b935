import fs from 'node:fs'
import path from 'node:path'
import type { Node } from 'yaml'
import { toCredential } from '../core/connection.ts'
import { parseDuration } from '../core/duration.ts'
import { VosError } from '../core/errors.ts'
import { editDistance } from '../core/service-name.ts'
import { oneLine } from '../core/text.ts'
import type { HelperCommand } from './helper.ts'
import type { KeyProvider } from './sealed-store.ts'
import { distrust } from './trusted-file.ts'

/** What a person may settle in `config.yaml`. */
export interface Settings {
  /** How long ended operations are kept, in milliseconds; null: for ever. */
  readonly historyMs: number | null
  /** What seals the secrets; null: what systemd has handed over, or else a key file. */
  readonly key: KeyProvider | null
  /** The socket of the one ssh-agent whose keys may be named; null: none. */
  readonly agent: string | null
  /** Programs that know secrets, by the names that connections use. */
  readonly helpers: Readonly<Record<string, HelperCommand>>
}

const DAY_MS = 86_400_000
export const DEFAULT_SETTINGS: Settings = {
  historyMs: 400 * DAY_MS,
  key: null,
  agent: null,
  helpers: Object.create(null) as Settings['helpers'],
}
const MAX_BYTES = 64 * 1024

interface Key {
  /** What may stand behind the key, for whoever wrote something else. */
  readonly say: string
  /** What the value means; null when nothing. */
  readonly read: (value: string) => Partial<Settings> | null
  /** The same where more than one value may stand behind the key. */
  readonly readMap?: (value: unknown) => Partial<Settings> | null
}

const KEYS: Readonly<Record<string, Key>> = {
  history: {
    say: '90d, 400d or 2y (at least a day), or forever',
    read: (value) => {
      if (value === 'forever') return { historyMs: null }
      const ms = Math.round(parseDuration(value) ?? 0)
      return ms >= DAY_MS && Number.isSafeInteger(ms) ? { historyMs: ms } : null
    },
  },
  key: {
    say: 'file, systemd or passphrase',
    read: (value) => (value === 'file' || value === 'systemd' || value === 'passphrase' ? { key: value } : null),
  },
  agent: {
    say: '/run/user/1000/ssh-agent.sock, an absolute path',
    read: (value) => (path.isAbsolute(value) ? { agent: path.normalize(value) } : null),
  },
  helpers: {
    say: '{ops: [/usr/local/bin/ops-secret, vosctl]}, each the absolute path of a program and its arguments',
    read: () => null,
    readMap: readHelpers,
  },
}

function readHelpers(value: unknown): Partial<Settings> | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const entries = Object.entries(value)
  const isCommand = (words: unknown): words is HelperCommand =>
    Array.isArray(words) && words.every((word) => typeof word === 'string') && path.isAbsolute(words[0] ?? '')
  const isGood = entries.every(([name, words]) => toCredential(`helper:${name}`) !== null && isCommand(words))
  // Without a prototype: the name "constructor" is a name like any other.
  return isGood ? { helpers: Object.assign(Object.create(null), value) as Settings['helpers'] } : null
}

export function settingsFile(configDirectory: string): string {
  return path.join(configDirectory, 'config.yaml')
}

/**
 * The settings file, or the defaults where there is none.
 * @throws VosError `bad_config` that names the file and the line
 */
export async function readSettings(configDirectory: string): Promise<Settings> {
  const file = settingsFile(configDirectory)
  const text = readIfThere(file)
  const settings = text === null ? DEFAULT_SETTINGS : await parseSettings(text, file)
  const isTrusting = settings.agent !== null || Object.keys(settings.helpers).length > 0
  const wrong = isTrusting ? distrust(file) : null
  if (wrong === null) return settings
  // Whoever can write it names the program that is asked for passwords.
  throw badConfig(`${file} says whom to ask for passwords, and ${wrong}.`)
}

/**
 * YAML 1.2, strictly: what is not understood is an error and never ignored.
 * @throws VosError `bad_config`
 */
export async function parseSettings(text: string, file: string): Promise<Settings> {
  // Most houses have no such file, and then nothing of it is loaded.
  const { isMap, isScalar, LineCounter, parseDocument } = await import('yaml')
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { version: '1.2', lineCounter, prettyErrors: false })
  const fail = (offset: number, what: string) => badConfig(`${file}:${lineCounter.linePos(offset).line}: ${what}`)
  const [problem] = [...document.errors, ...document.warnings]
  if (problem) throw fail(problem.pos[0], `this is not YAML: ${oneLine(problem.message)}.`)
  const { contents } = document
  if (contents === null) return DEFAULT_SETTINGS
  if (!isMap(contents)) throw fail(contents.range?.[0] ?? 0, 'this is not a list of settings (key: value).')
  const settings = { ...DEFAULT_SETTINGS }
  for (const { key, value } of contents.items) {
    const name = isScalar(key) ? String(key.value) : 'a key that is no word'
    const offset = (isScalar(key) && key.range?.[0]) || 0
    const known = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined
    if (!known) throw fail(offset, `unknown key "${oneLine(name)}". ${suggestion(name)}`)
    const text = isScalar(value) ? (value.source ?? '') : null
    const meant = text !== null ? known.read(text) : (known.readMap?.((value as Node | null)?.toJS(document)) ?? null)
    const said = text !== null ? `"${oneLine(text)}"` : known.readMap ? 'not of its form' : 'no single value'
    if (!meant) throw fail(offset, `${name} is ${said}. Say for example ${known.say}.`)
    Object.assign(settings, meant)
  }
  return settings
}

function suggestion(name: string): string {
  const known = Object.keys(KEYS)
  const near = known.find((key) => editDistance(key, name.toLowerCase()) <= Math.max(1, Math.floor(key.length / 3)))
  return near === undefined ? `There are: ${known.join(', ')}.` : `Did you mean ${near}?`
}

function readIfThere(file: string): string | null {
  try {
    const stat = fs.statSync(file, { throwIfNoEntry: false })
    if (!stat) {
      const hasDirectory = fs.statSync(path.dirname(file), { throwIfNoEntry: false })?.isDirectory()
      if (!hasDirectory || !fs.lstatSync(file, { throwIfNoEntry: false })) return null
      // The defaults might take away what the file, once it is there, says to keep.
      throw badConfig(`${file} is a link to a file that is not there.`)
    }
    // A pipe would keep the daemon waiting for ever.
    if (!stat.isFile()) throw badConfig(`${file} is not a regular file.`)
    if (stat.size > MAX_BYTES) throw badConfig(`${file} is longer than ${MAX_BYTES / 1024} KiB.`)
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof VosError) throw error
    throw badConfig(`${file} cannot be read: ${oneLine((error as Error).message)}.`)
  }
}

function badConfig(message: string): VosError {
  return new VosError('bad_config', message, {
    hint: 'Correct the file and try again. Nothing was begun, and nothing is lost.',
  })
}
