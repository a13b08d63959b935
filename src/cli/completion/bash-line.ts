/** A command line as bash has it, up to the cursor, and what becomes of a candidate in its last word. */
export interface BashLine {
  /** Without quotes, as the program would get them; the last one may be begun, or empty. */
  readonly words: readonly string[]
  /** What readline puts in the place of the text that it completes; null when this candidate cannot stand there. */
  readonly complete: (candidate: string) => string | null
}

/**
 * Read here and not by bash's own COMP_WORDS, which is cut at every `:` and `=` and keeps the quotes. Readline replaces
 * only what follows an open quote, or the last of its word breaks.
 * @param breaks bash's COMP_WORDBREAKS
 */
export function readBashLine(line: string, breaks: string): BashLine {
  const words: string[] = []
  let word = ''
  /** So much of the word stands already and is not replaced. */
  let kept = 0
  let quote: '"' | "'" | null = null
  let isExpanded = false
  const characters = [...line]
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? ''
    if (quote !== "'" && (character === '$' || character === '`')) isExpanded = true
    if (character === quote) {
      quote = null
      kept = word.length
    } else if (quote === "'") word += character
    else if (character === '\\') {
      const next = characters[++index] ?? ''
      // Between double quotes it stands for itself before most characters.
      word += quote !== null && !'"$`\\\n'.includes(next) ? `\\${next}` : next
    } else if (quote === '"') word += character
    else if (character === '"' || character === "'") {
      quote = character
      kept = word.length
    } else if (/\s/.test(character)) {
      if (word !== '' || kept > 0 || /["']/.test(characters[index - 1] ?? '')) words.push(word)
      word = ''
      kept = 0
      isExpanded = false
    } else {
      word += character
      if (breaks.includes(character)) kept = word.length
    }
  }
  const complete = (candidate: string): string | null => {
    // What the shell will put there is not known here.
    if (isExpanded || !candidate.startsWith(word)) return null
    return quoteFor(quote, candidate.slice(kept))
  }
  return { words: [...words, word], complete }
}

function quoteFor(quote: '"' | "'" | null, text: string): string | null {
  if (quote === "'") return text.replaceAll("'", `'\\''`)
  // Nothing keeps a `!` between double quotes from meaning a command of the past.
  if (quote === '"') return text.includes('!') ? null : text.replace(/[\\"$`]/g, '\\$&')
  return text.replace(/[^\w@%+=:,./\u0080-\u{10ffff}-]/gu, '\\$&')
}
