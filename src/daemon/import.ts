import { createHash } from 'node:crypto'
import { toState, type Connection } from '../core/connection.ts'
import { VosError } from '../core/errors.ts'
import type { ImportedConnection, ImportRequest } from '../core/protocol.ts'

type All = Pick<ImportRequest, 'add' | 'edit'>

/** As many as a file may hold: in one transaction, while everybody waits. */
const MAX_CONNECTIONS = 5000

/**
 * Puts the parts of an import together: null until the last one is there. One import is kept at a time, so that what a
 * client has left behind takes no more room than that; a newer one takes its place.
 */
export function collectParts(): (request: ImportRequest) => All | null {
  let importId: string | null = null
  let taken: ImportRequest[] = []
  return (request) => {
    if (request.part === 0) {
      importId = request.importId
      taken = []
    }
    if (request.importId !== importId || request.part !== taken.length) {
      throw new VosError('bad_request', 'Another import began meanwhile. Nothing was imported.', {
        hint: 'Import again, one after the other.',
      })
    }
    taken.push(request)
    const count = taken.reduce((sum, { add, edit }) => sum + add.length + edit.length, 0)
    if (count > MAX_CONNECTIONS) {
      importId = null
      taken = []
      throw new VosError('bad_request', `No more than ${MAX_CONNECTIONS} connections at once. Nothing was imported.`, {
        hint: 'Split the file.',
      })
    }
    if (taken.length < request.parts) return null
    const all = { add: taken.flatMap(({ add }) => add), edit: taken.flatMap(({ edit }) => edit) }
    importId = null
    taken = []
    return all
  }
}

/**
 * @throws VosError when the connection is not as it was when the person saw the plan, or when another host key than the
 * pinned one would take its place: that is for `trust` alone, after a comparison with the device
 */
export function checkPlanned(connection: Connection, expected: string, { hostKey }: Partial<ImportedConnection>): void {
  const { name, hostKey: pinned } = connection
  if (createHash('sha256').update(toState(connection)).digest('base64url') !== expected) {
    throw new VosError('bad_request', `${name} was changed since the plan was made. Nothing was imported.`, {
      hint: 'Import again: the plan is another one now.',
    })
  }
  if (hostKey && pinned && (hostKey.type !== pinned.type || hostKey.fingerprint !== pinned.fingerprint)) {
    throw new VosError('host_key_changed', `${name} has another host key pinned. Nothing was imported.`, {
      hint: `Compare it with the device: vosctl connections trust ${name}`,
    })
  }
}
