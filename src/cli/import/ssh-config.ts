import SSHConfig, { type Directive, type Line } from 'ssh-config'
import { VosError } from '../../core/errors.ts'
import { isNamed } from '../host-patterns.ts'
import { refuseTooMany, type Cell, type Listing, type Problem, type Row } from './fields.ts'

export interface Person {
  readonly name: string
  readonly home: string
}

/** All that is read. */
const READ = ['hostname', 'user', 'port', 'identityfile', 'proxyjump', 'proxycommand']

/** Every host that is named without a pattern, with what ssh would find for it: the first value wins, from the top. */
export function readSshConfig(text: string, person: Person): Listing {
  let config: SSHConfig
  try {
    config = SSHConfig.parse(text)
  } catch (cause) {
    throw new VosError('bad_request', 'the file cannot be read as ssh_config: a quote is not closed.', { cause })
  }
  const has = (what: RegExp) => (line: Line) => 'param' in line && what.test(line.param)
  const within = (what: RegExp) =>
    config.some((line) => has(what)(line) || ('config' in line && line.config.some(has(what))))
  const notes = [
    ...(within(/^match$/i) ? ['Match blocks are not read.'] : []),
    ...(within(/^include$/i) ? ['Include is not followed: import those files too.'] : []),
  ]
  const found = aliases(text)
  // Each is compared with each.
  refuseTooMany(found.size)
  const blocks = blocksOf(config)
  return { rows: [...found].map(([alias, line]) => toRow(alias, line, valuesFor(alias, blocks), person)), notes }
}

/** Lines that stand for the hosts that the patterns name; null: for all. By names in lower case. */
interface Block {
  readonly patterns: readonly string[] | null
  readonly values: readonly (readonly [key: string, value: string])[]
}

/**
 * What is read, in its order. Looking it up is not left to the parser: it would ask nslookup for domains, run what a Match
 * names, and take its time for every pattern.
 */
function blocksOf(config: SSHConfig): Block[] {
  const valuesOf = (lines: readonly Line[]) =>
    lines.flatMap((line): Block['values'] => {
      if (!('param' in line)) return []
      const [key, value] = [line.param.toLowerCase(), wordsOf(line)[0]]
      return READ.includes(key) && value !== undefined ? [[key, value]] : []
    })
  return config.flatMap((line): Block[] => {
    if (!('config' in line)) return [{ patterns: null, values: valuesOf([line]) }]
    return /^host$/i.test(line.param) ? [{ patterns: wordsOf(line), values: valuesOf(line.config) }] : []
  })
}

/** What ssh would find: the first value wins, from the top. */
function valuesFor(alias: string, blocks: readonly Block[]): ReadonlyMap<string, string> {
  const ours = blocks.filter(({ patterns }) => patterns === null || isNamed(alias, patterns))
  return new Map(ours.flatMap(({ values }) => values).toReversed())
}

function wordsOf({ value }: Directive): readonly string[] {
  return typeof value === 'string' ? [value] : value.map(({ val }) => val)
}

/** The names of hosts, each with the line where it stands first. */
function aliases(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const [index, line] of text.split(/\r\n|\r|\n/).entries()) {
    const words = /^\s*host(?:\s*=\s*|\s+)([^#]*)/i.exec(line)?.[1] ?? ''
    for (const word of words.split(/\s+/)) {
      const alias = word.replaceAll('"', '')
      if (alias !== '' && !/[*?!]/.test(alias) && !found.has(alias)) found.set(alias, index + 1)
    }
  }
  return found
}

function toRow(alias: string, line: number, found: ReadonlyMap<string, string>, person: Person): Row {
  const said = (key: string): string | undefined => {
    const value = found.get(key)
    return value === undefined || /^none$/i.test(value) ? undefined : value
  }
  const problem = (field: string, why: string, hint: string): Problem => ({ line, name: alias, field, why, hint })
  const jump = said('proxyjump')
  // As ssh does: `Host *` names the jump host for the jump host too.
  const via = jump?.toLowerCase() === alias.toLowerCase() ? undefined : jump
  if (jump === undefined && said('proxycommand')) {
    const why = 'runs a command to get there, and vosctl runs none'
    return { line, cells: [], problem: problem('ProxyCommand', why, 'Name a jump host instead: via.') }
  }
  // With a user, a port or a second hop it would be a connection that nobody has named.
  if (via !== undefined && /[@:,/[]/.test(via)) {
    const why = `is "${via}", and only the name of a host is understood`
    return { line, cells: [], problem: problem('ProxyJump', why, 'Give that host a block of its own, and name it.') }
  }
  const host = expand(said('hostname') ?? alias, { h: alias, n: alias })
  const identity = said('identityfile')
  const key = identity === undefined ? undefined : expand(identity, { d: person.home, h: host ?? alias, n: alias })
  if (host === null || key === null) {
    const field = host === null ? 'HostName' : 'IdentityFile'
    return { line, cells: [], problem: problem(field, 'holds a token that is not known here', 'Write it out.') }
  }
  const port = said('port')
  const user = said('user')
  const cells = (values: Readonly<Record<string, unknown>>): Cell[] =>
    Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value, line }]))
  return {
    line,
    cells: cells({
      name: alias,
      host: found.has('hostname') ? host : undefined,
      username: user,
      port: port !== undefined && /^[0-9]{1,15}$/.test(port) ? Number(port) : port,
      key_path: key,
      via,
    }),
    defaults: cells({ host, username: person.name }),
  }
}

/** ssh's `%h`; null where a token is not among those given. */
function expand(text: string, tokens: Readonly<Record<string, string>>): string | null {
  let known = true
  const expanded = text.replace(/%(.?)/g, (_, token: string) => {
    const value = token === '%' ? '%' : tokens[token]
    known &&= value !== undefined
    return value ?? ''
  })
  return known ? expanded : null
}
