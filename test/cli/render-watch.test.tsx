import { stripVTControlCharacters } from 'node:util'
import { render } from 'ink-testing-library'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createFrames } from '../../src/cli/renderers/frames.ts'
import { createWatchLog, type ReadEvents } from '../../src/cli/renderers/watch-log.ts'
import { runWatch } from '../../src/cli/renderers/watch.tsx'
import { WatchBoard, type WatchFrame } from '../../src/cli/renderers/watch-board.ts'
import { Watch, type WatchActions } from '../../src/cli/views/Watch.tsx'
import { displayWidth } from '../../src/cli/renderers/width.ts'
import { layoutFor, scrollTo } from '../../src/cli/views/watch-layout.ts'
import type { Operation } from '../../src/core/operation.ts'
import {
  at,
  createSource,
  eventsOf,
  fakeIo,
  member,
  moving,
  sampleRestart,
  scene,
  sentAt,
  settled,
  until,
  USUAL,
} from './render-scenes.ts'
import { boardOf, HEADER, rawScreen, screen } from './watch-screen.tsx'

const unknown = scene(
  'r-7k3a1x',
  'cuc-1',
  '13:58:02',
  [
    ...sentAt('13:58:02'),
    ...moving('13:58:10', 'stopping'),
    settled('13:59:22', 'unknown', 'outcome unknown: connection lost 1m12s after the command was sent'),
  ],
  { createdBy: 'cron' },
)
const failed = scene(
  'r-7k31zc',
  'imp-2',
  '14:01:40',
  [
    ['14:01:40', { type: 'connecting' }],
    settled('14:01:55', 'failed', 'no answer from imp-2', {
      error: { code: 'connect_timeout', message: '', hint: '' },
    }),
  ],
  { service: 'Cisco XCP Router' },
)
const late = scene('r-7k2zqp', 'cucm-sub2', '14:00:10', [
  ...sentAt('14:00:10'),
  ...moving('14:00:12', 'stopping'),
  ...moving('14:00:53', 'starting'),
])
const running = sampleRestart()
const first = scene('r-7k2wa2', 'lab-7', '14:04:20', [...sentAt('14:04:20'), ...moving('14:04:22', 'starting')], {
  service: 'Cisco DirSync',
  usual: null,
})
const long = scene('r-7k2w0d', 'finesse-1', '14:04:30', [...sentAt('14:04:30'), ...moving('14:04:31', 'stopping')], {
  service: 'Cisco Finesse Tomcat',
})
const queued = [1, 2].map((position) =>
  scene(`r-7k2y${position}a`, `web-0${position}`, '14:05:00', [], {
    service: 'nginx',
    batch: { id: 'b-41g0', position, size: 2 },
  }),
)
const done = member(3, '14:03:00', [
  ...sentAt('14:03:11'),
  ...moving('14:03:12', 'stopping', 'nginx'),
  settled('14:03:23', 'completed', '"nginx" restarted, seen STOPPING then STARTED'),
])

const HOUSE: readonly Operation[] = [
  done.operation,
  ...queued.map(({ operation }) => operation),
  first.operation,
  long.operation,
  running.after(10),
  late.operation,
  failed.operation,
  unknown.operation,
]

