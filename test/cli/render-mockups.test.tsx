import { describe, expect, test } from 'vitest'
import type { OperationEvent } from '../../src/core/operation.ts'
import type { Usual } from '../../src/core/progress.ts'
import { FACTS } from '../helpers/operations.ts'
import { at, moving, scene, sentAt, settled, USUAL, type Scene, type Timed } from './render-scenes.ts'
import { boardOf, screen } from './watch-screen.tsx'

/**
 * The two drawings of `watch` in the plans, line by line, with the operations that they show. Where ours differs from the
 * drawing the difference is listed with its reason, so that nothing differs by accident.
 */

const NOW = at('14:05:23')
const RULE = '-'.repeat(79)
const WIDE_RULE = '-'.repeat(159)

/** What stands in the drawing, what stands on our screen, and why. */
type Deviation = readonly [drawn: string, ours: string, because: string]

/** The drawing with the deviations in it; every one must be about something that is drawn, once. */
function withDeviations(drawn: readonly string[], deviations: readonly Deviation[]): string[] {
  const text = deviations.reduce((before, [from, to]) => {
    expect(before.split(from)).toHaveLength(2)
    return before.replace(from, () => to)
  }, drawn.join('\n'))
  return text.split('\n')
}

/** Durations in seconds, so that a bar stands where the drawing has it. */
function usual(stopping: number, starting: number, rest: Partial<Usual['phases']> = {}): Usual {
  return { ...USUAL, phases: { stopping: stopping * 1000, starting: starting * 1000, ...rest } }
}

const batchOf = (id: string, position: number, size: number) => ({ batch: { id, position, size } })

/** Under way since `start`, in this phase since `time`. */
function inPhase(start: string, phase: 'stopping' | 'starting', time: string): Timed[] {
  return [...sentAt(start), ...moving(start, 'stopping'), ...(phase === 'starting' ? moving(time, 'starting') : [])]
}

const line = (text: string): OperationEvent => ({ type: 'line', text })

const unknown = (createdBy: string) =>
  scene(
    'r-7k3a1x',
    'cuc-1',
    '13:58:02',
    [
      ...sentAt('13:58:02'),
      settled('13:59:14', 'unknown', 'outcome unknown: connection lost 1m12s after the command was sent'),
    ],
    { createdBy, usual: usual(40, 150, { dispatching: 144_000 }) },
  )
const failed = scene(
  'r-7k31zc',
  'imp-2',
  '13:51:40',
  [...inPhase('13:51:40', 'starting', '13:52:40'), settled('14:01:40', 'failed', 'the service is DOWN')],
  { service: 'Cisco XCP Router', usual: usual(77, 23) },
)
const late = (request: object) =>
  scene(
    'r-7k2zqp',
    'cucm-sub2',
    '14:00:10',
    [
      ['14:00:10', { type: 'connecting' }],
      [
        '14:00:12',
        {
          type: 'ready',
          facts: { ...FACTS, hostKey: { type: 'ssh-ed25519', fingerprint: `SHA256:3k${'A'.repeat(39)}Qe` } },
        },
      ],
      ['14:00:12', { type: 'dispatching', command: 'utils service restart Cisco Tomcat' }],
      ['14:00:12', { type: 'sent' }],
      ['14:00:12', { type: 'stopping', seenIn: 'output' }],
      ['14:00:12', line('admin:')],
      ['14:00:13', line('admin:utils service restart Cisco Tomcat')],
      ['14:00:14', line('Service Manager is running')],
      ['14:00:15', line('Cisco Tomcat[STOPPING]')],
      ['14:00:52', { type: 'repeated', times: 1 }],
      ['14:00:53', { type: 'starting', seenIn: 'output' }],
      ['14:00:53', line('Cisco Tomcat[STARTING]')],
      ['14:05:20', { type: 'repeated', times: 25 }],
    ],
    {
      usual: { ...usual(35, 160), phasesP90: { stopping: 50_000, starting: 215_000 } },
      deadlineMs: 900_000,
      ...request,
    },
  )
