import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { KeyStatus } from '../../core/protocol.ts'
import { askSecret, readSecret } from '../ask.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { clean } from '../renderers/words.ts'
import { isInteractive } from '../selection.ts'
import { fields } from '../table.ts'

export async function keyStatus(context: Context): Promise<ExitStatus> {
  const client = await context.connect()
  return say(context, await client.request('key:status', {}))
}

export interface UnlockOptions {
  readonly stdin?: boolean
  /** This is the first passphrase, by a script that knows it. */
  readonly new?: boolean
}

/** The passphrase goes to the daemon, which keeps the key that it makes and nothing of the passphrase. */
export async function unlockKey(context: Context, options: UnlockOptions): Promise<ExitStatus> {
  const { stdin = false } = options
  const client = await context.connect()
  const { provider, state } = await client.request('key:status', {})
  const isNew = provider === 'passphrase' && state === 'none'
  // Whatever a script says every morning must not become the passphrase because the database is another one.
  if (isNew && stdin && !options.new) {
    throw new VosError('needs_answer', 'the sealed store has no passphrase yet, and nobody types it twice.', {
      hint: 'Choose it at a terminal: vosctl key unlock. Or, if that is what you mean, add --new',
    })
  }
  const words = isNew ? 'A new passphrase for the sealed store:' : 'Passphrase of the sealed store:'
  const passphrase = await readPassphrase(context, words, stdin, isNew)
  return say(
    context,
    await client.request('key:unlock', { passphrase, isNew }),
    isNew ? 'given a passphrase' : 'unlocked',
  )
}

export async function lockKey(context: Context): Promise<ExitStatus> {
  const client = await context.connect()
  return say(context, await client.request('key:lock', {}), 'locked')
}

/** Another key for everything that is sealed, in one transaction. */
export async function rotateKey(context: Context, { stdin = false }: UnlockOptions): Promise<ExitStatus> {
  const client = await context.connect()
  const { provider } = await client.request('key:status', {})
  const passphrase =
    provider === 'passphrase'
      ? { passphrase: await readPassphrase(context, 'The new passphrase for the sealed store:', stdin, true) }
      : {}
  return say(context, await client.request('key:rotate', passphrase, { deadlineMs: ROTATE_MS }), 'rotated')
}

/** Thousands of secrets on a slow disk are one transaction. */
const ROTATE_MS = 120_000

/** Never from a flag or a variable. What is new is typed twice. */
async function readPassphrase(context: Context, words: string, fromStdin: boolean, isNew: boolean): Promise<string> {
  const { io } = context
  if (fromStdin && !io.stdin.isTTY) return given(await readSecret(io))
  if (!isInteractive(context)) {
    throw new VosError('needs_answer', 'the passphrase needs a terminal.', {
      hint: 'Or give it on standard input: --stdin',
    })
  }
  const passphrase = given(await askSecret(words, io))
  if (isNew && (await askSecret('Once more:', io)) !== passphrase) {
    throw new VosError('declined', 'the two are not the same. Nothing was changed.')
  }
  return passphrase
}

function given(passphrase: string | null): string {
  if (passphrase) return passphrase
  throw new VosError('declined', 'no passphrase was given. Nothing was changed.')
}

function say(context: Context, status: KeyStatus, done?: string): ExitStatus {
  const { provider, state, path, secrets } = status
  if (isMachine(context.flags)) {
    printJson(context, { schema: 'vosctl/key/v1', provider, state, path, secrets })
  } else if (context.flags.output === 'name') context.print(state)
  else if (done !== undefined) {
    if (!context.flags.quiet)
      context.print(`the sealed store is ${done}: ${secrets} ${secrets === 1 ? 'secret' : 'secrets'}`)
  } else {
    const where = path === null ? 'a passphrase that somebody types' : `${provider} ${clean(path)}`
    const words = { open: 'open', locked: 'LOCKED: vosctl key unlock', none: 'not made yet' }[state]
    for (const line of fields([
      ['key', where],
      ['state', words],
      ['secrets', String(secrets)],
    ]))
      context.print(line)
  }
  return 0
}
