import type { Connection, ShownKey } from '../connection.ts'
import type { Device } from '../device.ts'
import { VosError } from '../errors.ts'
import type { Operation } from '../operation.ts'
import { logIn, loginWords, type Steps } from './steps.ts'

/**
 * Logs in at a jump host and reads the host key of what is behind it, where no credential goes. `found` gets the key, once
 * it is in the journal.
 */
export async function* readHostKeyBehind(
  device: Device,
  operation: Operation,
  { behind, types }: { readonly behind: Connection; readonly types?: readonly string[] | undefined },
  found: (key: ShownKey) => void,
): Steps {
  operation = yield { type: 'connecting' }
  operation = yield* logIn(device)
  const key = await device.hostKeyOf?.(behind, types)
  if (!key) throw new VosError('channel_refused', `${operation.connection.name} forwards nothing.`)
  operation = yield { type: 'evidence', what: `host key of ${behind.name}`, value: `${key.type} ${key.fingerprint}` }
  found(key)
  const message = `${loginWords(operation.facts)}, read the host key of ${behind.name}`
  return yield { type: 'settled', status: 'completed', message }
}
