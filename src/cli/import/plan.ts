import { createHash } from 'node:crypto'
import {
  credentialWord,
  deviceKey,
  hopsTo,
  problemOfAlgorithms,
  toState,
  type CredentialSource,
  type Hop,
} from '../../core/connection.ts'
import type { ConnectionView, ImportedConnection, ImportRequest } from '../../core/protocol.ts'
import { address } from '../connection-words.ts'
import { clean } from '../renderers/words.ts'
import { isProblem, type Candidate } from './candidate.ts'
import { FIELD_NAMES, FIELDS, type FieldName, type Problem } from './fields.ts'

/** What an import would do, before anything is done. */
export interface Plan {
  readonly added: readonly Addition[]
  readonly changed: readonly Change[]
  /** Names of those that are already as the file says. */
  readonly same: readonly string[]
  readonly rejected: readonly Problem[]
}

export interface Addition {
  readonly line: number
  readonly input: ImportedConnection
  readonly consequences: readonly string[]
}

export interface Change {
  readonly line: number
  readonly before: ConnectionView
  readonly change: Partial<ImportedConnection>
  readonly fields: readonly { readonly field: string; readonly from: string; readonly to: string }[]
  readonly consequences: readonly string[]
}

/**
 * `connections` are those of the house: one of the same name is the same connection, upper case or lower. What a row does
 * not say stays as it is.
 */
export function createPlan(rows: readonly (Candidate | Problem)[], connections: readonly ConnectionView[]): Plan {
  const known = new Map(connections.map((connection) => [connection.name.toLowerCase(), connection]))
  const lines = new Map<string, number>()
  const added: Addition[] = []
  const changed: Change[] = []
  const same: string[] = []
  const rejected: Problem[] = []
  for (const row of rows) {
    const judged = firstIs(row, lines) ?? (isProblem(row) ? row : judge(row, known.get(row.name.toLowerCase())))
    if (judged === 'same') same.push((row as Candidate).name)
    else if ('why' in judged) rejected.push(judged)
    else if ('before' in judged) changed.push(judged)
    else added.push(judged)
  }
  return withTwins(withoutLost({ added, changed, same, rejected }, connections), connections)
}

/** A name that an earlier row has, be that rejected or not: nobody knows which of the two is meant. */
function firstIs({ name, line }: Candidate | Problem, lines: Map<string, number>): Problem | null {
  if (name === null) return null
  const first = lines.get(name.toLowerCase())
  if (first === undefined) lines.set(name.toLowerCase(), line)
  else return { line, name, field: 'name', why: `is on line ${first} already`, hint: 'Say each connection once.' }
  return null
}

function judge(row: Candidate, before: ConnectionView | undefined): Addition | Change | Problem | 'same' {
  const { line, name, values } = row
  if (before) return judgeChange(row, before)
  const input = { ...row.defaults, ...values }
  const field = (['host', 'username'] as const).find((field) => input[field] === undefined)
  if (field) return { line, name, field, why: 'is missing', hint: 'A new connection needs it.' }
  const problem = lenient(row, null, input)
  if (problem) return problem
  const { hostKey } = input
  const consequences = [
    ...(hostKey ? [`its host key is pinned, on your word: ${keyWords(hostKey)}`] : []),
    ...(input.acceptNew ? [ACCEPT_NEW] : []),
  ]
  return { line, input: input as ImportedConnection, consequences }
}

function judgeChange(row: Candidate, before: ConnectionView): Change | Problem | 'same' {
  const { line, values, lines } = row
  const { name, credential, hostKey } = before
  const differing = FIELD_NAMES.filter((field) => toText(field, values) !== null && !isSame(field, values, before))
  if (differing.length === 0) return 'same'
  if (hostKey && differing.includes('host_key')) {
    return {
      line: lines.get('host_key') ?? line,
      name: before.name,
      field: 'host_key',
      why: 'is another one than the pinned one, and a changed key is never taken from a file',
      hint: `Leave it out, and compare it with the device: vosctl connections trust ${clean(name)}`,
    }
  }
  const isSaid = (field: FieldName) => differing.includes(field)
  const change = Object.fromEntries(
    differing.map((field) => [FIELDS[field].input, values[FIELDS[field].input]]),
  ) as Partial<ImportedConnection>
  const problem = lenient(row, before, change)
  if (problem) return problem
  const moved = isSaid('host') || isSaid('port') || isSaid('via')
  const consequences: string[] = change.acceptNew ? [ACCEPT_NEW] : []
  if (moved && hostKey && values.hostKey) {
    Object.assign(change, { hostKey: values.hostKey })
    consequences.push(`it is another device then; the file says that its host key is the same: ${keyWords(hostKey)}`)
  } else if (moved && hostKey) {
    consequences.push(`it is another device then; its host key goes: vosctl connections trust ${clean(name)}`)
  } else if (change.hostKey) consequences.push(`its host key is pinned, on your word: ${keyWords(change.hostKey)}`)
  const otherSource = isSaid('key_path') ? 'the key file' : isSaid('credential') ? 'another source' : null
  const isPassphrase = credential.type === 'key' && credential.passphrase === 'sealed'
  const isOther = moved || isSaid('username') || otherSource !== null || (isPassphrase && isSaid('passphrase_from'))
  if ((credential.type === 'sealed' || isPassphrase) && isOther) {
    const then = otherSource === null ? `vosctl credentials set ${clean(name)}` : `${otherSource} takes its place`
    consequences.push(`its ${isPassphrase ? 'passphrase' : 'password'} goes: ${then}`)
  }
  const old = { ...before, via: before.hops.at(-1)?.name ?? null, ...toInput(credential) }
  const fields = differing.map((field) => ({
    field,
    from: toText(field, { ...old, hostKey: hostKey ?? undefined } as never) ?? 'none',
    to: toText(field, change) ?? 'none',
  }))
  return { line, before, change, fields, consequences }
}

