import { VosError } from '../core/errors.ts'
import type { ConnectionView } from '../core/protocol.ts'
import { canAsk, confirm, readAll } from './ask.ts'
import type { Client } from './client.ts'
import { isMachine, listConnections, type Context } from './context.ts'
import { findTarget, parseNames, selectTargets, unknownTarget, type Selection } from './targets.ts'

export interface Chosen extends Selection<ConnectionView> {
  /** Standard input gave the names, so it cannot answer questions any more. */
  readonly stdinTaken: boolean
}

/** What the words on the command line mean; `-` is replaced by the names on standard input. */
export async function chooseTargets(context: Context, client: Client, words: readonly string[]): Promise<Chosen> {
  const stdinTaken = words.includes('-')
  const named = stdinTaken ? parseNames(await readAll(context.io.stdin)) : []
  const expanded = words.flatMap((word) => (word === '-' ? named : [word]))
  const connections = await listConnections(client)
  if (connections.length === 0 && expanded.length > 0) throw noConnections()
  return { ...selectTargets(expanded, connections), stdinTaken }
}

/** The one connection that a word means. */
export async function chooseTarget(client: Client, word: string): Promise<ConnectionView> {
  const connections = await listConnections(client)
  if (connections.length === 0) throw noConnections()
  const found = findTarget(word, connections)
  if (!found) throw unknownTarget(word, connections)
  return found
}

function noConnections(): VosError {
  return new VosError('unknown_connection', 'there are no connections yet.', {
    hint: 'Add one: vosctl connections add cucm-pub --host 10.10.0.10 --username admin',
  })
}

/** May this command ask at all? Not when a program reads the answer. */
export function isInteractive({ io, flags }: Context): boolean {
  return canAsk(io) && !flags.noInput && !isMachine(flags)
}

/**
 * A yes from the person: by --yes, or by answering the question.
 * @throws VosError `needs_answer` when nobody can be asked, `declined` when the answer is no
 */
export async function insist(
  context: Context,
  question: { readonly what: string; readonly lines: readonly string[]; readonly text: string },
  options: { readonly stdinTaken?: boolean; readonly signal?: AbortSignal } = {},
): Promise<void> {
  if (context.flags.yes) return
  if (!isInteractive(context) || options.stdinTaken) {
    throw new VosError('needs_answer', `${question.what} needs an answer, and there is nobody to ask.`, {
      hint: 'If you mean it, add --yes.',
    })
  }
  for (const line of question.lines) context.io.stderr.write(`${line}\n`)
  if (await confirm(question.text, context.io, options.signal)) return
  throw new VosError('declined', 'you said no. Nothing was done.')
}