describe('the screen', () => {
  const now = at('14:05:23')

  test('80x24: attention first, then late, running by start time, queued, done', () => {
    const rule = '-'.repeat(79)
    expect(screen(boardOf(HOUSE, now).frame(now), [80, 24])).toEqual([
      'vosctl watch                                                    14:05:23   live',
      '3 running, 1 late   2 queued   1 failed   1 unknown   1 done in the last 5 min',
      rule,
      '   CONNECTION   SERVICE            STATE      PROGRESS                LEFT',
      '>? cuc-1        Cisco Tomcat       unknown    [#########.......]      look',
      ' x imp-2        Cisco XCP Router   failed     [#...............]      timed out',
      ' ! cucm-sub2    Cisco Tomcat       starting   [##############..]      late 0m43',
      '   cucm-pub     Cisco Tomcat       starting   [##############..]  88% ~0m10s',
      '   lab-7        Cisco DirSync      starting   [                ]      1m03s, ?',
      '   finesse-1    Cisco Finesse Tom~ stopping   [#########.......]  59% ~2m40s',
      ' . web-01       nginx              queued     [................]      next',
      ' . web-02       nginx              queued     [................]      2nd',
      ' + web-03       nginx              done       [################] 100% in 0m12s',
      '',
      '',
      '',
      '',
      rule,
      'cuc-1  r-7k3a1x  restart "Cisco Tomcat"  by cron at 13:58:02',
      'unknown: connection lost 1m12s after the command was sent',
      'v verify on the device (read-only)    k acknowledge and free the connection',
      rule,
      'up/dn select  enter details  l log  c cancel  / filter  p pause  ? help  q quit',
    ])
  })

  test.each([
    [80, 24],
    [160, 50],
    [59, 20],
    [80, 5],
    [80, 11],
    [80, 12],
    [40, 8],
    [45, 20],
    [60, 24],
    [119, 31],
    [139, 32],
    [140, 33],
    [200, 100],
    [20, 3],
    [1, 1],
  ])('%ix%i: no line reaches the last column, and the last row stays empty', (columns, rows) => {
    const many = Array.from({ length: 60 }, (_, index) => ({ ...running.after(10), id: `r-${100000 + index}` }))
    const frame = boardOf([...HOUSE, ...many], now).frame(now)
    for (const options of [{}, { hasHelp: true }, { notice: 'no '.repeat(90) }]) {
      const lines = screen(frame, [columns, rows], options)
      expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1))
      expect(lines.filter((line) => line.length > Math.max(1, columns - 1))).toEqual([])
    }
  })

  test('59 columns: no bar', () => {
    const lines = screen(boardOf(HOUSE, now).frame(now), [59, 20])
    expect(lines[3]).toBe('   CONNECTION   SERVICE        STATE      LEFT')
    expect(lines[7]).toBe('   cucm-pub     Cisco Tomcat   starting   ~0m10s')
  })

  test('45 columns: no service either', () => {
    expect(screen(boardOf(HOUSE, now).frame(now), [45, 20])[7]).toBe('   cucm-pub     starting   ~0m10s')
  })

  test('5 rows: only the list', () => {
    expect(screen(boardOf(HOUSE, now).frame(now), [80, 5])).toEqual([
      'vosctl watch                                                    14:05:23   live',
      '3 running, 1 late   2 queued   1 failed   1 unknown   1 done in the last 5 min',
      '>? cuc-1        Cisco Tomcat       unknown    [#########.......]      look',
      ' x imp-2        Cisco XCP Router   failed     [#...............]      timed out',
    ])
  })

  test("160x50: more columns, and the device's words beside the facts", () => {
    const board = boardOf([late.operation], now)
    board.addTranscript('r-7k2zqp', late.recorded)
    const lines = screen(board.frame(now), [160, 50])
    expect(lines[0]).toContain('vosctl watch   state ~/.local/state/vosctl   daemon 1.4.0 pid 2214')
    expect(lines[4]).toBe(
      '>! r-7k2zqp cucm-sub2       Cisco Tomcat               alice      14:00:10 starting    [########################....]        5m13s  late 0m43  usual 3m20-4m30',
    )
    const text = lines.join('\n')
    expect(text).toContain('| device transcript')
    expect(text).toContain('| 14:00:12  Cisco Tomcat[STOPPING]')
    expect(text).toContain('deadline      14:20:10   (20m00s after it began)')
  })

  test('before the board has come nothing is claimed, not even that nothing runs', () => {
    const lines = screen(new WatchBoard(now).frame(now), [80, 24])
    expect(lines[0]).toBe('vosctl watch                                                 14:05:23   reading')
    expect(lines.slice(1, 16).join('')).toBe('-'.repeat(79))
  })

  test('an empty house says what to do, with commands that exist', () => {
    const lines = screen(boardOf([], now).frame(now), [80, 24])
    expect(lines[0]).toBe('vosctl watch                                                       14:05   live')
    expect(lines[1]).toBe('nothing is running')
    expect(lines[3]).toBe('Nothing is going on.')
  })

  test('while the daemon is gone nothing moves, states are in brackets, and the header counts', () => {
    const board = boardOf([running.after(10)], at('14:03:54'))
    board.receive({ type: 'disconnected', since: at('14:03:54') }, at('14:03:54'))
    const lines = screen(board.frame(at('14:04:08')), [80, 24])
    expect(lines[0]).toBe('vosctl watch                        14:04:08   reconnecting (daemon gone 0m14s)')
    expect(lines[1]).toBe('1 running   stale: as of 14:03:54')
    expect(lines[4]).toBe('>  cucm-pub     Cisco Tomcat       (starting) [###########.....]  71% ~1m40s')
  })

  test('a daemon that says nothing for longer than its heartbeat is behind', () => {
    const board = boardOf([running.after(10)], at('14:03:54'))
    expect(screen(board.frame(at('14:03:59')), [80, 24])[0]).toMatch(/14:03:59   live$/)
    expect(screen(board.frame(at('14:04:04')), [80, 24])[0]).toMatch(/14:04:04   10 s behind$/)
  })

  test('news that took longer than a second to come is told, until something comes in time', () => {
    const operation = running.after(10)
    const board = boardOf([operation], at('14:05:20'))
    const [recorded] = running.recorded.slice(9)
    if (!recorded) throw new Error('a scene has events')
    board.receive({ type: 'event', recorded: { ...recorded, at: at('14:05:17') }, operation }, at('14:05:20'))
    expect(screen(board.frame(at('14:05:21')), [80, 24])[0]).toMatch(/14:05:21 {3}3 s behind$/)
    board.receive({ type: 'heartbeat', now: at('14:05:22'), cursor: 1 }, at('14:05:22'))
    expect(screen(board.frame(at('14:05:22')), [80, 24])[0]).toMatch(/14:05:22 {3}live$/)
  })

  test('after a sleep everything is stale until the daemon was heard, however old what came first is', () => {
    const board = boardOf([running.after(10)], at('14:03:54'))
    board.frame(at('14:03:54'))
    const lines = screen(board.frame(at('14:03:58')), [80, 24])
    expect(lines[0]).toMatch(/14:03:58 {3}4 s behind$/)
    expect(lines[4]).toContain('(starting)')
    board.receive({ type: 'heartbeat', now: at('14:03:55'), cursor: 1 }, at('14:03:59'))
    expect(screen(board.frame(at('14:03:59')), [80, 24])[0]).toMatch(/behind$/)
    board.receive({ type: 'heartbeat', now: at('14:04:00'), cursor: 1 }, at('14:04:00'))
    const after = screen(board.frame(at('14:04:00')), [80, 24])
    expect(after[0]).toMatch(/live$/)
    expect(after[4]).not.toContain('(starting)')
  })

  test('an empty house shows the first steps, once it is known that it is empty', () => {
    const board = boardOf([], now)
    expect(screen(board.frame(now), [80, 24])[3]).toBe('Nothing is going on.')
    board.know({ connections: 0, holds: 0 })
    expect(screen(board.frame(now), [80, 24]).slice(3, 5)).toEqual([
      'No connections yet.',
      '  See it work first  vosctl demo',
    ])
  })

  test.each([
    ['escape sequences', '\u001b[2J\u001b[10;10Hx\u001b]0;title\u0007', 'cucm'],
    ['wide characters', '電話交換機電話交換機電話交換機', '電話交換機'],
    ['marks that turn the line round', '\u202egnp.exe\u2066', '<U+202E>'],
    ['emoji and combining marks', '👩‍👩‍👧é́́́', '👩'],
    ['line breaks and tabs', 'a\nb\r\nc\td', 'cucm'],
  ])('%s in names, services and device lines move nothing', (_, evil) => {
    const operation = scene(
      'r-7k2m9q',
      `cucm${evil}`,
      '14:05:00',
      [...sentAt('14:05:00'), ['14:05:01', { type: 'line', text: evil }]],
      { service: `${evil}x`, createdBy: evil, reason: evil },
    ).operation
    const board = boardOf([operation, late.operation], now)
    board.addTranscript('r-7k2m9q', [
      { cursor: 1, operationId: 'r-7k2m9q', seq: 1, at: now, event: { type: 'line', text: evil } },
    ])
    const frame = board.frame(now)
    const selected = frame.rows.findIndex(({ operation: { id } }) => id === 'r-7k2m9q')
    for (const size of [
      [80, 24],
      [160, 50],
      [50, 14],
    ] as const) {
      const text = rawScreen(frame, size, { selected }).replace(/\u001b\[\d+m/g, '')
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
      const lines = text.split('\n')
      expect(lines).toHaveLength(size[1] - 1)
      expect(lines.filter((line) => displayWidth(line.trimEnd()) > size[0] - 1)).toEqual([])
    }
  })

  test('device text and names cannot draw', () => {
    const evil = scene('r-7k2m9q', 'cucm\u001b[2J', '14:05:00', [
      ...sentAt('14:05:00'),
      ['14:05:01', { type: 'line', text: 'x\u001b]0;title\u0007\ny\u202e' }],
    ])
    const frame = boardOf([evil.operation], now).frame(now)
    const text = rawScreen(frame, [80, 24]).replace(/\u001b\[\d+m/g, '')
    expect(text).not.toContain('\u001b')
    expect(text).toContain('x␛ y<U+202E>')
    expect(text).toContain('cucm␛')
  })
})

