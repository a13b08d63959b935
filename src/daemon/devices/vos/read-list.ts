import type { Timings } from '../../../core/connection.ts'
import { VosError } from '../../../core/errors.ts'
import { oneLine } from '../../../core/text.ts'
import { pagingAnswer, questionIn, type Prompt } from './prompt.ts'
import { parseServiceList, type ServiceList } from './service-list.ts'
import type { Terminal } from './terminal.ts'

/** The longest list seen has 55 lines. */
const MAX_LINES = 2000

export interface ReadOptions {
  readonly name: string
  readonly prompt: Prompt
  readonly timings: Pick<Timings, 'commandMs' | 'quietMs'>
}

/**
 * Reads the answer of `utils service list` up to the prompt, through a pager if there is one.
 * @throws VosError `not_a_service_list`, `command_timeout`, `unexpected_prompt`, or why the session was lost
 */
export async function readServiceList(terminal: Terminal, options: ReadOptions): Promise<ServiceList> {
  const lines = await readToPrompt(terminal, options)
  const list = parseServiceList(lines.join('\n'))
  if (!list.complete) {
    throw notAServiceList(options.name, terminal, `${list.services.length} services in ${lines.length} lines`)
  }
  return list
}

async function readToPrompt(terminal: Terminal, { name, prompt, timings }: ReadOptions): Promise<string[]> {
  const { commandMs } = timings
  const startedAt = performance.now()
  const lines: string[] = []
  for (;;) {
    lines.push(...terminal.take().map(({ plain }) => plain))
    if (lines.length > MAX_LINES) throw notAServiceList(name, terminal, `more than ${MAX_LINES} lines`)
    if (terminal.isLost) throw terminal.lostError('while it listed its services')

    const leftMs = startedAt + commandMs - performance.now()
    if (leftMs <= 0) throw commandTimeout(name, terminal, commandMs)
    const openMs = timings.quietMs - terminal.quietMs
    if (openMs <= 0) {
      const { plain } = terminal.pending
      if (prompt.matches(plain)) return lines
      const key = pagingAnswer(plain)
      if (key !== undefined) terminal.press(key)
      else if (questionIn(plain) === 'plain') throw asked(name, terminal)
    }
    await terminal.wait(openMs > 0 ? Math.min(openMs, leftMs) : leftMs)
  }
}

function notAServiceList(name: string, terminal: Terminal, what: string): VosError {
  return new VosError('not_a_service_list', `${name} did not answer with a whole service list: ${what}.`, {
    hint: 'Log in by hand and try: utils service list',
    deviceLines: terminal.recent,
  })
}

function commandTimeout(name: string, terminal: Terminal, commandMs: number): VosError {
  return new VosError('command_timeout', `${name} did not finish its service list within ${commandMs / 1000} s.`, {
    hint: 'Try again later; for a slow device raise this time limit of the connection.',
    deviceLines: terminal.recent,
  })
}

function asked(name: string, terminal: Terminal): VosError {
  const question = oneLine(terminal.pending.text)
  return new VosError('unexpected_prompt', `${name} asked "${question}" instead of listing. Nothing was answered.`, {
    hint: 'Log in by hand and see what it wants.',
    deviceLines: terminal.recent,
  })
}
