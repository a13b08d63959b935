import { randomUUID } from 'node:crypto'
import os from 'node:os'
import {
  credentialWord,
  deviceKey,
  loginKey,
  problemOfAlgorithms,
  type Connection,
  type HostKey,
  type ShownKey,
} from '../core/connection.ts'
import type { ServiceState } from '../core/device.ts'
import { VosError } from '../core/errors.ts'
import { isSettled, type Operation } from '../core/operation.ts'
import type {
  ConnectionInput,
  ConnectionView,
  DaemonInfo,
  ReplyOf,
  RequestName,
  RequestOf,
  StartRequest,
} from '../core/protocol.ts'
import { readHostKeyBehind } from '../core/recipes/read-host-key.ts'
import type { Recipe } from '../core/recipes/steps.ts'
import { problemOf } from '../core/schemas.ts'
import { chainPage, createVerifier } from './history.ts'
import { collectParts, checkPlanned } from './import.ts'
import type { LentSecrets } from './lent-secrets.ts'
import { timingsOf, type Manager } from './manager.ts'
import { bindingOf, type SealedStore } from './sealed-store.ts'
import { openPrivateKey, sealPassword } from './ssh/credentials.ts'
import { isSameHostKey } from './ssh/host-keys.ts'
import { readHostKey } from './ssh/session.ts'
import { statisticsOf } from './statistics.ts'
import type { OperationTable } from './store/operations.ts'
import type { Store } from './store/store.ts'
import type { Token } from './store/tokens.ts'

/** What the daemon does for each request; the server has parsed the input. `subscribe` belongs to the socket itself. */
export type Handlers = {
  readonly [Name in Exclude<RequestName, 'subscribe'>]: (
    input: RequestOf<Name>,
  ) => ReplyOf<Name> | Promise<ReplyOf<Name>>
}

export interface HandlerOptions {
  readonly store: Store
  readonly manager: Manager
  /** Makes its key when it is first needed, so that a daemon without passwords makes none. */
  readonly sealed: SealedStore
  readonly lent: LentSecrets
  readonly now: () => number
  readonly info: () => DaemonInfo
  readonly stop: (mode: 'idle' | 'drain' | 'now') => { readonly active: number }
  /** Cuts off whoever is connected with this token, which is known no more. */
  readonly cutOff?: (token: Token) => void
}

