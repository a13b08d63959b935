import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { exitStatus, exitStatusOf, VosError } from '../core/errors.ts'
import { masked } from '../core/masks.ts'
import { isSettled } from '../core/operation.ts'
import { PROTOCOL_VERSION, type DaemonInfo } from '../core/protocol.ts'
import { oneLine } from '../core/text.ts'
import { VERSION } from '../core/version.ts'
import { failpoint } from './failpoint.ts'
import { groupId } from './group.ts'
import { createHandlers } from './handlers.ts'
import { headWords, toHead } from './history.ts'
import { openDevice } from './devices/open.ts'
import {
  checkConfigDirectory,
  checkPlaces,
  describeHolder,
  descriptorLimit,
  forgetHolder,
  listen,
  prepareStateDirectory,
  refuseSecondStore,
  statePaths,
  writeHolder,
} from './lifecycle.ts'
import { Manager } from './manager.ts'
import type { NetworkDoor } from './network/door.ts'
import { createVosServer } from './server.ts'
import { keepNames } from './names-file.ts'
import { LentSecrets } from './lent-secrets.ts'
import { createSealedStore } from './sealed-store.ts'
import { createSecretReader } from './secrets.ts'
import { readSettings, settingsFile, settingsWords } from './settings.ts'
import { openDatabase } from './store/database.ts'
import { Store } from './store/store.ts'

const IDLE_MS = 60 * 60_000
/** How long SIGTERM lets the devices finish; systemd would kill after 90 s. */
const DRAIN_MS = 75_000
const REPEATED_SIGNAL_MS = 1000
const DAY_MS = 86_400_000

/** The composition root of the daemon: builds the parts, listens, and takes everything down again. */
async function main(): Promise<void> {
  process.umask(0o077)
  emptyCoreFiles()
  const values = readArguments()
  if (values.version) {
    process.stdout.write(`${VERSION}\n`)
    return
  }
  const { homedir } = os.userInfo()
  const defaultDirectory = path.join(homedir, '.local', 'state', 'vosctl')
  const paths = statePaths(path.resolve(values['state-dir'] ?? defaultDirectory))
  const configDirectory = path.resolve(values['config-dir'] ?? path.join(homedir, '.config', 'vosctl'))
  // Before anything is opened: with settings that are not understood nothing is begun, and none are read that somebody
  // else may have written.
  checkConfigDirectory(configDirectory, settingsFile(configDirectory))
  const settings = await readSettings(configDirectory)
  const group = settings.group === null ? null : groupId(settings.group)
  if (values['check-config']) {
    const file = settingsFile(configDirectory)
    checkPlaces(paths, group)
    const none = fs.existsSync(file) ? '' : ' (not there)'
    if (settings.tls) await (await import('./network/tls.ts')).readTls(settings.tls)
    process.stdout.write(`${file}${none}: ${settingsWords(settings)}\n`)
    return
  }
  if (values['state-source'] === 'env') refuseSecondStore(paths.directory, defaultDirectory)
  prepareStateDirectory(paths, group)

  const store = await openStore(paths.database, () => describeHolder(paths))
  if (!store) return
  writeHolder(paths, VERSION)
  const logHead = () => log(`history head ${headWords(toHead(store.operations.chain.head()))}`)
  // Whoever keeps this log elsewhere can prove later what history was.
  logHead()
  const logHeadAgain = () => {
    try {
      logHead()
    } catch (error) {
      log(`history head cannot be read: ${(error as Error).message}`)
    }
  }
  const daily = setInterval(logHeadAgain, DAY_MS).unref()

  const lent = new LentSecrets()
  // systemd says it to the unit that it starts; a client that forks passes nothing on.
  const credentialsDirectory = process.env['CREDENTIALS_DIRECTORY']
  const isHandedOver = credentialsDirectory && fs.existsSync(path.join(credentialsDirectory, 'vosctl-key'))
  const provider = settings.key ?? (isHandedOver ? 'systemd' : 'file')
  const sealed = createSealedStore({ store, provider, configDirectory, credentialsDirectory })
  // Whoever needs a secret hears of it again; the others need not.
  await sealed.recover().catch((error: unknown) => log(`the sealing key: ${(error as Error).message}`))
  const secrets = createSecretReader({ store, sealed, settings, lent })
  const manager = new Manager({
    store,
    openDevice: (request) =>
      openDevice({ ...request, readSecret: (connection) => secrets.read({ ...request, connection }) }),
    missing: secrets.missing,
    lent,
    now: Date.now,
    monotonic: () => performance.now(),
    historyMs: settings.historyMs,
    log,
  })

  const info = (): DaemonInfo => ({
    version: VERSION,
    protocol: PROTOCOL_VERSION,
    pid: process.pid,
    // By the clock as it stands now, so that the time since then is right when it was set meanwhile.
    startedAt: Math.round(Date.now() - performance.now()),
    stateDirectory: paths.directory,
    active: manager.active,
    clients: server.clients(),
    draining: manager.draining,
    memoryBytes: process.memoryUsage.rss(),
    historyMs: settings.historyMs,
    now: Date.now(),
    network: network && { addresses: network.addresses, tokens: store.tokens.count },
  })

  const leaveNow = new AbortController()
  /** A signal may come before the socket is there; what is half built is not taken down. */
  const up = Promise.withResolvers<void>()
  let stopping: Promise<void> | undefined
  const stop = (reason: string): Promise<void> => {
    stopping ??= (async () => {
      await up.promise
      log(`stopping: ${reason}, ${manager.active} active`)
      failpoint('drain.begin')
      await manager.drain(leaveNow.signal)
      failpoint('drain.done')
      await server.close()
      await network?.close()
      failpoint('server.closed')
      clearTimeout(idle)
      clearInterval(daily)
      logHeadAgain()
      forgetHolder(paths)
      writeNames()
      store.close()
      failpoint('store.closed')
      log('stopped')
    })()
    return stopping
  }

  let idle: NodeJS.Timeout | undefined
  const watchIdle = () => {
    // Nobody would start it again for who comes over the network.
    if (!values.auto || network) return
    clearTimeout(idle)
    if (server.clients() > 0 || manager.active > 0) return
    idle = setTimeout(() => void stop('idle for an hour'), IDLE_MS)
  }
  manager.onEvent((_, operation) => {
    if (isSettled(operation)) watchIdle()
  })

  const handlers = createHandlers({
    store,
    manager,
    sealed,
    lent,
    now: Date.now,
    info,
    stop: (mode) => {
      const { active } = manager
      if (mode === 'idle' && active > 0) return { active }
      if (mode === 'now') leaveNow.abort()
      // The reply goes out before the socket closes.
      setImmediate(() => void stop(`asked to (${mode})`))
      return { active }
    },
    cutOff: (token) => network?.cutOff(token),
  })
  const server = createVosServer({
    store,
    manager,
    handlers,
    now: Date.now,
    log,
    onClients: watchIdle,
    descriptors: descriptorLimit(),
  })
  let network: NetworkDoor | null = null

  process.on('SIGHUP', () => undefined)
  let firstSignalAt: number | undefined
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      const now = performance.now()
      // The second signal, or the end of the time to drain, leaves what runs to the next daemon, which looks at it. One
      // that follows at once is the same one: a supervisor tells the whole group, and `daemon run` passes it on.
      if (firstSignalAt === undefined) setTimeout(() => leaveNow.abort(), DRAIN_MS).unref()
      else if (now - firstSignalAt > REPEATED_SIGNAL_MS) leaveNow.abort()
      firstSignalAt ??= now
      void stop(signal)
    })
  }

  if (settings.listen.length > 0) {
    const { createFace } = await import('./http/face.ts')
    const { openNetworkDoor } = await import('./network/door.ts')
    const face = createFace({ store, manager, server, now: Date.now, log })
    const options = { settings, server, store, now: Date.now, log, face: face.answer, descriptors: descriptorLimit() }
    network = await openNetworkDoor(options)
  }
  try {
    await listen(server.http, paths, group)
  } catch (error) {
    await network?.close()
    throw error
  }
  // In the same turn, so no request can come between.
  manager.recover()
  network?.open()
  const writeNames = keepNames(paths.names, store, manager, log)
  up.resolve()
  failpoint('recovered')
  const addresses = [paths.socket, ...(network?.addresses ?? [])].join(', ')
  log(`vosctl ${VERSION} listens on ${addresses} (pid ${process.pid})`)
  watchIdle()
}

