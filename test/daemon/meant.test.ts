import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { deviceKey, loginKey, MAX_HOPS } from '../../src/core/connection.ts'
import type { ConnectionInput, ConnectionView } from '../../src/core/protocol.ts'
import { REQUESTS } from '../../src/core/schemas.ts'
import { House } from '../helpers/manager.ts'
import { rejection } from '../helpers/rejection.ts'
import { ScriptedDevice } from '../helpers/scripted-device.ts'
import { handlersOf } from '../helpers/secrets.ts'
import { SOME_HOST_KEY } from '../helpers/ssh-server.ts'

type Change = (name: string, change: Partial<ConnectionInput>) => unknown

/** What another client can do to an appliance behind a jump host while a person compares or types. */
const MOVES: Readonly<Record<string, (edit: Change) => unknown>> = {
  'another host': (edit) => edit('cucm', { host: '10.0.0.2' }),
  'another port': (edit) => edit('cucm', { port: 2222 }),
  'another way': (edit) => edit('cucm', { via: null }),
  'another address of the jump host': (edit) => edit('bastion', { host: '10.9.9.8' }),
}
const LOGINS = { ...MOVES, 'another user': (edit: Change) => edit('cucm', { username: 'other' }) }
const REFUSED = {
  code: 'bad_request',
  message: expect.stringMatching(/^cucm was changed meanwhile: it is .+ now\. Nothing was changed\.$/),
}

async function open(source: Partial<ConnectionInput> = {}) {
  const house = new House(() => new ScriptedDevice({}))
  const handlers = handlersOf(house)
  const views = new Map<string, ConnectionView>()
  const add = async (input: ConnectionInput) => views.set(input.name, await handlers['connection:add'](input))
  await add({ name: 'bastion', host: '10.9.9.9', username: 'jump', platform: 'linux', ...source })
  await add({ name: 'cucm', host: '10.0.0.1', username: 'admin', via: 'bastion', ...source })
  const seen = (name: string) => views.get(name) ?? expect.fail(`${name} was not added`)
  const { id } = seen('cucm')
  const edit: Change = (name, change) => handlers['connection:edit']({ id: seen(name).id, change })
  const now = () => house.store.connections.get(id)
  return { house, handlers, seen, cucm: seen('cucm'), id, edit, now }
}

describe('a host key that a person has compared', () => {
  it.each(Object.entries(MOVES))('is pinned for no other device: %s', async (_, move) => {
    const { handlers, cucm, id, edit, now } = await open()
    const trust = async () =>
      await handlers['connection:trust']({ id, device: deviceKey(cucm), hostKey: SOME_HOST_KEY })
    move(edit)
    expect(await rejection(trust())).toMatchObject(REFUSED)
    expect(now().hostKey).toBeNull()
  })

  it('is pinned for the device by another name and for another user', async () => {
    const { handlers, cucm, id, edit, now } = await open()
    edit('cucm', { name: 'renamed', username: 'other' })
    await handlers['connection:trust']({ id, device: deviceKey(cucm), hostKey: SOME_HOST_KEY })
    expect(now().hostKey).toEqual(SOME_HOST_KEY)
  })
})

describe('a password that a person has typed', () => {
  it.each(Object.entries(LOGINS))('is sealed for no other login: %s', async (_, move) => {
    const { house, handlers, cucm, id, edit } = await open()
    const set = async () => await handlers['credential:set']({ id, login: loginKey(cucm), password: 'typed' })
    move(edit)
    expect(await rejection(set())).toMatchObject(REFUSED)
    expect(house.store.connections.sealedPassword(id)).toBeNull()
  })

  it.each(Object.entries(LOGINS))('is not sealed when that comes while the key is fetched: %s', async (_, move) => {
    const { house, handlers, cucm, id, edit } = await open()
    const set = handlers['credential:set']({ id, login: loginKey(cucm), password: 'typed' })
    move(edit)
    expect(await rejection(Promise.resolve(set))).toMatchObject(REFUSED)
    expect(house.store.connections.sealedPassword(id)).toBeNull()
  })

  it('has a login that fits into the request, however long its parts are', () => {
    const address = (letter: string) => ({ host: letter.repeat(253), port: 65535 })
    const hops = ['b', 'c', 'd', 'e'].map((name) => ({ ...address(name), id: 1, name }))
    const credential = { type: 'key', path: `/${'k'.repeat(4095)}` } as const
    const longest = { ...address('a'), hops, username: 'u'.repeat(64), credential }
    expect(hops).toHaveLength(MAX_HOPS)
    const login = loginKey(longest)
    expect(REQUESTS['credential:set'].parse({ id: 1, login, password: 'typed' })).toHaveProperty('login', login)
    const device = deviceKey(longest)
    const trust = { id: 1, device, hostKey: SOME_HOST_KEY }
    expect(REQUESTS['connection:trust'].parse(trust)).toHaveProperty('device', device)
  })

  it('for a key file is not sealed as the password of the login, which would be sent', async () => {
    const { house, handlers, cucm, id, edit } = await open({ keyPath: '/keys/admin' })
    const set = async () => await handlers['credential:set']({ id, login: loginKey(cucm), password: 'typed' })
    edit('cucm', { credential: 'sealed' })
    expect(await rejection(set())).toMatchObject(REFUSED)
    expect(house.store.connections.sealedPassword(id)).toBeNull()
  })

  it.each(Object.entries(LOGINS))('is lent to no other login: %s', async (_, move) => {
    const { house, handlers, cucm, id, edit, now } = await open({ credential: 'prompt' })
    const requestId = randomUUID()
    const lend = async () =>
      await handlers['credential:lend']({ requestId, connectionId: id, login: loginKey(cucm), password: 'typed' })
    move(edit)
    expect(await rejection(lend())).toMatchObject(REFUSED)
    expect(house.lent.isLent(requestId, now())).toBe(false)
  })

  it.each(Object.entries(LOGINS))('and that is lent already is not used for another login: %s', async (_, move) => {
    const { house, handlers, seen, id, edit } = await open({ credential: 'prompt' })
    const pin = () => {
      for (const { id } of house.store.connections.list()) house.store.connections.pin(id, SOME_HOST_KEY)
    }
    const requestId = randomUUID()
    for (const name of ['bastion', 'cucm']) {
      const login = loginKey(seen(name))
      await handlers['credential:lend']({ requestId, connectionId: seen(name).id, login, password: `of ${name}` })
    }
    move(edit)
    // Somebody has compared the key of the new device.
    pin()
    expect(() => house.start(id, { requestId })).toThrow('wants its password typed at each start')
    expect(house.manager.board()).toEqual([])
    // Where it leads back, it is the login that was meant.
    edit('bastion', { host: '10.9.9.9' })
    edit('cucm', { host: '10.0.0.1', port: 22, username: 'admin', via: 'bastion' })
    pin()
    const operation = house.start(id, { requestId }).operations[0]?.id ?? ''
    const found = (name: string) => house.lent.find(operation, house.store.connections.get(seen(name).id))
    expect(['bastion', 'cucm'].map(found)).toEqual(['of bastion', 'of cucm'])
    expect(house.lent.find(operation, { ...house.store.connections.get(id), host: '10.0.0.2' })).toBeUndefined()
    await house.settled(operation)
  })
})
