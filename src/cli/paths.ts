import { readFileSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { VosError } from '../core/errors.ts'

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
 * Root must not start a daemon in somebody else's state directory: its files would then belong to root.
 * @throws VosError `state_directory` that names both users
 */
export function refuseForeignState(stateDirectory: string): void {
  const owner = statSync(stateDirectory, { throwIfNoEntry: false })?.uid
  const self = process.getuid?.()
  if (owner === undefined || self === undefined || owner === self) return
  throw new VosError(
    'state_directory',
    `The state directory ${stateDirectory} belongs to ${userName(owner)}, and you are ${userName(self)}.`,
    { hint: `Run vosctl as ${userName(owner)}, or name a directory of your own: --state-dir <dir>` },
  )
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