export function createHandlers(options: HandlerOptions): Handlers {
  const { store, manager, sealed, lent, now, info, stop, cutOff } = options
  const { connections, operations, tokens } = store

  const view = (connection: Connection): ConnectionView => {
    const { id } = connection
    const last = manager.board().findLast((one) => one.connection.id === id) ?? operations.history(id, 1)[0]
    const loginHold = manager.loginHold(connection)
    return {
      ...connection,
      last: last ? { id: last.id, status: last.status, completedAt: last.completedAt } : null,
      loginHold: loginHold ? { since: loginHold.since, message: loginHold.message } : null,
      hold: connections.hold(id),
    }
  }

  const idle = (id: number, what: string): void => {
    const connection = connections.get(id)
    const { name } = connection
    const busy = [connection, ...connections.behind(id)].find((one) => manager.isBusy(one))
    if (!busy) return
    const where = busy.id === id ? 'on it' : `on ${busy.name}, which is reached through it`
    throw new VosError('connection_in_use', `${name} cannot be ${what} while work is active ${where}.`, {
      hint: 'Wait for it: vosctl ps',
    })
  }

  /** What was said about a connection, or asked about it, must not vanish with it. */
  const free = (id: number): void => {
    const connection = connections.get(id)
    const { name } = connection
    const behind = connections.list().filter(({ via }) => via === id)
    if (behind.length > 0) {
      const names = behind.map((one) => one.name).join(', ')
      const verb = behind.length === 1 ? 'is' : 'are'
      throw new VosError('connection_in_use', `${name} cannot be removed: ${names} ${verb} reached through it.`, {
        hint: `First: vosctl connections edit ${behind[0]?.name} --no-via`,
      })
    }
    const unknown = manager.unacknowledged(connection)
    const why = unknown ? `the outcome of ${unknown.id} is unknown` : connections.hold(id) ? 'it is on hold' : null
    if (why === null) return
    throw new VosError('connection_in_use', `${name} cannot be removed: ${why}.`, {
      hint: unknown ? `Look at the device: vosctl verify ${unknown.id}` : `First: vosctl release ${name}`,
    })
  }

  const releaseLogin = (connection: Connection): void =>
    operations.clearLoginHold(deviceKey(connection), connection.username)

  const add = (input: ConnectionInput): Connection => {
    refuseAlgorithms(null, input, now())
    return connections.add(input, now())
  }

  const edit = (id: number, change: Partial<ConnectionInput>): Connection => {
    refuseAlgorithms(connections.get(id), change, now())
    const behind = connections.behind(id)
    const before = connections.get(id)
    const connection = connections.edit(id, change)
    for (const one of behind) {
      // The address of a jump host is part of what is behind it: what is held there, and what is not known, stays so.
      const [from, to] = [one, connections.get(one.id)].map(deviceKey)
      if (from === undefined || to === undefined || from === to) continue
      const unknown = manager.unacknowledged(one)
      if (unknown || connections.hold(one.id)) {
        const what = `${one.name}, which is reached through it, is`
        const why = unknown ? `the outcome of ${unknown.id} on ${what} unknown` : `${what} on hold`
        throw new VosError('connection_in_use', `${connection.name} cannot be led elsewhere: ${why}.`, {
          hint: unknown ? `Look at the device: vosctl verify ${unknown.id}` : `First: vosctl release ${one.name}`,
        })
      }
      operations.copyLoginHolds(from, to)
    }
    if (deviceKey(connection) !== deviceKey(before) && connections.hold(id)) {
      throw new VosError('connection_in_use', `${before.name} is on hold, and a hold is about the device that it is.`, {
        hint: `First: vosctl release ${before.name}`,
      })
    }
    // Another source is a person's answer to a login that was refused.
    const { keyPath, credential, passphraseFrom } = change
    if ([keyPath, credential, passphraseFrom].some((said) => said !== undefined)) releaseLogin(connection)
    return connection
  }

  /** A host key on the word of a file, which takes the place of none, not even of one that was pinned before. */
  const pinFromFile = (connection: Connection, hostKey: HostKey): void => {
    const former = connections.formerPin(deviceKey(connection))
    if (former && !isSameHostKey(former, hostKey)) {
      const { name } = connection
      throw new VosError(
        'host_key_changed',
        `Another host key than the one in the file was pinned for the device of ${name} before. Nothing was imported.`,
        { hint: `Leave it out, and compare it with the device: vosctl connections trust ${name}` },
      )
    }
    connections.pin(connection.id, hostKey)
  }

  /** @throws VosError when the connection has another source than what is typed and sealed, or no such key file */
  const checkSettable = async ({ name, credential }: Connection, secret: string): Promise<void> => {
    if (credential.type === 'none' || credential.type === 'sealed') return
    const instead = `vosctl connections edit ${name} --credential sealed`
    if (credential.type !== 'key') {
      throw new VosError(
        'bad_request',
        `${name} takes its password from: ${credentialWord(credential)}. None was set.`,
        {
          hint: `For one that is kept here, first: ${instead}`,
        },
      )
    }
    const isPlain = await openPrivateKey(credential.path).then(
      ({ privateKey }) => Boolean(privateKey.fill(0)),
      () => false,
    )
    if (isPlain) {
      throw new VosError('bad_request', `The key ${credential.path} of ${name} has no passphrase. None was set.`, {
        hint: `For a password instead of the key, first: ${instead}`,
      })
    }
    const { privateKey } = await openPrivateKey(credential.path, secret)
    privateKey.fill(0)
  }

  const collect = collectParts()
  const verifyHistory = createVerifier(store, () => manager.draining)

  return {
    'operation:start': (input) => manager.start(input),
    'operation:cancel': ({ id, by }) => manager.cancel(id, by),
    'operation:acknowledge': ({ id, by }) => manager.acknowledge(id, by),
    'operation:get': ({ id, createdBy }) => manager.get(id, createdBy),
    'operation:events': ({ id, afterSeq, limit }) =>
      operations.events(manager.get(id).id, afterSeq ?? 0, limit ?? 1000),
    'operation:history': ({ limit, ...filter }) => operations.ended(filter, limit ?? 100),
    'operation:statistics': (filter) => statisticsOf(operations, manager.board(), filter),
    'operation:chain': ({ id, after, limit }) => chainPage(operations.chain, manager.get(id), after, limit),
    'history:verify': ({ heads }) => verifyHistory(heads ?? []),

    'connection:list': () => connections.list().map(view),
    'connection:add': (input) =>
      view(
        store.write(() => {
          const { id } = add(input)
          connections.checkWay(id)
          return connections.get(id)
        }),
      ),
    'connection:edit': ({ id, change }) => {
      idle(id, 'changed')
      return view(
        store.write(() => {
          const connection = edit(id, change)
          connections.checkWay(id)
          return connection
        }),
      )
    },
    'connection:check': ({ rows }) => rows.map(problemOf),
    'connection:import': (request) => {
      const all = collect(request)
      if (!all) return null
      for (const { id, expected, change } of all.edit) {
        checkPlanned(connections.get(id), expected, change)
        idle(id, 'changed')
      }
      return store.write(() => {
        // A jump host may stand anywhere in the file: the ways come last, when all are there, and the keys after them.
        const added = all.add.map(({ via = null, hostKey, ...input }) => {
          return { id: add(input).id, hostKey, rest: { via } }
        })
        const changed = all.edit.map(({ id, change: { hostKey, ...rest } }) => ({ id, hostKey, rest }))
        const rows = [...added, ...changed]
        for (const { id, rest } of rows) edit(id, rest)
        for (const { id, hostKey } of rows) {
          connections.checkWay(id)
          if (hostKey) pinFromFile(connections.get(id), hostKey)
        }
        return { added: all.add.length, changed: all.edit.length }
      })
    },
    'connection:remove': ({ id }) => {
      idle(id, 'removed')
      free(id)
      return view(store.write(() => connections.remove(id)))
    },
    'connection:host-key': async ({ id, types }) => {
      const connection = connections.get(id)
      manager.checkHold(connection)
      if (connection.via !== null) return await readKeyThrough(connection.via, { behind: connection, types }, manager)
      const { name, host, port, algorithms, algorithmsUntil } = connection
      const target = { name, host, port, algorithms, algorithmsUntil, timings: timingsOf(connection) }
      return readHostKey(target, AbortSignal.timeout(timingsOf(connection).commandMs), types)
    },
    'connection:trust': ({ id, device, hostKey, replaces }) => {
      const connection = connections.get(id)
      const { name, hostKey: pinned } = connection
      checkMeant(name, device, deviceKey(connection))
      if (pinned ? replaces !== pinned.fingerprint && !isSameHostKey(pinned, hostKey) : replaces !== undefined) {
        const what = pinned ? 'another key is pinned than the one that you replace' : 'no key is pinned any more'
        throw new VosError('bad_request', `${name}: ${what}. Nothing was changed.`, {
          hint: `Somebody may have changed it meanwhile. Look, and compare again: vosctl connections show ${name}`,
        })
      }
      return view(
        store.write(() => {
          connections.forgetFormerPin(device)
          return connections.pin(id, hostKey)
        }),
      )
    },
    'connection:hold': ({ id, by, reason }) => {
      const { name } = connections.get(id)
      if (connections.hold(id)) {
        throw new VosError('bad_request', `${name} is on hold already. Nothing was changed.`, {
          hint: `See who and why: vosctl connections show ${name}`,
        })
      }
      return view(store.write(() => connections.setHold(id, { since: now(), by, reason: reason ?? null })))
    },
    'connection:release': ({ id }) => {
      const connection = connections.get(id)
      const { name } = connection
      if (!connections.hold(id)) {
        throw new VosError('bad_request', `${name} is not on hold.`, {
          hint: manager.loginHold(connection) ? `Its login is held: vosctl credentials set ${name}` : '',
        })
      }
      return view(store.write(() => connections.clearHold(id)))
    },
    'connection:services': ({ id, createdBy = os.userInfo().username, despiteLoginHold = false, requestId }) =>
      readServices(id, { createdBy, despiteLoginHold, ...(requestId && { requestId }) }, manager, operations),

    'credential:set': async ({ id, login: meant, password }) => {
      const checked = connections.get(id)
      await checkSettable(checked, password)
      return await sealed.withKey((key) => {
        idle(id, 'given another password')
        const login = connections.get(id)
        checkMeant(login.name, meant, loginKey(login))
        if (credentialWord(login.credential) !== credentialWord(checked.credential)) {
          throw new VosError('bad_request', `${login.name} was changed meanwhile. Nothing was set.`)
        }
        const keyPath = login.credential.type === 'key' ? login.credential.path : undefined
        const secret = sealPassword(key, password, bindingOf(login, keyPath))
        return view(
          store.write(() => {
            const connection = connections.setSealedPassword(id, secret)
            releaseLogin(connection)
            return connection
          }),
        )
      })
    },
    'credential:lend': ({ requestId, connectionId, login, password }) => {
      const connection = connections.get(connectionId)
      if (connection.credential.type !== 'prompt') {
        throw new VosError('bad_request', 'This connection does not have its password typed at each start.')
      }
      checkMeant(connection.name, login, loginKey(connection))
      lent.lend(requestId, connection, password)
      return null
    },
    'credential:remove': ({ id }) => {
      idle(id, 'left without a credential')
      const connection = store.write(() => connections.setSealedPassword(id, null))
      store.shred()
      return view(connection)
    },

    'token:create': (input) => store.write(() => tokens.add(input, now())),
    'token:list': () => tokens.list(),
    'token:revoke': ({ name }) => {
      const token = store.write(() => tokens.revoke(name))
      cutOff?.(token)
      return token
    },
    'key:status': () => sealed.status(),
    'key:unlock': ({ passphrase, isNew }) => sealed.unlock(passphrase, isNew),
    'key:lock': () => sealed.lock(),
    'key:rotate': ({ passphrase }) => sealed.rotate(passphrase),

    'daemon:info': () => info(),
    'daemon:stop': ({ mode }) => stop(mode),
  }
}

