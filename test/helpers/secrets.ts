import { LentSecrets } from '../../src/daemon/lent-secrets.ts'
import { createSealedStore, type SealedStore } from '../../src/daemon/sealed-store.ts'
import type { Store } from '../../src/daemon/store/store.ts'
import { temporaryDirectory } from './temporary.ts'

/** Where the handlers of a house put secrets: a key file of its own, made when something is sealed. */
export function secretsOf(store: Store): { readonly sealed: SealedStore; readonly lent: LentSecrets } {
  const sealed = createSealedStore({ store, provider: 'file', configDirectory: temporaryDirectory() })
  return { sealed, lent: new LentSecrets() }
}
