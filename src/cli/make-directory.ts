import { mkdirSync, statSync } from 'node:fs'
import path from 'node:path'

/**
 * Makes a directory, and those above it that are missing, for nobody but this user. Not by Node's own recursion: that goes
 * round for ever where a directory is there and can hold nothing, as /proc, or a link to a disk that is not mounted.
 */
export function makeDirectory(directory: string): void {
  for (const [index] of directory.split(path.sep).entries()) {
    const level = directory.split(path.sep, index + 1).join(path.sep) || path.sep
    try {
      mkdirSync(level, { mode: 0o700 })
    } catch (error) {
      if (!statSync(level, { throwIfNoEntry: false })?.isDirectory()) throw error
    }
  }
}
