import { readFileSync } from 'node:fs'
import path from 'node:path'
import { VosError } from '../core/errors.ts'
import { daemonCommand } from './launcher.ts'
import { binary } from './package.ts'
import { currentUser, xdg, type Paths } from './paths.ts'
import { runProgram, type Ran } from './run-program.ts'

/** The systemd unit that runs the daemon, when the person has installed one. */
export const UNIT = 'vosctl.service'

/** Where a user's systemd looks for it. */
export function unitFile(env: NodeJS.ProcessEnv = process.env): string {
  return path.join(xdg(env, 'XDG_CONFIG_HOME') ?? path.join(currentUser().home, '.config'), 'systemd', 'user', UNIT)
}

/** Null when there is none. */
export function readUnit(file = unitFile()): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    throw new VosError('daemon_start', `the unit ${file} cannot be read: ${(error as Error).message}.`, {
      hint: 'Look at its owner and mode, or remove it.',
      cause: error,
    })
  }
}

/** Is this the unit of the daemon of this state directory? One that names none runs the usual one. */
export function serves(text: string, { stateDirectory, stateSource }: Paths): boolean {
  const named = namedStateDirectory(text)
  return named === null ? stateSource === 'default' : named === stateDirectory
}

/** The state directory that it names; null when it names none. */
export function namedStateDirectory(text: string): string | null {
  const word = /^ExecStart=.* --state-dir ("(?:[^"\\]|\\.)*"|\S+)/m.exec(text)?.[1]
  return word === undefined ? null : plainWord(word).replaceAll('$$', '$')
}

/** The program that it runs; empty when it names none. */
export function programOf(text: string): string {
  return plainWord(/^ExecStart=[-@:+!]*("(?:[^"\\]|\\.)*"|\S+)/m.exec(text)?.[1] ?? '')
}

/** The other way round than {@link programWord}. */
function plainWord(word: string): string {
  return word
    .replace(/^"(.*)"$/, '$1')
    .replace(/\\(.)/g, '$1')
    .replaceAll('%%', '%')
}

/** Does it start the daemon of this very installation, and not one that was installed elsewhere? */
export function startsThisProgram(text: string): boolean {
  return [binary('vosd'), binary('vosctl')].some((program) => text.includes(unitWord(program)))
}

/**
 * `Type=exec` and not `notify`: Node cannot speak on that socket without a helper, and the daemon's own socket already
 * says that it is ready. With `system` it is a unit for root to install, which runs the daemon as that user.
 * @throws VosError `state_directory` when a path cannot be written into a unit
 */
export function unitText(paths: Paths, system?: { readonly user: string }): string {
  const [program, words] = [process.execPath, daemonCommand(paths)]
  for (const word of [program, ...words]) {
    if (!/[\0-\x1f]/.test(word)) continue
    throw new VosError('state_directory', `${JSON.stringify(word)} cannot be written into a unit.`, {
      hint: 'Choose a path without control characters.',
    })
  }
  // `vosctl daemon logs` reads it there. Not in root's unit: what root opens for the daemon would belong to root.
  const log = `append:${percent(paths.log)}`
  return `# Written by vosctl daemon ${system ? 'install --system' : 'install'}. Put changes into a drop-in: systemctl ${system ? '' : '--user '}edit vosctl
[Unit]
Description=vosctl daemon
${system ? 'Wants=network-online.target\nAfter=network-online.target\n' : ''}
[Service]
Type=exec
${system ? `User=${percent(system.user)}\n` : ''}ExecStart=${[programWord(program), ...words.map(unitWord)].join(' ')}
# 2 and 7 are settings and state directories that starting again does not mend.
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2 7
# It lets what runs come to an end, for 75 s.
TimeoutStopSec=90
${[...CONFINED, ...(system ? confinedByRoot(paths) : [])].join('\n')}
${system ? '' : `StandardOutput=${log}\nStandardError=${log}\n`}
[Install]
WantedBy=${system ? 'multi-user' : 'default'}.target
`
}

/**
 * What a user's systemd can do without any right: limits, and filters of system calls. Not what needs a mount namespace: to
 * make one, newer versions put the daemon into a user namespace where root's files seem to belong to nobody, and then who
 * may write above the state directory cannot be told. No MemoryDenyWriteExecute: V8 writes the code that it runs.
 */
const CONFINED = [
  'UMask=0077',
  'LimitCORE=0',
  'NoNewPrivileges=yes',
  'KeyringMode=private',
  'LockPersonality=yes',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'SystemCallArchitectures=native',
  'UnsetEnvironment=NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS LD_PRELOAD LD_LIBRARY_PATH SSH_AUTH_SOCK',
]

/** What only root's systemd can do. All but the daemon's own directories can only be read. */
function confinedByRoot({ stateDirectory, configDirectory }: Paths): string[] {
  const own = [stateDirectory, configDirectory]
  const isTemporary = own.some((directory) => /^(?:\/var)?\/tmp(?:\/|$)/.test(directory))
  return [
    'CapabilityBoundingSet=',
    'PrivateDevices=yes',
    ...(isTemporary ? [] : ['PrivateTmp=yes']),
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    'ProtectHome=read-only',
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'ProtectProc=invisible',
    'ProtectSystem=strict',
    // One that is not there yet does not keep the daemon from saying so itself.
    `ReadWritePaths=${own.map((directory) => unitPath(`-${directory}`)).join(' ')}`,
    'RemoveIPC=yes',
  ]
}

/** As systemd unquotes it: C escapes inside double quotes, percent signs and dollar signs doubled. */
function unitWord(word: string): string {
  return programWord(word).replaceAll('$', '$$$$')
}

/** In a list of paths, where quotes hold a path together and nothing is escaped. */
function unitPath(path: string): string {
  const quote = path.includes("'") ? '"' : "'"
  return percent(/^[\w@+=:,./-]+$/.test(path) ? path : quote + path + quote)
}

/** In the path of the program a dollar sign has no meaning. */
function programWord(word: string): string {
  return percent(/^[\w@%+=:,./$~-]+$/.test(word) ? word : JSON.stringify(word))
}

function percent(text: string): string {
  return text.replaceAll('%', '%%')
}

/** Long enough for a daemon that lets what runs come to an end. */
const SYSTEMCTL_MS = 120_000

/** `systemctl --user`, also where nobody has told it the way to this user's systemd: cron and su do not. */
export async function systemctl(...words: readonly string[]): Promise<Ran> {
  const runtime = `/run/user/${process.getuid?.() ?? 0}`
  const env = { XDG_RUNTIME_DIR: runtime, ...process.env }
  return await runProgram('systemctl', ['--user', ...words], { env, timeoutMs: SYSTEMCTL_MS })
}

/** @throws VosError `daemon_start`: whoever has installed a unit wants no second way of starting beside it */
export async function startUnit(): Promise<void> {
  const { status, words } = await systemctl('start', UNIT)
  if (status === 0) return
  throw new VosError('daemon_start', `systemd does not start the installed unit ${UNIT}: ${words}`, {
    hint: `Without a login it runs only if: loginctl enable-linger ${currentUser().name}. To do without the unit: vosctl daemon uninstall`,
  })
}

/** Does this user's systemd stay without a login, and so start the unit with the machine? Null: it does not say. */
export async function isLingering(user: string): Promise<boolean | null> {
  const { status, stdout } = await runProgram('loginctl', ['show-user', user, '-p', 'Linger', '--value'])
  const said = stdout.trim().replace('Linger=', '')
  return status === 0 && ['yes', 'no'].includes(said) ? said === 'yes' : null
}
