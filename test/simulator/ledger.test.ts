import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readLedger, type Simulator, startSimulator } from '../../src/simulator/index.ts'
import {
  expiredInShell,
  expiredOverSsh,
  keyboardInteractiveOnly,
} from '../../src/simulator/scenarios/authentication.ts'
import { publisher } from '../../src/simulator/scenarios/restarts.ts'
import { connect, openShell, simulate } from './session.ts'

test('One Enter is one command, and what was only typed is none', async () => {
  const simulator = await simulate(publisher)
  const session = await openShell(simulator)
  await session.run('show cli pagination')
  await session.exchange('utils service restart Cisco Tomcat', 'Cisco Tomcat')
  expect(simulator.ledger.commands()).toEqual(['show cli pagination'])
  expect(simulator.ledger.enters()).toBe(1)
})

test('CR LF is two Enters: the command, then an empty one and a second prompt', async () => {
  const simulator = await simulate(publisher)
  const session = await openShell(simulator)
  await session.until('admin:')
  await session.exchange('show cli pagination\r\n', 'admin:\r\n\radmin:')
  expect(simulator.ledger.commands()).toEqual(['show cli pagination', ''])
  expect(simulator.ledger.of('enter').map(({ key }) => key)).toEqual(['cr', 'lf'])
})

test('Backspace and Ctrl-U edit the line that Enter runs', async () => {
  const simulator = await simulate(publisher)
  const session = await openShell(simulator)
  await session.until('admin:')
  await session.exchange('utils service restart Cisco Tomcat', 'Tomcat')
  await session.exchange('\x15', '\b \b')
  await session.exchange('show cli paginatiom\x7fx\x08n\n', '\nadmin:')
  expect(simulator.ledger.commands()).toEqual(['show cli pagination'])
})

test('Ctrl-C before Enter clears the line and is recorded', async () => {
  const simulator = await simulate(publisher)
  const session = await openShell(simulator)
  await session.until('admin:')
  await session.exchange('utils service restart Cisco Tomcat\x03', '^C\r\nadmin:')
  await session.exchange('\n', '\radmin:')
  expect(simulator.ledger.of('ctrl-c').map(({ during }) => during)).toEqual(['prompt'])
  expect(simulator.ledger.commands()).toEqual([''])
})

test('Ctrl-C after Enter is recorded too, and ignored by default', async () => {
  const simulator = await simulate(publisher)
  const session = await openShell(simulator)
  await session.until('admin:')
  session.send('utils service restart Cisco Tomcat\n')
  await session.until((text) => text.includes('[STOPPING]'))
  await session.exchange('\x03', '[STARTED]  \r\nadmin:')
  expect(simulator.ledger.of('ctrl-c').map(({ during }) => during)).toEqual(['command'])
  expect(simulator.ledger.states('Cisco Tomcat')).toEqual(['STOPPING', 'STARTING', 'STARTED'])
})

test('Restarts are counted by service, by their exact name', async () => {
  const simulator = await simulate(publisher)
  const session = await openShell(simulator)
  await session.run('utils service restart Cisco Tomcat Stats Servlet')
  await session.run('utils service restart Cisco Tomcat')
  await session.run('utils service list')
  expect(simulator.ledger.restarts()).toHaveLength(2)
  expect(simulator.ledger.restarts('Cisco Tomcat')).toHaveLength(1)
  expect(simulator.ledger.restarts('Cisco Tftp')).toEqual([])
})

test('Every byte in and out is there, as client and server saw it', async () => {
  const simulator = await simulate(publisher)
  const session = await openShell(simulator)
  await session.run('utils service list')
  const { ledger } = simulator
  expect(Buffer.concat(ledger.of('out').map(({ bytes }) => bytes)).toString()).toBe(session.text)
  expect(Buffer.concat(ledger.of('in').map(({ bytes }) => bytes)).toString()).toBe('utils service list\n')
})

