import type { CommandSpec, FlagSpec } from './command-spec.ts'
import { ALGORITHM_PROFILES, PLATFORMS } from '../core/connection.ts'
import { IF_RUNNING } from '../core/protocol.ts'
import {
  choice,
  credentialSource,
  duration,
  ifRecent,
  journalHead,
  lastDay,
  passphraseSource,
  pastMoment,
  timing,
  wholeNumber,
} from './flags.ts'

const SERVICE: FlagSpec = { flag: '-s, --service <name>', means: "the service; default: the connection's own" }
const FINGERPRINT = 'SHA256:…'
const PORT = wholeNumber('--port', 1, 65535)

const FROM: FlagSpec = {
  flag: '--from <seq>',
  means: 'with -o jsonl: go on after this number of an earlier stream',
  parse: wholeNumber('--from', 0, Number.MAX_SAFE_INTEGER),
}

const CONNECTION_FLAGS: readonly FlagSpec[] = [
  { flag: '--host <host>', means: 'host name or address' },
  { flag: '--username <user>', means: 'who logs in' },
  { flag: '--platform <vos|linux>', means: 'what it is; default vos', parse: choice('--platform', PLATFORMS) },
  { flag: '--port <port>', means: 'SSH port; default 22', parse: PORT },
  { flag: '--service <name>', means: 'what "restart" means here; default "Cisco Tomcat" on vos' },
  { flag: '--key <path>', means: 'log in with this private key; short for --credential key:<path>' },
  {
    flag: '--credential <source>',
    means: 'the one way to log in: sealed, helper:<name>, key:<path>, agent:<fingerprint>, prompt or none',
    parse: credentialSource,
  },
  {
    flag: '--passphrase-from <source>',
    means: 'of an encrypted key: sealed (default; see credentials set) or helper:<name>',
    parse: passphraseSource,
  },
  { flag: '--sudo', means: 'linux: run systemctl through sudo -n' },
  { flag: '--via <connection>', means: 'reached through this one, a jump host; none: directly' },
  { flag: '--no-echo', means: 'vos: the device shows nothing before Enter, so do not compare what was typed' },
  { flag: '--enter <cr|lf>', means: 'the byte that is Enter; default cr', parse: choice('--enter', ['cr', 'lf']) },
  {
    flag: '--algorithms <modern|legacy-vos>',
    means: 'what may be negotiated; default modern',
    parse: choice('--algorithms', ALGORITHM_PROFILES),
  },
  { flag: '--reason <text>', means: 'why old algorithms are needed; legacy-vos needs it' },
  {
    flag: '--until <YYYY-MM-DD>',
    means: 'the last day on which they are allowed; legacy-vos needs it, at most two years ahead',
    parse: lastDay,
  },
  { flag: '--accept-new', means: 'for labs: pin the first host key that it shows, without a comparison' },
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
      flag: '--if-running <refuse|attach|skip|queue>',
      means: 'something runs there: exit 4 (default), follow it, exit 0, run after it',
      parse: choice('--if-running', IF_RUNNING),
    },
    {
      flag: '--if-recent <allow|skip:age>',
      means: 'skip:6h: exit 0 where the same completed in the last 6 hours',
      parse: ifRecent,
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
    'queue: one operation can wait for a device. When its turn comes it is checked again: a hold or an unknown outcome ' +
      'ends it with exit 5, and nothing is sent. Until then "vosctl cancel" takes it out.',
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
  flags: [FROM],
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
  flags: [FROM],
  exits: [0, 1, 3, 4, 5, 6, 8, 9],
  see: ['wait', 'cancel'],
}

