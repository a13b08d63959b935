import type { ConnectionView } from '../core/protocol.ts'
import { VosError } from '../core/errors.ts'
import { editDistance } from '../core/service-name.ts'

export interface Selection<Target> {
  /** In the order asked for; what a glob found is sorted by id. Each one once. */
  readonly connections: readonly Target[]
  /** A glob or standard input chose them, so the person has not named each one. */
  readonly byPattern: boolean
}

type Named = Pick<ConnectionView, 'id' | 'name'>

/**
 * The connections that ids, names and globs mean.
 * @throws VosError `unknown_connection`, or `empty_selection` for nothing at all: never "all"
 */
export function selectTargets<Target extends Named>(
  words: readonly string[],
  connections: readonly Target[],
): Selection<Target> {
  const found = new Set(
    words.flatMap((word) => (isGlob(word) ? matching(word, connections) : [one(word, connections)])),
  )
  if (found.size === 0) {
    throw new VosError('empty_selection', 'no target was named.', { hint: 'Name a connection, or quote a glob: "*".' })
  }
  return { connections: [...found], byPattern: words.some(isGlob) }
}

/** The connection with this id or name; null when there is none. */
export function findTarget<Target extends Named>(word: string, connections: readonly Target[]): Target | null {
  const wanted = /^[0-9]+$/.test(word) ? Number(word) : null
  return connections.find(({ id, name }) => (wanted === null ? name === word : id === wanted)) ?? null
}

export function unknownTarget(word: string, connections: readonly Named[]): VosError {
  const near = didYouMean(
    word,
    connections.map(({ name }) => name),
  )
  return near === null
    ? new VosError('unknown_connection', `no connection "${word}".`, { hint: 'See them: vosctl connections list' })
    : new VosError('unknown_connection', `no connection "${word}". Did you mean ${near}?`)
}

export function isGlob(word: string): boolean {
  return /[*?[]/.test(word)
}

/** Names on standard input: separated by blanks or lines; `#` begins a comment. */
export function parseNames(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => line.replace(/#.*/, '').split(/\s+/))
    .filter((word) => word !== '')
}

function one<Target extends Named>(word: string, connections: readonly Target[]): Target {
  const found = findTarget(word, connections)
  if (!found) throw unknownTarget(word, connections)
  return found
}

function matching<Target extends Named>(glob: string, connections: readonly Target[]): Target[] {
  const pattern = globToRegExp(glob)
  const found = connections.filter(({ name }) => pattern.test(name)).toSorted((a, b) => a.id - b.id)
  if (found.length > 0) return found
  throw new VosError('empty_selection', `no connection matches "${glob}".`, {
    hint: 'See them: vosctl connections list',
  })
}

/** `*`, `?`, `[abc]`, `[a-z]` and `[!abc]`, as in a shell. */
function globToRegExp(glob: string): RegExp {
  const source = glob.replace(/\[(!?)([^\]]+)\]|[\s\S]/g, (piece, not?: string, set?: string) => {
    if (set !== undefined) return `[${not ? '^' : ''}${set.replace(/[\\^[]/g, '\\$&')}]`
    if (piece === '*') return '.*'
    if (piece === '?') return '.'
    return piece.replace(/[\\^$.|+()[\]{}]/, '\\$&')
  })
  try {
    return new RegExp(`^${source}$`, 's')
  } catch (cause) {
    throw new VosError('bad_request', `"${glob}" is not a glob.`, { hint: 'Use *, ?, [abc] and [a-z].', cause })
  }
}

/** The one name that was probably meant; null when none is near. */
export function didYouMean(word: string, names: readonly string[]): string | null {
  const limit = Math.max(1, Math.floor(word.length / 3))
  const [nearest] = names
    // The difference in length is the least distance, and a word may be as long as a file.
    .filter((name) => Math.abs(name.length - word.length) <= limit)
    .map((name) => ({ name, distance: swapDistance(name.toLowerCase(), word.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .toSorted((a, b) => a.distance - b.distance)
  return nearest?.name ?? null
}

/** Two neighbours that changed places are one slip of the fingers, not two. */
function swapDistance(name: string, word: string): number {
  const swapped = [...word].slice(1).map((_, index) => {
    const letters = [...word]
    const here = letters[index] ?? ''
    letters[index] = letters[index + 1] ?? ''
    letters[index + 1] = here
    return letters.join('')
  })
  return Math.min(editDistance(name, word), ...swapped.map((other) => 1 + editDistance(name, other)))
}
