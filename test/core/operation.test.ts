import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { apply, type Operation, type OperationEvent, type SettledStatus } from '../../src/core/operation.ts'
import { progressAt } from '../../src/core/progress.ts'
import { ACCEPTED, FACTS, play, record, TOMCAT, UNTIL_DISPATCH } from '../helpers/operations.ts'

const settled = (status: SettledStatus): OperationEvent => ({ type: 'settled', status, message: status })
const MOVED: OperationEvent[] = [
  { type: 'sent' },
  { type: 'stopping', seenIn: 'output' },
  { type: 'starting', seenIn: 'output' },
]

describe('apply', () => {
  it('walks a restart through its milestones', () => {
    const events = [
      ...UNTIL_DISPATCH,
      ...MOVED,
      { type: 'verifying', because: 'x' },
      settled('completed'),
    ] as OperationEvent[]
    const seen = events.map((_, index) => {
      const { phase, progress, status } = play(events.slice(0, index + 1))
      return `${phase} ${progress} ${status}`
    })
    expect(seen).toEqual([
      'accepted 0 pending',
      'connecting 10 in_progress',
      'connecting 10 in_progress',
      'ready 30 in_progress',
      'ready 30 in_progress',
      'dispatching 50 in_progress',
      'dispatching 50 in_progress',
      'stopping 50 in_progress',
      'starting 60 in_progress',
      'verifying 90 in_progress',
      'settled 100 completed',
    ])
  })

  it('changes nothing for an event that it has already seen', () => {
    const events = record(UNTIL_DISPATCH)
    const operation = events.reduce<Operation | null>(apply, null) as Operation
    for (const event of events) expect(apply(operation, event)).toBe(operation)
  })

  it('refuses an event that comes too early, because the one between was lost', () => {
    const events = record([...UNTIL_DISPATCH, { type: 'sent' }])
    const operation = play(UNTIL_DISPATCH.slice(0, 3))
    expect(() => apply(operation, events[4] as never)).toThrow('event 5 after 3')
  })

  it.each([
    ['completed before anything was sent', UNTIL_DISPATCH.slice(0, 4), 'completed'],
    ['completed after sending without evidence', [...UNTIL_DISPATCH, { type: 'sent' }], 'completed'],
    ['cancelled after the intent', UNTIL_DISPATCH, 'cancelled'],
    ['interrupted after the byte left', [...UNTIL_DISPATCH, { type: 'sent' }], 'interrupted'],
    ['failed without being touched, after the intent', UNTIL_DISPATCH, 'failed'],
    ['unknown before the intent', UNTIL_DISPATCH.slice(0, 4), 'unknown'],
  ] as const)('refuses to claim %s', (_, events, status) => {
    expect(() => play([...(events as OperationEvent[]), settled(status)])).toThrow('cannot be claimed')
  })

  it.each([
    ['a second acceptance', [ACCEPTED, ACCEPTED]],
    ['dispatching without a login', [ACCEPTED, { type: 'connecting' }, { type: 'dispatching', command: 'x' }]],
    ['anything after the end', [ACCEPTED, settled('cancelled'), { type: 'connecting' }]],
    ['an acknowledgement of a known ending', [ACCEPTED, settled('cancelled'), { type: 'acknowledged', by: 'bob' }]],
  ] as const)('refuses %s', (_, events) => {
    expect(() => play(events as never)).toThrow('r-7k2m9q: ')
  })

  it('does not go back to ready for the login that looks at the device', () => {
    const operation = play([
      ...UNTIL_DISPATCH,
      { type: 'sent' },
      { type: 'reconciling', because: 'lost' },
      { type: 'ready', facts: FACTS },
    ])
    expect(operation.phase).toBe('reconciling')
  })
})

describe('progress', () => {
  const usual = {
    runs: 3,
    p50Ms: 220_000,
    p90Ms: 270_000,
    phases: { connecting: 2000, ready: 1000, stopping: 40_000, starting: 160_000, verifying: 10_000 },
  }
  const started = play([{ ...ACCEPTED, usual }, ...UNTIL_DISPATCH.slice(1), ...MOVED])

  it('tells no time left before three runs', () => {
    const two = play([{ ...ACCEPTED, usual: { ...usual, runs: 2 } }, { type: 'connecting' }])
    expect(progressAt(two, two.startedAt + 5000).remainingMs).toBeNull()
    expect(progressAt(started, started.phaseStartedAt + 60_000).remainingMs).toBe(110_000)
  })

  it('waits at the edge of a phase instead of creeping on', () => {
    expect(progressAt(started, started.phaseStartedAt + 160_000).percent).toBe(89)
    expect(progressAt(started, started.phaseStartedAt + 900_000).percent).toBe(89)
  })

  it('is late past the 90th percentile, and then tells no time left', () => {
    const late = progressAt(started, (started.beganAt ?? 0) + 313_000)
    expect(late).toMatchObject({ lateMs: 43_000, remainingMs: null })
  })

  it('stands still while the device is looked at after an interruption', () => {
    const operation = play([...UNTIL_DISPATCH, ...MOVED, { type: 'reconciling', because: 'lost' }])
    expect(progressAt(operation, operation.phaseStartedAt + 1e6).percent).toBe(60)
  })

  it('never falls, whatever happens and however the time goes, and reaches 100 only with the verdict', () => {
    const later: OperationEvent[] = [
      { type: 'sent' },
      { type: 'stopping', seenIn: 'output' },
      { type: 'starting', seenIn: 'output' },
      { type: 'stopping', seenIn: 'output' },
      { type: 'line', text: 'x' },
      { type: 'reconciling', because: 'lost' },
      { type: 'verifying', because: 'x' },
      { type: 'silent', forMs: 1 },
    ]
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...later), { maxLength: 20 }),
        fc.array(fc.nat(400_000), { maxLength: 30 }),
        (events, waits) => {
          let operation: Operation | null = null
          let last = 0
          let at = 1_000_000
          for (const [index, event] of [{ ...ACCEPTED, usual }, ...UNTIL_DISPATCH.slice(1), ...events].entries()) {
            at += waits[index % Math.max(1, waits.length)] ?? 0
            try {
              operation = apply(operation, {
                cursor: index,
                operationId: 'r-1',
                seq: (operation?.seq ?? 0) + 1,
                at,
                event,
              })
            } catch {
              continue
            }
            for (const wait of [0, 1000, 1e6]) {
              const { percent } = progressAt(operation, at + wait)
              expect(percent).toBeLessThan(100)
              if (wait === 0) {
                expect(percent).toBeGreaterThanOrEqual(last)
                last = percent
              }
            }
          }
        },
      ),
    )
  })

  it('keeps the percentage shown within a phase when the next phase begins', () => {
    const stopping = play([{ ...ACCEPTED, usual }, ...UNTIL_DISPATCH.slice(1), ...MOVED.slice(0, 2)])
    const shown = progressAt(stopping, stopping.phaseStartedAt + 1e6).percent
    expect(progressAt(started, started.phaseStartedAt).percent).toBeGreaterThan(shown)
  })

  it('knows the exact service after it was resolved', () => {
    expect(play(UNTIL_DISPATCH).baseline?.service).toEqual(TOMCAT)
  })
})
