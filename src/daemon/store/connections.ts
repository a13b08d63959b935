import {
  DEFAULT_SERVICE,
  deviceKey,
  hopsTo,
  MAX_HOPS,
  toCredential,
  type Connection,
  type CredentialSource,
  type Hold,
  type HostKey,
} from '../../core/connection.ts'
import { VosError } from '../../core/errors.ts'
import type { NamedConnection } from '../../core/names.ts'
import type { ConnectionInput } from '../../core/protocol.ts'
import { fromJson } from './damage.ts'
import type { Compiler } from './database.ts'

interface Row {
  id: number
  name: string
  host: string
  port: number
  username: string
  platform: Connection['platform']
  service: string | null
  credential: string
  passphrase_from: string | null
  sealed: number
  host_key_type: string | null
  host_key_fingerprint: string | null
  accept_new: number
  algorithms: Connection['algorithms']
  algorithms_reason: string | null
  algorithms_until: string | null
  echo: number
  enter: Connection['enter']
  sudo: number
  via: number | null
  timings: string
}

const COLUMNS = `id, name, host, port, username, platform, service, credential, passphrase_from,
  sealed_password IS NOT NULL AS sealed, host_key_type, host_key_fingerprint, accept_new, algorithms, algorithms_reason,
  algorithms_until, echo, enter, sudo, via, timings`

/** Names of services that are kept for one connection. */
const SERVICES_KEPT = 500

/** A secret as it lies in the database, with what it is bound to. */
export interface SealedSecret {
  readonly id: number
  readonly name: string
  readonly host: string
  readonly port: number
  readonly username: string
  /** `sealed`, or `key:<path>` for the passphrase of a key file. */
  readonly credential: string
  readonly sealed: Buffer
}

/** The connections table. Only `sealedPassword` and `sealedSecrets` ever return secrets, and those are sealed. */
export class ConnectionTable {
  readonly #db: Compiler
  #changed: () => void = () => undefined

  constructor(db: Compiler) {
    this.#db = db
  }

  /** Calls back when what {@link named} tells may be another, from within the transaction that makes it so. */
  onChange(listener: () => void): void {
    this.#changed = listener
  }

  list(): Connection[] {
    return this.#db
      .prepare<[], Row>(`SELECT ${COLUMNS} FROM connections ORDER BY id`)
      .all()
      .map((row) => this.#fromRow(row))
  }

  /** How many there are, and of how many of them somebody keeps hands off. */
  count(): { readonly all: number; readonly held: number } {
    const read = this.#db.prepare<[], { all: number; held: number }>(
      'SELECT (SELECT count(*) FROM connections) AS "all", (SELECT count(*) FROM connection_holds) AS held',
    )
    return read.get() ?? { all: 0, held: 0 }
  }

  get(id: number): Connection {
    const row = this.#row(id)
    if (!row) throw unknownConnection(String(id))
    return this.#fromRow(row)
  }

  /** Everything that is reached through this one, directly or not. */
  behind(id: number): Connection[] {
    return this.#db
      .prepare<[number], number>(
        `WITH RECURSIVE behind (id, place) AS (
           SELECT id, 1 FROM connections WHERE via = ?
           UNION SELECT connections.id, place + 1 FROM connections JOIN behind ON via = behind.id WHERE place <= ${MAX_HOPS})
         SELECT DISTINCT id FROM behind ORDER BY id`,
      )
      .pluck()
      .all(id)
      .map((id) => this.get(id))
  }

  /**
   * Looks at the way to a connection, and at the ways that lead through it, after a change.
   * @throws VosError `bad_request` for a circle, too many hops, or a hop that forwards nothing
   */
  checkWay(id: number): void {
    for (const { id: own, name, hops } of [this.get(id), ...this.behind(id)]) {
      const last = hops.at(-1)
      if (hops.some((hop) => hop.id === own)) {
        throw new VosError('bad_request', `${name} would be reached through itself. Nothing was changed.`, {
          hint: 'See who is reached through whom: vosctl connections list',
        })
      }
      if (hops.length > MAX_HOPS) {
        throw new VosError('bad_request', `${name} would have more than ${MAX_HOPS} jump hosts. Nothing was changed.`, {
          hint: 'Name one that is nearer to it.',
        })
      }
      if (last && this.get(last.id).platform === 'vos') {
        const message = `${last.name} is a VOS appliance, which forwards nothing to ${name}. Nothing was changed.`
        const hint = `If it is a Linux host: vosctl connections edit ${last.name} --platform linux`
        throw new VosError('bad_request', message, { hint })
      }
    }
  }

