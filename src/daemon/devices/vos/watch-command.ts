import type { Timings } from '../../../core/connection.ts'
import type { Observation } from '../../../core/device.ts'
import { VosError } from '../../../core/errors.ts'
import { compareEcho } from './echo.ts'
import type { Line } from './line-reader.ts'
import { questionIn, type Prompt } from './prompt.ts'
import { parseStateLine } from './state-line.ts'
import type { Terminal } from './terminal.ts'

export interface WatchOptions {
  readonly name: string
  readonly prompt: Prompt
  readonly timings: Pick<Timings, 'quietMs' | 'firstStateMs' | 'silenceWarningMs' | 'silenceLimitMs'>
  /** The typed line, if its echo is still to come because the device echoes only at Enter; else null. */
  readonly openEcho: string | null
}

/** A line that only ends like a question may be a slow one: it must have been quiet for longer than a prompt. */
const QUIETS_OF_A_LIKELY_QUESTION = 4

/**
 * Reports what the device prints after Enter, until it shows its prompt again or is gone. Sends nothing, whatever
 * happens: no answer, no Ctrl-C.
 * @throws VosError `silence` when no byte has come for too long
 */
export async function* watchCommand(terminal: Terminal, options: WatchOptions): AsyncGenerator<Observation> {
  const { prompt, timings } = options
  const echo = createEchoFilter(options.openEcho)
  const sentAt = performance.now()
  let isStateAwaited = true
  let nextWarningMs = timings.silenceWarningMs
  let asked = ''
  let isLastLook = false

  for (;;) {
    for (const line of terminal.take().flatMap(echo)) {
      if (line.plain.trim() === '' || prompt.matches(line.plain)) continue
      const observation = observe(line)
      if (observation.type === 'state') isStateAwaited = false
      yield observation
    }
    if (terminal.isLost) {
      // The line break of the last words never came, so they are no state line.
      const { plain, text } = terminal.pending
      if (plain.trim() !== '' && !prompt.matches(plain)) yield { type: 'line', text }
      return yield { type: 'lost', error: terminal.lostError('after the command was sent') }
    }

    const { quietMs, pending } = terminal
    if (quietMs >= timings.quietMs) {
      if (prompt.matches(pending.plain)) return yield { type: 'ended' }
      const kind = pending.plain === asked ? undefined : questionIn(pending.plain)
      if (kind !== undefined && quietMs >= settleMs(kind, timings.quietMs)) {
        asked = pending.plain
        yield { type: 'question', text: pending.text }
        continue
      }
    }

    if (quietMs < timings.silenceWarningMs) nextWarningMs = timings.silenceWarningMs
    if (quietMs < timings.silenceLimitMs) isLastLook = false
    else if (isLastLook) throw silence(options.name, terminal, quietMs)
    else {
      // After a long sleep of this machine the clock says silence, but the device's words are still unread.
      isLastLook = true
      await terminal.wait(timings.quietMs)
      continue
    }
    if (quietMs >= nextWarningMs) {
      nextWarningMs += timings.silenceWarningMs
      yield { type: 'silent', forMs: Math.round(quietMs) }
      continue
    }
    if (isStateAwaited && performance.now() - sentAt >= timings.firstStateMs) {
      isStateAwaited = false
      yield { type: 'silent', forMs: Math.round(quietMs) }
      continue
    }
    const moments = [
      timings.quietMs - quietMs,
      settleMs('likely', timings.quietMs) - quietMs,
      nextWarningMs - quietMs,
      timings.silenceLimitMs - quietMs,
      ...(isStateAwaited ? [sentAt + timings.firstStateMs - performance.now()] : []),
    ]
    await terminal.wait(Math.min(...moments.filter((ms) => ms > 0)))
  }
}

function observe({ text, plain }: Line): Observation {
  const service = parseStateLine(plain)
  return service ? { type: 'state', service, text } : { type: 'line', text }
}

function settleMs(kind: 'plain' | 'likely', quietMs: number): number {
  return kind === 'plain' ? quietMs : QUIETS_OF_A_LIKELY_QUESTION * quietMs
}

/** Swallows the lines that are the echo of the command; if they turn out to be something else it gives them back. */
function createEchoFilter(typed: string | null): (line: Line) => Line[] {
  let held: Line[] = []
  let isOpen = typed !== null
  return (line) => {
    if (!isOpen || typed === null) return [line]
    held.push(line)
    const match = compareEcho(typed, held.map(({ plain }) => plain).join('\n'))
    if (match === 'part') return []
    isOpen = false
    const lines = match === 'full' ? [] : held
    held = []
    return lines
  }
}

function silence(name: string, terminal: Terminal, quietMs: number): VosError {
  return new VosError('silence', `${name} has been silent for ${Math.round(quietMs / 1000)} s.`, {
    deviceLines: terminal.recent,
  })
}
