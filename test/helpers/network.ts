import { createHash, randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import type { RequestName, TokenView } from '../../src/core/protocol.ts'
import { createHandlers, type Handlers } from '../../src/daemon/handlers.ts'
import { openNetworkDoor, type NetworkDoor, type NetworkOptions } from '../../src/daemon/network/door.ts'
import { createVosServer, type RunningServer } from '../../src/daemon/server.ts'
import { DEFAULT_SETTINGS, type Settings } from '../../src/daemon/settings.ts'
import { House } from './manager.ts'
import { ScriptedDevice, type Script } from './scripted-device.ts'
import { secretsOf } from './secrets.ts'

export const ORIGIN = 'https://ops.example'

/** A house with network doors, and a book of what came as far as its rooms. */
export class NetworkHouse {
  readonly house: House
  readonly server: RunningServer
  readonly log: string[] = []
  /** Every request that a handler was asked, with its input. */
  readonly asked: { readonly name: string; readonly input: unknown }[] = []
  /** Every plain request that the face was given: its target, and for whom. */
  readonly shown: { readonly target: string; readonly name: string; readonly access: string }[] = []
  readonly #doors: NetworkDoor[] = []

  constructor(script: Script = {}) {
    this.house = new House(() => new ScriptedDevice(script))
    const { manager, store } = this.house
    const handlers = createHandlers({
      store,
      manager,
      ...secretsOf(store),
      now: () => this.house.clock,
      info: () => ({
        version: '0',
        protocol: 0,
        pid: 1,
        startedAt: 0,
        stateDirectory: '/home/alice/.local/state/vosctl',
        active: 0,
        clients: this.server.clients(),
        draining: false,
        memoryBytes: 0,
        historyMs: null,
        now: 0,
        network: null,
      }),
      stop: () => ({ active: 0 }),
      cutOff: (token) => {
        for (const door of this.#doors) door.cutOff(token)
      },
    })
    const watched = Object.entries(handlers).map(([name, handler]) => [
      name,
      (input: unknown) => {
        this.asked.push({ name, input })
        return (handler as (input: unknown) => unknown)(input)
      },
    ])
    this.server = createVosServer({
      store,
      manager,
      handlers: Object.fromEntries(watched) as Handlers,
      now: Date.now,
      log: (line) => this.log.push(line),
      onClients: () => undefined,
    })
    onTestFinished(async () => {
      await this.server.close()
      for (const door of this.#doors) await door.close()
    })
  }

  /** Lets it listen on a free port of this machine. */
  async open(settings: Partial<Settings> = {}, options: Partial<NetworkOptions> = {}) {
    const door = await openNetworkDoor({
      settings: { ...DEFAULT_SETTINGS, listen: [{ host: '127.0.0.1', port: 0 }], origins: [ORIGIN], ...settings },
      server: this.server,
      store: this.house.store,
      now: () => this.house.clock,
      log: (line) => this.log.push(line),
      face: ({ url = '' }, response, caller) => {
        this.shown.push({ target: url, ...caller })
        response.end(JSON.stringify(caller))
      },
      failuresPerMinute: Infinity,
      ...options,
    })
    this.#doors.push(door)
    door.open()
    return { door, port: Number(new URL(door.addresses[0] ?? '').port) }
  }

  /** Makes a token as the client does. */
  token(name: string, access: TokenView['access']): string {
    const token = `vosctl_${randomBytes(32).toString('base64url')}`
    const digest = createHash('sha256').update(token).digest('base64url')
    const { store, clock } = this.house
    store.write(() => store.tokens.add({ name, access, digest, createdBy: 'alice' }, clock))
    return token
  }

  /** As `vosctl daemon token revoke` does it. */
  revoke(name: string): void {
    const token = this.house.store.write(() => this.house.store.tokens.revoke(name))
    for (const door of this.#doors) door.cutOff(token)
  }

  asks(name: RequestName): number {
    return this.asked.filter((one) => one.name === name).length
  }
}
