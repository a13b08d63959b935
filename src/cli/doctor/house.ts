import { lstatSync, statSync } from 'node:fs'
import path from 'node:path'
import { deviceKey } from '../../core/connection.ts'
import { VosError } from '../../core/errors.ts'
import type { ConnectionView, DaemonInfo, KeyStatus } from '../../core/protocol.ts'
import { VERSION } from '../../core/version.ts'
import type { Client } from '../client.ts'
import { oldAlgorithmWords } from '../connection-words.ts'
import { networkWords } from '../commands/daemon.ts'
import { listConnections, type Context } from '../context.ts'
import { quoted } from '../renderers/words.ts'
import { connectRunning, isOlder } from '../session.ts'
import { fail, looked, ok, warn, type Check } from './check.ts'

/** The daemon, and what only it knows. Never starts one. */
export async function checkHouse(context: Context): Promise<readonly Check[]> {
  let client: Client | null = null
  try {
    client = await connectRunning({ paths: context.paths, noStart: true, note: context.note })
    if (client) return await askDaemon(context, client)
  } catch (error) {
    if (!(error instanceof VosError)) throw error
    return [fail('daemon', 'daemon', error.message.replace(/\.$/, ''), error.hint), checkClock(context.now(), null)]
  } finally {
    client?.close()
  }
  const message = 'no daemon is running, so the connections were not looked at; the next command starts it'
  return [
    warn('daemon', message, 'vosctl daemon start'),
    checkClock(context.now(), null),
    ...checkSealingKey(context, false),
  ]
}

async function askDaemon(context: Context, client: Client): Promise<readonly Check[]> {
  const asked = context.now()
  const info = await client.request('daemon:info', {})
  const answered = context.now()
  const connections = await listConnections(client)
  const key = await client.request('key:status', {})
  return [
    checkVersion(info.version, info.pid),
    // It read its clock between the question and the answer.
    checkClock(Math.max(asked, Math.min(info.now, answered)), info.now),
    checkNetwork(info),
    ...checkConnections(connections),
    ...checkLeniency(connections, context.now()),
    ...checkWays(connections),
    ...checkKeyFiles(connections),
    ...(key.provider === 'file' ? checkSealingKey(context, key.secrets > 0) : [checkOtherKey(key)]),
  ]
}

/** systemd's own, or a passphrase: the daemon has looked at it. */
export function checkOtherKey({ provider, state, secrets }: KeyStatus): Check {
  const id = 'sealing-key'
  if (state === 'open')
    return ok(id, provider === 'systemd' ? 'handed over by systemd' : 'a passphrase, which was typed')
  if (state === 'locked') return warn(id, `the sealed store is locked: ${secrets} in it`, 'vosctl key unlock')
  if (provider === 'passphrase') return warn(id, 'the sealed store has no passphrase yet', 'vosctl key unlock')
  return fail(id, 'usage', 'systemd has handed over no key', 'See docs/credentials.md')
}

function checkVersion(version: string, pid: number): Check {
  if (version === VERSION) return ok('daemon', `running, ${version}, pid ${pid}`)
  const message = `the daemon is ${version} (pid ${pid}), and this client is ${VERSION}`
  return warn(
    'daemon',
    message,
    isOlder(version, VERSION) ? 'vosctl daemon restart' : 'Update this client: npm install -g vosctl',
  )
}

/** What stands open beside the Unix socket. */
export function checkNetwork(info: Pick<DaemonInfo, 'network'>): Check {
  if (info.network && info.network.tokens === 0) {
    return warn('network', `${networkWords(info)}: nobody can come in`, 'vosctl daemon token create <name>')
  }
  return ok('network', info.network ? networkWords(info) : 'off: only the Unix socket is open')
}

/** How far two readings of one clock may be apart. */
const SKEW_MS = 2_000

/** Times in history, deadlines and the log are worth what the clock is worth. */
export function checkClock(now: number, daemonNow: number | null): Check {
  const year = new Date(now).getUTCFullYear()
  if (year < 2025 || year > 2100) {
    return fail('clock', 'usage', `the clock says ${new Date(now).toISOString()}`, 'timedatectl set-ntp true')
  }
  const apart = daemonNow === null ? 0 : Math.abs(daemonNow - now)
  if (apart <= SKEW_MS) return ok('clock', `it is ${year}${daemonNow === null ? '' : ', and the daemon agrees'}`)
  return warn(
    'clock',
    `the clock of the daemon is ${Math.round(apart / 1000)} s away from this one`,
    'vosctl daemon restart',
  )
}

/** Without both nothing can be done there. */
export function checkConnections(connections: readonly ConnectionView[]): readonly Check[] {
  const wrong = connections.flatMap(({ name, hostKey, credential, acceptNew }) => [
    ...(hostKey || acceptNew
      ? []
      : [fail('host-key', 'usage', `${name} has no pinned host key`, `vosctl connections trust ${quoted(name)}`)]),
    ...(credential.type === 'none'
      ? [fail('credential', 'usage', `${name} has no credential`, `vosctl credentials set ${quoted(name)}`)]
      : []),
  ])
  if (connections.length === 0) {
    return [
      warn('connections', 'there are none yet', 'vosctl connections add cucm-pub --host 10.10.0.10 --username admin'),
    ]
  }
  if (wrong.length > 0) return wrong
  const pinned = connections.every(({ hostKey }) => hostKey) ? 'a pinned host key' : 'a host key that is accepted'
  return [ok('connections', `all ${connections.length} have ${pinned} and a credential`)]
}

