import { appliance } from '../compose.ts'
import { cucm125 } from '../products/cucm.ts'
import type { Scenario } from '../scenario.ts'

/* Nobody has published how a device refuses a restart (§11.1). Lines marked `invented` are ours. */

export const refusesNotActivated = refusing('not-activated', 'invented', [
  'Service is not activated',
  'Executed command unsuccessfully.',
])

/** The other imaginable shape: no words, only a state line with its reason, as if Cisco Tomcat were asked for. */
export const refusesWithStateLine = refusing('state-line', 'invented, after list-01', [
  'Service Manager is running',
  'Cisco Tomcat[STOPPED]  Service Not Activated',
])

export const refusesOutOfService = refusing('out-of-service', 'invented', [
  'Service is Commanded Out of Service',
  'Executed command unsuccessfully.',
])

export const refusesUnknownName = refusing('unknown-name', 'invented', [
  'Service name is not valid',
  'Executed command unsuccessfully.',
])

export const refusesDuringUpgrade = refusing('during-upgrade', 'invented; that it refuses is §4.1', [
  'This command is not allowed during an upgrade',
  'Executed command unsuccessfully.',
])

export const refusesPrivilege = refusing('privilege', 'login-09, §3.4', ['Incomplete command entered'])

export const refusesAsUnknownCommand = refusing('unknown-command', '§3.4', ['No valid command entered'])

export const refusesUnsuccessfully = refusing('unsuccessful', '§3.4, with a period', [
  'Executed command unsuccessfully.',
])

/** It never says that this exists; here it is silent but for the prompt. */
export const refusesSilently = refusing('silent', 'invented', [])

/** A device that restarts what is not activated as if nothing were the matter. */
export const restartsNotActivated = appliance(
  {
    name: 'restarts-not-activated',
    story: 'Restarts a service that is not activated like any other.',
    evidence: '§11.1, the other answer',
  },
  cucm125,
  { services: { notActivated: null } },
)

function refusing(kind: string, evidence: string, refusal: readonly string[]): Scenario {
  return appliance(
    { name: `refuses-${kind}`, story: `Refuses every restart: ${refusal[0] ?? 'no word at all'}.`, evidence },
    cucm125,
    { services: { restart: { refusal } } },
  )
}