/** @throws VosError when a connection is not any more what a person compared or typed something for */
function checkMeant(name: string, meant: string, now: string): void {
  if (meant === now) return
  throw new VosError('bad_request', `${name} was changed meanwhile: it is ${now} now. Nothing was changed.`, {
    hint: `Look at it, then do it again: vosctl connections show ${name}`,
  })
}

/** @throws VosError when old algorithms would be allowed without a reason or an end */
function refuseAlgorithms(before: Connection | null, change: Partial<ConnectionInput>, now: number): void {
  const problem = problemOfAlgorithms(before, change, now)
  if (!problem) return
  const what = { algorithms: 'the profile', algorithmsReason: 'the reason', algorithmsUntil: 'the last day' }
  const { name = before?.name } = change
  throw new VosError('bad_request', `${name}: ${what[problem.field]} ${problem.why}. Nothing was changed.`, problem)
}

/** A test whose list is asked for: the login has one road, with its hold and its place in the journal. */
async function readServices(
  connectionId: number,
  request: Pick<StartRequest, 'createdBy' | 'despiteLoginHold'> & Partial<StartRequest>,
  manager: Manager,
  operations: OperationTable,
): Promise<readonly ServiceState[]> {
  const { id, error, message } = await runTest(manager, connectionId, request)
  const listed = operations.events(id, 0, 100).find(({ event }) => event.type === 'listed')
  if (listed?.event.type === 'listed') return listed.event.services
  throw error ? VosError.fromInfo(error) : new VosError('interrupted', message)
}

