import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { STEPS } from './histories/commands.ts'
import { createTemplate, House } from './histories/house.ts'
import { VirtualTime } from './histories/virtual-time.ts'
import type { Rig } from './rig.ts'

/** Histories that share a seed of their own; one that breaks a promise ends its group, not the others. */
const GROUP = 50
const STEPS_OF_A_HISTORY = 100
/** How often a bad history is tried shorter: seconds, not minutes. */
const SHRINKS = 300
/** Enough to see what is wrong. */
const ENOUGH = 5

/**
 * Random histories over the real manager, store and feed: people, devices, networks, clocks and kills, in an order that
 * the seed decides to the last callback. A history that breaks a promise is cut down to the steps that it needs.
 */
const histories: Rig = async ({ cases, seed, say }) => {
  const directory = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'vosctl-histories-'))
  const template = path.join(directory, 'template.db')
  const violations: string[] = []
  const facts: Record<string, number> = {}
  let done = 0
  using time = new VirtualTime()
  try {
    createTemplate(template)
    for (let group = 0; done < cases && violations.length < ENOUGH; group++) {
      const runs = Math.min(GROUP, cases - done)
      const property = fc.asyncProperty(
        fc.limitShrink(fc.commands([STEPS], { maxCommands: STEPS_OF_A_HISTORY, size: 'max' }), SHRINKS),
        async (steps) => {
          using house = new House(template, directory, time)
          await fc.asyncModelRun(() => ({ model: house.judge, real: house }), steps)
          await house.finish()
          count(house, facts)
        },
      )
      const ownSeed = seed * 1000 + group
      const result = await fc.check(property, { seed: ownSeed, numRuns: runs, endOnFailure: false })
      done += result.numRuns
      if (result.failed) {
        const why = result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance)
        const steps = fc.stringify(result.counterexample?.[0])
        violations.push(
          `history ${done} of seed ${seed} (${ownSeed}, path ${result.counterexamplePath}): ${why}; ${steps}`,
        )
      }
      if (group % 20 === 19) say(`${done} histories, ${violations.length} violations`)
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  return { cases: done, violations, facts }
}

export default histories

/** What the histories were made of: a rig in which nothing happens finds nothing. */
function count(house: House, facts: Record<string, number>): void {
  const add = (what: string, times = 1) => (facts[what] = (facts[what] ?? 0) + times)
  add('daemons killed', house.crashes)
  for (const { attempts, commands } of house.boxes) {
    add('logins', attempts.length)
    add('commands', commands.length)
  }
  for (const { ending } of house.judge.known) add(`ended ${ending?.status} ${ending?.error?.code ?? ''}`.trim())
}
