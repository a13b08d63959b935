import { appliance, endsAs, polls, shownInList } from '../compose.ts'
import { finesse } from '../products/contact-center.ts'
import { cucm125, cucm14Subscriber } from '../products/cucm.ts'
import { imp } from '../products/imp.ts'
import type { Scenario } from '../scenario.ts'

/* Restarts that are answered to their end, well or badly. */

export const oldWording = appliance(
  {
    name: 'old-wording',
    story: 'A Finesse restart: STOPPING twice, STARTING five times, STARTED twice.',
    evidence: 'restart-01',
  },
  finesse,
)

export const newWording = appliance(
  { name: 'new-wording', story: 'An IM&P restart: the other warning and no STOPPING.', evidence: 'restart-04' },
  imp,
)

/** An ordinary publisher; most tests that do not care start here. */
export const publisher = appliance(
  { name: 'publisher', story: 'A CUCM 12.5 publisher on which everything works.', evidence: 'login-02, §6.6' },
  cucm125,
)

export const subscriber = startingFor(3, 'subscriber')

/** The list says STARTING so often before it says STARTED. */
export function startingFor(lists: number, name = `subscriber-after-${lists}-lists`): Scenario {
  return appliance(
    {
      name,
      story: `Prints STARTING, then the prompt; ${lists} lists say STARTING, the next STARTED.`,
      evidence: 'netSSL f832aa0 (§1.1)',
    },
    cucm14Subscriber,
    { services: { restart: { steps: [polls('STARTING', 3), shownInList('STARTING', lists), endsAs('STARTED')] } } },
  )
}

export const subscriberEndsStopped = appliance(
  {
    name: 'subscriber-ends-stopped',
    story: 'Prints STARTING, then the prompt; the list says STARTING three times, then STOPPED.',
    evidence: 'as subscriber, with the reason of list-02',
  },
  cucm14Subscriber,
  {
    services: {
      restart: {
        steps: [polls('STARTING', 3), shownInList('STARTING', 3), endsAs('STOPPED', 'Component is not running')],
      },
    },
  },
)

export const subscriberEndsNotRunning = appliance(
  {
    name: 'subscriber-ends-not-running',
    story: 'Prints STARTING, then the prompt; the list ends with a word that is rarely seen, NOTRUNNING.',
    evidence: '217304 (§4.5); its place on the line is a guess',
  },
  cucm14Subscriber,
  { services: { restart: { steps: [polls('STARTING', 3), endsAs('NOTRUNNING', 'Component is not running')] } } },
)

export const subscriberNeverStarts = appliance(
  {
    name: 'subscriber-never-starts',
    story: 'Prints STARTING, then the prompt; the list says STARTING for ever.',
    evidence: '§4.5, an IM&P subscriber booted with HA on',
  },
  cucm14Subscriber,
  { services: { restart: { steps: [polls('STARTING', 3), endsAs('STARTING')] } } },
)

export const endsStopped = appliance(
  {
    name: 'ends-stopped',
    story: 'The restart itself ends with STOPPED, and so says the list.',
    evidence: '§4.7 O5; the printed line is inferred',
  },
  cucm125,
  {
    services: {
      restart: {
        steps: [polls('STOPPING', 2), polls('STARTING', 3), polls('STOPPED', 2, 'Component is not running')],
      },
    },
  },
)

export const neverFinishes = appliance(
  {
    name: 'never-finishes',
    story: 'Prints STARTING for ever; the prompt never comes.',
    evidence: '§4.5, STARTING for ever',
  },
  cucm125,
  { services: { restart: { steps: [polls('STOPPING', 2), polls('STARTING', Number.POSITIVE_INFINITY)] } } },
)

export const startedOnly = appliance(
  {
    name: 'started-only',
    story: 'Prints STARTED twice without any transition; nothing happened to the service.',
    evidence: '§4.7 O9',
  },
  cucm125,
  { services: { restart: { steps: [polls('STARTED', 2)] } } },
)

export const actsOnNeighbour = appliance(
  {
    name: 'acts-on-neighbour',
    story: 'Asked for Cisco Tomcat, it restarts Cisco Tomcat Stats Servlet and names only that.',
    evidence: '§4.6, the prefix trap; invented',
  },
  cucm125,
  { services: { exceptions: { 'Cisco Tomcat': { actsOn: 'Cisco Tomcat Stats Servlet' } } } },
)

export const collateral = appliance(
  {
    name: 'collateral',
    story: 'While Cisco XCP Router restarts, Cisco XCP Text Conference Manager goes STOPPED and stays so.',
    evidence: '217304 (§1.9, §4.5)',
  },
  imp,
  {
    services: {
      exceptions: {
        'Cisco XCP Router': {
          steps: [
            {
              state: 'STARTING',
              polls: 3,
              also: [
                {
                  service: 'Cisco XCP Text Conference Manager',
                  state: 'STOPPED',
                  reason: 'Commanded Out of Service',
                },
              ],
            },
            polls('STARTED', 2),
          ],
        },
      },
    },
  },
)

export const unexpectedQuestion = appliance(
  {
    name: 'unexpected-question',
    story: 'Asks `Continue (y/n)?` before it restarts anything.',
    evidence: 'the question of prompt-01; that a restart asks it is invented (§3.3)',
  },
  cucm125,
  {
    services: {
      restart: {
        question: {
          text:
            'This command may use a considerable amount of I/O\nand running it may impact system performance.\n\n' +
            'Continue (y/n)?',
          goesOnWith: 'y',
        },
      },
    },
  },
)

/** What Ctrl-C does after Enter is not known: with `publisher` nothing, here each other answer. */
export const ctrlCLeavesItStopped = appliance(
  { name: 'ctrl-c-leaves-it-stopped', story: 'Ctrl-C ends the command and the service stays down.', evidence: '§11.2' },
  cucm125,
  { services: { restart: { onCtrlC: 'stays-stopped' } } },
)

export const ctrlCOnlyEndsTheCommand = appliance(
  {
    name: 'ctrl-c-only-ends-the-command',
    story: 'Ctrl-C brings the prompt back while the restart goes on.',
    evidence: '§11.2',
  },
  cucm125,
  { services: { restart: { onCtrlC: 'goes-on' } } },
)
