import { EXIT_TABLE } from '../core/errors.ts'
import { VERSION } from '../core/version.ts'
import { isCommand, type CommandSpec, type FlagSpec } from './command-spec.ts'
import { COMMANDS, TOPIC_NAMES } from './commands.ts'
import { GLOBAL_FLAGS } from './global-flags.ts'
import { TOPICS } from './help.ts'

/** Topics that the page has as a section of its own. */
const ELSEWHERE: readonly (typeof TOPIC_NAMES)[number][] = ['exit-codes', 'flags']

/** The manual page of vosctl(1) in roff, from the data that the parser and the help are made of. */
export function manPage(): string {
  const lines = [
    `.TH VOSCTL 1 "" "vosctl ${escape(VERSION)}" "User Commands"`,
    // Sentences of help are short: hyphens in their words would look like those of a flag.
    '.nh',
    '.ad l',
    '.SH NAME',
    text('vosctl - restart services on appliances, once, and see what happens'),
    '.SH SYNOPSIS',
    `${bold('vosctl')} ${text('<command> [flags]')}`,
    '.br',
    `${bold('vosctl help')} ${text('[command|topic]')}`,
    '.SH DESCRIPTION',
    text('At most one restart is sent to a device, and what is said about it is true.'),
    text('A daemon of this user does the work, and goes on when the command that asked for it has ended.'),
    '.SH COMMANDS',
    ...COMMANDS.flatMap((spec) => command(spec, [])),
    '.SH FLAGS OF EVERY COMMAND',
    ...GLOBAL_FLAGS.flatMap(flag),
    '.SH EXIT STATUS',
    text('The same for every command. 4 to 7: the device was not touched.'),
    ...EXIT_TABLE.flatMap(({ status, name, means }) => tagged(bold(`${status} ${name}`), means)),
    ...TOPIC_NAMES.flatMap((name) =>
      ELSEWHERE.includes(name) ? [] : [`.SH ${name.toUpperCase()}`, ...asItIs(TOPICS[name]())],
    ),
    '.SH SEE ALSO',
    '.BR ssh (1),',
    '.BR systemctl (1),',
    '.BR crontab (5)',
  ]
  return `${lines.join('\n')}\n`
}

function command(spec: CommandSpec, parents: readonly string[]): string[] {
  const { commands = [], flags = [], notes = [], examples = [], alias } = spec
  const names = [...parents, spec.name]
  if (!isCommand(spec)) {
    const also = alias ? ` Alias: ${alias}.` : ''
    return [
      `.SS ${names.join(' ')}`,
      text(`${spec.summary}${also}`),
      ...commands.flatMap((child) => command(child, names)),
    ]
  }
  return [
    `.SS ${text([...names, spec.arguments ?? ''].join(' ').trim())}`,
    text(spec.summary),
    ...notes.flatMap((note) => ['.PP', text(note)]),
    ...flags.flatMap(flag),
    ...(examples.length > 0 ? ['.PP', ...asItIs(examples)] : []),
    ...commands.flatMap((child) => command(child, names)),
  ]
}

function flag({ flag, means }: FlagSpec): string[] {
  return tagged(bold(flag), means)
}

function tagged(tag: string, means: string): string[] {
  return ['.TP', tag, text(means)]
}

/** Lines that are not filled, because they were laid out already. */
function asItIs(lines: readonly string[]): string[] {
  return ['.nf', ...lines.map(text), '.fi']
}

function bold(words: string): string {
  return `\\fB${escape(words)}\\fR`
}

/** A whole line of roff that draws exactly this: a dot or a quote in its first column would be a request. */
export function text(line: string): string {
  return escape(line).replace(/^(?=[.'])/, '\\&')
}

/** Characters that roff takes for something else, or draws as another than it was given. */
const ROFF: Readonly<Record<string, string>> = {
  '\\': '\\(rs',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '"': '\\(dq',
}

function escape(words: string): string {
  return [...words]
    .map((character) => {
      const code = character.codePointAt(0) ?? 0
      return ROFF[character] ?? (code < 0x80 ? character : `\\[u${code.toString(16).toUpperCase().padStart(4, '0')}]`)
    })
    .join('')
}
