import { existsSync } from 'node:fs'
import { FIRST_STEPS } from './first-steps.ts'
import { GLOBAL_FLAGS } from './global-flags.ts'
import { helpPage, overview } from './help.ts'
import { currentUser, resolvePaths } from './paths.ts'

export interface HelpPage {
  readonly lines: readonly string[]
  readonly status: 0 | 2
}

/**
 * The page that is asked for; null when none is, or when there is no such page. Bare `vosctl` is 2: a script with an
 * empty variable must not look successful.
 */
export function helpRequest(argv: readonly string[], env: NodeJS.ProcessEnv): HelpPage | null {
  if (argv.length === 0) {
    return { lines: isEmptyHouse(env) ? [...overview(), '', ...FIRST_STEPS] : overview(), status: 2 }
  }
  const first = firstWord(argv)
  if (first !== null && argv[first] === 'help') {
    const lines = helpPage(argv.slice(first + 1).filter((word) => !word.startsWith('-')))
    return lines && { lines, status: 0 }
  }
  const end = argv.indexOf('--')
  const before = end === -1 ? argv : argv.slice(0, end)
  if (!before.some((word) => word === '--help' || word === '-h')) return null
  return { lines: nearestPage(before) ?? overview(), status: 0 }
}

/** Where the command's name stands, behind global flags and their values; null when there is none. */
function firstWord(argv: readonly string[]): number | null {
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? ''
    if (!word.startsWith('-')) return index
    const spec = GLOBAL_FLAGS.find(({ flag }) => flag.split(/[ ,]+/).includes(word))
    if (spec?.flag.includes('<')) index++
  }
  return null
}

/** The page of the command among the words, whatever flags stand around it. */
function nearestPage(argv: readonly string[]): readonly string[] | null {
  const words = argv.filter((word) => !word.startsWith('-'))
  for (const [index, word] of words.entries()) {
    const next = words[index + 1]
    const page = (next === undefined ? null : helpPage([word, next])) ?? helpPage([word])
    if (page) return page
  }
  return null
}

/** Only what a look at the disk can tell: nothing is started to print an overview. */
function isEmptyHouse(env: NodeJS.ProcessEnv): boolean {
  try {
    return !existsSync(resolvePaths(env, undefined, currentUser().home).database)
  } catch {
    return false
  }
}
