import fs from 'node:fs'

/** https://www.sqlite.org/fileformat2.html#the_write_ahead_log */
const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
const MAGIC = 0x377f0682

type Checksum = readonly [number, number]

/**
 * What is wrong with a journal (WAL) that a daemon has left behind, or undefined when nothing is. SQLite takes the first
 * frame with a wrong checksum for the end of the journal and forgets what follows without a word. A power cut leaves such
 * a frame in the last transaction only, which nobody was told of. So when the journal goes on behind the end of that
 * transaction, what is damaged was once safe on the disk.
 */
export function damageOf(wal: string): string | undefined {
  const bytes = readIfThere(wal)
  if (bytes.length <= HEADER_BYTES + FRAME_HEADER_BYTES) return undefined
  const magic = bytes.readUInt32BE(0)
  const pageSize = bytes.readUInt32BE(8)
  const isBigEndian = magic === MAGIC + 1
  const sum = (from: number, to: number, [first, second]: Checksum): Checksum => {
    for (let at = from; at < to; at += 8) {
      first = (first + (isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)) + second) >>> 0
      second = (second + (isBigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)) + first) >>> 0
    }
    return [first, second]
  }
  const stored = (at: number): Checksum => [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
  // The header was on the disk before the first frame was written.
  const isHeader = (magic === MAGIC || isBigEndian) && isSame(sum(0, 24, [0, 0]), stored(24))
  if (!isHeader || pageSize < 512 || pageSize > 65_536) return 'its first bytes are not those of a journal'

  const frameBytes = FRAME_HEADER_BYTES + pageSize
  const count = Math.floor((bytes.length - HEADER_BYTES) / frameBytes)
  const place = (frame: number): number => HEADER_BYTES + frame * frameBytes
  const isOurs = (frame: number): boolean => bytes.compare(bytes, 16, 24, place(frame) + 8, place(frame) + 16) === 0
  const isCommit = (frame: number): boolean => bytes.readUInt32BE(place(frame) + 4) !== 0
  const sumAfter = (frame: number, before: Checksum): Checksum =>
    sum(place(frame) + FRAME_HEADER_BYTES, place(frame) + frameBytes, sum(place(frame), place(frame) + 8, before))
  const storedAt = (frame: number): Checksum => stored(place(frame) + 16)

  let good = 0
  let before = stored(24)
  for (; good < count && isOurs(good); good++) {
    const after = sumAfter(good, before)
    if (!isSame(after, storedAt(good))) break
    before = after
  }
  for (let frame = good; frame + 1 < count; frame++) {
    const computed = sumAfter(frame, before)
    before = storedAt(frame)
    // What is not ours is left from a journal before this one, or is damaged itself.
    if (!isOurs(frame) || !isCommit(frame) || !isOurs(frame + 1)) continue
    // Either checksum may be the damaged one.
    const next = storedAt(frame + 1)
    if (isSame(sumAfter(frame + 1, before), next) || isSame(sumAfter(frame + 1, computed), next)) {
      return `frame ${good + 1} of ${count} is not what was written`
    }
  }
  return undefined
}

function isSame(a: Checksum, b: Checksum): boolean {
  return a[0] === b[0] && a[1] === b[1]
}

/** A daemon that just ends takes its journal with it. */
function readIfThere(file: string): Buffer {
  try {
    return fs.readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return Buffer.alloc(0)
  }
}
