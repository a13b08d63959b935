import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Connection, Timings } from '../../src/core/connection.ts'
import type { Observation } from '../../src/core/device.ts'
import { VosError } from '../../src/core/errors.ts'
import { isUnitName } from '../../src/core/service-name.ts'
import { LinuxDevice, type LinuxDeviceOptions } from '../../src/daemon/devices/linux.ts'
import { watchLeaks } from '../helpers/leaks.ts'
import { reasonOf, rejection } from '../helpers/rejection.ts'
import { QUICK, SOME_HOST_KEY } from '../helpers/ssh-server.ts'
import { freePort, layCable, SSHD, startSshd, type Cable, type TestSshd } from '../helpers/sshd.ts'
import { until } from '../helpers/wait.ts'
import { authenticateAndOpen } from '../helpers/authenticate-and-open.ts'

/**
 * A real OpenSSH server and a real shell; systemctl and sudo are stand-ins with their state in files, because no machine
 * that runs these tests runs systemd. The stand-ins' record of calls is the judge.
 */
const TIMINGS: Timings = { ...QUICK, pollMs: 200, pollLimitMs: 1_000, reconnectMs: 3_000 }

let sshd: TestSshd
let cable: Cable
const devices: LinuxDevice[] = []
let controller = new AbortController()
let noLeaks = async (): Promise<void> => {}
let callsBefore = 0

interface Changes extends Partial<Omit<LinuxDeviceOptions, 'connection' | 'timings'>> {
  readonly connection?: Partial<Connection>
  readonly timings?: Partial<Timings>
}

function newDevice({ connection, timings, ...options }: Changes = {}): LinuxDevice {
  const device = new LinuxDevice({
    connection: {
      id: 1,
      name: 'web1',
      host: '127.0.0.1',
      port: cable.port,
      username: sshd.username,
      platform: 'linux',
      service: null,
      credential: { type: 'key', path: sshd.keyPath },
      hostKey: sshd.hostKey,
      acceptNew: false,
      algorithms: 'modern',
      algorithmsReason: null,
      algorithmsUntil: null,
      echo: true,
      enter: 'cr',
      sudo: false,
      via: null,
      hops: [],
      timings: {},
      ...connection,
    },
    timings: { ...TIMINGS, ...timings },
    readSecret: () => ({ type: 'key', privateKey: readFileSync(sshd.keyPath) }),
    signal: controller.signal,
    ...options,
  })
  devices.push(device)
  return device
}

async function loggedIn(changes: Changes = {}): Promise<LinuxDevice> {
  const device = newDevice(changes)
  await device.connect()
  await authenticateAndOpen(device)
  return device
}

async function observe(device: LinuxDevice, onEach: (seen: Observation) => void = () => {}): Promise<Observation[]> {
  const all: Observation[] = []
  for await (const seen of device.commit()) {
    all.push(seen)
    onEach(seen)
  }
  return all
}

/** Calls of the stand-ins since this test began. */
const calls = (): string[][] => sshd.calls().slice(callsBefore)
const restarts = (): string[][] => calls().filter((call) => call.includes('restart') && !call.includes('-l'))
const states = (seen: readonly Observation[]): string[] =>
  seen.flatMap((one) => (one.type === 'state' ? [one.service.state] : []))

