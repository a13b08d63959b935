import fs from 'node:fs'
import path from 'node:path'
import type { Node } from 'yaml'
import { toCredential } from '../core/connection.ts'
import { daysWords, parseDuration } from '../core/duration.ts'
import { VosError } from '../core/errors.ts'
import { editDistance } from '../core/service-name.ts'
import { oneLine } from '../core/text.ts'
import type { HelperCommand } from './helper.ts'
import { isLoopback, parseAddress, toHostPort, type Address } from './network/address.ts'
import type { KeyProvider } from './sealed-store.ts'

/** What a person may settle in `config.yaml`. */
export interface Settings {
  /** How long ended operations are kept, in milliseconds; null: for ever. */
  readonly historyMs: number | null
  /** The group that may use this daemon; null: its owner alone. */
  readonly group: string | null
  /** Where the network door is; nowhere: it is off. */
  readonly listen: readonly Address[]
  /** The origins of pages that may ask, as a browser writes them. */
  readonly origins: readonly string[]
  /** What may stand in a Host header beside the addresses of `listen`, in small letters. */
  readonly hosts: readonly string[]
  readonly polling: boolean
  readonly tls: TlsSettings | null
  /** What seals the secrets; null: what systemd has handed over, or else a key file. */
  readonly key: KeyProvider | null
  /** The socket of the one ssh-agent whose keys may be named; null: none. */
  readonly agent: string | null
  /** Programs that know secrets, by the names that connections use. */
  readonly helpers: Readonly<Record<string, HelperCommand>>
}

/** Files, by their absolute paths. */
export interface TlsSettings {
  readonly certificate: string
  readonly key: string
  /** The authorities whose client certificates are let in, and no others; null: none is asked for. */
  readonly clients: string | null
}

const DAY_MS = 86_400_000
export const DEFAULT_SETTINGS: Settings = {
  historyMs: 400 * DAY_MS,
  group: null,
  listen: [],
  origins: [],
  hosts: [],
  polling: false,
  tls: null,
  key: null,
  agent: null,
  helpers: Object.create(null) as Settings['helpers'],
}
const MAX_BYTES = 64 * 1024

