import type { Fault, Mishap, Phase } from './scenario.ts'

export function fault(at: Phase, mishap: Mishap, details: Partial<Fault> = {}): Fault {
  return {
    at,
    mishap,
    during: 'utils service restart',
    delivered: true,
    skip: 0,
    times: Number.POSITIVE_INFINITY,
    text: '',
    ...details,
  }
}

/** Says at each phase whether a fault strikes now, and counts. */
export class Faults {
  readonly #passed = new Map<Fault, number>()

  strikes(faults: readonly Fault[], at: Phase, line?: string): Fault | undefined {
    return faults.find((candidate) => {
      if (candidate.at !== at) return false
      if (line !== undefined && !line.startsWith(candidate.during)) return false
      const passed = this.#passed.get(candidate) ?? 0
      this.#passed.set(candidate, passed + 1)
      return passed >= candidate.skip && passed < candidate.skip + candidate.times
    })
  }
}
