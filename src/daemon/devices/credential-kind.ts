import type { Connection } from '../../core/connection.ts'
import { VosError } from '../../core/errors.ts'
import type { Secret } from '../ssh/session.ts'

/**
 * Which kind of secret the connection names, known before the secret itself is read.
 * @throws VosError `no_credential`
 */
export function credentialKind({ credential, name }: Connection): Secret['type'] {
  switch (credential.type) {
    case 'sealed':
    case 'helper':
    case 'prompt':
      return 'password'
    case 'key':
    case 'agent':
      return credential.type
    case 'none':
      throw noCredential(name)
    default:
      return credential satisfies never
  }
}

/** The one wording for a connection that names no credential, or whose sealed one is gone. */
export function noCredential(name: string): VosError {
  return new VosError('no_credential', `${name} has no credential. Nothing was sent.`, {
    hint: `Set one: vosctl credentials set ${name}`,
  })
}
