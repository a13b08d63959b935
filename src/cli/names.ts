import { readFileSync } from 'node:fs'
import type { NamedConnection, NamedOperation, Names } from '../core/names.ts'
import { checkFile, checkPlaces, type Paths } from './paths.ts'

/** What the daemon has left for completion; nothing where it has left nothing that can be understood. */
export function readNames(paths: Paths): Names {
  try {
    checkPlaces(paths)
    checkFile(paths.names, paths)
    const { connections, operations } = JSON.parse(readFileSync(paths.names, 'utf8')) as Names
    if (connections.every(isConnection) && operations.every(isOperation)) return { connections, operations }
  } catch {
    // None yet; or what a power cut has left of it, since it is never synced; or it is somebody else's.
  }
  return { connections: [], operations: [] }
}

function isConnection({ id, name, platform, service, services }: NamedConnection): boolean {
  return (
    Number.isInteger(id) &&
    isText(name) &&
    isText(platform) &&
    (service === null || isText(service)) &&
    services.every(isText)
  )
}

function isOperation({ id, type, service, status, connection, batch }: NamedOperation): boolean {
  return [id, type, service ?? '', status, connection, batch ?? ''].every(isText)
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}
