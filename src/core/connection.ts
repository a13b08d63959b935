export const PLATFORMS = ['vos', 'linux'] as const
export type Platform = (typeof PLATFORMS)[number]

export const ALGORITHM_PROFILES = ['modern', 'legacy-vos'] as const
export type AlgorithmProfile = (typeof ALGORITHM_PROFILES)[number]

/** The types of host keys that can be checked. */
export const HOST_KEY_TYPES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
] as const
export type HostKeyType = (typeof HOST_KEY_TYPES)[number]

/** Time limits of one connection in milliseconds; each phase has its own, and its own error code. */
export interface Timings {
  readonly connectMs: number
  readonly identMs: number
  readonly keyExchangeMs: number
  readonly loginMs: number
  readonly shellMs: number
  readonly promptMs: number
  /** Quiet after which an unterminated prompt counts as the prompt. */
  readonly quietMs: number
  /** Silence after the welcome block before the device is nudged with one Enter. */
  readonly nudgeMs: number
  readonly echoMs: number
  /** A read-only command, such as the service list. */
  readonly commandMs: number
  readonly firstStateMs: number
  readonly silenceWarningMs: number
  readonly silenceLimitMs: number
  readonly pollMs: number
  readonly pollLimitMs: number
  /** How long a lost device is tried again (TCP only) before a look at it is given up. */
  readonly reconnectMs: number
  readonly deadlineMs: number
}

/** Source: docs/architecture.md, "Time limits", which follow the timings seen on real appliances. */
export const DEFAULT_TIMINGS: Timings = {
  connectMs: 15_000,
  identMs: 30_000,
  keyExchangeMs: 30_000,
  loginMs: 120_000,
  shellMs: 15_000,
  promptMs: 120_000,
  quietMs: 250,
  nudgeMs: 15_000,
  echoMs: 10_000,
  commandMs: 120_000,
  firstStateMs: 60_000,
  silenceWarningMs: 120_000,
  silenceLimitMs: 300_000,
  pollMs: 10_000,
  pollLimitMs: 300_000,
  reconnectMs: 300_000,
  deadlineMs: 20 * 60_000,
}

/** A pinned host key: the only key that this connection accepts. */
export interface HostKey {
  readonly type: string
  /** `SHA256:` and unpadded base64, as OpenSSH prints it. */
  readonly fingerprint: string
}

/** A host key as a device shows it. */
export interface ShownKey extends HostKey {
  /** Of an RSA key; null for the others. */
  readonly bits: number | null
}

/** How a connection authenticates. Named, never searched for: where the one that is named fails, no other is tried. */
export type CredentialSource =
  | { readonly type: 'none' }
  /** A password, sealed in the database. */
  | { readonly type: 'sealed' }
  /**
   * A private key file, read at the moment of use. If it is encrypted, its passphrase is sealed in the database, or a
   * helper is asked for it.
   */
  | { readonly type: 'key'; readonly path: string; readonly passphrase?: 'sealed' | `helper:${string}` }
  /** A program of `config.yaml` that is asked for the password at each login. */
  | { readonly type: 'helper'; readonly name: string }
  /** The one key with this fingerprint in the ssh-agent of `config.yaml`. */
  | { readonly type: 'agent'; readonly fingerprint: string }
  /** Whoever starts an operation is asked for the password, for this operation alone. */
  | { readonly type: 'prompt' }

/** `helper:ops`, `agent:SHA256:…`, `key:/path`, or the type alone: how a source is said and stored. */
export function credentialWord(source: CredentialSource): string {
  switch (source.type) {
    case 'key':
      return `key:${source.path}`
    case 'helper':
      return `helper:${source.name}`
    case 'agent':
      return `agent:${source.fingerprint}`
    default:
      return source.type
  }
}

/** The other way round; null for what is no source. A path is taken as it is. */
export function toCredential(word: string): CredentialSource | null {
  if (word === 'none' || word === 'sealed' || word === 'prompt') return { type: word }
  const [, type, rest = ''] = /^(key|helper|agent):(.+)$/s.exec(word) ?? []
  if (type === 'key') return { type, path: rest }
  if (type === 'helper') return /^[a-z][a-z0-9-]{0,31}$/.test(rest) ? { type, name: rest } : null
  return type === 'agent' && /^SHA256:[A-Za-z0-9+/]{43}$/.test(rest) ? { type, fingerprint: rest } : null
}

/** A jump host on the way to a device. */
export interface Hop {
  readonly id: number
  readonly name: string
  readonly host: string
  readonly port: number
}

/** Jump hosts on the way to one device, at most. */
export const MAX_HOPS = 4

export interface Connection {
  readonly id: number
  readonly name: string
  readonly host: string
  readonly port: number
  readonly username: string
  readonly platform: Platform
  /** The service that `restart` means when none is named; null when there is none. */
  readonly service: string | null
  readonly credential: CredentialSource
  readonly hostKey: HostKey | null
  /** For labs: the first key that is seen is pinned, without a comparison. */
  readonly acceptNew: boolean
  readonly algorithms: AlgorithmProfile
  /** Why old algorithms are needed, and the last day (YYYY-MM-DD, local time) on which they are allowed; null with `modern`. */
  readonly algorithmsReason: string | null
  readonly algorithmsUntil: string | null
  /** Compare the echo of a typed command before Enter. Off for a device that does not echo until Enter. */
  readonly echo: boolean
  /** The byte that means Enter. */
  readonly enter: 'cr' | 'lf'
  /** Linux: run systemctl through `sudo -n`. */
  readonly sudo: boolean
  /** The connection through which this one is reached; null: none. */
  readonly via: number | null
  /** All jump hosts, from here to the device; the last one is `via`. */
  readonly hops: readonly Hop[]
  /** Where they differ from {@link DEFAULT_TIMINGS}. */
  readonly timings: Partial<Timings>
}

