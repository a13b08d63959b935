import fs from 'node:fs'
import { VosError } from '../core/errors.ts'
import type { Found, Look } from '../core/ownership.ts'

/** @throws VosError `state_directory` when it cannot be told */
export const look: Look = (path) => {
  try {
    const stat = fs.lstatSync(path, { throwIfNoEntry: false })
    if (!stat) return null
    const { uid, gid, mode } = stat
    const found = { type: typeOf(stat), uid, gid, mode: mode & 0o7777 }
    return found.type === 'symbolic link' ? { ...found, target: fs.readlinkSync(path) } : found
  } catch (cause) {
    throw new VosError('state_directory', `${path} cannot be looked at: ${(cause as NodeJS.ErrnoException).code}.`, {
      hint: 'Look at the owner and the mode of what lies above it, or name another directory: --state-dir <dir>',
      cause,
    })
  }
}

function typeOf(stat: fs.Stats): Found['type'] {
  if (stat.isDirectory()) return 'directory'
  if (stat.isFile()) return 'regular file'
  if (stat.isSymbolicLink()) return 'symbolic link'
  if (stat.isSocket()) return 'socket'
  return stat.isFIFO() ? 'named pipe' : 'device'
}
