import path from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ErrorCode } from '../../src/core/errors.ts'
import type { Operation, OperationEvent, SettledStatus } from '../../src/core/operation.ts'
import { statisticsOf } from '../../src/daemon/statistics.ts'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { Store } from '../../src/daemon/store/store.ts'
import { ACCEPTED, TOMCAT, UNTIL_DISPATCH } from '../helpers/operations.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const START = 1_700_000_000_000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const MOVING = { type: 'stopping', seenIn: 'output' } as const

type Accepted = Extract<OperationEvent, { type: 'accepted' }>

/** A real database into which endings are written at the times that a test says. */
class Archive {
  readonly store = new Store(openDatabase(path.join(temporaryDirectory(), 'vosctl.db')), (error) =>
    expect.fail(error.message),
  )
  #count = 0

  constructor() {
    onTestFinished(() => this.store.close())
  }

  get table() {
    return this.store.operations
  }

  /** A restart that began at `at` and ended so, with the duration in milliseconds; in history, or still on the board. */
  restart(
    status: SettledStatus,
    at: number,
    tookMs: number,
    request: Partial<Accepted> = {},
    place: 'history' | 'board' = 'history',
  ): string {
    const service = { ...TOMCAT, name: request.service ?? TOMCAT.name }
    const resolved = [{ type: 'resolved', service, started: [service.name], listed: 1 }] as const
    const sent: readonly OperationEvent[] =
      status === 'interrupted' || status === 'cancelled'
        ? UNTIL_DISPATCH.slice(1, 4)
        : [...UNTIL_DISPATCH.slice(1, 4), ...resolved, ...UNTIL_DISPATCH.slice(5), { type: 'sent' }, MOVING]
    return this.#write(request, at, tookMs, sent, { type: 'settled', status, message: status, ...why(status) }, place)
  }

  /** In one transaction, because each one by itself waits for the disk. */
  many(count: number, write: (index: number) => void): void {
    this.store.write(() => Array.from({ length: count }, (_, index) => write(index)))
  }

  look(code: ErrorCode, at: number): string {
    const error = { code, message: code, hint: '' }
    const request = { operationType: 'verify' } as const
    return this.#write(request, at, 0, [], { type: 'settled', status: 'failed', message: code, error }, 'history')
  }

  end(id: string, event: OperationEvent, at: number): void {
    const [operation] = this.table.find(id)
    if (operation) this.store.write(() => this.table.append(operation, event, at))
  }

  #write(
    request: Partial<Accepted>,
    at: number,
    tookMs: number,
    events: readonly OperationEvent[],
    ending: OperationEvent,
    place: 'history' | 'board',
  ): string {
    const id = `r-${String(++this.#count).padStart(6, '0')}`
    this.store.write(() => {
      const { operation } = this.table.insert(id, { ...ACCEPTED, ...request }, at)
      const before = events.reduce<Operation>((now, event) => this.table.append(now, event, at).operation, operation)
      this.table.append(before, ending, at + tookMs)
      if (place === 'history') this.table.archive(id)
    })
    return id
  }
}

function why(status: SettledStatus) {
  return status === 'failed' ? { error: { code: 'service_down', message: 'down', hint: '' } as const } : {}
}

const ids = (operations: readonly Operation[]) => operations.map(({ id }) => id)
const web = (id: number) => ({ connection: { id, name: `web-${id}` }, device: `10.0.0.${id}:22` })

describe('what has ended', () => {
  it('comes newest ending first, from history and from the board, as many as are asked for', () => {
    const house = new Archive()
    const first = house.restart('completed', START, 3 * HOUR)
    const second = house.restart('completed', START + HOUR, HOUR)
    const third = house.restart('failed', START + 4 * HOUR, 1000, {}, 'board')
    house.store.write(() => house.table.insert('r-running', ACCEPTED, START + 5 * HOUR))
    expect(ids(house.table.ended({}, 10))).toEqual([third, first, second])
    expect(ids(house.table.ended({}, 2))).toEqual([third, first])
  })

  it('is told by connection, by time and by what went wrong, all at once', () => {
    const house = new Archive()
    const good = house.restart('completed', START, 1000, web(1))
    const bad = house.restart('failed', START + DAY, 1000, web(2))
    const lost = house.restart('unknown', START + 2 * DAY, 1000, web(1), 'board')
    house.restart('cancelled', START + 3 * DAY, 1000, web(1))
    const none = house.restart('interrupted', START + 4 * DAY, 1000, web(3))
    expect(ids(house.table.ended({ failed: true }, 10))).toEqual([lost, bad])
    expect(ids(house.table.ended({ failed: true, connectionIds: [2, 3] }, 10))).toEqual([bad])
    expect(ids(house.table.ended({ since: START + 4 * DAY + 1000 }, 10))).toEqual([none])
    expect(ids(house.table.ended({ since: START + 4 * DAY + 1001 }, 10))).toEqual([])
    expect(ids(house.table.ended({ connectionIds: [1], since: START }, 10))).toContain(good)
    expect(ids(house.table.ended({ connectionIds: [] }, 10))).toEqual([])
  })

  it('went wrong even when somebody accepted it, and no longer when it was proved', () => {
    const house = new Archive()
    const accepted = house.restart('unknown', START, 1000, web(1), 'board')
    const proved = house.restart('unknown', START, 1000, web(2), 'board')
    house.end(accepted, { type: 'acknowledged', by: 'bob' }, START + HOUR)
    const proof = { status: 'completed', message: 'm', evidence: [], by: 'bob', look: 'v-1' } as const
    house.end(proved, { type: 'verified', ...proof }, START + HOUR)
    expect(ids(house.table.ended({ failed: true }, 10))).toEqual([accepted])
  })

  it.each([
    ['not_confirmed', 0],
    ['already_running', 0],
    ['service_moving', 0],
    ['service_down', 1],
    ['unreachable', 1],
  ] as const)('a look that ended with %s went wrong: %d', (code, count) => {
    const house = new Archive()
    house.look(code, START)
    expect(house.table.ended({ failed: true }, 10)).toHaveLength(count)
  })
})

