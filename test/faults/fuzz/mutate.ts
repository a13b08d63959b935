import type { Random } from '../random.ts'

const MAX_BYTES = 1024
/** Now and then an input may become this long: what takes more than linear time shows only there. */
const MAX_LONG_BYTES = 16 * 1024
const ONE_IN_IS_LONG = 512

/** Bytes that mean something to terminals, to lines and to UTF-8. */
const BYTES = [
  0x00, 0x07, 0x08, 0x09, 0x0a, 0x0d, 0x1b, 0x20, 0x22, 0x27, 0x3a, 0x3f, 0x5b, 0x5d, 0x7f, 0x80, 0x9b, 0xc2, 0xe2,
  0xf0, 0xff,
]

/** The input after one to four changes; `others` lend their parts. */
export function mutate(
  input: Uint8Array,
  words: readonly Buffer[],
  others: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  const longest = random.below(ONE_IN_IS_LONG) === 0 ? MAX_LONG_BYTES : MAX_BYTES
  let bytes = Buffer.from(input)
  for (let changes = 1 + random.below(4); changes > 0; changes--) bytes = change(bytes, words, others, random, longest)
  return bytes.subarray(0, longest)
}

function change(
  bytes: Buffer,
  words: readonly Buffer[],
  others: readonly Uint8Array[],
  random: Random,
  longest: number,
): Buffer<ArrayBuffer> {
  const from = random.below(bytes.length + 1)
  const to = Math.min(bytes.length, from + 1 + random.below(random.below(8) === 0 ? 64 : 8))
  const put = (middle: Uint8Array, end = from) => Buffer.concat([bytes.subarray(0, from), middle, bytes.subarray(end)])
  switch (random.below(8)) {
    case 0: {
      const flipped = Buffer.from(bytes)
      if (from < bytes.length) flipped[from] = (flipped[from] ?? 0) ^ (1 << random.below(8))
      return flipped
    }
    case 1:
      return put(Uint8Array.of(random.below(2) === 0 ? random.pick(BYTES) : random.below(256)), to)
    case 2:
      return put(random.pick(words), random.below(2) === 0 ? from : to)
    case 3:
      return put(random.pick(words))
    case 4:
      return put(new Uint8Array(), to)
    case 5: {
      const times = longest > MAX_BYTES ? longest / (to - from || 1) : 1 + random.below(6)
      return put(Buffer.concat(Array.from({ length: times }, () => bytes.subarray(from, to))))
    }
    case 6: {
      const other = random.pick(others)
      const start = random.below(other.length + 1)
      return put(other.subarray(start, start + 1 + random.below(64)), random.below(2) === 0 ? from : to)
    }
    default:
      return shuffleLines(bytes, random)
  }
}

/** One line goes, or comes again at another place. */
function shuffleLines(bytes: Buffer, random: Random): Buffer<ArrayBuffer> {
  const lines = bytes.toString('latin1').split('\n')
  const [line = ''] = lines.splice(random.below(lines.length), random.below(2))
  lines.splice(random.below(lines.length + 1), 0, ...(random.below(2) === 0 ? [line] : []))
  return Buffer.from(lines.join('\n'), 'latin1')
}

const MAX_ATTEMPTS = 3000

/** The shortest input that halving, again and again, finds to fail still. */
export function minimise(input: Uint8Array, fails: (input: Uint8Array) => boolean): Uint8Array {
  let shortest = input
  let attempts = 0
  for (let size = Math.ceil(input.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < shortest.length && attempts < MAX_ATTEMPTS; attempts++) {
      const shorter = Buffer.concat([shortest.subarray(0, from), shortest.subarray(from + size)])
      if (fails(shorter)) shortest = shorter
      else from += size
    }
  }
  return shortest
}
