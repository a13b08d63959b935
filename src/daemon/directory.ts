import fs from 'node:fs'
import path from 'node:path'

/** Of a directory that is not ours to look into, or that cannot be synced. */
const NOT_OURS = ['EACCES', 'EINVAL']

/**
 * Makes a directory, and those above it that are missing, for nobody but this user. Its name is on disk when this
 * returns, and the names of those above: without that a power cut may take it away with all that was synced in it.
 */
export function makeDirectory(directory: string): void {
  makeLevels(path.resolve(directory))
  // All that are ours: one that is found may have been made by the client, or by a daemon that was killed just then.
  for (let above = path.dirname(path.resolve(directory)); ; above = path.dirname(above)) {
    try {
      syncToDisk(above)
    } catch (error) {
      if (!NOT_OURS.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
    if (above === path.dirname(above) || fs.statSync(above).uid !== process.getuid?.()) return
  }
}

/**
 * Not by Node's own recursion: that goes round for ever where a directory is there and can hold nothing, as /proc, or a
 * link to a disk that is not mounted.
 */
function makeLevels(directory: string): void {
  for (const [index] of directory.split(path.sep).entries()) {
    const level = directory.split(path.sep, index + 1).join(path.sep) || path.sep
    try {
      fs.mkdirSync(level, { mode: 0o700 })
    } catch (error) {
      if (!fs.statSync(level, { throwIfNoEntry: false })?.isDirectory()) throw error
    }
  }
}

/** Puts the contents of a file, or the names in a directory, on disk: syncing a file says nothing about its name. */
export function syncToDisk(file: string): void {
  const descriptor = fs.openSync(file, 'r')
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
