import { createSanitiser } from '../../../core/text.ts'

/** One line of output in its two forms. */
export interface Line {
  /** For people: escape sequences are visible marks. Without the blanks at its end. */
  readonly text: string
  /** For matching: escape sequences are gone, blanks are kept. */
  readonly plain: string
}

/** Bytes in, lines out. Pure: the caller says what time it is. However the bytes are split, the lines are the same. */
export interface LineReader {
  /** Takes bytes that arrived at `at` and returns the lines that they finish. */
  feed(bytes: Uint8Array, at: number): Line[]
  /** The unterminated line at the end. */
  readonly pending: Line
  /** Forgets the unterminated line: what follows begins a new one. */
  cut(): void
  /** Control characters that {@link Line} does not show, line breaks, tabs and ESC not counted: an echo has none. */
  readonly strays: number
  /** Milliseconds without a byte, at the time `now`. */
  quietFor(now: number): number
  /** Starts the count of silence anew. */
  touch(at: number): void
}

export function createLineReader(startedAt: number): LineReader {
  const marking = createSanitiser({ escapes: 'mark' })
  const dropping = createSanitiser({ escapes: 'drop' })
  let text = ''
  let plain = ''
  let lastAt = startedAt
  let strays = 0

  return {
    feed(bytes, at) {
      lastAt = at
      for (const byte of bytes) if (isStray(byte)) strays += 1
      // Both break lines at the same places: a sequence never hides a line break.
      const texts = (text + marking.write(bytes)).split('\n')
      const plains = (plain + dropping.write(bytes)).split('\n')
      text = texts.pop() ?? ''
      plain = plains.pop() ?? ''
      return texts.map((line, index) => toLine(line, plains[index] ?? ''))
    },
    get pending() {
      return toLine(text, plain)
    },
    get strays() {
      return strays
    },
    cut() {
      text = ''
      plain = ''
    },
    quietFor: (now) => now - lastAt,
    touch(at) {
      lastAt = at
    },
  }
}

function toLine(text: string, plain: string): Line {
  return { text: text.trimEnd(), plain }
}

function isStray(byte: number): boolean {
  return byte === 0x7f || (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d && byte !== 0x1b)
}
