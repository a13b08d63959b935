import { expect, test } from 'vitest'
import { requireTool } from '../helpers/tools.ts'
import { RIGS } from './rigs.ts'

interface CaseOptions {
  /** A program that the rig cannot do without; a machine that lacks it skips the test, visibly. */
  readonly needs?: string
  readonly limitMs?: number
}

/** The sample of a rig as a test; `VOSCTL_SEED` repeats one. */
export function testSample(name: string, options: CaseOptions = {}): void {
  const { what, sample } = rigOf(name)
  const seed = Number(process.env['VOSCTL_SEED'] ?? Date.now() % 1_000_000)
  testRig(name, `${name}: ${what} (${sample} cases, seed ${seed})`, { cases: sample, seed }, options)
}

/** The cases in which a rig has found something, with the story of what was wrong. */
export function testStory(story: string, name: string, only: RegExp, options: CaseOptions = {}): void {
  testRig(name, `found by ${name}: ${story}`, { cases: Infinity, seed: 1, only }, options)
}

function testRig(
  name: string,
  title: string,
  work: { readonly cases: number; readonly seed: number; readonly only?: RegExp },
  { needs, limitMs = 300_000 }: CaseOptions,
): void {
  const isMissing = needs !== undefined && requireTool(needs) === null
  const why = isMissing ? `, skipped: ${needs} is missing` : ''
  test.skipIf(isMissing)(`${title}${why}`, { timeout: limitMs }, async () => {
    const run = await rigOf(name).load()
    const report = await run({ ...work, say: () => undefined })
    expect(report.violations).toEqual([])
    expect(report.cases).toBeGreaterThanOrEqual(Number.isFinite(work.cases) ? work.cases : 1)
  })
}

function rigOf(name: string) {
  const rig = RIGS.find((rig) => rig.name === name)
  if (!rig) throw new Error(`There is no rig ${name}.`)
  return rig
}
