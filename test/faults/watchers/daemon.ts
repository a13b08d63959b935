import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { SMALL_HEAP } from '../../../src/core/clean-start.ts'
import type { Operation } from '../../../src/core/operation.ts'
import { PROTOCOL_VERSION } from '../../../src/core/protocol.ts'
import { VERSION } from '../../../src/core/version.ts'
import { createHandlers } from '../../../src/daemon/handlers.ts'
import { LentSecrets } from '../../../src/daemon/lent-secrets.ts'
import { createSealedStore } from '../../../src/daemon/sealed-store.ts'
import { listen, prepareStateDirectory, statePaths } from '../../../src/daemon/lifecycle.ts'
import { createVosServer } from '../../../src/daemon/server.ts'
import { openDatabase } from '../../../src/daemon/store/database.ts'
import { Store } from '../../../src/daemon/store/store.ts'
import { Random } from '../random.ts'
import { Load } from './load.ts'
import { answer, ask } from './questions.ts'

const ROLE = 'VOSCTL_FAULTS_WATCHED_DAEMON'
const EVENTS_PER_SECOND = 10_000

export interface Memory {
  /** Of the process, in bytes. */
  readonly resident: number
  /** In use by JavaScript and its buffers after garbage collection, in bytes. */
  readonly live: number
}

export interface DaemonQuestions {
  /** Record events from now on. */
  readonly begin: null
  /** No more of them; answers when the last one is on disk. */
  readonly end: null
  readonly count: number
  /** Processor time so far, in microseconds. */
  readonly processor: number
  readonly memory: Memory
  readonly board: readonly Operation[]
}

/** The daemon's own journal, feed and server, fed by a {@link Load}, in a process with the memory settings of a daemon. */
export class WatchedDaemon implements AsyncDisposable {
  readonly socket: string
  readonly #child: ChildProcess

  private constructor(socket: string, child: ChildProcess) {
    this.socket = socket
    this.#child = child
  }

  /** On a state directory in `directory`, which must not be there yet. */
  static async start(directory: string, seed: number): Promise<WatchedDaemon> {
    const state = path.join(directory, 'state')
    // This very file, or the bundle that it is part of: what the rig attacks is what it was built from.
    const program = [import.meta.filename, ...process.argv.slice(2)]
    const settings = [...SMALL_HEAP, '--expose-gc']
    const child = spawn(process.execPath, [...settings, ...program], {
      env: { PATH: process.env['PATH'], [ROLE]: JSON.stringify({ state, seed }) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const daemon = new WatchedDaemon(statePaths(state).socket, child)
    await daemon.ask('count')
    return daemon
  }

  ask<Name extends keyof DaemonQuestions>(name: Name): Promise<DaemonQuestions[Name]> {
    return ask(this.#child, name) as Promise<DaemonQuestions[Name]>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

async function serve({ state, seed }: { readonly state: string; readonly seed: number }): Promise<never> {
  const paths = statePaths(state)
  prepareStateDirectory(paths)
  const store = new Store(openDatabase(paths.database), (error) => {
    throw error
  })
  const load = new Load(store, new Random(seed))
  const info = () => ({
    version: VERSION,
    protocol: PROTOCOL_VERSION,
    pid: process.pid,
    startedAt: 0,
    stateDirectory: state,
    active: 0,
    clients: server.clients(),
    draining: false,
    historyMs: null,
    network: null,
    memoryBytes: process.memoryUsage.rss(),
    now: Date.now(),
  })
  const handlers = createHandlers({
    store,
    manager: load,
    sealed: createSealedStore({ store, provider: 'file', configDirectory: state }),
    lent: new LentSecrets(),
    now: Date.now,
    info,
    stop: () => ({ active: 0 }),
  })
  const log = (line: string) => process.stderr.write(`${line}\n`)
  const server = createVosServer({ store, manager: load, handlers, now: Date.now, log, onClients: () => undefined })
  await listen(server.http, paths)
  const ended = new AbortController()
  let running = Promise.resolve()
  return answer({
    begin: () => {
      running = load.run(EVENTS_PER_SECOND, ended.signal)
      return null
    },
    end: async () => {
      ended.abort()
      await running
      return null
    },
    count: () => load.count,
    processor: () => {
      const { user, system } = process.cpuUsage()
      return user + system
    },
    memory: () => {
      globalThis.gc?.()
      const { rss, heapUsed, external } = process.memoryUsage()
      return { resident: rss, live: heapUsed + external }
    },
    board: () => load.board(),
  } satisfies { [Name in keyof DaemonQuestions]: () => DaemonQuestions[Name] | Promise<DaemonQuestions[Name]> })
}

const role = process.env[ROLE]
if (role !== undefined) await serve(JSON.parse(role))