test('Connections, channels and algorithms are there, in the order of their happening', async () => {
  const simulator = await simulate(publisher)
  const session = await openShell(simulator, { columns: 132, rows: 50 })
  await session.until('admin:')
  session.client.end()
  const { ledger } = simulator
  await ledger.until(() => ledger.of('close').length > 0)
  const types = ledger.entries.map(({ type }) => type)
  expect(types.filter((type) => type !== 'out')).toEqual([
    'open',
    'handshake',
    'auth',
    'auth',
    'channel',
    'channel',
    'channel',
    'close',
  ])
  expect(ledger.of('channel').map(({ request, detail }) => [request, detail])).toEqual([
    ['session', ''],
    ['pty', 'vt100 132x50'],
    ['shell', ''],
  ])
  expect(ledger.of('close').map(({ by }) => by)).toEqual(['client'])
  expect(ledger.entries.map(({ seq }) => seq)).toEqual(ledger.entries.map((_, index) => index + 1))
})

test('Asking which methods there are is no attempt, a wrong password is', async () => {
  const simulator = await simulate(publisher)
  const { errors } = await connect(simulator, { password: 'wrong' })
  expect(errors[0]?.message).toMatch('authentication methods failed')
  expect(simulator.ledger.of('auth').map(({ method, accepted }) => [method, accepted])).toEqual([
    ['none', false],
    ['password', false],
  ])
  expect(simulator.ledger.authAttempts()).toHaveLength(1)
})

test('No password enters the ledger, right or wrong, by any method or dialogue', async () => {
  const wrong = 'a-wrong-password-9'
  const next = 'the-next-password-9'
  const dumps: string[] = []
  for (const scenario of [publisher, keyboardInteractiveOnly, expiredOverSsh]) {
    const simulator = await simulate(scenario)
    for (const password of [wrong, simulator.password]) {
      await connect(simulator, { password, tryKeyboard: true }, (client) => {
        client.on('keyboard-interactive', (_name, _instructions, _language, prompts, finish) => {
          finish(prompts.map(() => password))
        })
        client.on('change password', (_prompt, done) => done(next))
      })
    }
    expect(simulator.ledger.authAttempts().length).toBeGreaterThan(1)
    dumps.push(dump(simulator))
  }
  for (const secret of [wrong, next, publisher.access.password]) expect(dumps.join('\n')).not.toContain(secret)
})

test('No password enters the ledger from a hidden question in the shell', async () => {
  const simulator = await simulate(expiredInShell)
  const session = await openShell(simulator)
  await session.until('UNIX password: ')
  await session.exchange(`${simulator.password}\n`, 'New password: ')
  await session.exchange('the-next-password-9\n', 'Retype new password: ')
  session.send('the-next-password-9\n')
  await session.closed
  expect(simulator.ledger.of('answer').map(({ text }) => text)).toEqual([null, null, null])
  expect(dump(simulator)).toContain('*'.repeat(simulator.password.length))
  for (const secret of [simulator.password, 'the-next-password-9']) expect(dump(simulator)).not.toContain(secret)
})

test('A ledger file outlives the simulator and answers the same questions', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vosctl-ledger-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const ledgerFile = join(folder, 'ledger.jsonl')
  const simulator = await startSimulator(publisher, { timeScale: 0.001, ledgerFile })
  onTestFinished(() => simulator.stop())
  const session = await openShell(simulator)
  await session.run('utils service restart Cisco Tomcat')
  expect(readLedger(ledgerFile).restarts('Cisco Tomcat')).toHaveLength(1)
  await simulator.stop()
  expect(readLedger(ledgerFile).entries).toEqual(simulator.ledger.entries)
})

/** Everything in the ledger as text, bytes included. */
function dump({ ledger }: Simulator): string {
  return ledger.entries
    .map((entry) => JSON.stringify('bytes' in entry ? { ...entry, bytes: entry.bytes.toString() } : entry))
    .join('\n')
}
