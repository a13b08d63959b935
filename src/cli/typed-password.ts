import { loginKey } from '../core/connection.ts'
import { VosError } from '../core/errors.ts'
import { askSecret } from './ask.ts'
import type { Client } from './client.ts'
import { listConnections, type Context } from './context.ts'
import { RefusedError } from './refused-error.ts'
import { clean } from './renderers/words.ts'
import { isInteractive } from './selection.ts'

/**
 * Asks for work. Where a connection wants its password typed at each start the daemon says so, after everything else that
 * could stand in the way; then a person is asked, for each such connection, and the same is asked for again. The password
 * goes to the daemon for this request alone.
 * @throws RefusedError as it came when there is nobody to ask
 */
export async function withTyped<T>(
  context: Context,
  client: Client,
  requestId: string,
  ask: () => Promise<T>,
): Promise<T> {
  for (const typed = new Map<number, { readonly login: string; readonly password: string }>(); ;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof RefusedError) || !isInteractive(context)) throw error
      if (!error.refused.every(({ code, connection }) => code === 'needs_answer' && connection)) throw error
      // A jump host is named first, and what is behind it when that has its password.
      const ids = error.refused.map(({ connection }) => connection?.id ?? 0).filter((id) => !typed.has(id))
      if (ids.length === 0) throw error
      const connections = await listConnections(client)
      for (const connection of connections.filter(({ id }) => ids.includes(id))) {
        const { id, username, name } = connection
        const password = await askSecret(`Password of ${clean(username)} on ${clean(name)}:`, context.io)
        if (!password) throw new VosError('declined', 'no password was given. Nothing was done.')
        typed.set(id, { login: loginKey(connection), password })
      }
      // All of them, and the first ones again: the daemon keeps none for long, and a person may take their time.
      for (const [connectionId, secret] of typed) {
        await client.request('credential:lend', { requestId, connectionId, ...secret })
      }
    }
  }
}