describe('statistics', () => {
  it('count what was sent, in half and nine of ten of the time, for each connection and service', async () => {
    const house = new Archive()
    // More than one page, the longest first.
    house.many(250, (index) => house.restart('completed', START + index * HOUR, (250 - index) * 1000))
    house.restart('failed', START + 300 * HOUR, 1000)
    house.restart('unknown', START + 301 * HOUR, 1000, {}, 'board')
    house.restart('interrupted', START + 302 * HOUR, 1000)
    house.restart('completed', START, 7000, { service: 'Cisco Tftp' })
    house.look('service_down', START)
    const [tftp, tomcat, ...rest] = await statisticsOf(house.table, house.table.board(), {})
    expect(rest).toEqual([])
    expect(tftp).toMatchObject({ service: 'Cisco Tftp', runs: 1 })
    expect(tomcat).toMatchObject({
      connection: { id: 1, name: 'cucm-pub' },
      operationType: 'service_restart',
      service: 'Cisco Tomcat',
      runs: 252,
      failed: 1,
      unknown: 1,
      notSent: 1,
      p50Ms: 126_000,
      p90Ms: 226_000,
    })
    const recent = tomcat?.recent.map(({ status, tookMs }) => (status === 'completed' ? tookMs : status))
    expect(recent).toEqual([...Array.from({ length: 18 }, (_, index) => (18 - index) * 1000), 'failed', 'unknown'])
  })

  it('know nothing of durations that nobody saw, and nothing of what was not asked for', async () => {
    const house = new Archive()
    house.restart('interrupted', START, 1000, web(1))
    house.restart('completed', START, 1000, web(2))
    house.restart('completed', START + DAY, 3000, web(2), 'board')
    const unsent = { runs: 0, notSent: 1, p50Ms: null, p90Ms: null, recent: [] }
    const board = house.table.board()
    expect(await statisticsOf(house.table, board, { connectionIds: [1] })).toMatchObject([unsent])
    expect(await statisticsOf(house.table, board, { since: START + DAY })).toMatchObject([{ runs: 1, p50Ms: 3000 }])
    expect(await statisticsOf(house.table, board, { connectionIds: [1], since: START + DAY })).toEqual([])
  })

  it('read of the history what is meant and no more, a page in each turn', async () => {
    const house = new Archive()
    house.many(450, (index) => house.restart('completed', START + index * HOUR, 1000, web(index % 2)))
    const pages = vi.spyOn(house.table, 'at')
    const [web0] = await statisticsOf(house.table, [], { connectionIds: [0], since: START + 10 * HOUR })
    expect(web0).toMatchObject({ runs: 220 })
    expect(pages.mock.calls.map(([places]) => places.length)).toEqual([200, 20])
  })

  it('count once what moves from the board into history while they are read', async () => {
    const house = new Archive()
    house.many(201, (index) => house.restart('completed', START + index * HOUR, 1000))
    const id = house.restart('completed', START + DAY, 1000, {}, 'board')
    const reading = statisticsOf(house.table, house.table.board(), {})
    house.store.write(() => house.table.archive(id))
    expect(await reading).toMatchObject([{ runs: 202 }])
  })
})

describe('pruning', () => {
  it.each([7, 90, 400])('leaves what ended in the %d days before the newest ending', (days) => {
    const house = new Archive()
    house.many(300, (day) => house.restart('completed', START + day * DAY, 1000))
    house.store.write(() => house.table.prune(days * DAY))
    expect(house.table.ended({}, 1000)).toHaveLength(Math.min(300, days + 1))
  })

  it('takes what is old in a house where little happens', () => {
    const house = new Archive()
    house.restart('completed', START, 1000)
    const last = house.restart('completed', START + 60 * DAY, 1000)
    house.store.write(() => house.table.prune(30 * DAY))
    expect(ids(house.table.ended({}, 10))).toEqual([last])
  })

  it('forgets a request with its work, and none whose work is under way or still in history', () => {
    const house = new Archive()
    const old = house.restart('completed', START, 1000, web(1))
    const kept = house.restart('completed', START, 40 * DAY, web(2))
    house.store.write(() => house.table.insert('r-running', { ...ACCEPTED, ...web(3) }, START))
    // The one whose work is pruned was asked for last.
    const asked = { kept: [kept], running: ['r-running'], both: [old, 'r-running'], old: [old], nothing: [] }
    for (const [name, ids] of Object.entries(asked)) {
      house.store.write(() => house.table.rememberRequest(name, START, { ids }))
    }
    house.store.write(() => house.table.prune(30 * DAY))
    expect(ids(house.table.ended({}, 10))).toEqual([kept])
    const known = Object.keys(asked).filter((name) => house.table.request(name) !== null)
    expect(known).toEqual(['kept', 'running', 'both', 'nothing'])
  })

  it.each([1, 30, 400])('to %d days takes nothing because a clock was once set ten years ahead', (days) => {
    const house = new Archive()
    const before = house.restart('completed', START, 1000)
    const ahead = house.restart('completed', START + 3650 * DAY, 1000)
    house.store.write(() => house.table.prune(days * DAY))
    expect(ids(house.table.ended({}, 10))).toEqual([ahead, before])
  })
})
