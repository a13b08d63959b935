import { isDeepStrictEqual } from 'node:util'
import { apply, type Operation, type RecordedEvent } from '../../../src/core/operation.ts'
import type { RoomName } from '../../../src/core/protocol.ts'
import type { Feed, Watcher as Place } from '../../../src/daemon/feed.ts'
import type { Manager } from '../../../src/daemon/manager.ts'
import type { Judge } from './judge.ts'

/** A person who watches a room, leaves, and comes back where they were. Must see every event of it once, in order. */
export class Watcher {
  readonly room: RoomName
  readonly #judge: Judge
  readonly #name: string
  /** Takes a batch only when told; others take it at once. */
  readonly #isSlow: boolean
  readonly #operations = new Map<string, Operation>()
  #place: Place | null = null
  #since: number | null = null
  #seen = 0
  #taken: (() => void) | null = null

  constructor(name: string, room: RoomName, isSlow: boolean, judge: Judge) {
    this.#name = name
    this.room = room
    this.#isSlow = isSlow
    this.#judge = judge
  }

  get isThere(): boolean {
    return this.#place !== null
  }

  /** As the server answers `subscribe`: the snapshot and the place in the journal are of one turn. */
  come(manager: Manager, feed: Feed): void {
    const board = manager.board().filter(({ connection }) => feed.isIn(this.room, connection.id))
    if (this.#since === null) {
      this.#since = this.#seen = feed.cursor
      for (const operation of board) this.#operations.set(operation.id, operation)
    } else {
      const missed = feed.missed(this.#seen, this.room)
      this.#expect(missed !== null, 'is told that its place is not of this journal')
      for (const recorded of missed ?? []) this.#see(recorded)
    }
    this.#seen = feed.cursor
    for (const operation of board) this.#compare(operation)
    this.#place = feed.watch(feed.cursor, this.room, ({ events, behind }) => {
      this.#expect(!behind, 'was cut back, and had not fallen behind')
      for (const recorded of events) this.#see(recorded)
      if (!this.#isSlow) return Promise.resolve()
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#taken = resolve
      return promise
    })
  }

  take(): void {
    this.#taken?.()
    this.#taken = null
  }

  leave(): void {
    this.#place?.close()
    this.#place = null
    this.#taken = null
  }

  /** Nothing is on its way any more: everything since it first came must have been seen. */
  hasSeenAll(manager: Manager): void {
    const last = this.#events().at(-1)?.cursor
    this.#expect(last === undefined || this.#seen >= last, `saw the journal up to ${this.#seen} of ${last}`)
    for (const operation of manager.board()) if (this.#operations.has(operation.id)) this.#compare(operation)
  }

  #see(recorded: RecordedEvent): void {
    const next = this.#events().find(({ cursor }) => cursor > this.#seen)
    this.#expect(
      next?.cursor === recorded.cursor,
      `saw event ${recorded.cursor} where ${next?.cursor ?? 'none'} was the next one`,
    )
    this.#seen = recorded.cursor
    const { operationId: id } = recorded
    try {
      this.#operations.set(id, apply(this.#operations.get(id) ?? null, recorded))
    } catch (error) {
      this.#expect(false, `cannot follow: ${String(error)}`)
    }
  }

  /** What it made of the events is what the daemon says. */
  #compare(operation: Operation): void {
    const own = this.#operations.get(operation.id)
    const isSame = isDeepStrictEqual(JSON.parse(JSON.stringify(own ?? null)), JSON.parse(JSON.stringify(operation)))
    this.#expect(isSame, `has another picture of ${this.#judge.name(operation.id)} than the daemon`)
  }

  #events(): RecordedEvent[] {
    return this.#judge.journal.filter(({ cursor, operationId }) => {
      const connection = this.#judge.find(operationId)?.accepted.connection.id
      const isOurs = this.room === 'operations' || this.room === `connection:${connection}`
      return isOurs && cursor > (this.#since ?? Infinity)
    })
  }

  #expect(isKept: boolean, broken: string): void {
    this.#judge.expect(isKept, `12: watcher ${this.#name} of ${this.room} ${broken}`)
  }
}
