import type { ConnectionView } from '../core/protocol.ts'
import { isMachine, printJson, type Context } from './context.ts'
import { toConnectionJson } from './json-documents.ts'

/** One line about what was done with a connection, or its document. */
export function sayConnection(context: Context, connection: ConnectionView, line: string): void {
  if (isMachine(context.flags)) printJson(context, toConnectionJson(connection))
  else if (context.flags.quiet) return
  else context.print(context.flags.output === 'name' ? connection.name : line)
}
