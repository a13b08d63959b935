import { type About, appliance, type Changes, vary } from '../compose.ts'
import { cucm125, cucm15 } from '../products/cucm.ts'
import type { Scenario } from '../scenario.ts'

/* The same well-behaved appliance behind terminals with manners of their own. */

export const loneCr = terminal('lone-cr', 'Every line ends with a single CR.', '§3.1', { newline: 'cr' })

export const mixedLineEnds = terminal('mixed-line-ends', 'CRLF and lone CR by turns.', '§3.1', { newline: 'mixed' })

export const ansi = terminal('ansi', 'ESC[K before the prompt, states in bold.', '§3.1', { ansi: true })

/** Doubled without anybody's nudge. One nudge before the prompt doubles it on every appliance (login-07). */
export const doubledPrompt = terminal('doubled-prompt', 'Every prompt comes twice.', 'login-07', {
  promptTail: '\n\radmin:',
})

export const blankAfterPrompt = terminal('blank-after-prompt', '`admin: ` with a blank.', 'list-02', {
  prompt: 'admin: ',
})

export const promptInBytes = terminal('prompt-in-bytes', 'The prompt comes byte by byte.', '§10 row 7', {
  dribbles: ['prompt'],
})

export const echoInBytes = terminal('echo-in-bytes', 'The echo comes byte by byte.', '§10 row 7', {
  dribbles: ['echo'],
})

export const allInBytes = terminal('all-in-bytes', 'Everything comes byte by byte.', '§10 row 7', {
  dribbles: ['prompt', 'echo', 'output'],
})

export const echoAtEnter = terminal('echo-at-enter', 'The command is echoed only when Enter comes.', '§11, unknown', {
  echo: 'at-enter',
})

export const echoNever = terminal('echo-never', 'The command is never echoed.', '§11, unknown', { echo: 'never' })

export const onlyCarriageReturn = terminal('only-cr', 'Only CR is an Enter; LF is nothing.', '§5.5, unknown', {
  enter: 'cr',
})

export const onlyLineFeed = terminal('only-lf', 'Only LF is an Enter; CR is nothing.', '§5.5, unknown', {
  enter: 'lf',
})

export const wraps = terminal('wraps', 'Blank and CR where the echo reaches the width of the PTY.', 'readline', {
  wraps: true,
})

export const dropsTypeahead = terminal('drops-typeahead', 'Forgets what was typed during a command.', 'invented', {
  typeahead: 'dropped',
})

export const slowAtQuestions = terminal(
  'slow-at-questions',
  'Loses characters that come faster than 20 ms apart when it asks something.',
  'CiscoDevNet (§1.11)',
  { drops: { fasterThanMs: 20, where: 'questions' } },
)

export const slowEverywhere = terminal(
  'slow-everywhere',
  'Loses characters that come faster than 20 ms apart, at the prompt too.',
  '§1.11, extended to the prompt',
  { drops: { fasterThanMs: 20, where: 'everywhere' } },
)

/** Two shapes of a prompt with `set commandcount enable`; the real one was not found. */
export const commandCountInside = terminal('command-count-inside', '`admin(1):`', 'invented (§3.1)', {
  prompt: 'admin({count}):',
})

export const commandCountBefore = terminal('command-count-before', '`1:admin:`', 'invented (§3.1)', {
  prompt: '{count}:admin:',
})

const utf8 = {
  serviceList: cucm125.serviceList.replace('wait...', 'wait…'),
}

export const utf8Ellipsis = appliance(
  { name: 'utf8-ellipsis', story: 'The first line of the list ends in U+2026.', evidence: 'list-04' },
  cucm125,
  { product: utf8 },
)

export const utf8InBytes = vary(
  { name: 'utf8-in-bytes', story: 'The same, byte by byte: the character comes in three parts.', evidence: 'list-04' },
  utf8Ellipsis,
  { terminal: { dribbles: ['output'] } },
)

export const pagedList = terminal('paged-list', 'The service list stops at each screenful.', 'paging-01 (§3.2)', {
  paging: { lists: true, rows: 24 },
})

export const pagedListByPty = terminal('paged-list-by-pty', 'The same, at the height of the PTY.', 'paging-01', {
  paging: { lists: true, rows: 'pty' },
})

export const pagedInSpiteOfOff = terminal(
  'paged-in-spite-of-off',
  'Pages even after `set cli pagination off`.',
  '§3.2',
  {
    paging: { lists: true, rows: 24, obeysOff: false },
  },
)

export const optionsInList = terminal(
  'options-in-list',
  'The list in the file viewer, with its options line.',
  'paging-02',
  {
    paging: { lists: true, rows: 20, style: 'options' },
  },
)

/** CUCM 15 with its usual manners, for what is asked of any appliance (exec, two sessions…). */
export const ordinary15 = appliance(
  { name: 'cucm-15', story: 'A CUCM 15 publisher: four more Tomcats, DRF Primary.', evidence: '§6.2' },
  cucm15,
)

function terminal(name: string, story: string, evidence: string, changes: Changes['terminal'] & {}): Scenario {
  const about: About = { name, story, evidence }
  return appliance(about, cucm125, { terminal: changes })
}
