import { z } from 'zod'
import {
  ALGORITHM_PROFILES,
  DEFAULT_TIMINGS,
  HOST_KEY_TYPES,
  PLATFORMS,
  toCredential,
  type Timings,
} from './connection.ts'
import { IF_RUNNING, type RequestName, type RequestOf } from './protocol.ts'
import { oneLine } from './text.ts'

/**
 * What the daemon accepts over its socket. Strict everywhere: an unknown key is an error, so a misspelt option can not be
 * ignored silently, and `__proto__` is just another unknown key.
 */

/** One printable line: no control, bidi or other invisible character, because names are drawn on terminals. */
function line(max: number, what: string) {
  return z
    .string()
    .min(1, `${what} is empty`)
    .max(max, `${what} is longer than ${max} characters`)
    .refine((text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(text), `${what} holds a control or invisible character`)
}

const id = z.int().positive()
const operationId = z.string().regex(/^([a-z]-?[0-9a-z]{0,12}|last)$/, 'is not an operation id')
const name = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9._-]{0,62}$/, 'must begin with a letter, then letters, digits, . _ and -, at most 63')
  .refine((text) => text !== 'last', 'is a reserved word: "last"')
const host = z
  .string()
  .max(253, { error: 'is longer than 253 characters', abort: true })
  .regex(
    /^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|(?=.*:)[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9.-]{1,32})?)$/,
    'is not a host name or address',
  )
const port = z.int('is not a whole number').min(1, 'is below 1').max(65535, 'is above 65535')
const milliseconds = z
  .int()
  .min(1)
  .max(7 * 86_400_000)

/** Every field may be left out, and none may be `undefined`: a change says what it changes. */
function partial<Shape extends Record<string, z.ZodType>>(shape: Shape) {
  const fields = Object.entries(shape).map(([key, schema]) => [key, z.exactOptional(schema)])
  return z.strictObject(Object.fromEntries(fields) as { [Key in keyof Shape]: z.ZodExactOptional<Shape[Key]> })
}

const timings = partial(
  Object.fromEntries(Object.keys(DEFAULT_TIMINGS).map((key) => [key, milliseconds])) as Record<
    keyof Timings,
    typeof milliseconds
  >,
)

const hostKeyType = z.enum(HOST_KEY_TYPES, 'is not a type of host key that is checked')
const fingerprint = z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'is not a SHA256 fingerprint')
const hostKey = z.strictObject({ type: hostKeyType, fingerprint })
const day = z.iso.date('is not a day, such as 2027-03-31')

const credential = z.string().refine((word) => {
  const source = toCredential(word)
  return source !== null && source.type !== 'key'
}, 'is not sealed, helper:<name>, agent:SHA256:<fingerprint>, prompt or none')
const passphraseFrom = z
  .string()
  .refine((word) => word === 'sealed' || toCredential(word)?.type === 'helper', 'is not sealed or helper:<name>')

function secret(what: string) {
  return (
    z
      .string()
      .min(1, `the ${what} is empty`)
      .max(1024, `the ${what} is longer than 1024 characters`)
      .refine((text) => !/[\0\r\n]/.test(text), `the ${what} holds a line break`)
      // What cannot be sent as it is would be a wrong one.
      .refine((text) => text.isWellFormed(), `the ${what} holds half a character`)
  )
}

/** As long as the longest that there can be, a name, a path and five addresses, and a little more. */
const device = line(1600, 'the device')
const login = line(6000, 'the login')

const required = { name, host, username: line(64, 'the username') }
const optional = {
  port,
  platform: z.enum(PLATFORMS),
  service: line(96, 'the service').nullable(),
  keyPath: line(4096, 'the key path'),
  credential,
  passphraseFrom,
  algorithms: z.enum(ALGORITHM_PROFILES),
  algorithmsReason: line(200, 'the reason'),
  algorithmsUntil: day,
  acceptNew: z.boolean(),
  echo: z.boolean(),
  enter: z.enum(['cr', 'lf']),
  sudo: z.boolean(),
  via: line(63, 'the jump host').nullable(),
  timings,
}

const imported = { ...optional, hostKey }
const importedChange = partial({ ...required, ...imported })

const ended = {
  connectionIds: z.array(id).max(1000).exactOptional(),
  since: z.int().min(0).exactOptional(),
}

const nothing = z.strictObject({})

