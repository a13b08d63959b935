import { appliance } from '../compose.ts'
import { cucm115, cucm125, cucm15 } from '../products/cucm.ts'
import type { HostKeyType, Scenario } from '../scenario.ts'

/*
 * What the SSH server offers. Group exchange is missing everywhere: ssh2 lists it for a server and then answers
 * "not implemented", so a client that prefers it would fail here and not at a real appliance.
 */

const sha1 = ['diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'] as const
const counterMode = ['aes128-ctr', 'aes192-ctr', 'aes256-ctr'] as const
const counterAndGcm = [...counterMode, 'aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const
const rsa = ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] as const

export const defaults125 = offering('algorithms-12.5', 'The defaults of 12.5(1)SU5, less group exchange.', '§2.2', {
  kex: [
    'diffie-hellman-group1-sha1',
    'diffie-hellman-group14-sha1',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
  ],
  cipher: [...counterAndGcm],
  hmac: ['hmac-sha1'],
  serverHostKey: [...rsa],
})

export const sha1Only = offering('algorithms-sha1', 'SHA-1 in key exchange, MAC and host key; CTR only.', '§2.2', {
  kex: [...sha1],
  cipher: [...counterMode],
  hmac: ['hmac-sha1'],
  serverHostKey: ['ssh-rsa'],
})

export const noCommonKex = offering('algorithms-no-kex', 'Only group1-sha1: off by default everywhere.', '§2.2', {
  kex: ['diffie-hellman-group1-sha1'],
  cipher: [...counterAndGcm],
  hmac: ['hmac-sha2-256'],
  serverHostKey: [...rsa],
})

/** GCM needs no MAC, so none is offered. */
export const noCommonMac = offering('algorithms-no-mac', 'Only hmac-md5, and no cipher without a MAC.', '§10 row 13', {
  kex: ['ecdh-sha2-nistp256'],
  cipher: [...counterMode],
  hmac: ['hmac-md5'],
  serverHostKey: [...rsa],
})

export const noCommonCipher = offering('algorithms-no-cipher', 'Only 3des-cbc.', '§10 row 13', {
  kex: ['ecdh-sha2-nistp256'],
  cipher: ['3des-cbc'],
  hmac: ['hmac-sha1'],
  serverHostKey: [...rsa],
})

export const hostKeyEd25519 = withHostKey('ssh-ed25519')
export const hostKeyEcdsa = withHostKey('ecdsa-sha2-nistp256')
export const hostKeyRsa = withHostKey('ssh-rsa')

function offering(
  name: string,
  story: string,
  evidence: string,
  algorithms: Scenario['access']['algorithms'],
): Scenario {
  const product = name === 'algorithms-sha1' ? cucm115 : cucm125
  return appliance({ name, story, evidence }, product, { access: { algorithms, hostKeyType: 'ssh-rsa' } })
}

/** That the key changes is done to a running simulator: `changeHostKey()`, `reboot({ hostKey: 'new' })`. */
function withHostKey(hostKeyType: HostKeyType): Scenario {
  return appliance(
    { name: `host-key-${hostKeyType}`, story: `Proves itself with ${hostKeyType}.`, evidence: 'login-09, §2.6' },
    cucm15,
    { access: { hostKeyType } },
  )
}
