import type { Context } from './context.ts'
import { LeftError, type LeaveSignal } from './leaving.ts'
import { isOn } from './renderers/choose.ts'
import { cleanDeviceLine } from './renderers/words.ts'

/** A shell's words for a program that is not there, or is none. */
const NO_PROGRAM = [126, 127]

export interface PagerOptions {
  /** False with --no-pager. */
  readonly pager?: boolean
}

/** Lines for a person: through a pager on a terminal, plainly everywhere else and where there is no pager. */
export async function printPaged(
  context: Context,
  lines: readonly string[],
  { pager = true }: PagerOptions,
): Promise<void> {
  const command = pager && lines.length > 0 ? pagerCommand(context) : null
  if (command !== null && (await page(context, command, lines))) return
  for (const line of lines) context.print(line)
}

/** Null when there shall be none. */
function pagerCommand({ io: { stdout, env }, flags }: Context): string | null {
  if (!stdout.isTTY || flags.output !== 'text' || isOn(env.CI) || !env.TERM || env.TERM === 'dumb') return null
  const command = env.PAGER ?? 'less'
  return ['', 'cat'].includes(command.trim()) ? null : command
}

/**
 * Resolves when the person has left the pager; to false when there was none.
 * @throws LeftError when a signal ends us meanwhile; Ctrl-C does not: it is the pager's
 */
async function page({ leaving, io }: Context, command: string, lines: readonly string[]): Promise<boolean> {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(command, {
    // PAGER is a command line. Our own choice is a program, so that no shell complains where it is missing.
    shell: io.env.PAGER !== undefined,
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...io.env, LESS: io.env.LESS ?? 'FRX' },
  })
  let left: LeaveSignal | undefined
  using _signals = leaving.handOver((signal) => {
    if (signal === 'SIGINT') return
    left = signal
    child.kill(signal)
  })
  const { promise: ended, resolve } = Promise.withResolvers<boolean>()
  child.on('error', () => resolve(false))
  child.on('close', (code) => resolve(!NO_PROGRAM.includes(code ?? 0)))
  // Whoever has seen enough leaves before the end.
  child.stdin.on('error', () => undefined)
  // -R lets colours through, so nothing may pass that is not text.
  child.stdin.end(lines.map((line) => `${cleanDeviceLine(line)}\n`).join(''))
  const shown = await ended
  if (left) throw new LeftError(left)
  return shown
}
