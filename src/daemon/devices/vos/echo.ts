/**
 * How far an echo agrees with the command that was typed. `full`: it is the command, to the last character.
 * `part`: so far it agrees, more has to come. Only the wrap of a line editor is normalised: a line break, with a blank
 * before it or without, that it puts where the line reaches the width of the terminal.
 */
export type EchoMatch = 'part' | 'full' | 'differs'

/** `echoed` is stripped of escapes, its CR and CRLF are newlines. */
export function compareEcho(typed: string, echoed: string): EchoMatch {
  const reached = positions(typed, echoed)
  if (reached.has(typed.length)) return 'full'
  if (reached.size > 0) return 'part'
  // The blank of a wrap, whose line break has not arrived yet.
  return echoed.endsWith(' ') && positions(typed, echoed.slice(0, -1)).size > 0 ? 'part' : 'differs'
}

/** How much of `typed` has been echoed, under every reading: the blank before a line break may be the name's own. */
function positions(typed: string, echoed: string): Set<number> {
  let reached = new Set([0])
  const characters = [...echoed]
  for (const [index, character] of characters.entries()) {
    const next = new Set<number>()
    for (const position of reached) {
      if (typed[position] === character) next.add(position + 1)
      if (character === '\n' || (character === ' ' && characters[index + 1] === '\n')) next.add(position)
    }
    reached = next
  }
  return reached
}
