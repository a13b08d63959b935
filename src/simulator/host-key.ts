import { createHash } from 'node:crypto'
import ssh2 from 'ssh2'
import type { HostKeyType } from './scenario.ts'

export interface HostKey {
  readonly type: HostKeyType
  /** As OpenSSH prints it: `SHA256:` and base64 without padding. */
  readonly fingerprint: string
  /** In OpenSSH's format. */
  readonly privateKey: string
}

/** A new key: no two calls give the same one. RSA takes some 40 ms. */
export function createHostKey(type: HostKeyType): HostKey {
  for (;;) {
    const pair = generate(type)
    const key = ssh2.utils.parseKey(pair.private)
    // ssh2 1.17 writes about one Ed25519 pair in 300 so that it cannot be read back or does not verify.
    if (key instanceof Error || !signs(key)) continue
    const digest = createHash('sha256').update(key.getPublicSSH()).digest('base64')
    return { type, fingerprint: `SHA256:${digest.replace(/=+$/, '')}`, privateKey: pair.private }
  }
}

function generate(type: HostKeyType): { private: string; public: string } {
  switch (type) {
    case 'ssh-ed25519':
      return ssh2.utils.generateKeyPairSync('ed25519')
    case 'ecdsa-sha2-nistp256':
      return ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 })
    case 'ssh-rsa':
      return ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 })
  }
  return type satisfies never
}

function signs(key: ssh2.ParsedKey): boolean {
  const signature: unknown = key.sign('probe')
  if (!Buffer.isBuffer(signature)) return false
  // An error instead of false is possible, whatever the types say.
  const verified: unknown = key.verify('probe', signature)
  return verified === true
}
