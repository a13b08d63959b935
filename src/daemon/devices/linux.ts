import { setTimeout as sleep } from 'node:timers/promises'
import { DEFAULT_TIMINGS, type Connection, type HostKey, type ShownKey } from '../../core/connection.ts'
import type { Attempt, Device, Observation, ServiceState, SessionFacts } from '../../core/device.ts'
import { VosError } from '../../core/errors.ts'
import { isUnitName, resolveService } from '../../core/service-name.ts'
import { oneLine } from '../../core/text.ts'
import { SshSession, type ExecResult, type Secret } from '../ssh/session.ts'
import { AwakeWatch } from './linux/awake-watch.ts'
import { restartUnit } from './linux/restart.ts'
import {
  LIST_UNITS,
  LIST_UNIT_FILES,
  parseServices,
  parseShown,
  showUnit,
  toUnitName,
  type UnitReading,
} from './linux/units.ts'
import { credentialKind } from './credential-kind.ts'
import type { DeviceRequest } from './device-request.ts'
import { connectPatiently } from './patience.ts'

export interface LinuxDeviceOptions extends DeviceRequest {
  /** Called once per login, after the host key has matched. */
  readonly readSecret: () => Promise<Secret> | Secret
  /** The authentication method that worked before; used while it is still offered. */
  readonly rememberedMethod?: string | undefined
}

/** A read-only look during a restart is given up after this long; the next one may do better. */
const LOOK_MS = 10_000

/** A restart that is ready to be sent. */
interface Prepared {
  readonly words: readonly string[]
  readonly baseline: UnitReading
  readonly watch: AwakeWatch | null
}

type State =
  | { readonly at: 'closed' }
  | { readonly at: 'connecting'; readonly abort: AbortController; readonly done: Promise<void> }
  | {
      readonly at: 'connected' | 'authenticated'
      readonly session: SshSession
      readonly method: string
      readonly beganAt: number
    }
  | { readonly at: 'ready'; readonly session: SshSession; readonly prepared: Prepared | null }

const CLOSED: State = { at: 'closed' }

/** A server with systemd: `systemctl` on SSH's exec channels, every command a list of words. */
export class LinuxDevice implements Device {
  readonly #options: LinuxDeviceOptions
  #state: State = CLOSED
  /** Seen while none was pinned; at every later login it is the pinned one. */
  #firstSight: HostKey | null = null

  constructor(options: LinuxDeviceOptions) {
    this.#options = options
  }

