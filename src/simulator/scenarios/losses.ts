import { type About, appliance } from '../compose.ts'
import { fault } from '../faults.ts'
import { cucm125 } from '../products/cucm.ts'
import { type Aftermath, type Fault, mishaps, type Mishap, type Phase, phases, type Scenario } from '../scenario.ts'

/* Sessions and connections that end too early. What a restart does then is not known (§5.4): both answers. */

export const sessionLimitSilent = appliance(
  { name: 'session-limit', story: 'Ten sessions are open; the next is closed without a word.', evidence: '§2.4' },
  cucm125,
  { access: { sessions: { taken: 10 } } },
)

export const sessionLimitWithText = appliance(
  { name: 'session-limit-text', story: 'The same, with a text.', evidence: 'the text is invented (§11.4)' },
  cucm125,
  { access: { sessions: { taken: 10, limitText: 'Maximum number of CLI sessions reached. Connection closed.\n' } } },
)

const idleMs = 30 * 60_000

export const idleClose = appliance(
  { name: 'idle-close', story: 'Closes a shell that is idle for 30 minutes.', evidence: '§2.4' },
  cucm125,
  { access: { sessions: { idleMs } } },
)

export const idleCloseWithText = appliance(
  { name: 'idle-close-text', story: 'The same, with a text.', evidence: 'the text is invented (§11.4)' },
  cucm125,
  { access: { sessions: { idleMs, idleText: '\nThe session has timed out.\n' } } },
)

export const shellClosedGoesOn = midRestart('shell-closed-goes-on', 'close-shell', 'goes-on')
export const shellClosedStaysStopped = midRestart('shell-closed-stays-stopped', 'close-shell', 'stays-stopped')
export const resetGoesOn = midRestart('reset-goes-on', 'reset', 'goes-on')
export const resetStaysStopped = midRestart('reset-stays-stopped', 'reset', 'stays-stopped')
export const closeGoesOn = midRestart('close-goes-on', 'close', 'goes-on')
export const closeStaysStopped = midRestart('close-stays-stopped', 'close', 'stays-stopped')
export const halfOpenMidRestart = midRestart('half-open-mid-restart', 'half-open', 'goes-on')
export const silentMidRestart = midRestart('silent-mid-restart', 'silence', 'goes-on')

/** The kill comes after the warning and before anything moves: the list says STARTED all along. */
export const neverBegan = losing(
  {
    name: 'never-began',
    story: 'The connection is reset after the warning, and the restart never begins.',
    evidence: '§5.4, one possible answer',
  },
  fault('warning', 'reset'),
  'never-began',
)

/** The same seen from outside, but the restart happens. */
export const resetBeforeStateLine = losing(
  {
    name: 'reset-before-state-line',
    story: 'The connection is reset after the warning; the restart goes on unseen.',
    evidence: '§5.4, the other answer',
  },
  fault('warning', 'reset'),
  'goes-on',
)

/** The two truths behind a link that is lost with the Enter. */
export const enterArrives = losing(
  { name: 'enter-arrives', story: 'The link is lost with the Enter, and the command runs.', evidence: '§5.4' },
  fault('enter', 'reset'),
  'goes-on',
)

export const enterIsLost = losing(
  { name: 'enter-is-lost', story: 'The link is lost with the Enter, and the command never runs.', evidence: '§5.4' },
  fault('enter', 'reset', { delivered: false }),
  'goes-on',
)

/** An appliance that breaks at one phase in one way, once logins, lists and the like are done as usual. */
export function brokenAt(phase: Phase, mishap: Mishap, onSessionLoss: Aftermath = 'goes-on'): Scenario {
  return losing(
    { name: `${mishap}-at-${phase}`, story: `At ${phase}: ${mishap}.`, evidence: 'safety.md: a timer for every phase' },
    fault(phase, mishap),
    onSessionLoss,
  )
}

/** Every phase with every mishap that can happen there. */
export const breakages: readonly Scenario[] = phases.flatMap((phase) =>
  mishaps.filter((mishap) => canHappen(phase, mishap)).map((mishap) => brokenAt(phase, mishap)),
)

function canHappen(phase: Phase, mishap: Mishap): boolean {
  const beforeSsh = phase === 'tcp' || phase === 'kex'
  if (mishap === 'disconnect') return !beforeSsh
  return mishap !== 'close-shell' || !(beforeSsh || phase === 'auth')
}

function midRestart(name: string, mishap: Mishap, onSessionLoss: Aftermath): Scenario {
  const about = {
    name,
    story: `After the first STOPPING line: ${mishap}; the restart ${onSessionLoss}.`,
    evidence: '§5.4',
  }
  return losing(about, fault('stopping', mishap), onSessionLoss)
}

function losing(about: About, loss: Fault, onSessionLoss: Aftermath): Scenario {
  return appliance(about, cucm125, { services: { restart: { onSessionLoss } }, faults: [loss] })
}
