import { formatDuration } from '../core/duration.ts'
import { daysOfOldAlgorithms, type Connection, type Hold } from '../core/connection.ts'
import type { ConnectionView } from '../core/protocol.ts'
import { displayWidth } from './renderers/width.ts'
import { clean } from './renderers/words.ts'
import { fields, table } from './table.ts'
import { momentWords } from './times.ts'

/** `ID NAME PLATFORM HOST SERVICE HOST-KEY CREDENTIAL LAST`, sorted by id; on a narrow terminal without what `show` tells too. */
export function listLines(connections: readonly ConnectionView[], columns = Number.POSITIVE_INFINITY): string[] {
  // A column of its own only while there is something in it.
  const isAnyHeld = connections.some(({ hold }) => hold)
  const isAnyBehind = connections.some(({ via }) => via !== null)
  const rows = connections
    .toSorted((a, b) => a.id - b.id)
    .map((connection) => [
      String(connection.id),
      clean(connection.name),
      connection.platform,
      address(connection),
      connection.service === null ? '-' : clean(connection.service),
      `${connection.hostKey ? 'pinned' : 'none'}${connection.acceptNew ? ', accept-new' : ''}`,
      shortWord(connection),
      connection.last?.status ?? '-',
      ...(isAnyBehind ? [viaWords(connection) ?? '-'] : []),
      ...(isAnyHeld ? [connection.hold ? `by ${clean(connection.hold.by)}` : '-'] : []),
    ])
  const titles = [...TITLES, ...(isAnyBehind ? ['VIA'] : []), ...(isAnyHeld ? ['HOLD'] : [])]
  const without = (left: readonly string[], more?: { readonly gives: string; readonly columns: number }) => {
    const kept = (row: readonly string[]) => row.filter((_, index) => !left.includes(titles[index] ?? ''))
    return table(kept(titles), rows.map(kept), more)
  }
  const isFitting = (lines: readonly string[]) => lines.every((line) => displayWidth(line) < columns)
  return [without([]), without(['LAST'])].find(isFitting) ?? without(['LAST', 'PLATFORM'], { gives: 'HOST', columns })
}

const TITLES = ['ID', 'NAME', 'PLATFORM', 'HOST', 'SERVICE', 'HOST KEY', 'CREDENTIAL', 'LAST']

/** One connection as a page. */
export function connectionLines(connection: ConnectionView, now: number): string[] {
  const { hold, hostKey, last, loginHold, timings } = connection
  const special = [
    ...(connection.acceptNew ? ['accept-new: pins the first host key that it sees'] : []),
    ...(connection.algorithms === 'modern' ? [] : [legacyWords(connection)]),
    ...(connection.echo ? [] : ['no echo check']),
    ...(connection.enter === 'cr' ? [] : ['Enter is a line feed']),
    ...(connection.sudo ? ['sudo'] : []),
    ...Object.entries(timings).map(([name, ms]) => `${name.replace(/Ms$/, '')} ${limitWords(ms)}`),
  ]
  return fields([
    ['connection', `${clean(connection.name)} (id ${connection.id}, ${connection.platform})`],
    ['host', `${clean(connection.username)}@${address(connection)}`],
    ...(connection.via === null ? [] : [['via', viaWords(connection) ?? ''] as const]),
    ['service', connection.service === null ? 'none: name one with --service' : clean(connection.service)],
    ['host key', hostKey ? `${clean(hostKey.type)} ${clean(hostKey.fingerprint)}` : 'not pinned'],
    ['credential', longWord(connection)],
    ...(special.length > 0 ? [['settings', special.join(', ')] as const] : []),
    [
      'last',
      last ? `${last.id} ${last.status}${last.completedAt ? `, ${momentWords(last.completedAt, now)}` : ''}` : '-',
    ],
    ...(hold ? [['hold', holdWords(hold, now)] as const] : []),
    ...(loginHold
      ? [['held', `login, since ${momentWords(loginHold.since, now)}: ${clean(loginHold.message)}`] as const]
      : []),
  ])
}

/** `outer, bastion`: the jump hosts from here on; null when there is none. */
export function viaWords({ hops }: Pick<ConnectionView, 'hops'>): string | null {
  return hops.length === 0 ? null : hops.map(({ name }) => clean(name)).join(', ')
}

/** `by bob since 14:02:11: "TAC case, do not restart"` */
export function holdWords({ since, by, reason }: Hold, now: number): string {
  const why = reason === null ? '' : `: "${clean(reason)}"`
  return `by ${clean(by)} since ${momentWords(since, now)}${why}`
}

/** `10.10.0.10`, with the port where it is not the usual one. */
export function address({ host, port }: Pick<ConnectionView, 'host' | 'port'>): string {
  const safe = clean(host)
  if (port === 22) return safe
  return safe.includes(':') ? `[${safe}]:${port}` : `${safe}:${port}`
}

function legacyWords({ algorithms, algorithmsReason, algorithmsUntil }: ConnectionView): string {
  const until = algorithmsUntil === null ? 'without an end' : `until ${clean(algorithmsUntil)}`
  return `algorithms ${algorithms} ${until}${algorithmsReason === null ? '' : ` (${clean(algorithmsReason)})`}`
}

/** From so many days before on somebody should look. */
const WARN_DAYS = 30

/** `its old algorithms are allowed until 2027-03-31`, when that is soon or over; else null. */
export function oldAlgorithmWords(
  connection: Pick<Connection, 'algorithms' | 'algorithmsUntil'>,
  now: number,
): string | null {
  const days = daysOfOldAlgorithms(connection, now)
  if (days === null || days > WARN_DAYS) return null
  const until = clean(connection.algorithmsUntil ?? '')
  return days < 0
    ? `its old algorithms were allowed until ${until}: nothing connects there now`
    : `its old algorithms are allowed until ${until} only`
}

function shortWord({ credential, loginHold }: ConnectionView): string {
  const { type } = credential
  const word = type === 'helper' ? `helper:${clean(credential.name)}` : type
  return loginHold ? `${word}, held` : word
}

function longWord(connection: ConnectionView): string {
  const { credential } = connection
  switch (credential.type) {
    case 'key': {
      const { passphrase } = credential
      const from =
        passphrase === undefined
          ? ''
          : `, passphrase ${passphrase === 'sealed' ? 'sealed' : `from ${clean(passphrase)}`}`
      return `key file ${clean(credential.path)}${from}`
    }
    case 'agent':
      return `key of the agent, ${clean(credential.fingerprint)}`
    case 'sealed':
      return 'password, sealed'
    case 'prompt':
      return 'prompt: asked at each start'
    default:
      return shortWord(connection)
  }
}

function limitWords(ms: number): string {
  return ms < 1000 ? `${ms}ms` : ms < 60_000 ? `${ms / 1000}s` : formatDuration(ms)
}