/** What is allowed for a while, or for a lab, and should not be forgotten. */
export function checkLeniency(connections: readonly ConnectionView[], now: number): readonly Check[] {
  return connections.flatMap((connection) => {
    const { acceptNew, algorithms, algorithmsUntil } = connection
    const [name, edit] = [connection.name, `vosctl connections edit ${quoted(connection.name)}`]
    const endless = `${name} is allowed old algorithms without an end`
    const ends = oldAlgorithmWords(connection, now)
    return [
      ...(acceptNew
        ? [
            warn(
              'accept-new',
              `${name} pins the first host key that it sees, whoever shows it`,
              `${edit} --no-accept-new`,
            ),
          ]
        : []),
      ...(algorithms !== 'modern' && algorithmsUntil === null
        ? [warn('algorithms', endless, `${edit} --until YYYY-MM-DD, or --algorithms modern`)]
        : []),
      ...(ends === null ? [] : [warn('algorithms', `${name}: ${ends}`, `${edit} --algorithms modern, or --until …`)]),
    ]
  })
}

/** Whatever keeps a jump host shut keeps all that is behind it shut; and two ways to one machine look like two machines. */
export function checkWays(connections: readonly ConnectionView[]): readonly Check[] {
  const id = 'jump-host'
  const behind = connections.filter(({ via }) => via !== null)
  const hops = connections.filter((one) => behind.some(({ via }) => via === one.id))
  const shut = hops.flatMap(({ id: hop, name, credential, hold, loginHold, hostKey, acceptNew }) => {
    const count = behind.filter(({ hops }) => hops.some((one) => one.id === hop)).length
    const what = `${count} ${count === 1 ? 'connection is' : 'connections are'} reached through ${name}`
    if (hold) return [warn(id, `${what}, which is on hold`, `vosctl release ${quoted(name)}`)]
    const mend = credential.type === 'sealed' ? 'set' : 'test'
    if (loginHold) return [warn(id, `${what}, whose login is held`, `vosctl credentials ${mend} ${quoted(name)}`)]
    // Without the word for it that is a fault of its own.
    if (!hostKey && acceptNew) {
      return [warn(id, `${what}, which has no pinned host key yet`, `vosctl connections trust ${quoted(name)}`)]
    }
    return []
  })
  const twins = behind.flatMap((one) => {
    const twin = connections.find(
      (other) =>
        other.hostKey?.fingerprint === one.hostKey?.fingerprint && other.hostKey && deviceKey(other) !== deviceKey(one),
    )
    if (!twin) return []
    const what = `${one.name} and ${twin.name} show one host key on two ways: work on one does not exclude work on the other`
    return [warn(id, what, `If they are one machine: vosctl connections remove ${quoted(one.name)}`)]
  })
  const found = [...shut, ...twins]
  if (found.length > 0 || hops.length === 0) return found
  return [ok(id, `${behind.length} reached through ${hops.map(({ name }) => name).join(', ')}`)]
}

/** The daemon refuses a key that is not its user's alone, at the moment of use: in the night, when it is cron that asks. */
export function checkKeyFiles(connections: readonly ConnectionView[]): readonly Check[] {
  const id = 'key-file'
  return connections.flatMap(({ name, credential }) => {
    if (credential.type !== 'key') return []
    const file = credential.path
    return looked(id, 'usage', () => {
      const stat = statSync(file, { throwIfNoEntry: false })
      if (stat?.isFile()) return checkOwn(id, file, stat, name)
      const fix = `vosctl connections edit ${quoted(name)} --key <path>`
      return [fail(id, 'usage', `${name}: there is no key file ${file}`, fix)]
    })
  })
}

/** The key that seals the passwords. */
function checkSealingKey({ paths }: Context, isNeeded: boolean): readonly Check[] {
  const id = 'sealing-key'
  const directory = paths.configDirectory
  const file = path.join(directory, 'key')
  return looked(id, 'usage', () => {
    const stat = lstatSync(file, { throwIfNoEntry: false })
    if (!stat && !isNeeded) return []
    if (!stat?.isFile()) {
      const fix = 'Restore it from a backup, or set the passwords again: vosctl credentials set <target>'
      return [fail(id, 'usage', `the key that seals the passwords is not there, or is no file: ${file}`, fix)]
    }
    if ((statSync(directory).mode & 0o022) !== 0) {
      return [fail(id, 'usage', `others may write in ${directory}`, `chmod 700 ${quoted(directory)}`)]
    }
    const wrong = checkOwn(id, file, stat, 'the key that seals the passwords')
    return wrong.length > 0 ? wrong : [ok(id, `${file}, yours alone`)]
  })
}

function checkOwn(id: string, file: string, stat: { uid: number; mode: number }, whose: string): readonly Check[] {
  if (stat.uid !== process.geteuid?.()) {
    return [fail(id, 'usage', `${whose}: ${file} belongs to another user`, `sudo chown "$USER" ${quoted(file)}`)]
  }
  if ((stat.mode & 0o077) === 0) return []
  return [fail(id, 'usage', `${whose}: other users may read ${file}`, `chmod 600 ${quoted(file)}`)]
}