  add(input: ConnectionInput, at: number): Connection {
    const platform = input.platform ?? 'vos'
    const values = {
      name: input.name,
      host: input.host,
      port: input.port ?? 22,
      username: input.username,
      platform,
      service: input.service === undefined ? DEFAULT_SERVICE[platform] : input.service,
      credential: 'none',
      ...sourceColumns({ credential: 'none', passphrase_from: null }, input),
      algorithms: input.algorithms ?? 'modern',
      algorithms_reason: input.algorithmsReason ?? null,
      algorithms_until: input.algorithmsUntil ?? null,
      accept_new: Number(input.acceptNew ?? false),
      echo: Number(input.echo ?? true),
      enter: input.enter ?? 'cr',
      sudo: Number(input.sudo ?? false),
      via: this.#idOf(input.via ?? null),
      timings: JSON.stringify(input.timings ?? {}),
      created_at: at,
    }
    const names = Object.keys(values)
    const insert = this.#db.prepare(
      `INSERT INTO connections (${names.join(', ')}) VALUES (${names.map((name) => `@${name}`).join(', ')})`,
    )
    const { lastInsertRowid } = this.#named(input.name, () => insert.run(values))
    this.#changed()
    return this.get(Number(lastInsertRowid))
  }

  /** Changing host, port, username or way takes the sealed password away, and all but another username the pinned host key. */
  edit(id: number, change: Partial<ConnectionInput>): Connection {
    const before = this.get(id)
    const via = change.via === undefined ? before.via : this.#idOf(change.via)
    const moved =
      via !== before.via ||
      (change.host !== undefined && change.host !== before.host) ||
      (change.port !== undefined && change.port !== before.port)
    const otherLogin = moved || (change.username !== undefined && change.username !== before.username)
    const values = {
      ...pick(change, ['name', 'host', 'port', 'username', 'platform', 'service', 'algorithms', 'enter']),
      ...sourceColumns(this.#source(id), change),
      ...(change.algorithms === 'modern' ? { algorithms_reason: null, algorithms_until: null } : {}),
      ...(change.algorithmsReason === undefined ? {} : { algorithms_reason: change.algorithmsReason }),
      ...(change.algorithmsUntil === undefined ? {} : { algorithms_until: change.algorithmsUntil }),
      ...(change.acceptNew === undefined ? {} : { accept_new: Number(change.acceptNew) }),
      ...(change.echo === undefined ? {} : { echo: Number(change.echo) }),
      ...(change.sudo === undefined ? {} : { sudo: Number(change.sudo) }),
      ...(via === before.via ? {} : { via }),
      ...(change.timings === undefined ? {} : { timings: JSON.stringify({ ...before.timings, ...change.timings }) }),
      ...(moved ? { host_key_type: null, host_key_fingerprint: null } : {}),
      ...(otherLogin ? { sealed_password: null } : {}),
    }
    const names = Object.keys(values)
    if (names.length === 0) return before
    const update = this.#db.prepare(
      `UPDATE connections SET ${names.map((name) => `${name} = @${name}`).join(', ')} WHERE id = @id`,
    )
    this.#named(change.name ?? before.name, () => update.run({ ...values, id }))
    // Another host is another device, with services of its own.
    if (moved) {
      this.#forgetServices(id)
      this.#keepPin(before)
    }
    this.#changed()
    return this.get(id)
  }

  remove(id: number): Connection {
    const connection = this.get(id)
    this.#db.prepare('DELETE FROM connections WHERE id = ?').run(id)
    this.#forgetServices(id)
    this.#keepPin(connection)
    this.#changed()
    return connection
  }

  /** By name, or by number. */
  #idOf(word: string | null): number | null {
    if (word === null) return null
    const column = /^[0-9]+$/.test(word) ? 'id' : 'name'
    const id = this.#db.prepare<[string], number>(`SELECT id FROM connections WHERE ${column} = ?`).pluck().get(word)
    if (id === undefined) throw unknownConnection(`"${word}"`)
    return id
  }

  #row(id: number): Row | undefined {
    return this.#db.prepare<[number], Row>(`SELECT ${COLUMNS} FROM connections WHERE id = ?`).get(id)
  }

  #fromRow(row: Row): Connection {
    return { ...fromRow(row), hops: hopsTo(row.via, (id) => this.#row(id)) }
  }

  #forgetServices(id: number): void {
    this.#db.prepare('DELETE FROM services_seen WHERE connection_id = ?').run(id)
  }

  #keepPin(connection: Connection): void {
    if (!connection.hostKey) return
    this.#db
      .prepare('INSERT OR REPLACE INTO former_pins VALUES (?, ?, ?)')
      .run(deviceKey(connection), connection.hostKey.type, connection.hostKey.fingerprint)
  }

  /** The host key that was pinned for this device by a connection that has left it since; null when there is none. */
  formerPin(device: string): HostKey | null {
    return (
      this.#db.prepare<[string], HostKey>('SELECT type, fingerprint FROM former_pins WHERE device = ?').get(device) ??
      null
    )
  }

  /** A person has compared the key of this device: what was pinned before says nothing any more. */
  forgetFormerPin(device: string): void {
    this.#db.prepare('DELETE FROM former_pins WHERE device = ?').run(device)
  }

  #source(id: number): SourceColumns {
    const read = this.#db.prepare<[number], SourceColumns>(
      'SELECT credential, passphrase_from FROM connections WHERE id = ?',
    )
    return read.get(id) ?? { credential: 'none', passphrase_from: null }
  }

  /** Remembers what a device called its services; of more than {@link SERVICES_KEPT} those that were seen last. */
  seeServices(id: number, names: readonly string[], at: number): void {
    const values = { id, at, names: JSON.stringify(names) }
    this.#db
      .prepare(
        'UPDATE services_seen SET seen_at = @at WHERE connection_id = @id AND name IN (SELECT value FROM json_each(@names))',
      )
      .run(values)
    const { changes } = this.#db
      .prepare('INSERT OR IGNORE INTO services_seen SELECT @id, value, @at FROM json_each(@names)')
      .run(values)
    if (changes === 0) return
    this.#db
      .prepare(
        `DELETE FROM services_seen WHERE connection_id = @id AND rowid NOT IN
           (SELECT rowid FROM services_seen WHERE connection_id = @id ORDER BY seen_at DESC, rowid LIMIT ${SERVICES_KEPT})`,
      )
      .run({ id })
    this.#changed()
  }

  /** Every connection with the services that its device has shown. */
  named(): NamedConnection[] {
    const seen = this.#db
      .prepare<[], { id: number; name: string }>('SELECT connection_id AS id, name FROM services_seen ORDER BY name')
      .all()
    const services = Map.groupBy(seen, ({ id }) => id)
    return this.list().map(({ id, name, platform, service }) => ({
      id,
      name,
      platform,
      service,
      services: services.get(id)?.map(({ name }) => name) ?? [],
    }))
  }

  pin(id: number, hostKey: { readonly type: string; readonly fingerprint: string }): Connection {
    this.#db
      .prepare('UPDATE connections SET host_key_type = ?, host_key_fingerprint = ? WHERE id = ?')
      .run(hostKey.type, hostKey.fingerprint, id)
    return this.get(id)
  }

  /** The password, or the passphrase where a key file is named; null takes the credential away, whatever it is. */
  setSealedPassword(id: number, sealed: Buffer | null): Connection {
    const { credential } = this.#source(id)
    const word = sealed === null ? 'none' : credential.startsWith('key:') ? credential : 'sealed'
    this.#db
      .prepare('UPDATE connections SET sealed_password = ?, credential = ?, passphrase_from = NULL WHERE id = ?')
      .run(sealed, word, id)
    return this.get(id)
  }

  sealedSecrets(): SealedSecret[] {
    return this.#db
      .prepare<[], Omit<SealedSecret, 'sealed'> & { readonly sealed: Uint8Array }>(
        `SELECT id, name, host, port, username, credential, sealed_password AS sealed
         FROM connections WHERE sealed_password IS NOT NULL ORDER BY id`,
      )
      .all()
      .map((row) => ({ ...row, sealed: Buffer.from(row.sealed) }))
  }

  /** The same secret under another key. */
  reseal(id: number, sealed: Buffer): void {
    this.#db.prepare('UPDATE connections SET sealed_password = ? WHERE id = ?').run(sealed, id)
  }

  hold(id: number): Hold | null {
    const read = this.#db.prepare<[number], Hold>(
      'SELECT since, created_by AS "by", reason FROM connection_holds WHERE connection_id = ?',
    )
    return read.get(id) ?? null
  }

  /** The hold on this device, by whichever of its connections it was said. */
  holdOnDevice(connection: Connection): { readonly name: string; readonly hold: Hold } | null {
    const holds = this.#db
      .prepare<[], Hold & { readonly id: number }>(
        'SELECT connection_id AS id, since, created_by AS "by", reason FROM connection_holds ORDER BY connection_id',
      )
      .all()
    for (const { id, ...hold } of holds) {
      const held = this.get(id)
      if (deviceKey(held) === deviceKey(connection)) return { name: held.name, hold }
    }
    return null
  }

  /** @throws a constraint error when a hold stands already */
  setHold(id: number, { since, by, reason }: Hold): Connection {
    this.#db.prepare('INSERT INTO connection_holds VALUES (?, ?, ?, ?)').run(id, since, by, reason)
    return this.get(id)
  }

  clearHold(id: number): Connection {
    this.#db.prepare('DELETE FROM connection_holds WHERE connection_id = ?').run(id)
    return this.get(id)
  }

  sealedPassword(id: number): Buffer | null {
    const value = this.#db.prepare('SELECT sealed_password FROM connections WHERE id = ?').pluck().get(id)
    return value instanceof Uint8Array ? Buffer.from(value) : null
  }

  #named<T>(name: string, write: () => T): T {
    try {
      return write()
    } catch (error) {
      if ((error as { code?: string }).code !== 'SQLITE_CONSTRAINT_UNIQUE') throw error
      throw new VosError('connection_exists', `There is already a connection "${name}".`, {
        hint: `Choose another name, or change it: vosctl connections edit ${name}`,
      })
    }
  }
}

