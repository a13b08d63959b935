import path from 'node:path'
import type { AlgorithmProfile, Platform, Timings } from '../../core/connection.ts'
import { exitStatusOf, VosError, type ExitStatus } from '../../core/errors.ts'
import type { ConnectionInput, ConnectionView } from '../../core/protocol.ts'
import { askText, confirm } from '../ask.ts'
import type { Client } from '../client.ts'
import { address, connectionLines, listLines } from '../connection-words.ts'
import { isMachine, listConnections, printJson, type Context } from '../context.ts'
import { FIRST_STEPS } from '../first-steps.ts'
import { toConnectionJson, toTime } from '../json-documents.ts'
import { errorLines } from '../report.ts'
import { currentUser } from '../paths.ts'
import { resultColumns } from '../renderers/choose.ts'
import { clean } from '../renderers/words.ts'
import { sayConnection } from '../say-connection.ts'
import { chooseTarget, insist, isInteractive } from '../selection.ts'
import { table } from '../table.ts'
import { withTyped } from '../typed-password.ts'
import { setPassword } from './credentials.ts'
import { runTest } from './test.ts'
import { trustConnection } from './trust.ts'

/** Not imported: an import looks at every name of the module, and some of them take long to load. */
const { randomUUID } = process.getBuiltinModule('node:crypto')

/** The flags of `add` and `edit`. */
export interface ConnectionOptions {
  readonly name?: string
  readonly host?: string
  readonly port?: number
  readonly username?: string
  readonly platform?: Platform
  readonly service?: string
  readonly key?: string
  readonly credential?: string
  readonly passphraseFrom?: string
  readonly algorithms?: AlgorithmProfile
  readonly reason?: string
  readonly until?: string
  readonly acceptNew?: boolean
  readonly echo?: boolean
  readonly enter?: 'cr' | 'lf'
  readonly sudo?: boolean
  readonly via?: string | false
  readonly timing?: Partial<Timings>
}

/** What was said, in the daemon's words; what was not said is not in it. */
export function toChange(options: ConnectionOptions): Partial<ConnectionInput> {
  const { name, host, port, username, platform, service, echo, enter, sudo, via, timing } = options
  const { acceptNew, algorithms, reason, until } = options
  const { credential, passphraseFrom } = options
  const isKey = credential?.startsWith('key:')
  if (options.key !== undefined && credential !== undefined) {
    throw new VosError('bad_request', 'a connection has one credential, and both --key and --credential name one.', {
      hint: 'Leave one of them out.',
    })
  }
  // No shell expands it in the middle of a word.
  const key = isKey ? credential?.slice('key:'.length).replace(/^~(?=\/)/, currentUser().home) : options.key
  return {
    ...(name === undefined ? {} : { name }),
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(username === undefined ? {} : { username }),
    ...(platform === undefined ? {} : { platform }),
    // An empty name takes the default service away.
    ...(service === undefined ? {} : { service: service === '' ? null : service }),
    // The daemon lives in another directory.
    ...(key === undefined ? {} : { keyPath: key && path.resolve(key) }),
    ...(credential === undefined || isKey ? {} : { credential }),
    ...(passphraseFrom === undefined ? {} : { passphraseFrom }),
    ...(algorithms === undefined ? {} : { algorithms }),
    ...(reason === undefined ? {} : { algorithmsReason: reason }),
    ...(until === undefined ? {} : { algorithmsUntil: until }),
    ...(acceptNew === undefined ? {} : { acceptNew }),
    ...(echo === undefined ? {} : { echo }),
    ...(enter === undefined ? {} : { enter }),
    ...(sudo === undefined ? {} : { sudo }),
    ...(via === undefined ? {} : { via: via === false || via === 'none' ? null : via }),
    ...(timing === undefined ? {} : { timings: timing }),
  }
}

export async function addConnection(context: Context, name: string, options: ConnectionOptions): Promise<ExitStatus> {
  const host = options.host ?? (await missing(context, '--host', 'Host name or address of the device:'))
  const username = options.username ?? (await missing(context, '--username', `User on ${clean(name)}:`))
  const client = await context.connect()
  const added = await client.request('connection:add', { ...toChange(options), name, host, username })
  sayConnection(context, added, `added ${clean(added.name)} (id ${added.id}, ${added.platform}, ${address(added)})`)
  return isInteractive(context) && !context.flags.yes ? await offerTheRest(context, client, added) : 0
}

async function missing(context: Context, flag: string, question: string): Promise<string> {
  const answer = isInteractive(context) ? await askText(question, context.io) : null
  if (answer) return answer
  throw new VosError('needs_answer', `a connection needs ${flag}, and there is no answer.`, { hint: `Add ${flag}.` })
}

