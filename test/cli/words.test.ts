import { describe, expect, it } from 'vitest'
import { expectedMs, planLines } from '../../src/cli/commands/restart.ts'
import { collapsed } from '../../src/cli/event-words.ts'
import { historyLines, sparkline, statisticsLines } from '../../src/cli/commands/history.ts'
import { inOrder, psLines } from '../../src/cli/commands/ps.ts'
import { houseLines, operationLines } from '../../src/cli/commands/status.ts'
import { connectionLines, listLines } from '../../src/cli/connection-words.ts'
import { eventLine } from '../../src/cli/event-words.ts'
import { farewellLine } from '../../src/cli/follow-operations.ts'
import { algorithmWords } from '../../src/cli/renderers/words.ts'
import { errorLines } from '../../src/cli/report.ts'
import { isOlder } from '../../src/cli/session.ts'
import { longDuration, momentWords, ordinal, parseMoment } from '../../src/cli/times.ts'
import { cleanEnvironment } from '../../src/core/clean-start.ts'
import { dayOf, DEFAULT_TIMINGS } from '../../src/core/connection.ts'
import type { ConnectionView } from '../../src/core/protocol.ts'
import { ACCEPTED, record } from '../helpers/operations.ts'
import { INFO } from './daemon-stand-in.ts'
import { at, member, moving, sampleRestart, scene, sentAt, settled, USUAL } from './render-scenes.ts'

const STARTING = scene('r-7k2m9q', 'cucm-pub', '14:02:11', [
  ...sentAt('14:02:11'),
  ...moving('14:02:13', 'stopping'),
  ...moving('14:02:54', 'starting'),
]).operation
const UNKNOWN = scene('r-7k3a1x', 'cuc-1', '13:58:02', [
  ...sentAt('13:58:02'),
  settled('13:59:14', 'unknown', 'outcome unknown: connection lost'),
]).operation
const VERIFIED = scene('r-7k3a1x', 'cuc-1', '13:58:02', [
  ...sentAt('13:58:02'),
  ...moving('13:58:04', 'stopping'),
  settled('13:59:14', 'unknown', 'outcome unknown: connection lost'),
  [
    '15:10:00',
    {
      type: 'verified',
      by: 'bob',
      look: 'v-7k3b2y',
      status: 'completed',
      message: '"Cisco Tomcat" restarted, seen STOPPING then STARTED, confirmed by a later look',
      evidence: [{ what: 'service list', value: 'Cisco Tomcat[STARTED]' }],
    },
  ],
])
const WAITING = [2, 3].map((index) => member(index, '14:02:11', []).operation)
const NOW = at('14:03:54')

const CONNECTION: ConnectionView = {
  id: 1,
  name: 'cucm-pub',
  host: '10.10.0.10',
  port: 22,
  username: 'admin',
  platform: 'vos',
  service: 'Cisco Tomcat',
  credential: { type: 'sealed' },
  hostKey: { type: 'ssh-ed25519', fingerprint: `SHA256:${'A'.repeat(43)}` },
  acceptNew: false,
  algorithms: 'modern',
  algorithmsReason: null,
  algorithmsUntil: null,
  echo: true,
  enter: 'cr',
  sudo: false,
  via: null,
  hops: [],
  timings: {},
  last: null,
  loginHold: null,
  hold: null,
}

describe('ps', () => {
  it('lists what needs a person first, then what runs, waits and is over', () => {
    const done = sampleRestart().operation
    const ordered = inOrder([done, ...WAITING, STARTING, UNKNOWN])
    expect(psLines(ordered, NOW)).toEqual([
      'OP        CONNECTION  WHAT                    BY     STARTED   STATE     PCT   LEFT',
      'r-7k3a1x  cuc-1       restart "Cisco Tomcat"  alice  13:58:02  unknown   -     look',
      'r-7k2m9q  cucm-pub    restart "Cisco Tomcat"  alice  14:02:11  starting  71%   ~1m40s',
      'r-7k2x2m  web-02      restart nginx           alice  -         queued    -     next',
      'r-7k2x3m  web-03      restart nginx           alice  -         queued    -     2nd',
      'r-7k2m9q  cucm-pub    restart "Cisco Tomcat"  alice  14:02:11  done      100%  in 3m41s',
    ])
  })
})

