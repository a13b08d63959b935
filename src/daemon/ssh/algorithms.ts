import type {
  Algorithms,
  CipherAlgorithm,
  CompressionAlgorithm,
  KexAlgorithm,
  MacAlgorithm,
  ServerHostKeyAlgorithm,
} from 'ssh2'
import type { AlgorithmProfile } from '../../core/connection.ts'

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
 * The lists of a profile. With a pinned key only signatures of its type are offered, so that a server with keys of several
 * types shows the pinned one. Null when the profile has no signature for that type.
 */
export function offerFor(profile: AlgorithmProfile, pinnedType: string | null): Offer | null {
  const offer = OFFERS[profile]
  if (pinnedType === null) return offer
  const serverHostKey = offer.serverHostKey.filter((algorithm) => keyTypeOf(algorithm) === pinnedType)
  return serverHostKey.length === 0 ? null : { ...offer, serverHostKey }
}

/** `rsa-sha2-*` are signatures made with a key of type `ssh-rsa`. */
function keyTypeOf(algorithm: ServerHostKeyAlgorithm): string {
  return algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm
}