describe('the board', () => {
  const ids = (frame: WatchFrame) => frame.rows.map(({ operation }) => operation.id)

  test('a finished row stays in place for 30 s, then it moves down, and after 5 minutes it leaves', () => {
    const board = boardOf([done.operation, first.operation], at('14:03:23'))
    expect(ids(board.frame(at('14:03:50')))).toEqual(['r-7k2x3m', 'r-7k2wa2'])
    expect(ids(board.frame(at('14:03:53')))).toEqual(['r-7k2wa2', 'r-7k2x3m'])
    expect(ids(board.frame(at('14:08:24')))).toEqual(['r-7k2wa2'])
  })

  test('an unknown outcome stays until somebody accepts it', () => {
    const board = boardOf([unknown.operation], at('14:00:00'))
    expect(ids(board.frame(at('23:00:00')))).toEqual(['r-7k3a1x'])
    const recorded = {
      cursor: 9000,
      operationId: 'r-7k3a1x',
      seq: unknown.operation.seq + 1,
      at: at('23:00:00'),
      event: { type: 'acknowledged', by: 'alice' },
    } as const
    const operation = { ...unknown.operation, acknowledged: { by: 'alice', at: at('23:00:00') } }
    board.receive({ type: 'event', recorded, operation }, at('23:00:00'))
    expect(board.frame(at('23:00:01')).rows[0]?.group).toBe('done')
    expect(ids(board.frame(at('23:05:01')))).toEqual([])
  })

  test('keeps only the last device lines of an operation, and forgets them with it', () => {
    const board = boardOf([], at('14:00:00'))
    const talkative = scene('r-7k2m9q', 'cucm-pub', '14:00:00', [
      ...sentAt('14:00:00'),
      ...Array.from({ length: 50 }, (_, index) => ['14:00:01', { type: 'line', text: `line ${index}` }] as const),
      settled('14:00:02', 'unknown', 'outcome unknown'),
    ])
    for (const update of eventsOf(talkative)) board.receive(update, at('14:00:02'))
    const lines = board.frame(at('14:00:02')).lines.get('r-7k2m9q') ?? []
    expect(lines).toHaveLength(20)
    expect(lines.at(-1)?.text).toBe('line 49')
    board.receive({ type: 'snapshot', operations: [], cursor: 9, gap: true }, at('14:00:03'))
    expect(board.frame(at('14:00:03')).lines.size).toBe(0)
  })

  test('polls of the device are one line, however many come', () => {
    const board = boardOf([], at('14:00:00'))
    const polled = scene('r-7k2m9q', 'cucm-pub', '14:00:00', [
      ...sentAt('14:00:00'),
      ['14:00:01', { type: 'line', text: 'Cisco Tomcat[STARTING]' }],
      ...Array.from({ length: 300 }, () => ['14:00:02', { type: 'repeated', times: 2 }] as const),
    ])
    for (const update of eventsOf(polled)) board.receive(update, at('14:00:02'))
    const text = screen(board.frame(at('14:00:03')), [160, 50]).join('\n')
    expect(text).toContain('14:00:01  Cisco Tomcat[STARTING]')
    expect(text).toContain('... 599 lines like this ...')
    expect(text).toContain('14:00:02  Cisco Tomcat[STARTING]')
  })

  test('nothing of a month of restarts is kept but what is on the board', () => {
    const board = boardOf([], 0)
    for (let day = 0; day < 3000; day++) {
      const now = day * 900_000
      const start = now - 10_000
      const recorded = done.recorded.map((one) => ({ ...one, operationId: `r-${day}`, at: start }))
      const operation = { ...done.operation, id: `r-${day}`, completedAt: start, startedAt: start, beganAt: start }
      for (const one of recorded) board.receive({ type: 'event', recorded: one, operation }, now)
      const frame = board.frame(now)
      expect(frame.rows.length).toBe(1)
      expect(frame.lines.size).toBe(1)
    }
  })

  test('200 operations make a frame in a few milliseconds', () => {
    const many = Array.from({ length: 200 }, (_, index) => ({ ...running.after(10), id: `r-${100000 + index}` }))
    const board = boardOf(many, at('14:04:00'))
    const began = performance.now()
    for (let round = 0; round < 20; round++) board.frame(at('14:04:00') + round * 250)
    expect((performance.now() - began) / 20).toBeLessThan(20)
  })
})

