import fs from 'node:fs'
import path from 'node:path'
import type { Server } from 'node:http'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { VosError } from '../core/errors.ts'
import { inspect, inspectConfig, judgeEnd, SHARED_MODE, type Problem } from '../core/ownership.ts'
import { makeDirectory } from './directory.ts'
import { failpoint } from './failpoint.ts'
import { look } from './look.ts'
import { countConnections } from './store/database.ts'

/** The kernel's limit for the path of a Unix socket, in bytes. */
const MAX_SOCKET_PATH = 107
/** How long the holder of the lock may take to write who it is. */
const HOLDER_MS = 2000

export interface StatePaths {
  readonly directory: string
  readonly database: string
  readonly socket: string
  /** Who holds the lock: for messages only, the lock itself is the database's. */
  readonly holder: string
  /** What shells complete: for typing only, nothing is decided by it. */
  readonly names: string
}

export function statePaths(directory: string): StatePaths {
  return {
    directory,
    database: path.join(directory, 'vosctl.db'),
    socket: path.join(directory, 'run', 'vosd.sock'),
    holder: path.join(directory, 'run', 'holder.json'),
    names: path.join(directory, 'run', 'names.json'),
  }
}

/**
 * Looks at every name on the way to the daemon's files: does it belong to root or to us, may nobody else write there, is it
 * no link where a link would lead away? Changes nothing.
 * @param group the number of the group that may use this daemon
 * @throws VosError `state_directory` or `socket_path` with the name, its owner and mode, and what mends it
 */
export function checkPlaces(paths: StatePaths, group: number | null = null): void {
  const { directory, database, socket, holder, names } = paths
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH) {
    const message = `The socket path ${socket} is longer than the ${MAX_SOCKET_PATH} bytes that the system allows.`
    throw new VosError('socket_path', message, { hint: 'Choose a shorter state directory.' })
  }
  const self = process.getuid?.()
  if (self === undefined) return
  const house = { state: directory, run: path.dirname(socket), socket }
  const problem = inspect(house, { self, sharing: group === null ? null : { owner: self, group } }, look)
  if (problem) refuse(problem, problem.isSocket ? 'socket_path' : 'state_directory')
  const journals = ['-wal', '-shm', '-journal'].map((suffix) => database + suffix)
  for (const file of [...journals, path.join(directory, 'daemon.log'), holder, names]) {
    const found = look(file)
    const wanted = { type: 'regular file', owners: [self], closed: 0o077 } as const
    const problem = found && judgeEnd({ ...found, path: file }, wanted, self)
    if (problem) refuse(problem, 'state_directory')
  }
}

/**
 * The same of the directory of settings and key: whoever can write there decides what the daemon does.
 * @throws VosError `state_directory`
 */
export function checkConfigDirectory(directory: string, settings: string): void {
  const self = process.getuid?.()
  const problem = self === undefined ? null : inspectConfig(directory, settings, self, look)
  if (problem) refuse(problem, 'state_directory')
}

function refuse({ message, fix }: Problem, code: 'state_directory' | 'socket_path'): never {
  throw new VosError(code, message, { hint: fix })
}

/**
 * Makes the state directory and its `run`: for nobody but this user, or for a group to come in and look for the socket.
 * @throws VosError `state_directory` or `socket_path`, as {@link checkPlaces} does
 */
export function prepareStateDirectory(paths: StatePaths, group: number | null = null): void {
  checkPlaces(paths, group)
  for (const directory of [paths.directory, path.dirname(paths.socket)]) {
    try {
      makeDirectory(directory)
      failpoint('directory.made')
    } catch (error) {
      throw new VosError('state_directory', `Cannot make ${directory}: ${(error as Error).message}.`, { cause: error })
    }
  }
  // Again: in a directory like /tmp somebody else may have made it just before us.
  checkPlaces(paths, group)
  if (group === null) return
  for (const directory of [paths.directory, path.dirname(paths.socket)]) share(directory, SHARED_MODE, group)
}

