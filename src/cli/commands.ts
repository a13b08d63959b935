import type { CommandSpec, FlagSpec } from './command-spec.ts'
import { ALGORITHM_PROFILES, PLATFORMS } from '../core/connection.ts'
import { choice, duration, timing, wholeNumber } from './flags.ts'

const SERVICE: FlagSpec = { flag: '-s, --service <name>', means: "the service; default: the connection's own" }
const FINGERPRINT = 'SHA256:…'
const PORT = wholeNumber('--port', 1, 65535)

const CONNECTION_FLAGS: readonly FlagSpec[] = [
  { flag: '--host <host>', means: 'host name or address' },
  { flag: '--username <user>', means: 'who logs in' },
  { flag: '--platform <vos|linux>', means: 'what it is; default vos', parse: choice('--platform', PLATFORMS) },
  { flag: '--port <port>', means: 'SSH port; default 22', parse: PORT },
  { flag: '--service <name>', means: 'what "restart" means here; default "Cisco Tomcat" on vos' },
  { flag: '--key <path>', means: 'log in with this unencrypted private key instead of a password' },
  { flag: '--sudo', means: 'linux: run systemctl through sudo -n' },
  { flag: '--no-echo', means: 'vos: the device shows nothing before Enter, so do not compare what was typed' },
  { flag: '--enter <cr|lf>', means: 'the byte that is Enter; default cr', parse: choice('--enter', ['cr', 'lf']) },
  {
    flag: '--algorithms <profile>',
    means: 'modern or legacy-vos; default modern',
    parse: choice('--algorithms', ALGORITHM_PROFILES),
  },
  { flag: '--reason <text>', means: 'why old algorithms are needed' },
  { flag: '--timing <name>=<duration>', means: 'a time limit, for example prompt=2m; repeatable', parse: timing },
]

const RESTART: CommandSpec = {
  name: 'restart',
  arguments: '<target...>',
  summary: 'Restart a service and follow it to the end. Refuses if something is already running there.',
  examples: [
    'vosctl restart cucm-pub -s "Cisco Tomcat"',
    "vosctl restart 'web-*' -s nginx --parallel 3 --yes",
    'vosctl restart cucm-pub -q || mail -s "restart: exit $?" ops     # in a script',
  ],
  flags: [
    SERVICE,
    { flag: '-d, --detach', means: 'print the operation id and leave; exit 0 = accepted, not done' },
    {
      flag: '--if-running <refuse|attach|skip>',
      means: 'something runs there already: exit 4 (default), follow it, or exit 0',
      parse: choice('--if-running', ['refuse', 'attach', 'skip']),
    },
    { flag: '--parallel <n>', means: 'so many at once; default 1', parse: wholeNumber('--parallel', 1, 1000) },
    {
      flag: '--deadline <duration>',
      means: "the operation's own time limit; default 20m",
      parse: duration('--deadline'),
    },
    { flag: '--reason <text>', means: 'written to history' },
    { flag: '--start-stopped', means: 'also restart a service that an administrator has stopped' },
    { flag: '--cut-session', means: 'also restart a service that cuts the session which restarts it' },
    { flag: '--dry-run', means: 'check everything that can be checked here; send nothing' },
  ],
  notes: [
    'Several targets run one after the other, and none is begun after the first that does not complete.',
    'Two or more targets, or a glob: lists them and asks; without a terminal say --yes.',
  ],
  exits: [0, 1, 3, 4, 5, 6, 8],
  see: ['test', 'attach', 'watch', 'cancel'],
}

const TEST: CommandSpec = {
  name: 'test',
  arguments: '<target...>',
  summary: 'Log in, read the service list, touch nothing.',
  examples: ['vosctl test cucm-pub', "vosctl test 'cucm-*' -o json"],
  flags: [SERVICE],
  exits: [0, 4, 5, 6, 8],
  see: ['verify', 'connections services', 'credentials test'],
}

const VERIFY: CommandSpec = {
  name: 'verify',
  arguments: '<op|target>',
  summary: 'Look at the device, read-only: what is true now? Settles an unknown outcome when there is proof.',
  examples: ['vosctl verify r-7k3a1x', 'vosctl verify cucm-pub', 'vosctl verify cucm-pub -s "Cisco Tftp" -q'],
  flags: [SERVICE],
  notes: [
    'One login, nothing that acts. It may run beside a restart, and says so.',
    'Exit 0: the service runs and no question is open. 1: it is down. 3: the outcome stays unknown.',
    'Exit 4: work is under way there, by vosctl or by somebody else; it was looked at and judged nothing.',
    'A service that is STARTED now is no proof that it restarted: it must have been seen moving, or be another run of it.',
  ],
  exits: [0, 1, 3, 4, 5, 6, 8],
  see: ['ack', 'test', 'status'],
}

