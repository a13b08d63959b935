import type { ServiceState } from '../../../src/core/device.ts'

export const SERVICES = ['Cisco Tomcat', 'Cisco Tftp'] as const
export type ServiceName = (typeof SERVICES)[number]

/** What a device does with the next command that reaches it. */
export const TEMPERS = [
  'restarts', // STOPPING, STARTING, STARTED
  'ends stopped', // STOPPING, STOPPED
  'hangs', // STOPPING, for ever
  'restarts unseen', // it was too quick: all that anybody ever reads is STARTED
  'pretends', // prints STARTED and has done nothing
  'refuses', // says so in a line, and does nothing
] as const
export type Temper = (typeof TEMPERS)[number]

const ROADS: Record<Temper, readonly string[]> = {
  restarts: ['STOPPING', 'STARTING', 'STARTED'],
  'ends stopped': ['STOPPING', 'STOPPED'],
  hangs: ['STOPPING'],
  'restarts unseen': [],
  pretends: [],
  refuses: [],
}

/** A command that reached the device. */
export interface Command {
  readonly operation: string
  readonly temper: Temper
  /** It was stopped and is STARTED again: the only thing that deserves to be called a restart. */
  restarted: boolean
}

interface Service {
  state: string
  reason: string
  refusal?: NonNullable<ServiceState['refusal']>
  /** The states that are still to come. */
  road: string[]
  command: Command | null
}

/** A device as it really is: what it got, what it did, and what it will do. Knows nothing of operations but their ids. */
export class Box {
  readonly name: string
  readonly commands: Command[] = []
  /** Operations whose attempt to log in arrived, in order. */
  readonly attempts: string[] = []
  temper: Temper = 'restarts'
  acceptsPassword = true
  hostKeyChanged = false
  readonly #services = new Map<string, Service>(
    SERVICES.map((name) => [name, { state: 'STARTED', reason: '', road: [], command: null }]),
  )

  constructor(name: string) {
    this.name = name
  }

  list(): ServiceState[] {
    return [...this.#services].map(([name, { state, reason, refusal }]) => ({
      name,
      state,
      reason,
      ...(refusal ? { refusal } : {}),
    }))
  }

  state(name: string): string {
    return this.#get(name).state
  }

  /** More states are to come. */
  isMoving(name: string): boolean {
    return this.#get(name).road.length > 0
  }

  /** The one byte has arrived. */
  receive(operation: string, name: string): Command {
    const service = this.#get(name)
    const command: Command = { operation, temper: this.temper, restarted: this.temper === 'restarts unseen' }
    this.commands.push(command)
    if (command.restarted) this.#put(service, 'STARTED')
    const road = ROADS[this.temper]
    if (road.length > 0) {
      service.command = command
      service.road = [...road]
      this.move(name)
    }
    return command
  }

  /** One state further, if there is one. */
  move(name: string): void {
    const service = this.#get(name)
    const next = service.road.shift()
    if (next === undefined) return
    this.#put(service, next)
    if (next === 'STARTED' && service.command) service.command.restarted = true
  }

  /** Somebody at the device stops it on purpose, or starts it again. */
  toggle(name: string): void {
    const service = this.#get(name)
    service.road = []
    service.command = null
    if (service.state === 'STARTED') {
      this.#put(service, 'STOPPED')
      service.reason = 'Commanded Out of Service'
      service.refusal = 'stopped_by_admin'
    } else this.#put(service, 'STARTED')
  }

  #put(service: Service, state: string): void {
    service.state = state
    service.reason = ''
    delete service.refusal
  }

  #get(name: string): Service {
    const service = this.#services.get(name)
    if (!service) throw new Error(`${this.name} has no service ${name}`)
    return service
  }
}
