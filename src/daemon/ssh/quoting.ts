/** Words that mean themselves to every shell: most unit names, options and paths stay readable in the server's log. */
const PLAIN = /^(?:[A-Za-z0-9_./:@-][A-Za-z0-9_./:@,+-]*|--?[A-Za-z0-9-]+=[A-Za-z0-9_./:@,+-]*)$/

/**
 * A list of words as one command line for a POSIX shell, which splits it back into exactly these words. The only place
 * where a command line is made: whoever needs to run something hands over words.
 * @throws TypeError for an empty list or a NUL byte, which no argument can hold.
 */
export function quoteCommand(words: readonly string[]): string {
  if (words.length === 0) throw new TypeError('A command needs at least one word.')
  return words.map(quoteWord).join(' ')
}

function quoteWord(word: string): string {
  if (word.includes('\0')) throw new TypeError('A word of a command cannot hold a NUL byte.')
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
