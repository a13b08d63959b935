import { VosError } from '../../core/errors.ts'
import type { Names } from '../../core/names.ts'
import { readNames } from '../names.ts'
import { currentUser, resolvePaths } from '../paths.ts'
import { readBashLine } from './bash-line.ts'
import { candidates, type Candidates } from './candidates.ts'
import { FILES_LINE } from './scripts.ts'

/** Readline lists what there is and changes nothing: bash's COMP_TYPE. */
const LISTS = '63'

/**
 * What the scripts ask: lines for the shell named first. Reads one file, asks no daemon and starts none.
 * @returns null when this is not a question of those scripts
 */
export function complete([shell, ...rest]: readonly string[], env: NodeJS.ProcessEnv): readonly string[] | null {
  const names = (stateDir: string | undefined): Names => namesOf(env, stateDir)
  if (shell === 'bash') {
    const [line = '', breaks = '', type = ''] = rest
    const { words, complete } = readBashLine(line, breaks)
    return forBash(candidates(words.slice(1), names), complete, type === LISTS)
  }
  if (shell !== 'zsh' && shell !== 'fish') return null
  const { words, files } = candidates(rest, names)
  const lines = words.map(({ word, about }) => (about === '' ? word : `${word}\t${about}`))
  return files ? [...lines, FILES_LINE] : lines
}

/** bash shows what it would insert. Descriptions go where it only lists, and where an id alone says nothing. */
function forBash({ words, files }: Candidates, complete: (word: string) => string | null, lists: boolean): string[] {
  const lines = words.flatMap(({ word, about }) => {
    const text = complete(word)
    if (text === null) return []
    return lists && /^[a-z]-\w+$/.test(word) ? `${text}  (${about})` : text
  })
  return files ? [...lines, FILES_LINE] : lines
}

function namesOf(env: NodeJS.ProcessEnv, stateDir: string | undefined): Names {
  try {
    return readNames(resolvePaths(env, stateDir, currentUser().home))
  } catch (error) {
    // Whoever runs the command is told; a press of Tab is not.
    if (error instanceof VosError) return { connections: [], operations: [] }
    throw error
  }
}
