import { loginKey } from '../../core/connection.ts'
import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { ConnectionView } from '../../core/protocol.ts'
import { askSecret, readSecret } from '../ask.ts'
import type { Client } from '../client.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { toConnectionJson } from '../json-documents.ts'
import { clean } from '../renderers/words.ts'
import { chooseTarget, isInteractive } from '../selection.ts'
import { runTest } from './test.ts'

export interface SetOptions {
  readonly stdin?: boolean
}

/** Takes the secret from the terminal or from standard input: never from a flag or a variable, which others can read. */
export async function setCredential(context: Context, word: string, options: SetOptions): Promise<ExitStatus> {
  const client = await context.connect()
  await setPassword(context, client, await chooseTarget(client, word), options)
  return 0
}

export async function setPassword(
  context: Context,
  client: Client,
  connection: ConnectionView,
  { stdin = false }: SetOptions = {},
): Promise<void> {
  const password = await readPassword(context, connection, stdin)
  if (!password) throw new VosError('declined', `no ${secretWord(connection)} was given. Nothing was changed.`)
  const changed = await client.request('credential:set', {
    id: connection.id,
    login: loginKey(connection),
    password,
  })
  say(context, changed, `the ${secretWord(connection)} of ${ownerWords(connection)} is set`)
}

function secretWord({ credential }: ConnectionView): 'password' | 'passphrase' {
  return credential.type === 'key' ? 'passphrase' : 'password'
}

function ownerWords({ credential, name, username }: ConnectionView): string {
  const whose = credential.type === 'key' ? credential.path : username
  return `${clean(whose)} on ${clean(name)}`
}

async function readPassword(context: Context, connection: ConnectionView, fromStdin: boolean): Promise<string | null> {
  const what = secretWord(connection)
  const { io } = context
  // A person who types it after all must not see it either.
  if (fromStdin && !io.stdin.isTTY) return await readSecret(io)
  if (isInteractive(context))
    return await askSecret(`${what === 'password' ? 'Password' : 'Passphrase'} of ${ownerWords(connection)}:`, io)
  throw new VosError('needs_answer', `the ${what} needs a terminal.`, {
    hint: `Or give it on standard input: vosctl credentials set ${clean(connection.name)} --stdin < file`,
  })
}

/** One login. On a terminal it may be tried again although the last one was refused. */
export async function testCredential(context: Context, word: string): Promise<ExitStatus> {
  const client = await context.connect({ revive: true })
  const { id } = await chooseTarget(client, word)
  return await runTest(context, client, [id], { despiteLoginHold: 'ask' }, true)
}

export async function removeCredential(context: Context, word: string): Promise<ExitStatus> {
  const client = await context.connect()
  const connection = await chooseTarget(client, word)
  const changed = await client.request('credential:remove', { id: connection.id })
  say(context, changed, `${clean(connection.name)} has no credential any more`)
  return 0
}

function say(context: Context, connection: ConnectionView, line: string): void {
  if (isMachine(context.flags)) printJson(context, toConnectionJson(connection))
  else if (context.flags.quiet) return
  else context.print(context.flags.output === 'name' ? connection.name : line)
}
