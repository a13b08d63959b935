import type { Algorithms } from 'ssh2'
import { afterEach, describe, expect, it } from 'vitest'
import { offerFor } from '../../src/daemon/ssh/algorithms.ts'
import { SshSession } from '../../src/daemon/ssh/session.ts'
import { rejection } from '../helpers/rejection.ts'
import { playServer, toTarget, type PlayedServer } from '../helpers/ssh-server.ts'

const signal = new AbortController().signal
let server: PlayedServer | null = null

afterEach(async () => {
  await server?.isEmpty()
  await server?.close()
  server = null
})

describe('the lists of a profile', () => {
  it('modern is exactly this: no SHA-1, no CBC, no chacha20, no compression', () => {
    expect(offerFor('modern', null)).toEqual({
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
    })
  })

  it('legacy-vos adds exactly what old appliances need, after everything modern', () => {
    const modern = offerFor('modern', null)
    const legacy = offerFor('legacy-vos', null)
    const added = (list: keyof NonNullable<typeof modern>) => legacy?.[list].slice(modern?.[list].length)
    expect(added('kex')).toEqual([
      'diffie-hellman-group-exchange-sha1',
      'diffie-hellman-group14-sha1',
      'diffie-hellman-group1-sha1',
    ])
    expect(added('serverHostKey')).toEqual(['ssh-rsa'])
    expect(added('cipher')).toEqual(['aes256-cbc', 'aes192-cbc', 'aes128-cbc', '3des-cbc'])
    expect(added('hmac')).toEqual(['hmac-sha1'])
    expect(legacy?.kex.slice(0, modern?.kex.length)).toEqual(modern?.kex)
  })

  it('offers only signatures of the pinned type', () => {
    expect(offerFor('modern', ['ssh-ed25519'])?.serverHostKey).toEqual(['ssh-ed25519'])
    expect(offerFor('modern', ['ssh-rsa'])?.serverHostKey).toEqual(['rsa-sha2-512', 'rsa-sha2-256'])
    expect(offerFor('legacy-vos', ['ssh-rsa'])?.serverHostKey).toEqual(['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'])
  })

  it('is none, and not the defaults of ssh2, for a pinned type that it cannot check', () => {
    expect(offerFor('legacy-vos', ['ssh-dss'])).toBeNull()
    expect(offerFor('modern', [''])).toBeNull()
  })
})

describe('a negotiation', () => {
  const OLD: [string, Algorithms, string][] = [
    ['a key exchange', { kex: ['diffie-hellman-group14-sha1'] }, 'key exchange algorithm'],
    ['a cipher', { cipher: ['aes128-cbc'], hmac: ['hmac-sha2-256'] }, 'cipher'],
    ['a MAC', { cipher: ['aes128-ctr'], hmac: ['hmac-sha1'] }, 'MAC'],
    ['a host key algorithm', { serverHostKey: ['ssh-rsa'] }, 'host key algorithm'],
  ]

  it.each(OLD)('that finds no common %s says so, and how to allow the old ones', async (_, algorithms, words) => {
    server = await playServer({ keyType: 'rsa', config: { algorithms } })
    const error = await rejection(SshSession.connect(toTarget(server), signal))
    expect(error.code).toBe('no_common_algorithm')
    expect(error.message).toContain(`"modern" have no ${words} in common`)
    expect(error.hint).toContain('vosctl connections edit lab --algorithms legacy-vos --reason')
    expect(server.requests).toEqual([])
  })

  it.each(OLD)('works with the old %s when the connection allows it', async (_, algorithms) => {
    server = await playServer({ keyType: 'rsa', config: { algorithms } })
    const session = await SshSession.connect(toTarget(server, { algorithms: 'legacy-vos' }), signal)
    await session.authenticate({ type: 'password', password: 'x' }, 'password')
    await session.close()
    expect(server.requests).toEqual(['none', 'password'])
  })

  it('prefers modern algorithms also when old ones are allowed', async () => {
    server = await playServer()
    const session = await SshSession.connect(toTarget(server, { algorithms: 'legacy-vos' }), signal)
    expect(session.algorithms).toEqual({
      kex: 'curve25519-sha256',
      cipher: 'aes128-gcm@openssh.com',
      mac: '<implicit>',
      compression: 'none',
      hostKey: 'ssh-ed25519',
    })
    await session.close()
  })

  it('that fails with every old algorithm allowed gives another hint', async () => {
    server = await playServer({ config: { algorithms: { cipher: ['chacha20-poly1305@openssh.com'] } } })
    const error = await rejection(SshSession.connect(toTarget(server, { algorithms: 'legacy-vos' }), signal))
    expect(error.code).toBe('no_common_algorithm')
    expect(error.hint).toContain('on the device')
  })

  it('with a pinned key of a type that no profile can check connects, and sends nothing', async () => {
    server = await playServer()
    const hostKey = { type: 'ssh-dss', fingerprint: 'SHA256:x' }
    const error = await rejection(SshSession.connect(toTarget(server, { hostKey }), signal))
    expect(error.code).toBe('host_key_refused')
    expect(error.message).toContain('ssh-dss')
    expect(error.hint).toContain('vosctl connections trust lab')
    expect(server.requests).toEqual([])
  })
})