const publisher = scene('r-7k2m9q', 'cucm-pub', '14:02:11', inPhase('14:02:11', 'starting', '14:04:31'), {
  usual: usual(40, 130),
})
const subscriber = scene('r-7k2vv1', 'cucm-sub1', '14:04:31', inPhase('14:04:31', 'stopping', ''), {
  service: 'Cisco CallManager',
  createdBy: 'bob',
  usual: usual(100, 120),
})
const finesse = (request: object) =>
  scene('r-7k2w0d', 'finesse-1', '14:02:20', inPhase('14:02:20', 'starting', '14:05:05'), {
    service: 'Cisco Finesse Tomcat',
    usual: usual(37, 122),
    ...request,
  })
const uccx = (request: object) =>
  scene(
    'r-7k2w3h',
    'uccx-1',
    '14:01:02',
    [
      ...inPhase('14:01:02', 'starting', '14:01:40'),
      ['14:05:17', { type: 'verifying', because: 'the command has ended' }],
    ],
    { usual: usual(40, 150, { verifying: 7_000 }), ...request },
  )
const web1 = scene('r-7k2w88', 'web-01', '14:05:20', [['14:05:20', { type: 'connecting' }]], {
  service: 'nginx',
  createdBy: 'cron',
  usual: usual(3, 6, { connecting: 6_000 }),
})
const lab = scene('r-7k2wa2', 'lab-7', '14:04:20', inPhase('14:04:20', 'starting', '14:04:22'), {
  service: 'Cisco DirSync',
  createdBy: 'carol',
  usual: null,
})
function queued(id: string, name: string, start: string, request: object): Scene {
  return scene(id, name, start, [], { service: 'nginx', ...request })
}
/** In 12 s. */
function done(id: string, name: string, start: string): Scene {
  const end = new Date(at(start) + 12_000).toTimeString().slice(0, 8)
  return scene(
    id,
    name,
    start,
    [
      ...sentAt(start),
      ...moving(start, 'stopping', 'nginx'),
      settled(end, 'completed', '"nginx" restarted, seen STOPPING then STARTED'),
    ],
    { service: 'nginx', createdBy: 'cron' },
  )
}

