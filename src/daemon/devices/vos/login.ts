import type { Timings } from '../../../core/connection.ts'
import { VosError } from '../../../core/errors.ts'
import { oneLine } from '../../../core/text.ts'
import { isForeignShell, isPasswordQuestion, recognisePrompt, type Prompt } from './prompt.ts'
import type { Terminal } from './terminal.ts'

/** What ends the welcome block. Only from here on silence means that the device may be waiting for us. */
const WELCOME = /^\s*Welcome to the Platform Command Line Interface\s*$/

/** After a nudge a second prompt follows the first, and it may take its time. */
const QUIETS_AFTER_NUDGE = 4

/**
 * Waits for the first prompt. Finished lines are never searched for errors or prompts: a banner may hold any words.
 * Sends nothing, but for one Enter after a long silence.
 * @throws VosError `prompt_timeout`, `unexpected_prompt`, `password_expired`, or why the session was lost
 */
export async function waitForPrompt(terminal: Terminal, name: string, timings: Timings): Promise<Prompt> {
  const { promptMs, nudgeMs } = timings
  const startedAt = performance.now()
  let isWelcomed = false
  let isNudged = false
  for (;;) {
    if (terminal.take().some(({ plain }) => WELCOME.test(plain))) isWelcomed = true
    if (terminal.isLost) throw terminal.lostError('before its first prompt')

    const settleMs = isNudged ? QUIETS_AFTER_NUDGE * timings.quietMs : timings.quietMs
    const { quietMs, pending } = terminal
    if (quietMs >= settleMs) {
      if (isPasswordQuestion(pending.plain)) throw passwordExpired(name, terminal)
      const prompt = recognisePrompt(pending.plain)
      if (prompt) return prompt
    }
    if (quietMs >= nudgeMs) {
      const stands = pending.plain.trim() !== ''
      if (stands && (isNudged || isForeignShell(pending.plain))) throw unexpectedPrompt(name, terminal)
      // What stands there may be a question, and Enter would be an answer to it.
      if (!stands && isWelcomed && !isNudged) {
        isNudged = true
        terminal.enter()
        continue
      }
    }
    const leftMs = startedAt + promptMs - performance.now()
    if (leftMs <= 0)
      throw pending.plain.trim() === '' ? promptTimeout(name, terminal, promptMs) : unexpectedPrompt(name, terminal)
    await terminal.wait(Math.min(leftMs, ...[settleMs - quietMs, nudgeMs - quietMs].filter((ms) => ms > 0)))
  }
}

function passwordExpired(name: string, terminal: Terminal): VosError {
  return new VosError(
    'password_expired',
    `${name} wants a new password before it lets anybody in. Nothing was answered.`,
    {
      hint: `Log in by hand and change it, then: vosctl credentials set ${name}`,
      deviceLines: terminal.recent,
    },
  )
}

function unexpectedPrompt(name: string, terminal: Terminal): VosError {
  const text = oneLine(terminal.pending.text, 80)
  return new VosError(
    'unexpected_prompt',
    `${name} waits with "${text}", which is not the prompt of a VOS appliance.`,
    {
      hint: 'Check the platform of the connection. On a VOS appliance: set commandcount disable',
      deviceLines: terminal.recent,
    },
  )
}

function promptTimeout(name: string, terminal: Terminal, promptMs: number): VosError {
  return new VosError('prompt_timeout', `${name} showed no prompt within ${promptMs / 1000} s.`, {
    hint: 'Try again later; for a slow device raise this time limit of the connection.',
    deviceLines: terminal.recent,
  })
}
