import { describe, expect, it } from 'vitest'
import { refusalLines, refusalStatus } from '../../src/cli/refusal.ts'
import type { Operation } from '../../src/core/operation.ts'
import type { Refusal } from '../../src/core/protocol.ts'
import { at, moving, scene, sentAt, USUAL } from './render-scenes.ts'

/** The restart of the contract, as it stands at 14:05:23. */
const RUNNING = scene('r-7k2m9q', 'cucm-pub', '14:02:11', [
  ...sentAt('14:02:11'),
  ...moving('14:02:13', 'stopping'),
  ...moving('14:02:54', 'starting'),
]).operation
const NOW = at('14:03:54')

function busy(holder: Operation, name = holder.connection.name): Refusal {
  return {
    code: 'already_running',
    message: `${name} is busy. Nothing was sent to it.`,
    hint: `Follow it: vosctl attach ${holder.id}`,
    connection: { id: 1, name },
    holder,
  }
}

const TOMCAT = { type: 'service_restart', service: 'Cisco Tomcat' } as const

function lines(
  refused: readonly Refusal[],
  tty: boolean,
  wanted: Parameters<typeof refusalLines>[1]['wanted'] = TOMCAT,
) {
  return refusalLines(refused, { tty, now: NOW, wanted })
}

describe('a duplicate is refused', () => {
  it('on a terminal: who is in the way, how far it is, and how to get on', () => {
    expect(lines([busy(RUNNING)], true).join('\n')).toBe(`vosctl: cucm-pub is busy. Nothing was sent to it.

  r-7k2m9q   restart "Cisco Tomcat", started 14:02:11 by alice (1m43s ago)
             starting, 71 %, about 1m40s left

  Follow it           vosctl attach r-7k2m9q
  Run again after it  vosctl restart cucm-pub --if-running queue
  See everything      vosctl watch`)
  })

  it('in a pipe: one line that makes sense in a mail', () => {
    expect(lines([busy(RUNNING)], false)).toEqual([
      'vosctl: busy: cucm-pub has r-7k2m9q (restart "Cisco Tomcat" by alice since 14:02:11, starting, ~1m40s left); nothing was sent; exit 4. Follow: vosctl attach r-7k2m9q',
    ])
  })

  const unknownPace = scene('r-7k2m9q', 'cucm-pub', '14:02:11', sentAt('14:02:11'), { usual: null }).operation
  const waiting = scene('r-7k2m9q', 'cucm-pub', '14:02:11', []).operation
  const late = scene('r-7k2m9q', 'cucm-pub', '13:58:00', [...sentAt('13:58:00'), ...moving('13:58:02', 'starting')])
  const checked = scene('r-7k2m9q', 'cucm-pub', '14:02:11', [
    ...sentAt('14:02:11'),
    ['14:03:00', { type: 'reconciling', because: 'the daemon ended' }],
  ]).operation
  const renewal = { ...RUNNING, type: 'certificate_renewal', service: null } as const
  const dirSync = scene('r-7k2m9q', 'cucm-pub', '14:02:11', sentAt('14:02:11'), { service: 'Cisco DirSync' }).operation

  it.each([
    ['nothing is said that is not known', unknownPace, TOMCAT, 'cucm-pub is busy.', '             sent'],
    ['a queued one waits', waiting, TOMCAT, 'cucm-pub is busy.', '             waiting, 0 %'],
    ['a late one is late', late.operation, TOMCAT, 'cucm-pub is busy.', '             starting, late 1m24s'],
    [
      'after a crash it is being checked',
      checked,
      TOMCAT,
      'cucm-pub is being checked after an interruption.',
      '             checking, 59 %',
    ],
    [
      'a certificate renewal is named',
      renewal,
      TOMCAT,
      'cucm-pub is busy with a certificate renewal.',
      '             starting, 71 %, about 1m40s left',
    ],
    [
      'another service is named',
      dirSync,
      TOMCAT,
      'cucm-pub is busy with a restart of "Cisco DirSync".',
      '             sent, 59 %, about 3m20s left',
    ],
    [
      'the same service by another case and its beginning is the same',
      RUNNING,
      { type: 'service_restart', service: 'cisco tom' },
      'cucm-pub is busy.',
      '             starting, 71 %, about 1m40s left',
    ],
    [
      'a test that meets a restart says so',
      RUNNING,
      { type: 'ssh_test', service: null },
      'cucm-pub is busy with a restart.',
      '             starting, 71 %, about 1m40s left',
    ],
  ] as const)('%s', (_, holder, wanted, sentence, standing) => {
    const screen = lines([busy(holder)], true, wanted)
    expect(screen[0]).toBe(`vosctl: ${sentence} Nothing was sent to it.`)
    expect(screen[3]).toBe(standing)
  })

  it('by one that waits itself, there is nothing to queue after', () => {
    const queued = scene('r-7k2m9r', 'cucm-pub', '14:02:20', [], { after: 'r-7k2m9q', usual: null }).operation
    const screen = lines([busy(queued)], true, { type: 'service_restart', service: 'Cisco Tftp' })
    expect(screen[3]).toBe('             waiting for r-7k2m9q')
    expect(screen[6]).toBe('  Run again after it  vosctl wait r-7k2m9r && vosctl restart cucm-pub')
    expect(lines([busy(queued)], false)[0]).toContain('since 14:02:20, waiting for r-7k2m9q); nothing was sent; exit 4')
  })

  it('says the service again that was named: without it the advice would restart another one', () => {
    const named = { type: 'service_restart', service: 'Cisco Tftp', isNamed: true } as const
    expect(lines([busy(RUNNING)], true, named)[6]).toBe(
      '  Run again after it  vosctl restart cucm-pub -s "Cisco Tftp" --if-running queue',
    )
    const queued = scene('r-7k2m9r', 'cucm-pub', '14:02:20', [], { after: 'r-7k2m9q', usual: null }).operation
    expect(lines([busy(queued)], true, named)[6]).toBe(
      '  Run again after it  vosctl wait r-7k2m9r && vosctl restart cucm-pub -s "Cisco Tftp"',
    )
  })

  it('never shows what the device or a person has put into a name as anything but text', () => {
    const hostile = { ...RUNNING, createdBy: 'eve\u001b[2J', service: 'x\n\u202ey' }
    const text = [...lines([busy(hostile)], true), ...lines([busy(hostile)], false)].join('\n')
    expect(text).not.toMatch(/[\u001b\u202e]/)
    expect(lines([busy(hostile)], false)).toHaveLength(1)
  })
})

describe('several are refused at once', () => {
  const held: Refusal = { code: 'login_held', message: 'b is held.', hint: 'Set the right password.' }

  it('says each one, and that nothing was started', () => {
    const said = lines([busy(RUNNING), held], true)
    expect(said[0]).toContain('busy: cucm-pub has r-7k2m9q')
    expect(said[0]).toContain('exit 9')
    expect(said.slice(1)).toEqual([
      'vosctl: b is held.',
      '  Set the right password.',
      'vosctl: 2 targets refused, so nothing was started on any.',
    ])
  })

  it.each([
    ['all busy', [busy(RUNNING), busy(RUNNING, 'b')], 4],
    ['all held', [held, held], 5],
    ['some of each', [busy(RUNNING), held], 9],
  ] as const)('%s: the status that all share, else 9', (_, refused, status) => {
    expect(refusalStatus(refused)).toBe(status)
  })
})

it('prints any other refusal with its hint', () => {
  const refusal: Refusal = { code: 'host_key_unpinned', message: 'a has no pinned host key.', hint: 'Pin it.' }
  expect(lines([refusal], true)).toEqual(['vosctl: a has no pinned host key.', '  Pin it.'])
  expect(USUAL.runs).toBeGreaterThan(3)
})
