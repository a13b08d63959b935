import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSanitiser, ESCAPE_MARK, MAX_LINE_BYTES, oneLine, sanitise } from '../../src/core/text.ts'

const ESC = '\u001b'
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const SAFE = /^[^\p{Cc}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029]*$/u

/** What the outputs are joined to when the input comes in these pieces. */
function inPieces(pieces: readonly (Uint8Array | string)[], escapes: 'mark' | 'drop' = 'mark'): string {
  const sanitiser = createSanitiser({ escapes })
  return pieces.map((piece) => sanitiser.write(piece)).join('') + sanitiser.end()
}

const SPECIAL = [
  ...`${ESC}[]PX^_\\;0mK #a\r\n\t\b\u0007\u0000\u007f`,
  ...'\u0085\u0090\u0098\u009b\u009c\u009d\u009e\u009f',
  ...'\u200b\u202e\u2028\ufeff\u{e0041}\ufe0f\ud800 \udc00é…␛😀',
]

/** Text in which everything that matters here is common: escapes, terminators, line breaks, invisible characters. */
const nasty = fc
  .array(
    fc.oneof(
      fc.constantFrom(...SPECIAL),
      fc.string({ unit: 'binary', maxLength: 4 }),
      fc.constantFrom('admin:', `${ESC}[2J`, `${ESC}]0;title\u0007`, '<U+202E>', 'x'.repeat(MAX_LINE_BYTES - 6)),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''))

const nastyBytes = fc.oneof(nasty.map(utf8), fc.uint8Array({ maxLength: 60 }))

