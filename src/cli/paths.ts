import { readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { VosError } from '../core/errors.ts'
import { inspect, inspectConfig, judgeEnd, SHARED_MODE, type Problem, type Sharing } from '../core/ownership.ts'
import { look } from './look.ts'

/** What decided on the state directory. The daemon refuses a second store that only a variable leads to. */
export type StateSource = 'flag' | 'env' | 'default'

export interface Paths {
  readonly stateDirectory: string
  readonly stateSource: StateSource
  readonly configDirectory: string
  readonly socket: string
  readonly log: string
  readonly database: string
  /** What shells complete; the daemon keeps it. */
  readonly names: string
}

/** The longest path that the kernel takes for a Unix socket, in bytes, without the closing zero. */
const MAX_SOCKET_PATH = 107

/**
 * Home is the password entry, not `$HOME`: `sudo -E` and cron disagree about the latter, and two stores would mean two
 * claim tables and two restarts.
 * @throws VosError `state_directory` or `socket_path`
 */
export function resolvePaths(env: NodeJS.ProcessEnv, flag: string | undefined, home: string): Paths {
  const [stateDirectory, stateSource] = stateLocation(env, flag, home)
  const socket = path.join(stateDirectory, 'run', 'vosd.sock')
  const length = Buffer.byteLength(socket)
  if (length > MAX_SOCKET_PATH) {
    throw new VosError(
      'socket_path',
      `The path of the daemon's socket has ${length} bytes, and a Unix socket takes at most ${MAX_SOCKET_PATH}: ${socket}`,
      { hint: 'Choose a shorter state directory: --state-dir <dir>, or VOSCTL_STATE_DIR.' },
    )
  }
  const configDirectory =
    absolute(env, 'VOSCTL_CONFIG_DIR') ?? path.join(xdg(env, 'XDG_CONFIG_HOME') ?? path.join(home, '.config'), 'vosctl')
  return {
    stateDirectory,
    stateSource,
    configDirectory,
    socket,
    log: path.join(stateDirectory, 'daemon.log'),
    database: path.join(stateDirectory, 'vosctl.db'),
    names: path.join(stateDirectory, 'run', 'names.json'),
  }
}

function stateLocation(env: NodeJS.ProcessEnv, flag: string | undefined, home: string): [string, StateSource] {
  if (flag === '') {
    // An unset variable in a script: the directory that it happens to be in would become a second store.
    throw new VosError('state_directory', '--state-dir is empty.', { hint: 'Name a directory, or leave the flag out.' })
  }
  if (flag !== undefined) return [path.resolve(flag), 'flag']
  const own = absolute(env, 'VOSCTL_STATE_DIR')
  if (own !== undefined) return [own, 'env']
  const base = xdg(env, 'XDG_STATE_HOME')
  if (base !== undefined) return [path.join(base, 'vosctl'), 'env']
  return [path.join(home, '.local', 'state', 'vosctl'), 'default']
}

function absolute(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name]
  if (!value) return undefined
  if (path.isAbsolute(value)) return path.normalize(value)
  throw new VosError('state_directory', `${name} is "${value}", which is not an absolute path.`, {
    hint: 'Give the whole path: a relative one would mean another place in every directory.',
  })
}

/** The XDG rule: a path that is not absolute is invalid and ignored. */
export function xdg(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name]
  return value && path.isAbsolute(value) ? path.normalize(value) : undefined
}

/**
 * The home directory and the name of this user by the password entry.
 * @throws VosError `state_directory` when this user has no entry
 */
export function currentUser(): { readonly name: string; readonly home: string } {
  try {
    const { username, homedir } = os.userInfo()
    return { name: username, home: homedir }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_SYSTEM_ERROR') throw cause
    throw new VosError('state_directory', `User ${process.getuid?.() ?? ''} has no entry in the password database.`, {
      hint: 'Run vosctl as a user that exists on this machine.',
      cause,
    })
  }
}

/**
 * Root must not start a daemon in somebody else's state directory: its files would then belong to root. Nor does a member of
 * a group that shares one.
 * @throws VosError `state_directory` that names both users
 */
export function refuseForeignState(stateDirectory: string): void {
  if (!isForeign(stateDirectory)) return
  const [owner, self] = [look(stateDirectory)?.uid ?? 0, process.getuid?.() ?? 0]
  throw new VosError(
    'state_directory',
    `The state directory ${stateDirectory} belongs to ${userName(owner)}, and you are ${userName(self)}.`,
    { hint: `Run vosctl as ${userName(owner)}, or name a directory of your own: --state-dir <dir>` },
  )
}

/** Is it there, and somebody else's? */
export function isForeign(stateDirectory: string): boolean {
  const self = process.getuid?.()
  const owner = look(stateDirectory)?.uid
  return owner !== undefined && self !== undefined && owner !== self
}

/**
 * Before anything is read there, and before a word is said to whoever listens: nobody but root, this user, and the owner of
 * a directory that is shared with a group of ours may have put it there. A dozen looks at the disk, well under 1 ms.
 * @throws VosError `state_directory` or `socket_path` with the name, its owner and mode, and what mends it
 */
export function checkPlaces(paths: Paths): void {
  const problem = findProblem(paths)
  if (problem) throw new VosError(problem.code, problem.message, { hint: problem.fix })
}

/** What {@link checkPlaces} says; null when all is well. */
export function findProblem(paths: Paths): (Problem & { readonly code: 'state_directory' | 'socket_path' }) | null {
  const self = process.getuid?.()
  if (self === undefined) return null
  const { stateDirectory, configDirectory, socket } = paths
  const sharing = sharedWithUs(stateDirectory)
  if (sharing === null) refuseForeignState(stateDirectory)
  const problem = inspect({ state: stateDirectory, run: path.dirname(socket), socket }, { self, sharing }, look)
  if (problem) return { ...problem, code: problem.isSocket ? 'socket_path' : 'state_directory' }
  // Of a daemon of somebody else nothing of ours is read.
  if (isForeign(stateDirectory)) return null
  const ofConfig = inspectConfig(configDirectory, path.join(configDirectory, 'config.yaml'), self, look)
  return ofConfig && { ...ofConfig, code: 'state_directory' }
}

/** The owner, and the group of ours that the directory is shared with; null when it is with none. */
export function sharedWithUs(stateDirectory: string): Sharing | null {
  const found = look(stateDirectory)
  if (!found || found.type !== 'directory' || (found.mode & 0o777) !== SHARED_MODE) return null
  const isMember = found.gid === process.getegid?.() || process.getgroups?.().includes(found.gid)
  return isMember || found.uid === process.getuid?.() ? { owner: found.uid, group: found.gid } : null
}

/**
 * A file of the daemon, before it is opened: ours or of the owner of the directory, and no link or pipe.
 * @throws VosError `state_directory`
 */
export function checkFile(file: string, { stateDirectory }: Paths): void {
  const self = process.getuid?.()
  const found = self === undefined ? null : look(file)
  if (self === undefined || !found) return
  const owners = [sharedWithUs(stateDirectory)?.owner ?? self]
  const problem = judgeEnd({ ...found, path: file }, { type: 'regular file', owners, closed: 0o077 }, self)
  if (problem) throw new VosError('state_directory', problem.message, { hint: problem.fix })
}

function userName(uid: number): string {
  try {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.split(':')[2] === String(uid))
    return line?.split(':')[0] || `user ${uid}`
  } catch {
    return `user ${uid}`
  }
}