test.each([
  [24, { list: 12, detail: 3, hasTitles: true, hasHappenings: false, page: 18 }],
  [12, { list: 1, detail: 3, hasTitles: true, hasHappenings: false, page: 6 }],
  [11, { list: 7, detail: 0, hasTitles: true, hasHappenings: false, page: 8 }],
  [5, { list: 2, detail: 0, hasTitles: false, hasHappenings: false, page: 2 }],
  [50, { list: 29, detail: 11, hasTitles: true, hasHappenings: true, page: 44 }],
])('%i rows are shared out below the last one', (rows, expected) => {
  expect(layoutFor(rows)).toEqual(expected)
})

test.each([
  ['the selection is visible: stay', 5, 7, 10, 40, 5],
  ['above: up to it', 5, 3, 10, 40, 3],
  ['below: just down to it', 5, 15, 10, 40, 6],
  ['the list became shorter', 35, 12, 10, 13, 3],
  ['everything fits', 3, 0, 10, 4, 0],
])('scrolling: %s', (_, top, selected, size, count, expected) => {
  expect(scrollTo(top, selected, size, count)).toBe(expected)
})

describe('frames', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  test.each([
    ['busy', true, 4],
    ['idle', false, 1],
  ])('a %s house is drawn so often a second', (_, busy, expected) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
    const take = vi.fn<(now: number) => number>((now) => now)
    const frames = createFrames(take, () => busy)
    vi.advanceTimersByTime(2000)
    take.mockClear()
    vi.advanceTimersByTime(10_000)
    expect(take.mock.calls.length).toBe(expected * 10)
    frames.stop()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('a thousand updates are at most four frames, and the first one comes at once in a quiet house', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
    const take = vi.fn<(now: number) => number>((now) => now)
    const frames = createFrames(take, () => false)
    vi.advanceTimersByTime(5900)
    take.mockClear()
    frames.wake()
    vi.advanceTimersByTime(1)
    expect(take).toHaveBeenCalledTimes(1)
    for (let count = 0; count < 1000; count++) {
      frames.wake()
      vi.advanceTimersByTime(1)
    }
    expect(take.mock.calls.length).toBeLessThanOrEqual(5)
    frames.stop()
  })
})

