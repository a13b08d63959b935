import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { VosError } from '../../core/errors.ts'
import type { TlsSettings } from '../settings.ts'
import { readOwnFile } from '../ssh/credentials.ts'
import { distrust } from '../trusted-file.ts'

const MAX_BYTES = 256 * 1024

export type TlsMaterial = Required<Pick<SecureContextOptions, 'cert' | 'key'>> & { readonly ca?: string[] }

/**
 * What TLS needs, from its files. Fails here and not at the first visitor.
 * @throws VosError `bad_config`, or `bad_key_file` when others may read the key
 */
export async function readTls({ certificate, key, clients }: TlsSettings): Promise<TlsMaterial> {
  const cert = await readPem(certificate)
  const material = { cert: cert.join('\n'), key: await readOwnFile(key, MAX_BYTES) }
  try {
    createSecureContext(material)
  } catch (error) {
    // Words of OpenSSL about a private key are not for a log; its code says what is wrong.
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw badTls(`The key ${key} cannot be used with the certificate ${certificate}: ${code}.`)
  }
  // Without one authority of its own Node would take all that browsers take.
  return clients === null ? material : { ...material, ca: await readPem(clients) }
}

/** The certificates in a file; at least one. */
async function readPem(path: string): Promise<string[]> {
  const wrong = distrust(path)
  // Whoever can write it says who is this daemon, or who may come in.
  if (wrong !== null) throw badTls(`${path} cannot be trusted: ${wrong}.`)
  let text: string
  try {
    text = await readFile(path, 'latin1')
  } catch (error) {
    throw badTls(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}.`)
  }
  const found = text.slice(0, MAX_BYTES).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    for (const pem of found) void new X509Certificate(pem)
  } catch {
    throw badTls(`${path} holds a certificate that cannot be read.`)
  }
  if (found.length === 0) throw badTls(`${path} holds no certificate.`)
  return [...found]
}

function badTls(message: string): VosError {
  return new VosError('bad_config', message, { hint: 'tls: names PEM files; correct them or the settings.' })
}
