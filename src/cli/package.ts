import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where this package lies. Searched upwards, because a bundler decides how deep the file with this code is. */
const PACKAGE_DIRECTORY = findPackage(path.dirname(fileURLToPath(import.meta.url)))

/** The launcher of the client or of the daemon; run it with `process.execPath`, which is a Node that is new enough. */
export function binary(name: 'vosctl' | 'vosd'): string {
  return path.join(PACKAGE_DIRECTORY, 'bin', name)
}

/** The version that lies there now: after an upgrade not the one that runs. Null in the middle of one. */
export function installedVersion(): string | null {
  try {
    const manifest = readFileSync(path.join(PACKAGE_DIRECTORY, 'package.json'), 'utf8')
    return (JSON.parse(manifest) as { readonly version: string }).version
  } catch {
    return null
  }
}

function findPackage(directory: string): string {
  if (existsSync(path.join(directory, 'package.json')) && existsSync(path.join(directory, 'bin', 'vosd'))) {
    return directory
  }
  const parent = path.dirname(directory)
  if (parent === directory) throw new Error('vosctl is not installed as a whole: its package.json was not found')
  return findPackage(parent)
}
