/**
 * Device bytes → text that is safe to store, compare and print. A terminal that prints the result cannot be moved,
 * retitled or made to forge a line: of all control characters only newline and tab are left.
 *
 * - invalid UTF-8 and lone surrogates become U+FFFD;
 * - an escape sequence becomes one visible mark, or nothing;
 * - CRLF and a lone CR are newlines, the other control characters go;
 * - bidi controls and invisible characters are shown as `<U+202E>`;
 * - a line is cut at {@link MAX_LINE_BYTES} with a visible ellipsis.
 */

/** Stands for one escape sequence that the device sent: U+241B, the picture of ESC. */
export const ESCAPE_MARK = '␛'

/** A line holds at most this many bytes of UTF-8, the ellipsis of a cut line included. */
export const MAX_LINE_BYTES = 4096

const CUT_MARK = '…'
const CUT_MARK_BYTES = 3

/** An unterminated CSI or string sequence hides no more than this many characters; what follows is text again. */
const MAX_CSI = 64
const MAX_STRING = 1024

export interface SanitiserOptions {
  /** What an escape sequence leaves behind: {@link ESCAPE_MARK}, or nothing (for matching, never for showing). */
  readonly escapes: 'mark' | 'drop'
}

/** Streaming form of {@link sanitise}: however the input is split, the outputs joined are the same. */
export interface Sanitiser {
  write(chunk: Uint8Array | string): string
  /** What an incomplete character at the end leaves behind. The sanitiser must not be used afterwards. */
  end(): string
}

export function sanitise(input: Uint8Array | string): string {
  const sanitiser = createSanitiser({ escapes: 'mark' })
  return sanitiser.write(input) + sanitiser.end()
}

/** One line of at most `max` characters, for error messages: line breaks become ` / `, what is too long ends in `…`. */
export function oneLine(input: Uint8Array | string, max = 200): string {
  const lines = sanitise(input)
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => line !== '')
  const characters = [...lines.join(' / ')]
  return characters.length <= max ? characters.join('') : characters.slice(0, Math.max(0, max - 1)).join('') + CUT_MARK
}

type State = 'text' | 'escape' | 'intermediate' | 'csi' | 'string' | 'string-end'

const BEL = 0x07
const TAB = 0x09
const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d
const ESC = 0x1b
const C1_CSI = 0x9b
const C1_ST = 0x9c

/** Introducers of DCS, SOS, OSC, PM and APC: after ESC, and as C1 characters. All hide text up to a terminator. */
const STRING_AFTER_ESC = new Set([...'PX]^_'].map((character) => character.charCodeAt(0)))
const STRING_C1 = new Set([0x90, 0x98, 0x9d, 0x9e, 0x9f])

/** Default-ignorable covers bidi controls, zero-width and variation characters and tags; the rest break lines or annotate. */
const INVISIBLE = /^[\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]$/u

export function createSanitiser(options: SanitiserOptions): Sanitiser {
  const mark = options.escapes === 'mark' ? ESCAPE_MARK : ''
  const decoder = createDecoder()

  let state: State = 'text'
  /** Characters that the current sequence has hidden so far. */
  let hidden = 0
  let afterCarriageReturn = false
  let lineBytes = 0
  let lineIsCut = false
  let output = ''

  function put(text: string): void {
    if (lineIsCut || text === '') return
    const size = byteLength(text)
    if (lineBytes + size > MAX_LINE_BYTES - CUT_MARK_BYTES) {
      lineIsCut = true
      output += CUT_MARK
      return
    }
    lineBytes += size
    output += text
  }

  function newline(): void {
    lineBytes = 0
    lineIsCut = false
    output += '\n'
  }

  function begin(next: State): void {
    state = next
    hidden = 0
    put(mark)
  }

  function plain(character: string, code: number): void {
    const completesCrLf = afterCarriageReturn && code === NEWLINE
    afterCarriageReturn = code === CARRIAGE_RETURN
    if (completesCrLf) return
    if (code === NEWLINE || code === CARRIAGE_RETURN) newline()
    else if (code === ESC) begin('escape')
    else if (code === C1_CSI) begin('csi')
    else if (STRING_C1.has(code)) begin('string')
    else if (code !== TAB && isControl(code)) return
    else if (code < 0x7f) put(character)
    else if (INVISIBLE.test(character)) put(`<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`)
    else put(character)
  }

  /** A sequence that a character cannot belong to ends before it: control characters and line breaks are never hidden. */
  function breakOff(character: string, code: number): void {
    state = 'text'
    plain(character, code)
  }

  function take(character: string): void {
    const code = character.codePointAt(0) ?? 0
    switch (state) {
      case 'text':
        return plain(character, code)
      case 'escape':
        if (character === '[') state = 'csi'
        else if (STRING_AFTER_ESC.has(code)) state = 'string'
        else if (isBetween(code, 0x20, 0x2f)) state = 'intermediate'
        else if (isBetween(code, 0x30, 0x7e)) state = 'text'
        else breakOff(character, code)
        return
      case 'intermediate':
        if (isBetween(code, 0x30, 0x7e)) state = 'text'
        else if (!isBetween(code, 0x20, 0x2f) || ++hidden > MAX_CSI) breakOff(character, code)
        return
      case 'csi':
        if (isBetween(code, 0x40, 0x7e)) state = 'text'
        else if (!isBetween(code, 0x20, 0x3f) || ++hidden > MAX_CSI) breakOff(character, code)
        return
      case 'string':
        if (code === BEL || code === C1_ST) state = 'text'
        else if (code === ESC) state = 'string-end'
        else if (isControl(code) || ++hidden > MAX_STRING) breakOff(character, code)
        return
      // ESC ended the string: with a backslash it was its terminator, otherwise it begins the next sequence.
      case 'string-end':
        if (character === '\\') {
          state = 'text'
          return
        }
        begin('escape')
        return take(character)
    }
  }

  function run(text: string): string {
    output = ''
    for (const character of text) take(character)
    return output
  }

  return {
    write: (chunk) => run(decoder.write(chunk)),
    end: () => run(decoder.end()),
  }
}

/** Bytes or strings, split anywhere → well-formed text. */
function createDecoder(): { write(chunk: Uint8Array | string): string; end(): string } {
  // A byte order mark is invisible text like any other: it must be shown, not swallowed.
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
  let highSurrogate = ''
  return {
    write(chunk) {
      if (typeof chunk !== 'string') return takeHigh() + utf8.decode(chunk, { stream: true })
      const text = utf8.decode() + highSurrogate + chunk
      const isOpen = /[\ud800-\udbff]$/.test(text)
      highSurrogate = isOpen ? text.slice(-1) : ''
      return (isOpen ? text.slice(0, -1) : text).toWellFormed()
    },
    end: () => takeHigh() + utf8.decode(),
  }

  function takeHigh(): string {
    const text = highSurrogate.toWellFormed()
    highSurrogate = ''
    return text
  }
}

function isControl(code: number): boolean {
  return code < 0x20 || isBetween(code, 0x7f, 0x9f)
}

function isBetween(code: number, low: number, high: number): boolean {
  return code >= low && code <= high
}

function byteLength(text: string): number {
  let bytes = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}
