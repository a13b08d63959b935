import type { ExitStatus } from '../../core/errors.ts'
import { isMachine, listConnections, printJson, type Context } from '../context.ts'
import { toExportDocument } from '../export-document.ts'
import { chooseTargets } from '../selection.ts'

export interface ExportOptions {
  readonly format?: 'yaml' | 'json'
}

/** All connections, or those that are named, as a file that `import` reads. */
export async function exportConnections(
  context: Context,
  words: readonly string[],
  options: ExportOptions,
): Promise<ExitStatus> {
  const client = await context.connect()
  const chosen =
    words.length > 0 ? (await chooseTargets(context, client, words)).connections : await listConnections(client)
  const document = toExportDocument(chosen)
  if (isMachine(context.flags)) printJson(context, document)
  else if (context.flags.output === 'name') for (const { name } of document.connections) context.print(name)
  else if (options.format === 'json') context.print(JSON.stringify(document, null, 2))
  else context.print((await import('../import/yaml.ts')).toYaml(document))
  return 0
}
