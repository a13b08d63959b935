import { describe, expect, it } from 'vitest'
import { parseDuration, formatDuration } from '../../src/core/duration.ts'
import { EXIT_TABLE, exitStatusOf, VosError } from '../../src/core/errors.ts'
import { endingFor } from '../../src/core/recipes/ending.ts'
import { combineExitStatus, exitStatusFor } from '../../src/core/verdict.ts'
import { play, UNTIL_DISPATCH } from '../helpers/operations.ts'

describe('exit statuses', () => {
  it('has one row for each status', () => {
    const statuses = EXIT_TABLE.map(({ status }) => status)
    expect(new Set(statuses).size).toBe(statuses.length)
  })

  it('says of 4 to 7 that the device was not touched', () => {
    for (const row of EXIT_TABLE) if (row.status >= 4 && row.status <= 7) expect(row.touched).toBe('no')
  })

  it('calls a code that nobody knows a bug', () => {
    expect(exitStatusOf('no such code')).toBe(70)
  })

  it('makes one of several', () => {
    expect(combineExitStatus([0, 0])).toBe(0)
    expect(combineExitStatus([6, 6])).toBe(6)
    expect(combineExitStatus([0, 3])).toBe(9)
  })
})

describe('the ending after an error', () => {
  const before = play(UNTIL_DISPATCH.slice(0, 4))
  const after = play(UNTIL_DISPATCH)
  const sent = play([...UNTIL_DISPATCH, { type: 'sent' }])

  it.each([
    [before, new VosError('unreachable', 'x'), 'failed', 6],
    [before, new VosError('deadline', 'x'), 'failed', 6],
    [before, new VosError('cancelled', 'x'), 'cancelled', 6],
    [before, new VosError('interrupted', 'x'), 'interrupted', 6],
    [before, new TypeError('x'), 'failed', 70],
    [sent, new VosError('woke_up_late', 'x'), 'unknown', 3],
    [after, new VosError('unreachable', 'x'), 'unknown', 3],
    [sent, new VosError('login_refused', 'x'), 'unknown', 3],
    [sent, new TypeError('x'), 'unknown', 3],
  ] as const)('%#: is truthful', (operation, error, status, exit) => {
    const ending = endingFor(operation, error)
    expect(ending.status).toBe(status)
    expect(exitStatusFor({ ...operation, status, error: ending.error ?? null })).toBe(exit)
  })
})

describe('durations', () => {
  it.each([
    ['30s', 30_000],
    ['1h30m', 5_400_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['1y', 31_536_000_000],
    ['0', 0],
    ['1.5s', 1500],
    ['250ms', 250],
    ['30', null],
    ['s', null],
    ['-3s', null],
    ['', null],
  ])('reads %j as %j', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  it.each([
    [12_000, '0m12s'],
    [221_000, '3m41s'],
    [3_720_000, '1h02m'],
  ])('writes %d as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })
})
