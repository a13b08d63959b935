import { randomUUID } from 'node:crypto'
import path from 'node:path'
import type { Platform } from '../../core/connection.ts'
import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { ReplyOf } from '../../core/protocol.ts'
import { NoAnswerError, type Client } from '../client.ts'
import { isMachine, listConnections, printJson, type Context } from '../context.ts'
import { isProblem, toCandidate, type Candidate } from '../import/candidate.ts'
import { FIELD_NAMES, FIELDS, type Problem } from '../import/fields.ts'
import { detectFormat, parseText, readText, type ImportFormat } from '../import/file.ts'
import { countWords, createPlan, inPackets, planLines, problemWords, toParts, type Plan } from '../import/plan.ts'
import { currentUser } from '../paths.ts'
import { clean } from '../renderers/words.ts'
import { insist, isInteractive } from '../selection.ts'

export interface ImportOptions {
  readonly format?: ImportFormat
  readonly platform?: Platform
  readonly dryRun?: boolean
  readonly skipRejected?: boolean
}

/** Reads a file of connections, says what it would do, asks, and writes all of it or nothing. */
export async function importConnections(context: Context, file: string, options: ImportOptions): Promise<ExitStatus> {
  const text = await readText(file, () => context.io.stdin)
  const person = currentUser()
  const format = options.format ?? detectFormat(file, text)
  const { rows, notes } = await parseText(text, format, person)
  const places = { home: person.home, directory: file === '-' ? process.cwd() : path.dirname(path.resolve(file)) }
  const client = await context.connect()
  const candidates = rows
    .map((row) => toCandidate(row, places))
    .map((one) => (isProblem(one) || !options.platform ? one : withPlatform(one, options.platform)))
  const plan = createPlan(await check(client, candidates), await listConnections(client))
  const count = plan.added.length + plan.changed.length
  const refuses = plan.rejected.length > 0 && (!options.skipRejected || count === 0)
  const shown = [
    `${file === '-' ? 'standard input' : clean(file)} (${format}): ${countWords(plan)}`,
    ...planLines(plan),
  ]
  if (options.dryRun || refuses) {
    if (isMachine(context.flags)) sayDocument(context, plan, false)
    // A dry run was asked for its plan; otherwise stdout has results, and there is none.
    const say = options.dryRun && !context.flags.quiet ? context.print : context.note
    if (!isMachine(context.flags) && (!context.flags.quiet || refuses))
      for (const line of [...shown, ...notes]) say(line)
    if (refuses) context.note(refusalWords(plan, options))
    return refuses ? 2 : 0
  }
  const quiet = context.flags.quiet && (context.flags.yes || count === 0)
  if (!quiet) for (const line of [...shown, ...notes]) context.note(line)
  if (count > 0) {
    const what = `importing ${count} ${count === 1 ? 'connection' : 'connections'}`
    await insist(context, { what, lines: [], text: 'Write this?' }, { stdinTaken: file === '-' })
    await write(client, plan)
  }
  sayResult(context, plan, count)
  return 0
}

function withPlatform(candidate: Candidate, platform: Platform): Candidate {
  return { ...candidate, defaults: { platform, ...candidate.defaults } }
}

/** The daemon judges the values, all rows before anything is asked. */
async function check(
  client: Client,
  rows: readonly (Candidate | Problem)[],
): Promise<readonly (Candidate | Problem)[]> {
  const candidates = rows.filter((row): row is Candidate => !isProblem(row))
  const problems = new Map<Candidate, string>()
  let place = 0
  for (const packet of inPackets(candidates.map(({ values, defaults }) => ({ ...defaults, ...values })))) {
    for (const words of await client.request('connection:check', { rows: packet })) {
      const candidate = candidates[place++]
      if (candidate && words !== null) problems.set(candidate, words)
    }
  }
  return rows.map((row) => {
    const words = isProblem(row) ? undefined : problems.get(row)
    return isProblem(row) || words === undefined ? row : toProblem(row, words)
  })
}

/** The daemon's `keyPath: is empty`, in the names of the file. */
function toProblem({ line, name, lines }: Candidate, words: string): Problem {
  const [key = ''] = words.split(/[.:]/, 1)
  const field = FIELD_NAMES.find((one) => FIELDS[one].input === key)
  const why = words.replace(/^(\w+)(?:\.(\w+?)(?:Ms)?)?: /, (_, __, inner?: string) => (inner ? `${inner} ` : ''))
  const hint = 'Correct it; vosctl help connections add says what it may be.'
  return { line: (field && lines.get(field)) ?? line, name, field: field ?? null, why, hint }
}

async function write(client: Client, plan: Plan): Promise<void> {
  const parts = toParts(plan)
  const importId = randomUUID()
  let written: ReplyOf<'connection:import'> = null
  try {
    for (const [part, rows] of parts.entries()) {
      written = await client.request('connection:import', { importId, part, parts: parts.length, ...rows })
    }
  } catch (error) {
    if (!(error instanceof NoAnswerError)) throw error
    throw new VosError('no_daemon', `${error.message} All of it was imported, or nothing.`, {
      hint: 'Import again: what is there already is the same and stays.',
      cause: error,
    })
  }
  if (!written) throw new Error('the last part of an import was not the last')
}

function refusalWords({ rejected }: Plan, { skipRejected }: ImportOptions): string {
  const rest = skipRejected ? 'there is nothing else to import' : 'correct the file, or leave them out: --skip-rejected'
  return `vosctl: ${rejected.length} rejected, so nothing was imported; ${rest}.`
}

function sayResult(context: Context, plan: Plan, count: number): void {
  const names = [...plan.added.map(({ input }) => input.name), ...plan.changed.map(({ before }) => before.name)]
  if (isMachine(context.flags)) return sayDocument(context, plan, count > 0)
  if (context.flags.output === 'name') return names.forEach(context.print)
  if (context.flags.quiet) return
  context.print(count === 0 ? `nothing to import: ${countWords(plan)}` : `imported: ${countWords(plan)}`)
  const next = plan.added.find(({ input }) => !input.hostKey)?.input.name
  if (next === undefined || !isInteractive(context)) return
  const steps = ['connections trust', 'credentials set', 'test'].map((words) => `  vosctl ${words} ${clean(next)}`)
  for (const line of ['Before a new one can be used:', ...steps]) context.note(line)
}

function sayDocument(context: Context, plan: Plan, imported: boolean): void {
  const { added, changed, same, rejected } = plan
  printJson(context, {
    schema: 'vosctl/connection-import/v1',
    imported,
    added: added.map(({ line, input, consequences }) => ({ line, name: input.name, consequences })),
    changed: changed.map(({ line, before, fields, consequences }) => {
      return { line, id: before.id, name: before.name, fields, consequences }
    }),
    same,
    rejected: rejected.map((problem) => ({ ...problem, message: problemWords(problem) })),
  })
}