describe('a list on a narrow terminal', () => {
  it('cuts what is done there, and nothing else', () => {
    const lines = psLines([sampleRestart().operation], NOW, 80)
    expect(lines).toEqual([
      'OP        CONNECTION  WHAT               BY     STARTED   STATE  PCT   LEFT',
      'r-7k2m9q  cucm-pub    restart "Cisco T~  alice  14:02:11  done   100%  in 3m41s',
    ])
  })
})

describe('what waits for a device', () => {
  const queued = scene('r-7k2m9r', 'cucm-pub', '14:02:20', [], { after: 'r-7k2m9q' })

  it('names the operation that has it, for as long as that runs', () => {
    expect(psLines(inOrder([queued.operation, STARTING]), NOW).slice(1)).toEqual([
      'r-7k2m9q  cucm-pub    restart "Cisco Tomcat"  alice  14:02:11  starting  71%  ~1m40s',
      'r-7k2m9r  cucm-pub    restart "Cisco Tomcat"  alice  -         queued    -    after r-7k2m9q',
    ])
    expect(psLines([queued.operation, sampleRestart().operation], NOW)[1]).toMatch(/queued +- +next$/)
  })

  it('is told by its log and by a plan', () => {
    expect(queued.recorded.map(eventLine)).toEqual([
      '14:02:20  accepted restart "Cisco Tomcat" on cucm-pub by alice, after r-7k2m9q',
    ])
    const plan = [{ id: 1, name: 'cucm-pub', service: 'Cisco Tomcat', usual: USUAL, after: 'r-7k2m9q' }]
    expect(planLines([{ id: 1, name: 'cucm-pub', host: '10.10.0.10' }], plan, {})[0]).toContain(
      'restart "Cisco Tomcat" after r-7k2m9q',
    )
  })
})

describe('history', () => {
  it('has the verdict, and whether an unknown one was accepted', () => {
    const accepted = { ...UNKNOWN, acknowledged: { by: 'bob', at: NOW } }
    expect(historyLines([accepted])).toEqual([
      'WHEN              OP        CONNECTION  WHAT                    BY     TOOK   VERDICT',
      '2026-11-22 13:58  r-7k3a1x  cuc-1       restart "Cisco Tomcat"  alice  1m12s  unknown, accepted',
    ])
  })

  it('says once where an operation stands', () => {
    expect(operationLines(STARTING, NOW)).toContain('state      starting, 71 %, about 1m40s left')
  })

  it('has both endings of an outcome that was proved later, and no time that nobody measured', () => {
    expect(historyLines([VERIFIED.operation]).at(-1)).toBe(
      '2026-11-22 13:58  r-7k3a1x  cuc-1       restart "Cisco Tomcat"  alice  -     ok; unknown until verified 2026-11-22 15:10 by bob',
    )
    const page = operationLines(VERIFIED.operation, at('15:11:00')).join('\n')
    expect(page).toContain('state      ok\n')
    expect(page).toContain('verified   by bob, 15:10:00 (v-7k3b2y)\n')
    expect(page).toContain('before     outcome unknown: connection lost, 13:59:14\n')
    expect(VERIFIED.recorded.slice(-2).map(eventLine)).toEqual([
      '13:59:14  unknown: outcome unknown: connection lost',
      '15:10:00  verified completed by bob (v-7k3b2y): "Cisco Tomcat" restarted, seen STOPPING then STARTED, confirmed by a later look',
    ])
  })
})