type SourceColumns = Pick<Row, 'credential' | 'passphrase_from'>

/**
 * What an input makes of the source; nothing where it says nothing of it. Another source takes the secret of the old one
 * away.
 * @throws VosError `bad_request` for two sources, or a passphrase of what is no key
 */
function sourceColumns(
  before: SourceColumns,
  { keyPath, credential, passphraseFrom }: Partial<ConnectionInput>,
): Partial<SourceColumns & { readonly sealed_password: null }> {
  if (keyPath !== undefined && credential !== undefined) {
    throw new VosError('bad_request', 'A connection has one credential, and two were named. Nothing was changed.')
  }
  const word = keyPath === undefined ? credential : `key:${keyPath}`
  const isOther = word !== undefined && word !== before.credential
  if (passphraseFrom === undefined) {
    return isOther ? { credential: word, passphrase_from: null, sealed_password: null } : {}
  }
  if (!(word ?? before.credential).startsWith('key:')) {
    throw new VosError('bad_request', 'A passphrase belongs to a key file, and none was named. Nothing was changed.', {
      hint: 'Name it: vosctl connections edit <target> --key <path>',
    })
  }
  const passphrase_from = passphraseFrom === 'sealed' ? null : passphraseFrom
  const isSame = !isOther && passphrase_from === before.passphrase_from
  return { ...(word !== undefined && { credential: word }), passphrase_from, ...(!isSame && { sealed_password: null }) }
}

