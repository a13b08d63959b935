import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { renderPlain } from '../../src/cli/renderers/plain.ts'
import type { Operation } from '../../src/core/operation.ts'
import {
  at,
  createSource,
  eventsOf,
  fakeIo,
  followOf,
  linesOf,
  member,
  moving,
  sampleRestart,
  scene,
  sentAt,
  settled,
  type Scene,
} from './render-scenes.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], now: at('14:02:11') })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Plays scenes in the order of their times, with the clock going along; resolves to the lines on stderr. */
async function play(scenes: readonly Scene[], options: { readonly env?: object; readonly verbose?: boolean } = {}) {
  const { io, stderr, stdout } = fakeIo({ env: { ...options.env } })
  const source = createSource()
  const operations = scenes.map(({ after }) => after(1))
  vi.setSystemTime(Math.min(...operations.map(({ startedAt }) => startedAt)))
  const ended = renderPlain(followOf(operations, { updates: source.updates, verbose: options.verbose ?? false }), io)
  const updates = scenes.flatMap((one) => eventsOf(one, 1))
  for (const update of updates.toSorted((a, b) => timeOf(a) - timeOf(b))) {
    await vi.advanceTimersByTimeAsync(Math.max(0, timeOf(update) - Date.now()))
    source.push(update)
    await settle()
  }
  const result = await ended
  await settle()
  expect(stdout()).toBe('')
  return { lines: linesOf(stderr()), text: stderr(), result }
}

function timeOf(update: ReturnType<typeof eventsOf>[number]): number {
  return update.type === 'event' ? update.recorded.at : 0
}