describe('statistics', () => {
  const run = (status: 'completed' | 'failed' | 'unknown', tookMs: number | null) => ({
    id: 'r-7k2m9q',
    status,
    completedAt: NOW,
    tookMs,
  })
  const recent = [
    ...[1, 20, 40, 60, 80, 100, 120].map((seconds) => run('completed', seconds * 1000)),
    run('failed', 600_000),
    run('unknown', 600_000),
    run('completed', null),
  ]

  it.each([
    ['heights in proportion to the longest that completed, and marks for the others', recent, '.:-=*##x?+'],
    ['the same for runs that took about the same', [118, 120, 119].map((s) => run('completed', s * 1000)), '###'],
    ['a failure alone', [run('failed', 1000)], 'x'],
    ['nothing', [], ''],
  ])('draw %s', (_, runs, text) => {
    expect(sparkline(runs)).toBe(text)
  })

  it('never round a failure away', () => {
    const item = { connection: { id: 1, name: 'a' }, operationType: 'service_restart', service: 'nginx' } as const
    const lines = [
      [0, 0, 3],
      [300, 1, 0],
      [300, 299, 0],
      [4, 1, 0],
    ].map(([runs = 0, failed = 0, notSent = 0]) => {
      const line = { ...item, runs, failed, unknown: 0, notSent, p50Ms: null, p90Ms: null, recent: [] }
      return statisticsLines([line]).at(-1)
    })
    expect(lines.map((line) => line?.split(/  +/)[3])).toEqual(['-', '<1%', '>99%', '25%'])
  })
})

describe('leaving', () => {
  it.each([
    [
      'Ctrl-C',
      [STARTING],
      null,
      'SIGINT',
      '^C left r-7k2m9q running on cucm-pub (71 %, about 1m40s left). Back: vosctl attach r-7k2m9q   Stop: vosctl cancel r-7k2m9q',
    ],
    [
      'a signal',
      [STARTING],
      null,
      'SIGTERM',
      'SIGTERM: left r-7k2m9q running on cucm-pub (71 %, about 1m40s left). Back: vosctl attach r-7k2m9q   Stop: vosctl cancel r-7k2m9q',
    ],
    [
      'what waits',
      WAITING.slice(0, 1),
      'b-41g0',
      'SIGINT',
      '^C left r-7k2x2m waiting on web-02. Back: vosctl attach r-7k2x2m   Stop: vosctl cancel r-7k2x2m',
    ],
    [
      'a batch',
      WAITING,
      'b-41g0',
      'SIGINT',
      '^C left b-41g0 running on 2 connections. Back: vosctl attach b-41g0   Stop: vosctl cancel b-41g0',
    ],
  ] as const)('by %s says what goes on, how to come back and how to stop it', (_, open, batch, signal, line) => {
    expect(farewellLine(open, batch, signal, NOW)).toBe(line)
  })
})

describe('before several are restarted', () => {
  const plan = [1, 2, 3].map((id) => ({
    id,
    name: `web-${id}`,
    service: 'nginx',
    usual: { ...USUAL, p50Ms: id * 60_000 },
  }))
  const targets = plan.map(({ id, name }) => ({ id, name, host: `10.0.0.${id}` }))

  it('lists them in their order with what they usually take', () => {
    expect(planLines(targets, plan, {})).toEqual([
      '  1.  web-1  10.0.0.1  restart nginx  usual 1m00-4m30',
      '  2.  web-2  10.0.0.2  restart nginx  usual 2m00-4m30',
      '  3.  web-3  10.0.0.3  restart nginx  usual 3m00-4m30',
      '  one after the other, until one fails, about 6m00s in all',
    ])
  })

  it.each([
    [1, 360_000],
    [2, 240_000],
    [3, 180_000],
    [9, 180_000],
  ])('expects of %d at a time %d ms', (parallel, ms) => {
    expect(expectedMs(plan, parallel)).toBe(ms)
  })

  it('expects nothing where one has never run', () => {
    expect(expectedMs([...plan, { id: 4, name: 'new', service: 'nginx', usual: null }], 1)).toBeNull()
    expect(expectedMs([], 1)).toBeNull()
  })
})

