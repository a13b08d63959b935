import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { renderJsonl, toErrorJson, toEventJson, toOperationJson } from '../../src/cli/renderers/json.ts'
import {
  at,
  createSource,
  eventsOf,
  fakeIo,
  followOf,
  linesOf,
  moving,
  sampleRestart,
  scene,
  sentAt,
  settled,
} from './render-scenes.ts'

const iso = (time: string) => new Date(at(time)).toISOString()

describe('an operation as JSON', () => {
  test('while it runs: what is unknown is null, durations say their unit', () => {
    expect(toOperationJson(sampleRestart().after(10), at('14:03:54'))).toEqual({
      schema: 'vosctl/operation/v1',
      id: 'r-7k2m9q',
      operation_type: 'service_restart',
      connection: { id: 1, name: 'cucm-pub' },
      device: '10.10.0.10:22',
      service: 'Cisco Tomcat',
      subject: null,
      created_by: 'alice',
      reason: null,
      after: null,
      batch: null,
      status: 'in_progress',
      phase: 'starting',
      progress: 71,
      message: 'the service is starting',
      effect: 'confirmed',
      exit_code: null,
      started_at: iso('14:02:11'),
      began_at: iso('14:02:11'),
      sent_at: iso('14:02:11'),
      completed_at: null,
      deadline_at: iso('14:22:11'),
      took_ms: null,
      last_device_at: iso('14:02:54'),
      last_state: 'STARTING',
      timing: {
        phase_started_at: iso('14:02:54'),
        eta_at: new Date(at('14:03:54') + 96_000).toISOString(),
        late_ms: null,
        usual_ms: { p50: 200_000, p90: 270_000, samples: 11 },
      },
      evidence: [],
      error: null,
      acknowledged: null,
      verified: null,
    })
  })

  test('after its end: exit code, time taken, evidence', () => {
    expect(toOperationJson(sampleRestart().operation, at('15:00:00'))).toMatchObject({
      status: 'completed',
      progress: 100,
      exit_code: 0,
      completed_at: iso('14:05:52'),
      took_ms: 221_000,
      timing: { eta_at: null, late_ms: null },
      evidence: [{ at: iso('14:05:51'), what: 'service list', value: 'Cisco Tomcat[STARTED]' }],
    })
  })

  test('an outcome that was proved later keeps what was said before, and takes no time that nobody measured', () => {
    const proved = scene('r-7k3a1x', 'cuc-1', '14:00:00', [
      ...sentAt('14:00:00'),
      settled('14:00:05', 'unknown', 'outcome unknown: connection lost'),
      [
        '15:10:00',
        {
          type: 'verified',
          by: 'bob',
          look: 'v-7k3b2y',
          status: 'failed',
          message: 'the service is DOWN',
          error: { code: 'service_down', message: 'the service is DOWN', hint: '' },
          evidence: [{ what: 'service list', value: 'Cisco Tomcat[STOPPED]' }],
        },
      ],
    ])
    expect(toOperationJson(proved.operation, at('16:00:00'))).toMatchObject({
      status: 'failed',
      exit_code: 1,
      completed_at: iso('14:00:05'),
      took_ms: null,
      evidence: [{ at: iso('15:10:00'), what: 'service list', value: 'Cisco Tomcat[STOPPED]' }],
      error: { name: 'service_down' },
      verified: {
        by: 'bob',
        at: iso('15:10:00'),
        look: 'v-7k3b2y',
        was: { status: 'unknown', message: 'outcome unknown: connection lost' },
      },
    })
    const [recorded] = proved.recorded.slice(-1)
    expect(recorded && toEventJson(recorded, proved.operation)).toMatchObject({
      type: 'verified',
      op: 'r-7k3a1x',
      status: 'failed',
      exit_code: 1,
      by: 'bob',
      look: 'v-7k3b2y',
      error: { name: 'service_down' },
    })
  })

  test('an error has a name, a hint and the device lines, sanitised once more', () => {
    const refused = scene('r-7k31zc', 'imp-2', '14:00:00', [
      ...sentAt('14:00:00'),
      settled('14:00:05', 'failed', 'refused', {
        error: { code: 'refused_by_device', message: 'refused', hint: '', deviceLines: ['\u009b2Jno\u0007'] },
      }),
    ])
    expect(toOperationJson(refused.operation, at('14:01:00'))).toMatchObject({
      exit_code: 1,
      error: { name: 'refused_by_device', message: 'refused', hint: null, device_lines: ['␛no'] },
    })
  })

  test('late is a number, and then there is no time of arrival', () => {
    expect(toOperationJson(sampleRestart().after(10), at('14:07:24'))['timing']).toMatchObject({
      eta_at: null,
      late_ms: 43_000,
    })
  })
})

