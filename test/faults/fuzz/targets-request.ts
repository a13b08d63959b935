import { isDeepStrictEqual } from 'node:util'
import type { RequestName, RequestOf } from '../../../src/core/protocol.ts'
import { explain, REQUESTS } from '../../../src/core/schemas.ts'
import type { Random } from '../random.ts'
import { about, claim, SAFE, type Target } from './target.ts'

const HOST_KEY = { type: 'ssh-ed25519', fingerprint: `SHA256:${'A'.repeat(43)}` }

/** Requests as clients make them. Every one is valid. */
export const VALID: { readonly [Name in RequestName]: readonly RequestOf<Name>[] } = {
  'operation:start': [
    {
      requestId: '0f8fad5b-d9cb-469f-a165-70867728950e',
      operationType: 'service_restart',
      connectionIds: [1, 2],
      service: 'Cisco Tomcat',
      subject: 'r-7k2m9q',
      createdBy: 'alice',
      reason: 'CAB-7',
      deadlineMs: 60_000,
      parallel: 2,
      ifRunning: 'attach',
      startStopped: true,
      cutSession: false,
      despiteUnknown: false,
      despiteLoginHold: false,
      dryRun: true,
      attended: true,
    },
  ],
  'operation:cancel': [{ id: 'r-7k2m9q', by: 'alice' }],
  'operation:acknowledge': [{ id: 'last', by: 'alice' }],
  'operation:get': [{ id: 'r-7', createdBy: 'alice' }],
  'operation:events': [{ id: 'r-7k2m9q', afterSeq: 0, limit: 10 }],
  'operation:history': [{ connectionIds: [1, 2], failed: true, since: 1_790_000_000_000, limit: 5000 }, {}],
  'operation:statistics': [{ connectionIds: [1], since: 0 }, {}],
  'operation:chain': [{ id: 'r-7k2m9q', after: 3, limit: 10 }],
  'history:verify': [{ heads: [{ cursor: 7, hash: 'a'.repeat(64) }] }, {}],
  subscribe: [{ room: 'operations', after: 3 }, { room: 'connection:7' }],
  'connection:list': [{}],
  'connection:add': [
    {
      name: 'cucm-pub',
      host: 'fe80::1%eth0',
      port: 22,
      username: 'admin',
      platform: 'vos',
      service: null,
      keyPath: '/home/alice/.ssh/id',
      algorithms: 'legacy-vos',
      algorithmsReason: 'old',
      echo: true,
      enter: 'lf',
      sudo: false,
      via: 'bastion',
      timings: { quietMs: 100, deadlineMs: 60_000 },
    },
  ],
  'connection:edit': [
    { id: 1, change: { host: '10.10.0.11', timings: { promptMs: 1 } } },
    { id: 2, change: {} },
    { id: 3, change: { credential: 'helper:ops' } },
    { id: 4, change: { keyPath: '/k', passphraseFrom: 'helper:ops' } },
  ],
  'connection:check': [{ rows: [{ host: '10.10.0.11' }] }],
  'connection:import': [
    {
      importId: '0f8fad5b-d9cb-469f-a165-70867728950e',
      part: 0,
      parts: 1,
      add: [{ name: 'web-01', host: 'web-01', username: 'deploy', platform: 'linux' }],
      edit: [{ id: 1, expected: 'A'.repeat(43), change: { host: '10.10.0.11', hostKey: HOST_KEY } }],
    },
  ],
  'connection:remove': [{ id: 1 }],
  'connection:host-key': [{ id: 1, types: ['ssh-ed25519'] }],
  'connection:trust': [
    { id: 1, device: '10.10.0.11:22 via bastion:22', hostKey: HOST_KEY, replaces: HOST_KEY.fingerprint },
  ],
  'connection:hold': [{ id: 1, by: 'alice', reason: 'CAB-8' }],
  'connection:release': [{ id: 1 }],
  'connection:services': [
    { id: 1, createdBy: 'alice', despiteLoginHold: true, requestId: '0f8fad5b-d9cb-469f-a165-70867728950e' },
  ],
  'credential:set': [{ id: 1, login: 'admin@10.10.0.11:22', password: 'correct horse battery' }],
  'credential:lend': [
    {
      requestId: '0f8fad5b-d9cb-469f-a165-70867728950e',
      connectionId: 1,
      login: 'admin@10.10.0.11:22',
      password: 'horse',
    },
  ],
  'credential:remove': [{ id: 1 }],
  'token:create': [{ name: 'grafana', access: 'read', digest: 'A'.repeat(43), createdBy: 'alice' }],
  'token:list': [{}],
  'token:revoke': [{ name: 'grafana' }],
  'key:status': [{}],
  'key:unlock': [{ passphrase: 'correct horse battery', isNew: false }],
  'key:lock': [{}],
  'key:rotate': [{}, { passphrase: 'correct horse battery' }],
  'daemon:info': [{}],
  'daemon:stop': [{ mode: 'idle' }],
}

