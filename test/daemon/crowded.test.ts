import fs from 'node:fs'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Client } from '../../src/cli/client.ts'
import { createHandlers } from '../../src/daemon/handlers.ts'
import { LentSecrets } from '../../src/daemon/lent-secrets.ts'
import { createSealedStore } from '../../src/daemon/sealed-store.ts'
import { describeHolder, listen, prepareStateDirectory, statePaths, writeHolder } from '../../src/daemon/lifecycle.ts'
import { DEFAULT_SETTINGS } from '../../src/daemon/settings.ts'
import { createSecretReader } from '../../src/daemon/secrets.ts'
import { createVosServer, type ServerOptions } from '../../src/daemon/server.ts'
import { Wire } from '../faults/watchers/wire.ts'
import { House } from '../helpers/manager.ts'
import { output, ScriptedDevice } from '../helpers/scripted-device.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { secretsOf } from '../helpers/secrets.ts'

function newPaths() {
  const paths = statePaths(path.join(temporaryDirectory(), 'state'))
  prepareStateDirectory(paths)
  return paths
}

async function serve(house: House, options: Partial<ServerOptions> = {}) {
  const paths = newPaths()
  const { manager, store } = house
  const server = createVosServer({
    store,
    manager,
    handlers: createHandlers({
      store,
      manager,
      ...secretsOf(store),
      now: Date.now,
      info: () => ({}) as never,
      stop: () => ({ active: 0 }),
    }),
    now: Date.now,
    log: () => undefined,
    onClients: () => undefined,
    ...options,
  })
  await listen(server.http, paths)
  onTestFinished(() => server.close())
  return { server, socketPath: paths.socket }
}

function chatty(lines: number): House {
  const said = Array.from({ length: lines }, (_, index) => output(`${index} ${'chatter '.repeat(480)}`))
  const moves = [output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STARTED]'), { type: 'ended' } as const]
  return new House(() => new ScriptedDevice({ commit: [{ type: 'sent' }, ...said, ...moves] }))
}

async function enter(socketPath: string): Promise<Wire> {
  const wire = await Wire.open(socketPath)
  onTestFinished(() => wire[Symbol.dispose]())
  await wire.enter()
  return wire
}

describe('a client that takes nothing', () => {
  it('is cut off: one that asked and never read had its answers kept for 45 s, a gigabyte of them', async () => {
    const house = chatty(300)
    const { server, socketPath } = await serve(house)
    const id = house.start(house.add('cucm-pub')).operations[0]?.id ?? ''
    await house.settled(id)
    const wire = await enter(socketPath)
    for (let asked = 0; server.clients() > 0; asked++) {
      expect(asked).toBeLessThan(20)
      wire.request('operation:events', { id, limit: 5000 })
      await sleep(20)
    }
  })

  it('is cut off: one that subscribed again and again and acknowledged nothing had every batch kept', async () => {
    const house = chatty(0)
    const { server, socketPath } = await serve(house)
    const connection = house.add('cucm-pub')
    const wire = await enter(socketPath)
    wire.discard()
    for (let asked = 0; server.clients() > 0; asked++) {
      expect(asked).toBeLessThan(60)
      wire.request('subscribe', { room: 'operations' })
      await sleep(50)
      if (server.clients() > 0) await house.settled(house.start(connection).operations[0]?.id ?? '')
    }
  })
})

describe('few descriptors', () => {
  it('leave half of them to devices: a crowd once made a login fail for want of one', async () => {
    const { server, socketPath } = await serve(chatty(0), { descriptors: 20 })
    expect(server.http.maxConnections).toBe(10)
    const options = { socketPath, version: '0' }
    const clients = await Promise.all(Array.from({ length: 5 }, () => Client.connect(options)))
    onTestFinished(() => clients.forEach((client) => client.close()))
    await expect(Client.connect(options)).rejects.toMatchObject({
      code: 'too_many_clients',
      message: expect.stringContaining('already has 5 clients'),
    })
  })

  it('are no attempt to log in: a key that could not be opened for want of one once held the login', async () => {
    const house = chatty(0)
    const { store } = house
    const sealed = {
      ...createSealedStore({ store, provider: 'file', configDirectory: temporaryDirectory() }),
      withKey: () => Promise.reject(new Error('EMFILE: too many open files')),
    }
    const lent = new LentSecrets()
    const { read } = createSecretReader({ store, sealed, settings: DEFAULT_SETTINGS, lent })
    const connection = store.connections.get(house.add('cucm-pub'))
    await expect(read({ connection, signal: new AbortController().signal })).rejects.toMatchObject({
      code: 'bad_key_file',
      message: expect.stringContaining('EMFILE'),
    })
  })

  it('are told in words to a client for whom there is none, not as "write EPIPE"', async () => {
    const { socket } = newPaths()
    const full = net.createServer((each) => each.destroy()).listen(socket)
    await once(full, 'listening')
    onTestFinished(() => void full.close())
    await expect(Client.connect({ socketPath: socket, version: '0' })).rejects.toMatchObject({
      code: 'no_daemon',
      message: expect.stringContaining('too many are connected'),
    })
  })
})

describe('the place of the socket', () => {
  it('is not taken from a daemon that runs, whose database was moved away: it could not be reached any more', async () => {
    const paths = newPaths()
    const first = http.createServer()
    await listen(first, paths)
    onTestFinished(() => void first.close())
    const { ino } = fs.statSync(paths.socket)
    await expect(listen(http.createServer(), paths)).rejects.toMatchObject({
      code: 'socket_path',
      message: expect.stringContaining('It was not touched.'),
    })
    expect(fs.statSync(paths.socket).ino).toBe(ino)
  })
})

describe('the name of the winner', () => {
  it('is waited for: a loser that was quick once named the daemon that had been killed before', async () => {
    const paths = newPaths()
    fs.writeFileSync(paths.holder, JSON.stringify({ pid: 2 ** 22 + 1, version: '0.0.1' }))
    const name = describeHolder(paths)
    // Called without waiting: it has looked once by now.
    writeHolder(paths, '0.0.2')
    expect(await name).toBe(`pid ${process.pid}, vosctl 0.0.2`)
  })
})
