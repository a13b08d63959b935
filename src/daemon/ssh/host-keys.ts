import { createHash } from 'node:crypto'
import type { HostKey } from '../../core/connection.ts'
import { sanitise } from '../../core/text.ts'

/** The type and fingerprint of a public key in SSH's wire format, as OpenSSH prints them. */
export function toHostKey(blob: Buffer): HostKey {
  const digest = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')
  return { type: sanitise(keyType(blob)), fingerprint: `SHA256:${digest}` }
}

export function isSameHostKey(a: HostKey, b: HostKey): boolean {
  return a.type === b.type && a.fingerprint === b.fingerprint
}

/** The first field of the blob: its length in four bytes, then the name of the type. */
function keyType(blob: Buffer): string {
  if (blob.length < 4) return ''
  const end = 4 + blob.readUInt32BE(0)
  return end <= blob.length && end <= 68 ? blob.toString('latin1', 4, end) : ''
}
