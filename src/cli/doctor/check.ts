import { exitStatus, type ExitStatus } from '../../core/errors.ts'
import { clean } from '../renderers/words.ts'

/** One thing that was looked at. */
export interface Check {
  readonly id: string
  readonly level: 'ok' | 'warn' | 'fail'
  /** What was found, as a sentence without its full stop. */
  readonly message: string
  /** What mends it: a command, or what to do. */
  readonly fix?: string
  /** Of a failure: is it about settings, or does it keep the daemon from working? */
  readonly about?: 'usage' | 'daemon'
}

export function ok(id: string, message: string): Check {
  return { id, level: 'ok', message }
}

export function warn(id: string, message: string, fix: string): Check {
  return { id, level: 'warn', message, fix }
}

export function fail(id: string, about: 'usage' | 'daemon', message: string, fix: string): Check {
  return { id, level: 'fail', message, fix, about }
}

/** What cannot be looked at is a finding too, and keeps nothing else from being looked at. */
export function looked(id: string, about: 'usage' | 'daemon', look: () => readonly Check[]): readonly Check[] {
  try {
    return look()
  } catch (error) {
    const { syscall, message } = error as NodeJS.ErrnoException
    if (syscall === undefined) throw error
    return [fail(id, about, message, 'Look at the owner and the mode of what lies above it')]
  }
}

/** Without a daemon nothing works, so what is about it weighs more. */
export function statusOf(checks: readonly Check[]): ExitStatus {
  const failed = checks.filter(({ level }) => level === 'fail')
  if (failed.length === 0) return exitStatus('ok')
  return exitStatus(failed.some(({ about }) => about === 'daemon') ? 'daemon' : 'usage')
}

const WORDS = { ok: 'ok', warn: 'warn', fail: 'FAIL' } as const

/** One line a check; what is not ok is followed by what mends it. */
export function checkLines(checks: readonly Check[]): string[] {
  const width = Math.max(0, ...checks.map(({ id }) => id.length))
  return checks.flatMap(({ id, level, message, fix }) => [
    `${WORDS[level].padEnd(4)}  ${id.padEnd(width)}  ${clean(message)}`,
    ...(fix === undefined ? [] : [`      ${clean(fix)}`]),
  ])
}

export function toCheckJson({ id, level, message, fix }: Check) {
  return { id, level, message: clean(message), ...(fix === undefined ? {} : { fix: clean(fix) }) }
}