function readArguments() {
  const options = {
    'state-dir': { type: 'string' },
    'config-dir': { type: 'string' },
    'state-source': { type: 'string', default: 'flag' },
    auto: { type: 'boolean', default: false },
    version: { type: 'boolean', default: false },
    // Says what the settings file means, or what is wrong with it (exit status 2), and does nothing else.
    'check-config': { type: 'boolean', default: false },
  } as const
  const hint = 'By hand a daemon is started with: vosctl daemon run'
  try {
    const { values } = parseArgs({ options })
    // An empty name would be the directory that somebody happens to be in.
    if (values['state-dir'] !== '' && values['config-dir'] !== '') return values
  } catch (cause) {
    throw new VosError('bad_request', `${oneLine((cause as Error).message)}.`, { hint, cause })
  }
  throw new VosError('bad_request', 'A directory has an empty name.', { hint })
}

/**
 * No memory goes into a core file, also where the system pipes it to a program and no limit counts. Helpers that are
 * started inherit it.
 */
function emptyCoreFiles(): void {
  if (process.platform !== 'linux') return
  try {
    fs.writeFileSync('/proc/self/coredump_filter', '0')
  } catch {
    // A kernel without core files has no such file.
  }
}

/** The store, or nothing when another daemon is the one: then this one has nothing to do. */
async function openStore(file: string, holder: () => Promise<string>): Promise<Store | undefined> {
  try {
    return new Store(openDatabase(file), (error) => {
      log(`fatal: the database cannot be written: ${error.message}`)
      process.exit(exitStatus('bug'))
    })
  } catch (error) {
    if (!(error instanceof VosError) || error.code !== 'database_locked') throw error
    log(`another daemon runs already (${await holder()})`)
    return undefined
  }
}

function log(line: string): void {
  process.stderr.write(`${new Date().toISOString()} vosd: ${masked(line)}\n`)
}

/** Node's own words would show everything that hangs on the error. */
function dieOf(error: unknown): never {
  log(error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.exit(exitStatus('bug'))
}

process.on('uncaughtException', dieOf)
process.on('unhandledRejection', dieOf)
try {
  await main()
} catch (error) {
  if (!(error instanceof VosError)) dieOf(error)
  // A path may hold anything, and this goes to a log.
  process.stderr.write(`vosd: ${oneLine(`${error.message} ${error.hint}`.trimEnd(), 2000)}\n`)
  process.exitCode = exitStatusOf(error.code)
}
