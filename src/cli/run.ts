import { exitStatusOf, VosError } from '../core/errors.ts'
import { VERSION } from '../core/version.ts'
import { ACTIONS } from './actions.ts'
import { InterruptedError } from './ask.ts'
import type { Client } from './client.ts'
import { createWriters, type Context } from './context.ts'
import { asksForJson, toFlags } from './flags.ts'
import type { Io } from './follow.ts'
import { LeftError, statusOfSignal, type Leaving } from './leaving.ts'
import { readNames } from './names.ts'
import { currentUser, resolvePaths } from './paths.ts'
import { parseCommandLine } from './program.ts'
import { isOn } from './renderers/choose.ts'
import { createLineWriter } from './renderers/line-writer.ts'
import { toErrorJson } from './renderers/json.ts'
import { refusalLines, refusalStatus } from './refusal.ts'
import { RefusedError } from './refused-error.ts'
import { errorLines } from './report.ts'
import { openSession } from './session.ts'

/** From the words of the command line to an exit status. Every known error is printed here, once. */
export async function run(argv: readonly string[], io: Io, leaving: Leaving): Promise<number> {
  try {
    return await runCommand(argv, io, leaving)
  } catch (error) {
    if (error instanceof LeftError) return statusOfSignal(error.signal)
    if (error instanceof InterruptedError) return statusOfSignal('SIGINT')
    if (error instanceof VosError) return sayError(error, io, asksForJson(argv, io.env))
    throw error
  }
}

/** By what the daemon has left on the disk: no daemon is started to explain a mistake. */
function isConnection(word: string, env: NodeJS.ProcessEnv, stateDir: string | undefined): boolean {
  const { connections } = readNames(resolvePaths(env, stateDir, currentUser().home))
  return connections.some(({ name }) => name === word)
}

async function runCommand(argv: readonly string[], io: Io, leaving: Leaving): Promise<number> {
  const isName = (word: string, stateDir: string | undefined) => isConnection(word, io.env, stateDir)
  const { name, words, options, globals } = parseCommandLine(argv, isName)
  const flags = toFlags(globals, io.env)
  const user = currentUser()
  const paths = resolvePaths(io.env, globals.stateDir, user.home)
  const clients: Client[] = []
  const writers = createWriters(io, flags)
  const context: Context = {
    io,
    argv,
    flags,
    paths,
    user: user.name,
    leaving,
    now: Date.now,
    ...writers,
    connect: async ({ revive = false } = {}) => {
      const client = await openSession({
        paths,
        revive,
        noStart: flags.noStart,
        note: (line) => (flags.quiet ? undefined : writers.note(line)),
        ...(isOn(io.env.VOSCTL_DEBUG) ? { trace: tracer(io) } : {}),
      })
      clients.push(client)
      return client
    },
  }
  try {
    const action = ACTIONS[name]
    if (!action) throw new Error(`${name} does nothing`)
    return await action(context, words, options as never)
  } finally {
    for (const client of clients) client.close()
  }
}

function sayError(error: VosError, io: Io, json: boolean): number {
  const refusal = error instanceof RefusedError ? error.refusal : error.toInfo()
  if (json) {
    createLineWriter(io.stdout)(JSON.stringify(toErrorJson(refusal)))
    return error instanceof RefusedError ? refusalStatus(error.refused) : exitStatusOf(error.code)
  }
  const write = createLineWriter(io.stderr)
  if (error instanceof RefusedError) {
    const { refused, wanted } = error
    for (const line of refusalLines(refused, { tty: Boolean(io.stderr.isTTY), now: Date.now(), wanted })) write(line)
    return refusalStatus(refused)
  }
  for (const line of errorLines(error)) write(line)
  return exitStatusOf(error.code)
}

function tracer(io: Io): (line: string) => void {
  const write = createLineWriter(io.stderr)
  return (line) => write(`vosctl ${VERSION}: ${line}`)
}