const WAIT: CommandSpec = {
  name: 'wait',
  arguments: '<op...>',
  summary: 'Wait for operations without drawing; exit with their verdict.',
  examples: ['id=$(vosctl restart cucm-pub -d) && vosctl wait "$id" --timeout 30m'],
  flags: [FROM],
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

const NO_PAGER: FlagSpec = { flag: '--no-pager', means: 'print, whatever PAGER says' }

const LOGS: CommandSpec = {
  name: 'logs',
  arguments: '<op>',
  summary: 'What was recorded of an operation: events with their times, and what the device printed.',
  examples: ['vosctl logs r-7k2m9q', 'vosctl logs last -f'],
  flags: [{ flag: '-f, --follow', means: 'go on until it ends' }, LINES('all'), NO_PAGER],
  see: ['status', 'history'],
}

const HISTORY: CommandSpec = {
  name: 'history',
  arguments: '[target...]',
  summary: 'Finished operations, the newest ending first.',
  examples: [
    'vosctl history cucm-pub -n 10',
    "vosctl history 'cucm-*' --failed --since 7d",
    'vosctl history --since "2026-11-01 14:00" -o json',
    'vosctl history --stats --since 90d',
  ],
  flags: [
    { flag: '--failed', means: 'only what went wrong: failed and unknown, an unknown one that was accepted too' },
    {
      flag: '--since <when>',
      means: 'only what ended since: 7d, 2026-11-01, "2026-11-01 14:00"',
      parse: pastMoment('--since'),
    },
    { flag: '--stats', means: 'how it went, for each connection and service: count, failure rate, durations' },
    LINES('50'),
    NO_PAGER,
  ],
  notes: [
    'What was cancelled or interrupted before anything was sent did not go wrong. Nor did a look (verify) that found no ' +
      'answer. WHEN is the start.',
    '--stats: RUNS are restarts that ended after their command may have been sent, FAILED those of them that failed or are ' +
      'unknown; NOT SENT counts the others. P50 and P90 are of those that completed: half, and nine of ten, took no longer.',
    'LAST 20: the newest on the right, from . (short) to # (the longest of them); x failed, ? unknown, + done, not timed.',
    'How long history is kept is a setting: vosctl help environment',
  ],
  commands: [
    {
      name: 'verify',
      summary: 'Is history as it was written? Names the first row that is not.',
      examples: ['vosctl history verify', 'vosctl history verify --head "$(cat /mnt/elsewhere/monday)"'],
      flags: [
        {
          flag: '--head <cursor:hash>',
          means: 'also prove that this head, noted earlier, is in it; repeatable',
          parse: journalHead,
        },
      ],
      notes: [
        'Every event holds a hash over itself and the one before it, and every operation is told anew from its events.',
        'Whoever can write the database can compute all hashes anew: only a head noted elsewhere proves the past. The ' +
          "daemon's log has one at each start and stop, and once a day.",
        'The history of a connection that is named verify: say its id.',
      ],
      exits: [0, 1],
      see: ['export', 'history'],
    },
  ],
  see: ['ps', 'logs', 'status'],
}

const EXPORT: CommandSpec = {
  name: 'export',
  arguments: '<op> [file]',
  summary: 'Everything that is known of an operation or a batch, as one JSON document for an auditor.',
  examples: ['vosctl export r-7k2m9q r-7k2m9q.json', 'vosctl export last | jq ".operations[].commands"'],
  notes: [
    'Who, why, where, what was sent, what the device said, the evidence, the verdict, and its part of the chain of events.',
    'A file is new (mode 0600), never overwritten. It can be checked without vosctl: docs/history.md says how.',
  ],
  exits: [0, 2],
  see: ['history verify', 'logs', 'connections export'],
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
        'vosctl connections add cucm-sub --host 10.0.0.11 --username admin --via bastion',
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
      examples: [
        'vosctl connections edit cucm-pub --host 10.10.0.11',
        'vosctl connections edit cucm-old --algorithms legacy-vos --reason "11.5, replaced in spring" --until 2027-03-31',
      ],
      flags: [
        { flag: '--name <name>', means: 'a new name' },
        ...CONNECTION_FLAGS,
        { flag: '--echo', means: 'compare what was typed again' },
        { flag: '--no-sudo', means: 'without sudo again' },
        { flag: '--no-accept-new', means: 'compare its host key again, as everywhere' },
        { flag: '--no-via', means: 'directly again' },
      ],
      notes: [
        'Another host, port or jump host takes the pinned key away, another login or source the password or passphrase.',
        'Where the named source fails, no other is tried.',
      ],
      exits: [0, 2],
    },
    {
      name: 'remove',
      arguments: '<target>',
      summary: 'Remove a connection; its history stays.',
      exits: [0, 2],
    },
    {
      name: 'import',
      arguments: '<file>',
      summary: 'Add and change connections by a file (YAML, JSON, CSV, ssh_config): plan, question, one write.',
      examples: [
        'vosctl connections import cluster.yaml',
        'vosctl connections import hosts.csv --dry-run',
        'vosctl connections import ~/.ssh/config --platform linux --skip-rejected',
        'ssh old-host vosctl connections export | vosctl connections import - --yes',
      ],
      flags: [
        {
          flag: '--format <format>',
          means: 'yaml, json, csv or ssh_config; default: by the name of the file, or by looking',
          parse: choice('--format', ['yaml', 'json', 'csv', 'ssh_config']),
        },
        {
          flag: '--platform <vos|linux>',
          means: 'what new ones are where the file does not say; default vos',
          parse: choice('--platform', PLATFORMS),
        },
        { flag: '--dry-run', means: 'show the plan; change nothing' },
        { flag: '--skip-rejected', means: 'import the rest when something is rejected' },
      ],
      notes: [
        'A connection of the same name is changed; what the file leaves out stays. Nothing is ever removed.',
        'All of it is written, or nothing; nothing either when something is rejected: exit 2.',
        'Passwords never come from a file. A host key does, on your word, but never in place of a pinned one.',
        '- reads standard input, which cannot answer the question: say --yes.',
      ],
      exits: [0, 2],
      see: ['connections export', 'connections trust', 'credentials set'],
    },
    {
      name: 'export',
      arguments: '[target...]',
      summary: 'Print connections as a file that import reads: all, or those that are named.',
      examples: ['vosctl connections export > cluster.yaml', "vosctl connections export 'cucm-*' --format json"],
      flags: [
        { flag: '--format <format>', means: 'yaml or json; default yaml', parse: choice('--format', ['yaml', 'json']) },
      ],
      exits: [0, 2],
      see: ['connections import'],
    },
    {
      name: 'trust',
      arguments: '<target>',
      summary: 'Read the host key, compare it, pin it. No credential leaves before that.',
      examples: [
        'vosctl connections trust cucm-pub',
        `vosctl connections trust cucm-pub --fingerprint ${FINGERPRINT}`,
        'vosctl connections trust cucm-pub --from-known-hosts',
        `vosctl connections trust cucm-pub --replace --old ${FINGERPRINT} --fingerprint ${FINGERPRINT}`,
      ],
      flags: [
        { flag: '--fingerprint <fingerprint>', means: 'what the device must show, as you learned it from the device' },
        {
          flag: '--from-known-hosts [file]',
          means: 'pin the key that the device shows if this file of ssh has it; default ~/.ssh/known_hosts',
        },
        { flag: '--replace', means: 'put it in the place of the pinned one' },
        { flag: '--old <fingerprint>', means: 'with --replace, without a terminal: the key that is pinned now' },
      ],
      notes: [
        '--yes is no comparison: it does not answer this question.',
        'Behind a jump host it takes a login there, which is a test of the jump host in history.',
        'Without a terminal a first key needs --fingerprint or --from-known-hosts, and another one than the pinned one ' +
          'also --replace --old. RSA keys under 2048 bits, DSA keys and types that nobody can check are refused.',
      ],
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
  summary: 'The passwords of connections, and the passphrases of their keys, sealed on disk.',
  see: ['connections', 'key'],
  commands: [
    {
      name: 'set',
      arguments: '<target>',
      summary: "Set the password, or the passphrase of the connection's key. Never from a flag or the environment.",
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
      summary: 'Forget the password, or whatever else the credential is.',
      exits: [0, 2],
    },
  ],
}

const PASSPHRASE_STDIN: FlagSpec = { flag: '--stdin', means: 'the first line of standard input' }

const KEY: CommandSpec = {
  name: 'key',
  summary: 'What opens the sealed passwords: a key file, a credential of systemd, or a passphrase.',
  see: ['credentials', 'doctor'],
  commands: [
    {
      name: 'status',
      summary: 'Where the key comes from, and whether it is at hand.',
    },
    {
      name: 'unlock',
      summary: 'Type the passphrase, where the settings say "key: passphrase"; the first one that is typed becomes it.',
      flags: [
        PASSPHRASE_STDIN,
        { flag: '--new', means: 'with --stdin: there is no passphrase yet, and this becomes it' },
      ],
      notes: [
        'It stays unlocked until the daemon ends. Until then a restart is refused with exit 2, and nothing is sent.',
      ],
      exits: [0, 2],
    },
    {
      name: 'lock',
      summary: 'Take the key of the passphrase out of the memory of the daemon.',
      exits: [0, 2],
    },
    {
      name: 'rotate',
      summary: 'Make another key, and seal everything with it in one transaction.',
      flags: [PASSPHRASE_STDIN],
      notes: ['The old key opens nothing any more, except older backups.'],
      exits: [0, 2],
    },
  ],
}

const STOP_FLAGS: readonly FlagSpec[] = [
  { flag: '--drain', means: 'wait for what runs' },
  { flag: '--now', means: 'leave what runs to the next daemon, which looks at it and sends nothing again' },
]

const TOKEN: CommandSpec = {
  name: 'token',
  summary: 'Who may ask over the network, where the settings say "listen": docs/network.md.',
  commands: [
    {
      name: 'create',
      arguments: '<name>',
      summary: 'Make a token and write it to a file of yours alone: tokens/<name> beside config.yaml.',
      examples: [
        'vosctl daemon token create grafana --read-only',
        'vosctl daemon token create ci --file ./vosctl.token',
      ],
      flags: [
        { flag: '--read-only', means: 'may look, and start or cancel nothing' },
        { flag: '--file <path>', means: 'write it there; a file that is there already is not touched' },
        { flag: '--print', means: 'print it instead, on standard output' },
      ],
      notes: ['The daemon keeps a digest of it and cannot show it again.'],
      exits: [0, 2],
    },
    { name: 'list', summary: 'The tokens there are, and when they were last used.' },
    {
      name: 'revoke',
      arguments: '<name>',
      summary: 'Make a token worth nothing, at once: whoever is connected with it is cut off.',
      exits: [0, 2],
    },
  ],
}

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
    {
      name: 'install',
      summary: 'Let systemd run it: shows a unit of your own, asks, writes and starts it.',
      flags: [{ flag: '--system', means: 'print a unit for root to install instead; installs nothing' }],
      notes: [
        'Where a unit is installed, commands start the daemon through systemd and in no other way.',
        'It outlives your logout, and starts with the machine, only with lingering: it says so when that is off.',
      ],
      exits: [0, 2, 7],
      see: ['doctor'],
    },
    {
      name: 'uninstall',
      summary: 'Stop it and remove the unit; the database and the settings stay.',
      exits: [0, 2, 7],
    },
    TOKEN,
  ],
}

