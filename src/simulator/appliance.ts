import { Account } from './account.ts'
import type { Clock } from './clock.ts'
import { Faults } from './faults.ts'
import type { HostKey } from './host-key.ts'
import type { Ledger } from './ledger.ts'
import type { Scenario } from './scenario.ts'
import { Services } from './services.ts'
import type { Shell } from './shell.ts'
import type { Transition } from './transition.ts'

/** What a session can do to the whole machine. */
export interface Power {
  readonly dropConnections: () => void
  readonly reboot: () => void
}

/** The machine behind the connections: what every session shares and what outlives each of them. */
export class Appliance {
  readonly ledger: Ledger
  readonly clock: Clock
  readonly services: Services
  readonly faults = new Faults()
  readonly account: Account
  readonly shells = new Set<Shell>()
  readonly #transitions = new Map<string, Transition>()
  scenario: Scenario
  hostKey: HostKey
  readonly power: Power

  constructor(scenario: Scenario, hostKey: HostKey, ledger: Ledger, clock: Clock, power: Power) {
    this.scenario = scenario
    this.hostKey = hostKey
    this.ledger = ledger
    this.clock = clock
    this.power = power
    this.services = new Services(ledger, scenario.product.serviceList, (service, to) => {
      // The CLI itself comes through this one: its restart cuts everybody off, the one who asked included.
      if (service === sshService && to === 'STOPPING') setImmediate(power.dropConnections)
    })
    this.account = new Account(clock)
  }

  get sshIsUp(): boolean {
    return (this.services.get(sshService)?.state ?? 'STARTED') === 'STARTED'
  }

  /** A service has one driver: a newer command takes over from an older one. */
  drive(service: string, transition: Transition): void {
    this.#transitions.get(service)?.cancel()
    this.#transitions.set(service, transition)
  }

  /** The power is gone: nothing moves any more. */
  halt(): void {
    for (const transition of this.#transitions.values()) transition.cancel()
    this.#transitions.clear()
  }

  change(scenario: Scenario): void {
    this.scenario = scenario
    this.services.load(scenario.product.serviceList)
  }
}

const sshService = 'System SSH'
