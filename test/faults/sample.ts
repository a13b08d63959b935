import { expect, test } from 'vitest'
import { RIGS } from './rigs.ts'

/** The sample of a rig as a test; `VOSCTL_SEED` repeats one. */
export function testSample(name: string, limitMs = 300_000): void {
  const rig = RIGS.find((rig) => rig.name === name)
  if (!rig) throw new Error(`There is no rig ${name}.`)
  const seed = Number(process.env['VOSCTL_SEED'] ?? Date.now() % 1_000_000)
  test(`${name}: ${rig.what} (${rig.sample} cases, seed ${seed})`, { timeout: limitMs }, async () => {
    const run = await rig.load()
    const report = await run({ cases: rig.sample, seed, say: () => undefined })
    expect(report.violations).toEqual([])
    expect(report.cases).toBeGreaterThanOrEqual(rig.sample)
  })
}