/** A sealed password that is not there is no credential: none was set yet, or it belonged to another login. */
function toSource({ credential, passphrase_from, sealed }: Row): CredentialSource {
  const source = toCredential(credential) ?? { type: 'none' }
  if (source.type === 'sealed' && !sealed) return { type: 'none' }
  if (source.type !== 'key') return source
  const passphrase = passphrase_from ?? (sealed ? 'sealed' : null)
  return passphrase === null ? source : { ...source, passphrase: passphrase as 'sealed' }
}

function fromRow(row: Row): Omit<Connection, 'hops'> {
  const { credential: _, passphrase_from: __, sealed: ___, host_key_type, host_key_fingerprint, ...others } = row
  const { accept_new, algorithms_reason, algorithms_until, echo, sudo, timings, ...rest } = others
  return {
    ...rest,
    credential: toSource(row),
    hostKey:
      host_key_type !== null && host_key_fingerprint !== null
        ? { type: host_key_type, fingerprint: host_key_fingerprint }
        : null,
    acceptNew: accept_new === 1,
    algorithmsReason: algorithms_reason,
    algorithmsUntil: algorithms_until,
    echo: echo === 1,
    sudo: sudo === 1,
    timings: fromJson(timings, `connection ${row.id}`) as Connection['timings'],
  }
}

function unknownConnection(what: string): VosError {
  return new VosError('unknown_connection', `There is no connection ${what}.`, { hint: 'See: vosctl connections list' })
}

function pick<T extends object, Key extends keyof T>(object: T, keys: readonly Key[]): Partial<Pick<T, Key>> {
  return Object.fromEntries(
    keys.filter((key) => object[key] !== undefined).map((key) => [key, object[key]]),
  ) as Partial<Pick<T, Key>>
}
