import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { OperationType } from '../../src/core/operation.ts'
import { REQUESTS } from '../../src/core/schemas.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { RawClient, throughUnix } from '../faults/fuzz/raw-client.ts'
import { openFace } from '../helpers/face.ts'
import { House } from '../helpers/manager.ts'
import { addConnection, startAppliance } from '../helpers/quick-house.ts'
import { Rig } from '../helpers/rig.ts'
import { output, ScriptedDevice } from '../helpers/scripted-device.ts'
import { SSHD, startSshd } from '../helpers/sshd.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { until } from '../helpers/wait.ts'

const LISTED = ['Cisco Tomcat', 'Cisco Tomcat Stats Servlet', 'A Cisco DB', 'nginx.service', 'getty@tty1.service']

/** Any text, and above all what is nearly a name, or a name with something behind it. */
function names(listed: readonly string[], payload: string): fc.Arbitrary<string> {
  const glue = fc.constantFrom(
    ';',
    '\r',
    '\n',
    '\r\n',
    ' && ',
    '|',
    '`',
    '$(',
    '\0',
    ' \u202e',
    "'",
    '"',
    '\\',
    '\x03',
    '\x1b[A',
    '\u2028',
    ' -',
    '',
  )
  const name = fc.oneof(
    fc.constantFrom(...listed),
    fc.constantFrom(...listed).map((one) => one.toLowerCase()),
  )
  const anything = fc.string({ unit: 'binary', maxLength: 110 })
  return fc.oneof(
    name,
    anything,
    fc.tuple(name, glue, fc.oneof(fc.constant(payload), anything)).map((parts) => parts.join('')),
    fc.tuple(glue, fc.constant(payload), glue, name).map((parts) => parts.join('')),
    fc.constantFrom(
      '-x',
      '--all',
      '*',
      '.',
      '..',
      '/',
      '%',
      '$IFS',
      '~',
      '__proto__',
      'constructor',
      'System SSH',
      '`id`',
      '$(id)',
    ),
  )
}

/** What the daemon answers to a restart of this service, and how it ended. */
async function restart(rig: Rig, connectionId: number, service: string): Promise<string> {
  await using client = await RawClient.enter(throughUnix(rig.socket))
  const ask = async (request: string, value: object): Promise<string> => {
    client.forget()
    client.say(`420${JSON.stringify([request, value])}`)
    await until('the daemon answers', () => client.hears('430[', 50))
    return client.heard
  }
  const operationType: OperationType = 'service_restart'
  const request = { requestId: randomUUID(), operationType, connectionIds: [connectionId], createdBy: 'x', service }
  const more = { ifRunning: 'refuse', despiteUnknown: true, startStopped: true }
  const id = /"id":"(r-\w+)"/.exec(await ask('operation:start', { ...request, ...more }))?.[1]
  if (id === undefined) return 'refused'
  return await until(
    'it ends',
    async () =>
      /"status":"(completed|failed|unknown|interrupted|cancelled)"/.exec(await ask('operation:get', { id }))?.[1],
    20_000,
  )
}

/** A house with one connection, whose devices have these services. */
function listedHouse() {
  const devices: ScriptedDevice[] = []
  const services = LISTED.map((name) => ({ name, state: 'STARTED', reason: '' }))
  const house = new House(() => {
    const commit = [{ type: 'sent' } as const, output('x[STOPPING]'), { type: 'ended' } as const]
    const device = new ScriptedDevice({ lists: [services], commit, polls: 1 })
    devices.push(device)
    return device
  })
  const id = house.add('cucm-pub')
  /** What devices after the first so many were told to restart. */
  const preparedAfter = (count: number) =>
    devices.slice(count).flatMap(({ calls }) => calls.filter((call) => call.startsWith('prepare ')))
  return { house, devices, id, preparedAfter }
}

