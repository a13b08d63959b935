import type { AlgorithmProfile, HostKey } from '../../core/connection.ts'
import { VosError, type ErrorCode } from '../../core/errors.ts'
import { oneLine } from '../../core/text.ts'
import type { AlgorithmClass, Mismatch } from './algorithms.ts'

/** Which device an error is about. */
export interface Peer {
  readonly name: string
  readonly host: string
  readonly port: number
  /** The jump host from which it is reached. */
  readonly through?: { readonly peer: Peer }
}

/** How far a link has come; it decides what an end of the connection means. */
export type Stage = 'tcp' | 'ident' | 'key-exchange' | 'asking' | 'attempt' | 'open'

/** What ended a link, before the stage gives it a meaning. Words of the peer are still raw. */
export type Cause =
  | { readonly type: 'closed' }
  | { readonly type: 'socket'; readonly code: string }
  | { readonly type: 'disconnect'; readonly words: string }
  | { readonly type: 'protocol'; readonly words: string }
  | { readonly type: 'keepalive' }
  /** The jump host opened no way: it may not, or it could not. */
  | { readonly type: 'forward'; readonly isForbidden: boolean; readonly words: string }
  /** The link to the jump host has ended; its own words. */
  | { readonly type: 'carrier'; readonly words: string }

const SOCKET_WORDS: Record<string, string> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was reset',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'the network is unreachable',
  ETIMEDOUT: 'the network gave up waiting',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the name server does not answer',
}

const RESET = ['ECONNRESET', 'EPIPE']

export function where({ name, host, port, through }: Peer): string {
  return `${name} (${host.includes(':') ? `[${host}]` : host}:${port}${through ? ` through ${through.peer.name}` : ''})`
}

export function unreachable(peer: Peer, code: string): VosError {
  return new VosError('unreachable', `Cannot reach ${where(peer)}: ${socketWords(code)}.`, {
    hint:
      code === 'ENOTFOUND'
        ? `Check the host name: vosctl connections edit ${peer.name} --host …`
        : 'Check the host, the port and the network, then try again. Nothing was sent.',
  })
}

/** As seen from the jump host, whose name the peer bears. */
function unreachableThrough(peer: Peer, { isForbidden, words }: Extract<Cause, { type: 'forward' }>): VosError {
  const hop = peer.through?.peer.name ?? ''
  const said = oneLine(words.replace(/^\(SSH\) Channel open failure: /, ''), 120)
  const what = isForbidden ? `${hop} may not forward to it` : `${hop} cannot connect to it`
  return new VosError('unreachable', `Cannot reach ${where(peer)}: ${what} ("${said}").`, {
    hint: isForbidden
      ? `Allow it in the sshd_config of ${hop}: AllowTcpForwarding, PermitOpen. Nothing was sent.`
      : `Check the host and the port as ${hop} sees them, then try again. Nothing was sent.`,
  })
}

/** Why a link ended by itself. `seen` is what the peer wrote before it identified itself. */
export function ended(peer: Peer, stage: Stage, cause: Cause, seen = ''): VosError {
  if (cause.type === 'forward') return unreachableThrough(peer, cause)
  if (stage === 'tcp' && cause.type !== 'carrier') return unreachable(peer, cause.type === 'socket' ? cause.code : '')
  const why = causeWords(cause)
  if (stage === 'attempt') {
    // Whoever broke it: the attempt has left. It must never be taken for one that was not made.
    const what = isByPeer(cause)
      ? `${where(peer)} ended the connection during the login`
      : `The connection to ${where(peer)} was lost during the login`
    return new VosError('login_refused', `${what}: ${why}.`, {
      hint: `The attempt may have counted. Check the credential: vosctl credentials set ${peer.name}`,
    })
  }
  if (stage === 'ident' && cause.type !== 'carrier') {
    const said = seen === '' ? '' : ` It sent: "${oneLine(seen, 120)}".`
    return new VosError('connection_lost', `${where(peer)} did not speak SSH: ${why}.${said}`, {
      hint: 'Check the port; a busy or protected server may also turn connections away.',
    })
  }
  const when = {
    tcp: ' before it was made',
    ident: ' before it was made',
    'key-exchange': ' during the key exchange',
    asking: ' before the login',
    open: '',
  }[stage]
  return new VosError('connection_lost', `The connection to ${where(peer)} was lost${when}: ${why}.`)
}

/** Did the peer end the connection itself? Otherwise the network broke. */
function isByPeer(cause: Cause): boolean {
  return (
    cause.type === 'closed' || cause.type === 'disconnect' || (cause.type === 'socket' && RESET.includes(cause.code))
  )
}

function causeWords(cause: Cause): string {
  switch (cause.type) {
    case 'closed':
      return 'the device closed it'
    case 'socket':
      return socketWords(cause.code)
    case 'disconnect':
      return `the device said "${oneLine(cause.words)}"`
    case 'protocol':
    case 'forward':
      return oneLine(cause.words)
    case 'carrier':
      return oneLine(cause.words, 300).replace(/^The /, 'the ').replace(/\.$/, '')
    case 'keepalive':
      return 'the device stopped answering'
    default:
      return cause satisfies never
  }
}

