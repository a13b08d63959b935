import { oneLine } from '../core/text.ts'

export interface Ran {
  /** Null when it could not be run, was killed, or took too long. */
  readonly status: number | null
  readonly stdout: string
  /** Its last words in one line, for a message: what it said on stderr, or why it could not be run. */
  readonly words: string
}

export interface RunProgramOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly timeoutMs?: number
}

/** Runs another program to its end, away from the terminal and without standard input. Never throws for what it does. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { env = process.env, cwd, timeoutMs = 20_000 }: RunProgramOptions = {},
): Promise<Ran> {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(program, args, {
    env,
    // In a session of its own: nothing that it does may ask the terminal, and Ctrl-C is ours to answer.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
  const timer = setTimeout(() => {
    try {
      // All that it has started: one that lives on would keep its output open, and we wait for the end of that.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has just ended.
    }
  }, timeoutMs)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const { promise, resolve } = Promise.withResolvers<Ran>()
  child.once('error', ({ code, message }: NodeJS.ErrnoException) => {
    resolve({ status: null, stdout: '', words: code === 'ENOENT' ? `there is no ${program}` : oneLine(message) })
  })
  child.once('close', (status, signal) => {
    const said = oneLine(output.stderr.trim().split('\n').at(-1) ?? '', 300)
    const ended = signal ? `it was ended by ${signal}` : `it exited with ${status}`
    resolve({ status, stdout: output.stdout, words: said || ended })
  })
  return await promise.finally(() => clearTimeout(timer))
}