const DRAWN_WIDE = [
  'vosctl watch   state ~/.local/state/vosctl   daemon 1.4.0 pid 2214 up 6d 3h                                            Sun 22 Nov 14:05:23   live, 0.4 s behind',
  '13 running, 1 late   9 queued   1 failed   1 unknown   15 done in the last 5 min      1 hold      window "night" opens 22:00',
  WIDE_RULE,
  '   OP       CONNECTION      SERVICE                    BY         STARTED  STATE       PROGRESS                            ELAPSED  LEFT       NOTE',
  ' ? r-7k3a1x cuc-1           Cisco Tomcat               cron       13:58:02 unknown     [###############.............]        7m21s  -          v verify  k ack',
  ' x r-7k31zc imp-2           Cisco XCP Router           alice      13:51:40 failed      [######################......]       10m00s  -          timed out',
  '>! r-7k2zqp cucm-sub2       Cisco Tomcat               b-41fq     14:00:10 starting    [##########################..]        5m13s  late 0m43  usual 3m20-4m30',
  // Drawn in no order: by start time, as the text below the drawing says.
  '   r-7k2w3h uccx-1          Cisco Tomcat               b-41fq     14:01:02 verifying   [###########################.]  97%   4m21s  ~0m05s',
  '   r-7k2m9q cucm-pub        Cisco Tomcat               alice      14:02:11 starting    [###################.........]  71%   3m12s  ~1m20s',
  '   r-7k2w0d finesse-1       Cisco Finesse Tomcat       b-41fq     14:02:20 starting    [#################...........]  64%   3m03s  ~1m45s',
  '   r-7k2wa2 lab-7           Cisco DirSync              carol      14:04:20 starting    [                            ]        1m03s  ?          first run here',
  '   r-7k2vv1 cucm-sub1       Cisco CallManager          bob        14:04:31 stopping    [######......................]  22%   0m52s  ~2m50s',
  '   r-7k2x2m web-11          nginx                      b-41g0     14:05:02 starting    [##########################..]  96%   0m21s  ~0m01s',
  '   r-7k2x3m web-12          nginx                      b-41g0     14:05:03 starting    [#########################...]  90%   0m20s  ~0m02s',
  '   r-7k2x4m web-13          nginx                      b-41g0     14:05:04 starting    [#######################.....]  85%   0m19s  ~0m03s',
  '   r-7k2x5m web-14          nginx                      b-41g0     14:05:05 starting    [######################......]  79%   0m18s  ~0m04s',
  '   r-7k2x6m web-15          nginx                      b-41g0     14:05:06 starting    [####################........]  74%   0m17s  ~0m05s',
  '   r-7k2x7m web-16          nginx                      b-41g0     14:05:07 starting    [###################.........]  69%   0m16s  ~0m06s',
  '   r-7k2x8m web-17          nginx                      b-41g0     14:05:08 starting    [#################...........]  64%   0m15s  ~0m07s',
  '   r-7k2w88 web-01          nginx                      cron       14:05:20 connecting  [............................]   3%   0m03s  ~0m12s',
  ' . r-7k2y1a cucm-sub3       Cisco Tomcat               b-41fq     -        queued      [............................]            -  -          after cucm-sub2',
  ' . r-7k2y2a web-20          nginx                      b-41g0     -        queued      [............................]            -  -',
  ' . r-7k2y3a web-21          nginx                      b-41g0     -        queued      [............................]            -  -',
  ' . r-7k2y4a web-22          nginx                      b-41g0     -        queued      [............................]            -  -',
  ' . r-7k2y5a web-23          nginx                      b-41g0     -        queued      [............................]            -  -',
  ' . r-7k2y6a web-24          nginx                      b-41g0     -        queued      [............................]            -  -',
  ' . r-7k2y7a web-25          nginx                      b-41g0     -        queued      [............................]            -  -',
  ' . r-7k2y8a web-26          nginx                      b-41g0     -        queued      [............................]            -  -',
  ' . r-7k2y9a web-27          nginx                      b-41g0     -        queued      [............................]            -  -',
  ' + r-7k2s1w web-03          nginx                      cron       14:03:11 done        [############################] 100%   0m12s             proved running',
  ' + r-7k2s2w web-04          nginx                      cron       14:03:12 done        [############################] 100%   0m12s             proved running',
  ' + r-7k2s3w web-05          nginx                      cron       14:03:13 done        [############################] 100%   0m12s             proved running',
  ' + r-7k2s4w web-06          nginx                      cron       14:03:14 done        [############################] 100%   0m12s             proved running',
  '                                                                                                                                                rows 1-29 of 40',
  `${RULE}+${RULE}`,
  ' cucm-sub2   r-7k2zqp   restart "Cisco Tomcat"                                 | device transcript (l: full log)',
  '                                                                               |',
  ' accepted      14:00:10   by batch b-41fq, step 2 of 4 (alice)                 | 14:00:12  admin:',
  ' connecting    0m02s      host key SHA256:3k..Qe ok, login ok                  | 14:00:13  admin:utils service restart Cisco Tomcat',
  ' stopping      0m41s      usual 0m35s - 0m50s                                  | 14:00:14  Service Manager is running',
  ' starting      4m30s      usual 2m40s - 3m35s            <-- late              | 14:00:15  Cisco Tomcat[STOPPING]',
  ' verifying     -                                                               | 14:00:52  Cisco Tomcat[STOPPING]',
  ' deadline      14:15:10   (15 min, set by services."Cisco Tomcat".deadline)    | 14:00:53  Cisco Tomcat[STARTING]',
  '                                                                               |           ... 24 lines like this ...',
  ' last byte from the device 3 s ago                                             | 14:05:20  Cisco Tomcat[STARTING]',
  '                                                                               |',
  WIDE_RULE,
  '14:05:12 web-09 nginx restarted in 0m11s   14:05:02 refused: cucm-pub busy with r-7k2m9q (asked by cron)   14:04:58 web-04 nginx restarted in 0m12s',
  'up/dn select   enter details   l log   c cancel   a attach   o order   g group   / filter   space mark   p pause screen   ? help   q quit',
]

