import { Random } from '../random.ts'
import type { Rig } from '../rig.ts'
import { corpusOf, keep } from './corpus.ts'
import { minimise, mutate } from './mutate.ts'
import type { Target } from './target.ts'
import { DEVICE_TARGETS } from './targets-device.ts'
import { REQUEST_TARGETS } from './targets-request.ts'
import { SSH_TARGETS } from './targets-ssh.ts'

const TARGETS: readonly Target[] = [...DEVICE_TARGETS, ...SSH_TARGETS, ...REQUEST_TARGETS]

/** No input of these lengths may take the processor for longer, every property of it checked. */
const LIMIT_MS = 200
const MAX_POOL = 400
/** One broken property breaks in many ways; a few of them tell all. */
const MAX_VIOLATIONS = 3

/** Bytes of every kind into everything that reads what comes from outside. */
const run: Rig = async ({ cases, seed, say }) => {
  const shares = TARGETS.reduce((sum, { share }) => sum + share, 0)
  const violations: string[] = []
  const facts: Record<string, number | string> = {}
  let executions = 0
  for (const [index, target] of TARGETS.entries()) {
    const beganAt = performance.now()
    const wanted = Math.ceil((cases * target.share) / shares)
    const done = attack(target, wanted, new Random(seed + index))
    const perSecond = Math.round((done.executions / (performance.now() - beganAt)) * 1000)
    executions += done.executions
    violations.push(...done.violations)
    facts[target.name] = `${done.executions} executions, ${perSecond}/s, ${done.kinds} kinds of outcome`
    say(`${target.name}: ${facts[target.name]}`)
    await new Promise(setImmediate)
  }
  if (Object.keys(Object.prototype).length > 0) violations.push('an input has changed Object.prototype')
  return { cases: executions, violations, facts }
}

function attack(target: Target, wanted: number, random: Random) {
  const words = target.words.map((word) => Buffer.from(word))
  const pool: Uint8Array[] = [...target.seeds, ...corpusOf(target.name)]
  const kinds = new Set<string>()
  const violations: string[] = []
  const known = pool.length
  let executions = 0
  for (; executions < Math.max(wanted, known) && violations.length < MAX_VIOLATIONS; executions++) {
    // Half of them begin anew: what was found on the way is mostly further from being right.
    const base = executions < known ? undefined : pool[random.below(random.below(2) === 0 ? known : pool.length)]
    const input = base ? (target.mutate?.(base, random) ?? mutate(base, words, pool, random)) : pool[executions]
    if (!input) break
    const beganAt = performance.now()
    let kind: string
    try {
      kind = target.run(input)
    } catch (error) {
      violations.push(describe(target, input, (error as Error).message))
      continue
    }
    if (performance.now() - beganAt > LIMIT_MS && isSlow(target, input)) {
      keep(target.name, input)
      violations.push(sentence(target, input, `takes longer than ${LIMIT_MS} ms`))
    }
    if (kinds.has(kind)) continue
    kinds.add(kind)
    if (!base) continue
    keep(target.name, input)
    if (pool.length < MAX_POOL) pool.push(input)
    else pool[known + random.below(MAX_POOL - known)] = input
  }
  return { executions, violations, kinds: kinds.size }
}

/** The shortest form of what fails in the same way. */
function describe(target: Target, input: Uint8Array, message: string): string {
  const fails = (candidate: Uint8Array): boolean => {
    try {
      target.run(candidate)
      return false
    } catch (error) {
      return (error as Error).message.slice(0, 20) === message.slice(0, 20)
    }
  }
  const shortest = minimise(input, fails)
  keep(target.name, shortest)
  return sentence(target, shortest, message)
}

function sentence({ name }: Target, input: Uint8Array, message: string): string {
  const how =
    input.length <= 1000
      ? `the input in base64: ${Buffer.from(input).toString('base64')}`
      : `the input has ${input.length} bytes; VOSCTL_FUZZ_GROW=1 and this seed keep it in the corpus`
  return `${name}: ${message.slice(0, 300)}; ${how}`
}

/** Slow three times in a row, by the time of the processor: not because of somebody else. */
function isSlow(target: Target, input: Uint8Array): boolean {
  const times = Array.from({ length: 3 }, () => {
    const before = process.cpuUsage()
    target.run(input)
    return process.cpuUsage(before).user / 1000
  })
  return Math.min(...times) > LIMIT_MS
}

export default run
