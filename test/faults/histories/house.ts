import { copyFileSync, existsSync, rmSync } from 'node:fs'
import path from 'node:path'
import { DEFAULT_SERVICE, deviceKey } from '../../../src/core/connection.ts'
import type { StartRequest } from '../../../src/core/protocol.ts'
import { Feed } from '../../../src/daemon/feed.ts'
import { Manager } from '../../../src/daemon/manager.ts'
import { openDatabase, type SqliteDatabase } from '../../../src/daemon/store/database.ts'
import { Store } from '../../../src/daemon/store/store.ts'
import { Box } from './box.ts'
import { Judge } from './judge.ts'
import { Port, type Call } from './port.ts'
import { quiet, type VirtualTime } from './virtual-time.ts'
import { Watcher } from './watcher.ts'

/** The fourth connection is the first device under another name. */
const CONNECTIONS = [
  { name: 'alpha', host: 'alpha.example', box: 0 },
  { name: 'beta', host: 'beta.example', box: 1 },
  { name: 'gamma', host: 'gamma.example', box: 2 },
  { name: 'alpha-again', host: 'ALPHA.example.', box: 0 },
] as const
export const CONNECTION_IDS = CONNECTIONS.map((_, index) => index + 1)
/** How often a service list is polled; only the time limit ends the look at a service that never stops moving. */
const POLL_MS = 10_000
const STARTED_AT = 1_700_000_000_000

/** A database with the connections in it; every history begins with a copy. */
export function createTemplate(file: string): void {
  const store = new Store(openDatabase(file), fail)
  store.write(() => {
    for (const { name, host } of CONNECTIONS) {
      const service = DEFAULT_SERVICE.vos
      const { id } = store.connections.add({ name, host, username: 'admin', service }, STARTED_AT)
      store.connections.pin(id, { type: 'ssh-ed25519', fingerprint: `SHA256:${'A'.repeat(43)}` })
      store.connections.setSealedPassword(id, Buffer.from('sealed'))
    }
  })
  store.close()
}

function fail(error: Error): never {
  throw error
}

/** One daemon after another on one disk, the devices and people around them, and what the judge saw of it. */
export class House implements Disposable {
  readonly boxes = ['alpha', 'beta', 'gamma'].map((name) => new Box(name))
  readonly judge = new Judge((connectionId) => this.boxOf(connectionId))
  readonly watchers = new Map<number, Watcher>()
  /** What the living daemon waits for, the oldest first. */
  readonly calls = new Set<Call>()
  readonly requests: StartRequest[] = []
  readonly time: VirtualTime
  /** The wall clock minus the time that has really passed. */
  clockOffset = STARTED_AT
  /** How often it jumped by years. */
  leaps = 0
  crashes = 0
  readonly #directory: string
  #life = 1
  #isAlive = true
  #dieAfter: number | null = null
  #dieAgainAfter: number | null = null
  #db: SqliteDatabase
  #store: Store
  #manager: Manager
  #feed: Feed
  #ports: Port[] = []
  #leave: AbortController | null = null
  #isDrained = false

