import { credentialWord, type CredentialSource } from '../core/connection.ts'
import type { ConnectionView } from '../core/protocol.ts'
import { EXPORT_SCHEMA } from './import/fields.ts'
import { toConnectionJson } from './json-documents.ts'

interface ExportDocument {
  readonly schema: string
  readonly connections: readonly (Readonly<Record<string, unknown>> & { readonly name: string })[]
}

/**
 * Connections as a file that `connections import` reads. Everything is said, defaults too: what a file leaves out stays as
 * it is when it is imported. A secret is nowhere in it, because the daemon gives none away.
 */
export function toExportDocument(connections: readonly ConnectionView[]): ExportDocument {
  return { schema: EXPORT_SCHEMA, connections: connections.toSorted((a, b) => a.id - b.id).map(toExportEntry) }
}

function toExportEntry(connection: ConnectionView): ExportDocument['connections'][number] {
  const { name, host, port, username, platform, service, credential, hostKey } = connection
  const { acceptNew, algorithms, algorithmsReason, algorithmsUntil, echo, enter, sudo, hops, timings } = connection
  return {
    name,
    host,
    port,
    username,
    platform,
    service,
    ...toSourceFields(credential),
    ...(hostKey ? { host_key: hostKey } : {}),
    accept_new: acceptNew,
    algorithms,
    ...(algorithmsReason === null ? {} : { algorithms_reason: algorithmsReason }),
    ...(algorithmsUntil === null ? {} : { algorithms_until: algorithmsUntil }),
    echo,
    enter,
    sudo,
    via: hops.at(-1)?.name ?? null,
    ...(Object.keys(timings).length > 0 ? { timings_ms: toConnectionJson(connection)['timings_ms'] } : {}),
  }
}

/** Nothing where there is a password or none: another house has its own, which a file must not take away. */
function toSourceFields(credential: CredentialSource): Readonly<Record<string, string>> {
  if (credential.type === 'none' || credential.type === 'sealed') return {}
  if (credential.type !== 'key') return { credential: credentialWord(credential) }
  const { path: key_path, passphrase } = credential
  return { key_path, ...(passphrase === undefined || passphrase === 'sealed' ? {} : { passphrase_from: passphrase }) }
}
