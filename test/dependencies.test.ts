import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'

const ROOT = path.resolve(import.meta.dirname, '..')

interface Locked {
  readonly version: string
  readonly integrity?: string
  readonly resolved?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly hasInstallScript?: boolean
}

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8')
const { packages } = JSON.parse(read('package-lock.json')) as { readonly packages: Record<string, Locked> }
const manifest = JSON.parse(read('package.json')) as Record<'allowScripts' | 'dependencies', Record<string, unknown>>

const installed = Object.entries(packages)
  .filter(([place]) => place !== '')
  .map(([place, locked]) => ({ ...locked, place, name: place.replace(/^.*node_modules\//, '') }))
const shipped = installed.filter(({ dev, devOptional }) => !dev && !devOptional)

const ours = ({ name, place }: { readonly name: string; readonly place: string }) =>
  Object.hasOwn(manifest.dependencies, name) && place === `node_modules/${name}`

/** `name version` of the rows of one table of docs/dependencies.md. */
function reviewed(heading: string): string[] {
  const section = read('docs/dependencies.md').split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const rows = section.split('\n').flatMap((line) => {
    const [, name = '', version = '', licence = '', why = ''] = line.split('|').map((cell) => cell.trim())
    return /^\d/.test(version) ? [{ what: `${name} ${version}`, isWhole: licence !== '' && why !== '' }] : []
  })
  expect(rows.filter(({ isWhole }) => !isWhole)).toEqual([])
  return rows.map(({ what }) => what).toSorted()
}

const versions = (rows: typeof shipped) =>
  [...new Set(rows.map(({ name, version }) => `${name} ${version}`))].toSorted()

it('every package that vosctl runs with was looked at in this very version, and none is listed that is gone', () => {
  expect(versions(shipped.filter(ours))).toEqual(reviewed('Chosen'))
  expect(versions(shipped.filter((one) => !ours(one)))).toEqual(reviewed('Brought along'))
})

it('every package comes from the registry and is pinned by its SHA-512', () => {
  const isPinned = ({ integrity = '', resolved, link }: Locked) =>
    /^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity) &&
    (resolved === undefined || resolved.startsWith('https://registry.npmjs.org/')) &&
    link !== true
  expect(installed.filter((one) => !isPinned(one))).toEqual([])
})

it('no package runs a script when it is installed, but for the runtime of this repository', () => {
  const withScripts = installed.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name)
  expect(withScripts.filter((name) => manifest.allowScripts[name] === undefined)).toEqual([])
  expect(Object.keys(manifest.allowScripts).filter((name) => manifest.allowScripts[name] !== false)).toEqual(['node'])
})
