import { existsSync } from 'node:fs'
import { exitStatusOf, VosError } from '../core/errors.ts'
import { VERSION } from '../core/version.ts'
import { InterruptedError } from './ask.ts'
import type { Client } from './client.ts'
import { createWriters, type Context } from './context.ts'
import { FIRST_STEPS } from './first-steps.ts'
import { asksForJson, toFlags } from './flags.ts'
import type { Io } from './follow.ts'
import { GLOBAL_FLAGS } from './global-flags.ts'
import { LeftError, statusOfSignal, type Leaving } from './leaving.ts'
import { currentUser, resolvePaths } from './paths.ts'
import { isOn } from './renderers/choose.ts'
import { createLineWriter } from './renderers/line-writer.ts'
import { toErrorJson } from './renderers/json.ts'
import { refusalLines, refusalStatus } from './refusal.ts'
import { RefusedError } from './refused-error.ts'
import { errorLines } from './report.ts'
import type { Invocation } from './program.ts'

/** From the words of the command line to an exit status. Every known error is printed here, once. */
export async function run(argv: readonly string[], io: Io, leaving: Leaving): Promise<number> {
  try {
    const page = await helpFor(argv, io)
    if (page) {
      const print = createLineWriter(io.stdout)
      for (const line of page.lines) print(line)
      return page.status
    }
    const { parseCommandLine } = await import('./program.ts')
    return await runCommand(parseCommandLine(argv), io, leaving)
  } catch (error) {
    if (error instanceof LeftError) return statusOfSignal(error.signal)
    if (error instanceof InterruptedError) return statusOfSignal('SIGINT')
    if (error instanceof VosError) return sayError(error, io, asksForJson(argv, io.env))
    throw error
  }
}

async function runCommand({ spec, args, options, globals }: Invocation, io: Io, leaving: Leaving): Promise<number> {
  const flags = toFlags(globals, io.env)
  const user = currentUser()
  const paths = resolvePaths(io.env, globals.stateDir, user.home)
  const clients: Client[] = []
  const writers = createWriters(io, flags)
  const context: Context = {
    io,
    flags,
    paths,
    user: user.name,
    leaving,
    now: Date.now,
    ...writers,
    connect: async ({ revive = false } = {}) => {
      const { openSession } = await import('./actions.ts')
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
    if (!spec.run) throw new Error(`${spec.name} cannot be run`)
    return await spec.run(context, args, options as never)
  } finally {
    for (const client of clients) client.close()
  }
}

/** Help needs neither parser nor daemon. Bare `vosctl` is 2: a script with an empty variable must not look successful. */
async function helpFor(
  argv: readonly string[],
  io: Io,
): Promise<{ readonly lines: readonly string[]; readonly status: number } | null> {
  const end = argv.indexOf('--')
  const before = end === -1 ? argv : argv.slice(0, end)
  const asked = before.some((word) => word === '--help' || word === '-h')
  const first = firstWord(argv)
  const isHelp = first !== null && argv[first] === 'help'
  if (argv.length > 0 && !isHelp && !asked) return null
  const { helpPage, overview, TOPICS } = await import('./help.ts')
  if (argv.length === 0)
    return { lines: isEmptyHouse(io) ? [...overview(), '', ...FIRST_STEPS] : overview(), status: 2 }
  if (isHelp) {
    const words = argv.slice(first + 1).filter((word) => !word.startsWith('-'))
    const lines = helpPage(words)
    if (lines) return { lines, status: 0 }
    const hint = `Topics: ${Object.keys(TOPICS).join(', ')}. Commands: vosctl help`
    throw new VosError('bad_request', `there is no help for "${words.join(' ')}".`, { hint })
  }
  return { lines: nearestPage(before, helpPage) ?? overview(), status: 0 }
}

/** Where the command's name stands, behind global flags and their values; null when there is none. */
function firstWord(argv: readonly string[]): number | null {
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? ''
    if (!word.startsWith('-')) return index
    const spec = GLOBAL_FLAGS.find(({ flag }) => flag.split(/[ ,]+/).includes(word))
    if (spec?.flag.includes('<')) index++
  }
  return null
}

/** The page of the command among the words, whatever flags stand around it. */
function nearestPage(
  argv: readonly string[],
  helpPage: (words: readonly string[]) => string[] | null,
): readonly string[] | null {
  const words = argv.filter((word) => !word.startsWith('-'))
  for (const [index, word] of words.entries()) {
    const next = words[index + 1]
    const page = (next === undefined ? null : helpPage([word, next])) ?? helpPage([word])
    if (page) return page
  }
  return null
}

/** Only what a look at the disk can tell: nothing is started to print an overview. */
function isEmptyHouse({ env }: Io): boolean {
  try {
    return !existsSync(resolvePaths(env, undefined, currentUser().home).database)
  } catch {
    return false
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
