import { stripVTControlCharacters } from 'node:util'
import { renderToString } from 'ink'
import { describe, expect, test, vi } from 'vitest'
import { renderLive } from '../../src/cli/renderers/ink.tsx'
import { FollowMany } from '../../src/cli/views/FollowMany.tsx'
import { FollowOne } from '../../src/cli/views/FollowOne.tsx'
import { displayWidth } from '../../src/cli/renderers/width.ts'
import { titleLines } from '../../src/cli/views/follow-lines.ts'
import { isSettled, type Operation } from '../../src/core/operation.ts'
import {
  at,
  createSource,
  eventsOf,
  fakeIo,
  followOf,
  member,
  moving,
  sampleRestart,
  scene,
  sentAt,
  settled,
  until,
} from './render-scenes.ts'

interface Options {
  readonly time: string
  readonly columns?: number
  readonly rows?: number
  readonly gone?: string
}

function one(operation: Operation, { time, columns = 80, gone }: Options): string[] {
  const goneSince = gone === undefined ? null : at(gone)
  const view = <FollowOne operation={operation} now={at(time)} columns={columns} goneSince={goneSince} />
  return drawn(renderToString(view, { columns }))
}

function many(operations: readonly Operation[], { time, columns = 80, rows = 24, gone }: Options): string[] {
  const goneSince = gone === undefined ? null : at(gone)
  const view = <FollowMany {...{ operations, columns, rows, goneSince }} now={at(time)} />
  return drawn(renderToString(view, { columns }))
}

function drawn(frame: string): string[] {
  return stripVTControlCharacters(frame)
    .split('\n')
    .map((line) => line.trimEnd())
}

describe('one operation', () => {
  test('shows its way, how far it is, and what the device said last', () => {
    expect(one(sampleRestart().after(10), { time: '14:04:34' })).toEqual([
      '',
      '  connecting 0m00s   stopping 0m41s   STARTING 1m40s   verifying',
      `  [${'#'.repeat(37)}${'.'.repeat(11)}]  79%  2m23s, ~1m00s left`,
      '  device: Cisco Tomcat[STARTING]  (1m40s ago)      usual 3m20-4m30, 11 runs',
      '',
      'Ctrl-C leaves; the restart goes on.',
    ])
  })

  test('one that waits for another says for which', () => {
    const queued = sampleRestart({ after: 'r-7k2m9p' }).after(1)
    expect(one(queued, { time: '14:02:24' }).slice(1, 3)).toEqual([
      '  WAITING 0m13s   connecting   stopping   starting   verifying',
      `  [${'.'.repeat(48)}]  waiting for r-7k2m9p`,
    ])
  })

  test('late replaces the percentage, and the deadline replaces what is usual', () => {
    expect(one(sampleRestart().after(10), { time: '14:07:24' }).slice(1, 4)).toEqual([
      '  connecting 0m00s   stopping 0m41s   STARTING 4m30s   verifying',
      `  [${'#'.repeat(42)}${'.'.repeat(6)}]  late 0m43s, after 5m13s`,
      '  device: Cisco Tomcat[STARTING]  (4m30s ago)      gives up at 14:22:11',
    ])
  })

  test('under three earlier runs there is no time left, only a question mark', () => {
    const lines = one(sampleRestart({ usual: null }).after(10), { time: '14:03:14' })
    expect(lines[2]).toMatch(/\]  60%  1m03s, \?$/)
    expect(lines[3]).toBe('  device: Cisco Tomcat[STARTING]  (20 s ago)')
  })

  test.each([
    ['before it began', 1, '  WAITING 0m01s   connecting   stopping   starting   verifying'],
    ['connecting', 2, '  CONNECTING 0m01s   stopping   starting   verifying'],
    ['after the intent, before the byte', 5, '  connecting 0m00s   SENDING 0m01s   stopping   starting   verifying'],
    ['after the byte', 6, '  connecting 0m00s   SENT 0m01s   stopping   starting   verifying'],
  ])('%s it says so', (_, count, expected) => {
    expect(one(sampleRestart().after(count), { time: '14:02:12' })[1]).toBe(expected)
  })

  test('an interruption is a step of its own, without a guess of the time left', () => {
    const lost = scene('r-7k3a1x', 'cuc-1', '14:02:11', [
      ...sentAt('14:02:11'),
      ...moving('14:02:13', 'stopping'),
      ['14:02:20', { type: 'reconciling', because: 'the connection was lost' }],
    ])
    const lines = one(lost.operation, { time: '14:02:30' })
    expect(lines[1]).toBe('  connecting 0m00s   stopping 0m07s   CHECKING 0m10s')
    expect(lines[2]).toMatch(/0m19s, \?$/)
  })

  test('while the daemon is gone the picture stands still and says from when it is', () => {
    const before = one(sampleRestart().after(10), { time: '14:03:54' })
    const gone = one(sampleRestart().after(10), { time: '14:04:08', gone: '14:03:54' })
    expect(gone.slice(0, 5)).toEqual(before.slice(0, 5))
    expect(gone[5]).toBe('daemon gone 0m14s, reconnecting; this is from 14:03:54')
  })

  test.each([40, 59, 80, 160])('fits into %i columns', (columns) => {
    const long = scene('r-7k2m9q', 'cucm-pub', '14:02:11', [
      ...sentAt('14:02:11'),
      ['14:02:13', { type: 'line', text: `日本語 ${'very long '.repeat(30)}` }],
    ])
    const lines = one(long.operation, { time: '14:02:30', columns })
    expect(lines.filter((line) => displayWidth(line) >= columns)).toEqual([])
  })

  test('100 is not printed before the verdict, whatever the number says', () => {
    const full = { ...sampleRestart().after(10), progress: 100 }
    expect(one(full, { time: '14:04:00' })[2]).toContain(' 99%')
  })

  test('the title names the device and the time', () => {
    expect(titleLines([sampleRestart().operation], null)).toEqual([
      'r-7k2m9q  restart "Cisco Tomcat" on cucm-pub (10.10.0.10)   accepted 14:02:11',
    ])
  })

  test('the title is never broken by a terminal of 80 columns', () => {
    const { operation } = sampleRestart()
    const address = { ...operation, device: '127.0.0.1:35243' }
    expect(titleLines([address], null, 80)).toEqual([
      'r-7k2m9q  restart "Cisco Tomcat" on cucm-pub (127.0.0.1:35243)',
      '          accepted 14:02:11',
    ])
  })
})

