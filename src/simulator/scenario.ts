import type { Algorithms } from 'ssh2'

/*
 * One appliance as plain data: what it is (product), how one gets in (access), how its terminal treats bytes
 * (terminal), what its services do (services) and where it breaks (faults). Every duration is real life in
 * milliseconds; the simulator multiplies it by its `timeScale`. Text is written with `\n`, the terminal decides
 * what a line end looks like on the wire.
 */
export interface Scenario {
  readonly name: string
  /** What this appliance does, in one line. */
  readonly story: string
  /** Where that was seen: a transcript, a section of the evidence, or `invented` when nobody knows. */
  readonly evidence: string
  readonly product: Product
  readonly access: Access
  readonly terminal: Terminal
  readonly services: ServiceRules
  readonly faults: readonly Fault[]
}

export interface Product {
  readonly name: string
  readonly version: string
  /** What follows `SSH-2.0-`. */
  readonly ident: string
  readonly welcome: readonly Timed[]
  readonly prompt: string
  /** The whole answer of `utils service list`, verbatim; the simulator keeps its layout and changes only states. */
  readonly serviceList: string
  /** What `utils service restart` says before the first state line. */
  readonly restartPreamble: string
  /** What `utils service start` and `stop` say there: no warning line (start-01). */
  readonly startPreamble: string
  /** The older wording has two blanks after every state line. */
  readonly stateLineEnd: string
  readonly restart: readonly Step[]
  /** Commands with a fixed answer or dialogue, by the exact words after the prompt. */
  readonly answers: Readonly<Record<string, readonly Turn[]>>
  /** Files that `file view` knows, with their number of lines. */
  readonly files: Readonly<Record<string, number>>
}

/** `afterMs` counts from the entry before it. */
export interface Timed {
  readonly afterMs: number
  readonly text: string
}

/** One turn of a dialogue. Hidden answers are never recorded. */
export type Turn =
  | { readonly say: string; readonly afterMs?: number }
  | { readonly ask: string; readonly echo: 'text' | 'stars' | 'nothing'; readonly goesOnWith?: string }
  | { readonly reboots: true }

export interface Access {
  readonly username: string
  readonly password: string
  /** Instead of the product's. */
  readonly ident?: string
  /** Lines before the SSH identification. */
  readonly greeting?: string
  /** The banner before authentication. */
  readonly banner?: string
  readonly hostKeyType: HostKeyType
  readonly algorithms: Algorithms
  readonly auth: Auth
  readonly sessions: SessionRules
}

export const hostKeyTypes = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa'] as const
export type HostKeyType = (typeof hostKeyTypes)[number]

export interface Auth {
  /** What the server says it takes… */
  readonly offers: readonly AuthMethod[]
  /** …and what can succeed: a CUCM 15 lab offers password and refuses it. */
  readonly accepts: readonly AuthMethod[]
  /** Keyboard-interactive rounds. A question without `expects` wants the password. */
  readonly rounds: readonly (readonly Question[])[]
  readonly title: string
  readonly instruction: string
  readonly acceptMs: number
  readonly rejectMs: number
  /** Failures in one connection before the server hangs up. */
  readonly triesPerConnection: number
  /** Failures in a row before the account is locked. A locked account looks like a wrong password. */
  readonly lock: { readonly after: number; readonly forMs: number } | null
  /** Where an expired password is asked for: inside SSH authentication, or by `passwd` in the shell. */
  readonly expired: 'no' | 'ssh' | 'shell'
}

export type AuthMethod = 'password' | 'keyboard-interactive' | 'publickey'

export interface Question {
  readonly prompt: string
  readonly echo: boolean
  readonly expects?: string
}

export interface SessionRules {
  readonly limit: number
  /** Sessions of other people that are open all the time. */
  readonly taken: number
  /** Printed before a session too many is closed; nobody has published the real words. */
  readonly limitText: string
  readonly idleMs: number
  readonly idleText: string
}

