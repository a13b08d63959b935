import type { NamedOperation, Names } from '../../core/names.ts'
import { isCommand, type CommandSpec, type FlagSpec } from '../command-spec.ts'
import { COMMANDS, TOPIC_NAMES } from '../commands.ts'
import { GLOBAL_FLAGS } from '../global-flags.ts'
import { clean, describe } from '../renderers/words.ts'
import { isGlob, selectTargets } from '../targets.ts'

export interface Candidate {
  /** As the program wants to read it; whoever prints it quotes it for a shell. */
  readonly word: string
  readonly about: string
}

export interface Candidates {
  readonly words: readonly Candidate[]
  /** The shell shall offer its files. */
  readonly files: boolean
}

/** What the words before the last one say. */
interface Line {
  /** Undefined in the place of a command, and where no command is known by that name. */
  readonly spec: CommandSpec | undefined
  readonly isLost: boolean
  readonly isHelp: boolean
  readonly arguments: readonly string[]
  /** The flag whose value is next. */
  readonly open: FlagSpec | undefined
  /** Behind `--`. */
  readonly isPlain: boolean
  readonly stateDir: string | undefined
}

const HELP: Candidate = { word: 'help', about: 'What a command does, and its flags.' }
const HELP_FLAG: FlagSpec = { flag: '-h, --help', means: 'what this command does, and its flags' }
const VERSION_FLAG: FlagSpec = { flag: '-V, --version', means: 'the version' }
/** What `<path>` and the like in a usage line mean for a shell. */
const FILES = ['file', 'path', 'dir']
const NOTHING: Candidates = { words: [], files: false }

/**
 * What may stand in the place of the last word, which may be begun: it only tells whether flags, ids or the value behind
 * a `=` are wanted, and which of the candidates go with it is for the shell to say.
 * @param names reads what the daemon of a state directory has left; asked for only where names are wanted
 */
export function candidates(words: readonly string[], names: (stateDir: string | undefined) => Names): Candidates {
  const line = readLine(words.slice(0, -1))
  const begun = words.at(-1) ?? ''
  const { words: found, files } = line.isLost ? NOTHING : next(line, begun, () => names(line.stateDir))
  // A name that cannot be drawn as it is cannot be chosen by looking at it either.
  const drawable = found.filter(({ word }) => word !== '' && clean(word) === word)
  return { words: drawable.map(({ word, about }) => ({ word, about: clean(about) })), files }
}

function next(line: Line, begun: string, names: () => Names): Candidates {
  const { spec } = line
  if (line.open) return valuesOf(line.open, line, names)
  if (!line.isPlain && begun.startsWith('-')) {
    const [name = ''] = begun.split('=', 1)
    if (name === begun) return only([...flagsOf(spec), HELP_FLAG, ...(spec ? [] : [VERSION_FLAG])].map(flagCandidate))
    const flag = findFlag(name, spec)
    const { words, files } = flag ? valuesOf(flag, line, names) : NOTHING
    return { words: words.map(({ word, about }) => ({ word: `${name}=${word}`, about })), files }
  }
  if (line.isHelp || !spec || spec.commands) {
    const commands = (spec ? (spec.commands ?? []) : COMMANDS).map(({ name, summary }) => ({
      word: name,
      about: summary,
    }))
    if (spec && isCommand(spec) && !line.isHelp) {
      const own = argumentsOf(spec, line, begun, names)
      return line.arguments.length > 0 ? own : { ...own, words: [...commands, ...own.words] }
    }
    if (spec) return only(commands)
    return only([...commands, ...(line.isHelp ? TOPIC_NAMES.map((word) => ({ word, about: 'topic' })) : [HELP])])
  }
  return argumentsOf(spec, line, begun, names)
}

function readLine(words: readonly string[]): Line {
  let spec: CommandSpec | undefined
  let level: readonly CommandSpec[] = COMMANDS
  let open: FlagSpec | undefined
  let stateDir: string | undefined
  let [isLost, isHelp, isPlain] = [false, false, false]
  const rest: string[] = []
  for (const word of words) {
    if (open) {
      if (open.flag.startsWith('--state-dir')) stateDir = word
      open = undefined
    } else if (!isPlain && word === '--') isPlain = true
    else if (!isPlain && word.startsWith('-') && word !== '-') {
      const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(word) ?? []
      if (name === '--state-dir' && value !== undefined) stateDir = value
      // Of short flags that are written together the last one may take a value: -fn 5.
      const flag = findFlag(/^-[^-]/.test(name) ? `-${name.at(-1)}` : name, spec)
      if (value === undefined && flag?.flag.includes('<')) open = flag
    } else if (level.length > 0) {
      const found = level.find(({ name, alias }) => name === word || alias === word)
      if (found) {
        spec = found
        level = found.commands ?? []
      } else if (word === 'help' && !spec && !isHelp) isHelp = true
      else if (spec && isCommand(spec) && !isHelp) {
        rest.push(word)
        level = []
      } else isLost = true
    } else rest.push(word)
  }
  return { spec, isLost, isHelp, arguments: rest, open, isPlain, stateDir }
}