const ACCEPT_NEW = 'it pins the first host key that it sees: for labs only'

/** Old algorithms without a reason or an end. */
function lenient(
  { line, name, lines }: Candidate,
  before: ConnectionView | null,
  change: Partial<ImportedConnection>,
): Problem | null {
  const problem = problemOfAlgorithms(before, change, Date.now())
  const field = problem && FIELD_NAMES.find((one) => FIELDS[one].input === problem.field)
  return problem && field ? { line: lines.get(field) ?? line, name, ...problem, field } : null
}

/** A source as an input says it. */
function toInput(credential: CredentialSource): Pick<ImportedConnection, 'keyPath' | 'credential' | 'passphraseFrom'> {
  if (credential.type !== 'key') return { credential: credentialWord(credential) }
  return { keyPath: credential.path, ...(credential.passphrase && { passphraseFrom: credential.passphrase }) }
}

function isSame(field: FieldName, values: Partial<ImportedConnection>, before: ConnectionView): boolean {
  switch (field) {
    case 'key_path':
      return before.credential.type === 'key' && before.credential.path === values.keyPath
    case 'credential': {
      // A sealed password that was never set is no credential.
      const word = credentialWord(before.credential)
      return word === values.credential || (word === 'none' && values.credential === 'sealed')
    }
    case 'passphrase_from':
      return toInput(before.credential).passphraseFrom === values.passphraseFrom
    case 'host_key':
      return (
        before.hostKey?.type === values.hostKey?.type && before.hostKey?.fingerprint === values.hostKey?.fingerprint
      )
    case 'timings_ms':
      return Object.entries(values.timings ?? {}).every(
        ([key, ms]) => before.timings[key as keyof typeof before.timings] === ms,
      )
    case 'via':
      return (values.via?.toLowerCase() ?? null) === (before.hops.at(-1)?.name.toLowerCase() ?? null)
    default:
      return values[FIELDS[field].input as 'name'] === before[FIELDS[field].input as 'name']
  }
}

/** One value in words; null when nothing is said. */
function toText(field: FieldName, values: Partial<ImportedConnection>): string | null {
  const value = values[FIELDS[field].input]
  if (value === undefined) return null
  if (value === null) return 'none'
  if (typeof value === 'object') {
    if ('fingerprint' in value) return keyWords(value)
    const limits = Object.entries(value).map(([name, ms]) => `${name.replace(/Ms$/, '')} ${String(ms)}`)
    return limits.length === 0 ? 'none' : limits.join(', ')
  }
  return clean(String(value))
}

function keyWords({ type, fingerprint }: NonNullable<ImportedConnection['hostKey']>): string {
  return clean(`${type} ${fingerprint}`)
}

/** Without those whose jump host would be nowhere. */
function withoutLost(plan: Plan, connections: readonly ConnectionView[]): Plan {
  const known = new Set([...connections, ...plan.added.map(({ input }) => input)].map(({ name }) => name.toLowerCase()))
  const isLost = ({ via }: Partial<ImportedConnection>) => typeof via === 'string' && !known.has(via.toLowerCase())
  const added = plan.added.filter(({ input }) => !isLost(input))
  const changed = plan.changed.filter(({ change }) => !isLost(change))
  if (added.length === plan.added.length && changed.length === plan.changed.length) return plan
  const lost = [
    ...plan.added.filter(({ input }) => isLost(input)).map(({ line, input }) => ({ line, ...input })),
    ...plan.changed
      .filter(({ change }) => isLost(change))
      .map(({ line, before, change }) => ({ line, ...change, name: before.name })),
  ]
  const rejected = lost.map(({ line, name, via }): Problem => {
    const why = `names ${via}, and there is no such connection, here or in what is imported`
    return { line, name, field: 'via', why, hint: `Add it first: vosctl connections add ${via}` }
  })
  // Those that were reached through one of them are lost now too.
  return withoutLost({ ...plan, added, changed, rejected: [...plan.rejected, ...rejected] }, connections)
}