const SENT = 'a restart begins to stop at 50 %: the milestones of the plans are fixed'
const ROUNDED = 'time left is rounded up to 5 s'
const NOTHING_LEFT = 'at 97 % nothing is left of the usual time'
const CONNECTING = `connecting begins at 10 %, and ${ROUNDED}`
const DRAWN_HAPPENINGS =
  '14:05:12 web-09 nginx restarted in 0m11s   14:05:02 refused: cucm-pub busy with r-7k2m9q (asked by cron)   14:04:58 web-04 nginx restarted in 0m12s'
const HAPPENINGS =
  '14:03:37 web-17 nginx restarted in 0m12s   14:03:36 web-16 nginx restarted in 0m12s   14:03:35 web-15 nginx restarted in 0m12s'
const LATE_BAR = 'a late bar waits at the end of "starting", which is 89 %'
const FAILED = 'what times out after the command was sent is unknown; a failure has seen the service down'

describe('the drawings of the plans', () => {
  test('watch at 80x24', () => {
    const drawn = [
      'vosctl watch                                                    14:05:23   live',
      '6 running, 1 late   2 queued   1 failed   1 unknown   2 done in the last 5 min',
      RULE,
      '   CONNECTION   SERVICE            STATE      PROGRESS                LEFT',
      '>? cuc-1        Cisco Tomcat       unknown    [########........]      look',
      ' x imp-2        Cisco XCP Router   failed     [############....]      timed out',
      ' ! cucm-sub2    Cisco Tomcat       starting   [###############.]      late 0m43',
      // Drawn in no order: by start time, as the text below the drawing says.
      '   uccx-1       Cisco Tomcat       verifying  [###############.]  97% ~0m05s',
      '   cucm-pub     Cisco Tomcat       starting   [###########.....]  71% ~1m20s',
      '   finesse-1    Cisco Finesse Tom~ starting   [##########......]  64% ~1m45s',
      '   lab-7        Cisco DirSync      starting   [                ]      1m03s, ?',
      '   cucm-sub1    Cisco CallManager  stopping   [###.............]  22% ~2m50s',
      '   web-01       nginx              connecting [................]   3% ~0m12s',
      ' . cucm-sub3    Cisco Tomcat       queued     [................]      2nd',
      ' . web-02       nginx              queued     [................]      next',
      ' + web-03       nginx              done       [################] 100% in 0m12s',
      '                                                                rows 1-12 of 13',
      RULE,
      'cuc-1  r-7k3a1x  restart "Cisco Tomcat"  by cron (uid 1001) at 13:58:02',
      'Sent, no answer: connection lost 1m12s after the command went out.',
      'v verify on the device (read-only)    k acknowledge and free the connection',
      RULE,
      'up/dn select  enter details  l log  c cancel  / filter  p pause  ? help  q quit',
    ]
    const house = [
      unknown('cron (uid 1001)'),
      failed,
      late({}),
      uccx({}),
      publisher,
      finesse({}),
      lab,
      subscriber,
      web1,
      queued('r-7k2y1a', 'cucm-sub3', '14:05:00', { service: 'Cisco Tomcat', ...batchOf('b-41fq', 4, 4) }),
      queued('r-7k2y2a', 'web-02', '14:05:01', batchOf('b-41fq', 3, 4)),
      done('r-7k2s1w', 'web-03', '14:03:11'),
      done('r-7k2s2w', 'web-04', '14:03:12'),
    ].map(({ operation }) => operation)
    const deviations: readonly Deviation[] = [
      ['timed out', 'look', FAILED],
      ['[###############.]      late', '[##############..]      late', LATE_BAR],
      ['97%', '96%', NOTHING_LEFT],
      ['[###.............]  22%', '[#########.......]  58%', SENT],
      ['[................]   3% ~0m12s', '[###.............]  19% ~0m15s', CONNECTING],
      [
        'Sent, no answer: connection lost 1m12s after the command went out.',
        'unknown: connection lost 1m12s after the command was sent',
        'the words of the verdict, as everywhere',
      ],
    ]
    expect(screen(boardOf(house, NOW).frame(NOW), [80, 24])).toEqual(withDeviations(drawn, deviations))
  })

  test('watch at 160x50', () => {
    const drawn = DRAWN_WIDE
    const alice41fq = (position: number) => batchOf('b-41fq', position, 4)
    const web = (number: number) => batchOf('b-41g0', number - 9, 18)
    const house = [
      unknown('cron'),
      failed,
      late(alice41fq(2)),
      uccx(alice41fq(1)),
      publisher,
      finesse(alice41fq(0)),
      lab,
      subscriber,
      ...[11, 12, 13, 14, 15, 16, 17].map((number, index) => {
        const second = String(index + 2).padStart(2, '0')
        const percent = [88, 87, 85, 79, 74, 69, 64][index] ?? 0
        return scene(
          `r-7k2x${index + 2}m`,
          `web-${number}`,
          `14:05:${second}`,
          inPhase(`14:05:${second}`, 'starting', '14:05:20'),
          {
            service: 'nginx',
            ...web(number),
            // With 60 % at its beginning, after three seconds of starting.
            usual: usual((3 * 29) / (percent - 59.5) / 3.7, (3 * 29) / (percent - 59.5)),
          },
        )
      }),
      web1,
      queued('r-7k2y1a', 'cucm-sub3', '14:05:00', { service: 'Cisco Tomcat', ...alice41fq(3) }),
      ...[20, 21, 22, 23, 24, 25, 26, 27].map((number, index) =>
        queued(`r-7k2y${index + 2}a`, `web-${number}`, '14:05:01', web(number)),
      ),
      ...Array.from({ length: 15 }, (_, index) =>
        done(`r-7k2s${index + 1}w`, `web-${String(index + 3).padStart(2, '0')}`, `14:03:${index + 11}`),
      ),
    ].map(({ operation }) => operation)
    const board = boardOf(house, NOW)
    board.addTranscript('r-7k2zqp', late(alice41fq(2)).recorded)
    board.know({ connections: 60, holds: 1 })
    const last = house.at(-1)
    if (!last) throw new Error('a house has operations')
    const recorded = { cursor: 9000, operationId: last.id, seq: last.seq, at: NOW - 400, event: line('') }
    board.receive({ type: 'event', recorded, operation: last }, NOW)
    const deviations: readonly Deviation[] = [
      ['      window "night" opens 22:00', '', 'there are no windows'],
      ['7m21s  -', '1m12s  -', 'the time stands still at the end'],
      ['timed out', 'service down', FAILED],
      ['[##########################..]        5m13s', '[########################....]        5m13s', LATE_BAR],
      ['[###########################.]  97%', '[##########################..]  96%', NOTHING_LEFT],
      ['[######......................]  22%', '[################............]  58%', SENT],
      [
        '[##########################..]  96%   0m21s  ~0m01s',
        '[########################....]  88%   0m21s  ~0m05s',
        `starting ends at 89 %, and ${ROUNDED}`,
      ],
      [
        '[#########################...]  90%   0m20s  ~0m02s',
        '[########################....]  87%   0m20s  ~0m05s',
        `starting ends at 89 %, and ${ROUNDED}`,
      ],
      ['~0m03s', '~0m05s', ROUNDED],
      ['~0m04s', '~0m05s', ROUNDED],
      ['~0m06s', '~0m10s', ROUNDED],
      ['~0m07s', '~0m20s', ROUNDED],
      [
        '[............................]   3%   0m03s  ~0m12s',
        '[#####.......................]  19%   0m03s  ~0m15s',
        CONNECTING,
      ],
      [
        '(15 min, set by services."Cisco Tomcat".deadline)   ',
        '(15m00s after it began)                             ',
        'an operation keeps its time limit, not where it was set',
      ],
      [DRAWN_HAPPENINGS, HAPPENINGS, 'what is on the board; a refusal is no event'],
      ['   o order   g group', '', 'there are no such keys'],
      ['   space mark', '', 'there is no such key'],
    ]
    const lines = screen(board.frame(NOW), [160, 50], { selected: 2 })
    expect(lines).toEqual(withDeviations(drawn, deviations))
  })
})
