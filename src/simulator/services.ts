import type { Ledger } from './ledger.ts'
import type { ServiceState } from './scenario.ts'
import {
  parseServiceList,
  renderServiceList,
  type ServiceList,
  type ServiceStatus,
  statusesOf,
} from './service-list.ts'

/** The states of the appliance's services: one truth for every session. */
export class Services {
  readonly #ledger: Ledger
  readonly #statuses = new Map<string, ServiceStatus>()
  readonly #listed = new Set<() => void>()
  readonly #onChange: (service: string, to: ServiceState) => void
  #list: ServiceList = []

  constructor(ledger: Ledger, list: string, onChange: (service: string, to: ServiceState) => void) {
    this.#ledger = ledger
    this.#onChange = onChange
    this.load(list)
  }

  /** Takes over a list's layout and the services that are new in it; known ones keep their state. */
  load(list: string): void {
    this.#list = parseServiceList(list)
    for (const status of statusesOf(this.#list)) {
      if (!this.#statuses.has(status.name)) this.#statuses.set(status.name, status)
    }
  }

  /** Every service as the list says it, as after a boot. */
  reset(list: string): void {
    this.load(list)
    for (const { name, state, reason } of statusesOf(this.#list)) this.set(name, state, reason)
  }

  get all(): readonly ServiceStatus[] {
    return [...this.#statuses.values()]
  }

  get(name: string): ServiceStatus | undefined {
    return this.#statuses.get(name)
  }

  set(name: string, state: ServiceState, reason = ''): void {
    const before = this.#statuses.get(name)
    this.#statuses.set(name, { name, state, reason })
    if (before === undefined || (before.state === state && before.reason === reason)) return
    this.#ledger.record(0, { type: 'state', service: name, from: before.state, to: state, reason })
    this.#onChange(name, state)
  }

  /** The list at this moment, as one command sees it. */
  list(): string {
    const text = renderServiceList(this.#list, (name) => this.#statuses.get(name))
    for (const count of this.#listed) count()
    return text
  }

  /** Resolves when the list has been shown so often from now on. */
  shown(times: number): Promise<void> {
    return new Promise((resolve) => {
      let left = times
      const count = (): void => {
        left -= 1
        if (left > 0) return
        this.#listed.delete(count)
        // After the showing that was counted, so that it still sees the old state.
        setImmediate(resolve)
      }
      this.#listed.add(count)
    })
  }
}
