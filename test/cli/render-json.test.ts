import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { toErrorJson, toEventJson, toOperationJson } from '../../src/cli/renderers/json.ts'
import { EventLines, renderJsonl } from '../../src/cli/renderers/jsonl.ts'
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
import { FACTS } from '../helpers/operations.ts'

const iso = (time: string) => new Date(at(time)).toISOString()

describe('an operation as JSON', () => {
  test('while it runs: what is unknown is null, durations say their unit', () => {
    expect(toOperationJson(sampleRestart().after(10), at('14:03:54'))).toEqual({
      schema: 'vosctl/operation/v1',
      id: 'r-7k2m9q',
      operation_type: 'service_restart',
      connection: { id: 1, name: 'cucm-pub' },
      device: '10.10.0.10:22',
      via: [],
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
        late_at: null,
        late_ms: null,
        usual_ms: { p50: 200_000, p90: 270_000, samples: 11 },
      },
      session: {
        host_key: FACTS.hostKey,
        software: 'OpenSSH_8.0',
        algorithms: { ...FACTS.algorithms, compression: null, host_key: null, received: null },
        method: 'password',
        login_ms: 1900,
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

  function start(options: { readonly from?: number; readonly cursor?: number; readonly signal?: AbortSignal } = {}) {
    const one = sampleRestart()
    const fake = fakeIo()
    const source = createSource()
    const operation = one.after(options.from ?? 1)
    const updates = Object.assign(source.updates, options.cursor === undefined ? {} : { cursor: options.cursor })
    const ended = renderJsonl(
      followOf([operation], { updates, ...(options.signal ? { signal: options.signal } : {}) }),
      fake.io,
    )
    const lines = () => linesOf(fake.stdout()).map((line) => JSON.parse(line) as Record<string, unknown>)
    return { one, source, ended, lines, operation, fake }
  }
  const types = (lines: readonly Record<string, unknown>[]) => lines.map(({ type }) => type).join(' ')
  const turn = () => new Promise((resolve) => setImmediate(resolve))

  test('says hello, shows the board, numbers the events, and ends with the result', async () => {
    const cursor = 4100
    const { one, source, ended, lines, fake } = start({ cursor })
    source.push(...eventsOf(one, 1))
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

  test('late is an event like the others, and says by how much', () => {
    const one = scene('r-7k2m9q', 'cucm-pub', '14:02:11', [
      ...sentAt('14:02:11'),
      ...moving('14:02:54', 'starting'),
      ['14:07:00', { type: 'late', usualMs: 270_000 }],
    ])
    const [late] = one.recorded.slice(-1)
    expect(late && toEventJson(late, one.operation)).toMatchObject({ type: 'late', usual_ms: 270_000, late_ms: 19_000 })
  })

  test('a lost stretch is a gap, and says after which number', async () => {
    const { source, ended, lines, one } = start({ cursor: 4101 })
    source.push(
      { type: 'disconnected', since: at('14:03:00') },
      { type: 'snapshot', operations: [one.operation], cursor: 4200, gap: true },
    )
    await ended
    await turn()
    expect(types(lines())).toBe('hello snapshot disconnected gap snapshot result')
    expect(lines()[3]).toMatchObject({ seq: 4200, after: 4101, from: 4201 })
    expect(lines()[4]).toMatchObject({ seq: 4200, gap: true })
  })

  test('who leaves gets a bye, and a result without an exit code', async () => {
    const left = new AbortController()
    const { ended, lines } = start({ signal: left.signal })
    left.abort()
    await ended
    await turn()
    expect(types(lines())).toBe('hello snapshot bye result')
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

describe('the lines of a stream', () => {
  function stream() {
    const said: Record<string, unknown>[] = []
    let now = at('14:00:00')
    const lines = new EventLines(
      (line) => said.push(JSON.parse(line) as Record<string, unknown>),
      () => now,
    )
    const beat = (time: string, cursor = 4000) => {
      now = at(time)
      lines.take({ type: 'heartbeat', now, cursor })
    }
    return { lines, said, beat, types: () => said.map(({ type }) => type).join(' ') }
  }
  const missedBy = (numbers: readonly number[]) => {
    const { recorded, after } = sampleRestart()
    return numbers.map((cursor, index) => {
      const event = recorded[index]
      if (!event) throw new Error('the sample is too short')
      return { recorded: { ...event, cursor }, operation: after(index + 1) }
    })
  }

  test('a silent stream says soon that it lives, and then once a minute, with the place that it has reached', () => {
    const { lines, said, beat, types } = stream()
    lines.hello({})
    lines.snapshot([], 17)
    for (const time of ['14:00:05', '14:00:10', '14:01:00', '14:01:05', '14:01:10']) beat(time)
    expect(types()).toBe('hello snapshot heartbeat heartbeat')
    expect(said[3]).toMatchObject({ seq: 17, at: iso('14:01:05') })
    lines.say('disconnected')
    for (const time of ['14:01:15', '14:02:05', '14:02:10']) beat(time)
    expect(types()).toBe('hello snapshot heartbeat heartbeat disconnected heartbeat')
  })

  test.each<[string, readonly number[], string]>([
    ['nothing is missing', [11, 12, 13], '11 12 13'],
    ['the beginning was pruned', [12, 13], 'gap 10-12, 12 13'],
    ['a piece was pruned', [11, 13], '11 gap 11-13, 13'],
    ['the end was pruned', [11, 12], '11 12 gap 12-14,'],
    ['all of it was pruned', [], 'gap 10-14,'],
  ])('after a cut, when %s', (_, numbers, expected) => {
    const { lines, said } = stream()
    lines.missed({ from: 10, passed: missedBy(numbers) }, 13, true, () => true)
    const words = said.map(({ type, seq, after, from }) =>
      type === 'gap' ? `gap ${Number(after)}-${Number(from)},` : String(seq),
    )
    expect(words.join(' ')).toBe(expected)
    expect(said.at(-1)).toMatchObject({ seq: 13 })
  })

  test.each([
    ['too far behind', { from: 10, passed: null }],
    ['of another journal', { from: 9000, passed: [] }],
  ])('a place %s is one gap up to the snapshot', (_, missed) => {
    const { lines, said } = stream()
    lines.missed(missed, 6000, true, () => true)
    expect(said).toEqual([expect.objectContaining({ type: 'gap', after: missed.from, from: 6001, seq: 6000 })])
  })
})