/** Two connections may be one device; whoever reads the plan should know, because work on one excludes work on the other. */
function withTwins(plan: Plan, connections: readonly ConnectionView[]): Plan {
  const changes = new Map(plan.changed.map(({ before, change }) => [before.id, change]))
  const kept = connections.map((one) => ({ ...one, via: one.hops.at(-1)?.name ?? null, ...changes.get(one.id) }))
  const added = plan.added.map(({ input }) => ({ id: 0, port: 22, via: null, ...input }))
  const byName = new Map([...kept, ...added].map((one) => [one.name.toLowerCase(), one]))
  const find = (name: string) => byName.get(name.toLowerCase())
  const keyOf = ({ host, port, via }: Omit<Hop, 'id' | 'name'> & { readonly via: string | null }) =>
    deviceKey({ host, port, hops: hopsTo(via, find) })
  const byDevice = Map.groupBy(byName.values(), keyOf)
  const withOthers = <One extends Addition | Change>(one: One, name: string): One => {
    const self = find(name)
    const others = (self ? (byDevice.get(keyOf(self)) ?? []) : []).filter((other) => other !== self)
    if (others.length === 0) return one
    const words = `it is the same device as ${others.map((other) => clean(other.name)).join(', ')}`
    return { ...one, consequences: [...one.consequences, words] }
  }
  const moves = ({ change }: Change) => ['host', 'port', 'via'].some((field) => Object.hasOwn(change, field))
  return {
    ...plan,
    added: plan.added.map((one) => withOthers(one, one.input.name)),
    changed: plan.changed.map((one) => (moves(one) ? withOthers(one, one.before.name) : one)),
  }
}

/** `3 new, 1 changed, 12 same, 1 rejected` */
export function countWords({ added, changed, same, rejected }: Plan): string {
  const counts = [`${added.length} new`, `${changed.length} changed`, `${same.length} same`]
  return [...counts, ...(rejected.length > 0 ? [`${rejected.length} rejected`] : [])].join(', ')
}

/** What a new one is shown with in other words. */
const SHOWN: readonly FieldName[] = ['name', 'host', 'port', 'username', 'platform', 'host_key']

export function planLines(plan: Plan): string[] {
  const { added, changed, rejected } = plan
  const more = (consequences: readonly string[]) => consequences.map((words) => `      ${words}`)
  return [
    ...added.flatMap(({ line, input, consequences }) => {
      const { name, username, host, port = 22, platform = 'vos' } = input
      const others = FIELD_NAMES.filter((field) => !SHOWN.includes(field)).flatMap((field) => {
        const value = toText(field, input)
        return value === null ? [] : [`${field} ${value}`]
      })
      const words = [`${clean(username)}@${address({ host, port })}`, platform, ...others].join(', ')
      return [`  + ${clean(name)}  line ${line}, no connection has this name: ${words}`, ...more(consequences)]
    }),
    ...changed.flatMap(({ line, before, fields, consequences }) => {
      const words = fields.map(({ field, from, to }) => `${field}: ${from} -> ${to}`).join('; ')
      return [`  ~ ${clean(before.name)}  line ${line}: ${words}`, ...more(consequences)]
    }),
    ...rejected.flatMap((problem) => [`  x ${problemWords(problem)}`, `      ${clean(problem.hint)}`]),
  ]
}

/** `line 14, web-03: port is above 65535` */
export function problemWords({ line, name, field, why }: Problem): string {
  const where = name === null ? `line ${line}` : `line ${line}, ${clean(name)}`
  return `${where}: ${clean(field === null ? why : `${field} ${why}`)}`
}

/** What the daemon is asked to write, in pieces that fit into a packet. */
export function toParts({ added, changed }: Plan): Pick<ImportRequest, 'add' | 'edit'>[] {
  const edits = changed.map(({ before, change }) => ({ id: before.id, expected: digest(before), change }))
  return [
    ...inPackets(added.map(({ input }) => input)).map((add) => ({ add, edit: [] })),
    ...inPackets(edits).map((edit) => ({ add: [], edit })),
  ]
}

function digest(connection: ConnectionView): string {
  return createHash('sha256').update(toState(connection)).digest('base64url')
}

/** The daemon takes 64 KiB in a packet, whatever the characters are. */
const PACKET_BYTES = 48 * 1024

export function inPackets<Item>(items: readonly Item[]): Item[][] {
  const packets: Item[][] = []
  let room = 0
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item)) + 1
    if (size > room) {
      packets.push([])
      room = PACKET_BYTES
    }
    room -= size
    packets.at(-1)?.push(item)
  }
  return packets
}
