import { describe, expect, it } from 'vitest'
import { Board, HoleError } from '../../src/cli/board.ts'
import type { Update } from '../../src/cli/follow.ts'
import type { RecordedEvent } from '../../src/core/operation.ts'
import type { Snapshot } from '../../src/core/protocol.ts'
import { play, record, UNTIL_DISPATCH } from '../helpers/operations.ts'

const EVENTS = record(UNTIL_DISPATCH)

function snapshotAfter(count: number, missed: readonly RecordedEvent[] | null = null): Snapshot {
  const operations = count === 0 ? [] : [play(UNTIL_DISPATCH.slice(0, count))]
  return { operations, cursor: count, missed }
}

function kinds(updates: Iterable<Update>): string[] {
  return [...updates].map((update) => {
    if (update.type === 'event') return `${update.recorded.event.type} ${update.operation.phase}`
    return update.type === 'snapshot' ? `snapshot ${update.cursor}${update.gap ? ' gap' : ''}` : update.type
  })
}

describe('a watcher', () => {
  it('begins with the board, then gets every event with the operation after it', () => {
    const board = new Board()
    expect(board.cursor).toBeNull()
    expect(kinds(board.reset(snapshotAfter(1)))).toEqual(['snapshot 1'])
    expect(kinds(board.take(EVENTS.slice(1, 4)))).toEqual([
      'connecting connecting',
      'authenticating connecting',
      'ready ready',
    ])
    expect(board.cursor).toBe(4)
  })

  it('is not moved by what it has seen: a repeated batch, an older one, one that the snapshot holds already', () => {
    const board = new Board()
    board.reset(snapshotAfter(4))
    expect(kinds(board.take(EVENTS.slice(0, 4)))).toEqual([])
    expect(kinds(board.take(EVENTS.slice(2, 5)))).toEqual(['resolved ready'])
    expect(kinds(board.take(EVENTS.slice(2, 5)))).toEqual([])
  })

  it('sees an operation from its first event', () => {
    const board = new Board()
    board.reset(snapshotAfter(0))
    expect(kinds(board.take(EVENTS.slice(0, 2)))).toEqual(['accepted accepted', 'connecting connecting'])
  })

  it('comes back with what it has missed, then the board, and without a gap', () => {
    const board = new Board()
    board.reset(snapshotAfter(2))
    expect(kinds(board.reset(snapshotAfter(4, EVENTS.slice(2, 4))))).toEqual([
      'authenticating connecting',
      'ready ready',
      'snapshot 4',
    ])
  })

  it('says that there is a gap when the daemon has not kept what was missed', () => {
    const board = new Board()
    board.reset(snapshotAfter(2))
    expect(kinds(board.reset(snapshotAfter(5)))).toEqual(['snapshot 5 gap'])
  })

  it('notices a hole, takes what came before it, and asks for a new board instead of what came after', () => {
    const board = new Board()
    board.reset(snapshotAfter(2))
    const seen: Update[] = []
    expect(() => {
      for (const update of board.take([...EVENTS.slice(2, 3), ...EVENTS.slice(4)])) seen.push(update)
    }).toThrow(HoleError)
    expect(kinds(seen)).toEqual(['authenticating connecting'])
    expect(board.cursor).toBeNull()
    expect(kinds(board.reset(snapshotAfter(6, EVENTS.slice(3))))).toEqual(['snapshot 6 gap'])
    expect(board.cursor).toBe(6)
  })

  it('has no use for events of an operation that left the board before it came', () => {
    const board = new Board()
    board.reset(snapshotAfter(0))
    const other = record(UNTIL_DISPATCH, 'r-zzzzzz').map((one) => ({ ...one, cursor: one.cursor + 10 }))
    expect(kinds(board.take(other.slice(3, 4)))).toEqual([])
    expect(board.cursor).toBe(14)
  })
})