const HOLD: CommandSpec = {
  name: 'hold',
  arguments: '<target>',
  summary: 'Keep hands off a connection: no restart, test or look begins there, whoever asks.',
  examples: ['vosctl hold cucm-pub --reason "TAC case, do not restart"'],
  flags: [{ flag: '--reason <text>', means: 'why; told to everybody who is refused' }],
  notes: ['What runs there already goes on. A hold survives restarts of the daemon; only release ends it.'],
  exits: [0, 2],
  see: ['release', 'status'],
}

const RELEASE: CommandSpec = {
  name: 'release',
  arguments: '<target>',
  summary: 'End a hold.',
  examples: ['vosctl release cucm-pub'],
  exits: [0, 2],
  see: ['hold'],
}

const WATCH: CommandSpec = {
  name: 'watch',
  arguments: '[target...]',
  summary: 'Live dashboard of all operations, for a tmux pane.',
  examples: ['vosctl watch', "vosctl watch 'cucm-*'", 'vosctl watch -o jsonl | jq .type'],
  notes: [
    'Carries no verdict: q leaves with 0. Only key a does: it leaves to attach to one operation, and ends with that.',
    'Keys: ? shows them. A filter or a pause changes what is listed, never the counts above it.',
  ],
  see: ['ps', 'attach'],
}

const PS: CommandSpec = {
  name: 'ps',
  summary: 'Operations now, and those that ended in the last 5 minutes.',
  examples: ['vosctl ps', 'vosctl ps --json | jq ".items[].status"'],
  see: ['watch', 'history', 'status'],
}

const STATUS: CommandSpec = {
  name: 'status',
  arguments: '[target|op]',
  summary: 'One page about one thing; without argument about the whole house: can I go home?',
  examples: ['vosctl status', 'vosctl status cucm-pub', 'vosctl status last'],
  see: ['ps', 'logs'],
}

const ATTACH: CommandSpec = {
  name: 'attach',
  arguments: '<op>',
  summary: 'Follow an operation or a batch; exit with its verdict.',
  examples: ['vosctl attach r-7k2m9q', 'vosctl attach last', 'vosctl attach b-41g0'],
  exits: [0, 1, 3, 4, 5, 6, 8, 9],
  see: ['wait', 'cancel'],
}

const WAIT: CommandSpec = {
  name: 'wait',
  arguments: '<op...>',
  summary: 'Wait for operations without drawing; exit with their verdict.',
  examples: ['id=$(vosctl restart cucm-pub -d) && vosctl wait "$id" --timeout 30m'],
  exits: [0, 1, 3, 4, 5, 6, 8, 9],
  see: ['attach'],
}

const CANCEL: CommandSpec = {
  name: 'cancel',
  arguments: '<op>',
  summary: 'Stop an operation if that is still possible; say what is not.',
  examples: ['vosctl cancel r-7k2m9q'],
  notes: ['A restart that was sent cannot be taken back: exit 1, and nothing is pretended.'],
  exits: [0, 1],
  see: ['attach', 'ps'],
}

const ACK: CommandSpec = {
  name: 'ack',
  arguments: '<op>',
  summary: 'Accept an unknown outcome, after a look at the device, and free the connection.',
  examples: ['vosctl ack r-7k3a1x', 'vosctl ack r-7k3a1x --yes'],
  exits: [0, 2],
  see: ['verify', 'status'],
}

const LINES = (fallback: string): FlagSpec => ({
  flag: '-n, --lines <n>',
  means: `so many, the last ones; default ${fallback}`,
  parse: wholeNumber('--lines', 1, 5000),
})

const LOGS: CommandSpec = {
  name: 'logs',
  arguments: '<op>',
  summary: 'What was recorded of an operation: events with their times, and what the device printed.',
  examples: ['vosctl logs r-7k2m9q', 'vosctl logs last -f'],
  flags: [{ flag: '-f, --follow', means: 'go on until it ends' }, LINES('all')],
  see: ['status', 'history'],
}

const HISTORY: CommandSpec = {
  name: 'history',
  arguments: '[target]',
  summary: 'Finished operations, the newest first.',
  examples: ['vosctl history', 'vosctl history cucm-pub -n 10'],
  flags: [LINES('50')],
  see: ['ps', 'logs'],
}

