import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Usual } from '../../src/core/progress.ts'
import { House } from '../helpers/manager.ts'
import { ACCEPTED, play } from '../helpers/operations.ts'
import { ScriptedDevice } from '../helpers/scripted-device.ts'
import { GOOD, stuckIn } from '../helpers/stuck-device.ts'

/** Both clocks of the house, and the timers, moved by hand. */
function virtual() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const time = { steady: 0 }
  const monotonic = () => time.steady
  /** @param wallMs how far the wall clock goes meanwhile */
  const pass = (house: House, ms: number, wallMs = ms) => {
    time.steady += ms
    house.clock += wallMs
    vi.advanceTimersByTime(ms)
  }
  return { monotonic, pass }
}

async function turns(count = 40): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate()
}

/** Three restarts of 7 s are known here, each step of the device one second; the fourth stands still at its first poll. */
async function learned() {
  const time = virtual()
  const house = new House(() => new ScriptedDevice({ ...GOOD, pause: () => time.pass(house, 1000) }), time)
  const connection = house.add('cucm-pub')
  for (let run = 0; run < 3; run++) {
    house.start(connection)
    await turns()
  }
  const device = stuckIn('observation', 2)
  house.crash(device.open)
  const operation = house.start(connection).operations[0]
  await turns()
  const p90Ms = operation?.usual?.p90Ms ?? 0
  expect([operation?.usual?.runs, p90Ms > 5000]).toEqual([3, true])
  const id = operation?.id ?? ''
  const late = () => house.seen.filter((one) => one.operationId === id && one.event.type === 'late')
  return { ...time, house, device, connection, id, p90Ms, late }
}

describe('a restart that takes longer than nine of ten', () => {
  it('is called late once, when it is, and goes on', async () => {
    const { house, device, id, p90Ms, late, pass } = await learned()
    pass(house, p90Ms)
    expect(late()).toEqual([])
    pass(house, 1)
    expect(late()).toMatchObject([{ event: { type: 'late', usualMs: p90Ms } }])
    expect(house.manager.get(id)).toMatchObject({ phase: 'dispatching', lateAt: house.clock })
    pass(house, 600_000)
    device.release()
    await turns()
    expect(house.manager.get(id)).toMatchObject({ status: 'completed' })
    expect(late()).toHaveLength(1)
    expect(house.log).toEqual([])
    const seqs = house.store.operations.events(id, 0, 100).map(({ seq }) => seq)
    expect(seqs).toEqual(seqs.map((_, index) => index + 1))
  })

  it('is not called late when it ended in time, and leaves no timer but that of the board', async () => {
    const { house, device, id, p90Ms, late, pass } = await learned()
    pass(house, p90Ms - 1)
    device.release()
    await turns()
    expect(house.manager.get(id).status).toBe('completed')
    house.manager.stopSweeping()
    expect(vi.getTimerCount()).toBe(0)
    pass(house, 600_000)
    expect(late()).toEqual([])
  })

  it.each([
    ['ahead', 3_600_000],
    ['back', -3_600_000],
  ])('is called late by the time that has passed, when the clock is set %s meanwhile', async (_, byMs) => {
    const { house, p90Ms, late, pass } = await learned()
    pass(house, 1, byMs)
    pass(house, p90Ms - 1)
    expect(late()).toEqual([])
    pass(house, 1)
    expect(late()).toHaveLength(1)
    expect(house.seen.filter(({ event }) => event.type === 'clock')).toMatchObject([{ event: { byMs: byMs - 1 } }])
  })

  it('is looked at again when the timer went off and too little time had passed', async () => {
    const { house, p90Ms, late, pass } = await learned()
    vi.advanceTimersByTime(p90Ms + 1)
    expect(late()).toEqual([])
    pass(house, p90Ms + 1)
    expect(late()).toHaveLength(1)
  })

  it('is called late by the daemon that takes it over, unless the one before it has said so', async () => {
    const { house, id, p90Ms, late, pass } = await learned()
    const stuck = stuckIn('services')
    house.crash(stuck.open)
    await turns()
    expect(house.manager.get(id).phase).toBe('reconciling')
    pass(house, p90Ms + 1)
    expect(late()).toHaveLength(1)
    house.crash(stuckIn('services').open)
    await turns()
    pass(house, 600_000)
    expect(late()).toHaveLength(1)
  })

  it('keeps no timer for what a daemon leaves behind', async () => {
    const { house } = await learned()
    await house.manager.drain(AbortSignal.abort())
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('what is usual', () => {
  const teach = (house: House, id: number, service: string, seconds: readonly number[]) => {
    const connection = house.store.connections.get(id)
    for (const [run, length] of seconds.entries()) {
      const at = house.clock + run
      const phases = [
        { phase: 'accepted', at: at - length * 1000 },
        { phase: 'stopping', at: at - length * 1000 },
        { phase: 'settled', at },
      ] as const
      const times = { beganAt: at - length * 1000, completedAt: at }
      const operation = { ...play([ACCEPTED]), connection, service, phases, ...times }
      house.store.write(() => house.store.operations.learn(operation, 'vos'))
    }
  }
  const usual = (house: House, id: number, service: string): Usual | null =>
    house.store.operations.usual(house.store.connections.get(id), 'service_restart', service)

  it('is the median and the 90th percentile, of the whole and of each phase', () => {
    const house = new House(() => new ScriptedDevice())
    const id = house.add('a')
    teach(house, id, 'x', [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110])
    expect(usual(house, id, 'X')).toEqual({
      runs: 11,
      p50Ms: 60_000,
      p90Ms: 100_000,
      phases: { accepted: 0, stopping: 60_000 },
      phasesP90: { accepted: 0, stopping: 100_000 },
    })
  })

  it('comes from the whole platform until three runs are known here', () => {
    const house = new House(() => new ScriptedDevice())
    const [a, b] = [house.add('a', '10.0.0.1'), house.add('b', '10.0.0.2')]
    expect(usual(house, a, 'x')).toBeNull()
    teach(house, b, 'x', [100, 100, 100, 100])
    teach(house, a, 'x', [10, 10])
    expect(usual(house, a, 'x')).toMatchObject({ runs: 6, p50Ms: 100_000 })
    expect(usual(house, a, 'y')).toBeNull()
    teach(house, a, 'x', [10])
    expect(usual(house, a, 'x')).toMatchObject({ runs: 3, p50Ms: 10_000 })
    expect(usual(house, b, 'x')).toMatchObject({ runs: 4, p50Ms: 100_000 })
  })

  it('is kept of the last fifty runs', () => {
    const house = new House(() => new ScriptedDevice())
    const id = house.add('a')
    teach(house, id, 'x', [...Array.from({ length: 10 }, () => 1000), ...Array.from({ length: 50 }, () => 10)])
    expect(usual(house, id, 'x')).toMatchObject({ runs: 50, p90Ms: 10_000 })
  })
})
