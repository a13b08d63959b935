/**
 * What an unterminated last line can be, once it is stripped of escapes and has been quiet for a while. None of this
 * looks into finished lines: a banner may hold any words.
 */

/** The device's prompt, as this session shows it. */
export interface Prompt {
  /** As first seen. */
  readonly text: string
  /** Whether a line is nothing but this prompt. */
  matches(line: string): boolean
}

const USUAL = /^admin:[ \t]*$/
/** With `set commandcount enable` a count is added; its place is not documented, so any word around `admin` may hold it. */
const COUNTED = /^(?:\S*admin\S*|\S*\d\S* admin|admin \S*\d\S*):[ \t]*$/
const MAX_PROMPT = 64
/** Only the end of a line is looked at for a question: searching 4 KiB of blanks backwards would take long. */
const MAX_QUESTION = 200

/** The prompt that this line is, or undefined. A counted one is learned: its numbers may change, the rest may not. */
export function recognisePrompt(line: string): Prompt | undefined {
  if (USUAL.test(line)) return { text: line, matches: (other) => USUAL.test(other) }
  if (line.length > MAX_PROMPT || !COUNTED.test(line) || isPasswordQuestion(line)) return undefined
  const shape = line
    .trimEnd()
    .replace(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`)
    .replace(/\d+/g, String.raw`\d+`)
  const learned = new RegExp(`^${shape}[ \\t]*$`)
  return { text: line, matches: (other) => learned.test(other) }
}

/** `UNIX password: `, `Please enter the old password:`: a dialogue that must never be answered. */
export function isPasswordQuestion(pending: string): boolean {
  const line = pending.slice(-MAX_QUESTION)
  return /\bpass(?:word|code|phrase)\b[^:]*:[ \t]*$/i.test(line)
}

/** The prompt of some other system's shell. */
export function isForeignShell(pending: string): boolean {
  const line = pending.slice(-MAX_QUESTION)
  return /\S[#$%>][ \t]*$/.test(line) || /^[#$%>][ \t]*$/.test(line)
}

/** `plain`: it asks for yes or no. `likely`: it ends like a question, but a slow line may look like that for a moment. */
export function questionIn(pending: string): 'plain' | 'likely' | undefined {
  const line = pending.slice(-MAX_QUESTION)
  if (/\(\s*y(?:es)?\s*[/|]\s*no?\s*\)\s*[?:]?\s*$/i.test(line) || pagingAnswer(line) !== undefined) return 'plain'
  return /\S\s*[?:]\s*$/.test(line) ? 'likely' : undefined
}

/**
 * The key that leads on to the end: a page, the viewer's next page, and out of it. Leaving the viewer earlier would cut
 * the list short, and what is left of it looks like a whole one.
 */
export function pagingAnswer(pending: string): ' ' | 'n' | 'q' | undefined {
  const line = pending.slice(-MAX_QUESTION)
  if (/Press <enter> for 1 line, <space> for one page, or <q> to quit\s*$/i.test(line)) return ' '
  const viewer =
    /options: q=quit, n=next, p=prev, b=begin, e=end \(lines \d+ - (?<last>\d+) of (?<all>\d+)\) ?:\s*$/i.exec(
      line,
    )?.groups
  if (!viewer) return undefined
  return Number(viewer['last']) < Number(viewer['all']) ? 'n' : 'q'
}