describe('the house', () => {
  it('says who needs a person, and whether one can go home', () => {
    const held = { ...CONNECTION, id: 2, name: 'uccx-1', loginHold: { since: at('13:00:00'), message: 'refused' } }
    const lines = houseLines(INFO, [CONNECTION, held], [STARTING, UNKNOWN], [], NOW)
    expect(lines[1]).toBe('2 connections   1 running   0 queued   1 unknown')
    expect(lines.slice(4)).toEqual([
      'Needs a person',
      '  cuc-1  r-7k3a1x: outcome unknown since 13:59:14. Look: vosctl verify r-7k3a1x',
      '  uccx-1  login held since 13:00:00. Then: vosctl credentials set uccx-1',
      '',
      'Not yet: 1 operation is under way (vosctl watch).',
    ])
    expect(houseLines(INFO, [CONNECTION], [], [], NOW).at(-1)).toBe('Nothing is under way, and nothing waits for you.')
    expect(houseLines(INFO, [], [], [], NOW)).toContain('No connections yet.')
    const old = { ...CONNECTION, algorithms: 'legacy-vos', algorithmsUntil: dayOf(NOW) } as const
    expect(houseLines(INFO, [old], [], [], NOW)).toContain(
      `  cucm-pub  its old algorithms are allowed until ${dayOf(NOW)} only. Then: vosctl connections edit cucm-pub --until …`,
    )
  })

  it('says who keeps hands off what, and does not count a look without an answer as a failure', () => {
    const held = { ...CONNECTION, hold: { since: at('13:00:00'), by: 'bob', reason: 'TAC case' } }
    const error = { code: 'not_confirmed', message: 'it stays unknown', hint: '' } as const
    const look = scene(
      'v-7k3b2y',
      'cuc-1',
      '14:00:00',
      [settled('14:00:02', 'failed', 'it stays unknown', { error })],
      { operationType: 'verify', subject: 'r-7k3a1x' },
    ).operation
    const lines = houseLines(INFO, [held], [look], [], NOW)
    expect(lines[2]).toBe('0 done, 0 failed in the last 5 minutes')
    expect(lines.slice(4, 6)).toEqual([
      'On hold',
      '  cucm-pub  by bob since 13:00:00: "TAC case". When it is over: vosctl release cucm-pub',
    ])
    expect(connectionLines(held, NOW)).toContain('hold        by bob since 13:00:00: "TAC case"')
    expect(listLines([held]).map((line) => line.split(/  +/).at(-1))).toEqual(['HOLD', 'by bob'])
    expect(listLines([CONNECTION])[0]).not.toContain('HOLD')
    expect(psLines([look], NOW).at(-1)).toMatch(/verify r-7k3a1x .* unknown /)
  })

  it.each<[ConnectionView['credential'], string, string]>([
    [{ type: 'none' }, 'none', 'none'],
    [{ type: 'sealed' }, 'sealed', 'password, sealed'],
    [{ type: 'helper', name: 'ops' }, 'helper:ops', 'helper:ops'],
    [{ type: 'key', path: '/k' }, 'key', 'key file /k'],
    [{ type: 'key', path: '/k', passphrase: 'sealed' }, 'key', 'key file /k, passphrase sealed'],
    [{ type: 'key', path: '/k', passphrase: 'helper:ops' }, 'key', 'key file /k, passphrase from helper:ops'],
    [{ type: 'agent', fingerprint: 'SHA256:x' }, 'agent', 'key of the agent, SHA256:x'],
    [{ type: 'prompt' }, 'prompt', 'prompt: asked at each start'],
  ])('says of the source %j: %s, and on its page: %s', (credential, short, long) => {
    const one = { ...CONNECTION, credential }
    expect(listLines([one]).at(-1)?.split(/  +/)).toContain(short)
    expect(connectionLines(one, NOW)).toContain(`credential  ${long}`)
  })

  it('says what is late, what waits for what, and how long history is kept', () => {
    const late = { ...STARTING, usual: { ...USUAL, p90Ms: 60_000 } }
    const after = { ...(WAITING[0] as typeof STARTING), batch: null, after: 'r-7k2m9q' }
    const many = Array.from({ length: 7 }, (_, index) => ({ ...after, id: `r-${index}` }))
    const lines = houseLines(INFO, [CONNECTION], [late, ...many], [], NOW)
    expect(lines[0]).toMatch(/, history is kept 400 days$/)
    expect(houseLines({ ...INFO, historyMs: null }, [CONNECTION], [], [], NOW)[0]).toMatch(/ is kept for ever$/)
    expect(lines.slice(3, 9)).toEqual([
      '',
      'Late',
      '  cucm-pub  r-7k2m9q  restart "Cisco Tomcat": starting, late 0m43s',
      '',
      'Waiting',
      '  web-02  r-0  restart nginx: after r-7k2m9q',
    ])
    expect(lines).toContain('  and 2 more: vosctl ps')
    expect(psLines([late, after], NOW).map((line) => line.split(/  +/).slice(-2))).toEqual([
      ['PCT', 'LEFT'],
      ['-', 'late 0m43s'],
      ['-', 'after r-7k2m9q'],
    ])
  })

  it('tells how a failure and an accepted unknown outcome ended', () => {
    const accepted = { ...UNKNOWN, acknowledged: { by: 'bob', at: NOW } }
    expect(houseLines(INFO, [CONNECTION], [], [accepted], NOW)).toContain(
      '  2026-11-22 13:58  r-7k3a1x  cuc-1  unknown: connection lost',
    )
  })

  it('shows one operation as a page', () => {
    const text = operationLines(sampleRestart({ reason: 'weekly' }).operation, NOW).join('\n')
    expect(text).toContain('operation  r-7k2m9q')
    expect(text).toContain('reason     weekly')
    expect(text).toContain('touched    yes')
    expect(text).toContain('evidence   service list: Cisco Tomcat[STARTED]')
  })
})

