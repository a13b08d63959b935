import { parseArgs } from 'node:util'
import { RIGS } from './rigs.ts'

/**
 * `npm run faults` runs every rig in full; `npm run faults -- kills power --cases 50 --seed 7` runs some of them otherwise.
 * `--only` takes a pattern for the names of the cases. Ends with 1 when a promise was broken.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string' },
    sample: { type: 'boolean', default: false },
  },
})
const unknown = positionals.filter((name) => !RIGS.some((rig) => rig.name === name))
if (unknown.length > 0) {
  console.error(`There is no rig ${unknown.join(', ')}. There are: ${RIGS.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}
// Leaves by the door that ends what was started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))
const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed)
for (const { name, what, load, full, sample } of RIGS) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const cases = values.cases === undefined ? (values.sample ? sample : full) : Number(values.cases)
  console.log(`${name}: ${what}; ${cases} cases, seed ${seed}`)
  const run = await load()
  const beganAt = performance.now()
  const only = values.only === undefined ? {} : { only: new RegExp(values.only) }
  const report = await run({ cases, seed, ...only, say: (line) => console.log(`  ${line}`) })
  const seconds = ((performance.now() - beganAt) / 1000).toFixed(0)
  for (const violation of report.violations) console.log(`  VIOLATION ${violation}`)
  for (const [fact, value] of Object.entries(report.facts ?? {})) console.log(`  ${fact}: ${value}`)
  console.log(`${name}: ${report.cases} cases in ${seconds} s, ${report.violations.length} violations`)
  if (report.violations.length > 0) process.exitCode = 1
}
// A rig that leaves something running is a leak of its own; it must not keep the run from ending.
process.exit()