describe('keys', () => {
  const cleanups: (() => void)[] = []
  afterEach(() => {
    for (const cleanup of cleanups.splice(0)) cleanup()
  })

  /** All operations as of now: the clock of the app is the real one. */
  function start(operations: readonly Operation[], size: readonly [number, number] = [80, 24]) {
    const shift = Date.now() - at('14:05:23')
    const board = boardOf(
      operations.map((operation) => shifted(operation, shift)),
      Date.now(),
    )
    const frames = createFrames(
      (now) => ({ ...board.frame(now), log: null }),
      () => true,
    )
    const actions = {
      cancel: vi.fn<WatchActions['cancel']>((id) => Promise.resolve(`${id} is cancelled`)),
      acknowledge: vi.fn<WatchActions['acknowledge']>((id) => Promise.resolve(`${id} acknowledged`)),
      verify: vi.fn<WatchActions['verify']>(({ connection }) => Promise.resolve(`v-1 looks at ${connection.name}`)),
      wantTranscript: vi.fn<WatchActions['wantTranscript']>(),
      openLog: vi.fn<WatchActions['openLog']>(),
      leave: vi.fn<WatchActions['leave']>(),
      stop: vi.fn<WatchActions['stop']>(),
      attach: vi.fn<WatchActions['attach']>(),
    }
    const app = render(
      <Watch frames={frames} env={{ COLUMNS: '80', LINES: '24' }} header={() => HEADER} actions={actions} />,
    )
    Object.defineProperty(app.stdout, 'columns', { value: size[0] })
    Object.defineProperty(app.stdout, 'rows', { value: size[1] })
    app.stdout.emit('resize')
    cleanups.push(frames.stop, app.unmount)
    const text = () => stripVTControlCharacters(app.lastFrame() ?? '')
    const press = async (keys: string, shows: string) => {
      app.stdin.write(keys)
      await until(() => text().includes(shows), `"${shows}" after ${JSON.stringify(keys)}`)
      return text()
    }
    return { board, frames, actions, press, text, stdin: app.stdin }
  }

  function shifted(operation: Operation, by: number): Operation {
    const move = (time: number | null) => (time === null ? null : time + by)
    return {
      ...operation,
      startedAt: operation.startedAt + by,
      beganAt: move(operation.beganAt),
      completedAt: move(operation.completedAt),
      phaseStartedAt: operation.phaseStartedAt + by,
      lastDeviceAt: move(operation.lastDeviceAt),
      phases: operation.phases.map(({ phase, at }) => ({ phase, at: at + by })),
    }
  }

  const DOWN = '\u001b[B'
  const UP = '\u001b[A'

  test('up and down move the selection and what the detail is about', async () => {
    const { press } = start(HOUSE)
    await press(DOWN, '>x imp-2')
    await press(DOWN, '>! cucm-sub2')
    await press(UP, 'imp-2  r-7k31zc  restart "Cisco XCP Router"')
    await press('\u001b[F', '>+ web-03')
    expect(await press('\u001b[H', '>? cuc-1')).not.toContain('>+')
  })

  test('the list scrolls with the selection and says where it is', async () => {
    const many = Array.from({ length: 40 }, (_, index) => ({
      ...queued[0]!.operation,
      id: `r-${1000 + index}`,
      connection: { id: index, name: `host-${String(index).padStart(2, '0')}` },
      batch: { id: 'b-41g0', position: index + 1, size: 40 },
    }))
    const { press, text } = start(many)
    await until(() => text().includes('rows 1-12 of 40'))
    await press('\u001b[6~', 'rows 2-13 of 40')
    await press('\u001b[F', 'rows 29-40 of 40')
    expect(text()).toContain('>. host-39')
  })

  test('v looks at the device of what is selected, and not of what only looked', async () => {
    const unknown = scene('r-7k3a1x', 'cuc-1', '13:58:02', [
      ...sentAt('13:58:02'),
      settled('13:59:14', 'unknown', 'outcome unknown: connection lost'),
    ]).operation
    const look = scene('v-7k3b2y', 'cuc-1', '14:00:00', [], { operationType: 'verify', subject: unknown.id }).operation
    const { press, actions } = start([unknown, look])
    await press('v', 'v-1 looks at cuc-1')
    expect(actions.verify).toHaveBeenCalledWith(expect.objectContaining({ id: 'r-7k3a1x' }))
    await press(DOWN, '>. cuc-1')
    await press('v', 'v: v-7k3b2y only looked, there is nothing to verify')
    expect(actions.verify).toHaveBeenCalledTimes(1)
  })

  test('c says why it cannot, without asking anybody', async () => {
    const { press, actions } = start([running.after(10)])
    await press('c', 'c: cannot cancel, the restart was sent at 14:02:11')
    expect(actions.cancel).not.toHaveBeenCalled()
  })

  test('c asks first, and only y cancels', async () => {
    const { press, actions } = start([queued[0]!.operation])
    await press('c', 'cancel r-7k2y1a on web-01? y/N')
    await press('n', 'not cancelled')
    expect(actions.cancel).not.toHaveBeenCalled()
    await press('c', 'cancel r-7k2y1a on web-01? y/N')
    await press('y', 'r-7k2y1a is cancelled')
    expect(actions.cancel).toHaveBeenCalledWith('r-7k2y1a')
  })

  test('c on something that has ended asks nobody', async () => {
    const { press, actions } = start([failed.operation])
    await press('c', 'c: r-7k31zc has already ended')
    expect(actions.cancel).not.toHaveBeenCalled()
  })

  test('an error of cancel is a sentence on the screen, not a crash', async () => {
    const { press, actions } = start([unknown.operation])
    actions.verify.mockRejectedValue(new Error('the connection to the daemon is lost.'))
    expect(await press('v', 'the connection to the daemon is lost.')).toContain('>? cuc-1')
  })

  test('k asks first, and only y acknowledges', async () => {
    const { press, actions } = start([unknown.operation])
    await press('k', 'acknowledge r-7k3a1x and free cuc-1? y/N')
    await press('n', 'not acknowledged')
    expect(actions.acknowledge).not.toHaveBeenCalled()
    await press('k', 'acknowledge r-7k3a1x and free cuc-1? y/N')
    await press('y', 'r-7k3a1x acknowledged')
    expect(actions.acknowledge).toHaveBeenCalledWith('r-7k3a1x')
  })

  test('k explains itself where there is nothing to acknowledge', async () => {
    const { press, actions } = start([running.after(10)])
    await press('k', 'k: the outcome of r-7k2m9q is not unknown')
    expect(actions.acknowledge).not.toHaveBeenCalled()
  })

  test('a selection belongs to its operation when rows above it come and go', async () => {
    const { press, board, frames, actions } = start([running.after(10)])
    await press('v', 'v-1 looks at cucm-pub')
    board.receive(
      { type: 'snapshot', operations: [unknown.operation, running.after(10)], cursor: 2, gap: false },
      Date.now(),
    )
    frames.wake()
    await press('v', ' ? cuc-1')
    expect(actions.verify.mock.calls.map(([{ id }]) => id)).toEqual(['r-7k2m9q', 'r-7k2m9q'])
  })

  test('what needs a person comes under the cursor until a key is pressed, and again when none was for a minute', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    cleanups.push(() => vi.useRealTimers())
    const { press, board, frames, text } = start([running.after(10)])
    const operations = [unknown.operation, running.after(10)]
    board.receive({ type: 'snapshot', operations, cursor: 2, gap: false }, Date.now())
    frames.wake()
    await until(() => text().includes('>? cuc-1'))
    await press(DOWN, 'cucm-pub  r-7k2m9q')
    vi.setSystemTime(Date.now() + 61_000)
    frames.wake()
    await until(() => text().includes('>? cuc-1'))
  })

  test('/ filters by what is typed, enter keeps it, escape shows all; the counts stay whole', async () => {
    const { press, text } = start(HOUSE)
    await press('/', '/_   enter keeps it')
    await press('web', 'filter "web" hides 6')
    expect(text()).toContain('>. web-01')
    expect(text()).not.toContain('cuc-1')
    expect(text()).toContain('1 failed   1 unknown')
    await press('\r', 'up/dn select')
    expect(text()).toContain('filter "web" hides 6')
    await press('\u001b', 'cuc-1')
    expect(text()).not.toContain('filter "')
    await press('/STARTING\r', 'filter "STARTING"')
    expect(text()).toContain('cucm-sub2')
    await press('/xyz', 'No row matches the filter; it hides 9.')
    await press('\u007f', 'filter "STARTINGxy"')
  })

  test('p lets the picture stand and counts what it does not show; what is done is about now', async () => {
    const { press, text, board, frames, actions } = start([running.after(10)])
    await press('p', 'paused, 0 changes since')
    expect(text()).toContain('(starting)')
    const ended = { ...running.operation, completedAt: Date.now() }
    for (const update of eventsOf(running, 10)) {
      board.receive(update.type === 'event' ? { ...update, operation: ended } : update, Date.now())
    }
    frames.wake()
    await until(() => text().includes('paused, 3 changes since'))
    expect(text()).toContain('(starting)')
    expect(text()).toContain('1 done in the last 5 min')
    await press('c', 'c: r-7k2m9q has already ended')
    expect(actions.cancel).not.toHaveBeenCalled()
    await press('p', '100%')
    expect(text()).not.toContain('paused')
  })

  test('a follows what runs, and says why it does not follow what has ended', async () => {
    const { press, stdin, actions } = start([failed.operation, running.after(10)])
    await press('a', 'a: r-7k31zc has already ended')
    await press(DOWN, 'cucm-pub  r-7k2m9q')
    stdin.write('a')
    await until(() => actions.attach.mock.calls.length > 0)
    expect(actions.attach.mock.calls).toEqual([['r-7k2m9q']])
  })

  test('enter shows everything of the selected one, escape goes back', async () => {
    const { press, actions } = start([failed.operation, running.after(10)])
    expect(await press('\r', 'imp-2   r-7k31zc   restart "Cisco XCP Router"')).not.toContain('CONNECTION')
    expect(await press(DOWN, 'cucm-pub   r-7k2m9q')).toContain('usual 2m30s')
    await until(() => actions.wantTranscript.mock.calls.length > 1)
    await press('\u001b', 'CONNECTION')
  })

  test('l opens the log of the selected one and closes it', async () => {
    const { press, actions } = start([running.after(10)])
    await press('l', 'reading the log of r-7k2m9q')
    await press('\u001b', 'CONNECTION')
    expect(actions.openLog.mock.calls).toEqual([['r-7k2m9q'], [null]])
  })

  test.each(['l', 'a', 'c', 'v', 'k'])('%s says that nothing is selected in an empty house', async (key) => {
    const { press } = start([])
    await press(key, `${key}: nothing is selected`)
  })

  test('? shows help, again or escape hides it', async () => {
    const { press } = start(HOUSE)
    expect(await press('?', 'cancel the selected operation')).not.toContain('CONNECTION')
    expect(await press('?', 'CONNECTION')).not.toContain('cancel the selected operation')
  })

  test('q leaves, Ctrl-C leaves and tells so', async () => {
    const { stdin, actions } = start(HOUSE)
    stdin.write('q')
    await until(() => actions.leave.mock.calls.length > 0)
    stdin.write('\u0003')
    await until(() => actions.leave.mock.calls.length > 1)
    expect(actions.leave.mock.calls).toEqual([[false], [true]])
  })

  test('on a tall screen the transcript of the selected operation is asked for', async () => {
    const { actions } = start([running.after(10)], [120, 40])
    await until(() => actions.wantTranscript.mock.calls.length > 0)
    expect(actions.wantTranscript).toHaveBeenCalledWith('r-7k2m9q')
  })
})