/** A test of the jump host, which then reads the key of what is behind it: its login too has one road. */
async function readKeyThrough(
  hop: number,
  target: { readonly behind: Connection; readonly types?: readonly string[] | undefined },
  manager: Manager,
): Promise<ShownKey> {
  let key: ShownKey | undefined
  const found = (shown: ShownKey) => (key = shown)
  const { behind } = target
  const request = { createdBy: os.userInfo().username, reason: `to read the host key of ${behind.name}` }
  const ended = await runTest(manager, hop, request, (device, operation) =>
    readHostKeyBehind(device, operation, target, found),
  )
  if (key) return key
  throw ended.error ? VosError.fromInfo(ended.error) : new VosError('interrupted', ended.message)
}

/** A test on behalf of another request, to its end. */
async function runTest(
  manager: Manager,
  connectionId: number,
  more: Pick<StartRequest, 'createdBy'> & Partial<StartRequest>,
  recipe?: Recipe,
): Promise<Operation> {
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  const request = {
    requestId: randomUUID(),
    operationType: 'ssh_test',
    connectionIds: [connectionId],
    ...more,
  } as const
  const started = manager.start(request, recipe)
  const id = started.operations[0]?.id ?? ''
  const stop = manager.onEvent((_, operation) => {
    if (operation.id === id && isSettled(operation)) resolve()
  })
  // Asked again by the same request id.
  if (isSettled(manager.get(id))) resolve()
  await ended
  stop()
  return manager.get(id)
}