describe('an error as JSON', () => {
  test('a refused duplicate names the one who holds the connection', () => {
    const holder = sampleRestart().after(10)
    const refusal = {
      code: 'already_running',
      message: 'cucm-pub is busy.',
      hint: 'Follow it: vosctl attach r-7k2m9q',
      connection: { id: 1, name: 'cucm-pub' },
      holder,
    } as const
    expect(toErrorJson(refusal, at('14:03:54'))).toEqual({
      schema: 'vosctl/error/v1',
      name: 'already_running',
      exit_code: 4,
      message: 'cucm-pub is busy.',
      hint: 'Follow it: vosctl attach r-7k2m9q',
      device_lines: [],
      connection: { id: 1, name: 'cucm-pub' },
      holder: {
        op: 'r-7k2m9q',
        kind: 'service_restart',
        service: 'Cisco Tomcat',
        by: 'alice',
        started_at: iso('14:02:11'),
        state: 'starting',
        ratio: 0.71,
        eta_at: new Date(at('14:03:54') + 96_000).toISOString(),
      },
    })
  })

  test('of several refused targets each is listed', () => {
    const one = { code: 'login_held', message: 'held', hint: '' } as const
    const two = { code: 'already_running', message: 'busy', hint: '' } as const
    expect(toErrorJson({ ...one, refused: [one, two] }, 0)).toMatchObject({
      exit_code: 5,
      refused: [{ exit_code: 5 }, { exit_code: 4 }],
    })
  })
})

test('every event has a line with the number of the store', () => {
  const one = sampleRestart()
  const lines = one.recorded.map((recorded, index) => toEventJson(recorded, one.after(index + 1)))
  expect(lines.map(({ type }) => type)).toEqual(
    'accepted phase authenticating phase phase sent device phase device phase phase evidence verdict'.split(' '),
  )
  expect(lines.map(({ seq }) => seq)).toEqual(one.recorded.map(({ cursor }) => cursor))
  expect(lines[7]).toMatchObject({
    v: 1,
    at: iso('14:02:13'),
    op: 'r-7k2m9q',
    connection: 'cucm-pub',
    phase: 'stopping',
    seen_in: 'output',
  })
  expect(lines[12]).toMatchObject({ status: 'completed', exit_code: 0, effect: 'confirmed', error: null })
})

