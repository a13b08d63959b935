import fs from 'node:fs'
import path from 'node:path'

/** Of what may stand above a file: others may write in it, but not take away or replace what is ours. */
const STICKY = 0o1000

/**
 * Why somebody else could put another file in this one's place, or null: each directory on the way and the file itself
 * belong to root or to us, and nobody else may write there. A link is followed, and the way behind it is judged too.
 * @throws the system's error when a part of it cannot be looked at
 */
export function distrust(file: string): string | null {
  const ways = new Set([path.resolve(file), fs.realpathSync(file)])
  for (const way of ways) {
    const parts = way.split(path.sep)
    for (const [index] of parts.entries()) {
      const part = parts.slice(0, index + 1).join(path.sep) || path.sep
      const { uid, mode } = fs.lstatSync(part)
      if (uid !== 0 && uid !== process.geteuid?.()) return `${part} belongs to another user`
      const isLink = (mode & fs.constants.S_IFMT) === fs.constants.S_IFLNK
      const isSafe = isLink || (mode & 0o022) === 0 || (mode & STICKY && index < parts.length - 1)
      if (!isSafe) return `others may write in ${part}`
    }
  }
  return null
}