const CONNECTION_KEYS =
  'name host port username platform service keyPath credential passphraseFrom algorithms algorithmsReason algorithmsUntil acceptNew echo enter sudo via timings'
const TIMING =
  /^(?:connect|ident|keyExchange|login|shell|prompt|quiet|nudge|echo|command|firstState|silenceWarning|silenceLimit|poll|pollLimit|reconnect|deadline)Ms$/

/** Every key that a request may have, and those that it must have. */
const KEYS: { readonly [Name in RequestName]: { readonly may: string; readonly must: string } } = {
  'operation:start': {
    may: 'requestId operationType connectionIds service subject createdBy reason deadlineMs parallel ifRunning startStopped cutSession despiteUnknown despiteLoginHold dryRun attended',
    must: 'requestId operationType connectionIds createdBy',
  },
  'operation:cancel': { may: 'id by', must: 'id by' },
  'operation:acknowledge': { may: 'id by', must: 'id by' },
  'operation:get': { may: 'id createdBy', must: 'id' },
  'operation:events': { may: 'id afterSeq limit', must: 'id' },
  'operation:history': { may: 'connectionIds failed since limit', must: '' },
  'operation:statistics': { may: 'connectionIds since', must: '' },
  'operation:chain': { may: 'id after limit', must: 'id' },
  'history:verify': { may: 'heads', must: '' },
  subscribe: { may: 'room after', must: 'room' },
  'connection:list': { may: '', must: '' },
  'connection:add': { may: CONNECTION_KEYS, must: 'name host username' },
  'connection:edit': { may: 'id change', must: 'id change' },
  'connection:check': { may: 'rows', must: 'rows' },
  'connection:import': { may: 'importId part parts add edit', must: 'importId part parts add edit' },
  'connection:remove': { may: 'id', must: 'id' },
  'connection:host-key': { may: 'id types', must: 'id' },
  'connection:trust': { may: 'id device hostKey replaces', must: 'id device hostKey' },
  'connection:hold': { may: 'id by reason', must: 'id by' },
  'connection:release': { may: 'id', must: 'id' },
  'connection:services': { may: 'id createdBy despiteLoginHold requestId', must: 'id' },
  'credential:set': { may: 'id login password', must: 'id login password' },
  'credential:lend': { may: 'requestId connectionId login password', must: 'requestId connectionId login password' },
  'credential:remove': { may: 'id', must: 'id' },
  'token:create': { may: 'name access digest createdBy', must: 'name access digest createdBy' },
  'token:list': { may: '', must: '' },
  'token:revoke': { may: 'name', must: 'name' },
  'key:status': { may: '', must: '' },
  'key:unlock': { may: 'passphrase isNew', must: 'passphrase isNew' },
  'key:lock': { may: '', must: '' },
  'key:rotate': { may: 'passphrase', must: '' },
  'daemon:info': { may: '', must: '' },
  'daemon:stop': { may: 'mode', must: 'mode' },
}

const WORDS = [
  '',
  ' ',
  'last',
  'operations',
  'connection:1',
  'connection:-1',
  'connection:1.5',
  '__proto__',
  'constructor',
  '\u001b[2J',
  'a\nb',
  'a\u202eb',
  '\ud800',
  'x'.repeat(97),
  'x'.repeat(5000),
  '10.0.0.1; reboot',
  'fe80::1%a b',
  'r-',
  'r-\n',
  '0f8fad5b-d9cb-469f-a165-70867728950E',
  'SHA256:',
  'vos',
  'linux',
  'cr',
  'now',
  'Cisco Tomcat',
]
const NUMBERS = [0, -1, 1, 22, 65_535, 65_536, 1.5, 1e21, -0, 2 ** 53, 7 * 86_400_000, 604_800_001]
const NEW_KEYS = ['__proto__', 'constructor', 'prototype', 'toString', 'force', 'ID', 'id ', '\u001b]0;x\u0007', '']

const requests: Target = {
  name: 'request schemas',
  share: 14,
  seeds: Object.entries(VALID).flatMap(([name, inputs]) => inputs.map((input) => pack({ name, input }))),
  words: WORDS,
  mutate(packed, random) {
    const request = unpack(packed)
    for (let changes = 1 + random.below(3); changes > 0; changes--) request.input = alter(request.input, random)
    return pack(request)
  },
  run(packed) {
    const { name, input } = unpack(packed)
    if (!isRequest(name)) return 'no request'
    const parsed = REQUESTS[name].safeParse(input)
    if (parsed.success) {
      const why = whyNot(name, input)
      claim(why === undefined, `${name} is accepted, and ${why}: ${JSON.stringify(input)}`)
      claim(isDeepStrictEqual(parsed.data, input), `${name} is changed by its schema: ${JSON.stringify(parsed.data)}`)
      return `${name} accepted ${Object.keys(parsed.data).join()}`.slice(0, 200)
    }
    const valid = VALID[name].some((one) => isDeepStrictEqual(one, input))
    const words = explain(parsed.error)
    claim(!valid, `a valid ${name} is refused: ${words}`)
    claim(words.length > 0 && words.length <= 300, `an explanation of ${words.length} characters`)
    claim(SAFE.test(words), `a control character is in ${JSON.stringify(words)}`)
    const { password } = (input ?? {}) as { readonly password?: unknown }
    if (
      typeof password === 'string' &&
      password.length > 8 &&
      !Object.keys(input as object)
        .join()
        .includes(password)
    ) {
      claim(!words.includes(password), 'a password is told')
    }
    const [issue] = parsed.error.issues
    const at = issue?.path
      .filter((part) => typeof part === 'string')
      .join('.')
      .slice(0, 40)
    return `${name} ${issue?.code} ${at} ${about(parsed.error.issues.length)}`
  },
}

