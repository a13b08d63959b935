import { Command, CommanderError, Option } from 'commander'
import { VosError } from '../core/errors.ts'
import { isCommand, type CommandSpec, type FlagSpec } from './command-spec.ts'
import { COMMANDS, TOPIC_NAMES } from './commands.ts'
import type { GlobalOptions } from './flags.ts'
import { GLOBAL_FLAGS } from './global-flags.ts'
import { didYouMean } from './targets.ts'

/** What the command line says, understood but not yet done. */
export interface Invocation {
  /** The command's whole name: `connections add`. */
  readonly name: string
  readonly words: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
  readonly globals: GlobalOptions
}

/**
 * @param isConnection whether a word in the place of a command is the name of a connection; asked for nothing else
 * @throws VosError `bad_request` in our own words for whatever the parser does not understand
 */
export function parseCommandLine(
  argv: readonly string[],
  isConnection: (word: string, stateDir: string | undefined) => boolean = () => false,
): Invocation {
  let invocation: Invocation | undefined
  const program = createCommand('vosctl')
  addFlags(program, GLOBAL_FLAGS)
  for (const spec of COMMANDS) addCommand(program, spec, [], (found) => (invocation = found))
  try {
    program.parse(argv, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError)
      throw usageError(error, argv, (word) => isConnection(word, program.opts<GlobalOptions>().stateDir))
    throw error
  }
  if (invocation) return invocation
  throw noCommand()
}

function addCommand(
  parent: Command,
  spec: CommandSpec,
  parents: readonly string[],
  found: (invocation: Invocation) => void,
): void {
  const command = createCommand(spec.name)
  parent.addCommand(command)
  if (spec.alias) command.alias(spec.alias)
  for (const child of spec.commands ?? []) addCommand(command, child, [...parents, spec.name], found)
  const name = [...parents, spec.name].join(' ')
  if (isCommand(spec)) {
    for (const argument of spec.arguments?.split(' ') ?? []) command.argument(argument)
    addFlags(command, spec.flags ?? [])
    // Here too, so that short flags of both kinds can be written together: -dq.
    addFlags(command, GLOBAL_FLAGS)
    command.action(() => {
      const given = { ...givenOptions(allAncestors(command)), ...givenOptions([command]) }
      const words = (command.processedArgs as (string | string[] | undefined)[])
        .flat()
        .filter((word) => word !== undefined)
      found({ name, words, options: given, globals: given })
    })
  } else {
    // All that follows is taken, so that a mistyped command is told and not that there are too many words.
    command.argument('[words...]').action(([word]: readonly string[]) => {
      throw unknownSubcommand(name, spec, word)
    })
  }
}

function createCommand(name: string): Command {
  return new Command(name)
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} })
    .helpOption(false)
    .helpCommand(false)
    .allowExcessArguments(false)
}

function addFlags(command: Command, flags: readonly FlagSpec[]): void {
  for (const { flag, means, parse } of flags) {
    const option = new Option(flag, means)
    if (parse) option.argParser(parse as (value: string, earlier: unknown) => unknown)
    command.addOption(option)
  }
}

function allAncestors(command: Command): Command[] {
  return command.parent ? [command.parent, ...allAncestors(command.parent)] : []
}

/** Only what was said: a flag that was left out must not hide the same flag before the command's name. */
function givenOptions(commands: readonly Command[]): Record<string, unknown> {
  const given = commands.flatMap((command) =>
    Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) === 'cli'),
  )
  return Object.fromEntries(given)
}

function unknownSubcommand(group: string, { commands = [] }: CommandSpec, word: string | undefined): VosError {
  const names = commands.map(({ name }) => name)
  const hint = `See: vosctl help ${group}`
  if (word === undefined) return new VosError('bad_request', `${group} needs a command: ${names.join(', ')}.`, { hint })
  const near = didYouMean(word, names)
  return new VosError('bad_request', `unknown command "${group} ${word}".${near ? ` Did you mean ${near}?` : ''}`, {
    hint,
  })
}

function noCommand(): VosError {
  return new VosError('bad_request', 'no command was named.', { hint: 'See: vosctl help' })
}

function noSuchPage(words: readonly string[]): VosError {
  const asked = words.filter((word) => !word.startsWith('-'))
  const [first = '', second = ''] = asked
  const spec = COMMANDS.find(({ name, alias }) => name === first || alias === first)
  const names = spec ? (spec.commands ?? []) : [...COMMANDS, ...TOPIC_NAMES.map((name) => ({ name }))]
  const near = didYouMean(
    spec ? second : first,
    names.map(({ name }) => name),
  )
  const page = [spec?.name, near].filter(Boolean).map((word) => ` ${word}`)
  return new VosError(
    'bad_request',
    `there is no help for "${asked.join(' ')}".${near ? ` Did you mean ${near}?` : ''}`,
    { hint: `See: vosctl help${page.join('')}` },
  )
}

/** commander says `error: unknown option '--quite'` and, on a line of its own, `(Did you mean --quiet?)`. */
function usageError(
  { message, code }: CommanderError,
  argv: readonly string[],
  isConnection: (word: string) => boolean,
): VosError {
  if (code === 'commander.help') return noCommand()
  const unknown = code === 'commander.unknownCommand' ? (/'(.*)'/s.exec(message)?.[1] ?? '') : ''
  if (unknown === 'help') return noSuchPage(argv.slice(argv.indexOf('help') + 1))
  if (unknown !== '' && isConnection(unknown)) {
    return new VosError('bad_request', `"${unknown}" is a connection, not a command. Nothing was sent to it.`, {
      hint: `Say what to do with it: vosctl status ${unknown}, vosctl restart ${unknown}`,
    })
  }
  const [first = '', second = ''] = message.replace(/^error: /, '').split('\n')
  const suggestion = /^\((.*)\)$/.exec(second)?.[1]
  const said = first.replaceAll("'", '"').replace(/\.?$/, '.')
  const hint = ['See: vosctl help', ...namedBy(argv)].join(' ')
  return new VosError('bad_request', suggestion ? `${said} ${suggestion}` : said, { hint })
}

/** The name of the command, as far as these words have one. */
function namedBy(argv: readonly string[]): string[] {
  let level = COMMANDS
  return argv.flatMap((word) => {
    const found = level.find(({ name, alias }) => name === word || alias === word)
    if (!found) return []
    level = found.commands ?? []
    return [found.name]
  })
}