describe('several operations', () => {
  const twelve = Array.from({ length: 12 }, (_, index) =>
    member(index + 1, '14:05:00', [
      ...sentAt('14:05:00'),
      ...moving('14:05:01', 'stopping', 'nginx'),
      settled('14:05:11', 'completed', '"nginx" restarted, seen STOPPING then STARTED'),
    ]),
  )
  const operations = twelve.map(({ after, operation }, index) => (index < 4 ? operation : after(index < 7 ? 8 : 1)))
  const failed = member(3, '14:05:00', [
    ...sentAt('14:05:00'),
    settled('14:05:09', 'failed', 'unit nginx is "failed" (exit status 1)'),
  ])

  test('shows the counts, one bar over all, those that run and those that wait', () => {
    expect(many(operations, { time: '14:05:03' })).toEqual([
      '',
      '  4 of 12 done   3 running   5 waiting   0 failed     0m03s, ~0m30s left',
      `  [${'#'.repeat(34)}${'.'.repeat(40)}]`,
      `  web-05   stopping   [${'#'.repeat(17)}${'.'.repeat(15)}]  56%  ~0m10s`,
      `  web-06   stopping   [${'#'.repeat(17)}${'.'.repeat(15)}]  56%  ~0m10s`,
      `  web-07   stopping   [${'#'.repeat(17)}${'.'.repeat(15)}]  56%  ~0m10s`,
      '. web-08 web-09 web-10 web-11 web-12',
      '',
      'Ctrl-C leaves; the batch goes on.',
    ])
  })

  test('what went wrong stays visible until the end', () => {
    const lines = many([failed.operation, ...operations], { time: '14:05:03' })
    expect(lines[1]).toContain('1 failed')
    expect(lines[3]).toBe('x web-03   failed: unit nginx is "failed" (exit status 1) after 0m09s')
  })

  test.each([
    [80, 24],
    [40, 8],
    [160, 50],
    [59, 10],
  ])('is never higher than 12 lines or the screen, nor wider, at %ix%i', (columns, rows) => {
    const running = Array.from({ length: 40 }, (_, index) => twelve[index % 12]?.after(8)).filter(
      (it) => it !== undefined,
    )
    const lines = many(
      running.map((operation, index) => Object.assign({}, operation, { id: `r-${index}` })),
      { time: '14:05:03', columns, rows },
    )
    expect(lines.length).toBeLessThanOrEqual(Math.min(12, rows - 1))
    expect(lines.filter((line) => line.length >= columns)).toEqual([])
    expect(lines.join('\n')).toContain('more')
  })

  test('the title counts the connections', () => {
    expect(titleLines(operations, 'b-41g0')).toEqual([
      'b-41g0  restart nginx on 12 connections, 3 at a time   accepted 14:05:00',
    ])
  })
})

