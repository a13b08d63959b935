import { VosError } from '../core/errors.ts'
import type { RequestName } from '../core/protocol.ts'
import { ACCESS, REQUESTS } from '../core/schemas.ts'

/** Who asks over the network. Whoever may use the Unix socket has no name here, and may ask for everything. */
export interface Caller {
  /** Of its token. */
  readonly name: string
  readonly access: 'read' | 'full'
  /** False from the moment it is revoked; absent where nobody revokes. */
  readonly isKnown?: () => boolean
}

/** What the journal calls somebody who came with a token. No login name holds a colon. */
export function signature({ name }: Caller): string {
  return `token:${name}`
}

/**
 * The request as this caller makes it: in its own name, whatever it says.
 * @throws VosError `not_allowed` when it is not for the network, or not for this token
 */
export function signed(name: RequestName, input: unknown, caller: Caller): unknown {
  const access = ACCESS[name]
  if (access === 'local') {
    throw new VosError('not_allowed', `${name} is never answered over the network.`, {
      hint: 'Use vosctl on the machine of the daemon.',
    })
  }
  if (access === 'full' && caller.access !== 'full') {
    throw new VosError('not_allowed', `The token ${caller.name} may only read.`, {
      hint: 'Ask with a token that was not made with --read-only.',
    })
  }
  if (typeof input !== 'object' || input === null) return input
  const despite = Object.keys(input).find((key) => key.startsWith('despite') && input[key as never] !== false)
  if (despite !== undefined) {
    throw new VosError('not_allowed', `${despite} is a word of a person at a terminal, and none of the network.`, {
      hint: 'Use vosctl on the machine of the daemon.',
    })
  }
  const { shape } = REQUESTS[name]
  const by = ['createdBy', 'by'].find((key) => key in shape)
  return by === undefined ? input : { ...input, [by]: signature(caller) }
}

/** Their words name files of this machine. */
const ABOUT_FILES: readonly string[] = ['bad_key_file', 'bad_config', 'state_directory', 'socket_path', 'database']

/** So do those of a helper or an agent that fails; and after the intent the code says only that nobody knows. */
const ABSOLUTE_PATH = /(?<=^|[\s"'(=])\/[^\s"'(),:;]+/g
const WORDS: readonly string[] = ['message', 'hint']

/** An answer, or a batch of events, without what is nobody's business out there: where things lie on this machine. */
export function concealed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(concealed)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).flatMap(([key, field]: [string, unknown]) => {
    if (key === 'stateDirectory' || key === 'keyPath') return []
    if (key === 'credential') return [[key, { type: (field as { type: unknown }).type }]]
    if (WORDS.includes(key) && typeof field === 'string') return [[key, field.replace(ABSOLUTE_PATH, '…')]]
    return [[key, concealed(field)]]
  })
  const copy = Object.fromEntries(fields) as Record<string, unknown>
  const { code } = { ...(copy['error'] as object | null), ...copy } as { code?: unknown }
  if (!ABOUT_FILES.includes(code as string)) return copy
  const words = 'A file on the machine of the daemon cannot be used.'
  return { ...copy, message: words, ...('hint' in copy ? { hint: 'Look there: vosctl status' } : {}) }
}
