import type { Access, Course, Product, Scenario, ServiceRules, ServiceState, Step, Terminal, Turn } from './scenario.ts'

/** What may differ from an ordinary appliance of this product. */
export interface Changes {
  readonly product?: Partial<Product>
  readonly access?: Partial<Omit<Access, 'auth' | 'sessions'>> & {
    readonly auth?: Partial<Access['auth']>
    readonly sessions?: Partial<Access['sessions']>
  }
  readonly terminal?: Partial<Omit<Terminal, 'paging'>> & { readonly paging?: Partial<Terminal['paging']> }
  readonly services?: Partial<Omit<ServiceRules, 'restart'>> & { readonly restart?: Partial<Course> }
  readonly faults?: Scenario['faults']
}

export interface About {
  readonly name: string
  readonly story: string
  readonly evidence: string
}

/** An appliance of this product that behaves, but for the changes. */
export function appliance(about: About, product: Product, changes: Changes = {}): Scenario {
  return vary(about, { ...about, product, access, terminal, services: rulesOf(product), faults: [] }, changes)
}

/** The same appliance with changes, under another name. */
export function vary(about: About, base: Scenario, changes: Changes): Scenario {
  return {
    ...about,
    product: { ...base.product, ...changes.product },
    access: {
      ...base.access,
      ...changes.access,
      auth: { ...base.access.auth, ...changes.access?.auth },
      sessions: { ...base.access.sessions, ...changes.access?.sessions },
    },
    terminal: {
      ...base.terminal,
      ...changes.terminal,
      paging: { ...base.terminal.paging, ...changes.terminal?.paging },
    },
    services: {
      ...base.services,
      ...changes.services,
      restart: { ...base.services.restart, ...changes.services?.restart },
    },
    faults: changes.faults ?? base.faults,
  }
}

/** The command prints this state so many times. */
export function polls(state: ServiceState, times: number, reason = ''): Step {
  return { state, polls: times, reason }
}

/** The prompt is back; the state holds until the service list has shown it so often. */
export function shownInList(state: ServiceState, times: number, reason = ''): Step {
  return { state, unseenLists: times, reason }
}

/** The prompt is back; this is how it ends. */
export function endsAs(state: ServiceState, reason = ''): Step {
  return { state, unseenMs: 0, reason }
}

export function say(text: string, afterMs = 0): Turn {
  return { say: text, afterMs }
}

function rulesOf(product: Product): ServiceRules {
  const course: Course = {
    question: null,
    refusal: null,
    steps: product.restart,
    actsOn: null,
    onSessionLoss: 'goes-on',
    onCtrlC: 'ignored',
  }
  return {
    restart: course,
    start: { ...course, steps: [polls('STARTING', 2), polls('STARTED', 2)] },
    // By analogy with start: there is no transcript of a stop.
    stop: { ...course, steps: [polls('STOPPING', 2), polls('STOPPED', 1, 'Commanded Out of Service')] },
    exceptions: {},
    // Invented: nobody has published what a device says to either.
    unknownName: ['Service name is not valid', 'Executed command unsuccessfully.'],
    notActivated: ['Service is not activated', 'Executed command unsuccessfully.'],
    listMs: 3_000,
    pollMs: 5_000,
    firstLineMs: 1_500,
  }
}

const access: Access = {
  username: 'administrator',
  password: 'only-the-simulator-knows-7',
  hostKeyType: 'ssh-ed25519',
  algorithms: {},
  auth: {
    offers: ['password', 'keyboard-interactive'],
    accepts: ['password', 'keyboard-interactive'],
    rounds: [[{ prompt: 'Password: ', echo: false }]],
    title: '',
    instruction: '',
    acceptMs: 860,
    rejectMs: 2_000,
    triesPerConnection: 6,
    lock: { after: 3, forMs: 300_000 },
    expired: 'no',
  },
  // Real ones close after half an hour. That is half a second at a test's scale, so only the idle scenarios do.
  sessions: { limit: 10, taken: 0, limitText: '', idleMs: Number.POSITIVE_INFINITY, idleText: '' },
}

const terminal: Terminal = {
  promptLead: '',
  promptTail: '',
  redraw: '\r',
  echo: 'as-typed',
  enter: 'either',
  newline: 'crlf',
  wraps: false,
  ansi: false,
  dribbles: [],
  typeahead: 'kept',
  drops: null,
  paging: { style: 'press-enter', rows: 'pty', lists: false, obeysOff: true },
}
