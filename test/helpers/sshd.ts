import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { HostKey } from '../../src/core/connection.ts'
import { requireTool } from './tools.ts'

/** The path of OpenSSH's server, or null when this machine has none. */
export const SSHD = requireTool('sshd')

/**
 * One unit of the stand-in for systemd. What systemd calls it, and how it behaves: how long it takes to stop and to start,
 * and whether it fails to start.
 */
export interface Unit {
  readonly LoadState?: 'loaded' | 'masked' | 'not-found'
  readonly ActiveState?: string
  readonly SubState?: string
  readonly Result?: string
  /** Empty: it has no unit file. */
  readonly UnitFileState?: string
  readonly InvocationID?: string
  readonly NRestarts?: number
  readonly stopSeconds?: number
  readonly startSeconds?: number
  readonly fails?: boolean
  /** False: not in `list-units`, as a unit that is not loaded. */
  readonly isLoaded?: boolean
  readonly aliasOf?: string
}

/** A real sshd on a loopback port, with stand-ins for systemctl and sudo on the path of its users. */
export interface TestSshd {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly hostKey: HostKey
  /** A private key that may log in, as a file with mode 0600. */
  readonly keyPath: string
  /** A private key that nobody knows. */
  readonly strangerPath: string
  setUnit(name: string, unit: Unit): void
  /** `refuses`: sudo wants a password. `missing`: there is no systemd. `hangs`: systemctl never answers a question. */
  setMode(mode: 'refuses' | 'missing' | 'hangs', isOn: boolean): void
  /** Every call of a stand-in, as the words that reached it: the judge of what was really asked. */
  calls(): string[][]
  /** What sshd has logged so far. */
  log(): string
  stop(): Promise<void>
}

const DEFAULTS = {
  LoadState: 'loaded',
  ActiveState: 'active',
  SubState: 'running',
  Result: 'success',
  UnitFileState: 'enabled',
  InvocationID: '00000000000000000000000000000001',
  NRestarts: 0,
  stopSeconds: 0,
  startSeconds: 0,
  fails: false,
  isLoaded: true,
  aliasOf: '',
} satisfies Unit

