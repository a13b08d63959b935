import { expect, test } from 'vitest'
import { requireTool } from '../helpers/tools.ts'
import { RIGS } from './rigs.ts'

interface SampleOptions {
  /** A program that the rig cannot do without; a machine that lacks it skips the sample, visibly. */
  readonly needs?: string
  readonly limitMs?: number
}

/** The sample of a rig as a test; `VOSCTL_SEED` repeats one. */
export function testSample(name: string, { needs, limitMs = 300_000 }: SampleOptions = {}): void {
  const rig = RIGS.find((rig) => rig.name === name)
  if (!rig) throw new Error(`There is no rig ${name}.`)
  const seed = Number(process.env['VOSCTL_SEED'] ?? Date.now() % 1_000_000)
  const isMissing = needs !== undefined && requireTool(needs) === null
  const why = isMissing ? `, skipped: ${needs} is missing` : ''
  test.skipIf(isMissing)(
    `${name}: ${rig.what} (${rig.sample} cases, seed ${seed})${why}`,
    { timeout: limitMs },
    async () => {
      const run = await rig.load()
      const report = await run({ cases: rig.sample, seed, say: () => undefined })
      expect(report.violations).toEqual([])
      expect(report.cases).toBeGreaterThanOrEqual(rig.sample)
    },
  )
}