function socketWords(code: string): string {
  return SOCKET_WORDS[code] ?? (code === '' ? 'the connection ended' : code)
}

const TIMEOUT_WORDS = {
  connect_timeout: 'did not accept a connection',
  ident_timeout: 'accepted the connection but did not say that it speaks SSH',
  key_exchange_timeout: 'did not finish the key exchange',
  login_timeout: 'did not answer the login',
  shell_timeout: 'did not open a channel',
  command_timeout: 'did not finish a read-only command',
} as const satisfies Partial<Record<ErrorCode, string>>

export function timedOut(code: keyof typeof TIMEOUT_WORDS, peer: Peer, ms: number): VosError {
  return new VosError(code, `${where(peer)} ${TIMEOUT_WORDS[code]} within ${ms / 1000} s.`, {
    hint: 'Try again later; for a slow device raise this time limit of the connection.',
  })
}

export function closedHere(peer: Peer): VosError {
  return new VosError('connection_lost', `The connection to ${where(peer)} was closed by vosctl.`)
}

export function hostKeyUnpinned(peer: Peer): VosError {
  return new VosError('host_key_unpinned', `No host key is pinned for ${where(peer)}. Nothing was sent.`, {
    hint: `Read the key, compare it, pin it: vosctl connections trust ${peer.name}`,
  })
}

export function hostKeyChanged(peer: Peer, pinned: HostKey, offered: HostKey): VosError {
  return new VosError(
    'host_key_changed',
    `The host key of ${where(peer)} is not the pinned one. ` +
      `Pinned: ${pinned.type} ${pinned.fingerprint}. Offered: ${offered.type} ${offered.fingerprint}. No credential was sent.`,
    { hint: changedHint(peer) },
  )
}

/** The server has no key of the pinned type any more, so it cannot show the pinned key. */
export function hostKeyGone(peer: Peer, pinned: HostKey): VosError {
  return new VosError(
    'host_key_changed',
    `${where(peer)} no longer offers a host key of the pinned type. ` +
      `Pinned: ${pinned.type} ${pinned.fingerprint}. Offered: none of type ${pinned.type}. No credential was sent.`,
    { hint: changedHint(peer) },
  )
}

function changedHint(peer: Peer): string {
  return `Find out why it changed (a reinstallation, or somebody in between). Then: vosctl connections trust ${peer.name}`
}

/** The key itself proves nothing, whoever shows it. `fault` as `faultOfHostKey` says it. */
export function hostKeyRefused(peer: Peer, fault: string): VosError {
  return new VosError('host_key_refused', `${where(peer)}: its host key ${fault}. No credential was sent.`, {
    hint: `Give the device a better host key (Ed25519, ECDSA, or RSA of 2048 bits or more). Then: vosctl connections trust ${peer.name}`,
  })
}

/** No profile has a signature for it; nothing is connected. */
export function pinnedTypeUnknown(peer: Peer, pinned: HostKey): VosError {
  const message = `The pinned host key of ${where(peer)} is of the type "${oneLine(pinned.type, 64)}", which vosctl does not check. Nothing was sent.`
  return new VosError('host_key_refused', message, {
    hint: `Pin another key of the device: vosctl connections trust ${peer.name}`,
  })
}

export function algorithmsExpired(peer: Peer, until: string): VosError {
  const message = `The old algorithms of ${where(peer)} were allowed until ${until}, and that is over. Nothing was sent.`
  return new VosError('algorithms_expired', message, {
    hint: `Update the device, then: ${allowCommand(peer, 'modern')}. Or allow them longer: vosctl connections edit ${peer.name} --until …`,
  })
}

/**
 * @param mismatch null when what the server offers could not be read
 * @param isLegacyEnough whether the old algorithms would do; null when nobody knows
 */
export function noCommonAlgorithm(
  peer: Peer,
  profile: AlgorithmProfile,
  kind: AlgorithmClass | 'algorithm',
  mismatch: Mismatch | null,
  isLegacyEnough: boolean | null,
): VosError {
  // Names of the peer are its own; so much of them is enough to see what they are.
  const offers = mismatch && (oneLine(mismatch.theirs.slice(0, 50).join(', '), 300) || 'none')
  const mayHelp = profile === 'modern' && isLegacyEnough !== false
  const wanted = mismatch ? `: one of ${mismatch.ours.join(', ')}` : ''
  return new VosError(
    'no_common_algorithm',
    `${where(peer)} and the algorithm profile "${profile}" have no ${kind} in common.${offers === null ? '' : ` The device offers: ${offers}.`} Nothing was sent.`,
    {
      hint: mayHelp
        ? `If this device cannot be updated, allow its old algorithms: ${allowCommand(peer, 'legacy-vos')} --reason … --until …`
        : `No command of vosctl allows it: turn on another ${kind} on the device${wanted}.`,
    },
  )
}

function allowCommand({ name }: Peer, profile: AlgorithmProfile): string {
  return `vosctl connections edit ${name} --algorithms ${profile}`
}