export interface Terminal {
  /** Instead of the product's. `{count}` becomes the number of the command. */
  readonly prompt?: string
  /** Bytes right before and after every prompt. */
  readonly promptLead: string
  readonly promptTail: string
  /** Bytes before the prompt that follows an empty command (login-07). */
  readonly redraw: string
  readonly echo: 'as-typed' | 'at-enter' | 'never'
  readonly enter: 'cr' | 'lf' | 'either'
  readonly newline: 'crlf' | 'cr' | 'mixed'
  /** Like readline: blank and CR where the line reaches the width of the PTY. */
  readonly wraps: boolean
  /** State words in bold, prompts behind an erase-line. */
  readonly ansi: boolean
  /** What leaves byte by byte instead of in one piece. */
  readonly dribbles: readonly ('prompt' | 'echo' | 'output')[]
  readonly typeahead: 'kept' | 'dropped'
  /** Drops characters that come faster than this. The client's typing is real time: not scaled. */
  readonly drops: { readonly fasterThanMs: number; readonly where: 'questions' | 'everywhere' } | null
  readonly paging: Paging
}

export interface Paging {
  readonly style: 'press-enter' | 'options'
  readonly rows: number | 'pty'
  /** Whether `utils service list` pages without being asked to. */
  readonly lists: boolean
  readonly obeysOff: boolean
}

export interface ServiceRules {
  readonly restart: Course
  readonly start: Course
  readonly stop: Course
  /** What differs when this very service is restarted. */
  readonly exceptions: Readonly<Record<string, Partial<Course>>>
  /** The answer to a name that is not in the list. */
  readonly unknownName: readonly string[]
  /** The answer for a service that is not activated; null: it restarts like any other. */
  readonly notActivated: readonly string[] | null
  readonly listMs: number
  readonly pollMs: number
  readonly firstLineMs: number
}

/** How one start, stop or restart goes. */
export interface Course {
  readonly question: { readonly text: string; readonly goesOnWith: string } | null
  /** Printed instead of doing anything. */
  readonly refusal: readonly string[] | null
  readonly steps: readonly Step[]
  /** The command names one service, the output and the effect belong to this one. */
  readonly actsOn: string | null
  /** Both are unknown for real devices. `never-began` holds only until the service first moves. */
  readonly onSessionLoss: Aftermath
  readonly onCtrlC: Aftermath | 'ignored'
}

export type Aftermath = 'goes-on' | 'stays-stopped' | 'never-began'

/** A state and how long it lasts: polls that are printed, or time or service lists after the prompt is back. */
export type Step = {
  readonly state: ServiceState
  readonly reason?: string
  /** Other services that change with it. */
  readonly also?: readonly { readonly service: string; readonly state: ServiceState; readonly reason?: string }[]
} & ({ readonly polls: number } | { readonly unseenMs: number } | { readonly unseenLists: number })

export type ServiceState = 'STARTED' | 'STOPPED' | 'STARTING' | 'STOPPING' | 'NOTRUNNING'

export const phases = [
  'tcp',
  'kex',
  'auth',
  'channel',
  'shell',
  'banner',
  'prompt',
  'echo',
  'enter',
  'warning',
  'stopping',
  'starting',
  'started',
  'exit',
] as const
/** How far a connection comes. `warning` to `started`: the first line of that kind has just been printed. */
export type Phase = (typeof phases)[number]

export const mishaps = ['silence', 'half-open', 'close', 'reset', 'disconnect', 'close-shell'] as const
/**
 * silence: SSH lives, nothing more comes. half-open: nothing leaves or arrives any more, both ends believe in the
 * link. close: FIN. reset: RST. disconnect: an SSH message, then FIN. close-shell: only the channel goes.
 */
export type Mishap = (typeof mishaps)[number]

export interface Fault {
  readonly at: Phase
  readonly mishap: Mishap
  /** For `echo` and `enter`: only lines that begin like this. */
  readonly during: string
  /** Whether the Enter still reaches the appliance when the fault is at `enter`. */
  readonly delivered: boolean
  /** Let so many pass, then strike so often; at `echo` every piece of typing counts. */
  readonly skip: number
  readonly times: number
  /** Last words: the SSH disconnect message, or a line on the shell. */
  readonly text: string
}