describe.skipIf(SSHD === null)('a Linux server', () => {
  beforeAll(async () => {
    sshd = await startSshd()
    cable = await layCable(sshd.port)
  })
  afterAll(async () => {
    await cable.close()
    await sshd.stop()
  })

  beforeEach(() => {
    controller = new AbortController()
    noLeaks = watchLeaks()
    callsBefore = sshd.calls().length
    sshd.setUnit('nginx.service', {})
    sshd.setUnit('slow.service', { stopSeconds: 0.2, startSeconds: 0.2 })
    sshd.setUnit('failing.service', { stopSeconds: 0.05, startSeconds: 0.05, fails: true })
    sshd.setUnit('masked.service', {
      LoadState: 'masked',
      ActiveState: 'inactive',
      SubState: 'dead',
      UnitFileState: 'masked',
    })
    sshd.setUnit('stopped.service', { ActiveState: 'inactive', SubState: 'dead' })
    sshd.setUnit('broken.service', { ActiveState: 'failed', SubState: 'failed', Result: 'exit-code' })
    sshd.setUnit('asleep.service', {
      ActiveState: 'inactive',
      SubState: 'dead',
      isLoaded: false,
      UnitFileState: 'disabled',
    })
    sshd.setUnit('volatile.service', { isLoaded: false, UnitFileState: '' })
    sshd.setUnit('web.service', { isLoaded: false, UnitFileState: 'alias', aliasOf: 'nginx.service' })
  })

  afterEach(async () => {
    for (const mode of ['refuses', 'missing', 'hangs'] as const) sshd.setMode(mode, false)
    cable.setPlugged(true)
    await Promise.all(devices.splice(0).map((device) => device.close()))
    await noLeaks()
  })

  describe('logging in', () => {
    it('asks for the secret only after the host key has matched', async () => {
      const order: string[] = []
      const device = newDevice({
        readSecret: () => {
          order.push('secret')
          return { type: 'key', privateKey: readFileSync(sshd.keyPath) }
        },
      })
      expect(await device.connect()).toEqual({ username: sshd.username, method: 'publickey' })
      order.push('connected')
      const facts = await authenticateAndOpen(device)
      expect(order).toEqual(['connected', 'secret'])
      expect(facts).toMatchObject({
        hostKey: sshd.hostKey,
        method: 'publickey',
        algorithms: { kex: 'curve25519-sha256' },
      })
      expect(facts.software).toMatch(/^SSH-2\.0-OpenSSH/)
      expect(facts.loginMs).toBeGreaterThan(0)
    })

    it('never asks for it when the host key is another one', async () => {
      let asked = 0
      const device = newDevice({
        connection: { hostKey: SOME_HOST_KEY },
        readSecret: () => {
          asked++
          return { type: 'password', password: 'x' }
        },
      })
      expect((await rejection(device.connect({ patient: true }))).code).toBe('host_key_changed')
      expect(asked).toBe(0)
    })

    it('does not connect without a credential', async () => {
      const before = cable.count()
      const device = newDevice({ connection: { credential: { type: 'none' } } })
      expect((await rejection(device.connect())).code).toBe('no_credential')
      expect(cable.count()).toBe(before)
    })

    it('makes one attempt with a key that is refused, and never another', async () => {
      const failures = () => (sshd.log().match(/Failed publickey/g) ?? []).length
      const before = failures()
      const device = newDevice({ readSecret: () => ({ type: 'key', privateKey: readFileSync(sshd.strangerPath) }) })
      await device.connect({ patient: true })
      expect((await rejection(authenticateAndOpen(device))).code).toBe('login_refused')
      await until('sshd has logged it', () => failures() > before)
      expect(failures()).toBe(before + 1)
    })

    it('closes the connection when the secret cannot be read', async () => {
      const device = newDevice({
        readSecret: () => {
          throw new VosError('bad_key_file', 'no such key')
        },
      })
      await device.connect()
      expect((await rejection(authenticateAndOpen(device))).code).toBe('bad_key_file')
    })
  })

  describe('patience', () => {
    it('waits for a server that is coming back', async () => {
      cable.setPlugged(false)
      const device = newDevice()
      const connecting = device.connect({ patient: true })
      setTimeout(() => cable.setPlugged(true), 150)
      expect(await connecting).toMatchObject({ method: 'publickey' })
    })

    it('is not shown without being asked for', async () => {
      cable.setPlugged(false)
      expect((await rejection(newDevice().connect())).code).toBe('connection_lost')
    })

    it('ends with the last failure', async () => {
      const device = newDevice({ connection: { port: await freePort() }, timings: { reconnectMs: 200 } })
      expect((await rejection(device.connect({ patient: true }))).code).toBe('unreachable')
    })

    it('ends at once with the reason of an abort', async () => {
      const device = newDevice({ connection: { port: await freePort() }, timings: { reconnectMs: 60_000 } })
      const thrown = reasonOf(device.connect({ patient: true }))
      setTimeout(() => controller.abort('enough'), 30)
      expect(await thrown).toBe('enough')
    })

    it('ends at once when the device is closed', async () => {
      const device = newDevice({ connection: { port: await freePort() }, timings: { reconnectMs: 60_000 } })
      const failed = rejection(device.connect({ patient: true }))
      await device.close()
      expect((await failed).code).toBe('connection_lost')
    })
  })

  describe('the list of services', () => {
    it('has what is loaded and what is installed, with their states', async () => {
      const services = await (await loggedIn()).services()
      expect(services.map(({ name, state, refusal }) => [name, state, refusal])).toEqual([
        ['broken.service', 'STOPPED', undefined],
        ['failing.service', 'STARTED', undefined],
        ['masked.service', 'STOPPED', 'masked'],
        ['nginx.service', 'STARTED', undefined],
        ['slow.service', 'STARTED', undefined],
        ['stopped.service', 'STOPPED', 'stopped_by_admin'],
        ['asleep.service', 'STOPPED', 'stopped_by_admin'],
      ])
    })

    it.each([
      ['nginx.service', 'nginx.service', 'STARTED'],
      ['nginx', 'nginx.service', 'STARTED'],
      ['NGINX', 'nginx.service', 'STARTED'],
      ['broken', 'broken.service', 'STOPPED'],
      ['volatile', 'volatile.service', 'STARTED'],
      ['web', 'web.service', 'STARTED'],
      ['asleep', 'asleep.service', 'STOPPED'],
    ])('knows the identity of the one that is meant by %s', async (named, name, state) => {
      const services = await (await loggedIn()).services(named)
      const found = services.filter(({ identity }) => identity !== undefined)
      expect(found).toMatchObject([{ name, state, identity: '00000000000000000000000000000001' }])
      expect(services.filter((service) => service.name === name)).toHaveLength(1)
    })

    it('tells how a service failed', async () => {
      const services = await (await loggedIn()).services('broken')
      expect(services.find(({ name }) => name === 'broken.service')?.reason).toBe('failed (exit-code)')
    })

    it.each(['no-such', '', ' ', 'x; reboot', '-h'])('is the plain list for %j, which nobody has', async (named) => {
      const services = await (await loggedIn()).services(named)
      expect(services).toHaveLength(7)
      expect(services.every(({ identity }) => identity === undefined)).toBe(true)
    })

    it('is an error of its own when there is no systemd', async () => {
      sshd.setMode('missing', true)
      const error = await rejection((await loggedIn()).services('nginx'))
      expect(error.code).toBe('no_systemd')
      expect(error.message).toContain('System has not been booted with systemd')
    })

    it('times out when systemctl hangs', async () => {
      sshd.setMode('hangs', true)
      const device = await loggedIn({ timings: { commandMs: 100 } })
      expect((await rejection(device.services())).code).toBe('command_timeout')
    })
  })

  describe('preparing', () => {
    it('gives the command as it will be sent, and has sent nothing that acts', async () => {
      const device = await loggedIn()
      expect(await device.prepare('nginx.service')).toBe('systemctl restart nginx.service')
      expect(restarts()).toEqual([])
    })

    it('asks sudo whether it may, without running anything', async () => {
      const device = await loggedIn({ connection: { sudo: true } })
      expect(await device.prepare('nginx.service')).toBe('sudo -n systemctl restart nginx.service')
      expect(calls()).toContainEqual(['sudo', '-n', '-l', 'systemctl', 'restart', 'nginx.service'])
      expect(restarts()).toEqual([])
    })

    it('fails with an error of its own when sudo wants a password', async () => {
      sshd.setMode('refuses', true)
      const error = await rejection((await loggedIn({ connection: { sudo: true } })).prepare('nginx.service'))
      expect(error.code).toBe('sudo_needs_password')
      expect(error.deviceLines).toEqual(['sudo: a password is required'])
      expect(error.hint).toContain('NOPASSWD: /usr/bin/systemctl restart nginx.service')
      expect(restarts()).toEqual([])
    })

    it('refuses a unit that does not exist', async () => {
      expect((await rejection((await loggedIn()).prepare('gone.service'))).code).toBe('unknown_service')
    })

    it('lets any string be one word of the command, or refuses it', async () => {
      const device = await loggedIn()
      const name = fc.oneof(
        fc.string({ unit: 'binary', maxLength: 30 }),
        fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._\-@:\\]{0,20}$/),
        fc.constantFrom(
          'a;reboot',
          '$(reboot)',
          '`id`',
          'a b',
          "a'b",
          '--help',
          '-H root@x',
          '../x',
          'a\nb',
          'a\\x2db.service',
        ),
      )
      await fc.assert(
        fc.asyncProperty(name, async (service) => {
          const before = sshd.calls().length
          const error = await rejection(device.prepare(service))
          const made = sshd.calls().slice(before)
          const isAsked = isUnitName(service)
          expect(error.code).toBe(isAsked ? 'unknown_service' : 'bad_request')
          // The fourth word is the list of properties.
          const words = made.map((call) => call.toSpliced(3, 1))
          expect(words).toEqual(isAsked ? [['systemctl', 'show', '--no-pager', service]] : [])
        }),
        { numRuns: 40 },
      )
    }, 20_000)
  })

  describe('a restart', () => {
    it('is sent once, is seen moving, and ends with a new identity', async () => {
      const device = await loggedIn()
      await device.prepare('slow.service')
      device.arm()
      const seen = await observe(device)
      expect(seen[0]).toEqual({ type: 'sent' })
      expect(seen.at(-1)).toEqual({ type: 'ended', exitStatus: 0 })
      expect(states(seen)).toEqual(['STOPPING', 'STARTING', 'STARTED'])
      expect(seen).toContainEqual(expect.objectContaining({ text: 'slow.service: deactivating (stop-sigterm)' }))
      const last = seen.findLast((one) => one.type === 'state')
      expect(last?.service.identity).toMatch(/^[0-9a-f]{32}$/)
      expect(restarts()).toEqual([['systemctl', 'restart', 'slow.service']])
    })

    it('goes through sudo when the connection says so', async () => {
      const device = await loggedIn({ connection: { sudo: true } })
      await device.prepare('nginx.service')
      device.arm()
      const seen = await observe(device)
      expect(seen.at(-1)).toEqual({ type: 'ended', exitStatus: 0 })
      expect(restarts()).toEqual([
        ['sudo', '-n', 'systemctl', 'restart', 'nginx.service'],
        ['systemctl', 'restart', 'nginx.service'],
      ])
    })

    it('that is too quick to be seen moving still shows its new identity', async () => {
      const device = await loggedIn({ timings: { pollMs: 60_000 } })
      await device.prepare('nginx.service')
      device.arm()
      const seen = await observe(device)
      expect(seen.map(({ type }) => type)).toEqual(['sent', 'state', 'ended'])
      expect(seen[1]).toMatchObject({ service: { name: 'nginx.service', state: 'STARTED' } })
      expect(seen[1]).not.toMatchObject({ service: { identity: '00000000000000000000000000000001' } })
    })

    it('that fails ends with the words and the status of systemctl, and the service is down', async () => {
      const device = await loggedIn()
      await device.prepare('failing.service')
      device.arm()
      const seen = await observe(device)
      expect(seen).toContainEqual({
        type: 'line',
        text: 'Job for failing.service failed because the control process exited with error code.',
      })
      expect(states(seen).at(-1)).toBe('STOPPED')
      expect(seen.findLast((one) => one.type === 'state')?.service.reason).toBe('failed (exit-code)')
      expect(seen.at(-1)).toEqual({ type: 'ended', exitStatus: 1 })
    })

    it('that systemd refuses shows no state, and its words', async () => {
      const device = await loggedIn()
      await device.prepare('masked.service')
      device.arm()
      const seen = await observe(device)
      expect(seen).toEqual([
        { type: 'sent' },
        { type: 'line', text: 'Failed to restart masked.service: Unit masked.service is masked.' },
        { type: 'ended', exitStatus: 1 },
      ])
    })

    it('is lost with the connection, and a second login finds out how it went', async () => {
      const device = await loggedIn()
      await device.prepare('slow.service')
      device.arm()
      const seen = await observe(device, (one) => {
        if (one.type === 'state') cable.cut()
      })
      expect(seen.at(-1)).toMatchObject({ type: 'lost', error: { code: 'connection_lost' } })
      await device.close()
      await device.connect({ patient: true })
      await authenticateAndOpen(device)
      const readings: string[] = []
      for await (const services of device.follow('slow.service')) {
        const service = services.find(({ name }) => name === 'slow.service')
        readings.push(service?.state ?? 'missing')
        if (service?.state === 'STARTED' && service.identity !== '00000000000000000000000000000001') break
      }
      expect(readings.at(-1)).toBe('STARTED')
      expect(restarts()).toHaveLength(1)
    })

    it('cannot be sent a second time without being prepared again', async () => {
      const device = await loggedIn()
      await device.prepare('nginx.service')
      device.arm()
      await observe(device)
      await expect(observe(device)).rejects.toThrow('commit() before arm()')
      expect(() => device.arm()).toThrow('arm() before prepare()')
      expect(restarts()).toHaveLength(1)
    })

    it('is not sent when this process was stopped between the intent and the sending', async () => {
      const device = await loggedIn()
      await device.prepare('nginx.service')
      device.arm()
      // A busy loop is what a stopped process looks like from inside: nothing ran, and the clocks went on.
      const end = performance.now() + 1_050
      while (performance.now() < end);
      expect((await rejection(observe(device))).code).toBe('woke_up_late')
      expect(restarts()).toEqual([])
    })

    it('is not sent when this process was stopped while the channel was being opened', async () => {
      const device = await loggedIn()
      await device.prepare('nginx.service')
      device.arm()
      const sending = rejection(observe(device))
      await Promise.resolve()
      const end = performance.now() + 1_050
      while (performance.now() < end);
      expect((await sending).code).toBe('woke_up_late')
      expect(restarts()).toEqual([])
    })

    it('is not sent after an abort', async () => {
      const device = await loggedIn()
      await device.prepare('nginx.service')
      device.arm()
      controller.abort('enough')
      await expect(observe(device)).rejects.toBe('enough')
      expect(restarts()).toEqual([])
    })

    it('rejects with the reason of an abort while it is under way, and the restart goes on', async () => {
      const device = await loggedIn()
      await device.prepare('slow.service')
      device.arm()
      const reason = new VosError('deadline', 'out of time')
      const work = observe(device, (seen) => {
        if (seen.type === 'state') controller.abort(reason)
      })
      await expect(work).rejects.toBe(reason)
      expect(restarts()).toHaveLength(1)
    })

    it('leaves nothing behind when nobody wants to hear the rest', async () => {
      const device = await loggedIn()
      await device.prepare('slow.service')
      device.arm()
      for await (const seen of device.commit()) {
        if (seen.type !== 'state') continue
        // A state may be read before the command has reached the host, and leaving then would keep it from it.
        await until('the command has arrived', () => restarts().length > 0)
        break
      }
      await device.close()
      expect(restarts()).toHaveLength(1)
    })
  })

  describe('following', () => {
    it('reads the list at the pace of the connection until its limit', async () => {
      const device = await loggedIn({ timings: { pollMs: 60, pollLimitMs: 330 } })
      let readings = 0
      for await (const services of device.follow('nginx.service')) {
        readings++
        expect(services.find(({ name }) => name === 'nginx.service')?.state).toBe('STARTED')
      }
      expect(readings).toBeGreaterThanOrEqual(3)
      expect(readings).toBeLessThanOrEqual(7)
    })

    it('ends with the connection, also while it waits', async () => {
      const device = await loggedIn({ timings: { pollMs: 60_000, pollLimitMs: 600_000 } })
      const following = device.follow('nginx.service')[Symbol.asyncIterator]()
      await following.next()
      const next = rejection(following.next())
      cable.cut()
      expect((await next).code).toBe('connection_lost')
    })

    it('ends with the reason of an abort, also while it waits', async () => {
      const device = await loggedIn({ timings: { pollMs: 60_000, pollLimitMs: 600_000 } })
      const following = device.follow('nginx.service')[Symbol.asyncIterator]()
      await following.next()
      const thrown = reasonOf(following.next())
      controller.abort('enough')
      expect(await thrown).toBe('enough')
    })
  })

  it('may be closed at any time, twice, and before it was ever open', async () => {
    const device = newDevice()
    await device.close()
    await device.connect()
    await Promise.all([device.close(), device.close()])
    await device.connect()
    await authenticateAndOpen(device)
    await device.close()
    await expect(device.services()).rejects.toThrow('while closed')
  })
})
