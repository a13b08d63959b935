export const PLATFORMS = ['vos', 'linux'] as const
export type Platform = (typeof PLATFORMS)[number]

export const ALGORITHM_PROFILES = ['modern', 'legacy-vos'] as const
export type AlgorithmProfile = (typeof ALGORITHM_PROFILES)[number]

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
  readonly algorithms: AlgorithmProfile
  /** Compare the echo of a typed command before Enter. Off for a device that does not echo until Enter. */
  readonly echo: boolean
  /** The byte that means Enter. */
  readonly enter: 'cr' | 'lf'
  /** Linux: run systemctl through `sudo -n`. */
  readonly sudo: boolean
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

/** Two connections with the same key are one device: work on one excludes work on the other. */
export function deviceKey(connection: Pick<Connection, 'host' | 'port'>): string {
  const host = connection.host.toLowerCase().replace(/\.$/, '')
  // A URL writes an IPv6 address in its one shortest form.
  const known = host.includes(':') ? (URL.parse(`http://[${host}]`)?.hostname ?? `[${host}]`) : host
  return `${known}:${connection.port}`
}

/** Everything that an edit can change or take away, as one string: two that are equal were not changed in between. */
export function toState(connection: Connection): string {
  const { name, host, port, username, platform, service, credential, hostKey } = connection
  const { algorithms, echo, enter, sudo, timings } = connection
  const login = [name, host, port, username, platform, service, credential, hostKey]
  return JSON.stringify([...login, algorithms, echo, enter, sudo, timings])
}