/** Lets what waits for a promise go on. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

describe('the plain renderer', () => {
  test('prints one line per fact, and a sign of life every minute', async () => {
    const { lines, text, result } = await play([sampleRestart()])
    expect(lines).toEqual([
      '14:02:11 r-7k2m9q cucm-pub accepted restart "Cisco Tomcat" (usual 3m20-4m30)',
      '14:02:13 r-7k2m9q cucm-pub stopping',
      '14:02:54 r-7k2m9q cucm-pub starting',
      '14:03:54 r-7k2m9q cucm-pub starting, 1m43s so far, about 1m40s left',
      '14:04:54 r-7k2m9q cucm-pub starting, 2m43s so far, about 0m40s left',
      '14:05:46 r-7k2m9q cucm-pub verifying',
      '14:05:52 r-7k2m9q cucm-pub done in 3m41s',
    ])
    expect(text).not.toContain('\u001b')
    expect(result[0]?.status).toBe('completed')
  })

  test('ACCESSIBLE asks for a sign of life every 30 s', async () => {
    const { lines } = await play([sampleRestart()], { env: { ACCESSIBLE: '1' } })
    expect(lines.filter((line) => line.includes('so far'))).toHaveLength(6)
  })

  test('verbose adds the steps and the device lines', async () => {
    const { lines } = await play([sampleRestart()], { verbose: true })
    expect(lines.slice(1, 8)).toEqual([
      '14:02:11 r-7k2m9q cucm-pub connecting',
      '14:02:11 r-7k2m9q cucm-pub logged in',
      '14:02:11 r-7k2m9q cucm-pub sending',
      '14:02:11 r-7k2m9q cucm-pub sent',
      '14:02:13 r-7k2m9q cucm-pub | Cisco Tomcat[STOPPING]',
      '14:02:13 r-7k2m9q cucm-pub stopping',
      '14:02:54 r-7k2m9q cucm-pub | Cisco Tomcat[STARTING]',
    ])
  })

  test('tells of silence, of lateness, and how it ended', async () => {
    const late = scene('r-7k3a1x', 'cuc-1', '14:02:11', [
      ...sentAt('14:02:11'),
      ...moving('14:02:13', 'stopping'),
      ['14:06:13', { type: 'silent', forMs: 120_000 }],
      ['14:06:42', { type: 'late', usualMs: 270_000 }],
      ['14:07:00', { type: 'reconciling', because: 'the connection was lost' }],
      settled('14:07:10', 'unknown', 'outcome unknown: no transition was seen'),
    ])
    const { lines } = await play([late])
    expect(lines.slice(5)).toEqual([
      '14:06:13 r-7k3a1x cuc-1 stopping, 4m02s so far, about 2m40s left',
      '14:06:13 r-7k3a1x cuc-1 nothing from the device for 2m00s',
      '14:06:42 r-7k3a1x cuc-1 late: stopping for longer than usual 3m20-4m30',
      '14:07:00 r-7k3a1x cuc-1 checking the device after an interruption',
      '14:07:10 r-7k3a1x cuc-1 unknown: no transition was seen',
    ])
  })

  test('who comes when it is late already hears it once, and then for how long', async () => {
    const late = scene('r-7k3a1x', 'cuc-1', '14:02:11', [
      ...sentAt('14:02:11'),
      ...moving('14:02:13', 'stopping'),
      ['14:06:42', { type: 'late', usualMs: 270_000 }],
      settled('14:08:30', 'unknown', 'outcome unknown: no transition was seen'),
    ])
    vi.setSystemTime(at('14:07:00'))
    const { io, stderr } = fakeIo()
    const source = createSource()
    const running = late.after(late.recorded.length - 1)
    const ended = renderPlain(followOf([running], { updates: source.updates }), io)
    source.push({ type: 'snapshot', operations: [running], cursor: 1, gap: false })
    await vi.advanceTimersByTimeAsync(61_000)
    source.push(...eventsOf(late, late.recorded.length - 1))
    await ended
    await settle()
    expect(linesOf(stderr()).slice(1)).toEqual([
      '14:02:13 r-7k3a1x cuc-1 stopping',
      '14:06:42 r-7k3a1x cuc-1 late: stopping for longer than usual 3m20-4m30',
      '14:08:00 r-7k3a1x cuc-1 stopping, 5m49s so far, late 1m19s',
      '14:08:30 r-7k3a1x cuc-1 unknown: no transition was seen',
    ])
  })

  test('one that waits for another says for which, and that it still does', async () => {
    const queued = scene('r-7k3a1x', 'cuc-1', '14:02:11', [settled('14:03:30', 'cancelled', 'cancelled by bob')], {
      after: 'r-7k2m9q',
    })
    const { lines } = await play([queued])
    expect(lines).toEqual([
      '14:02:11 r-7k3a1x cuc-1 accepted restart "Cisco Tomcat" (usual 3m20-4m30)',
      '14:02:11 r-7k3a1x cuc-1 waiting for r-7k2m9q',
      '14:03:11 r-7k3a1x cuc-1 waiting for r-7k2m9q, 1m00s so far',
      '14:03:30 r-7k3a1x cuc-1 not started: cancelled by bob; nothing was sent',
    ])
  })

  test('an operation that already runs is told from its beginning, at the true times', async () => {
    const one = sampleRestart()
    const { io, stderr } = fakeIo()
    const source = createSource()
    const ended = renderPlain(followOf([one.after(10)], { updates: source.updates }), io)
    source.push(...eventsOf(one, 10))
    await ended
    await settle()
    expect(linesOf(stderr())).toEqual([
      '14:02:11 r-7k2m9q cucm-pub accepted restart "Cisco Tomcat" (usual 3m20-4m30)',
      '14:02:13 r-7k2m9q cucm-pub stopping',
      '14:02:54 r-7k2m9q cucm-pub starting',
      '14:05:46 r-7k2m9q cucm-pub verifying',
      '14:05:52 r-7k2m9q cucm-pub done in 3m41s',
    ])
  })

  test('a batch has a line for its beginning, its endings and its end', async () => {
    vi.setSystemTime(at('14:05:00'))
    const first = member(
      1,
      '14:05:00',
      [
        ...sentAt('14:05:00'),
        ...moving('14:05:01', 'stopping'),
        settled('14:05:11', 'completed', '"nginx" restarted, seen STOPPING then STARTED'),
      ],
      3,
    )
    const second = member(
      2,
      '14:05:00',
      [
        ...sentAt('14:05:12'),
        ['14:05:28', { type: 'late', usualMs: 15_000 }],
        settled('14:05:40', 'failed', 'unit nginx is "failed" (exit status 1)'),
      ],
      3,
    )
    const third = member(3, '14:05:00', [settled('14:05:41', 'cancelled', 'not started: web-02 ended failed')], 3)
    const { lines } = await play([first, second, third])
    expect(lines).toEqual([
      '14:05:00 b-41g0 accepted restart nginx on 3 connections, 3 at a time',
      '14:05:11 r-7k2x1m web-01 done in 0m11s      (1/3)',
      '14:05:28 r-7k2x2m web-02 late: sent for longer than usual 0m12-0m15',
      '14:05:40 r-7k2x2m web-02 failed: unit nginx is "failed" (exit status 1)',
      '14:05:41 r-7k2x3m web-03 not started: web-02 ended failed',
      '14:05:41 b-41g0 ended: 1 ok, 1 failed, 1 not started; exit 9',
    ])
  })

  test('says that the daemon is gone, that it still is, and that it is back', async () => {
    const one = sampleRestart()
    const { io, stderr } = fakeIo()
    const source = createSource()
    const ended = renderPlain(followOf([one.after(8)], { updates: source.updates }), io)
    vi.setSystemTime(at('14:03:00'))
    source.push({ type: 'disconnected', since: at('14:03:00') })
    await settle()
    await vi.advanceTimersByTimeAsync(70_000)
    source.push({ type: 'snapshot', operations: [one.operation], cursor: 9, gap: true })
    await ended
    await settle()
    expect(linesOf(stderr()).slice(2)).toEqual([
      '14:03:00 vosctl: the daemon is gone, reconnecting',
      '14:04:00 vosctl: the daemon is gone for 1m00s, reconnecting',
      '14:04:10 vosctl: the daemon is back after 1m10s',
      '14:02:54 r-7k2m9q cucm-pub starting',
      '14:05:46 r-7k2m9q cucm-pub verifying',
      '14:05:52 r-7k2m9q cucm-pub done in 3m41s',
    ])
  })

  test('goes on waiting when nobody reads any more', async () => {
    const one = sampleRestart()
    const { io, streams } = fakeIo()
    const source = createSource()
    const ended = renderPlain(followOf([one.after(1)], { updates: source.updates }), io)
    streams.stderr.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    await settle()
    source.push(...eventsOf(one, 1))
    const [operation] = await ended
    expect(operation?.status).toBe('completed')
  })

  test('leaves when the signal aborts, with the operation as last seen', async () => {
    const one = sampleRestart()
    const left = new AbortController()
    const { io } = fakeIo()
    const ended = renderPlain(followOf([one.after(8)], { signal: left.signal }), io)
    left.abort()
    const operations: readonly Operation[] = await ended
    expect(operations.map(({ phase }) => phase)).toEqual(['stopping'])
    expect(vi.getTimerCount()).toBe(0)
  })
})
