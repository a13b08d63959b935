import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/operation.ts'
import { excerptOf, stdoutLine, verdictLines } from '../../src/cli/renderers/verdict.ts'
import { at, member, moving, sampleRestart, scene, sentAt, settled, type Scene } from './render-scenes.ts'

const NOW = at('14:10:00')
const WIDE = { columns: 120, tty: true, batch: null, now: NOW }
const LOG = { ...WIDE, tty: false }

const failed = scene(
  'r-7k31zc',
  'imp-2',
  '13:51:40',
  [
    ...sentAt('13:51:41'),
    ...moving('13:52:21', 'stopping', 'Cisco XCP Router'),
    ['14:01:38', { type: 'line', text: 'Cisco XCP Router[STOPPED]', state: 'STOPPED' }],
    ['14:01:38', { type: 'verifying', because: 'the command has ended' }],
    settled('14:01:41', 'failed', 'the service is DOWN: "Cisco XCP Router" on imp-2 is STOPPED', {
      error: {
        code: 'service_down',
        message: 'the service is DOWN: "Cisco XCP Router" on imp-2 is STOPPED',
        hint: 'Start it on the device, or try again: vosctl restart imp-2 -s "Cisco XCP Router" --start-stopped',
      },
    }),
  ],
  { service: 'Cisco XCP Router' },
)

const unknown = scene('r-7k3a1x', 'cuc-1', '13:58:02', [
  ...sentAt('13:58:02'),
  ...moving('13:58:04', 'stopping'),
  settled('14:01:00', 'unknown', 'outcome unknown: connection lost 1m12s after the command was sent', {
    error: { code: 'connection_lost_after_sending', message: 'connection lost', hint: '' },
  }),
])

const unreached = scene('r-7k3b2y', 'web-02', '14:00:00', [
  ['14:00:00', { type: 'connecting' }],
  settled('14:00:01', 'failed', 'the host key of web-02 has changed', {
    error: {
      code: 'host_key_changed',
      message: 'the host key of web-02 has changed',
      hint: 'Compare it, then run: vosctl connections trust web-02',
    },
  }),
])

