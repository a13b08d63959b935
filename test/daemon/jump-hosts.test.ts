import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { deviceKey } from '../../src/core/connection.ts'
import type { Operation } from '../../src/core/operation.ts'
import type { ConnectionInput } from '../../src/core/protocol.ts'
import { exitStatusFor } from '../../src/core/verdict.ts'
import { createHostKey, scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Proxy, type Strike } from '../faults/network/proxy.ts'
import { appliance, attempts, JumpHouse, sshd } from '../helpers/jump-house.ts'
import { rejection } from '../helpers/rejection.ts'
import { SOME_HOST_KEY } from '../helpers/ssh-server.ts'
import { layCable, SSHD, startSshd, type TestSshd } from '../helpers/sshd.ts'
import { until } from '../helpers/wait.ts'
import { timings } from './vos-fixture.ts'

const scenario = (name: string): Scenario => scenarios.get(name) as Scenario

/** A jump host without anything special, for all. */
let ordinary: TestSshd

/** The same, as if it had just been started. */
function bastionOf(server: TestSshd): TestSshd {
  const before = server.log().length
  return { ...server, log: () => server.log().slice(before) }
}

/** An appliance behind one jump host. */
async function oneHop() {
  const house = new JumpHouse()
  const bastion = bastionOf(ordinary)
  const cucm = await appliance(scenario('publisher'))
  const hop = await house.hop(bastion, { name: 'bastion' })
  const id = await house.appliance(cucm, { name: 'cucm', via: 'bastion' })
  return { house, bastion, cucm, hop, id }
}

const told = ({ status, error }: Operation) => ({ status, code: error?.code })

