import { VosError } from './errors.ts'

/**
 * Who can change what a path leads to? Pure: looking at the disk is the caller's part, and this part knows what is safe.
 * As ssh and sshd have it: everything on the way belongs to root or to this user, and nobody else may write there.
 */

/** One name on the disk, as lstat tells it. */
export interface Found {
  readonly type: 'directory' | 'regular file' | 'symbolic link' | 'socket' | 'named pipe' | 'device'
  readonly uid: number
  readonly gid: number
  /** The twelve bits of chmod. */
  readonly mode: number
  /** Where a link leads. */
  readonly target?: string
}

/** Null when there is nothing of that name. Never follows a link at the end. */
export type Look = (path: string) => Found | null

/** What looking needs of `node:fs`, which this part does not know. */
export interface Disk {
  readonly lstatSync: (path: string, options: { throwIfNoEntry: false }) => Omit<Found, 'type' | 'target'> | undefined
  readonly readlinkSync: (path: string) => string
}

const TYPE_BITS = 0o170000
const TYPES: Readonly<Record<number, Found['type']>> = {
  0o040000: 'directory',
  0o100000: 'regular file',
  0o120000: 'symbolic link',
  0o140000: 'socket',
  0o010000: 'named pipe',
}

/** Client and daemon look with the same eyes; it throws VosError `state_directory` when it cannot be told. */
export function createLook({ lstatSync, readlinkSync }: Disk): Look {
  return (path) => {
    try {
      const stat = lstatSync(path, { throwIfNoEntry: false })
      if (!stat) return null
      const { uid, gid, mode } = stat
      const found = { type: TYPES[mode & TYPE_BITS] ?? 'device', uid, gid, mode: mode & 0o7777 }
      return found.type === 'symbolic link' ? { ...found, target: readlinkSync(path) } : found
    } catch (cause) {
      throw new VosError('state_directory', `${path} cannot be looked at: ${(cause as { code?: string }).code}.`, {
        hint: 'Look at the owner and the mode of what lies above it, or name another directory: --state-dir <dir>',
        cause,
      })
    }
  }
}

export interface Level extends Found {
  readonly path: string
}

export interface Problem {
  /** A sentence that names the place, its owner and its mode. */
  readonly message: string
  /** The command that mends it, or what to do. */
  readonly fix: string
}

/** What the end of a way has to be. */
export interface Wanted {
  readonly type: Found['type']
  readonly owners: readonly number[]
  /** Permission bits that it must not have. */
  readonly closed: number
  /** The only group that may have what is left to groups; undefined: any. */
  readonly group?: number | undefined
}

const ROOT = 0
const STICKY = 0o1000
const WRITABLE = 0o022
const MAX_LINKS = 40

/**
 * Every name on the way to `path`, as it is written and as the links in it lead, and its end. The end is null when it, or
 * something before it, is not there. A link at the end is the end.
 */
export function walk(path: string, look: Look): { readonly above: readonly Level[]; readonly end: Level | null } {
  const above: Level[] = []
  const visit = (place: string): Level | null => {
    const found = look(place)
    return found && { ...found, path: place }
  }
  let at = '/'
  let rest = namesOf(path)
  let last = visit(at)
  for (let links = 0; rest.length > 0;) {
    if (!last) return { above, end: null }
    above.push(last)
    // Nothing lies below anything else; whoever judges the way finds it there.
    if (last.type !== 'directory' && last.type !== 'symbolic link') return { above, end: null }
    const [name = '', ...others] = rest
    const place = name === '..' ? parentOf(at) : join(at, name)
    last = visit(place)
    rest = others
    if (last?.type !== 'symbolic link' || rest.length === 0) at = place
    else {
      if (++links > MAX_LINKS) return { above, end: last }
      const target = last.target ?? ''
      if (target.startsWith('/')) at = '/'
      rest = [...namesOf(target), ...rest]
    }
  }
  return { above, end: last }
}

/** The first name above a place that lets somebody else change what is there. */
export function judgeWay(above: readonly Level[], self: number): Problem | null {
  for (const level of above) {
    if (level.type !== 'directory' && level.type !== 'symbolic link') return inTheWay(level, 'directory')
    if (level.uid !== ROOT && level.uid !== self) return foreign(level, self)
    // Anybody may write to a link, which means nothing. In a sticky directory nobody moves the names of others.
    if (level.type === 'directory' && (level.mode & WRITABLE) !== 0 && (level.mode & STICKY) === 0) {
      return open(level, `${sudo(level, self)}chmod go-w ${word(level.path)}`, 'write to it')
    }
  }
  return null
}