describe('what was negotiated', () => {
  it('is told in one line, both directions where they differ', () => {
    const same = { kex: 'k', hostKey: 'rsa-sha2-512', cipher: 'c', mac: '<implicit>', compression: 'none' }
    expect(algorithmWords(same)).toBe('k, rsa-sha2-512, c')
    const received = { cipher: 'd', mac: 'm', compression: 'zlib' }
    expect(algorithmWords({ ...same, mac: 'n', received })).toBe('k, rsa-sha2-512, c, n, back d m zlib')
    // As an older vosctl wrote it.
    expect(algorithmWords({ kex: 'k', cipher: 'c', mac: 'm' })).toBe('k, c, m')
  })
})

describe('connections', () => {
  it('are listed by id', () => {
    const other = {
      ...CONNECTION,
      id: 2,
      name: 'web-01',
      port: 2222,
      service: null,
      hostKey: null,
      credential: { type: 'none' },
    } as const
    expect(listLines([other, CONNECTION])).toEqual([
      'ID  NAME      PLATFORM  HOST             SERVICE       HOST KEY  CREDENTIAL  LAST',
      '1   cucm-pub  vos       10.10.0.10       Cisco Tomcat  pinned    sealed      -',
      '2   web-01    vos       10.10.0.10:2222  -             none      none        -',
    ])
    const widest = Math.max(...listLines([other, CONNECTION]).map((line) => line.length))
    for (const [columns, gone] of [
      [widest + 1, []],
      [widest, ['LAST']],
      [60, ['LAST', 'PLATFORM']],
    ] as const) {
      const [titles = ''] = listLines([other, CONNECTION], columns)
      expect(['PLATFORM', 'LAST'].filter((title) => !titles.includes(title)).toSorted()).toEqual(gone)
    }
  })

  it('show what is not as usual', () => {
    const odd = {
      ...CONNECTION,
      host: 'fe80::1',
      port: 2222,
      echo: false,
      enter: 'lf',
      acceptNew: true,
      algorithms: 'legacy-vos',
      algorithmsReason: '11.5',
      algorithmsUntil: '2027-03-31',
      timings: { promptMs: 120_000, quietMs: 50 },
    } as const
    const text = connectionLines(odd, NOW).join('\n')
    expect(text).toContain('admin@[fe80::1]:2222')
    expect(text).toContain(
      'settings    accept-new: pins the first host key that it sees, algorithms legacy-vos until 2027-03-31 (11.5), no echo check, Enter is a line feed, prompt 2m00s, quiet 50ms',
    )
    expect(Object.keys(DEFAULT_TIMINGS)).toContain('promptMs')
    expect(connectionLines({ ...odd, algorithmsUntil: null }, NOW).join('\n')).toContain(
      'legacy-vos without an end (11.5)',
    )
    expect(listLines([{ ...odd, hostKey: null }])[1]).toContain('none, accept-new')
  })
})

