import type { Io } from '../follow.ts'
import { MIN_COLUMNS, MIN_ROWS, terminalSize } from '../renderers/choose.ts'
import { runProgram } from '../run-program.ts'
import { ok, warn, type Check } from './check.ts'

/** Nothing here keeps anything from working; it decides how it looks. */
export async function checkTerminal({ stderr, env }: Pick<Io, 'stderr' | 'env'>): Promise<readonly Check[]> {
  if (!stderr.isTTY) return [ok('terminal', 'none: progress is told in plain lines')]
  const { columns, rows } = terminalSize(stderr, env)
  const size = `${columns}x${rows}`
  const terminal =
    env.TERM === 'dumb'
      ? warn('terminal', 'TERM is dumb, so progress is told in plain lines', 'export TERM=xterm-256color')
      : columns < MIN_COLUMNS || rows < MIN_ROWS
        ? warn(
            'terminal',
            `${size} is less than ${MIN_COLUMNS}x${MIN_ROWS}, so progress is told in plain lines`,
            'Make it larger',
          )
        : ok('terminal', `${env.TERM ?? 'unknown'}, ${size}`)
  return [terminal, checkLocale(env), ...(env.TMUX ? [await checkTmux(env)] : [])]
}

export function checkLocale(env: NodeJS.ProcessEnv): Check {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || ''
  if (/utf-?8/i.test(locale)) return ok('locale', locale)
  return warn('locale', `"${locale}" is not UTF-8: names in other scripts may be drawn wrong`, 'export LANG=C.UTF-8')
}

/** The server decides, not the program that is found on the path. Nothing is wrong with an older one. */
async function checkTmux(env: NodeJS.ProcessEnv): Promise<Check> {
  const { status, stdout, words } = await runProgram('tmux', ['display-message', '-p', '#{version}'], {
    env,
    timeoutMs: 5_000,
  })
  if (status !== 0) return warn('tmux', `it does not say its version: ${words}`, 'tmux display-message -p "#{version}"')
  return ok('tmux', tmuxWords(stdout.trim()))
}

/** Synchronised output came with tmux 3.4; `next-3.5` and `3.3a` are versions too. */
export function tmuxWords(version: string): string {
  const [, major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(version) ?? []).map(Number)
  const knows = major > 3 || (major === 3 && minor >= 4)
  return `tmux ${version}, ${knows ? 'with' : 'without'} synchronised output${knows ? '' : ' (3.4 has it); watch works, and may flicker'}`
}