export function judgeEnd(level: Level, wanted: Wanted, self: number): Problem | null {
  if (level.type !== wanted.type) return inTheWay(level, wanted.type)
  if (!wanted.owners.includes(level.uid)) return foreign(level, self)
  const shared = level.mode & 0o070 & ~wanted.closed
  if ((level.mode & wanted.closed) !== 0) {
    const others = level.mode & wanted.closed & WRITABLE ? 'write to it' : 'look into it'
    const bits = (level.mode & 0o777 & ~wanted.closed).toString(8)
    return open(level, `${sudo(level, self)}chmod ${bits} ${word(level.path)}`, others)
  }
  if (shared === 0 || wanted.group === undefined || level.gid === wanted.group) return null
  return {
    message: `${level.path} (${whose(level)}) is open to group ${level.gid}, and it is group ${wanted.group} that may share it.`,
    fix: `${sudo(level, self)}chgrp ${wanted.group} ${word(level.path)}`,
  }
}

/** Those of a group that somebody shares a state directory with. */
export interface Sharing {
  readonly owner: number
  readonly group: number
}

/** How a state directory looks that is shared with a group. */
export const SHARED_MODE = 0o750

export interface House {
  readonly state: string
  readonly run: string
  readonly socket: string
}

/** What lets somebody else than root and the owner come in, or keeps the socket's place; null: nothing. */
export function inspect(
  { state, run, socket }: House,
  { self, sharing }: { readonly self: number; readonly sharing: Sharing | null },
  look: Look,
): (Problem & { readonly isSocket: boolean }) | null {
  const owners = [sharing?.owner ?? self]
  const group = sharing?.group
  const directory: Wanted = { type: 'directory', owners, group, closed: sharing ? 0o027 : 0o077 }
  // Whoever may write to a socket may connect to it.
  const door: Wanted = { type: 'socket', owners, group, closed: sharing ? 0o007 : WRITABLE }
  const { above, end } = walk(state, look)
  const judge = (path: string, wanted: Wanted) => {
    const found = look(path)
    return found && judgeEnd({ ...found, path }, wanted, self)
  }
  const problem = judgeWay(above, self) ?? (end && (judgeEnd(end, directory, self) ?? judge(run, directory)))
  if (problem) return { ...problem, isSocket: false }
  const ofSocket = end && judge(socket, door)
  return ofSocket && { ...ofSocket, isSocket: true }
}

/** The same of the directory of settings and key, and of the settings, which may be a link: who can write them? */
export function inspectConfig(directory: string, settings: string, self: number, look: Look): Problem | null {
  const { above, end } = walk(directory, look)
  const wanted: Wanted = { type: 'directory', owners: [ROOT, self], closed: WRITABLE }
  const problem = judgeWay(above, self) ?? (end && judgeEnd(end, wanted, self))
  return problem ?? (end && inspectFile(settings, self, look))
}

/** Who else could put another file in the place of this one, write it, or change what a link at its end leads to? */
export function inspectFile(file: string, self: number, look: Look, links = 0): Problem | null {
  const { above, end } = walk(file, look)
  const problem = judgeWay(above, self)
  if (problem || !end) return problem
  if (end.type === 'symbolic link' && links < MAX_LINKS) {
    const { path, target = '' } = end
    const next = target.startsWith('/') ? target : join(parentOf(path), target)
    return judgeWay([end], self) ?? inspectFile(next, self, look, links + 1)
  }
  // What is no file at all is told by whoever reads it.
  return judgeEnd(end, { type: end.type, owners: [ROOT, self], closed: WRITABLE }, self)
}

function foreign(level: Level, self: number): Problem {
  return {
    message: `${level.path} belongs to uid ${level.uid} (mode ${octal(level)}), and this is uid ${self}.`,
    fix: `If it is yours: ${self === ROOT ? '' : 'sudo '}chown -h ${self} ${word(level.path)}. If not, name another directory: --state-dir <dir>`,
  }
}

function open(level: Level, fix: string, others: string): Problem {
  return { message: `${level.path} (${whose(level)}) is open to other users: they may ${others}.`, fix }
}

function inTheWay(level: Level, wanted: Found['type']): Problem {
  return {
    message: `${level.path} (${whose(level)}) is in the way: it is a ${level.type} and not a ${wanted}. It was not touched.`,
    fix:
      level.target !== undefined && wanted === 'directory'
        ? `Name the directory that it leads to, which is ${level.target}`
        : `mv ${word(level.path)} ${word(`${level.path}.old`)}`,
  }
}

function whose(level: Level): string {
  return `uid ${level.uid}, mode ${octal(level)}`
}

function octal({ mode }: Level): string {
  return mode.toString(8).padStart(4, '0')
}

function sudo({ uid }: Level, self: number): string {
  return uid === self || self === ROOT ? '' : 'sudo '
}

function word(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}

function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}

function parentOf(directory: string): string {
  return directory.slice(0, Math.max(1, directory.lastIndexOf('/')))
}
