import { createHash, createHmac } from 'node:crypto'
import type { HostKey } from '../core/connection.ts'
import { isNamed } from './host-patterns.ts'

/** What a file of OpenSSH says of one host. */
export interface KnownHost {
  /** Keys that it vouches for, without those that it revokes. */
  readonly vouched: readonly HostKey[]
  readonly revoked: readonly HostKey[]
  /** Lines for this host that trust an authority: vosctl knows no certificates. */
  readonly authorities: number
}

/** A key of 16,384 bits with its names is shorter. */
const MAX_LINE = 16 * 1024

/** Reads a `known_hosts` file, whose bytes are latin1. What makes no sense in it is passed over, as ssh does. */
export function findKnownHost(
  text: string,
  { host, port }: { readonly host: string; readonly port: number },
): KnownHost {
  const name = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`
  const found = text
    .split(/\r?\n/)
    .flatMap(parseLine)
    .filter(({ names }) => isFor(name, names))
  const keys = (marker: string) => found.filter((line) => line.marker === marker).map(({ key }) => key)
  const revoked = keys('@revoked')
  return {
    vouched: keys('').filter((key) => revoked.every(({ fingerprint }) => fingerprint !== key.fingerprint)),
    revoked,
    authorities: keys('@cert-authority').length,
  }
}

interface Line {
  readonly marker: string
  readonly names: string
  readonly key: HostKey
}

function parseLine(text: string): Line[] {
  if (text.length > MAX_LINE || /^\s*(#|$)/.test(text)) return []
  const words = text.trim().split(/[ \t]+/)
  const marker = words[0]?.startsWith('@') ? words.shift() : ''
  const [names, type, base64] = words
  if (marker === undefined || !names || !type || !base64) return []
  const blob = Buffer.from(base64, 'base64')
  // The key says itself what it is.
  const isOfType = blob.length > 4 + type.length && blob.readUInt32BE(0) === type.length
  if (!isOfType || blob.toString('latin1', 4, 4 + type.length) !== type) return []
  const digest = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')
  return [{ marker, names, key: { type, fingerprint: `SHA256:${digest}` } }]
}

/** Names are patterns with commas in between, or one hashed name: `|1|salt|hash`. */
function isFor(name: string, names: string): boolean {
  if (!names.startsWith('|')) return isNamed(name, names.toLowerCase().split(','))
  const [, version, salt = '', hash = ''] = names.split('|')
  if (version !== '1' || salt === '' || hash === '') return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}
