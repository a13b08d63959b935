import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { faultyDaemon } from '../build.ts'
import { Random } from '../random.ts'
import type { Rig } from '../rig.ts'
import { EVERYTHING, NOTHING, type Fate } from './disk.ts'
import { judge, type Heard } from './judge.ts'
import { afterPowerCut, replay, writeTree, type Recording } from './recording.ts'
import { record, RUNS } from './runs.ts'
import { Told } from './told.ts'

/**
 * Power cuts. Real runs of the real daemon are recorded with strace, every change of a file or directory and, between
 * them, what the daemon let the world know. From that disks are built as a power cut could leave them at any moment, and
 * a daemon's start is made on each. The model of the disk (disk.ts):
 *
 * - An fsync of a file makes what was written to it durable, with its size; an fsync of a directory makes its names
 *   durable. Nothing else does, and nothing is durable in any order: an fsync of a file says nothing about its name,
 *   about other files, or about the directory above.
 * - Of what is not durable each write survives, vanishes, or tears: any of its 512-byte sectors is there, the others are
 *   as they were. A later write may be there without an earlier one. A sector is written whole.
 * - The size of a file and the file behind a name are what they were at any time since they were durable.
 * - A killed process takes nothing with it: what it had written, the next process reads, though it is not durable.
 *
 * A moment is judged with everything that was said until the next change of the disk. Moments right before a sync, with
 * nothing left but what is durable, are the sharpest test and come first.
 */
const run: Rig = async ({ cases, seed, only = /./, say }) => {
  const program = await faultyDaemon()
  const runs = RUNS.filter(({ name }) => only.test(name))
  // All of them end, also when one fails: each takes its daemons down with it.
  const attempts = await Promise.allSettled(runs.map((run) => record(run, program)))
  const recorded = attempts.map((attempt) => {
    if (attempt.status === 'rejected') throw attempt.reason
    return attempt.value
  })
  const random = new Random(seed)
  const violations: string[] = []
  const counts = { nothing: 0, everything: 0, 'by chance': 0 }
  let moments = 0
  for (const [index, { recording, broken }] of recorded.entries()) {
    violations.push(...broken.map((what) => `"${recording.name}" without any power cut: ${what}`))
    const share = Math.ceil((cases - sum(counts)) / (recorded.length - index))
    const plan = choose(recording, share, random)
    moments += plan.length
    const before = sum(counts)
    const own: string[] = []
    for await (const { kind, where, broken: found } of cutPower(recording, plan, random)) {
      counts[kind]++
      own.push(...found.map((what) => `"${recording.name}" ${where}, ${kind} survived: ${what}`))
    }
    violations.push(...own.slice(0, SHOWN))
    if (own.length > SHOWN) violations.push(`"${recording.name}": and ${own.length - SHOWN} more`)
    say(`${recording.name}: ${sum(counts) - before} images of ${plan.length} moments`)
  }
  return { cases: sum(counts), violations, facts: { runs: runs.length, moments, ...counts } }
}

/** One mistake breaks many images. */
const SHOWN = 5

/** What survives of the things that are not durable. */
type Kind = 'nothing' | 'everything' | 'by chance'

function sum(counts: Readonly<Record<Kind, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b)
}

/** Which images are made of each moment. */
function choose(recording: Recording, count: number, random: Random): readonly Kind[][] {
  const isSharp = [...replay(recording)].map(({ isBeforeSync }) => isBeforeSync)
  const all = [...isSharp.keys()]
  const sharpest = all.filter((moment) => isSharp[moment])
  const plan = all.map((): Kind[] => [])
  const add = (chosen: readonly number[], kind: Kind) => {
    for (const moment of chosen) plan[moment]?.push(kind)
    return chosen.length
  }
  let left = count
  left -= add(random.sample(sharpest, Math.ceil(count / 2)), 'nothing')
  left -= add(random.sample(all, Math.ceil(left / 5)), 'everything')
  while (left > 0) left -= add(random.sample(all, left), 'by chance')
  return plan
}

/** Builds and judges the images of a recording, moment by moment. */
async function* cutPower(
  recording: Recording,
  plan: readonly Kind[][],
  random: Random,
): AsyncGenerator<{ readonly kind: Kind; readonly where: string; readonly broken: readonly string[] }> {
  const { journal } = recording
  const everything = new Told(journal)
  for (const { said } of replay(recording)) for (const trace of said) everything.hear(trace)

  const unexplained = everything.unexplained.map((what) => `${what}, which the journal never had`)
  if (unexplained.length > 0) yield { kind: 'everything', where: 'at the end', broken: unexplained }

  const place = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'vosf-'))
  const image = path.join(place, 'image')
  const told = new Told(journal)
  try {
    let moment = 0
    for (const { disk, said, what } of replay(recording)) {
      for (const trace of said) told.hear(trace)
      const heard = new Map<number, Heard>()
      for (const [id, states] of everything.connections) {
        heard.set(id, { count: told.connections.get(id)?.length ?? 0, states })
      }
      for (const kind of plan[moment] ?? []) {
        const fate = kind === 'nothing' ? NOTHING : kind === 'everything' ? EVERYTHING : chance(random)
        writeTree(afterPowerCut(disk, fate), image)
        const broken = await judge(image, recording, told, heard, random.below(8) === 0)
        rmSync(image, { recursive: true })
        yield { kind, where: `at moment ${moment} of ${plan.length}, after ${what}`, broken }
        await turn()
      }
      moment++
    }
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

/** How much survives and how finely it is torn differs from image to image: from almost nothing to almost all. */
function chance(random: Random): Fate {
  const [survives, vanishes, tears] = [1 + random.below(9), 1 + random.below(9), 1 + random.below(9)]
  const sectors = 1 + random.below(9)
  return {
    write: () => {
      const at = random.below(survives + vanishes + tears)
      return at < survives ? 'survives' : at < survives + vanishes ? 'vanishes' : 'tears'
    },
    sector: () => random.below(10) < sectors,
    // A size or a name as it was long ago hides everything else that was torn.
    state: (states) => (random.below(2) === 0 ? EVERYTHING.state(states) : random.pick(states)),
  }
}

export default run