  async connect({ patient = false }: { readonly patient?: boolean } = {}): Promise<Attempt> {
    this.#options.signal.throwIfAborted()
    if (this.#state.at !== 'closed') throw new Error(`connect() while ${this.#state.at}`)
    const abort = new AbortController()
    const settled = Promise.withResolvers<void>()
    this.#state = { at: 'connecting', abort, done: settled.promise }
    try {
      return await this.#connect(patient, abort.signal)
    } finally {
      settled.resolve()
    }
  }

  async authenticate(): Promise<void> {
    const state = this.#state
    if (state.at !== 'connected') throw new Error(`authenticate() while ${state.at}`)
    try {
      await state.session.authenticate(await this.#options.readSecret(), state.method)
    } catch (error) {
      await state.session.close()
      throw error
    }
    this.#state = { ...state, at: 'authenticated' }
  }

  async open(): Promise<SessionFacts> {
    const state = this.#state
    if (state.at !== 'authenticated') throw new Error(`open() while ${state.at}`)
    const { session, method, beganAt } = state
    this.#state = { at: 'ready', session, prepared: null }
    const { hostKey, software, algorithms } = session
    return { hostKey, software, algorithms, method, loginMs: Math.round(performance.now() - beganAt) }
  }

  async services(named?: string): Promise<readonly ServiceState[]> {
    const { session } = this.#ready('services()')
    const asked = named === undefined ? null : toUnitName(named)
    const [units, unitFiles, exact] = await Promise.all([
      this.#output(session, LIST_UNITS),
      this.#output(session, LIST_UNIT_FILES),
      asked !== null && isUnitName(asked) ? this.#look(session, asked) : null,
    ])
    const services = parseServices(units, unitFiles)
    if (named === undefined) return services
    // Only `show` tells the identity, so the one that is meant is read by its exact name.
    const meant = exact ? null : resolveOrNull(named, services)
    const reading = exact ?? (meant ? await this.#look(session, meant.name) : null)
    return reading ? withReading(services, reading.service) : services
  }

  async prepare(service: string): Promise<string> {
    const { session } = this.#ready('prepare()')
    const { sudo } = this.#options.connection
    if (!isUnitName(service)) {
      throw new VosError('bad_request', `"${oneLine(service, 100)}" cannot be the name of a unit. Nothing was sent.`, {
        hint: 'Name a service as the list does: vosctl connections services <target>',
      })
    }
    const command = ['systemctl', 'restart', service]
    const [baseline] = await Promise.all([
      this.#look(session, service),
      sudo ? this.#checkSudo(session, command) : undefined,
    ])
    if (!baseline) {
      throw new VosError('unknown_service', `There is no unit "${service}" on this device. Nothing was sent.`, {
        hint: 'See the names with: vosctl connections services <target>',
      })
    }
    const words = sudo ? ['sudo', '-n', ...command] : command
    this.#state = { at: 'ready', session, prepared: { words, baseline, watch: null } }
    return words.join(' ')
  }

  arm(): void {
    const { session, prepared } = this.#ready('arm()')
    if (!prepared) throw new Error('arm() before prepare()')
    this.#state = { at: 'ready', session, prepared: { ...prepared, watch: new AwakeWatch() } }
  }

  async *commit(): AsyncGenerator<Observation> {
    const { timings, signal } = this.#options
    const { session, prepared } = this.#ready('commit()')
    if (!prepared?.watch) throw new Error('commit() before arm()')
    const { words, baseline, watch } = prepared
    // Whatever happens now, what was prepared is used up.
    this.#state = { at: 'ready', session, prepared: null }
    signal.throwIfAborted()
    const read = async (): Promise<UnitReading | null> => {
      return await this.#look(session, baseline.service.name, Math.min(LOOK_MS, timings.commandMs))
    }
    yield* restartUnit({ session, words, baseline, read, watch, timings, signal })
  }

  async hostKeyOf(behind: Connection, types?: readonly string[]): Promise<ShownKey> {
    const { session } = this.#ready('hostKeyOf()')
    const { name, host, port, algorithms, algorithmsUntil, timings } = behind
    const target = { name, host, port, algorithms, algorithmsUntil, timings: { ...DEFAULT_TIMINGS, ...timings } }
    return await session.readHostKeyBehind(target, this.#options.signal, types)
  }

  async *follow(named: string): AsyncGenerator<readonly ServiceState[]> {
    const { timings, signal } = this.#options
    const until = performance.now() + timings.pollLimitMs
    for (;;) {
      const nextAt = performance.now() + timings.pollMs
      yield await this.services(named)
      if (nextAt > until) return
      const { session } = this.#ready('follow()')
      await idle(nextAt - performance.now(), session, signal)
    }
  }

  async close(): Promise<void> {
    const state = this.#state
    if (state.at === 'closed') return
    if (state.at === 'connecting') {
      state.abort.abort(new VosError('connection_lost', 'The connection was closed by vosctl while it was being made.'))
      await state.done
      // It may have been connected just before.
      return await this.close()
    }
    await state.session.close()
    if (this.#state === state) this.#state = CLOSED
  }

  async #connect(patient: boolean, abort: AbortSignal): Promise<Attempt> {
    const { connection, timings, rememberedMethod, signal, inTurn = (dial) => dial() } = this.#options
    const either = AbortSignal.any([signal, abort])
    let session: SshSession | null = null
    try {
      const kind = credentialKind(connection)
      const forMs = patient ? timings.reconnectMs : 0
      const dialled = await connectPatiently(() => inTurn(() => this.#dial(either)), { forMs, signal: either })
      session = dialled.session
      const method = session.methodFor(kind, rememberedMethod)
      this.#state = { at: 'connected', method, ...dialled }
      const isFirst = connection.hostKey === null && this.#firstSight === null
      this.#firstSight ??= session.hostKey
      return { username: connection.username, method, ...(isFirst && { firstSight: session.hostKey }) }
    } catch (error) {
      await session?.close()
      this.#state = CLOSED
      throw error
    }
  }

  async #dial(signal: AbortSignal): Promise<{ readonly session: SshSession; readonly beganAt: number }> {
    const { connection, timings, through } = this.#options
    const beganAt = performance.now()
    const hostKey = connection.hostKey ?? this.#firstSight
    const way = through && { through: through() }
    return { session: await SshSession.connect({ ...connection, hostKey, timings, ...way }, signal), beganAt }
  }

  #ready(what: string): Extract<State, { readonly at: 'ready' }> {
    if (this.#state.at !== 'ready') throw new Error(`${what} while ${this.#state.at}`)
    return this.#state
  }

  async #output(session: SshSession, words: readonly string[], timeoutMs?: number): Promise<string> {
    const result = await session.exec(words, timeoutMs === undefined ? {} : { timeoutMs })
    if (result.exitStatus !== 0 || result.isTruncated) throw noAnswer(this.#options.connection.name, words, result)
    return result.stdout
  }

  /** Null when there is no such unit. */
  async #look(session: SshSession, unit: string, timeoutMs?: number): Promise<UnitReading | null> {
    const output = await this.#output(session, showUnit(unit), timeoutMs)
    const reading = parseShown(unit, output)
    if (reading === undefined) throw notAList(this.#options.connection.name, output)
    return reading
  }

  /** Asks sudo whether it would; `sudo -n true` would refuse a user who may restart this unit and nothing else. */
  async #checkSudo(session: SshSession, command: readonly string[]): Promise<void> {
    const result = await session.exec(['sudo', '-n', '-l', ...command])
    if (result.exitStatus === 0) return
    const { name, username } = this.#options.connection
    const line = command.join(' ')
    throw new VosError(
      'sudo_needs_password',
      `sudo on ${name} does not let ${username} run this without a password: ${line}. Nothing was sent.`,
      {
        hint: `Allow it in sudoers: ${username} ALL=(root) NOPASSWD: /usr/bin/${line}`,
        deviceLines: wordsOf(result),
      },
    )
  }
}

/** Who is meant is decided, and an unknown name refused, by the recipe; here it only saves a reading. */
function resolveOrNull(named: string, services: readonly ServiceState[]): ServiceState | null {
  try {
    const found = resolveService(named, services)
    return isUnitName(found.name) ? found : null
  } catch (error) {
    if (error instanceof VosError) return null
    throw error
  }
}

function withReading(services: readonly ServiceState[], read: ServiceState): ServiceState[] {
  const others = services.filter(({ name }) => name !== read.name)
  return others.length === services.length
    ? [...services, read]
    : services.map((one) => (one.name === read.name ? read : one))
}

function noAnswer(name: string, words: readonly string[], result: ExecResult): VosError {
  const lines = wordsOf(result)
  const isMissing =
    result.exitStatus === 127 ||
    lines.some((line) => /booted with systemd|connect to (?:the )?(?:system )?bus/i.test(line))
  if (isMissing) {
    return new VosError(
      'no_systemd',
      `${name} runs no systemd: ${lines.at(-1) ?? 'systemctl was not found'}. Nothing was sent.`,
      {
        hint: 'vosctl restarts services with systemctl; this server has none that answers.',
        deviceLines: lines,
      },
    )
  }
  const why = result.isTruncated ? 'more output than can be read' : `exit status ${result.exitStatus ?? 'unknown'}`
  return new VosError('not_a_service_list', `"${words.slice(0, 2).join(' ')}" failed on ${name}: ${why}.`, {
    hint: 'Run it on the server by hand and see what it says.',
    deviceLines: lines,
  })
}

function notAList(name: string, output: string): VosError {
  return new VosError('not_a_service_list', `"systemctl show" on ${name} did not answer as systemd does.`, {
    hint: 'Run it on the server by hand and see what it says.',
    deviceLines: lastLines(output),
  })
}

function wordsOf({ stdout, stderr }: ExecResult): string[] {
  const lines = lastLines(stderr)
  return lines.length > 0 ? lines : lastLines(stdout)
}

function lastLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-4)
}

/** Sleeps; rejects with whatever ends the session, or the operation, before. */
async function idle(ms: number, session: SshSession, signal: AbortSignal): Promise<void> {
  const wake = new AbortController()
  const slept = sleep(Math.max(0, ms), undefined, { signal: wake.signal }).catch(() => {})
  try {
    const ended = await Promise.race([slept, session.closed])
    signal.throwIfAborted()
    if (ended) throw ended
  } finally {
    wake.abort()
  }
}