describe('the log', () => {
  test('is read on from its end whenever something is heard, and again after a failure', async () => {
    let written = 10
    let isGone = false
    const read = vi.fn<ReadEvents>((_, afterSeq) => {
      if (isGone) return Promise.reject(new Error('the daemon is gone'))
      return Promise.resolve(running.recorded.slice(afterSeq, written))
    })
    const log = createWatchLog(read, () => {})
    log.open('r-7k2m9q')
    await until(() => log.current()?.lines.length === 10)
    isGone = true
    written = 13
    log.heard('r-7k2m9q')
    log.heard('r-another')
    await until(() => read.mock.calls.length === 2)
    isGone = false
    log.heard(null)
    await until(() => log.current()?.lines.length === running.recorded.length)
    expect(log.current()?.lines.at(-1)).toMatch(/^14:05:52 {2}completed/)
    expect(read.mock.calls.map(([, afterSeq]) => afterSeq)).toEqual([0, 10, 10])
    log.open(null)
    expect(log.current()).toBeNull()
  })
})

describe('runWatch', () => {
  function start(signal = new AbortController().signal) {
    const fake = fakeIo({ columns: 80, rows: 24 })
    const source = createSource()
    const ended = runWatch(source.updates, {
      io: fake.io,
      signal,
      header: () => HEADER,
      readEvents: () => Promise.resolve([]),
      readHouse: () => Promise.resolve({ connections: 1, holds: 0 }),
      cancel: (id) => Promise.resolve(id),
      ack: (id) => Promise.resolve(id),
      verify: ({ id }) => Promise.resolve(id),
    })
    return { ...fake, source, ended }
  }
  const live = () => {
    const operation = running.after(10)
    const by = Date.now() - at('14:04:00')
    return { ...operation, beganAt: (operation.beganAt ?? 0) + by, startedAt: operation.startedAt + by, usual: USUAL }
  }

  test('draws on the alternate screen, leaves it, and counts what still runs', async () => {
    const { streams, stdout, source, ended } = start()
    source.push({ type: 'snapshot', operations: [live()], cursor: 1, gap: false })
    await until(() => stdout().includes('cucm-pub'))
    streams.stdin.write('q')
    expect(await ended).toEqual({ running: 1, late: 0, interrupted: false, attach: null })
    expect(stdout()).toContain('\u001b[?1049h')
    expect(stdout().lastIndexOf('\u001b[?1049l')).toBeGreaterThan(stdout().indexOf('\u001b[?1049h'))
    expect(stdout()).not.toContain('\u001b[2J')
    expect(stdout()).not.toContain('\u001b[3J')
  })

  test('ends when the signal aborts', async () => {
    const left = new AbortController()
    const { ended } = start(left.signal)
    left.abort()
    expect(await ended).toEqual({ running: 0, late: 0, interrupted: false, attach: null })
  })

  test('ends when the updates end', async () => {
    const { ended, source } = start()
    source.end()
    expect((await ended).interrupted).toBe(false)
  })
})