/** Starts it; only when {@link SSHD} is there. `config` lines come before our own, and sshd takes the first of each. */
export async function startSshd(
  options: { readonly hostKeyTypes?: readonly string[]; readonly config?: readonly string[] } = {},
): Promise<TestSshd> {
  const { hostKeyTypes = ['ed25519'], config = [] } = options
  const directory = mkdtempSync(join(tmpdir(), 'vosctl-sshd-'))
  const at = (...parts: string[]): string => join(directory, ...parts)
  for (const name of ['bin', 'units', 'modes']) mkdirSync(at(name))
  writeFileSync(at('calls'), '')
  writeProgram(at('bin', 'systemctl'), SYSTEMCTL.replaceAll('@ROOT@', directory))
  writeProgram(at('bin', 'sudo'), SUDO.replaceAll('@ROOT@', directory))
  const hostKeyPaths = hostKeyTypes.map((type) => makeKey(at(`host-${type}`), type))
  const keyPath = makeKey(at('user'), 'ed25519')
  const strangerPath = makeKey(at('stranger'), 'ed25519')
  renameSync(`${keyPath}.pub`, at('authorized'))
  // Debian's sshd wants it when root starts it; its unit file would have made it.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true })

  const port = await freePort()
  const lines = [
    ...config,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    ...hostKeyPaths.map((path) => `HostKey ${path}`),
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    `AuthorizedKeysFile ${at('authorized')}`,
    // A home of its own: bash reads the real one's .bashrc when sshd starts it, and that may do anything.
    `SetEnv PATH=${at('bin')}:/usr/local/bin:/usr/bin:/bin HOME=${directory}`,
    'LogLevel VERBOSE',
    'UseDNS no',
    'PrintMotd no',
    'MaxStartups 200',
  ]
  writeFileSync(at('sshd_config'), `${lines.join('\n')}\n`)

  const server = spawn(SSHD ?? 'sshd', ['-D', '-e', '-f', at('sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] })
  // A test that fails before its end must not leave a server behind.
  const killAtExit = (): void => void server.kill('SIGTERM')
  process.once('exit', killAtExit)
  let log = ''
  const listening = Promise.withResolvers<void>()
  createInterface({ input: server.stderr }).on('line', (line) => {
    log += `${line}\n`
    if (line.includes('Server listening')) listening.resolve()
  })
  server.once('exit', () => listening.reject(new Error(`sshd did not start:\n${log}`)))
  await listening.promise

  return {
    host: '127.0.0.1',
    port,
    username: userInfo().username,
    hostKey: readHostKeyFile(`${hostKeyPaths[0] ?? ''}.pub`),
    keyPath,
    strangerPath,
    setUnit: (name, unit) => {
      const properties = Object.entries({ ...DEFAULTS, ...unit })
      const text = properties.map(([key, value]) => `${key}='${String(value)}'\n`).join('')
      writeFileSync(at('units.new'), text)
      renameSync(at('units.new'), at('units', name))
    },
    setMode: (mode, isOn) => {
      if (isOn) writeFileSync(at('modes', mode), '')
      else rmSync(at('modes', mode), { force: true })
    },
    calls: () => parseCalls(readFileSync(at('calls'), 'utf8')),
    log: () => log,
    stop: async () => {
      process.off('exit', killAtExit)
      if (server.exitCode === null && server.signalCode === null) {
        server.kill('SIGTERM')
        await once(server, 'exit')
      }
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** A way to a server that can be cut, as a cable can: both ends see a reset and no goodbye. */
export interface Cable {
  readonly port: number
  /** Connections through it, so far. */
  readonly count: () => number
  cut(): void
  /** While it is unplugged, connections are closed at once. */
  setPlugged(isPlugged: boolean): void
  close(): Promise<void>
}

export async function layCable(port: number): Promise<Cable> {
  const sockets = new Set<Socket>()
  let isPlugged = true
  let count = 0
  const server: Server = createServer((near) => {
    if (!isPlugged) {
      near.destroy()
      return
    }
    count++
    const far = connect(port, '127.0.0.1')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.setNoDelay(true)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    count: () => count,
    cut,
    setPlugged: (to) => {
      isPlugged = to
    },
    close: async () => {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function makeKey(path: string, type: string): string {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'test', '-f', path])
  return path
}

/** As `ssh-keygen -l` prints it: an independent judge of our own fingerprints. */
function readHostKeyFile(path: string): HostKey {
  const type = readFileSync(path, 'utf8').split(' ')[0] ?? ''
  const fingerprint = execFileSync('ssh-keygen', ['-l', '-f', path], { encoding: 'utf8' }).split(' ')[1] ?? ''
  return { type, fingerprint }
}

function writeProgram(path: string, text: string): void {
  if (existsSync(path)) throw new Error(`${path} is there already`)
  writeFileSync(path, text)
  chmodSync(path, 0o755)
}

/** Records are `count NUL word NUL …`, so that no word can look like two. */
function parseCalls(text: string): string[][] {
  const words = text.split('\0')
  const calls: string[][] = []
  for (let at = 0; at < words.length - 1;) {
    const count = Number(words[at]) + 1
    calls.push(words.slice(at + 1, at + 1 + count))
    at += 1 + count
  }
  return calls
}

/**
 * Stands in for systemd's systemctl, because no test machine runs systemd: units are files, `restart` moves them through
 * the states that systemd documents, and every call is recorded. Its outputs follow systemctl 252.
 */
const SYSTEMCTL = `#!/bin/sh
root='@ROOT@'
printf '%s\\0' "$#" systemctl "$@" >>"$root/calls"
if [ -e "$root/modes/missing" ]; then
  echo "System has not been booted with systemd as init system (PID 1). Can't operate." >&2
  exit 1
fi
load() { . "$root/units/$1"; }
save() {
  {
    for key in LoadState ActiveState SubState Result UnitFileState InvocationID NRestarts stopSeconds startSeconds fails isLoaded aliasOf; do
      eval "printf \\"%s='%s'\\\\n\\" $key \\"\\$$key\\""
    done
  } >"$root/new.$$"
  mv "$root/new.$$" "$root/units/$1"
}
verb=$1
for unit; do :; done
case $verb in
list-units)
  [ -e "$root/modes/hangs" ] && sleep 60
  cd "$root/units" || exit 1
  for name in *.service; do
    [ -e "$name" ] || continue
    load "$name"
    [ "$isLoaded" = true ] && printf '  %-30s %-9s %-8s %-12s A service\\n' "$name" "$LoadState" "$ActiveState" "$SubState"
  done
  exit 0
  ;;
list-unit-files)
  cd "$root/units" || exit 1
  for name in *.service; do
    [ -e "$name" ] || continue
    load "$name"
    [ -n "$UnitFileState" ] && printf '%-30s %-15s enabled\\n' "$name" "$UnitFileState"
  done
  exit 0
  ;;
show)
  [ -e "$root/modes/hangs" ] && sleep 60
  id=$unit
  if [ -e "$root/units/$unit" ]; then
    load "$unit"
    if [ -n "$aliasOf" ]; then
      id=$aliasOf
      load "$id"
    fi
  else
    LoadState=not-found ActiveState=inactive SubState=dead Result=success UnitFileState= InvocationID= NRestarts=0
  fi
  printf 'Id=%s\\nLoadState=%s\\nActiveState=%s\\nSubState=%s\\nResult=%s\\nUnitFileState=%s\\nInvocationID=%s\\nNRestarts=%s\\nInactiveExitTimestampMonotonic=1\\n' \\
    "$id" "$LoadState" "$ActiveState" "$SubState" "$Result" "$UnitFileState" "$InvocationID" "$NRestarts"
  exit 0
  ;;
restart)
  if [ ! -e "$root/units/$unit" ]; then
    echo "Failed to restart $unit: Unit $unit not found." >&2
    exit 5
  fi
  load "$unit"
  if [ "$LoadState" = masked ]; then
    echo "Failed to restart $unit: Unit $unit is masked." >&2
    exit 1
  fi
  ActiveState=deactivating SubState=stop-sigterm
  save "$unit"
  sleep "$stopSeconds"
  ActiveState=activating SubState=start
  read -r id </proc/sys/kernel/random/uuid
  InvocationID=$(printf %s "$id" | tr -d -)
  save "$unit"
  sleep "$startSeconds"
  if [ "$fails" = true ]; then
    ActiveState=failed SubState=failed Result=exit-code
    save "$unit"
    echo "Job for $unit failed because the control process exited with error code." >&2
    echo "See \\"systemctl status $unit\\" and \\"journalctl -xeu $unit\\" for details." >&2
    exit 1
  fi
  ActiveState=active SubState=running Result=success
  save "$unit"
  exit 0
  ;;
*)
  echo "Unknown command verb $verb." >&2
  exit 1
  ;;
esac
`

/** Stands in for sudo: lets everything pass, or asks for a password. */
const SUDO = `#!/bin/sh
root='@ROOT@'
printf '%s\\0' "$#" sudo "$@" >>"$root/calls"
if [ -e "$root/modes/refuses" ]; then
  echo 'sudo: a password is required' >&2
  exit 1
fi
[ "$1" = -n ] && shift
if [ "$1" = -l ]; then
  shift
  command -v "$1"
  exit 0
fi
exec "$@"
`