/** What a connection needs before it can be used. The connection is added already, whatever becomes of this. */
async function offerTheRest(context: Context, client: Client, added: ConnectionView): Promise<ExitStatus> {
  const name = clean(added.name)
  try {
    if (!(await confirm(`Read the host key of ${name} now, to compare and pin it?`, context.io)))
      return sayNext(context, name)
    await trustConnection(context, name, {})
    if (added.credential.type === 'none') {
      if (!(await confirm(`Set the password of ${clean(added.username)} now?`, context.io)))
        return sayNext(context, name)
      await setPassword(context, client, added)
    }
    if (!(await confirm('Log in once to test it?', context.io))) return 0
    return await runTest(context, client, [added.id], {}, true)
  } catch (error) {
    if (!(error instanceof VosError)) throw error
    for (const line of errorLines(error)) context.note(line)
    sayNext(context, name)
    return exitStatusOf(error.code)
  }
}

function sayNext(context: Context, name: string): ExitStatus {
  const steps = [`vosctl connections trust ${name}`, `vosctl credentials set ${name}`, `vosctl test ${name}`]
  // A line each: one that is wrapped by the terminal is not seen as three commands.
  for (const line of ['Before it can be used:', ...steps.map((step) => `  ${step}`)]) context.note(line)
  return 0
}

export async function listAll(context: Context): Promise<ExitStatus> {
  const connections = await listConnections(await context.connect())
  if (isMachine(context.flags)) {
    const items = connections.map(toConnectionJson)
    printJson(context, { schema: 'vosctl/connection-list/v1', items })
  } else if (context.flags.output === 'name') {
    for (const { name } of connections) context.print(name)
  } else {
    const columns = resultColumns(context.io.stdout, context.io.env)
    for (const line of connections.length === 0 ? FIRST_STEPS : listLines(connections, columns)) context.print(line)
  }
  return 0
}

export async function showConnection(context: Context, word: string): Promise<ExitStatus> {
  const connection = await chooseTarget(await context.connect(), word)
  if (isMachine(context.flags)) printJson(context, toConnectionJson(connection))
  else if (context.flags.output === 'name') context.print(connection.name)
  else for (const line of connectionLines(connection, context.now())) context.print(line)
  return 0
}

export async function editConnection(context: Context, word: string, options: ConnectionOptions): Promise<ExitStatus> {
  const change = toChange(options)
  if (Object.keys(change).length === 0) {
    throw new VosError('bad_request', 'nothing to change was named.', { hint: 'See: vosctl help connections edit' })
  }
  const client = await context.connect()
  const before = await chooseTarget(client, word)
  const after = await client.request('connection:edit', { id: before.id, change })
  sayConnection(context, after, `changed ${clean(after.name)}`)
  const name = clean(after.name)
  if (before.hostKey && !after.hostKey) {
    context.note(`It is another device now, so its host key is no longer pinned: vosctl connections trust ${name}`)
  }
  const lost = lostSecret(before, after)
  if (lost !== null) {
    context.note(`The ${lost} belonged to another login and was removed: vosctl credentials set ${name}`)
  } else if (after.credential.type === 'none' && options.credential === 'sealed') {
    context.note(`It has no password yet: vosctl credentials set ${name}`)
  }
  return 0
}

function lostSecret({ credential: before }: ConnectionView, { credential: after }: ConnectionView): string | null {
  if (before.type === 'sealed' && after.type === 'none') return 'password'
  const isLost = before.type === 'key' && before.passphrase === 'sealed'
  return isLost && after.type === 'key' && after.passphrase === undefined ? 'passphrase' : null
}

export async function removeConnection(context: Context, word: string): Promise<ExitStatus> {
  const client = await context.connect()
  const connection = await chooseTarget(client, word)
  const name = clean(connection.name)
  await insist(context, {
    what: `removing ${name}`,
    lines: [`${name} (${clean(connection.username)}@${address(connection)}); its history stays`],
    text: `Remove ${name}?`,
  })
  const removed = await client.request('connection:remove', { id: connection.id })
  sayConnection(context, removed, `removed ${name}`)
  return 0
}

/** The device's own list, read now: one login. */
export async function listServices(context: Context, word: string): Promise<ExitStatus> {
  const client = await context.connect()
  const connection = await chooseTarget(client, word)
  const requestId = randomUUID()
  const services = await withTyped(context, client, requestId, () =>
    client.request('connection:services', { id: connection.id, requestId }),
  )
  if (isMachine(context.flags)) {
    printJson(context, {
      schema: 'vosctl/service-list/v1',
      at: toTime(context.now()),
      connection: { id: connection.id, name: connection.name },
      items: services.map(({ name, state, reason, refusal }) => ({
        name: clean(name),
        state: clean(state),
        reason: reason === '' ? null : clean(reason),
        refusal: refusal ?? null,
      })),
    })
  } else if (context.flags.output === 'name') {
    for (const { name } of services) context.print(clean(name))
  } else {
    const rows = services.map(({ name, state, reason }) => [clean(name), clean(state), clean(reason)])
    for (const line of table(['SERVICE', 'STATE', 'REASON'], rows)) context.print(line)
  }
  return 0
}
