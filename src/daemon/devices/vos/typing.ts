import { VosError } from '../../../core/errors.ts'
import { oneLine } from '../../../core/text.ts'
import { compareEcho } from './echo.ts'
import type { Terminal } from './terminal.ts'

export interface EchoOptions {
  /** The connection's name, for errors. */
  readonly name: string
  readonly echoMs: number
  /** Quiet that must follow the complete echo. */
  readonly quietMs: number
}

/** Waits until nothing has come for a while, but no longer than `limitMs`; then the echo will tell. */
export async function awaitQuiet(terminal: Terminal, quietMs: number, limitMs: number): Promise<void> {
  const until = performance.now() + limitMs
  while (!terminal.isLost && terminal.quietMs < quietMs && performance.now() < until) {
    terminal.take()
    await terminal.wait(quietMs - terminal.quietMs)
  }
}

/** Whether what has come since the typing is still exactly the echo of the line. */
export function isEchoed(terminal: Terminal, typed: string, straysBefore: number): boolean {
  return terminal.strays === straysBefore && compareEcho(typed, terminal.unreadText) === 'full'
}

/**
 * Waits until the device has echoed exactly the line that was typed, and has been quiet after it.
 * @throws VosError `echo_mismatch`, `echo_timeout`, or why the session was lost. Enter has not been sent.
 */
export async function awaitEcho(terminal: Terminal, typed: string, options: EchoOptions): Promise<void> {
  const { name, echoMs, quietMs } = options
  const straysBefore = terminal.strays
  const startedAt = performance.now()
  for (;;) {
    const echoed = terminal.unreadText
    const match = terminal.strays > straysBefore ? 'differs' : compareEcho(typed, echoed)
    if (match === 'differs') throw echoMismatch(name, typed, echoed)
    if (match === 'full' && terminal.quietMs >= quietMs) return
    if (terminal.isLost) throw terminal.lostError('before the command was sent')
    const leftMs = startedAt + echoMs - performance.now()
    if (leftMs <= 0) throw echoed.trim() === '' ? echoTimeout(name, echoMs) : echoMismatch(name, typed, echoed)
    await terminal.wait(match === 'full' ? Math.min(leftMs, quietMs - terminal.quietMs) : leftMs)
  }
}

export function echoMismatch(name: string, typed: string, echoed: string): VosError {
  return new VosError('echo_mismatch', `${name} echoed something else than was typed. Nothing was sent.`, {
    hint: 'Try again. If it stays so, look at the device: somebody or something else writes to this terminal.',
    deviceLines: [`typed:  ${typed}`, `echoed: ${oneLine(echoed)}`],
  })
}

function echoTimeout(name: string, echoMs: number): VosError {
  return new VosError('echo_timeout', `${name} did not echo the command within ${echoMs / 1000} s. Nothing was sent.`, {
    hint: `For a device that does not echo before Enter: vosctl connections edit ${name} --no-echo`,
  })
}
