import type {
  Algorithms,
  CipherAlgorithm,
  CompressionAlgorithm,
  KexAlgorithm,
  MacAlgorithm,
  ServerHostKeyAlgorithm,
} from 'ssh2'
import type { AlgorithmProfile } from '../../core/connection.ts'
import type { KexInit } from './kexinit.ts'

/**
 * What we offer, exactly and in this order. ssh2's own defaults still hold ssh-rsa and hmac-sha1, and an empty list makes
 * it fall back to them silently: so every class is named, and none is ever empty.
 */
interface Offer extends Algorithms {
  readonly kex: KexAlgorithm[]
  readonly serverHostKey: ServerHostKeyAlgorithm[]
  readonly cipher: CipherAlgorithm[]
  readonly hmac: MacAlgorithm[]
  readonly compress: CompressionAlgorithm[]
}

const MODERN: Offer = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group-exchange-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group14-sha256',
  ],
  serverHostKey: [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
}

/** CUCM 11.5 runs OpenSSH 5.3, and a default 12.5 offers hmac-sha1 as its only MAC. Modern algorithms still come first. */
const LEGACY_VOS: Offer = {
  kex: [
    ...MODERN.kex,
    'diffie-hellman-group-exchange-sha1',
    'diffie-hellman-group14-sha1',
    'diffie-hellman-group1-sha1',
  ],
  serverHostKey: [...MODERN.serverHostKey, 'ssh-rsa'],
  cipher: [...MODERN.cipher, 'aes256-cbc', 'aes192-cbc', 'aes128-cbc', '3des-cbc'],
  hmac: [...MODERN.hmac, 'hmac-sha1'],
  compress: MODERN.compress,
}

const OFFERS: Record<AlgorithmProfile, Offer> = { modern: MODERN, 'legacy-vos': LEGACY_VOS }

/**
 * The lists of a profile. With key types only signatures of these are offered, so that a server with keys of several types
 * shows the pinned one. Null when the profile has no signature for any of them.
 */
export function offerFor(profile: AlgorithmProfile, keyTypes: readonly string[] | null): Offer | null {
  const offer = OFFERS[profile]
  if (keyTypes === null) return offer
  const serverHostKey = offer.serverHostKey.filter((algorithm) => keyTypes.includes(keyTypeOf(algorithm)))
  return serverHostKey.length === 0 ? null : { ...offer, serverHostKey }
}

/** `rsa-sha2-*` are signatures made with a key of type `ssh-rsa`. */
export function keyTypeOf(algorithm: string): string {
  return algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm
}

/** Does this profile sign with SHA-1, for servers that understand nothing else? */
export function signsSha1(profile: AlgorithmProfile): boolean {
  return OFFERS[profile].serverHostKey.includes('ssh-rsa')
}

export type AlgorithmClass = 'key exchange algorithm' | 'host key algorithm' | 'cipher' | 'MAC' | 'compression'

/** The first class of algorithms in which nothing is common. */
export interface Mismatch {
  readonly kind: AlgorithmClass
  /** What the server has, names raw. */
  readonly theirs: readonly string[]
  readonly ours: readonly string[]
}

/** Where the negotiation of an offer with a server fails, in SSH's order; null where it does not. */
export function mismatchOf(offer: Offer, server: KexInit): Mismatch | null {
  const has = (ours: readonly string[], theirs: readonly string[]) => ours.find((name) => theirs.includes(name))
  const pairs: [AlgorithmClass, readonly string[], readonly string[]][] = [
    ['key exchange algorithm', offer.kex, server.kex],
    ['host key algorithm', offer.serverHostKey, server.serverHostKey],
    ['cipher', offer.cipher, server.cipherToServer],
    ['cipher', offer.cipher, server.cipherToClient],
    ...([server.cipherToServer, server.cipherToClient] as const).flatMap((ciphers, back): typeof pairs => {
      // It authenticates by itself.
      const isWhole = has(offer.cipher, ciphers)?.includes('gcm') ?? false
      return isWhole ? [] : [['MAC', offer.hmac, back === 0 ? server.macToServer : server.macToClient]]
    }),
    ['compression', offer.compress, server.compressToServer],
    ['compression', offer.compress, server.compressToClient],
  ]
  const failed = pairs.find(([, ours, theirs]) => has(ours, theirs) === undefined)
  return failed ? { kind: failed[0], ours: failed[1], theirs: failed[2] } : null
}
