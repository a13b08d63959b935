import type { Operation, RecordedEvent } from '../../../src/core/operation.ts'
import type { ConnectionView } from '../../../src/core/protocol.ts'

/** What the world knows of a connection; `null` that it was removed. */
export type KnownConnection = ConnectionView | null

/** What the daemon has let the world know so far, told from its traces: from then on none of it may be lost. */
export class Told {
  /** The place in the journal up to which everything must be there. */
  cursor = 0
  /** The promise, and what made it. */
  why = ''
  /** Every state of each connection that a client has heard of, in order. */
  readonly connections = new Map<number, KnownConnection[]>()
  /** Traces that no event of the journal explains. */
  readonly unexplained: string[] = []
  readonly #journal: readonly RecordedEvent[]
  readonly #counts = new Map<string, number>()

  constructor(journal: readonly RecordedEvent[]) {
    this.#journal = journal
  }

  hear(trace: string): void {
    const [, place = '', about = ''] = /^failpoint ([\w.]+)#\d+ ?(.*)$/s.exec(trace) ?? []
    if (place === 'reply.after') {
      const [, request = '', reply = ''] = /^(\S+) (.*)$/s.exec(about) ?? []
      visit(JSON.parse(reply), (value) => this.#reply(request, value))
    } else if (place === 'events.before' && about !== '') this.#atLeast(Number(about), '14: a watcher was sent it')
    else if (place === 'login.before') this.#mustFollow('authenticating', about)
    else if (place === 'command.before') this.#mustFollow('dispatching', about)
  }

  #reply(request: string, value: object): void {
    if (isConnection(value)) {
      const states = this.connections.get(value.id) ?? []
      states.push(request === 'connection:remove' ? null : value)
      this.connections.set(value.id, states)
    } else if (isEvent(value)) this.#atLeast(value.cursor, `2: the reply to ${request} told of it`)
    else if (isOperation(value)) {
      const event = this.#journal.find(({ operationId, seq }) => operationId === value.id && seq === value.seq)
      const what = `2: the reply to ${request} told of ${value.id}, event ${value.seq}`
      if (event) this.#atLeast(event.cursor, what)
      else this.unexplained.push(what)
    } else if ('cursor' in value && typeof value.cursor === 'number')
      this.#atLeast(value.cursor, `2: the reply to ${request} told of it`)
  }

  /** The nth attempt or command needs the nth event that announces one. */
  #mustFollow(type: 'authenticating' | 'dispatching', name: string): void {
    const key = `${type} ${name}`
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    const ids = new Set(
      this.#journal.flatMap(({ event, operationId }) =>
        event.type === 'accepted' && event.connection.name === name ? [operationId] : [],
      ),
    )
    const events = this.#journal.filter(({ event, operationId }) => event.type === type && ids.has(operationId))
    const event = events[count - 1]
    const what = `${type === 'dispatching' ? 3 : 6}: ${name} was sent what may only follow ${type} #${count}`
    if (event) this.#atLeast(event.cursor, what)
    else this.unexplained.push(what)
  }

  #atLeast(cursor: number, why: string): void {
    if (cursor <= this.cursor) return
    this.cursor = cursor
    this.why = why
  }
}

/** Every object in a reply, however deep. */
function visit(value: unknown, see: (value: object) => void): void {
  if (typeof value !== 'object' || value === null) return
  see(value)
  for (const inner of Object.values(value)) visit(inner, see)
}

function isConnection(value: object): value is ConnectionView {
  return 'id' in value && 'hostKey' in value && 'credential' in value
}

function isEvent(value: object): value is RecordedEvent {
  return 'cursor' in value && 'operationId' in value
}

function isOperation(value: object): value is Operation {
  return 'id' in value && 'seq' in value && 'phase' in value
}
