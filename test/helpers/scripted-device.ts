import type { Device, Observation, ServiceState } from '../../src/core/device.ts'
import { VosError } from '../../src/core/errors.ts'
import { FACTS, TOMCAT } from './operations.ts'

type Step<T> = T | Error

/** What the device does at each call; an Error is thrown. The last list stays for every further poll. */
export interface Script {
  readonly connect?: readonly Step<'ok'>[]
  readonly login?: readonly Step<'ok'>[]
  readonly open?: readonly Step<'ok'>[]
  readonly lists?: readonly Step<readonly ServiceState[]>[]
  readonly prepare?: Step<string>
  readonly commit?: readonly Step<Observation>[]
  /** Polls before the limit is reached. */
  readonly polls?: number
  /** Awaited inside every method before it answers. */
  readonly pause?: (method: string) => Promise<void> | void
}

/** A device that follows a script and writes down what it was asked to do: the judge of the recipes. */
export class ScriptedDevice implements Device {
  readonly calls: string[] = []
  readonly #script: Script
  readonly #counts = new Map<string, number>()

  constructor(script: Script = {}) {
    this.#script = script
  }

  async connect(options: { readonly patient?: boolean } = {}): Promise<{ username: string; method: string }> {
    await this.#enter(options.patient ? 'connect patiently' : 'connect')
    this.#next('connect', this.#script.connect ?? ['ok'])
    return { username: 'admin', method: 'password' }
  }

  async authenticate(): Promise<void> {
    await this.#enter('login')
    this.#next('login', this.#script.login ?? ['ok'])
  }

  async open() {
    await this.#enter('open')
    this.#next('open', this.#script.open ?? ['ok'])
    return FACTS
  }

  async services(): Promise<readonly ServiceState[]> {
    await this.#enter('services')
    return this.#next('lists', this.#script.lists ?? [[TOMCAT]])
  }

  async prepare(service: string): Promise<string> {
    await this.#enter(`prepare ${service}`)
    return this.#next('prepare', [this.#script.prepare ?? `utils service restart ${service}`])
  }

  arm(): void {
    this.calls.push('arm')
  }

  async *commit(): AsyncGenerator<Observation> {
    await this.#enter('commit')
    for (const step of this.#script.commit ?? []) {
      await this.#script.pause?.('observation')
      if (step instanceof Error) throw step
      yield step
    }
  }

  async *follow(): AsyncGenerator<readonly ServiceState[]> {
    for (let poll = 0; poll < (this.#script.polls ?? 20); poll++) yield await this.services()
  }

  async close(): Promise<void> {
    await Promise.resolve()
    this.calls.push('close')
  }

  async #enter(method: string): Promise<void> {
    this.calls.push(method)
    await this.#script.pause?.(method)
  }

  #next<T>(method: string, steps: readonly Step<T>[]): T {
    const index = this.#counts.get(method) ?? 0
    this.#counts.set(method, index + 1)
    const step = steps[Math.min(index, steps.length - 1)]
    if (step === undefined) throw new Error(`no step for ${method}`)
    if (step instanceof Error) throw step
    return step
  }
}

/** One whole line of output; a state line when it reads like one. */
export function output(text: string): Observation {
  const match = /^(.+?) ?\[(\w+)\] *(.*)$/.exec(text)
  const [, name, state, reason] = match ?? []
  if (name === undefined || state === undefined) return { type: 'line', text }
  return { type: 'state', service: { name, state, reason: reason ?? '' }, text }
}

export const LOST: Observation = { type: 'lost', error: new VosError('connection_lost', 'the connection was lost') }
