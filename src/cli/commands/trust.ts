import path from 'node:path'
import { deviceKey, HOST_KEY_TYPES, type HostKey } from '../../core/connection.ts'
import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { ConnectionView, ReplyOf } from '../../core/protocol.ts'
import { confirm } from '../ask.ts'
import { address } from '../connection-words.ts'
import { listConnections, type Context } from '../context.ts'
import { MAX_BYTES, readFile } from '../import/file.ts'
import { findKnownHost, type KnownHost } from '../known-hosts.ts'
import { currentUser } from '../paths.ts'
import { clean } from '../renderers/words.ts'
import { sayConnection } from '../say-connection.ts'
import { chooseTarget, isInteractive } from '../selection.ts'
import { fields } from '../table.ts'

export interface TrustOptions {
  /** What the device must show, as it was learned some other way. */
  readonly fingerprint?: string
  /** A file of OpenSSH that vouches for the key; true: the usual one. */
  readonly fromKnownHosts?: string | true
  /** Put it in the place of the pinned one, which is `old`. */
  readonly replace?: boolean
  readonly old?: string
}

type Shown = ReplyOf<'connection:host-key'>

/** Pins the host key that the device shows now, when somebody or something vouches for it. `--yes` is no comparison. */
export async function trustConnection(context: Context, word: string, options: TrustOptions): Promise<ExitStatus> {
  const { fingerprint, fromKnownHosts, old } = options
  checkOptions(options)
  const client = await context.connect()
  const connection = await chooseTarget(client, word)
  const { id, hostKey: pinned } = connection
  const name = clean(connection.name)
  if (old !== undefined && old !== pinned?.fingerprint) throw notTheOldOne(name, pinned)
  const known = fromKnownHosts === undefined ? null : await readKnownHosts(context, connection, fromKnownHosts)
  const types = known && HOST_KEY_TYPES.filter((type) => known.host.vouched.some((key) => key.type === type))
  const shown = await client.request('connection:host-key', { id, ...(types && { types }) })
  if (known) compareWithFile(name, shown, known)
  if (fingerprint !== undefined && fingerprint !== shown.fingerprint) throw notTheNamedOne(name, shown, fingerprint)
  if (pinned?.type === shown.type && pinned.fingerprint === shown.fingerprint) {
    sayConnection(context, connection, `${name} shows the key that is pinned already: ${keyWords(shown)}`)
    return 0
  }
  const isVouchedFor = known !== null || fingerprint !== undefined
  if (!isVouchedFor || (pinned && old === undefined)) {
    if (!isInteractive(context)) throw nobodyToAsk(connection, shown, isVouchedFor)
    await ask(context, connection, shown, others(connection, shown, await listConnections(client)))
  }
  const { type } = shown
  const replaces = pinned ? { replaces: pinned.fingerprint } : {}
  const hostKey = { type, fingerprint: shown.fingerprint }
  const after = await client.request('connection:trust', { id, device: deviceKey(connection), hostKey, ...replaces })
  sayConnection(context, after, `pinned ${keyWords(shown)} for ${name}`)
  return 0
}

function checkOptions({ fingerprint, fromKnownHosts, replace, old }: TrustOptions): void {
  const wrong = (why: string, hint: string) => new VosError('bad_request', why, { hint })
  for (const [flag, value] of [
    ['--fingerprint', fingerprint],
    ['--old', old],
  ] as const) {
    if (value === undefined || /^SHA256:[A-Za-z0-9+/]{43}$/.test(value)) continue
    throw wrong(
      `${flag} is "${clean(value)}", which is no SHA256 fingerprint.`,
      'It looks like SHA256: and 43 characters.',
    )
  }
  if (fingerprint !== undefined && fromKnownHosts !== undefined) {
    throw wrong('--fingerprint and --from-known-hosts are two answers to one question.', 'Say one of them.')
  }
  if (old !== undefined && !replace) throw wrong('--old names a key that is not to be replaced.', 'Add --replace.')
}

/** @throws VosError when there is no key in the file that this device could show */
async function readKnownHosts(
  context: Context,
  { name, host, port }: ConnectionView,
  named: string | true,
): Promise<{ readonly file: string; readonly host: KnownHost }> {
  const file = named === true ? path.join(currentUser().home, '.ssh', 'known_hosts') : named
  const bytes = await readFile(file)
  if (bytes.length > MAX_BYTES) throw new VosError('bad_request', `${clean(file)} is larger than 4 MiB.`)
  const found = findKnownHost(bytes.toString('latin1'), { host, port })
  if (found.authorities > 0) context.note(`${clean(file)}: @cert-authority is ignored, vosctl knows no certificates.`)
  const types = [...new Set(found.vouched.map(({ type }) => type))]
  if (types.some((type) => (HOST_KEY_TYPES as readonly string[]).includes(type))) return { file, host: found }
  const place = clean(port === 22 ? host : `[${host}]:${port}`)
  const why =
    types.length > 0
      ? `only of types that vosctl does not check (${clean(types.join(', '))})`
      : found.revoked.length > 0
        ? 'but revoked ones'
        : `under the name ${place}`
  throw new VosError('bad_request', `${clean(file)} has no key for ${clean(name)}, ${why}. Nothing was changed.`, {
    hint: `Compare the key with the device instead: vosctl connections trust ${clean(name)}`,
  })
}