describe.skipIf(SSHD === null)('a device behind a jump host', { timeout: 30_000 }, () => {
  beforeAll(async () => {
    ordinary = await startSshd()
    return () => ordinary.stop()
  })

  it('is restarted once, over one session with the jump host, and both attempts are in the journal before they are made', async () => {
    const { house, bastion, cucm, id } = await oneHop()
    const operation = await house.run(id)
    expect(operation).toMatchObject({ status: 'completed', facts: { via: ['bastion'] } })
    expect(operation.device).toBe(`127.0.0.1:${cucm.port} via 127.0.0.1:${bastion.port}`)
    expect(attempts(bastion)).toEqual([expect.stringContaining('Accepted publickey')])
    expect(cucm.ledger.authAttempts()).toHaveLength(1)
    expect(cucm.ledger.restarts()).toHaveLength(1)
    const device = `127.0.0.1:${bastion.port}`
    const hop = { id: 1, name: 'bastion', device }
    expect(house.events(operation.id).slice(1, 7)).toMatchObject([
      { type: 'connecting' },
      { type: 'authenticating', username: bastion.username, method: 'publickey', hop },
      { type: 'authenticated', hop },
      { type: 'authenticating', username: cucm.username },
      { type: 'authenticated' },
      { type: 'ready' },
    ])
    expect(house.events(operation.id)[4]).not.toHaveProperty('hop')
    await until('the jump host has seen the end', () => bastion.log().includes('Disconnected from user'))
  })

  it('is reached through two of them, and a test names both', async () => {
    const house = new JumpHouse()
    const [inner, cucm] = await Promise.all([sshd(), appliance(scenario('publisher'))])
    const outer = bastionOf(ordinary)
    await house.hop(outer, { name: 'outer' })
    const linux = await house.hop(inner, { name: 'inner', via: 'outer' })
    expect((await house.run(linux, { operationType: 'ssh_test' })).message).toMatch(/^login ok \d+\.\ds via outer, /)
    const id = await house.appliance(cucm, { name: 'cucm', via: 'inner' })
    const operation = await house.run(id, { operationType: 'ssh_test' })
    expect(operation.message).toMatch(/^login ok \d+\.\ds via outer via inner, /)
    expect([attempts(outer), attempts(inner)].map(({ length }) => length)).toEqual([2, 2])
  })

  it('asks a jump host with a wrong password once, whoever wants to go through it', async () => {
    const house = new JumpHouse()
    const bastion = await sshd('PasswordAuthentication yes')
    const hop = await house.add(bastion, { name: 'bastion', platform: 'linux' }, 'wrong')
    const ids: number[] = []
    for (let number = 1; number <= 20; number++) {
      const machine = { host: '10.0.0.1', port: number, username: 'admin', hostKey: SOME_HOST_KEY }
      ids.push(await house.add(machine, { name: `cucm-${number}`, via: 'bastion' }, 'secret'))
    }
    const ended = await Promise.all(house.start(ids, { operationType: 'ssh_test' }).map(({ id }) => house.settled(id)))
    expect(attempts(bastion)).toEqual([expect.stringContaining('Failed password')])
    const endedBy = (code: string) => ended.filter(({ error }) => error?.code === code).map(exitStatusFor)
    expect(endedBy('login_refused')).toEqual([6])
    expect(endedBy('login_held')).toEqual(Array<number>(19).fill(5))
    for (const { message } of ended) expect(message).toMatch(/^bastion /)
    expect(() => house.start(ids.slice(0, 1))).toThrow('cucm-1 is reached through bastion: bastion is held')
    // The hold is that of the jump host, and of nothing behind it.
    expect(house.manager.loginHold(house.store.connections.get(hop))).not.toBeNull()
    expect(ids.map((id) => house.manager.loginHold(house.store.connections.get(id)))).toEqual(ids.map(() => null))
    await house.setPassword(hop, 'right')
    expect(house.start(ids.slice(0, 1))).toHaveLength(1)
  })

  it('never has more logins open at a jump host than OpenSSH lets in', async () => {
    const house = new JumpHouse()
    // The seventh is turned away.
    const bastion = await sshd('MaxStartups 6:100:6')
    await house.hop(bastion, { name: 'bastion' })
    const ids: number[] = []
    for (let number = 1; number <= 12; number++) {
      const machine = { host: '127.0.0.1', port: number, username: 'admin', hostKey: SOME_HOST_KEY }
      ids.push(await house.add(machine, { name: `cucm-${number}`, via: 'bastion' }, 'secret'))
    }
    const ended = await Promise.all(house.start(ids, { operationType: 'ssh_test' }).map(({ id }) => house.settled(id)))
    expect(ended.map(told)).toEqual(ids.map(() => ({ status: 'failed', code: 'unreachable' })))
    expect(ended[0]?.message).toMatch(
      /^Cannot reach cucm-1 \(127\.0\.0\.1:1 through bastion\): bastion cannot connect to it \("Connection refused"\)/,
    )
    expect(ended.map(exitStatusFor)).toEqual(ids.map(() => 6))
    expect(attempts(bastion)).toHaveLength(12)
  })

  it('is not reached where the jump host may not forward', async () => {
    const house = new JumpHouse()
    const bastion = await sshd('AllowTcpForwarding no')
    await house.hop(bastion, { name: 'bastion' })
    const machine = { host: '127.0.0.1', port: 1, username: 'admin', hostKey: SOME_HOST_KEY }
    const id = await house.add(machine, { name: 'cucm', via: 'bastion' }, 'secret')
    const operation = await house.run(id)
    expect(told(operation)).toEqual({ status: 'failed', code: 'unreachable' })
    expect(operation.message).toContain('bastion may not forward to it')
    expect(operation.error?.hint).toContain('AllowTcpForwarding')
  })

  it('gets nothing when the key of the jump host is not pinned, and the jump host neither', async () => {
    const { house, bastion, hop, id } = await oneHop()
    await house.handlers['connection:edit']({ id: hop, change: { port: 1 } })
    await house.handlers['connection:edit']({ id: hop, change: { port: bastion.port } })
    expect(() => house.start([id])).toThrow('cucm is reached through bastion: bastion has no pinned host key.')
    expect(bastion.log()).not.toContain('Connection from')
  })

  it('gets nothing when the jump host is one that would take the first key', async () => {
    const { house, bastion, hop, id } = await oneHop()
    const change = { port: 1, acceptNew: true }
    await house.handlers['connection:edit']({ id: hop, change })
    await house.handlers['connection:edit']({ id: hop, change: { port: bastion.port } })
    expect(() => house.start([id])).toThrow('cucm is reached through bastion: bastion has no pinned host key.')
    expect(bastion.log()).not.toContain('Connection from')
    // Only by itself does it take one.
    await house.run(hop, { operationType: 'ssh_test' })
    expect(house.store.connections.get(hop).hostKey).toEqual(bastion.hostKey)
    expect((await house.run(id, { operationType: 'ssh_test' })).status).toBe('completed')
  })

  it('has its first key pinned after the login at the jump host and before its own, and no other one goes', async () => {
    const house = new JumpHouse()
    const bastion = bastionOf(ordinary)
    const cucm = await appliance(scenario('publisher'))
    const first = cucm.hostKey
    await house.hop(bastion, { name: 'bastion' })
    const where = { host: cucm.host, port: cucm.port, username: cucm.username, timings }
    const lab = { ...where, name: 'lab', via: 'bastion', acceptNew: true }
    const { id } = await house.handlers['connection:add'](lab)
    await house.setPassword(id, cucm.password)
    const seen: unknown[] = []
    house.manager.onEvent(({ event }) => {
      const { hostKey } = house.store.connections.get(id)
      if (event.type === 'authenticating') seen.push({ at: event.hop?.name ?? 'lab', hostKey })
    })
    const operation = await house.run(id)
    expect(operation).toMatchObject({ status: 'completed', facts: { hostKey: first, via: ['bastion'] } })
    expect(seen).toEqual([
      { at: 'bastion', hostKey: null },
      { at: 'lab', hostKey: first },
    ])
    const types = house.events(operation.id).map(({ type }) => type)
    expect(types.slice(1, 6)).toEqual(['connecting', 'authenticating', 'authenticated', 'pinned', 'authenticating'])
    expect(house.events(operation.id)[5]).not.toHaveProperty('firstSight')
    const logins = cucm.ledger.of('auth').length
    cucm.changeHostKey(createHostKey('ssh-ed25519'))
    expect(told(await house.run(id))).toEqual({ status: 'failed', code: 'host_key_changed' })
    expect(cucm.ledger.of('auth')).toHaveLength(logins)
    expect(house.store.connections.get(id).hostKey).toEqual(first)
  })

  it('gets nothing when the key of the jump host has changed, and the jump host gets no credential', async () => {
    const { house, bastion, cucm, hop, id } = await oneHop()
    await house.replaceKey(hop, SOME_HOST_KEY)
    const operation = await house.run(id)
    expect(told(operation)).toEqual({ status: 'failed', code: 'host_key_changed' })
    expect(operation.message).toMatch(/^The host key of bastion /)
    expect(attempts(bastion)).toEqual([])
    expect(cucm.ledger.entries).toEqual([])
  })

  it('gets no credential when its own key has changed behind the right jump host', async () => {
    const { house, cucm, id } = await oneHop()
    await house.replaceKey(id, SOME_HOST_KEY)
    const operation = await house.run(id)
    expect(told(operation)).toEqual({ status: 'failed', code: 'host_key_changed' })
    expect(operation.message).toMatch(/^The host key of cucm \(127.0.0.1:\d+ through bastion\) /)
    expect(cucm.ledger.of('auth')).toEqual([])
  })

  it('is left alone while its jump host is on hold', async () => {
    const { house, bastion, hop, id } = await oneHop()
    await house.handlers['connection:hold']({ id: hop, by: 'bob', reason: 'patching' })
    expect(() => house.start([id])).toThrow(/^cucm is reached through bastion: bastion is on hold since .*"patching"/)
    const error = await rejection(house.ask('connection:host-key', id))
    expect(error).toMatchObject({ code: 'on_hold' })
    await house.handlers['connection:release']({ id: hop })
    expect((await house.run(id, { operationType: 'ssh_test' })).status).toBe('completed')
    expect(attempts(bastion)).toHaveLength(1)
  })

  it('shows its key through a login at the jump host, which has the one road of all logins', async () => {
    const { house, bastion, cucm, hop, id } = await oneHop()
    expect(await house.handlers['connection:host-key']({ id })).toEqual({
      type: cucm.hostKey.type,
      fingerprint: cucm.hostKey.fingerprint,
      bits: null,
    })
    expect(cucm.ledger.of('auth')).toEqual([])
    expect(attempts(bastion)).toHaveLength(1)
    const [test] = house.manager.board()
    expect(test).toMatchObject({ type: 'ssh_test', status: 'completed', connection: { id: hop } })
    expect(test?.message).toContain('read the host key of cucm')
    const wrong = { keyPath: bastion.strangerPath }
    await house.handlers['connection:edit']({ id: hop, change: wrong })
    for (const code of ['login_refused', 'login_held']) {
      const error = await rejection(house.ask('connection:host-key', id))
      expect(error).toMatchObject({ code })
    }
    expect(attempts(bastion)).toHaveLength(2)
  })

  it('keeps its login hold when its jump host has another address, until a login there has worked', async () => {
    const { house, bastion, cucm, hop, id } = await oneHop()
    const { operations, connections } = house.store
    const hold = { since: 1, operationId: 't-1', message: 'refused' }
    house.store.write(() => operations.setLoginHold(deviceKey(connections.get(id)), cucm.username, hold))
    const cable = await layCable(bastion.port)
    onTestFinished(() => cable.close())
    await house.handlers['connection:edit']({ id: hop, change: { port: cable.port } })
    const device = deviceKey(connections.get(hop))
    await house.handlers['connection:trust']({ id: hop, device, hostKey: bastion.hostKey })
    expect(() => house.start([id])).toThrow('cucm is held')
    const test = await house.run(id, { operationType: 'ssh_test', despiteLoginHold: true })
    expect(told(test)).toEqual({ status: 'completed', code: undefined })
    expect(house.manager.loginHold(connections.get(id))).toBeNull()
    expect((await house.run(id)).status).toBe('completed')
  })

  it('is looked at again through the jump host when that is lost after the Enter, and gets nothing twice', async () => {
    const house = new JumpHouse()
    const bastion = bastionOf(ordinary)
    const cucm = await appliance(scenario('publisher'), 0.01)
    const cable = await layCable(bastion.port)
    onTestFinished(() => cable.close())
    await house.hop({ ...bastion, port: cable.port }, { name: 'bastion' })
    const id = await house.appliance(cucm, { name: 'cucm', via: 'bastion' })
    const [running] = house.start([id])
    await until('it was seen moving', () => house.manager.get(running?.id ?? '').transition)
    cable.cut()
    const operation = await house.settled(running?.id ?? '')
    expect(operation).toMatchObject({ status: 'completed', reconciliations: 1 })
    const looking = house.events(operation.id).find(({ type }) => type === 'reconciling')
    expect(looking).toMatchObject({
      because: expect.stringMatching(/^The connection to cucm .* was lost: the connection to bastion .* was lost: /),
    })
    expect(cucm.ledger.restarts()).toHaveLength(1)
    expect(attempts(bastion)).toHaveLength(2)
  })

  it('is not touched when the jump host is lost before the Enter', async () => {
    const house = new JumpHouse()
    const bastion = bastionOf(ordinary)
    const cucm = await appliance(scenario('publisher'))
    const cable = await layCable(bastion.port)
    onTestFinished(() => cable.close())
    await house.hop({ ...bastion, port: cable.port }, { name: 'bastion' })
    const id = await house.appliance(cucm, { name: 'cucm', via: 'bastion' })
    house.manager.onEvent(({ event }) => {
      if (event.type === 'resolved') cable.cut()
    })
    const operation = await house.run(id)
    expect(told(operation)).toEqual({ status: 'failed', code: 'connection_lost' })
    expect(operation.message).toContain('bastion')
    expect(cucm.ledger.enters()).toBe(1)
    expect(cucm.ledger.restarts()).toEqual([])
    expect(attempts(bastion)).toHaveLength(1)
  })

  it('ends truly wherever the way to the jump host breaks or freezes', { timeout: 60_000 }, async () => {
    const house = new JumpHouse()
    const bastion = bastionOf(ordinary)
    const short = {
      connectMs: 1500,
      identMs: 1500,
      keyExchangeMs: 1500,
      loginMs: 1500,
      shellMs: 1500,
      promptMs: 2000,
      nudgeMs: 2000,
      quietMs: 25,
      echoMs: 1500,
      commandMs: 1500,
      firstStateMs: 1000,
      silenceWarningMs: 1000,
      silenceLimitMs: 1500,
      pollMs: 20,
      pollLimitMs: 1000,
      reconnectMs: 1500,
    }
    const restart = async (name: string, strikes: readonly Strike[]) => {
      const cucm = await appliance(scenario('publisher'))
      const proxy = await Proxy.start(strikes)
      onTestFinished(() => proxy[Symbol.asyncDispose]())
      proxy.target = bastion.port
      await house.hop({ ...bastion, port: proxy.port }, { name: `hop-${name}`, timings: short })
      const id = await house.appliance(cucm, { name: `cucm-${name}`, via: `hop-${name}`, timings: short })
      const operation = await house.run(id)
      return { operation, cucm, proxy }
    }
    const whole = await restart('whole', [])
    expect(whole.operation.status).toBe('completed')
    const length = whole.proxy.links[0]?.passed['to-device'] ?? 0
    const cases = (['reset', 'blackhole', 'flip'] as const).flatMap((kind) =>
      [0.4, 0.8, 0.9, 0.97].map((part): Strike => ({
        kind,
        direction: 'to-device',
        offset: Math.round(part * length),
        connection: 1,
      })),
    )
    const ended = await Promise.all(cases.map((strike, index) => restart(String(index), [strike])))
    for (const [index, { operation, cucm, proxy }] of ended.entries()) {
      const { status, code } = told(operation)
      const sent = cucm.ledger.restarts().length
      const isTrue = status === 'unknown' || sent === (status === 'completed' || code === 'service_down' ? 1 : 0)
      const story = { strike: cases[index], status, message: operation.message, sent, isTrue }
      expect({ ...story, isStruck: proxy.struckAt !== null }).toEqual({ ...story, isTrue: true, isStruck: true })
      expect(sent).toBeLessThanOrEqual(1)
    }
    expect(new Set(ended.map(({ operation }) => operation.status)).size).toBeGreaterThan(1)
  })
})