function share(place: string, mode: number, group: number): void {
  try {
    fs.lchownSync(place, process.getuid?.() ?? 0, group)
    fs.chmodSync(place, mode)
  } catch (error) {
    throw new VosError('state_directory', `Cannot share ${place} with group ${group}: ${(error as Error).message}.`, {
      hint: 'The user of the daemon must be in that group. Or take group out of config.yaml.',
      cause: error,
    })
  }
}

/**
 * Two stores mean two tables of claims, and so two restarts of one device. A variable in somebody's shell must not make a
 * second store by accident; `--state-dir` says it on purpose.
 */
export function refuseSecondStore(directory: string, defaultDirectory: string): void {
  const usual = statePaths(defaultDirectory).database
  if (path.resolve(directory) === path.resolve(defaultDirectory) || !fs.existsSync(usual)) return
  if (countConnections(usual) === 0) return
  throw new VosError(
    'state_directory',
    `The environment leads to ${directory}, but ${defaultDirectory} already holds connections.`,
    { hint: 'Two stores could restart one device twice. Unset the variable, or say it on purpose with --state-dir.' },
  )
}

/**
 * Listens on the Unix socket, for this user alone or for a group. Only the holder of the database's lock may call this, and
 * only where {@link checkPlaces} has found nothing.
 */
export async function listen(server: Server, paths: StatePaths, group: number | null = null): Promise<void> {
  const { socket } = paths
  checkPlaces(paths, group)
  const stat = fs.lstatSync(socket, { throwIfNoEntry: false })
  if (stat && (await isServed(socket))) {
    const message = `Another process serves ${socket}, and it is not the holder of this database. It was not touched.`
    throw new VosError('socket_path', message, {
      hint: 'Was the database moved away from a daemon that runs? End that one first: it may be at work on devices.',
    })
  }
  if (stat) {
    failpoint('socket.stale')
    fs.unlinkSync(socket)
    failpoint('socket.unlinked')
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  // Bound within this call, so the socket is 0600 from its first moment.
  const umask = process.umask(0o177)
  try {
    server.listen({ path: socket }, resolve)
  } finally {
    process.umask(umask)
  }
  await promise
  failpoint('socket.bound')
  server.removeListener('error', reject)
  // The group before the mode: no other group may use it, not even for a moment.
  if (group !== null) share(socket, 0o660, group)
}

/** Only a socket that refuses is certain to be one that a dead process has left. */
async function isServed(socket: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = createConnection(socket, () => resolve(true))
  probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'))
  try {
    return await promise
  } finally {
    probe.destroy()
  }
}

export function writeHolder({ holder }: StatePaths, version: string): void {
  try {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants
    const descriptor = fs.openSync(holder, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600)
    fs.writeFileSync(descriptor, JSON.stringify({ pid: process.pid, version }))
    fs.closeSync(descriptor)
  } catch (error) {
    throw new VosError('state_directory', `Cannot write ${holder}: ${(error as Error).message}.`, { cause: error })
  }
  failpoint('holder.written')
}

/** What is left of it is known to be stale, because its process is gone. */
export function forgetHolder({ holder }: StatePaths): void {
  try {
    fs.rmSync(holder, { force: true })
  } catch {
    // A disk that fails now must not keep the database from being closed.
  }
}

/** `pid 2214, vosctl 0.1.0`, as the holder wrote it. One that has just taken the lock is given the time to write it. */
export async function describeHolder({ holder }: StatePaths): Promise<string> {
  for (const giveUpAt = performance.now() + HOLDER_MS; performance.now() < giveUpAt; await sleep(20)) {
    try {
      const { pid, version } = JSON.parse(fs.readFileSync(holder, 'utf8')) as { pid: unknown; version: unknown }
      // Throws when that one has ended: then it is what a killed daemon left, and not about the holder.
      process.kill(Number(pid), 0)
      return `pid ${Number(pid)}, vosctl ${String(version).replace(/[^\w.-]/g, '')}`
    } catch {
      // Not written yet.
    }
  }
  return 'another process'
}

/**
 * How many files and sockets this process may have open; the kernel tells it where there is /proc, elsewhere it is taken
 * for enough.
 */
export function descriptorLimit(): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'))
    return Number(limit?.[1] ?? Infinity)
  } catch {
    return Infinity
  }
}