describe('the verdict on a terminal, one target', () => {
  test('a success stays as one line with its proof', () => {
    expect(verdictLines([sampleRestart().operation], WIDE)).toEqual([
      '+ cucm-pub  Cisco Tomcat restarted in 3m41s, seen STOPPING then STARTED (usual 3m20-4m30)   r-7k2m9q',
    ])
  })

  test('on 80 columns it leaves out what the title says', () => {
    expect(verdictLines([sampleRestart().operation], { ...WIDE, columns: 80 })).toEqual([
      '+ cucm-pub  restarted in 3m41s, seen STOPPING then STARTED  (usual 3m20-4m30)',
    ])
  })

  test('what does not fit even then goes onto a line of its own, and nothing of it is lost', () => {
    expect(verdictLines([sampleRestart().operation], { ...WIDE, columns: 60 })).toEqual([
      '+ cucm-pub  Cisco Tomcat restarted in 3m41s (usual 3m20-4m30)   r-7k2m9q',
      '  seen STOPPING then STARTED',
    ])
  })

  test('under three earlier runs nothing is called usual', () => {
    expect(verdictLines([sampleRestart({ usual: null }).operation], WIDE)).toEqual([
      '+ cucm-pub  Cisco Tomcat restarted in 3m41s, seen STOPPING then STARTED   r-7k2m9q',
    ])
  })

  test('a failure shows the last device line, the hint with its command, and the transcript', () => {
    expect(verdictLines([failed.operation], WIDE)).toEqual([
      'x imp-2  the service is DOWN: "Cisco XCP Router" on imp-2 is STOPPED.',
      '',
      '  14:01:38  Cisco XCP Router[STOPPED]',
      '',
      '  Start it on the device, or try again:',
      '    vosctl restart imp-2 -s "Cisco XCP Router" --start-stopped',
      '  Whole transcript: vosctl logs r-7k31zc',
    ])
  })

  test('with the journal at hand it shows the last three lines, one that was said again at both of its ends', () => {
    const [first, ...rest] = failed.recorded
    const polled = { ...first, at: at('13:52:40'), event: { type: 'line', text: 'Cisco XCP Router[STOPPED]' } } as const
    const again = (time: string) => ({ ...first, at: at(time), event: { type: 'repeated', times: 1 } }) as const
    const events = [first, ...rest.slice(0, 7), polled, again('13:53:00'), again('14:01:38')] as RecordedEvent[]
    const lines = verdictLines([failed.operation], { ...WIDE, excerpt: excerptOf(events) })
    expect(lines.slice(1, 6)).toEqual([
      '',
      '  13:52:21  Cisco XCP Router[STOPPING]',
      '  13:52:40  Cisco XCP Router[STOPPED]',
      '  14:01:38  Cisco XCP Router[STOPPED]',
      '',
    ])
  })

  test('an unknown outcome says what is claimed and names commands that exist', () => {
    expect(verdictLines([unknown.operation], WIDE)).toEqual([
      '? cuc-1  outcome unknown: connection lost 1m12s after the command was sent.',
      '',
      '  13:58:04  Cisco Tomcat[STOPPING]',
      '',
      '  cuc-1 stays claimed, so nobody restarts it twice by accident.',
      '    vosctl verify r-7k3a1x   look at the device, read-only',
      '    vosctl ack r-7k3a1x      accept and free it',
    ])
  })

  test('an accepted unknown outcome asks for nothing more', () => {
    const accepted = { ...unknown.operation, acknowledged: { by: 'bob', at: NOW } }
    expect(verdictLines([accepted], WIDE).at(-1)).toBe('  Accepted by bob; cuc-1 is free.')
  })

  test('exit status 6 says that nothing was sent', () => {
    expect(verdictLines([unreached.operation], WIDE)).toEqual([
      'x web-02  the host key of web-02 has changed; nothing was sent.',
      '',
      '  Compare it, then run:',
      '    vosctl connections trust web-02',
    ])
  })

  test('a test says what it found', () => {
    const test = scene(
      't-7k2m9q',
      'cucm-pub',
      '14:00:00',
      [
        ...sentAt('14:00:00').slice(0, 3),
        settled('14:00:02', 'completed', 'login ok 1.9s, host key pinned, 34 services, "Cisco Tomcat" STARTED'),
      ],
      { operationType: 'ssh_test' },
    )
    expect(verdictLines([test.operation], WIDE)).toEqual([
      '+ cucm-pub  login ok 1.9s, host key pinned, 34 services, "Cisco Tomcat" STARTED',
      '  over curve25519-sha256, aes256-gcm@openssh.com',
    ])
  })

  test('one that still runs names the way back', () => {
    expect(verdictLines([sampleRestart().after(10)], { ...WIDE, now: at('14:04:00') })).toEqual([
      '  cucm-pub  starting, 72 %, about 1m30s left',
      '  Follow it: vosctl attach r-7k2m9q',
    ])
  })

  test('device text cannot forge lines or move the cursor', () => {
    const evil = scene('r-7k31zc', 'imp-2', '13:51:40', [
      ...sentAt('13:51:41'),
      settled('13:52:00', 'failed', 'refused: \u001b[2Jfine\n+ imp-2  restarted', {
        error: { code: 'refused_by_device', message: '', hint: '', deviceLines: ['\u001b[31mno\u001b[0m\r\n+ ok'] },
      }),
    ])
    const lines = verdictLines([evil.operation], WIDE)
    expect(lines.slice(0, 3)).toEqual(['x imp-2  refused: ␛fine / + imp-2 restarted.', '', '  ␛no␛ + ok'])
  })

  test('colour is on the mark alone', () => {
    expect(verdictLines([unreached.operation], { ...WIDE, colour: true })[0]).toBe(
      '\u001b[31mx\u001b[39m web-02  the host key of web-02 has changed; nothing was sent.',
    )
  })
})

