import ssh2, { type Algorithms } from 'ssh2'
import { describe, expect, test } from 'vitest'
import { createHostKey, type Scenario, type Simulator } from '../../src/simulator/index.ts'
import * as algorithms from '../../src/simulator/scenarios/algorithms.ts'
import { publisher } from '../../src/simulator/scenarios/restarts.ts'
import { connect, openShell, simulate } from './session.ts'

/** The fingerprint that a client sees. */
async function seenKey(simulator: Simulator): Promise<string> {
  let seen = ''
  const { client } = await connect(simulator, {
    hostHash: 'sha256',
    hostVerifier: (hex: string) => {
      seen = `SHA256:${Buffer.from(hex, 'hex').toString('base64').replace(/=+$/, '')}`
      return true
    },
  })
  client.end()
  return seen
}

describe('Host keys', () => {
  test.each([
    [algorithms.hostKeyEd25519, 'ssh-ed25519'],
    [algorithms.hostKeyEcdsa, 'ecdsa-sha2-nistp256'],
    [algorithms.hostKeyRsa, 'ssh-rsa'],
  ])('$name is what the client sees', async (scenario: Scenario, type) => {
    const simulator = await simulate(scenario)
    expect(simulator.hostKey.type).toBe(type)
    expect(await seenKey(simulator)).toBe(simulator.hostKey.fingerprint)
  })

  test('A changed key is another one of the same type, for the next connection', async () => {
    const simulator = await simulate(publisher)
    const before = await seenKey(simulator)
    simulator.changeHostKey()
    expect(await seenKey(simulator)).toBe(simulator.hostKey.fingerprint)
    expect(simulator.hostKey.fingerprint).not.toBe(before)
    expect(simulator.hostKey.type).toBe('ssh-ed25519')
  })

  test('A client that refuses the key has attempted no login', async () => {
    const simulator = await simulate(publisher)
    const { errors } = await connect(simulator, { hostVerifier: () => false })
    expect(errors[0]?.message).toContain('verification failed')
    expect(simulator.ledger.of('auth')).toEqual([])
  })
})

/** Making RSA keys is slow. */
const hostKey = createHostKey('ssh-rsa')

const legacy: Algorithms = {
  kex: { append: ['diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'], prepend: [], remove: [] },
  cipher: { append: ['3des-cbc'], prepend: [], remove: [] },
}

describe('Algorithms', () => {
  test.each([
    [
      algorithms.defaults125,
      {},
      { kex: 'ecdh-sha2-nistp256', cipher: 'aes128-gcm@openssh.com', mac: '', hostKey: 'rsa-sha2-512' },
    ],
    [
      algorithms.sha1Only,
      { algorithms: legacy },
      { kex: 'diffie-hellman-group14-sha1', cipher: 'aes128-ctr', mac: 'hmac-sha1', hostKey: 'ssh-rsa' },
    ],
    [algorithms.noCommonKex, { algorithms: legacy }, { kex: 'diffie-hellman-group1-sha1', mac: '' }],
    [algorithms.noCommonCipher, { algorithms: legacy }, { cipher: '3des-cbc', mac: 'hmac-sha1' }],
  ])('$name is spoken with a client that can', async (scenario: Scenario, config, negotiated) => {
    const simulator = await simulate(scenario, { hostKey })
    expect((await connect(simulator, config)).ready).toBe(true)
    expect(simulator.ledger.of('handshake')[0]).toMatchObject(negotiated)
  })

  test.each([
    ['SHA-1 only', algorithms.sha1Only, 'no matching key exchange algorithm'],
    ['group1-sha1', algorithms.noCommonKex, 'no matching key exchange algorithm'],
    ['hmac-md5', algorithms.noCommonMac, 'no matching C->S MAC'],
    ['3des-cbc', algorithms.noCommonCipher, 'no matching C->S cipher'],
  ])('%s has nothing in common with ssh2’s defaults', async (_name, scenario, words) => {
    const { ready, errors } = await connect(await simulate(scenario, { hostKey }))
    expect(ready).toBe(false)
    expect(errors[0]?.message).toContain(words)
  })
})

describe('Channels', () => {
  test('SFTP is refused and recorded', async () => {
    const simulator = await simulate(publisher)
    const { client } = await connect(simulator)
    const refused = await new Promise((resolve) => client.sftp((error) => resolve(error)))
    expect(refused).toBeInstanceOf(Error)
    expect(simulator.ledger.of('channel').at(-1)).toMatchObject({
      request: 'subsystem',
      granted: false,
      detail: 'sftp',
    })
  })

  test('A new window size is recorded', async () => {
    const simulator = await simulate(publisher)
    const session = await openShell(simulator)
    session.channel.setWindow(50, 132, 0, 0)
    const entry = await simulator.ledger.until((ledger) =>
      ledger.of('channel').find(({ request }) => request === 'window'),
    )
    expect(entry.detail).toBe('132x50')
  })

  test('A client that vanishes at any moment leaves the appliance well', async () => {
    const simulator = await simulate(publisher)
    for (const moment of ['connect', 'handshake', 'ready', 'prompt'] as const) {
      const client = new ssh2.Client()
      client.on('error', () => {})
      const { host, port, username, password } = simulator
      client.connect({ host, port, username, password })
      if (moment === 'prompt') await (await openShell(simulator)).until('admin:')
      else await new Promise((resolve) => (client as NodeJS.EventEmitter).on(moment, resolve))
      client.destroy()
    }
    expect(await (await openShell(simulator)).until('admin:')).toContain('Welcome')
  })
})
