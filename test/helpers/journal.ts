import path from 'node:path'
import { expect } from 'vitest'
import type { Operation, OperationEvent } from '../../src/core/operation.ts'
import type { HistoryVerification, JournalHead } from '../../src/core/protocol.ts'
import { toHead } from '../../src/daemon/history.ts'
import { openDatabase, type SqliteDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { ACCEPTED, UNTIL_DISPATCH } from './operations.ts'
import { temporaryDirectory } from './temporary.ts'
import { verify } from './verify-history.ts'

export const DAY = 86_400_000

/** The events of a restart behind the first one, up to where its ending is open. */
export const RESTART: readonly OperationEvent[] = [
  ...UNTIL_DISPATCH.slice(1),
  { type: 'sent' },
  { type: 'stopping', seenIn: 'output' },
]
export const DONE = { type: 'settled', status: 'completed', message: 'done' } as const
export const UNKNOWN = { type: 'settled', status: 'unknown', message: 'outcome unknown' } as const

/** A real database into which the events of several operations are written as they come. */
export class Ledger {
  readonly file = path.join(temporaryDirectory(), 'vosctl.db')
  readonly db: SqliteDatabase
  readonly store: Store
  clock = 1_700_000_000_000
  readonly #now = new Map<string, Operation>()

  constructor() {
    this.db = openDatabase(this.file)
    this.store = new Store(this.db, (error) => expect.fail(error.message))
  }

  accept(id: string, device: string = id, more: Partial<Extract<OperationEvent, { type: 'accepted' }>> = {}): void {
    this.#keep(
      this.store.write(() => this.store.operations.insert(id, { ...ACCEPTED, device, ...more }, (this.clock += 1000))),
    )
  }

  say(id: string, ...events: readonly OperationEvent[]): void {
    this.store.write(() => {
      for (const event of events) {
        const before = this.#now.get(id)
        if (!before) throw new Error(`${id} was never accepted`)
        this.#keep(this.store.operations.append(before, event, (this.clock += 1000)))
      }
    })
  }

  archive(...ids: readonly string[]): void {
    this.store.write(() => {
      for (const id of ids) this.store.operations.archive(id)
    })
  }

  prune(keepMs: number): void {
    this.store.write(() => this.store.operations.prune(keepMs))
  }

  head(): JournalHead {
    return toHead(this.store.operations.chain.head())
  }

  verify(heads: readonly JournalHead[] = []): Promise<HistoryVerification> {
    return verify(this.db, heads)
  }

  #keep({ operation }: { readonly operation: Operation }): void {
    this.#now.set(operation.id, operation)
  }
}

/** Board and history, events of several at a time, an outcome accepted and another proved later, and some of it pruned. */
export function lived(): Ledger {
  const house = new Ledger()
  house.accept('r-unknown')
  house.say('r-unknown', ...RESTART, UNKNOWN)
  house.accept('r-pruned')
  house.say('r-pruned', ...RESTART.slice(0, 3))
  house.accept('r-doubt')
  house.say('r-doubt', ...RESTART)
  house.say('r-pruned', ...RESTART.slice(3), DONE)
  house.say('r-doubt', UNKNOWN)
  house.archive('r-pruned')
  house.clock += 30 * DAY
  house.accept('r-long')
  house.accept('r-queued', 'r-long', { after: 'r-long' })
  house.say('r-long', ...RESTART)
  house.accept('v-look', 'v-look', { operationType: 'verify', subject: 'r-doubt' })
  const proof = { status: 'completed', message: 'it was proved', evidence: [] } as const
  house.say('r-doubt', { type: 'verified', ...proof, by: 'bob', look: 'v-look' })
  const open = { code: 'not_confirmed', message: 'no answer', hint: '' } as const
  house.say('v-look', { type: 'connecting' }, { type: 'settled', status: 'failed', message: 'no answer', error: open })
  house.say('r-long', { type: 'line', text: 'Cisco Tomcat[STARTED]', state: 'STARTED' }, DONE)
  house.archive('r-long', 'v-look')
  house.prune(20 * DAY)
  house.say('r-unknown', { type: 'acknowledged', by: 'carol' })
  return house
}
