import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { temporaryDirectory } from './helpers/temporary.ts'

const root = path.resolve(import.meta.dirname, '..')

/** The linter's words about one file, put where the house would have it. */
function lint(file: string, text: string): string {
  const directory = temporaryDirectory()
  fs.copyFileSync(path.join(root, '.oxlintrc.json'), path.join(directory, '.oxlintrc.json'))
  fs.mkdirSync(path.dirname(path.join(directory, file)), { recursive: true })
  fs.writeFileSync(path.join(directory, file), text)
  return spawnSync(path.join(root, 'node_modules/.bin/oxlint'), ['.'], { cwd: directory, encoding: 'utf8' }).stdout
}

it.each([
  ['src/core/x.ts', `import fs from 'node:fs'\nexport const x = fs`, 'core is the language'],
  ['src/core/x.ts', `import { x } from '../daemon/x.ts'\nexport const y = x`, 'core is the language'],
  ['src/core/x.ts', `import { x } from 'ssh2'\nexport const y = x`, "core's only dependency is zod"],
  ['src/core/x.ts', `export const x = () => Date.now()`, 'core has no clock'],
  ['src/core/x.ts', `export const x = () => setTimeout(() => 1, 1)`, 'core has no timers'],
  ['src/core/x.ts', `export const x = () => process.pid`, 'core knows no process'],
  ['src/daemon/x.ts', `import { x } from '../cli/x.ts'\nexport const y = x`, 'meet only in core'],
  ['src/daemon/x.ts', `import { x } from 'ssh2'\nexport const y = x`, 'ssh2 has one home'],
  ['src/daemon/x.ts', `import x from 'better-sqlite3'\nexport const y = x`, 'better-sqlite3 has one home'],
  ['src/daemon/x.ts', `import { x } from 'ink'\nexport const y = x`, 'belong to the client'],
  ['src/daemon/ssh/x.ts', `import { x } from '../store/x.ts'\nexport const y = x`, 'knows no store'],
  ['src/daemon/store/x.ts', `import { x } from '../ssh/x.ts'\nexport const y = x`, 'knows no device'],
  ['src/cli/x.ts', `import { x } from '../daemon/x.ts'\nexport const y = x`, 'meet only in core'],
  ['src/cli/x.ts', `import { x } from '../core/schemas.ts'\nexport const y = x`, 'no schema library'],
  ['src/cli/x.ts', `import { x } from '../simulator/index.ts'\nexport const y = x`, 'Only the demo'],
  ['src/simulator/x.ts', `import { x } from '../daemon/x.ts'\nexport const y = x`, 'The simulator judges the house'],
  ['src/cli/x.ts', `export const x = () => console.log('x')`, 'no-console'],
])('%s may not say %j', (file, text, message) => {
  expect(lint(file, text)).toContain(message)
})

it('finds nothing where nothing is wrong', () => {
  expect(lint('src/daemon/x.ts', `import { x } from '../core/x.ts'\nexport const y = x`)).toContain(
    'Found 0 warnings and 0 errors',
  )
})

it('wires no debug stream of a library: that of SSH prints every packet, the one with the password too', () => {
  const sources = fs.readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const read = sources.filter((name) => /\.tsx?$/.test(name)).map((name) => path.join(root, 'src', name))
  expect(read.length).toBeGreaterThan(100)
  expect(read.filter((file) => /\bdebug\b\s*[:(=?]/.test(fs.readFileSync(file, 'utf8')))).toEqual([])
})