interface Key {
  /** What may stand behind the key, for whoever wrote something else. */
  readonly say: string
  /** One value unless this says otherwise: one or several in a list, or one for each of several names. */
  readonly holds?: 'list' | 'map'
  /** What the value means, after those before it; null when nothing. */
  readonly read: (value: string, before: Settings, name: string) => Partial<Settings> | null
  /** The same where the value has a form of its own. */
  readonly readForm?: (value: unknown) => Partial<Settings> | null
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
  group: {
    say: 'vosctl, a group of this machine',
    read: (value) => (/^[a-z_][\w.-]{0,31}$/i.test(value) ? { group: value } : null),
  },
  listen: {
    say: '127.0.0.1:8443, or a list of such addresses: [::1]:8443',
    holds: 'list',
    read: (value, { listen }) => {
      const address = parseAddress(value)
      return address && { listen: [...listen, address] }
    },
  },
  origins: {
    say: 'https://ops.example.com exactly as the browser shows it, without a path; no wildcard and no null',
    holds: 'list',
    read: (value, { origins }) => (isOrigin(value) ? { origins: [...origins, value] } : null),
  },
  hosts: {
    say: 'ops.example.com:8443, as it stands in the address of the browser',
    holds: 'list',
    read: (value, { hosts }) => (HOST.test(value) ? { hosts: [...hosts, value.toLowerCase()] } : null),
  },
  polling: {
    say: 'true or false',
    read: (value) => (value === 'true' || value === 'false' ? { polling: value === 'true' } : null),
  },
  tls: {
    say: 'certificate, key and clients, each with the absolute path of a PEM file',
    holds: 'map',
    read: (value, { tls }, name) => {
      if (!['certificate', 'key', 'clients'].includes(name) || !path.isAbsolute(value)) return null
      return { tls: { certificate: '', key: '', clients: null, ...tls, [name]: value } }
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
    readForm: readHelpers,
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

const HOST = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[1-9]\d{0,4})?$/i

function isOrigin(value: string): boolean {
  return /^https?:\/\/[a-z0-9.:[\]-]+$/.test(value) && URL.parse(value)?.origin === value && !value.endsWith('.')
}

/**
 * What is only for those who can show a certificate is refused to everybody else.
 * @returns what is wrong, or null
 */
function contradiction({ listen, tls }: Settings): string | null {
  if (tls && (tls.certificate === '' || tls.key === '')) return 'tls needs both certificate and key.'
  const far = listen.find(({ host }) => !isLoopback(host))
  if (!far || tls?.clients) return null
  return (
    `listen is ${toHostPort(far)}, which other machines reach: that needs tls with certificate, key and clients ` +
    '(the authorities of client certificates). Say 127.0.0.1 or [::1] otherwise.'
  )
}

const KEY_WORDS = { file: 'a key file', systemd: 'a credential of systemd', passphrase: 'a passphrase' } as const

/** What the settings mean, in one line. */
export function settingsWords({
  historyMs,
  group,
  listen,
  origins,
  hosts,
  polling,
  tls,
  ...secrets
}: Settings): string {
  const list = (values: readonly string[]) => (values.length === 0 ? 'none' : values.join(', '))
  const shared = group === null ? '' : `; group ${group} may use this daemon`
  const { key, agent, helpers } = secrets
  const history = [
    `history is kept ${daysWords(historyMs)}${shared}`,
    ...(key === null ? [] : [`secrets are sealed by ${KEY_WORDS[key]}`]),
    ...(agent === null ? [] : [`ssh-agent ${oneLine(agent)}`]),
    ...(Object.keys(helpers).length === 0 ? [] : [`helpers ${Object.keys(helpers).join(', ')}`]),
  ].join('; ')
  if (listen.length === 0) return `${history}; nothing listens on the network`
  return [
    history,
    `listens on ${listen.map((address) => `${tls ? 'https' : 'http'}://${toHostPort(address)}`).join(' and ')}`,
    `origins ${list(origins)}`,
    ...(hosts.length === 0 ? [] : [`hosts beside its own ${list(hosts)}`]),
    `polling ${polling}`,
    ...(tls ? [`client certificates ${tls.clients === null ? 'not asked for' : `of ${tls.clients} only`}`] : []),
  ].join('; ')
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
  return text === null ? DEFAULT_SETTINGS : await parseSettings(text, file)
}

/**
 * YAML 1.2, strictly: what is not understood is an error and never ignored.
 * @throws VosError `bad_config`
 */
export async function parseSettings(text: string, file: string): Promise<Settings> {
  // Most houses have no such file, and then nothing of it is loaded.
  const { isMap, isScalar, isSeq, LineCounter, parseDocument } = await import('yaml')
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { version: '1.2', lineCounter, prettyErrors: false })
  const fail = (offset: number, what: string) => badConfig(`${file}:${lineCounter.linePos(offset).line}: ${what}`)
  const [problem] = [...document.errors, ...document.warnings]
  if (problem) throw fail(problem.pos[0], `this is not YAML: ${oneLine(problem.message)}.`)
  const { contents } = document
  if (contents === null) return DEFAULT_SETTINGS
  if (!isMap(contents)) throw fail(contents.range?.[0] ?? 0, 'this is not a list of settings (key: value).')
  const settings = { ...DEFAULT_SETTINGS }
  /** The single values behind a key, with the names that those of a map have. */
  const singlesOf = ({ holds }: Key, value: unknown): readonly (readonly [string, unknown])[] => {
    if (holds === 'list' && isSeq(value)) return value.items.map((item) => ['', item])
    if (holds !== 'map') return [['', value]]
    if (!isMap(value) || value.items.length === 0) return [['', null]]
    return value.items.map((item) => [isScalar(item.key) ? String(item.key.value) : '', item.value])
  }
  for (const { key, value } of contents.items) {
    const name = isScalar(key) ? String(key.value) : 'a key that is no word'
    const offset = (isScalar(key) && key.range?.[0]) || 0
    const known = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined
    if (!known) throw fail(offset, `unknown key "${oneLine(name)}". ${suggestion(name)}`)
    if (known.readForm && !isScalar(value)) {
      const meant = known.readForm((value as Node | null)?.toJS(document))
      if (!meant) throw fail(offset, `${name} is not of its form. Say for example ${known.say}.`)
      Object.assign(settings, meant)
      continue
    }
    for (const [part, single] of singlesOf(known, value)) {
      const text = isScalar(single) ? (single.source ?? '') : null
      const meant = text === null ? null : known.read(text, settings, part)
      const said = text === null ? 'no single value' : `"${oneLine(text)}"`
      const at = (isScalar(single) && single.range?.[0]) || offset
      const full = part === '' ? name : `${name}: ${oneLine(part)}`
      if (!meant) throw fail(at, `${full} is ${said}. Say for example ${known.say}.`)
      Object.assign(settings, meant)
    }
  }
  const wrong = contradiction(settings)
  if (wrong !== null) throw fail(0, wrong)
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
