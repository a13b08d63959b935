import type { Connection } from '../core/connection.ts'
import { VosError } from '../core/errors.ts'
import { noCredential } from './devices/credential-kind.ts'
import { askHelper, type Asked } from './helper.ts'
import type { LentSecrets } from './lent-secrets.ts'
import { bindingOf, type SealedStore } from './sealed-store.ts'
import type { Settings } from './settings.ts'
import { findAgentKey } from './ssh/agent.ts'
import { openPrivateKey, unsealPassword } from './ssh/credentials.ts'
import { passwordSecret, type Secret } from './ssh/session.ts'
import type { Store } from './store/store.ts'

export interface SecretOptions {
  readonly store: Store
  readonly sealed: SealedStore
  readonly settings: Pick<Settings, 'helpers' | 'agent'>
  readonly lent: LentSecrets
}

/** The secret was not had, so no attempt was made with it: whatever else ended the work, it leaves no hold on the login. */
export class UnreadError extends VosError {
  constructor({ code, message, hint }: VosError) {
    super(code, message, { hint })
  }
}

/** For whom a secret is read. */
export interface SecretRequest {
  readonly connection: Connection
  readonly operationId?: string
  readonly signal: AbortSignal
  /** Told every secret before anything is done with it. */
  readonly conceal?: (secret: string) => unknown
}

export interface SecretReader {
  /** @throws UnreadError when the one source that the connection names has none; no other is asked. Nothing was sent then. */
  readonly read: (request: SecretRequest) => Promise<Secret>
  /** Why reading cannot work, as far as that is known without asking anybody; null for nothing. */
  readonly missing: (connection: Connection) => VosError | null
}

/** Reads a connection's secret from the one source that the connection names. */
export function createSecretReader({ store, sealed, settings, lent }: SecretOptions): SecretReader {
  const unseal = async ({ id, name, credential }: Connection): Promise<string> =>
    await sealed.withKey((key) => {
      const bytes = store.connections.sealedPassword(id)
      // As it is now: what it is bound to, and the key that it is under, are read in one turn.
      const login = store.connections.get(id)
      if (!bytes) throw noCredential(name)
      return unsealPassword(key, bytes, bindingOf(login, credential.type === 'key' ? credential.path : undefined))
    })
  const ask = async (name: string, what: Asked, { connection, signal }: SecretRequest): Promise<string> => {
    const command = settings.helpers[name]
    if (!command) throw noHelper(name, connection.name)
    return await askHelper({ name, command }, connection, what, signal)
  }
  const read = async (request: SecretRequest): Promise<Secret> => {
    const { connection, operationId = '', signal } = request
    const { name, credential } = connection
    const kept = (secret: string): string => {
      request.conceal?.(secret)
      return secret
    }
    switch (credential.type) {
      case 'none':
        throw noCredential(name)
      case 'sealed':
        return passwordSecret(kept(await unseal(connection)))
      case 'helper':
        return passwordSecret(kept(await ask(credential.name, 'password', request)))
      case 'key': {
        const from = credential.passphrase
        const passphrase =
          from === undefined
            ? undefined
            : kept(
                from === 'sealed'
                  ? await unseal(connection)
                  : await ask(from.slice('helper:'.length), 'passphrase', request),
              )
        return { type: 'key', ...(await openPrivateKey(credential.path, passphrase)) }
      }
      case 'agent': {
        if (settings.agent === null) throw noAgent(name)
        return { type: 'agent', key: await findAgentKey(settings.agent, credential.fingerprint, name, signal) }
      }
      case 'prompt': {
        const password = lent.find(operationId, connection)
        if (password === undefined) throw notLent(name)
        return passwordSecret(kept(password))
      }
      default:
        return credential satisfies never
    }
  }
  return {
    read: async (request) => {
      try {
        return await read(request)
      } catch (error) {
        if (error instanceof VosError) throw new UnreadError(error)
        // Want of a descriptor, say. It has to be told from an attempt, which would hold the login.
        const message = `The secret of ${request.connection.name} cannot be read: ${(error as Error).message}. Nothing was sent.`
        throw new UnreadError(new VosError('bad_key_file', message, { hint: 'Try again, or look: vosctl daemon logs' }))
      }
    },
    missing: ({ name, credential }) => {
      const helper =
        credential.type === 'helper'
          ? credential.name
          : credential.type === 'key' && credential.passphrase?.startsWith('helper:')
            ? credential.passphrase.slice('helper:'.length)
            : null
      if (credential.type === 'none') return noCredential(name)
      if (helper !== null && !settings.helpers[helper]) return noHelper(helper, name)
      if (credential.type === 'agent' && settings.agent === null) return noAgent(name)
      const isSealed = credential.type === 'sealed' || (credential.type === 'key' && credential.passphrase === 'sealed')
      return isSealed ? sealed.locked() : null
    },
  }
}

function noHelper(helper: string, name: string): VosError {
  return new VosError('no_credential', `${name} names the helper "${helper}", and there is none. Nothing was sent.`, {
    hint: 'Say in config.yaml what it is, and restart the daemon: docs/credentials.md',
  })
}

function noAgent(name: string): VosError {
  return new VosError('no_credential', `${name} names a key of an ssh-agent, and there is none. Nothing was sent.`, {
    hint: 'Say in config.yaml where its socket is (agent: /path), and restart the daemon.',
  })
}

/** It was typed for an operation of a daemon that has ended since, or nobody was asked. */
function notLent(name: string): VosError {
  return new VosError(
    'no_credential',
    `The password of ${name} is typed at each start, and this daemon was not given it. Nothing was sent.`,
    {
      hint: `Log in by asking again: vosctl test ${name}`,
    },
  )
}
