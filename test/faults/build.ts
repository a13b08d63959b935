import { mkdtempSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { build, type Plugin } from 'esbuild'
import { ROOT } from './root.ts'

const built: string[] = []

/**
 * Bundles a program of the house with its failpoints in it, into a directory of its own inside the project (so that it
 * finds the packages), which is removed when this process ends.
 * @returns the path of the bundle
 */
export async function buildWithFaults(entry: string, plugins: readonly Plugin[] = []): Promise<string> {
  mkdirSync(path.join(ROOT, '.faults'), { recursive: true })
  const directory = mkdtempSync(path.join(ROOT, '.faults', 'build-'))
  if (built.length === 0) {
    process.on('exit', () => {
      for (const each of built) rmSync(each, { recursive: true, force: true })
    })
  }
  built.push(directory)
  const outfile = path.join(directory, 'main.js')
  await build({
    entryPoints: [path.join(ROOT, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22.14',
    packages: 'external',
    logLevel: 'warning',
    define: { 'globalThis.VOSCTL_FAULTS': 'true' },
    plugins: [...plugins],
  })
  return outfile
}

let daemon: Promise<string> | undefined

/** The daemon that the rigs attack: of this tree, or the one that a mutant's run names. */
export function faultyDaemon(): Promise<string> {
  const given = process.env['VOSCTL_FAULTS_DAEMON']
  return (daemon ??= given === undefined ? buildWithFaults('src/daemon/main.ts') : Promise.resolve(given))
}
