import { expect } from 'vitest'
import { createHandlers, type Handlers } from '../../src/daemon/handlers.ts'
import { LentSecrets } from '../../src/daemon/lent-secrets.ts'
import { createSealedStore, type SealedStore } from '../../src/daemon/sealed-store.ts'
import type { Store } from '../../src/daemon/store/store.ts'
import type { House } from './manager.ts'
import { temporaryDirectory } from './temporary.ts'

/** Where the handlers of a house put secrets: a key file of its own, made when something is sealed. */
export function secretsOf(store: Store): { readonly sealed: SealedStore; readonly lent: LentSecrets } {
  const sealed = createSealedStore({ store, provider: 'file', configDirectory: temporaryDirectory() })
  return { sealed, lent: new LentSecrets() }
}

/** What the daemon of a house answers, without a process around it. */
export function handlersOf(house: House): Handlers {
  const { store, manager } = house
  return createHandlers({
    store,
    manager,
    ...secretsOf(store),
    lent: house.lent,
    now: () => house.clock,
    info: () => expect.fail('not asked'),
    stop: () => ({ active: 0 }),
  })
}