  constructor(template: string, directory: string, time: VirtualTime) {
    this.#directory = directory
    this.time = time
    copyFileSync(template, this.#file(1))
    ;[this.#db, this.#store, this.#manager, this.#feed] = this.#open()
    this.judge.open(this.#db)
    this.#manager.recover()
  }

  get manager(): Manager {
    return this.#manager
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  get isDraining(): boolean {
    return this.#leave !== null
  }

  boxOf(connectionId: number): Box {
    const connection = CONNECTIONS[connectionId - 1]
    const box = connection && this.boxes[connection.box]
    if (!box) throw new Error(`no connection ${connectionId}`)
    return box
  }

  /** Until nothing more happens by itself; a daemon that died or stopped meanwhile has a successor by then. */
  async settle(): Promise<void> {
    await quiet()
    while (!this.#isAlive || this.#isDrained) {
      await this.#succeed()
      await quiet()
    }
    this.judge.read()
    this.judge.verdict()
  }

  /**
   * SIGKILL now, or right after so many more commits, wherever the daemon is then.
   * @param again its successor is killed after so many commits too, in the middle of its recovery; null: it lives
   */
  crash(afterCommits: number, again: number | null): void {
    this.#dieAgainAfter = again
    if (afterCommits === 0) this.#die()
    else this.#dieAfter = afterCommits
  }

  drain(): void {
    this.#leave = new AbortController()
    const { manager } = this
    void manager.drain(this.#leave.signal).then(() => {
      if (this.#isAlive && manager === this.manager) this.#isDrained = true
    })
  }

  /** The time to drain is over. */
  leaveNow(): void {
    this.#leave?.abort()
  }

  /** As the daemon does it for a person. */
  setPassword(connectionId: number): boolean {
    const connection = this.#store.connections.get(connectionId)
    if (this.manager.isBusy(connection)) return false
    this.#store.write(() => {
      this.#store.connections.setSealedPassword(connectionId, Buffer.from('sealed anew'))
      this.#store.operations.clearLoginHold(deviceKey(connection), connection.username)
    })
    this.judge.personSetPassword(this.boxOf(connectionId))
    return true
  }

  watch(name: number, make: () => Watcher): void {
    const watcher = this.watchers.get(name) ?? make()
    this.watchers.set(name, watcher)
    watcher.come(this.#manager, this.#feed)
  }

  /** No person and no fault any more: everything that was begun must come to its end, and leave nothing open. */
  async finish(): Promise<void> {
    this.#dieAfter = this.#dieAgainAfter = null
    for (let step = 0; ; step++) {
      await this.settle()
      for (const watcher of this.watchers.values()) watcher.take()
      const [call] = this.calls
      if (call) {
        call.answer('well')
        await this.time.pass(call.what === 'poll' ? POLL_MS : 0)
      } else if (this.manager.active > 0 || this.isDraining) await this.time.pass(60_000)
      else break
      if (step < 2000) continue
      this.judge.expect(false, `5: ${this.manager.active} operations never end`)
      break
    }
    // The window of the feed, and the batches that it kept.
    for (let batch = 0; batch < 10; batch++) {
      await this.time.pass(1000)
      for (const watcher of this.watchers.values()) watcher.take()
    }
    await this.settle()
    const { judge } = this
    for (const { id, ending } of judge.known) judge.expect(ending !== null, `5: ${judge.name(id)} never ends`)
    for (const watcher of this.watchers.values()) {
      if (watcher.isThere) watcher.hasSeenAll(this.manager)
      watcher.leave()
    }
    judge.keepsAll()
    judge.expect(
      this.#ports.every(({ isClosed }) => isClosed),
      '13: a session was left open',
    )
    this.manager.stopSweeping()
    judge.expect(this.time.pending === 0, `13: ${this.time.pending} timers still run`)
    judge.verdict()
  }

  [Symbol.dispose](): void {
    this.#isAlive = false
    this.calls.clear()
    this.time.forget()
    this.#store.close()
    this.#remove(this.#life)
    this.#remove(this.#life + 1)
  }

  /**
   * SIGKILL: the next daemon finds the disk as it is at this instant. What is left of this one in memory may run to the end
   * of its turn, but nothing that it does reaches a device, a person or the disk of its successor.
   */
  #die(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.crashes++
    this.calls.clear()
    for (const suffix of ['', '-wal']) {
      const file = this.#file(this.#life) + suffix
      if (existsSync(file)) copyFileSync(file, this.#file(this.#life + 1) + suffix)
    }
  }

  /** The next daemon, on what the one before it left. */
  async #succeed(): Promise<void> {
    this.#dieAfter = this.#dieAgainAfter
    this.#dieAgainAfter = null
    for (const watcher of this.watchers.values()) watcher.leave()
    this.time.forget()
    this.#store.close()
    if (!this.#isAlive) {
      this.#remove(this.#life)
      this.#life++
    }
    this.#isAlive = true
    this.#isDrained = false
    this.#leave = null
    this.#ports = []
    ;[this.#db, this.#store, this.#manager, this.#feed] = this.#open()
    this.judge.open(this.#db)
    this.#manager.recover()
    await quiet()
  }

  #open(): [SqliteDatabase, Store, Manager, Feed] {
    const life = this.#life
    const db = openDatabase(this.#file(life))
    const store = new Store(db, (error) => this.judge.expect(false, `3: the disk failed: ${error.message}`))
    const isAlive = () => this.#isAlive && this.#life === life
    const manager = new Manager({
      store,
      openDevice: (request) => {
        const port = new Port(this.boxOf(request.connection.id), request, {
          calls: this.calls,
          isAlive,
          owner: (connectionId) => (isAlive() ? this.judge.owner(connectionId) : null),
          onStray: (box) => {
            if (isAlive()) this.judge.expect(false, `3: ${box.name} was called before the journal says so`)
          },
          onHandedOver: (operation, what) => {
            if (isAlive()) this.judge.handedOver(operation, what)
          },
          onAttempt: (box, operation) => this.judge.attempt(box, operation),
          onCommand: (box, operation) => this.judge.command(box, operation),
        })
        if (isAlive()) this.#ports.push(port)
        return port
      },
      now: () => Math.round(this.time.now + this.clockOffset),
      monotonic: () => this.time.now,
      log: (line) => {
        if (isAlive()) this.judge.expect(/: looking at /.test(line), `70: ${line}`)
      },
    })
    const feed = new Feed(store.operations, (id) => (manager.find(id) ?? store.operations.find(id)[0])?.connection.id)
    manager.onEvent((recorded) => {
      if (!isAlive()) return
      this.judge.told(recorded)
      feed.push(recorded)
      if (this.#dieAfter !== null && --this.#dieAfter <= 0) this.#die()
    })
    return [db, store, manager, feed]
  }

  #file(life: number): string {
    return path.join(this.#directory, `life-${life}.db`)
  }

  #remove(life: number): void {
    for (const suffix of ['', '-wal', '-shm']) rmSync(this.#file(life) + suffix, { force: true })
  }
}
