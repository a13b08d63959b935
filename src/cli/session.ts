import { VosError } from '../core/errors.ts'
import { VERSION } from '../core/version.ts'
import { Client, NoAnswerError, type ClientOptions } from './client.ts'
import { startDaemon } from './launcher.ts'
import { checkPlaces, isForeign, type Paths } from './paths.ts'
import { waitForEnd } from './process-end.ts'
import { readUnit, serves, startsThisProgram, startUnit } from './unit.ts'

export interface SessionOptions {
  readonly paths: Paths
  readonly noStart: boolean
  /** Start a daemon again when it is lost later. */
  readonly revive?: boolean
  /** One line for the person, when the daemon was started or replaced. */
  readonly note: (line: string) => void
  readonly trace?: (line: string) => void
}

/**
 * The way to the daemon for every command that needs it: connects, starts one when none answers, and replaces an older
 * one when it has nothing to do.
 * @throws VosError under exit status 7
 */
export async function openSession(options: SessionOptions): Promise<Client> {
  const { paths, noStart, note } = options
  const client = await connectRunning(options)
  if (client) {
    const { version, active } = client.info
    // One that a group shares is replaced by its owner.
    if (isForeign(paths.stateDirectory) || noStart || !isOlder(version, VERSION) || active > 0) return client
    // A unit of another installation would start the same one again, at every command.
    const unit = unitOf(paths)
    if ((unit !== null && !startsThisProgram(unit)) || !(await stopIdle(client))) return client
    const renewed = await start(options)
    note(`vosctl: restarted the daemon (${version} to ${VERSION}, pid ${renewed.client.info.pid})`)
    return renewed.client
  }
  if (noStart) {
    throw new VosError('no_daemon', 'no daemon is running, and starting one is forbidden here.', {
      hint: 'Start it: vosctl daemon start. Or leave out --no-start (VOSCTL_NO_START).',
    })
  }
  const started = await start(options)
  if (started.ours) note(`vosctl: started the daemon (pid ${started.client.info.pid})`)
  return started.client
}

/** Null when no daemon is there. */
export async function connectRunning(options: SessionOptions): Promise<Client | null> {
  try {
    return await Client.connect(clientOptions(options))
  } catch (error) {
    if (error instanceof NoAnswerError && error.nobodyThere) return null
    throw error
  }
}

/** Starts a daemon, by systemd where a unit of it is installed, or finds the one that another client has just started. */
export async function start(
  options: SessionOptions,
  auto = true,
): Promise<{ readonly client: Client; readonly ours: boolean }> {
  const { client, pid } = await startDaemon(options.paths, {
    auto,
    connect: () => Client.connect(clientOptions(options)),
    ...(unitOf(options.paths) === null ? {} : { supervisor: startUnit }),
  })
  return { client, ours: pid === null || client.info.pid === pid }
}

/** The installed unit that runs the daemon of this state directory; null when there is none. */
function unitOf(paths: Paths): string | null {
  const text = readUnit()
  return text !== null && serves(text, paths) ? text : null
}

function clientOptions(options: SessionOptions): ClientOptions {
  const { paths, trace } = options
  const revive = async () => {
    const { client } = await start(options)
    client.close()
  }
  return {
    socketPath: paths.socket,
    version: VERSION,
    check: () => checkPlaces(paths),
    ...(options.revive && !options.noStart ? { revive } : {}),
    ...(trace ? { trace } : {}),
  }
}

/** Ends when its process is gone; false when work came in between. */
export async function stopIdle(client: Client): Promise<boolean> {
  const { pid } = client.info
  const { active } = await client.request('daemon:stop', { mode: 'idle' })
  if (active > 0) return false
  client.close()
  const patience = AbortSignal.timeout(10_000)
  await waitForEnd(pid, patience).catch((cause: unknown) => {
    throw new VosError('daemon_start', `the daemon (pid ${pid}) does not end.`, {
      hint: 'Look: vosctl daemon status, vosctl daemon logs',
      cause,
    })
  })
  return true
}

/** Compares `1.10.2` by its numbers. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split(/[.+-]/).slice(0, 3).map(Number))
  for (const index of [0, 1, 2]) {
    const difference = (a?.[index] ?? 0) - (b?.[index] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
