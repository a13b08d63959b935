import type { KeyObject } from 'node:crypto'
import type { Connection } from '../core/connection.ts'
import { VosError } from '../core/errors.ts'
import { noCredential } from './devices/credential-kind.ts'
import { readPrivateKey, unsealPassword } from './ssh/credentials.ts'
import { passwordSecret, type Secret } from './ssh/session.ts'
import type { Store } from './store/store.ts'

/** Reads a connection's secret from the one source that the connection names. */
export function createSecretReader(
  store: Store,
  sealingKey: () => Promise<KeyObject>,
): (connection: Connection) => Promise<Secret> {
  const read = async (connection: Connection): Promise<Secret> => {
    const { id, name, host, port, username, credential } = connection
    switch (credential.type) {
      case 'none':
        break
      case 'key':
        return { type: 'key', privateKey: await readPrivateKey(credential.path) }
      case 'sealed': {
        const sealed = store.connections.sealedPassword(id)
        if (!sealed) break
        const password = unsealPassword(await sealingKey(), sealed, { connectionId: id, host, port, username })
        return passwordSecret(password)
      }
      default:
        credential satisfies never
    }
    throw noCredential(name)
  }
  return async (connection) => {
    try {
      return await read(connection)
    } catch (error) {
      if (error instanceof VosError) throw error
      // Want of a descriptor, say. It has to be told from an attempt, which would hold the login.
      const message = `The secret of ${connection.name} cannot be read: ${(error as Error).message}. Nothing was sent.`
      throw new VosError('bad_key_file', message, { hint: 'Try again, or look: vosctl daemon logs', cause: error })
    }
  }
}