describe('sanitise', () => {
  it.each<[string, string | Uint8Array, string]>([
    ['keeps plain text', 'Cisco Tomcat[STARTED]  ', 'Cisco Tomcat[STARTED]  '],
    ['keeps newline and tab', 'a\n\tb', 'a\n\tb'],
    ['keeps text of other scripts', 'naïve 東京 😀 …', 'naïve 東京 😀 …'],
    ['makes CRLF one newline', 'a\r\nb', 'a\nb'],
    ['makes a lone CR a newline', 'a\rb', 'a\nb'],
    ['reads the doubled prompt of a nudged device as two lines', 'admin:\r\n\radmin:', 'admin:\n\nadmin:'],
    ['drops bell, backspace, NUL, vertical tab, form feed and DEL', 'a\u0007\b\u0000\u000b\u000c\u007fb', 'ab'],
    ['drops C1 controls', 'a\u0084\u0085\u0088b', 'ab'],
    ['drops a string terminator on its own', 'a\u009cb', 'ab'],
    ['marks a colour', `${ESC}[1mPress${ESC}[0m${ESC}[K`, '␛Press␛␛'],
    ['marks a CSI with private and intermediate characters', `a${ESC}[?25lb${ESC}[1 qc`, 'a␛b␛c'],
    ['marks an 8-bit CSI', 'a\u009b31mb', 'a␛b'],
    ['marks a title set with BEL', `a${ESC}]0;owned\u0007b`, 'a␛b'],
    ['marks a title set with ST', `a${ESC}]0;owned${ESC}\\b`, 'a␛b'],
    ['marks a title set with the 8-bit forms', 'a\u009d0;owned\u009cb', 'a␛b'],
    ['marks a clipboard write', `${ESC}]52;c;cm0gLXJmIC8K\u0007`, '␛'],
    ['marks a hyperlink at both of its ends', `${ESC}]8;;http://x${ESC}\\text${ESC}]8;;${ESC}\\`, '␛text␛'],
    ['marks DCS', `a${ESC}P1;2|data${ESC}\\b`, 'a␛b'],
    ['marks PM', `a${ESC}^data${ESC}\\b`, 'a␛b'],
    ['marks APC', `a${ESC}_data${ESC}\\b`, 'a␛b'],
    ['marks SOS', `a${ESC}Xdata${ESC}\\b`, 'a␛b'],
    ['marks 8-bit DCS, SOS, PM and APC', '\u0090q\u009c\u0098q\u009c\u009eq\u009c\u009fq\u009c', '␛␛␛␛'],
    ['marks two-byte sequences', `${ESC}ca${ESC}7b${ESC}Mc`, '␛a␛b␛c'],
    ['marks a character set selection as one', `${ESC}(Ba${ESC}#8b`, '␛a␛b'],
    ['marks an ESC at the very end', `a${ESC}`, 'a␛'],
    ['marks each of two ESC', `${ESC}${ESC}[mx`, '␛␛x'],
    ['starts again when an ESC interrupts a sequence', `${ESC}[31${ESC}[0mx`, '␛␛x'],
    ['starts again when an ESC interrupts a string', `${ESC}]0;a${ESC}[0mx`, '␛␛x'],
    ['never hides a line break in a sequence', `${ESC}[31\nadmin:`, '␛\nadmin:'],
    ['never hides a line break in a string', `${ESC}]0;title\r\nadmin:`, '␛\nadmin:'],
    ['breaks a sequence off at a foreign character', `${ESC}[31éx`, '␛éx'],
    ['shows a right-to-left override', 'a\u202eb', 'a<U+202E>b'],
    ['shows bidi isolates and marks', '\u2066\u2069\u200e\u200f\u061c', '<U+2066><U+2069><U+200E><U+200F><U+061C>'],
    ['shows zero-width characters', '\u200b\u200d\u2060\ufeff\u00ad', '<U+200B><U+200D><U+2060><U+FEFF><U+00AD>'],
    ['shows line and paragraph separators', 'a\u2028b\u2029c', 'a<U+2028>b<U+2029>c'],
    ['shows tag characters', '\u{e0041}', '<U+E0041>'],
    ['shows variation selectors', '\ufe0f\u{e0100}', '<U+FE0F><U+E0100>'],
    ['shows a byte order mark at the start', bytes(0xef, 0xbb, 0xbf, 0x61), '<U+FEFF>a'],
    ['replaces invalid UTF-8', bytes(0x61, 0xff, 0x62), 'a\ufffdb'],
    ['replaces raw 8-bit controls, which are invalid UTF-8', bytes(0x9b, 0x33, 0x31, 0x6d), '\ufffd31m'],
    ['replaces an overlong ESC', bytes(0xc0, 0x9b, 0x5b), '\ufffd\ufffd['],
    ['replaces an incomplete character at the end', bytes(0x61, 0xe2, 0x82), 'a\ufffd'],
    ['replaces lone surrogates', 'a\ud800b\udc00', 'a\ufffdb\ufffd'],
  ])('%s', (_, input, expected) => {
    expect(sanitise(input)).toBe(expected)
  })

  it('lets an unterminated string hide only a bounded amount of text', () => {
    expect(sanitise(`${ESC}]0;${'x'.repeat(1500)}end`)).toMatch(/^␛x{400,}end$/)
    expect(sanitise(`${ESC}[${'1'.repeat(100)}mend`)).toMatch(/^␛1{30,}mend$/)
  })

  it('cuts a line at 4 KiB with a visible mark, and shows the next line again', () => {
    const [long = '', next] = sanitise(`${'x'.repeat(10_000)}\nnext`).split('\n')
    expect(long).toBe(`${'x'.repeat(MAX_LINE_BYTES - 3)}…`)
    expect(next).toBe('next')
  })

  it('counts the bytes of a line, not its characters', () => {
    expect(utf8(sanitise('é'.repeat(5_000))).length).toBeLessThanOrEqual(MAX_LINE_BYTES)
    expect(utf8(sanitise('😀'.repeat(5_000))).length).toBeLessThanOrEqual(MAX_LINE_BYTES)
    expect(utf8(sanitise('\u202e'.repeat(5_000))).length).toBeLessThanOrEqual(MAX_LINE_BYTES)
  })

  it('leaves nothing of an escape sequence when told to drop it', () => {
    expect(inPieces([`${ESC}[Kadmin:${ESC}]0;t\u0007 ${ESC}[0m`], 'drop')).toBe('admin: ')
  })

  it('gives the same output wherever the bytes are split', () => {
    fc.assert(
      fc.property(nastyBytes, fc.array(fc.nat(200), { maxLength: 6 }), fc.boolean(), (input, cuts, drop) => {
        const at = [0, ...cuts.map((cut) => cut % (input.length + 1)), input.length].toSorted((a, b) => a - b)
        const pieces = at.slice(1).map((end, index) => input.subarray(at[index], end))
        const escapes = drop ? 'drop' : 'mark'
        expect(inPieces(pieces, escapes)).toBe(inPieces([input], escapes))
        expect(
          inPieces(
            Array.from(input, (byte) => bytes(byte)),
            escapes,
          ),
        ).toBe(inPieces([input], escapes))
      }),
    )
  })

  it('gives the same output wherever a string is split, inside surrogate pairs too', () => {
    fc.assert(
      fc.property(nasty, (input) => {
        expect(inPieces(input.split(''))).toBe(sanitise(input))
      }),
    )
  })

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(fc.oneof(nasty, nastyBytes), (input) => {
        const once = sanitise(input)
        expect(sanitise(once)).toBe(once)
      }),
      { numRuns: 300 },
    )
  })

  it('never lets a control, bidi or invisible character through, nor a line beyond the limit', () => {
    fc.assert(
      fc.property(fc.oneof(nasty, nastyBytes), fc.constantFrom('mark' as const, 'drop' as const), (input, escapes) => {
        const output = inPieces([input], escapes)
        expect(output.replace(/[\n\t]/g, '')).toMatch(SAFE)
        for (const line of output.split('\n')) expect(utf8(line).length).toBeLessThanOrEqual(MAX_LINE_BYTES)
      }),
      { numRuns: 300 },
    )
  })

  it('never forges a line: without a line break in the input there is none in the output', () => {
    fc.assert(
      fc.property(nasty, (input) => {
        expect(sanitise(input.replace(/[\r\n]/g, ''))).not.toContain('\n')
      }),
    )
  })

  it('breaks lines at the same places whether sequences are marked or dropped', () => {
    fc.assert(
      fc.property(nastyBytes, (input) => {
        expect(inPieces([input], 'drop').split('\n').length).toBe(inPieces([input], 'mark').split('\n').length)
      }),
    )
  })

  it('shows the mark that it promises', () => {
    expect(sanitise(`${ESC}[m`)).toBe(ESCAPE_MARK)
  })
})

describe('oneLine', () => {
  it.each<[string, string, number, string]>([
    ['joins lines with a slash', 'a\r\nb\n\nc', 20, 'a / b / c'],
    ['trims and collapses blanks', '  a \t b  \n', 20, 'a b'],
    ['cuts what is too long with a visible mark', 'abcdefgh', 5, 'abcd…'],
    ['keeps what just fits', 'abcde', 5, 'abcde'],
    ['never cuts a character in two', '😀😀😀', 2, '😀…'],
    ['sanitises', `${ESC}[31mred\u202e`, 30, '␛red<U+202E>'],
  ])('%s', (_, input, max, expected) => {
    expect(oneLine(input, max)).toBe(expected)
  })
})
