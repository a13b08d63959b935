import fs from 'node:fs'
import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { ChainPage } from '../../core/protocol.ts'
import { toAuditJson, type Journal } from '../audit-document.ts'
import type { Client } from '../client.ts'
import { isMachine, listConnections, printJson, type Context } from '../context.ts'
import { findOperations } from '../operations.ts'

/** Everything that is known of an operation or a batch as one document for an auditor, which can be checked by itself. */
export async function exportAudit(context: Context, word: string, file = '-'): Promise<ExitStatus> {
  const client = await context.connect()
  const operations = await findOperations(client, [word], context.user)
  const parts: { readonly journal: Journal; readonly end: ChainPage }[] = []
  for (const { id } of operations) parts.push(await readJournal(client, id))
  const last = parts.at(-1)?.end
  if (!last) throw new VosError('unknown_operation', `there is no operation "${word}".`)
  const document = toAuditJson({
    at: context.now(),
    by: context.user,
    daemonVersion: client.info.version,
    chain: last.chain,
    head: last.head,
    journals: parts.map(({ journal }) => journal),
    connections: await listConnections(client),
  })
  if (file !== '-') writeNew(file, `${JSON.stringify(document, null, 2)}\n`)
  if (context.flags.output === 'name') for (const { id } of operations) context.print(id)
  else if (isMachine(context.flags)) printJson(context, document)
  else if (file === '-') context.print(JSON.stringify(document, null, 2))
  else if (!context.flags.quiet) context.note(`wrote ${file}, for your eyes only (mode 0600)`)
  return 0
}

async function readJournal(client: Client, id: string): Promise<{ journal: Journal; end: ChainPage }> {
  let page = await client.request('operation:chain', { id })
  const { before } = page
  const links = [...page.links]
  while (page.next !== null) {
    page = await client.request('operation:chain', { id, after: page.next })
    links.push(...page.links)
  }
  return { journal: { id, before, links }, end: page }
}

/** Never over something that is there, nor through a link. */
function writeNew(file: string, text: string): void {
  let descriptor: number | undefined
  try {
    descriptor = fs.openSync(file, 'wx', 0o600)
    fs.writeFileSync(descriptor, text)
    fs.fsyncSync(descriptor)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (descriptor !== undefined) fs.rmSync(file, { force: true })
    if (code === 'EEXIST') {
      throw new VosError('bad_request', `${file} is there already. Nothing was written.`, {
        hint: 'Name another file.',
      })
    }
    throw new VosError('bad_request', `${file} cannot be written: ${message}.`, {
      hint: 'Name another file, or - for standard output.',
      cause,
    })
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor)
  }
}