describe('jump hosts as connections', () => {
  const machine = { host: '10.0.0.1', port: 22, username: 'admin', hostKey: SOME_HOST_KEY }
  const linux = (name: string, via?: string) => ({ name, host: name, platform: 'linux', ...(via && { via }) }) as const

  it('are four at most, in no circle, and no appliances', async () => {
    const house = new JumpHouse()
    for (const [name, via] of [['a'], ['b', 'a'], ['c', 'b'], ['d', 'c'], ['e', 'd']] as const) {
      await house.add(machine, linux(name, via))
    }
    const edit = async (id: number, change: Partial<ConnectionInput>) =>
      await house.handlers['connection:edit']({ id, change })
    const add = async (input: Partial<ConnectionInput> & { readonly name: string }) => await house.add(machine, input)
    expect(await rejection(add(linux('f', 'e')))).toMatchObject({
      message: expect.stringContaining('more than 4 jump hosts'),
    })
    expect(await rejection(edit(1, { via: 'e' }))).toMatchObject({ message: expect.stringContaining('through itself') })
    expect(await rejection(edit(1, { via: '1' }))).toMatchObject({ message: expect.stringContaining('through itself') })
    expect(await rejection(edit(2, { via: 'nobody' }))).toMatchObject({ code: 'unknown_connection' })
    expect(await rejection(edit(4, { platform: 'vos' }))).toMatchObject({
      message: expect.stringContaining('d is a VOS appliance'),
    })
    await add({ name: 'far' })
    expect(await rejection(edit(1, { via: 'far' }))).toMatchObject({
      message: expect.stringContaining('forwards nothing'),
    })
    await add(linux('before'))
    // What is behind it would get one too many.
    expect(await rejection(edit(1, { via: 'before' }))).toMatchObject({
      message: expect.stringContaining('e would have more'),
    })
    expect(house.store.connections.list().map(({ hops }) => hops.length)).toEqual([0, 1, 2, 3, 4, 0, 0])
    expect(await rejection(house.ask('connection:remove', 4))).toMatchObject({
      code: 'connection_in_use',
      message: 'd cannot be removed: e is reached through it.',
    })
  })

  it('make another device of the same address, and another login of the same user', async () => {
    const house = new JumpHouse()
    await house.add(machine, linux('a'))
    await house.add(machine, linux('b'))
    const one = await house.add(machine, { name: 'one', via: 'a' }, 'secret')
    const keys = () => house.store.connections.list().map(deviceKey)
    await house.add(machine, { name: 'two', via: 'b' })
    await house.add(machine, { name: 'three', via: 'A' })
    expect(keys()).toEqual(['a:22', 'b:22', '10.0.0.1:22 via a:22', '10.0.0.1:22 via b:22', '10.0.0.1:22 via a:22'])
    const after = await house.handlers['connection:edit']({ id: one, change: { via: null } })
    expect(after).toMatchObject({ via: null, hops: [], hostKey: null, credential: { type: 'none' } })
    expect(keys()[2]).toBe('10.0.0.1:22')
  })

  /** Two connections to one jump host, and a connection to one device through each. */
  async function twoWays() {
    const house = new JumpHouse()
    const b1 = await house.add(machine, { ...linux('b1'), host: 'bastion' })
    await house.add(machine, { ...linux('b2'), host: 'bastion' }, 'secret')
    const ids = [
      await house.add(machine, { name: 'd1', via: 'b1' }, 'secret'),
      await house.add(machine, { name: 'd2', via: 'b2' }, 'secret'),
    ] as const
    const held = () => ids.map((id) => house.manager.loginHold(house.store.connections.get(id)) !== null)
    const lead = async (host: string) => await house.handlers['connection:edit']({ id: b1, change: { host } })
    return { house, ids, held, lead }
  }

  it('do not free a login for those who know the device by another connection to the same jump host', async () => {
    const { house, ids, held, lead } = await twoWays()
    const { operations, connections } = house.store
    const hold = { since: 1, operationId: 't-1', message: 'refused' }
    house.store.write(() => operations.setLoginHold(deviceKey(connections.get(ids[1])), 'admin', hold))
    expect(held()).toEqual([true, true])
    await lead('elsewhere')
    expect(held()).toEqual([true, true])
    expect(() => house.start([ids[1]])).toThrow('d2 is held')
    // They are two devices from now on: each login is mended by itself.
    await house.setPassword(ids[0], 'right')
    expect(held()).toEqual([false, true])
    await house.setPassword(ids[1], 'right')
    expect(held()).toEqual([false, false])
    expect(operations.loginHolds()).toEqual([])
  })

  it('are not led elsewhere while somebody keeps hands off what is behind them, by whichever connection', async () => {
    const { house, ids, lead } = await twoWays()
    const [d1, d2] = ids
    await house.handlers['connection:hold']({ id: d1, by: 'bob' })
    expect(await rejection(lead('elsewhere'))).toMatchObject({
      code: 'connection_in_use',
      message: 'b1 cannot be led elsewhere: d1, which is reached through it, is on hold.',
      hint: 'First: vosctl release d1',
    })
    expect(() => house.start([d2])).toThrow(/^d2 is on hold .* \(as d1, which is the same device\)/)
    await lead('BASTION.')
    await house.handlers['connection:release']({ id: d1 })
    await lead('elsewhere')
  })

  it('keep what is held behind them when their own address changes', async () => {
    const house = new JumpHouse()
    const a = await house.add(machine, linux('a'))
    const id = await house.add(machine, { name: 'one', via: 'a' }, 'secret')
    const { operations, connections } = house.store
    const hold = { since: 1, operationId: 't-1', message: 'refused' }
    house.store.write(() => operations.setLoginHold(deviceKey(connections.get(id)), 'admin', hold))
    await house.handlers['connection:edit']({ id: a, change: { host: 'elsewhere' } })
    expect(house.manager.loginHold(connections.get(id))).toEqual(hold)
    expect(connections.get(id)).toMatchObject({ hostKey: SOME_HOST_KEY, credential: { type: 'sealed' } })
  })
})
