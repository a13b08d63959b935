import { describe, expect, it } from 'vitest'
import { apply, type Operation, type OperationEvent } from '../../src/core/operation.ts'
import { progressAt, roundedRemaining, type Usual } from '../../src/core/progress.ts'
import { quantile } from '../../src/daemon/store/operations.ts'
import { Random } from '../faults/random.ts'
import { ACCEPTED, FACTS, TOMCAT } from '../helpers/operations.ts'

/** A device whose every restart takes a known time in each phase, in milliseconds. */
type Durations = Readonly<
  Record<'connecting' | 'ready' | 'dispatching' | 'stopping' | 'starting' | 'verifying', number>
>

const START = 1_000_000
const TYPICAL: Durations = {
  connecting: 2000,
  ready: 1000,
  dispatching: 1000,
  stopping: 41_000,
  starting: 150_000,
  verifying: 6000,
}

const EVENTS: Readonly<Record<keyof Durations, OperationEvent>> = {
  connecting: { type: 'connecting' },
  ready: { type: 'ready', facts: FACTS },
  dispatching: { type: 'dispatching', command: 'utils service restart Cisco Tomcat' },
  stopping: { type: 'stopping', seenIn: 'output' },
  starting: { type: 'starting', seenIn: 'output' },
  verifying: { type: 'verifying', because: 'the prompt is back' },
}

function total(durations: Durations): number {
  return Object.values(durations).reduce((sum, ms) => sum + ms, 0)
}

/** The operation as everybody knows it `ms` after its first byte, on a device that takes these times. */
function after(ms: number, durations: Durations, usual: Usual | null): Operation {
  const timed: [number, OperationEvent][] = [[0, { ...ACCEPTED, usual }]]
  let at = 0
  for (const phase of Object.keys(EVENTS) as (keyof Durations)[]) {
    timed.push([at, EVENTS[phase]])
    if (phase === 'ready') timed.push([at, { type: 'resolved', service: TOMCAT, started: ['Cisco Tomcat'], listed: 1 }])
    at += durations[phase]
  }
  timed.push([at, { type: 'settled', status: 'completed', message: 'restarted' }])
  return timed
    .filter(([time]) => time <= ms)
    .reduce<Operation | null>(
      (operation, [time, event], index) =>
        apply(operation, { cursor: index + 1, operationId: 'r-1', seq: index + 1, at: START + time, event }),
      null,
    ) as Operation
}

/** As the daemon learns it from earlier runs. */
function learn(earlier: readonly Durations[]): Usual {
  const ofPhases = (part: number) =>
    Object.fromEntries(
      Object.keys(TYPICAL).map((phase) => [
        phase,
        quantile(
          earlier.map((one) => one[phase as keyof Durations]),
          part,
        ),
      ]),
    )
  const totals = earlier.map(total)
  return {
    runs: earlier.length,
    p50Ms: quantile(totals, 0.5),
    p90Ms: quantile(totals, 0.9),
    phases: ofPhases(0.5),
    phasesP90: ofPhases(0.9),
  }
}

function shown(ms: number, durations: Durations, usual: Usual | null) {
  return progressAt(after(ms, durations, usual), START + ms)
}

describe('on a device that always takes the same time', () => {
  const usual = learn([TYPICAL, TYPICAL, TYPICAL])

  it('the time left is right to the millisecond, from the first byte to the last', () => {
    for (let ms = 0; ms < total(TYPICAL); ms += 500) {
      expect(shown(ms, TYPICAL, usual)).toMatchObject({ remainingMs: total(TYPICAL) - ms, lateMs: null, elapsedMs: ms })
    }
  })

  it('the percentage only rises, and 100 comes with the verdict', () => {
    let last = 0
    for (let ms = 0; ms < total(TYPICAL); ms += 500) {
      const { percent } = shown(ms, TYPICAL, usual)
      expect(percent).toBeGreaterThanOrEqual(last)
      expect(percent).toBeLessThan(100)
      last = percent
    }
    expect(last).toBe(96)
    expect(shown(total(TYPICAL), TYPICAL, usual)).toMatchObject({ percent: 100, remainingMs: null, lateMs: null })
  })

  it('nothing is estimated from two runs', () => {
    expect(shown(60_000, TYPICAL, { ...usual, runs: 2 })).toMatchObject({ remainingMs: null, lateMs: null })
    expect(shown(900_000, { ...TYPICAL, starting: 1e6 }, { ...usual, runs: 2 }).lateMs).toBeNull()
  })
})

describe('on a device that takes longer this time', () => {
  const usual = learn([TYPICAL, TYPICAL, { ...TYPICAL, starting: 190_000 }])
  const slow: Durations = { ...TYPICAL, starting: 600_000 }

  it('the time left waits at the end of the phase, until it is late; then it is late by what is over', () => {
    expect(usual.p90Ms).toBe(total(TYPICAL) + 40_000)
    const median = total(TYPICAL) - TYPICAL.verifying
    for (const over of [0, 10_000, 46_000]) {
      expect(shown(median + over, slow, usual)).toMatchObject({ remainingMs: TYPICAL.verifying, lateMs: null })
    }
    expect(shown(usual.p90Ms, slow, usual).lateMs).toBeNull()
    expect(shown(usual.p90Ms + 1, slow, usual)).toMatchObject({ remainingMs: null, lateMs: 1 })
    expect(shown(usual.p90Ms + 300_000, slow, usual).lateMs).toBe(300_000)
  })

  it('hardly anything is left, and not "nobody knows", while it verifies for longer than usual', () => {
    const verifying: Durations = { ...TYPICAL, verifying: 30_000 }
    const { remainingMs } = shown(total(TYPICAL) + 10_000, verifying, usual)
    expect(remainingMs).toBe(0)
    expect(roundedRemaining(remainingMs ?? -1)).toBe(5000)
  })
})

describe('on a device whose times are drawn from a known distribution', () => {
  const random = new Random(7)
  const draw = (): Durations => ({
    ...TYPICAL,
    stopping: 30_000 + random.below(22_000),
    starting: 110_000 + random.below(80_000),
  })
  const fifty = learn(Array.from({ length: 50 }, draw))
  const runs = Array.from({ length: 1000 }, draw)

  it('one of ten is called late, and the median error is no more than the distribution makes it', () => {
    const late = runs.filter((one) => total(one) > fifty.p90Ms).length
    expect(late / runs.length).toBeGreaterThan(0.05)
    expect(late / runs.length).toBeLessThan(0.15)
    const median = (part: number) => {
      const errors = runs.flatMap((one) => {
        const ms = Math.round(total(one) * part)
        const { remainingMs } = shown(ms, one, fifty)
        return remainingMs === null ? [] : [Math.abs(remainingMs - (total(one) - ms))]
      })
      return quantile(errors, 0.5)
    }
    const [first, half, last] = [median(0.1), median(0.5), median(0.95)]
    // Half of the runs are within a quarter of the width of both ranges around the middle.
    expect(Math.max(first, half)).toBeLessThan((22_000 + 80_000) / 4)
    expect(last).toBeLessThan(half / 2)
  })
})