export const REQUESTS = {
  'operation:start': z.strictObject({
    requestId: z.uuid(),
    operationType: z.enum(['ssh_test', 'verify', 'service_restart']),
    connectionIds: z.array(id).min(1).max(1000),
    service: line(96, 'the service').exactOptional(),
    subject: operationId.exactOptional(),
    createdBy: line(64, 'the user name'),
    reason: line(500, 'the reason').exactOptional(),
    deadlineMs: milliseconds.exactOptional(),
    parallel: z.int().min(1).max(1000).exactOptional(),
    ifRunning: z.enum(IF_RUNNING).exactOptional(),
    ifRecentMs: z.int().min(1).exactOptional(),
    startStopped: z.boolean().exactOptional(),
    cutSession: z.boolean().exactOptional(),
    despiteUnknown: z.boolean().exactOptional(),
    despiteLoginHold: z.boolean().exactOptional(),
    dryRun: z.boolean().exactOptional(),
    attended: z.boolean().exactOptional(),
  }),
  'operation:cancel': z.strictObject({ id: operationId, by: line(64, 'the user name') }),
  'operation:acknowledge': z.strictObject({ id: operationId, by: line(64, 'the user name') }),
  'operation:get': z.strictObject({ id: operationId, createdBy: line(64, 'the user name').exactOptional() }),
  'operation:events': z.strictObject({
    id: operationId,
    afterSeq: z.int().min(0).exactOptional(),
    limit: z.int().min(1).max(5000).exactOptional(),
  }),
  'operation:history': z.strictObject({
    ...ended,
    failed: z.boolean().exactOptional(),
    limit: z.int().min(1).max(5000).exactOptional(),
  }),
  'operation:statistics': z.strictObject(ended),
  'operation:chain': z.strictObject({
    id: operationId,
    after: z.int().min(0).exactOptional(),
    limit: z.int().min(1).max(1000).exactOptional(),
  }),
  'history:verify': z.strictObject({
    heads: z
      .array(z.strictObject({ cursor: z.int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/, 'is not a hash') }))
      .max(100)
      .exactOptional(),
  }),
  subscribe: z.strictObject({
    room: z.union([z.literal('operations'), z.templateLiteral(['connection:', z.int().positive()])]),
    after: z.int().min(0).exactOptional(),
  }),
  'connection:list': nothing,
  'connection:add': partial(optional).extend(required),
  'connection:edit': z.strictObject({ id, change: partial({ ...required, ...optional }) }),
  'connection:check': z.strictObject({ rows: z.array(z.unknown()).max(5000) }),
  'connection:import': z
    .strictObject({
      importId: z.uuid(),
      part: z.int().min(0),
      parts: z.int().min(1).max(128),
      add: z.array(partial(imported).extend(required)).max(5000),
      edit: z
        .array(z.strictObject({ id, expected: z.string().regex(/^[\w-]{43}$/), change: importedChange }))
        .max(5000),
    })
    .refine(({ part, parts }) => part < parts, 'there are not so many parts'),
  'connection:remove': z.strictObject({ id }),
  'connection:host-key': z.strictObject({ id, types: z.array(hostKeyType).min(1).max(8).exactOptional() }),
  'connection:trust': z.strictObject({ id, device, hostKey, replaces: fingerprint.exactOptional() }),
  'connection:hold': z.strictObject({
    id,
    by: line(64, 'the user name'),
    reason: line(500, 'the reason').exactOptional(),
  }),
  'connection:release': z.strictObject({ id }),
  'connection:services': z.strictObject({
    id,
    createdBy: line(64, 'the user name').exactOptional(),
    despiteLoginHold: z.boolean().exactOptional(),
    requestId: z.uuid().exactOptional(),
  }),
  'credential:set': z.strictObject({ id, login, password: secret('password') }),
  'credential:lend': z.strictObject({ requestId: z.uuid(), connectionId: id, login, password: secret('password') }),
  'credential:remove': z.strictObject({ id }),
  'token:create': z.strictObject({
    // What the journal calls its holder is a user name: `token:` and this.
    name: name.max(58, 'is longer than 58 characters'),
    access: z.enum(['read', 'full']),
    digest: z.string().regex(/^[\w-]{43}$/, 'is not a SHA-256 digest'),
    createdBy: line(64, 'the user name'),
  }),
  'token:list': nothing,
  'token:revoke': z.strictObject({ name }),
  'key:status': nothing,
  'key:unlock': z.strictObject({ passphrase: secret('passphrase'), isNew: z.boolean() }),
  'key:lock': nothing,
  'key:rotate': z.strictObject({ passphrase: secret('passphrase').exactOptional() }),
  'daemon:info': nothing,
  'daemon:stop': z.strictObject({ mode: z.enum(['idle', 'drain', 'now']) }),
} as const satisfies { readonly [Name in RequestName]: z.ZodType<RequestOf<Name>> }

/** What is wrong with a row of a file, in the words of {@link explain}; null for nothing. */
export function problemOf(row: unknown): string | null {
  const { error } = importedChange.safeParse(row)
  return error ? explain(error) : null
}

/** `port: is above 65535`, a clause for each of the first problems. Values are left out: a password may be among them. */
export function explain(error: z.ZodError): string {
  const clauses = error.issues.slice(0, 3).map((issue) => {
    const path = issue.path.filter((part) => part !== 'change').join('.')
    return path === '' ? issue.message : `${path}: ${issue.message}`
  })
  // The name of an unknown key may hold anything.
  return oneLine(clauses.join('; '), 300)
}

/**
 * Who may ask for what: `local` only over the Unix socket, `full` with a full token over TCP too, `read` with any token.
 * What sets or reveals a credential, or decides which machine is trusted with one, stays local for ever. So does
 * what proves history: it shows each event to the letter, with paths of this machine, or reads all there is.
 */
export const ACCESS: { readonly [Name in RequestName]: 'local' | 'full' | 'read' } = {
  'operation:start': 'full',
  'operation:cancel': 'full',
  'operation:acknowledge': 'full',
  'operation:get': 'read',
  'operation:events': 'read',
  'operation:history': 'read',
  'operation:statistics': 'read',
  'operation:chain': 'local',
  'history:verify': 'local',
  subscribe: 'read',
  'connection:list': 'read',
  'connection:add': 'local',
  'connection:edit': 'local',
  'connection:check': 'local',
  'connection:import': 'local',
  'connection:remove': 'local',
  'connection:host-key': 'local',
  'connection:trust': 'local',
  'connection:hold': 'full',
  'connection:release': 'full',
  'connection:services': 'full',
  'credential:set': 'local',
  'credential:lend': 'local',
  'credential:remove': 'local',
  'token:create': 'local',
  'token:list': 'local',
  'token:revoke': 'local',
  'key:status': 'local',
  'key:unlock': 'local',
  'key:lock': 'local',
  'key:rotate': 'local',
  'daemon:info': 'read',
  'daemon:stop': 'local',
}
