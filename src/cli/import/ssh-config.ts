import SSHConfig, { type Line } from 'ssh-config'
import { VosError } from '../../core/errors.ts'
import type { Cell, Listing, Problem, Row } from './fields.ts'

export interface Person {
  readonly name: string
  readonly home: string
}

/** All that is read. Without the rest the parser has no reason to run a command: it would ask nslookup for a domain. */
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
  const known = config.filter(
    (line) => 'param' in line && ('config' in line ? /^host$/i.test(line.param) : isRead(line)),
  ) as SSHConfig
  for (const line of known) if ('config' in line) line.config = line.config.filter(isRead) as SSHConfig
  return { rows: [...aliases(text)].map(([alias, line]) => toRow(alias, line, known, person)), notes }
}

function isRead(line: Line): boolean {
  return 'param' in line && READ.includes(line.param.toLowerCase())
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

function toRow(alias: string, line: number, config: SSHConfig, person: Person): Row {
  const found = config.compute(alias, { ignoreCase: true, matchExec: false })
  const said = (key: string): string | undefined => {
    const value = [found[key] ?? []].flat()[0]
    return value === undefined || /^none$/i.test(value) ? undefined : value
  }
  const problem = (field: string, why: string, hint: string): Problem => ({ line, name: alias, field, why, hint })
  const jump = said('proxyjump') === undefined ? (said('proxycommand') ? 'ProxyCommand' : null) : 'ProxyJump'
  if (jump) {
    const why = 'puts another host in between, and vosctl logs in directly only'
    return { line, cells: [], problem: problem(jump, why, 'Import the others with --skip-rejected.') }
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
      host: found['hostname'] === undefined ? undefined : host,
      username: user,
      port: port !== undefined && /^[0-9]{1,15}$/.test(port) ? Number(port) : port,
      key_path: key,
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
