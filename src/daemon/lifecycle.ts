import fs from 'node:fs'
import path from 'node:path'
import type { Server } from 'node:http'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { VosError } from '../core/errors.ts'
import { makeDirectory } from './directory.ts'
import { failpoint } from './failpoint.ts'
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
 * Makes the state directory and its `run`, for nobody but this user.
 * @throws VosError `state_directory` when it belongs to somebody else or others may look into it.
 */
export function prepareStateDirectory({ directory, socket }: StatePaths): void {
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH) {
    const message = `The socket path ${socket} is longer than the ${MAX_SOCKET_PATH} bytes that the system allows.`
    throw new VosError('socket_path', message, { hint: 'Choose a shorter state directory.' })
  }
  for (const each of [directory, path.dirname(socket)]) makeOwn(each)
}

function makeOwn(directory: string): void {
  try {
    makeDirectory(directory)
    failpoint('directory.made')
  } catch (error) {
    throw new VosError('state_directory', `Cannot make ${directory}: ${(error as Error).message}.`, { cause: error })
  }
  const stat = fs.lstatSync(directory)
  if (!stat.isDirectory()) {
    throw new VosError('state_directory', `${directory} is not a directory.`, { hint: 'Move it away.' })
  }
  const me = process.getuid?.()
  if (me !== undefined && stat.uid !== me) {
    throw new VosError('state_directory', `${directory} belongs to uid ${stat.uid}, and this is uid ${me}.`, {
      hint: 'Run vosctl as the owner, or name another directory with --state-dir.',
    })
  }
  if ((stat.mode & 0o077) !== 0) {
    throw new VosError('state_directory', `${directory} is open to other users.`, {
      hint: `Close it: chmod 700 ${directory}`,
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

/** Listens on the Unix socket, for this user alone. Only the holder of the database's lock may call this. */
export async function listen(server: Server, { socket }: StatePaths): Promise<void> {
  const stat = fs.lstatSync(socket, { throwIfNoEntry: false })
  if (stat && !stat.isSocket()) {
    throw new VosError('socket_path', `${socket} is in the way and is not a socket. It was not touched.`, {
      hint: 'Move it away.',
    })
  }
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
    fs.writeFileSync(holder, JSON.stringify({ pid: process.pid, version }), { mode: 0o600 })
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