describe('the jsonl renderer', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], now: at('14:02:11') })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  function start(options: { readonly from?: number; readonly signal?: AbortSignal } = {}) {
    const one = sampleRestart()
    const fake = fakeIo()
    const source = createSource()
    const operation = one.after(options.from ?? 1)
    const ended = renderJsonl(
      followOf([operation], { updates: source.updates, ...(options.signal ? { signal: options.signal } : {}) }),
      fake.io,
    )
    const lines = () => linesOf(fake.stdout()).map((line) => JSON.parse(line) as Record<string, unknown>)
    return { one, source, ended, lines, operation, fake }
  }
  const types = (lines: readonly Record<string, unknown>[]) => lines.map(({ type }) => type).join(' ')
  const turn = () => new Promise((resolve) => setImmediate(resolve))

  test('says hello, shows the board, numbers the events, and ends with the result', async () => {
    const { one, source, ended, lines, operation, fake } = start()
    const cursor = one.recorded[0]?.cursor ?? 0
    source.push({ type: 'snapshot', operations: [operation], cursor, gap: false }, ...eventsOf(one, 1))
    await ended
    await turn()
    expect(types(lines())).toBe(
      'hello snapshot phase authenticating phase phase sent device phase device phase phase evidence verdict result',
    )
    expect(lines()[0]).toMatchObject({ v: 1, seq: null, schema: 'vosctl/event/v1', operations: ['r-7k2m9q'] })
    expect(lines()[1]).toMatchObject({ seq: cursor, operations: [{ id: 'r-7k2m9q', status: 'pending' }] })
    expect(lines().at(-1)).toMatchObject({ type: 'result', exit_code: 0, operations: [{ status: 'completed' }] })
    expect(fake.stderr()).toBe('')
  })

  test('progress comes at most once a second and only when it has changed', async () => {
    const { one, source, ended, lines } = start()
    vi.setSystemTime(at('14:02:54'))
    source.push(...eventsOf(one, 1).slice(0, 9))
    await turn()
    await vi.advanceTimersByTimeAsync(10_000)
    await turn()
    const progress = lines().filter(({ type }) => type === 'progress')
    expect(progress.length).toBeGreaterThanOrEqual(2)
    expect(progress.length).toBeLessThanOrEqual(10)
    expect(new Set(progress.map((line) => line['progress'])).size).toBe(progress.length)
    expect(progress.at(-1)).toMatchObject({ seq: null, op: 'r-7k2m9q', phase: 'starting' })
    source.push(...eventsOf(one, 10))
    await ended
  })

  test('late is an event of the journal, with its number and by how much', async () => {
    const late = scene('r-7k2m9q', 'cucm-pub', '14:02:11', [
      ...sentAt('14:02:11'),
      ...moving('14:02:13', 'stopping'),
      ['14:06:43', { type: 'late', usualMs: 270_000 }],
      settled('14:07:00', 'completed', 'restarted'),
    ])
    const fake = fakeIo()
    const source = createSource()
    const ended = renderJsonl(followOf([late.after(1)], { updates: source.updates }), fake.io)
    await vi.advanceTimersByTimeAsync(600_000)
    source.push(...eventsOf(late, 1))
    await ended
    await turn()
    const lines = linesOf(fake.stdout()).map((line) => JSON.parse(line) as Record<string, unknown>)
    const { cursor } = late.recorded.find(({ event }) => event.type === 'late') ?? {}
    expect(lines.filter(({ type }) => type === 'late')).toMatchObject([
      { seq: cursor, op: 'r-7k2m9q', connection: 'cucm-pub', late_ms: 2000, usual_ms: 270_000 },
    ])
  })

  test('a lost stretch is a gap, and says after which number', async () => {
    const { source, ended, lines, one, operation } = start()
    source.push(
      { type: 'snapshot', operations: [operation], cursor: 4101, gap: false },
      { type: 'disconnected', since: at('14:03:00') },
      { type: 'snapshot', operations: [one.operation], cursor: 4200, gap: true },
    )
    await ended
    await turn()
    expect(types(lines())).toBe('hello snapshot disconnected gap snapshot result')
    expect(lines()[3]).toMatchObject({ seq: 4200, after: 4101 })
  })

  test('who leaves gets a bye, and a result without an exit code', async () => {
    const left = new AbortController()
    const { ended, lines } = start({ signal: left.signal })
    left.abort()
    await ended
    await turn()
    expect(types(lines())).toBe('hello bye result')
    expect(lines().at(-1)).toMatchObject({ exit_code: null })
  })

  test('two lines never share one line: device text cannot break out', async () => {
    const evil = scene('r-7k31zc', 'imp-2', '14:00:00', [
      ...sentAt('14:00:00'),
      ...moving('14:00:01', 'stopping'),
      ['14:00:02', { type: 'line', text: '"}\n{"type":"result"\u001b[2J' }],
      settled('14:00:05', 'failed', 'refused'),
    ])
    const fake = fakeIo()
    const source = createSource()
    const ended = renderJsonl(followOf([evil.after(1)], { updates: source.updates }), fake.io)
    source.push(...eventsOf(evil, 1))
    await ended
    await turn()
    const lines = linesOf(fake.stdout()).map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.filter(({ type }) => type === 'result')).toHaveLength(1)
    expect(fake.stdout()).not.toContain('\\u001b')
  })
})