describe('one event as a line', () => {
  it.each(sampleRestart().recorded.map((recorded) => [recorded.event.type, recorded] as const))('%s', (_, recorded) => {
    expect(eventLine(recorded)).toMatch(/^\d\d:\d\d:\d\d {2}\S/)
  })

  it('is one for all polls in a row', () => {
    const polls = [1, 2, 1].map((times) => ({ type: 'repeated', times }) as const)
    const events = record([ACCEPTED, ...polls, { type: 'sent' }, { type: 'repeated', times: 1 }])
    expect(
      collapsed(events).map(({ seq, event }) => [seq, event.type === 'repeated' ? event.times : event.type]),
    ).toEqual([
      [1, 'accepted'],
      [4, 4],
      [5, 'sent'],
      [6, 1],
    ])
  })

  it('keeps what a device says behind its bar, as text', () => {
    const [recorded] = sampleRestart().recorded
    if (!recorded) throw new Error('a scene without events')
    const line = eventLine({ ...recorded, event: { type: 'line', text: 'a\u001b[2Jb\nr-7k2m9q done' } })
    expect(line).toMatch(/^\d\d:\d\d:\d\d {2}\| a␛b r-7k2m9q done$/)
  })
})

it('an error shows what the device said between what happened and what to do', () => {
  expect(errorLines({ message: 'It failed.\nReally.', hint: 'Look.', deviceLines: ['one\u001b[1m', 'two'] })).toEqual([
    'vosctl: It failed. / Really.',
    '    one␛',
    '    two',
    '  Look.',
  ])
})

it.each([
  ['0.1.0', '0.1.1', true],
  ['0.9.0', '0.10.0', true],
  ['1.0.0', '0.10.0', false],
  ['1.0.0', '1.0.0', false],
  ['1.0.0-rc.1', '1.0.0', false],
])('%s is older than %s: %s', (version, than, older) => {
  expect(isOlder(version, than)).toBe(older)
})

it('the daemon gets nothing of the shell that decides what it does', () => {
  const env = {
    PATH: '/bin',
    HOME: '/home/alice',
    LANG: 'C.UTF-8',
    LC_TIME: 'de_DE',
    TZ: 'UTC',
    NODE_OPTIONS: '--require evil',
    LD_PRELOAD: '/evil.so',
    SSH_AUTH_SOCK: '/agent',
    MY_SECRET: 'x',
    VOSCTL_DEBUG: '1',
  }
  expect(Object.keys(cleanEnvironment(env)).toSorted()).toEqual(['HOME', 'LANG', 'LC_TIME', 'PATH', 'TZ'])
})

it('times are as short as they can be without being wrong', () => {
  expect(momentWords(at('13:58:02'), NOW)).toBe('13:58:02')
  expect(momentWords(new Date(2026, 10, 20, 9, 5).getTime(), NOW)).toBe('11-20 09:05')
  expect(momentWords(new Date(2025, 10, 20, 9, 5).getTime(), NOW)).toBe('2025-11-20 09:05')
  expect(longDuration(6 * 86_400_000 + 3 * 3_600_000)).toBe('6d 3h')
  expect([1, 2, 3, 4, 11, 12, 21, 112].map(ordinal).join(' ')).toBe('1st 2nd 3rd 4th 11th 12th 21st 112th')
})

it.each([
  ['7d', NOW - 7 * 86_400_000],
  ['1h30m', NOW - 5_400_000],
  ['2026-11-01', new Date(2026, 10, 1).getTime()],
  ['2026-11-01 14:00', new Date(2026, 10, 1, 14).getTime()],
  ['2026-11-01T14:00:05', new Date(2026, 10, 1, 14, 0, 5).getTime()],
  ['2026-11-01T14:00:00.123Z', Date.UTC(2026, 10, 1, 14, 0, 0, 123)],
  ['2026-11-01T14:00+02:00', Date.UTC(2026, 10, 1, 12)],
  ['0', null],
  ['2026-02-31', null],
  ['2026-13-01', null],
  ['2026-11-01 25:00', null],
  ['2026-11', null],
  ['1969-12-30', null],
  ['', null],
  ['yesterday', null],
])('since "%s" is %d', (text, at) => {
  expect(parseMoment(text, NOW)).toBe(at)
})