function flagsOf(spec: CommandSpec | undefined): readonly FlagSpec[] {
  return [...(spec?.flags ?? []), ...GLOBAL_FLAGS]
}

function findFlag(name: string, spec: CommandSpec | undefined): FlagSpec | undefined {
  return flagsOf(spec).find(({ flag }) => flag.split(/[ ,]+/).includes(name))
}

function flagCandidate({ flag, means }: FlagSpec): Candidate {
  return { word: /--[\w-]+/.exec(flag)?.[0] ?? '', about: means }
}

function valuesOf({ flag }: FlagSpec, line: Line, names: () => Names): Candidates {
  if (flag.includes('--service ')) return only(services(line, names()))
  if (flag.startsWith('--via ')) return only(names().connections.map(({ name }) => ({ word: name, about: '' })))
  // Those that are a word of their own; the others go on with a name that is not in that file.
  if (flag.startsWith('--credential ')) return only(['sealed', 'prompt', 'none'].map((word) => ({ word, about: '' })))
  const value = /<(.+)>$/.exec(flag)?.[1] ?? ''
  if (FILES.includes(value)) return { words: [], files: true }
  return only(alternatives(value).map((word) => ({ word, about: '' })))
}

/** The words that a placeholder lists: `vos|linux`; what is itself a placeholder is none. */
function alternatives(placeholder: string): readonly string[] {
  const parts = placeholder.split('|')
  return parts.length === 1 ? [] : parts.filter((part) => /^[a-z][a-z0-9-]*$/.test(part))
}

function argumentsOf(spec: CommandSpec, line: Line, begun: string, names: () => Names): Candidates {
  const places = spec.arguments?.split(' ') ?? []
  const last = places.at(-1) ?? ''
  const place = places[line.arguments.length] ?? (last.includes('...') ? last : '')
  const kinds = place.replace(/[<>[\].]/g, '')
  const words: Candidate[] = []
  let files = false
  for (const kind of kinds.includes('|') ? kinds.split('|') : [kinds]) {
    if (kind === 'target') words.push(...targets(line, begun, names()))
    else if (kind === 'op') words.push(...operations(spec, line, names()))
    else if (FILES.includes(kind)) files = true
    else if (alternatives(kinds).includes(kind)) words.push({ word: kind, about: '' })
  }
  return { words, files }
}

/** Names; ids for whoever has begun to type a number. One that is named already is not named again. */
function targets({ arguments: given }: Line, begun: string, { connections }: Names): Candidate[] {
  const free = connections.filter(({ id, name }) => !given.includes(name) && !given.includes(String(id)))
  const byId = /^[0-9]/.test(begun) ? free.map(({ id, name }) => ({ word: String(id), about: name })) : []
  const byName = free.map(({ id, name, platform, service }) => ({
    word: name,
    about: [`id ${id}`, platform, ...(service === null ? [] : [service])].join(', '),
  }))
  return [...byId, ...byName]
}

/** Operations that a command can do something with; every other command takes any. */
const USEFUL: Readonly<Record<string, (operation: NamedOperation) => boolean>> = {
  cancel: ({ status }) => status === 'pending' || status === 'in_progress',
  ack: ({ open }) => open,
}

function operations({ name }: CommandSpec, { arguments: given }: Line, { operations: all }: Names): Candidate[] {
  const useful = all.filter((operation) => !given.includes(operation.id) && (USEFUL[name]?.(operation) ?? true))
  if (useful.length === 0) return []
  const batches = ['attach', 'wait', 'export'].includes(name) ? Map.groupBy(useful, ({ batch }) => batch) : new Map()
  batches.delete(null)
  return [
    ...useful.map((operation) => ({
      word: operation.id,
      about: `${describe(operation)} on ${operation.connection}: ${operation.status.replace('_', ' ')}`,
    })),
    ...[...batches].map(([id, { length }]) => ({ word: String(id), about: `batch of ${length}` })),
    { word: 'last', about: 'your newest' },
  ]
}

/** The services of the connections that the line names; of all, before it names one. */
function services({ arguments: given }: Line, { connections }: Names): Candidate[] {
  const named = given.flatMap((word) => {
    const match = connections.filter(({ id, name }) => name === word || String(id) === word)
    return isGlob(word) ? globbed(word, connections) : match
  })
  const seen = (named.length > 0 ? named : connections).flatMap(({ service, services: shown }) =>
    service === null ? shown : [service, ...shown],
  )
  return [...new Set(seen)].map((word) => ({ word, about: '' }))
}

function globbed(word: string, connections: Names['connections']): Names['connections'] {
  try {
    return selectTargets([word], connections).connections
  } catch {
    return []
  }
}

function only(words: readonly Candidate[]): Candidates {
  return { words, files: false }
}