const COMPLETION: CommandSpec = {
  name: 'completion',
  arguments: '<bash|zsh|fish>',
  summary: 'Print what a shell reads to complete commands, flags, connections, services and operations.',
  examples: [
    'vosctl completion bash > ~/.local/share/bash-completion/completions/vosctl',
    'vosctl completion zsh > "${fpath[1]}/_vosctl"',
    'vosctl completion fish > ~/.config/fish/completions/vosctl.fish',
  ],
  notes: ['Names come from a file that the daemon keeps. A press of Tab starts no daemon and asks no device.'],
  exits: [0, 2],
}

const DOCTOR: CommandSpec = {
  name: 'doctor',
  summary: 'Check everything, change nothing. Never starts a daemon.',
  examples: [
    'vosctl doctor',
    'vosctl doctor -q || mail -s "vosctl" ops     # only what is wrong',
    'vosctl doctor --cron',
  ],
  flags: [
    {
      flag: '--cron',
      means: "the crontab line for this machine, and proof that cron's environment reaches the same daemon",
    },
  ],
  notes: ['What is not ok is followed by what mends it. A warning does not change the exit status.'],
  exits: [0, 2, 7],
  see: ['status', 'daemon status', 'cron'],
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
  EXPORT,
  CONNECTIONS,
  CREDENTIALS,
  KEY,
  DAEMON,
  DOCTOR,
  COMPLETION,
  DEMO,
]

/** The pages of help that are about no command; help.ts writes them. */
export const TOPIC_NAMES = ['exit-codes', 'environment', 'cron', 'tmux', 'json', 'flags'] as const

/** How the overview groups them. */
export const GROUPS: readonly (readonly [string, readonly CommandSpec[]])[] = [
  ['Act', [RESTART, TEST, CANCEL, HOLD, RELEASE]],
  ['Look', [WATCH, PS, STATUS, ATTACH, WAIT, LOGS, HISTORY, EXPORT, VERIFY, ACK]],
  ['Inventory', [CONNECTIONS, CREDENTIALS, KEY]],
  ['Set up', [DAEMON, DOCTOR, COMPLETION, DEMO]],
]
