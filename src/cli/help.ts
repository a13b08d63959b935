import { EXIT_TABLE } from '../core/errors.ts'
import type { CommandSpec, FlagSpec } from './command-spec.ts'
import { COMMANDS, GROUPS, TOPIC_NAMES } from './commands.ts'
import { GLOBAL_FLAGS } from './global-flags.ts'
import { fold } from './renderers/width.ts'
import { fields, table } from './table.ts'

export function overview(): string[] {
  return [
    'Restart services on appliances, once, and see what happens.',
    '',
    '  vosctl demo                                see it work on a simulated cluster',
    '  vosctl restart cucm-pub -s "Cisco Tomcat"  restart and follow',
    '  vosctl watch                               live view, for a tmux pane',
    '',
    ...fields(GROUPS.map(([group, commands]) => [group, commands.map(({ name }) => name).join('  ')])),
    '',
    'Run "vosctl help <command>" for flags, "vosctl help exit-codes" for scripts.',
  ]
}

/** One line, examples, arguments, flags, exit statuses that matter here, see also. */
export function commandHelp(spec: CommandSpec, parents: readonly string[] = []): string[] {
  const name = ['vosctl', ...parents, spec.name].join(' ')
  const { commands = [], examples = [], flags = [], exits = [], notes = [], see = [] } = spec
  const usage = [name, spec.arguments ?? (spec.commands && '<command>'), '[flags]'].filter(Boolean).join(' ')
  const also = see.map((other) => `vosctl help ${other}`).join(', ')
  return [
    spec.summary,
    ...section('Examples', examples),
    '',
    `Usage  ${usage}${spec.alias ? `   (alias: ${spec.alias})` : ''}`,
    ...section('Commands', commandLines(commands)),
    ...section('Flags', flagLines(flags)),
    ...section('Notes', notes),
    '',
    'Flags of every command: vosctl help flags',
    ...(exits.length > 0 ? [exitLine(exits)] : []),
    ...(also === '' ? [] : [`See    ${also}`]),
  ]
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)]
}

function commandLines(commands: readonly CommandSpec[]): string[] {
  return fields(commands.map(({ name, arguments: args, summary }) => [[name, args].filter(Boolean).join(' '), summary]))
}

function flagLines(flags: readonly FlagSpec[]): string[] {
  if (flags.length === 0) return []
  return fields(flags.map(({ flag, means }) => [flag.startsWith('--') ? `    ${flag}` : flag, means]))
}

function exitLine(exits: readonly number[]): string {
  const words: Record<number, string> = { 0: 'done', 8: 'still running' }
  const known = exits.map(
    (status) => `${status} ${words[status] ?? EXIT_TABLE.find((row) => row.status === status)?.name}`,
  )
  return `Exit   ${known.join('   ')}   (help exit-codes)`
}

export const TOPICS: Readonly<Record<(typeof TOPIC_NAMES)[number], () => string[]>> = {
  'exit-codes': exitCodes,
  environment,
  cron,
  tmux,
  json,
  flags: () => ['Flags of every command, understood before and after its name', '', ...flagLines(GLOBAL_FLAGS)],
}

/** The page for `help <words>`; null when there is no such command or topic. */
export function helpPage(words: readonly string[]): string[] | null {
  const [first, ...rest] = words
  if (first === undefined) return [...overview(), '', `Topics: ${TOPIC_NAMES.join(' ')}`]
  const topic = rest.length === 0 ? TOPIC_NAMES.find((name) => name === first) : undefined
  if (topic) return TOPICS[topic]()
  const parents: string[] = []
  let found: CommandSpec | undefined
  for (const word of words) {
    found = (found ? (found.commands ?? []) : COMMANDS).find(({ name, alias }) => name === word || alias === word)
    if (!found) return null
    parents.push(found.name)
  }
  return found ? commandHelp(found, parents.slice(0, -1)) : null
}

/** The page for a terminal of so many columns. Examples stay whole, to be copied. */
export function foldPage(page: readonly string[], columns: number): string[] {
  let isExample = false
  return page.flatMap((line) => {
    if (!line.startsWith(' ')) isExample = line === 'Examples'
    return isExample ? [line] : fold(line, columns - 1)
  })
}

function exitCodes(): string[] {
  const rows = EXIT_TABLE.map(({ status, name, means, touched }) => [String(status), name, touched, means])
  return [
    'Exit statuses, the same for every command. 4 to 7: the device was not touched.',
    '',
    ...table(['EXIT', 'NAME', 'TOUCHED', 'MEANS'], rows),
    '',
    "watch, ps, status, history and logs never carry an operation's verdict; restart, attach, wait, test and verify " +
      'always do.',
    'Several targets: the status that all share, otherwise 9.',
  ]
}

