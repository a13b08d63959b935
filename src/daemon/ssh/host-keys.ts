import { createHash } from 'node:crypto'
import { HOST_KEY_TYPES, type HostKey, type HostKeyType } from '../../core/connection.ts'
import { oneLine, sanitise } from '../../core/text.ts'

/** Shorter RSA keys can be factored by whoever has the means. */
const MIN_RSA_BITS = 2048
/** OpenSSL verifies with no longer ones. */
const MAX_RSA_BITS = 16_384
/** Of an uncompressed point on the curve. */
const POINT_BYTES: Readonly<Record<string, number>> = { nistp256: 65, nistp384: 97, nistp521: 133 }

/** The type and fingerprint of a public key in SSH's wire format, as OpenSSH prints them. */
export function toHostKey(blob: Buffer): HostKey {
  const digest = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')
  return { type: sanitise(keyType(blob)), fingerprint: `SHA256:${digest}` }
}

export function isSameHostKey(a: HostKey, b: HostKey): boolean {
  return a.type === b.type && a.fingerprint === b.fingerprint
}

/** How long the modulus of an RSA key is; null for another or a malformed key. */
export function rsaBits(blob: Buffer): number | null {
  const [type, , modulus, ...rest] = readFields(blob) ?? []
  if (type?.toString('latin1') !== 'ssh-rsa' || !modulus || rest.length > 0) return null
  return isPositive(modulus) ? bitLength(modulus) : null
}

/**
 * Why a key in SSH's wire format must not be trusted, whoever shows it, as what "its host key …" goes on with; null for a
 * good one. ssh2 asks about a key before it has parsed it, so any bytes may come.
 */
export function faultOfHostKey(blob: Buffer): string | null {
  const type = keyType(blob)
  if (type === 'ssh-dss') return 'is a DSA key, which is too weak to prove anything'
  if (!isHostKeyType(type)) return `is of the type "${oneLine(type, 64)}", which vosctl does not check`
  const [, ...parts] = readFields(blob) ?? []
  if (!isWellFormed(type, parts)) return 'is malformed'
  const bits = rsaBits(blob)
  if (bits !== null && bits < MIN_RSA_BITS) {
    return `is an RSA key of ${bits} bits, and vosctl trusts none under ${MIN_RSA_BITS}`
  }
  return bits !== null && bits > MAX_RSA_BITS ? `is an RSA key of ${bits} bits, too long to be checked` : null
}

export function isHostKeyType(type: string): type is HostKeyType {
  return (HOST_KEY_TYPES as readonly string[]).includes(type)
}

function isWellFormed(type: HostKeyType, parts: readonly Buffer[]): boolean {
  const [first, second] = parts
  if (type === 'ssh-ed25519') return parts.length === 1 && first?.length === 32
  if (parts.length !== 2 || !first || !second) return false
  if (type === 'ssh-rsa') {
    const isOdd = (number: Buffer) => ((number.at(-1) ?? 0) & 1) === 1
    return isPositive(first) && isPositive(second) && isOdd(first) && isOdd(second) && bitLength(first) >= 2
  }
  const curve = type.slice('ecdsa-sha2-'.length)
  return first.toString('latin1') === curve && second.length === POINT_BYTES[curve] && second[0] === 4
}

/** The first field of the blob: its length in four bytes, then the name of the type. */
function keyType(blob: Buffer): string {
  if (blob.length < 4) return ''
  const end = 4 + blob.readUInt32BE(0)
  return end <= blob.length && end <= 68 ? blob.toString('latin1', 4, end) : ''
}

/** The length-prefixed fields that the blob is made of; null when it is not made of at most four, to its last byte. */
function readFields(blob: Buffer): Buffer[] | null {
  const fields: Buffer[] = []
  let at = 0
  while (at < blob.length) {
    if (at + 4 > blob.length || fields.length === 4) return null
    const end = at + 4 + blob.readUInt32BE(at)
    if (end > blob.length) return null
    fields.push(blob.subarray(at + 4, end))
    at = end
  }
  return fields
}

/** A number as SSH writes it: no sign, and no zero byte that it does not need. */
function isPositive(number: Buffer): boolean {
  const [first = 0, second = 0] = number
  return number.length > 0 && first < 0x80 && (first > 0 || (number.length > 1 && second >= 0x80))
}

function bitLength(number: Buffer): number {
  const bytes = number[0] === 0 ? number.subarray(1) : number
  return bytes.length * 8 - Math.clz32(bytes[0] ?? 0) + 24
}
