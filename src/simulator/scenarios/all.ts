import type { Scenario } from '../scenario.ts'
import * as algorithms from './algorithms.ts'
import * as authentication from './authentication.ts'
import * as hostile from './hostile.ts'
import * as lists from './lists.ts'
import * as logins from './logins.ts'
import * as losses from './losses.ts'
import * as refusals from './refusals.ts'
import * as restarts from './restarts.ts'
import * as terminals from './terminals.ts'

/**
 * Scenarios by the rows of the evidence's section 10. Row 17 (certificates over REST) is not simulated; row 14 is
 * something done to a running simulator; row 19 is `startCluster`.
 */
export const rows: Readonly<Record<number, readonly Scenario[]>> = {
  1: [restarts.oldWording],
  2: [restarts.newWording],
  3: [restarts.subscriber],
  4: [restarts.subscriberEndsStopped],
  5: scenariosIn(refusals),
  6: scenariosIn(logins),
  7: [
    terminals.loneCr,
    terminals.mixedLineEnds,
    terminals.ansi,
    terminals.doubledPrompt,
    terminals.promptInBytes,
    terminals.echoInBytes,
    terminals.allInBytes,
    terminals.utf8Ellipsis,
    terminals.utf8InBytes,
  ],
  8: scenariosIn(authentication),
  9: scenariosIn(losses),
  10: [
    terminals.pagedList,
    terminals.pagedListByPty,
    terminals.pagedInSpiteOfOff,
    terminals.optionsInList,
    restarts.unexpectedQuestion,
  ],
  11: [terminals.ordinary15],
  12: [terminals.slowAtQuestions, terminals.slowEverywhere],
  13: scenariosIn(algorithms),
  14: [algorithms.hostKeyEd25519, algorithms.hostKeyEcdsa, algorithms.hostKeyRsa],
  15: scenariosIn(lists),
  16: [lists.neighbours, restarts.actsOnNeighbour],
  18: [terminals.commandCountInside, terminals.commandCountBefore],
}

/** Every ready-made scenario by its name. */
export const scenarios: ReadonlyMap<string, Scenario> = new Map(
  [restarts, refusals, logins, terminals, authentication, losses, algorithms, lists, hostile]
    .flatMap((module): Scenario[] => scenariosIn(module))
    .concat(losses.breakages)
    .map((scenario) => [scenario.name, scenario]),
)

function scenariosIn(module: object): Scenario[] {
  return Object.values(module).filter(
    (value): value is Scenario => typeof value === 'object' && value !== null && 'story' in value,
  )
}