function compareWithFile(
  name: string,
  shown: Shown,
  { file, host }: { readonly file: string; readonly host: KnownHost },
) {
  const isIn = (keys: readonly HostKey[]) => keys.some(({ fingerprint }) => fingerprint === shown.fingerprint)
  const says = `${name} shows ${keyWords(shown)}, and ${clean(file)}`
  const hint = 'Do not log in before you know why: it may be another machine.'
  if (isIn(host.revoked)) {
    throw new VosError('host_key_refused', `${says} revokes that key. Nothing was changed.`, { hint })
  }
  if (!isIn(host.vouched)) {
    throw new VosError('host_key_changed', `${says} has another one for it. Nothing was changed.`, { hint })
  }
}

/** What else the same key, or the same device, is known as. */
function others(connection: ConnectionView, shown: Shown, all: readonly ConnectionView[]): [string, string][] {
  return all.flatMap((one): [string, string][] => {
    if (one.id === connection.id || !one.hostKey) return []
    const is = `${clean(one.name)} (${address(one)})`
    if (one.hostKey.fingerprint === shown.fingerprint) return [['the same', `is pinned for ${is}`]]
    return deviceKey(one) === deviceKey(connection) ? [['another', `is pinned for ${is}, the same device`]] : []
  })
}

async function ask(
  context: Context,
  connection: ConnectionView,
  shown: Shown,
  known: readonly (readonly [string, string])[],
): Promise<void> {
  const { hostKey: pinned } = connection
  const where = `${clean(connection.name)} (${address(connection)})`
  const rows = [
    ...(pinned ? [['pinned', keyWords(pinned)] as const] : []),
    ['shown', keyWords(shown)] as const,
    ...known,
  ]
  const lines = [
    ...(pinned
      ? [
          `The host key of ${where} has CHANGED.`,
          'It was installed anew, or somebody is in between and waits for your password.',
        ]
      : [`This is the host key of ${where}, as the network shows it:`]),
    ...fields(rows).map((line) => `  ${line}`),
    howToCompare(connection, shown),
  ]
  for (const line of lines) context.note(line)
  if (await confirm(pinned ? 'Replace the pinned key by the new one?' : 'Is it the right one? Pin it?', context.io))
    return
  throw new VosError('declined', 'you said no. Nothing was changed.')
}

/** The new fingerprint is not in it: whoever pastes it has compared nothing. */
function nobodyToAsk(
  { name, platform, hostKey: pinned }: ConnectionView,
  shown: Shown,
  isVouchedFor: boolean,
): VosError {
  const command = `vosctl connections trust ${clean(name)}`
  const learn = isVouchedFor ? '' : `${howToCompare({ platform }, shown)} `
  if (!pinned) {
    return new VosError('needs_answer', `${clean(name)} shows ${kindWords(shown)}, and nobody vouches for it.`, {
      hint: `${learn}Then: ${command} --fingerprint <what the device says>`,
    })
  }
  const message = `The host key of ${clean(name)} has changed: pinned is ${kindWords({ ...pinned, bits: null })}, shown is another, ${kindWords(shown)}. Nothing was changed.`
  return new VosError('host_key_changed', message, {
    hint: `${learn}Find out why it changed. Then: ${command} --replace --old <the pinned one> --fingerprint <what the device says>`,
  })
}

function howToCompare({ platform }: Pick<ConnectionView, 'platform'>, { type }: Shown): string {
  if (platform === 'vos') {
    return 'Compare it with what the device itself has: its administrator knows it, or a machine beside it sees it (ssh-keyscan <host> | ssh-keygen -lf -).'
  }
  const file = `ssh_host_${type.replace(/^ssh-/, '').replace(/-.*/, '')}_key.pub`
  return `Compare it with what the device itself says, on its console: ssh-keygen -lf /etc/ssh/${file}`
}

function notTheNamedOne(name: string, shown: Shown, fingerprint: string): VosError {
  return new VosError(
    'host_key_changed',
    `${name} shows ${keyWords(shown)}, not ${clean(fingerprint)}. Nothing was changed.`,
    { hint: 'Do not log in before you know why: it may be another machine.' },
  )
}

function notTheOldOne(name: string, pinned: HostKey | null): VosError {
  const what = pinned
    ? 'another key is pinned than the one that --old names'
    : 'no key is pinned that could be replaced'
  return new VosError('bad_request', `${name}: ${what}. Nothing was changed.`, {
    hint: `Look: vosctl connections show ${name}`,
  })
}

function kindWords({ type, bits }: Shown): string {
  return bits === null ? `an ${clean(type)} key` : `an ${clean(type)} key of ${bits} bits`
}

function keyWords({ type, fingerprint, bits = null }: HostKey & { readonly bits?: number | null }): string {
  return `${clean(type)}${bits === null ? '' : ` (${bits} bits)`} ${clean(fingerprint)}`
}
