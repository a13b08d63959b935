import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { AuthMethod, Mishap, Phase, ServiceState } from './scenario.ts'

/** One thing that happened, with its time (ms since the epoch) and the number of the TCP connection (0: the appliance itself). */
export type LedgerEntry = { readonly seq: number; readonly at: number; readonly connection: number } & Happening

export type Happening =
  | { readonly type: 'open'; readonly remotePort: number }
  | { readonly type: 'close'; readonly by: 'client' | 'appliance' }
  | {
      readonly type: 'handshake'
      readonly kex: string
      readonly cipher: string
      readonly mac: string
      readonly hostKey: string
    }
  | {
      readonly type: 'auth'
      readonly method: AuthMethod | 'none' | 'hostbased' | 'password-change'
      readonly username: string
      readonly accepted: boolean
    }
  | {
      readonly type: 'channel'
      readonly request: 'session' | 'pty' | 'shell' | 'exec' | 'subsystem' | 'window'
      readonly granted: boolean
      /** The command of an exec request, the terminal and its size, the name of a subsystem. */
      readonly detail: string
    }
  /** Bytes on the shell; what answers a hidden question is recorded as asterisks. */
  | { readonly type: 'in' | 'out'; readonly bytes: Buffer }
  /** An Enter key that arrived, whatever became of it. */
  | { readonly type: 'enter'; readonly key: 'cr' | 'lf' }
  /** A line that was executed at the prompt; an empty line is an empty command. */
  | { readonly type: 'command'; readonly text: string }
  /** A line that answered a question; null if the question was a hidden one. */
  | { readonly type: 'answer'; readonly question: string; readonly text: string | null }
  | { readonly type: 'ctrl-c'; readonly during: 'prompt' | 'command' }
  | {
      readonly type: 'state'
      readonly service: string
      readonly from: ServiceState
      readonly to: ServiceState
      readonly reason: string
    }
  | { readonly type: 'fault'; readonly phase: Phase; readonly mishap: Mishap }
  | { readonly type: 'power'; readonly on: boolean }

export type EntryOf<Type extends Happening['type']> = Extract<LedgerEntry, { readonly type: Type }>

/** What the appliance saw and did, in order. Append-only; a password never enters it. */
export class Ledger {
  readonly #entries: LedgerEntry[] = []
  readonly #waiting = new Set<() => void>()
  #file: number | undefined

  /** With a file, every entry is also a JSON line there before anything else happens. */
  constructor(file?: string) {
    this.#file = file === undefined ? undefined : openSync(file, 'a', 0o600)
  }

  get entries(): readonly LedgerEntry[] {
    return this.#entries
  }

  record(connection: number, happening: Happening): void {
    const entry = { seq: this.#entries.length + 1, at: Date.now(), connection, ...happening }
    if (this.#file !== undefined) writeSync(this.#file, `${toLine(entry)}\n`)
    this.append(entry)
  }

  append(entry: LedgerEntry): void {
    this.#entries.push(entry)
    for (const look of this.#waiting) look()
  }

  of<Type extends Happening['type']>(type: Type): EntryOf<Type>[] {
    return this.#entries.filter((entry): entry is EntryOf<Type> => entry.type === type)
  }

  /** The text of every executed command, empty ones included. */
  commands(): string[] {
    return this.of('command').map((entry) => entry.text)
  }

  /** Executed restart commands, of one service or of all. */
  restarts(service?: string): EntryOf<'command'>[] {
    return this.of('command').filter(({ text }) => {
      const name = /^\s*utils\s+service\s+restart\s+(.*?)\s*$/.exec(text)?.[1]
      return name !== undefined && (service === undefined || name === service)
    })
  }

  /** Requests that carried a credential or asked to: everything but `none`. */
  authAttempts(): EntryOf<'auth'>[] {
    return this.of('auth').filter(({ method }) => method !== 'none')
  }

  /** How many Enter keys arrived. */
  enters(): number {
    return this.of('enter').length
  }

  /** The states one service went through, beginning with the first change. */
  states(service: string): ServiceState[] {
    return this.of('state')
      .filter((entry) => entry.service === service)
      .map(({ to }) => to)
  }

  /** Resolves as soon as `found` answers with something, looking again after every entry. */
  until<Found>(found: (ledger: this) => Found | undefined | false): Promise<Found> {
    return new Promise((resolve) => {
      const look = (): void => {
        const result = found(this)
        if (result === undefined || result === false) return
        this.#waiting.delete(look)
        resolve(result)
      }
      this.#waiting.add(look)
      look()
    })
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}

/** A ledger that another process is writing, as far as it has come. */
export function readLedger(file: string): Ledger {
  const ledger = new Ledger()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line !== '') ledger.append(fromLine(line))
  }
  return ledger
}

function toLine(entry: LedgerEntry): string {
  return JSON.stringify('bytes' in entry ? { ...entry, bytes: entry.bytes.toString('base64') } : entry)
}

function fromLine(line: string): LedgerEntry {
  const entry = JSON.parse(line)
  return typeof entry.bytes === 'string' ? { ...entry, bytes: Buffer.from(entry.bytes, 'base64') } : entry
}
