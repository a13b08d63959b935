import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Plugin } from 'esbuild'
import { buildWithFaults } from './build.ts'
import { MUTANTS, type Mutant } from './mutants-list.ts'
import { Random } from './random.ts'
import type { Rig } from './rig.ts'
import { ROOT } from './root.ts'

/** Plants a mutant's edits while the sources are bundled; the tree itself stays as it is. */
function plant({ name, edits }: Mutant): Plugin {
  return {
    name,
    setup(build) {
      build.onLoad({ filter: /\/src\/.*\.tsx?$/ }, async ({ path: file }) => {
        const own = edits.filter((edit) => path.join(ROOT, edit.file) === file)
        if (own.length === 0) return undefined
        let contents = await readFile(file, 'utf8')
        for (const { find, replace } of own) {
          if (contents.split(find).length !== 2) throw new Error(`${name}: not exactly once in ${file}: ${find}`)
          contents = contents.replace(find, () => replace)
        }
        return { contents, loader: file.endsWith('x') ? 'tsx' : 'ts' }
      })
    },
  }
}

/** Runs the rig that must catch it, with the mutant in the daemon, or in the rig's own copy of the sources. */
async function attack(
  mutant: Mutant,
  seed: number,
): Promise<{ readonly status: number | null; readonly output: string }> {
  const { rig, cases, only, isInProcess = false } = mutant.caughtBy
  const plugins = [plant(mutant)]
  const daemon = await buildWithFaults('src/daemon/main.ts', plugins)
  const rigs = isInProcess ? await buildWithFaults('test/faults/main.ts', plugins) : 'test/faults/main.ts'
  const args = [
    rigs,
    rig,
    '--cases',
    String(cases),
    '--seed',
    String(seed),
    ...(only === undefined ? [] : ['--only', only]),
  ]
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, VOSCTL_FAULTS_DAEMON: daemon },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, output }
}

/** Plants one bug after the other and asks the rigs: whoever is not caught shows a hole in the judge. */
const run: Rig = async ({ cases, seed, only = /./, say }) => {
  const matching = MUTANTS.filter(({ name }) => only.test(name))
  const chosen = new Random(seed).sample(matching, cases)
  const violations: string[] = []
  for (const mutant of chosen) {
    const { status, output } = await attack(mutant, seed)
    const found = /VIOLATION (.*)/.exec(output)?.[1]
    if (status === 1 && found !== undefined)
      say(`${mutant.name}: caught by ${mutant.caughtBy.rig}: ${found.slice(0, 200)}`)
    else
      violations.push(
        `"${mutant.name}" was not caught by ${mutant.caughtBy.rig}, which ended with ${status}: ${output.slice(-500)}`,
      )
  }
  return { cases: chosen.length, violations }
}

export default run
