import type { ServiceState } from './device.ts'
import { VosError } from './errors.ts'

/**
 * The grammar of a name that may be typed into a device: letter or digit first, then letters, digits, space and
 * `. _ - / ( )`, plus `@ : \` for systemd units, at most 96 in all. No control character, quote, semicolon, pipe or
 * dollar can pass, so no name can become another command.
 */
const VOS_NAME = /^[A-Za-z0-9][A-Za-z0-9 ._\-/()]{0,95}$/
const UNIT_NAME = /^[A-Za-z0-9][A-Za-z0-9._\-@:\\]{0,95}$/

export function isServiceName(name: string): boolean {
  return VOS_NAME.test(name) && !name.endsWith(' ')
}

export function isUnitName(name: string): boolean {
  return UNIT_NAME.test(name)
}

/**
 * The one service that a person means, out of the device's own list: exact, then the exact unit name without its
 * `.service`, then without regard to case, then a unique word prefix.
 * @throws VosError `unknown_service` or `ambiguous`, with the candidates and their states.
 */
export function resolveService(wanted: string, services: readonly ServiceState[]): ServiceState {
  const key = normalise(wanted)
  const ways: ((name: string) => boolean)[] = [
    (name) => name === wanted,
    (name) => name === `${wanted}.service`,
    (name) => normalise(name) === key || normalise(name) === `${key}.service`,
    (name) => normalise(name).startsWith(key) && /^[\s.@-]/.test(normalise(name).slice(key.length)),
  ]
  for (const matches of ways) {
    const found = services.filter((service) => matches(service.name))
    if (found.length === 1 && found[0]) return found[0]
    if (found.length > 1) {
      throw new VosError('ambiguous', `"${wanted}" fits ${found.length} services. Nothing was sent.`, {
        hint: `Name one exactly: ${found.map(describe).join(', ')}`,
      })
    }
  }
  const near = candidates(key, services)
  throw new VosError('unknown_service', `There is no service "${wanted}" on this device. Nothing was sent.`, {
    hint:
      near.length > 0
        ? `Name one exactly: ${near.map(describe).join(', ')}`
        : 'See the names with: vosctl connections services <target>',
  })
}

function normalise(name: string): string {
  return name.trim().replace(/\s+/g, ' ').toLowerCase()
}

/** Services that share a word with what was asked for, or that look alike, the nearest first. */
function candidates(key: string, services: readonly ServiceState[]): ServiceState[] {
  const words = key.split(/[\s.-]+/).filter((word) => word.length > 2 && word !== 'cisco' && word !== 'service')
  const score = (service: ServiceState): number => {
    const name = normalise(service.name)
    if (words.some((word) => name.includes(word))) return 0
    return editDistance(name.replace(/\.service$/, ''), key)
  }
  return services
    .map((service) => ({ service, score: score(service) }))
    .filter(({ score }) => score <= Math.max(2, Math.floor(key.length / 4)))
    .toSorted((a, b) => a.score - b.score)
    .slice(0, 8)
    .map(({ service }) => service)
}

function describe(service: ServiceState): string {
  return `"${service.name}" [${service.state}]`
}

/** Levenshtein distance: how many single-character edits turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const substitute = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min(substitute, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