describe('the verdict on a terminal, several targets', () => {
  const good = (index: number, ended: string) =>
    member(index, '14:05:00', [
      ...sentAt('14:05:00'),
      ...moving('14:05:02', 'stopping'),
      settled(ended, 'completed', '"nginx" restarted, seen STOPPING then STARTED'),
    ])
  const bad = member(7, '14:05:00', [
    ...sentAt('14:05:30'),
    ['14:05:33', { type: 'line', text: 'nginx: bind() to 0.0.0.0:443 failed' }],
    settled('14:05:39', 'failed', 'unit nginx is "failed" (exit status 1)', {
      error: { code: 'refused_by_device', message: '', hint: '', deviceLines: ['nginx: bind() to 0.0.0.0:443 failed'] },
    }),
  ])
  const lost = member(9, '14:05:00', [
    ...sentAt('14:05:40'),
    settled('14:05:52', 'unknown', 'outcome unknown: connection lost 0m03s after the command was sent'),
  ])
  const left = member(12, '14:05:00', [settled('14:05:40', 'cancelled', 'not started: web-07 ended failed')])
  const batch = { ...WIDE, columns: 80, batch: 'b-41g0' }
  const operations = (...scenes: readonly Scene[]) => scenes.map(({ operation }) => operation)

  test('all good: the count and the exit status, because their lines already stand above', () => {
    expect(verdictLines(operations(good(1, '14:05:12'), good(2, '14:05:52')), batch)).toEqual([
      '',
      '2 of 2 ok in 0m52s                                                       exit 0',
    ])
  })

  test('the bad ones come last, each with what comes next', () => {
    expect(verdictLines(operations(good(1, '14:05:12'), bad, lost, left), batch)).toEqual([
      'x web-07   failed: unit nginx is "failed" (exit status 1) after 0m09s',
      '? web-09   unknown: connection lost 0m03s after the command was sent',
      '- web-12   not started: web-07 ended failed',
      '',
      '1 ok, 1 failed, 1 unknown, 1 not started in 0m52s                        exit 9',
      '',
      '  web-07   vosctl logs r-7k2x7m       nginx: bind() to 0.0.0.0:443 failed',
      '  web-09   vosctl verify r-7k2x9m',
      '  rest     vosctl restart web-12 -s nginx',
    ])
  })

  test('with `all` the good ones are named too, before the bad ones', () => {
    expect(verdictLines(operations(bad, good(1, '14:05:11')), { ...batch, all: true }).slice(0, 2)).toEqual([
      '+ web-01   restarted in 0m11s',
      'x web-07   failed: unit nginx is "failed" (exit status 1) after 0m09s',
    ])
  })

  test('while one still runs there is no exit status to name', () => {
    const running = good(1, '14:05:11').after(8)
    const lines = verdictLines([running, ...operations(good(2, '14:05:11'))], { ...batch, now: at('14:05:03') })
    expect(lines).toContain('1 ok, 1 running in 0m11s')
    expect(lines).toContain('  web-01   vosctl attach r-7k2x1m')
  })
})

describe('the verdict off a terminal', () => {
  test('a success is silent', () => {
    expect(verdictLines([sampleRestart().operation], LOG)).toEqual([])
  })

  test.each([
    [
      failed,
      'vosctl: failed: imp-2: the service is DOWN: "Cisco XCP Router" on imp-2 is STOPPED; exit 1. Look: vosctl logs r-7k31zc',
    ],
    [
      unknown,
      'vosctl: unknown: cuc-1: connection lost 1m12s after the command was sent; exit 3. Look: vosctl verify r-7k3a1x',
    ],
    [
      unreached,
      'vosctl: unreached: web-02: the host key of web-02 has changed; nothing was sent; exit 6. Compare it, then run: vosctl connections trust web-02',
    ],
  ])('anything else is one line that makes sense in a mail %#', ({ operation }, expected) => {
    expect(verdictLines([operation], LOG)).toEqual([expected])
  })
})

describe('the line on stdout', () => {
  test.each([
    [sampleRestart(), 'r-7k2m9q  cucm-pub  ok  3m41s'],
    [failed, 'r-7k31zc  imp-2  failed  10m00s'],
    [unknown, 'r-7k3a1x  cuc-1  unknown  2m58s'],
    [unreached, 'r-7k3b2y  web-02  unreached  0m01s'],
  ])('says the verdict in one word %#', ({ operation }, expected) => {
    expect(stdoutLine(operation)).toBe(expected)
  })

  test('what never began took no time', () => {
    const left = member(12, '14:05:00', [settled('14:05:40', 'cancelled', 'not started: web-07 ended failed')])
    expect(stdoutLine(left.operation)).toBe('r-7k2x12m  web-12  not started  -')
  })
})