function environment(): string[] {
  return [
    'Variables. A flag of the same meaning wins. No secret is ever read from the environment.',
    '',
    ...fields([
      ['NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE', 'colour off, on, on; set to nothing they say nothing'],
      ['CLICOLOR=0', 'no colour'],
      ['TERM=dumb', 'no colour, and plain lines'],
      ['ACCESSIBLE', 'plain lines, a sign of life every 30 s'],
      ['CI', 'plain lines even on a terminal'],
      ['VOSCTL_PROGRESS, VOSCTL_OUTPUT', 'defaults of --progress and --output'],
      ['VOSCTL_QUIET, VOSCTL_NO_INPUT', 'the same as --quiet, --no-input'],
      ['VOSCTL_STATE_DIR', 'the same as --state-dir; an absolute path'],
      ['VOSCTL_CONFIG_DIR', 'where config.yaml and the key file lie; an absolute path'],
      ['VOSCTL_NO_START', 'the same as --no-start'],
      ['VOSCTL_DEBUG', 'what this client does, on stderr'],
      ['XDG_STATE_HOME, XDG_CONFIG_HOME', 'instead of ~/.local/state and ~/.config'],
      ['PAGER, LESS', 'for history and logs on a terminal; PAGER empty or cat: none'],
      ['COLUMNS, LINES', 'where the terminal reports 0 x 0'],
    ]),
    '',
    'Home is the password entry, not $HOME: sudo and cron disagree about the latter, and two state directories could ' +
      'restart one device twice.',
    '',
    'Settings: ~/.config/vosctl/config.yaml, read when the daemon starts. What it does not know is an error (exit 2).',
    '',
    ...fields([
      ['history: 400d', 'how long ended operations are kept: 90d, 2y, forever; what was learned stays'],
      ['group: vosctl', 'a group of this machine that may use this daemon too, with all that it can do'],
      ['listen: 127.0.0.1:8443', 'a network door for browsers and programs, off by default; a list for several'],
      ['origins: [https://ops.example]', 'pages that may ask there; none by default'],
      ['hosts: [ops.example:8443]', 'names that it answers to, beside its own addresses'],
      ['polling: true', 'also without websockets'],
      ['tls: {certificate, key, clients}', 'absolute paths; clients: who signs the certificates that are let in'],
      ['key: file', 'what seals passwords: file, systemd or passphrase; default systemd where it hands one over'],
      ['agent: /path', 'the socket of the ssh-agent whose keys --credential agent:<fingerprint> names'],
      ['helpers: {ops: [/path, word]}', 'programs that know secrets, for --credential helper:ops'],
    ]),
  ]
}

function cron(): string[] {
  return [
    'From cron: quiet on success, everything a person needs otherwise.',
    '',
    'Examples',
    '  30 3 * * 0  /usr/local/bin/vosctl restart cucm-pub -q --reason "weekly" --timeout 30m',
    '',
    'Run by several machines, or again by hand: --if-recent skip:6h exits 0 when it completed in the last 6 hours.',
    'Exit 4 (busy), 5 (held), 6 (unreached) and 7 (daemon) mean that the device was not touched.',
    'Exit 3 (unknown) holds the connection until "vosctl verify" finds proof or somebody says "vosctl ack": the next run ' +
      'is refused with 5. So is every run while somebody keeps hands off with "vosctl hold".',
    'A refused login holds it too, so that cron cannot lock the account.',
    'Several targets need --yes. PATH is short in cron: name vosctl in full.',
    'The line for this machine, and the proof that it reaches your daemon: vosctl doctor --cron',
  ]
}

function tmux(): string[] {
  return [
    'In a tmux pane:',
    '',
    "  tmux split-window -h 'vosctl watch'",
    '',
    'Leaving the pane, detaching and killing it never affect an operation.',
    'watch uses the alternate screen; restart draws at most 12 lines and leaves its verdict in scrollback.',
    'Narrow panes get fewer columns; below 40 x 8 say vosctl ps instead.',
  ]
}

function json(): string[] {
  return [
    'For programs: -o json is one document at the end, -o jsonl one line for each event, the last with "type":"result".',
    '',
    ...fields([
      ['vosctl/operation/v1', 'restart, test, verify, attach, wait, cancel, ack, status <op>'],
      ['vosctl/operation-list/v1', 'ps, history, and the above for several targets'],
      ['vosctl/plan/v1', 'restart --dry-run'],
      ['vosctl/statistics/v1', 'history --stats'],
      ['vosctl/history-verification/v1', 'history verify'],
      ['vosctl/audit/v1', 'export'],
      [
        'vosctl/connection/v1',
        'connections add, show, edit, remove, trust; credentials set, remove; hold, release; status <target>',
      ],
      ['vosctl/connection-list/v1', 'connections list'],
      ['vosctl/token/v1', 'daemon token create, revoke'],
      ['vosctl/token-list/v1', 'daemon token list'],
      ['vosctl/connection-export/v1', 'connections export'],
      ['vosctl/connection-import/v1', 'connections import'],
      ['vosctl/service-list/v1', 'connections services'],
      ['vosctl/key/v1', 'key status, unlock, lock, rotate'],
      ['vosctl/status/v1', 'status'],
      ['vosctl/log/v1', 'logs'],
      ['vosctl/daemon/v1', 'daemon start, stop, restart, status'],
      ['vosctl/daemon-log/v1', 'daemon logs'],
      ['vosctl/daemon-unit/v1', 'daemon install, uninstall'],
      ['vosctl/doctor/v1', 'doctor'],
      [
        'vosctl/event/v1',
        '-o jsonl of restart, test, verify, attach, wait, watch: hello, snapshot, events, result or bye',
      ],
      ['vosctl/error/v1', 'an error, on stdout; stderr stays empty; the exit status is the same'],
    ]),
    '',
    'Times are RFC 3339 UTC with milliseconds, durations whole milliseconds, unknown is null.',
    'Fields are only ever added. "seq" says how far a stream has come: --from <seq> goes on after it. Schemas: docs/json.md.',
  ]
}
