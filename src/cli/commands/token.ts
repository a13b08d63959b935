import { closeSync, constants, fsyncSync, openSync, writeSync } from 'node:fs'
import path from 'node:path'
import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { TokenView } from '../../core/protocol.ts'
import { judgeEnd } from '../../core/ownership.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { toTime } from '../json-documents.ts'
import { look } from '../look.ts'
import { makeDirectory } from '../make-directory.ts'
import { clean } from '../renderers/words.ts'
import { table } from '../table.ts'
import { momentWords } from '../times.ts'

export interface CreateOptions {
  readonly readOnly?: boolean
  readonly file?: string
  readonly print?: boolean
}

/**
 * Makes a token and writes it to a file of this user alone. The daemon is told its digest, so that the token is in no
 * memory, journal or packet but that of whoever uses it.
 */
export async function createToken(
  context: Context,
  name: string,
  { readOnly = false, file, print = false }: CreateOptions,
): Promise<ExitStatus> {
  if (file !== undefined && print) throw new VosError('bad_request', '--file and --print contradict each other.')
  const { createHash, randomBytes } = process.getBuiltinModule('node:crypto')
  const token = `vosctl_${randomBytes(32).toString('base64url')}`
  const digest = createHash('sha256').update(token).digest('base64url')
  const access = readOnly ? 'read' : 'full'
  const client = await context.connect()
  // The daemon judges the name: only then may it be that of a file.
  const view = await client.request('token:create', { name, access, digest, createdBy: context.user })
  let written: string | null = null
  try {
    written = print ? null : writeToken(context, name, file, token)
  } catch (error) {
    await client.request('token:revoke', { name })
    throw error
  }
  const { output, quiet } = context.flags
  if (isMachine(context.flags)) {
    const more = { file: written, ...(print ? { token } : {}) }
    printJson(context, { schema: 'vosctl/token/v1', ...toTokenJson(view), ...more })
  } else if (print) context.print(token)
  else if (output === 'name') context.print(name)
  else if (!quiet) context.print(`the token ${clean(name)} (${wordsOf(view)}) is in ${clean(written ?? '')}`)
  if (!client.info.network) context.note('Nothing listens on the network yet: vosctl help environment, "listen".')
  return 0
}

export async function listTokens(context: Context): Promise<ExitStatus> {
  const client = await context.connect()
  const tokens = await client.request('token:list', {})
  if (isMachine(context.flags)) {
    printJson(context, { schema: 'vosctl/token-list/v1', items: tokens.map(toTokenJson) })
  } else if (context.flags.output === 'name') for (const { name } of tokens) context.print(name)
  else if (tokens.length === 0) context.note('There are no tokens. Make one: vosctl daemon token create <name>')
  else {
    const now = context.now()
    const rows = tokens.map((token) => [
      clean(token.name),
      wordsOf(token),
      momentWords(token.createdAt, now),
      clean(token.createdBy),
      token.lastUsedAt === null ? 'never' : momentWords(token.lastUsedAt, now),
    ])
    for (const line of table(['NAME', 'MAY', 'MADE', 'BY', 'LAST USED'], rows)) context.print(line)
  }
  return 0
}

/** Whoever is connected with it is cut off. */
export async function revokeToken(context: Context, name: string): Promise<ExitStatus> {
  const client = await context.connect()
  const revoked = await client.request('token:revoke', { name })
  if (isMachine(context.flags)) printJson(context, { schema: 'vosctl/token/v1', ...toTokenJson(revoked) })
  else if (context.flags.output === 'name') context.print(revoked.name)
  else if (!context.flags.quiet)
    context.print(`the token ${clean(revoked.name)} is revoked; its file is worth nothing now`)
  return 0
}

/**
 * Into a new file: what is there already, a link included, is never written to.
 * @returns its path
 */
function writeToken({ paths }: Context, name: string, given: string | undefined, token: string): string {
  const file = given === undefined ? path.join(paths.configDirectory, 'tokens', name) : path.resolve(given)
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  try {
    if (given === undefined) prepareDirectory(path.dirname(file))
    const descriptor = openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    try {
      writeSync(descriptor, `${token}\n`)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    return file
  } catch (error) {
    if (error instanceof VosError) throw error
    const { code } = error as NodeJS.ErrnoException
    const what = code === 'EEXIST' ? 'is there already' : `cannot be written: ${code ?? 'unknown error'}`
    throw new VosError('bad_request', `${file} ${what}. No token was made.`, {
      hint: code === 'EEXIST' ? `If it is worth nothing any more: rm ${file}` : 'Name another one with --file.',
    })
  }
}

function prepareDirectory(directory: string): void {
  makeDirectory(directory)
  const [self, found] = [process.geteuid?.(), look(directory)]
  if (self === undefined || !found) return
  const problem = judgeEnd({ ...found, path: directory }, { type: 'directory', owners: [self], closed: 0o077 }, self)
  if (problem) throw new VosError('bad_request', `${problem.message} No token was made.`, { hint: problem.fix })
}

function wordsOf({ access }: TokenView): string {
  return access === 'read' ? 'read only' : 'full'
}

function toTokenJson({ name, access, createdAt, createdBy, lastUsedAt }: TokenView) {
  return {
    name,
    access,
    created_at: toTime(createdAt),
    created_by: createdBy,
    last_used_at: toTime(lastUsedAt),
  }
}