interface Packed {
  readonly name: string
  input: unknown
}

function pack(request: Packed): Buffer {
  return Buffer.from(JSON.stringify(request))
}

function unpack(packed: Uint8Array): Packed {
  try {
    return JSON.parse(Buffer.from(packed).toString('utf8')) as Packed
  } catch {
    return { name: '', input: null }
  }
}

function isRequest(name: string): name is RequestName {
  return Object.hasOwn(REQUESTS, name)
}

/** What is wrong with an input; by what the protocol says, not by the schemas. */
function whyNot(name: RequestName, input: unknown): string | undefined {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return 'it is no object'
  const { may, must } = KEYS[name]
  const strange = strangeKey(input, may)
  if (strange !== undefined) return `${strange} is no key of it`
  const missing = must.split(' ').find((key) => key !== '' && !Object.hasOwn(input, key))
  if (missing !== undefined) return `${missing} is missing`
  for (const [key, value] of Object.entries(input)) {
    const inner = { change: CONNECTION_KEYS, hostKey: 'type fingerprint' }[key]
    if (inner !== undefined && strangeKey(value, inner) !== undefined) return `${key} has a key that it may not have`
  }
  // Bad rows are what it is asked about.
  return name === 'connection:check' ? undefined : wrongValue(input)
}

function strangeKey(object: unknown, may: string): string | undefined {
  return Object.keys(object as object).find((key) => !may.split(' ').includes(key))
}

function wrongValue(value: unknown, key = ''): string | undefined {
  if (typeof value === 'string') {
    const isPassword = key === 'password' || key === 'passphrase'
    if (value === '' || value.length > (isPassword ? 1024 : 6000)) return `${key} is empty or too long`
    if (isPassword ? /[\0\r\n]/.test(value) : /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(value)) {
      return `${key} is no printable line`
    }
    if (key === 'host' && !/^[\w.:%-]+$/.test(value)) return 'the host is none'
  } else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) return `${key} is ${value}`
  } else if (typeof value === 'object' && value !== null) {
    const entries = Array.isArray(value) ? value.map((each: unknown) => [key, each] as const) : Object.entries(value)
    if (key === 'timings' && entries.some(([name]) => !TIMING.test(name))) return 'there is a strange time limit'
    for (const [name, each] of entries) {
      const why = wrongValue(each, name)
      if (why !== undefined) return why
    }
  } else if (value === null && key !== 'service' && key !== 'via') return `${key} is null`
  return undefined
}

/** One value somewhere in it is another one, has gone, or is new. */
export function alter(value: unknown, random: Random): unknown {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : []
  if (entries.length === 0 || random.below(6) === 0)
    return value !== null && random.below(3) === 0 ? add(value, random) : anything(random)
  const [key, inner] = random.pick(entries)
  const kept = random.below(5) === 0 ? entries.filter(([name]) => name !== key) : entries
  const changed = kept.map(([name, each]) => [name, name === key ? alter(inner, random) : each] as const)
  // Made so, `__proto__` is a key like any other; an assignment would lose it.
  const object = fromEntries(random.below(8) === 0 ? [...changed, [random.pick(NEW_KEYS), anything(random)]] : changed)
  return Array.isArray(value) ? Object.values(object as object) : object
}

function add(value: unknown, random: Random): unknown {
  if (typeof value === 'string') return value + random.pick(WORDS)
  if (typeof value === 'number') return value + random.pick(NUMBERS)
  if (Array.isArray(value)) return [...(value as unknown[]), anything(random)]
  if (typeof value !== 'object') return value
  return fromEntries([...Object.entries(value ?? {}), [random.pick(NEW_KEYS), anything(random)]])
}

function fromEntries(entries: readonly (readonly [string, unknown])[]): unknown {
  return JSON.parse(`{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`)
}

function anything(random: Random): unknown {
  switch (random.below(7)) {
    case 0:
      return random.pick(NUMBERS)
    case 1:
      return null
    case 2:
      return random.below(2) === 0
    case 3:
      return [random.pick(WORDS), random.pick(NUMBERS)]
    case 4:
      return fromEntries([[random.pick(NEW_KEYS), random.pick(WORDS)]])
    default:
      return random.pick(WORDS)
  }
}

export const REQUEST_TARGETS: readonly Target[] = [requests]