const CONNECTIONS: CommandSpec = {
  name: 'connections',
  alias: 'conn',
  summary: 'The appliances and hosts that vosctl knows.',
  see: ['credentials', 'test'],
  commands: [
    {
      name: 'add',
      arguments: '<name>',
      summary: 'Add a connection; asks for what is missing, then offers to pin the host key and to test.',
      examples: [
        'vosctl connections add cucm-pub --host 10.10.0.10 --username admin',
        'vosctl connections add web-01 --host web-01 --username deploy --platform linux --service nginx --sudo',
      ],
      flags: CONNECTION_FLAGS,
      exits: [0, 2],
      see: ['connections trust', 'credentials set'],
    },
    {
      name: 'list',
      summary: 'All connections, sorted by id.',
    },
    {
      name: 'show',
      arguments: '<target>',
      summary: 'One connection.',
    },
    {
      name: 'edit',
      arguments: '<target>',
      summary: 'Change a connection; what is not named stays.',
      examples: ['vosctl connections edit cucm-pub --host 10.10.0.11'],
      flags: [
        { flag: '--name <name>', means: 'a new name' },
        ...CONNECTION_FLAGS,
        { flag: '--echo', means: 'compare what was typed again' },
        { flag: '--no-sudo', means: 'without sudo again' },
      ],
      notes: ['Another host or port takes the pinned key away, another login the password.'],
      exits: [0, 2],
    },
    {
      name: 'remove',
      arguments: '<target>',
      summary: 'Remove a connection; its history stays.',
      exits: [0, 2],
    },
    {
      name: 'trust',
      arguments: '<target>',
      summary: 'Read the host key, compare it, pin it. No credential leaves before that.',
      examples: ['vosctl connections trust cucm-pub', `vosctl connections trust cucm-pub --fingerprint ${FINGERPRINT}`],
      flags: [{ flag: '--fingerprint <fingerprint>', means: 'what the device must show; needed without a terminal' }],
      notes: ['--yes is no comparison: it does not answer this question.'],
      exits: [0, 2, 6],
    },
    {
      name: 'services',
      arguments: '<target>',
      summary: "Read the device's service list: one login, nothing is touched.",
      exits: [0, 4, 5, 6],
    },
  ],
}

const CREDENTIALS: CommandSpec = {
  name: 'credentials',
  summary: 'The passwords of connections, sealed on disk.',
  see: ['connections'],
  commands: [
    {
      name: 'set',
      arguments: '<target>',
      summary: 'Set the password. Never taken from a flag or the environment.',
      examples: ['vosctl credentials set cucm-pub', 'pass show cucm-pub | vosctl credentials set cucm-pub --stdin'],
      flags: [{ flag: '--stdin', means: 'the first line of standard input' }],
      exits: [0, 2],
    },
    {
      name: 'test',
      arguments: '<target>',
      summary: 'Log in once. On a terminal, also when an earlier login was refused.',
      exits: [0, 5, 6],
    },
    {
      name: 'remove',
      arguments: '<target>',
      summary: 'Forget the password or the key file.',
      exits: [0, 2],
    },
  ],
}

const STOP_FLAGS: readonly FlagSpec[] = [
  { flag: '--drain', means: 'wait for what runs' },
  { flag: '--now', means: 'leave what runs to the next daemon, which looks at it and sends nothing again' },
]

const DAEMON: CommandSpec = {
  name: 'daemon',
  summary: 'The process that does the work. Every command that needs it starts it.',
  see: ['status'],
  commands: [
    {
      name: 'start',
      summary: 'Start a daemon that stays when it is idle.',
      exits: [0, 7],
    },
    {
      name: 'stop',
      summary: 'Stop the daemon; asks when operations are under way.',
      flags: STOP_FLAGS,
      exits: [0, 2],
    },
    {
      name: 'restart',
      summary: 'Stop the daemon and start it again.',
      flags: STOP_FLAGS,
      exits: [0, 2, 7],
    },
    {
      name: 'status',
      summary: 'Is it running? Never starts one.',
      exits: [0, 7],
    },
    {
      name: 'logs',
      summary: 'The end of its log.',
      flags: [LINES('50')],
    },
    {
      name: 'run',
      summary: 'Run it in the foreground, for a supervisor.',
      exits: [0, 7],
    },
  ],
}

const DEMO: CommandSpec = {
  name: 'demo',
  summary: 'A simulated cluster, start to finish in a quarter of a minute.',
  examples: ['vosctl demo', 'vosctl demo --fail'],
  flags: [{ flag: '--fail', means: 'show what goes wrong: a failure, a lost connection, a late one' }],
  notes: ['Real SSH, a real daemon, nothing outside a temporary directory.'],
  exits: [0, 1],
}

export const COMMANDS: readonly CommandSpec[] = [
  RESTART,
  TEST,
  WATCH,
  PS,
  STATUS,
  ATTACH,
  WAIT,
  CANCEL,
  VERIFY,
  ACK,
  HOLD,
  RELEASE,
  LOGS,
  HISTORY,
  CONNECTIONS,
  CREDENTIALS,
  DAEMON,
  DEMO,
]

/** How the overview groups them. */
export const GROUPS: readonly (readonly [string, readonly CommandSpec[]])[] = [
  ['Act', [RESTART, TEST, CANCEL, HOLD, RELEASE]],
  ['Look', [WATCH, PS, STATUS, ATTACH, WAIT, LOGS, HISTORY, VERIFY, ACK]],
  ['Inventory', [CONNECTIONS, CREDENTIALS]],
  ['Set up', [DAEMON, DEMO]],
]