describe('the live renderer', () => {
  function start(operations: readonly Operation[], signal = new AbortController().signal) {
    const fake = fakeIo({ columns: 80, rows: 24, env: {} })
    const setRawMode = vi.fn<() => void>()
    Object.assign(fake.streams.stdin, { setRawMode })
    const source = createSource()
    const ended = renderLive(followOf(operations, { updates: source.updates, signal }), fake.io)
    return { ...fake, source, ended, setRawMode }
  }

  test('draws on stderr, reads no keys, erases no screen, and shows the cursor again', async () => {
    const scenario = sampleRestart()
    const { source, ended, stderr, stdout, setRawMode } = start([scenario.after(7)])
    await until(() => stderr().includes('STOPPING'))
    source.push(...eventsOf(scenario, 7))
    const [operation] = await ended
    expect(operation?.status).toBe('completed')
    expect(stderr().startsWith('r-7k2m9q  restart "Cisco Tomcat" on cucm-pub (10.10.0.10)   accepted 14:02:11\n')).toBe(
      true,
    )
    expect(stderr()).not.toContain('\u001b[2J')
    expect(stderr()).not.toContain('\u001b[3J')
    expect(stderr()).not.toContain('\u001b[?1049h')
    expect(stderr().lastIndexOf('\u001b[?25h')).toBeGreaterThan(stderr().lastIndexOf('\u001b[?25l'))
    expect(stdout()).toBe('')
    expect(setRawMode).not.toHaveBeenCalled()
  })

  test('those that went well become permanent, in the order in which they ended', async () => {
    const scenes = [1, 2].map((index) =>
      member(index, '14:05:00', [
        ...sentAt('14:05:00'),
        ...moving('14:05:01', 'stopping', 'nginx'),
        settled(index === 1 ? '14:05:14' : '14:05:12', 'completed', '"nginx" restarted, seen STOPPING then STARTED'),
      ]),
    )
    const [first, second] = scenes
    if (!first || !second) throw new Error('two scenes')
    const { source, ended, stderr } = start([first.after(1), second.after(1)])
    source.push(...eventsOf(second, 1))
    await until(() => stderr().includes('+ web-02   restarted in 0m12s'))
    source.push(...eventsOf(first, 1))
    expect((await ended).every(isSettled)).toBe(true)
    const text = stripVTControlCharacters(stderr())
    expect(text.indexOf('+ web-02')).toBeLessThan(text.indexOf('+ web-01   restarted in 0m14s'))
    expect(text.match(/\+ web-0/g)).toHaveLength(2)
  })

  test('leaves at once when the signal aborts, though nothing comes from the daemon', async () => {
    const left = new AbortController()
    const { ended } = start([sampleRestart().after(8)], left.signal)
    left.abort()
    expect((await ended).map(({ phase }) => phase)).toEqual(['stopping'])
  })

  test('draws nothing when everything has ended already', async () => {
    const { ended, stderr } = start([sampleRestart().operation])
    await ended
    expect(stderr()).toBe('')
  })

  test('an error of the updates comes through, and the screen is left first', async () => {
    const fake = fakeIo({ columns: 80, rows: 24 })
    const refused = new Error('the daemon does not admit this client')
    const updates = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(refused) }) }
    const ended = renderLive(followOf([sampleRestart().after(8)], { updates }), fake.io)
    await expect(ended).rejects.toThrow('does not admit')
    expect(fake.stderr()).toContain('\u001b[?25h')
  })

  test('an operation that has left the board is not waited for', async () => {
    const { source, ended } = start([sampleRestart().after(8)])
    source.push({ type: 'snapshot', operations: [], cursor: 9000, gap: true })
    expect((await ended).map(({ status }) => status)).toEqual(['in_progress'])
  })
})