/** "Do not touch this connection", with who and why. */
export interface Hold {
  readonly since: number
  readonly by: string
  readonly reason: string | null
}

export const DEFAULT_SERVICE: Record<Platform, string | null> = { vos: 'Cisco Tomcat', linux: null }

/**
 * Two connections with the same key are one device: work on one excludes work on the other. The same address behind
 * another jump host is another device: `10.0.0.1:22 via bastion:22`.
 */
export function deviceKey({ host, port, hops }: Address & { readonly hops: readonly Address[] }): string {
  return [{ host, port }, ...hops.toReversed()].map(addressKey).join(' via ')
}

/** For whom a secret is typed: this login, or a key file for it. `admin@10.0.0.1:22`, `/k for admin@10.0.0.1:22`. */
export function loginKey(connection: Pick<Connection, 'host' | 'port' | 'hops' | 'username' | 'credential'>): string {
  const { username, credential } = connection
  const login = `${username}@${deviceKey(connection)}`
  return credential.type === 'key' ? `${credential.path} for ${login}` : login
}

type Address = Pick<Connection, 'host' | 'port'>

function addressKey(address: Address): string {
  const host = address.host.toLowerCase().replace(/\.$/, '')
  // A URL writes an IPv6 address in its one shortest form.
  const known = host.includes(':') ? (URL.parse(`http://[${host}]`)?.hostname ?? `[${host}]`) : host
  return `${known}:${address.port}`
}

/** The jump hosts that lead to what is behind `via`, from here on; of a circle no more than one too many. */
export function hopsTo<Key>(
  via: Key | null,
  find: (key: Key) => (Hop & { readonly via: Key | null }) | undefined,
): Hop[] {
  const hops: Hop[] = []
  for (let hop = via === null ? undefined : find(via); hop && hops.length <= MAX_HOPS;) {
    const { id, name, host, port } = hop
    hops.unshift({ id, name, host, port })
    hop = hop.via === null ? undefined : find(hop.via)
  }
  return hops
}

/** Everything that an edit can change or take away, as one string: two that are equal were not changed in between. */
export function toState(connection: Connection): string {
  const { name, username, platform, service, credential, hostKey } = connection
  const { acceptNew, algorithms, algorithmsReason, algorithmsUntil, echo, enter, sudo, via, timings } = connection
  const login = [name, deviceKey(connection), username, platform, service, credential, hostKey]
  const limits = [acceptNew, algorithms, algorithmsReason, algorithmsUntil]
  return JSON.stringify([...login, ...limits, echo, enter, sudo, via, timings])
}

const DAY_MS = 86_400_000

/** The day of a moment in local time: `2026-11-28`. */
export function dayOf(at: number): string {
  const date = new Date(at)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

/**
 * How many days old algorithms are allowed after today: 0 on the last one, negative when it is over; null without an end,
 * and where none are allowed.
 */
export function daysOfOldAlgorithms(
  { algorithms, algorithmsUntil }: Pick<Connection, 'algorithms' | 'algorithmsUntil'>,
  now: number,
): number | null {
  if (algorithms === 'modern' || algorithmsUntil === null) return null
  return Math.round((Date.parse(algorithmsUntil) - Date.parse(dayOf(now))) / DAY_MS)
}

/** No end may lie further away: what was allowed for longer would be forgotten. */
const MAX_DAYS = 731

export type AlgorithmLimits = Pick<Connection, 'algorithms' | 'algorithmsReason' | 'algorithmsUntil'>

/**
 * What is wrong with a change of what may be negotiated; null for nothing. Old algorithms need a reason and an end, so that
 * somebody looks at them again. Those that an older vosctl allowed without an end stay until somebody touches them.
 * @param before null for a new connection
 */
export function problemOfAlgorithms(
  before: AlgorithmLimits | null,
  change: { readonly [Key in keyof AlgorithmLimits]?: AlgorithmLimits[Key] },
  now: number,
): { readonly field: keyof AlgorithmLimits; readonly why: string; readonly hint: string } | null {
  const { algorithms, algorithmsReason: reason, algorithmsUntil: until } = { ...before, ...change }
  const isSaid = (field: keyof AlgorithmLimits) => change[field] !== undefined && change[field] !== null
  if (algorithms !== 'legacy-vos') {
    const field = (['algorithmsReason', 'algorithmsUntil'] as const).find(isSaid)
    return field ? { field, why: 'is for old algorithms only', hint: 'Say legacy-vos too, or leave it out.' } : null
  }
  if (isSaid('algorithms') && (reason ?? null) === null) {
    return { field: 'algorithmsReason', why: 'is missing: legacy-vos needs one', hint: 'Say why: --reason <text>' }
  }
  if (isSaid('algorithms') && (until ?? null) === null) {
    const hint = 'Say the last day on which they are allowed: --until YYYY-MM-DD'
    return { field: 'algorithmsUntil', why: 'is missing: legacy-vos needs an end', hint }
  }
  if (!isSaid('algorithmsUntil') && !isSaid('algorithms')) return null
  const days = daysOfOldAlgorithms({ algorithms, algorithmsUntil: until ?? null }, now)
  if (days === null) return null
  const hint = 'Say a day from today on, at most two years ahead.'
  if (days < 0) return { field: 'algorithmsUntil', why: `is over: ${until}`, hint }
  return days > MAX_DAYS ? { field: 'algorithmsUntil', why: `is too far away: ${until}`, hint } : null
}
