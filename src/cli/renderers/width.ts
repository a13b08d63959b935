/** Two cells wide: East Asian wide and fullwidth characters, and what is drawn as an emoji. */
const WIDE =
  /^[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u
const NO_WIDTH = /^[\p{Mark}\p{Control}\p{Default_Ignorable_Code_Point}]+$/u
const ASCII = /^[ -~]*$/

let segmenter: Intl.Segmenter | undefined

/** How many cells of a terminal this line takes. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length
  return graphemes(text).reduce((sum, grapheme) => sum + widthOf(grapheme), 0)
}

/** At most `width` cells; what is cut ends in `~`. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width < 1) return ''
  let used = 0
  let kept = ''
  for (const grapheme of ASCII.test(text) ? text : graphemes(text)) {
    used += widthOf(grapheme)
    if (used > width - 1) break
    kept += grapheme
  }
  return `${kept}~`
}

/** Exactly `width` cells: cut, or filled with spaces. */
export function fit(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const short = cut(text, width)
  const space = ' '.repeat(Math.max(0, width - displayWidth(short)))
  return align === 'left' ? short + space : space + short
}

/** `left` and `right` at the two ends of a line of `width` cells; `left` gives way. */
export function spread(left: string, right: string, width: number): string {
  const room = width - displayWidth(right) - 1
  return room < 1 ? cut(right, width) : `${fit(left, room)} ${right}`
}

/**
 * The line in lines of at most `width` cells, broken at spaces. What follows stands under the text behind the first gap,
 * or two cells in where that leaves too little room. A longer word stays whole.
 */
export function fold(line: string, width: number): string[] {
  if (displayWidth(line) <= width) return [line]
  const start = line.search(/\S/)
  const gap = /\S {2,}(?=\S)/.exec(line)
  const behind = gap ? gap.index + gap[0].length : 0
  const hang = behind > 0 && behind <= width - 24 ? behind : start + 2
  const lines: string[] = []
  // Gaps stay as they are: only where a line ends is a space nothing.
  for (const [word] of line.matchAll(/ *[^ ]+/g)) {
    const last = lines.at(-1)
    const whole = (last ?? '') + word
    if (last === undefined || displayWidth(whole) <= width) lines.splice(-1, 1, whole)
    else lines.push(' '.repeat(hang) + word.trimStart())
  }
  return lines
}

function graphemes(text: string): string[] {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' })
  return Array.from(segmenter.segment(text), ({ segment }) => segment)
}

function widthOf(grapheme: string): number {
  if (NO_WIDTH.test(grapheme)) return 0
  return WIDE.test(grapheme) ? 2 : 1
}