describe('any text as the name of a service', { timeout: 60_000 }, () => {
  it('over HTTP, and as the name of a connection, reaches a device as a listed name, or not at all', async () => {
    const { house, devices, preparedAfter } = listedHouse()
    const { ask } = await openFace({}, {}, house)
    const seen = new Set<number>()
    const connections = fc.oneof(fc.constantFrom('cucm-pub', '1'), names(['cucm-pub', '1'], '/restart'))
    const payload = 'utils system restart'
    await fc.assert(
      fc.asyncProperty(names(LISTED, payload), connections, names(['CAB'], payload), async (service, word, reason) => {
        const before = devices.length
        const target = `/api/connections/${encodeURIComponent(word.toWellFormed())}/restart`
        const headers = { 'idempotency-key': randomUUID() }
        const { status, body } = await ask('POST', target, { headers, body: { service, reason } })
        seen.add(status)
        expect(status).toBeLessThan(500)
        if (status === 202) {
          const { id } = JSON.parse(body) as { id: string }
          if ((await house.settled(id)).status === 'unknown') house.manager.acknowledge(id, 'x')
        }
        const prepared = preparedAfter(before)
        expect(LISTED.map((name) => `prepare ${name}`)).toEqual(expect.arrayContaining(prepared))
        expect(prepared.length).toBeLessThanOrEqual(status === 202 ? 1 : 0)
      }),
      {
        numRuns: 100,
        examples: [
          ['Cisco Tomcat', 'cucm-pub', 'CAB'],
          ['Cisco Tomcat\r', '1', '\r'],
          ['x', '..', 'x'],
        ],
      },
    )
    expect([...seen]).toEqual(expect.arrayContaining([202, 404, 422]))
    expect(preparedAfter(0).length).toBeGreaterThan(0)
  })

  it('reaches a device as one of the names that it has listed, or not at all', async () => {
    const { house, devices, id, preparedAfter } = listedHouse()
    await fc.assert(
      fc.asyncProperty(names(LISTED, 'utils system restart'), async (service) => {
        const requestId = randomUUID()
        const request = { requestId, operationType: 'service_restart', connectionIds: [id], createdBy: 'x', service }
        const parsed = REQUESTS['operation:start'].safeParse({ ...request, despiteUnknown: true })
        if (!parsed.success) return
        const before = devices.length
        const [operation] = house.manager.start(parsed.data).operations
        await house.settled(operation?.id ?? '')
        const prepared = preparedAfter(before)
        expect(LISTED.map((name) => `prepare ${name}`)).toEqual(expect.arrayContaining(prepared))
        expect(prepared.length).toBeLessThanOrEqual(1)
      }),
      { numRuns: 200 },
    )
    expect(devices.length).toBeGreaterThan(50)
  })

  it('is typed into an appliance as the template and a listed name, or not at all', async () => {
    const rig = new Rig()
    await rig.prepare(['daemon', 'start'])
    const device = await startAppliance(rig, 'cucm-pub', scenarios.get('publisher') as Scenario)
    const seen: string[] = []
    await fc.assert(
      fc.asyncProperty(names(['Cisco Tomcat', 'Cisco DB'], 'utils system restart'), async (service) => {
        seen.push(await restart(rig, 1, service))
      }),
      {
        numRuns: 20,
        examples: [['Cisco Tomcat'], ['Cisco Tomcat\rutils system restart'], ['Cisco Tomcat; utils system restart']],
      },
    )
    const allowed = /^(?:|exit|utils service list|utils service restart (?:Cisco Tomcat|A?\s?Cisco DB))$/
    expect(device.ledger.commands().filter((command) => !allowed.test(command.trim()))).toEqual([])
    const typed = Buffer.concat(device.ledger.of('in').map(({ bytes }) => bytes)).toString('latin1')
    expect(typed).toMatch(/^[A-Za-z ]*(?:[\r\n][A-Za-z ]*)*$/)
    expect(device.ledger.restarts('Cisco Tomcat').length).toBeGreaterThan(0)
    expect(device.ledger.of('ctrl-c')).toEqual([])
    expect(seen).toContain('refused')
  })

  it.skipIf(SSHD === null)('starts no process on a Linux host but systemctl, with a unit that is there', async () => {
    const rig = new Rig()
    const sshd = await startSshd()
    onTestFinished(() => sshd.stop())
    sshd.setUnit('nginx.service', {})
    await rig.prepare(['daemon', 'start'])
    const linux = { platform: 'linux', keyPath: sshd.keyPath }
    const id = await addConnection(rig, 'web-01', sshd, linux)
    const marks = temporaryDirectory()
    await fc.assert(
      fc.asyncProperty(names(['nginx', 'nginx.service'], `touch ${path.join(marks, 'x')}`), async (service) => {
        await restart(rig, id, service)
      }),
      {
        numRuns: 20,
        examples: [
          ['nginx'],
          [`$(touch ${path.join(marks, 'y')})`],
          [`nginx;touch ${path.join(marks, 'z')}`],
          ['--version'],
        ],
      },
    )
    expect(fs.readdirSync(marks)).toEqual([])
    const calls = sshd.calls()
    const verbs = ['list-units', 'list-unit-files', 'show', 'restart']
    expect(
      calls.filter(([program, ...words]) => program !== 'systemctl' || !words.some((word) => verbs.includes(word))),
    ).toEqual([])
    const restarts = calls.filter((words) => words.includes('restart'))
    expect(restarts.length).toBeGreaterThan(0)
    for (const words of restarts) expect(words).toEqual(['systemctl', 'restart', 'nginx.service'])
    for (const words of calls.filter((one) => one.includes('show'))) {
      expect(words.at(-1)).toMatch(/^[A-Za-z0-9][A-Za-z0-9._\-@:\\]*$/)
    }
  })
})
