import type { HostKey } from '../../../core/connection.ts'
import type { Attempt, Device, Observation, ServiceState, SessionFacts } from '../../../core/device.ts'
import { VosError } from '../../../core/errors.ts'
import { failpoint } from '../../failpoint.ts'
import { SshSession, type Secret } from '../../ssh/session.ts'
import { credentialKind } from '../credential-kind.ts'
import type { DeviceRequest } from '../device-request.ts'
import { connectPatiently } from '../patience.ts'
import { isTooLate, readClocks, type Clocks } from './clocks.ts'
import { toCommandLine, type Command } from './command.ts'
import { waitForPrompt } from './login.ts'
import type { Prompt } from './prompt.ts'
import { readServiceList } from './read-list.ts'
import { Terminal } from './terminal.ts'
import { awaitEcho, awaitQuiet, echoMismatch, isEchoed } from './typing.ts'
import { watchCommand } from './watch-command.ts'

export interface VosDeviceOptions extends DeviceRequest {
  /** Called once per login, after the host key has matched. */
  readonly readSecret: () => Promise<Secret> | Secret
  /** Between two signs of life of a session; the session's default if absent. */
  readonly keepaliveMs?: number
}

/** Wide and tall, so that the device neither wraps what we type nor pages what it lists. */
const WINDOW = { cols: 512, rows: 1000 }

/** How long `exit` may take, in quiet times: 2 s by default. */
const QUIETS_FOR_EXIT = 8

/** A session with a shell that has shown its prompt. */
interface Open {
  readonly session: SshSession
  readonly terminal: Terminal
  readonly prompt: Prompt
}

/** Where the dialogue stands. Only at the prompt is anything typed, so a half-typed command is never added to. */
type State =
  | { readonly at: 'closed' }
  | { readonly at: 'connecting'; readonly abort: AbortController }
  | {
      readonly at: 'connected' | 'authenticated'
      readonly session: SshSession
      readonly method: string
      readonly beganAt: number
    }
  | ({ readonly at: 'prompt' } & Open)
  /** The command is typed and its echo has been compared; Enter is still to come. */
  | ({ readonly at: 'typed'; readonly line: string; readonly strays: number; readonly armed: Clocks | null } & Open)
  /** The device is doing something, or something is wrong: nothing may be typed. */
  | ({ readonly at: 'busy' } & Open)

const CLOSED: State = { at: 'closed' }

/** A Cisco VOS appliance behind its command line. */
export class VosDevice implements Device {
  readonly #options: VosDeviceOptions
  #state: State = CLOSED
  #closing: Promise<void> = Promise.resolve()
  /** What the first login worked with; the look at a device that was lost uses it again. */
  #provenMethod: string | undefined
  /** Seen while none was pinned; at every later login it is the pinned one. */
  #firstSight: HostKey | null = null

  constructor(options: VosDeviceOptions) {
    this.#options = options
  }

  async connect({ patient = false }: { readonly patient?: boolean } = {}): Promise<Attempt> {
    const { connection, timings, signal, inTurn = (dial) => dial() } = this.#options
    await this.#closing
    signal.throwIfAborted()
    if (this.#state.at !== 'closed') throw new Error(`connect() while ${this.#state.at}`)
    const kind = credentialKind(connection)
    const abort = new AbortController()
    this.#state = { at: 'connecting', abort }
    const either = AbortSignal.any([signal, abort.signal])
    try {
      const { session, beganAt } = await connectPatiently(() => inTurn(() => this.#dial(either)), {
        forMs: patient ? timings.reconnectMs : 0,
        signal: either,
      })
      try {
        either.throwIfAborted()
        const method = session.methodFor(kind, this.#provenMethod)
        this.#state = { at: 'connected', session, method, beganAt }
        const isFirst = connection.hostKey === null && this.#firstSight === null
        this.#firstSight ??= session.hostKey
        return { username: connection.username, method, ...(isFirst && { firstSight: session.hostKey }) }
      } catch (error) {
        await session.close()
        throw error
      }
    } catch (error) {
      this.#state = CLOSED
      throw error
    }
  }

  async authenticate(): Promise<void> {
    const state = this.#state
    if (state.at !== 'connected') throw new Error(`authenticate() while ${state.at}`)
    const { session, method } = state
    try {
      await session.authenticate(await this.#options.readSecret(), method)
    } catch (error) {
      throw await this.#abandon(session, error)
    }
    this.#provenMethod = method
    this.#state = { ...state, at: 'authenticated' }
  }

  async open(): Promise<SessionFacts> {
    const { connection, timings, signal } = this.#options
    const state = this.#state
    if (state.at !== 'authenticated') throw new Error(`open() while ${state.at}`)
    const { session, method, beganAt } = state
    try {
      const terminal = new Terminal(await session.shell(WINDOW), { connection, signal })
      const prompt = await waitForPrompt(terminal, connection.name, timings)
      this.#state = { at: 'prompt', session, terminal, prompt }
    } catch (error) {
      throw await this.#abandon(session, error)
    }
    const { hostKey, software, algorithms } = session
    return { hostKey, software, algorithms, method, loginMs: Math.round(performance.now() - beganAt) }
  }

  async services(): Promise<readonly ServiceState[]> {
    const { connection, timings } = this.#options
    const open = this.#busy('services()')
    await this.#type(open, { type: 'list' }, 0)
    if (connection.echo) open.terminal.forget()
    open.terminal.enter()
    try {
      const { services } = await readServiceList(open.terminal, { name: connection.name, prompt: open.prompt, timings })
      this.#state = { ...open, at: 'prompt' }
      return services
    } catch (error) {
      // The answer was wrong, but it did end with the prompt.
      if (
        error instanceof VosError &&
        error.code === 'not_a_service_list' &&
        open.prompt.matches(open.terminal.pending.plain)
      ) {
        this.#state = { ...open, at: 'prompt' }
      }
      throw error
    }
  }

  async prepare(service: string): Promise<string> {
    const { timings } = this.#options
    // A name that the grammar refuses leaves the session as it is.
    toCommandLine({ type: 'restart', service })
    const open = this.#busy('prepare()')
    const line = await this.#type(open, { type: 'restart', service }, timings.quietMs)
    this.#state = { ...open, at: 'typed', line, strays: open.terminal.strays, armed: null }
    return line
  }

  arm(): void {
    const state = this.#state
    if (state.at !== 'typed') throw new Error(`arm() while ${state.at}`)
    this.#state = { ...state, armed: readClocks() }
  }

  async *commit(): AsyncGenerator<Observation> {
    const { connection, timings, signal } = this.#options
    const state = this.#state
    if (state.at !== 'typed' || !state.armed) throw new Error(`commit() while ${state.at}`)
    const { session, terminal, prompt, line, strays, armed } = state
    try {
      signal.throwIfAborted()
      if (terminal.isLost) throw terminal.lostError('before the command was sent')
      // Whatever came after the echo: the command line is no longer known to be what was typed.
      if (connection.echo && !isEchoed(terminal, line, strays))
        throw echoMismatch(connection.name, line, terminal.unreadText)
      if (connection.echo) terminal.forget()
      failpoint('command.before', () => connection.name)
      terminal.enter(() => {
        if (isTooLate(armed, readClocks())) throw wokeUpLate(connection.name)
      })
    } catch (error) {
      throw await this.#abandon(session, error)
    }

    this.#state = { at: 'busy', session, terminal, prompt }
    yield { type: 'sent' }

    const openEcho = connection.echo ? null : line
    for await (const seen of watchCommand(terminal, { name: connection.name, prompt, timings, openEcho })) {
      if (seen.type === 'ended') this.#state = { at: 'prompt', session, terminal, prompt }
      yield seen
    }
  }

  async *follow(): AsyncGenerator<readonly ServiceState[]> {
    const { pollMs, pollLimitMs } = this.#options.timings
    const until = performance.now() + pollLimitMs
    let isRead = false
    for (;;) {
      const nextAt = performance.now() + pollMs
      const services = await this.#servicesUnlessGarbled(nextAt > until && !isRead)
      if (services) {
        isRead = true
        yield services
      }
      if (nextAt > until) return
      await this.#idleUntil(nextAt)
    }
  }

  close(): Promise<void> {
    this.#closing = this.#closing.then(() => this.#close())
    return this.#closing
  }

  async #dial(signal: AbortSignal): Promise<{ session: SshSession; beganAt: number }> {
    const { connection, timings, keepaliveMs, through } = this.#options
    const beganAt = performance.now()
    const pace = keepaliveMs === undefined ? {} : { keepaliveMs }
    const hostKey = connection.hostKey ?? this.#firstSight
    const way = through && { through: through() }
    return { session: await SshSession.connect({ ...connection, hostKey, timings, ...pace, ...way }, signal), beganAt }
  }

  /** From the prompt into a command. */
  #busy(what: string): Open {
    const state = this.#state
    if (state.at !== 'prompt') throw new Error(`${what} while ${state.at}`)
    const { session, terminal, prompt } = state
    const open = { session, terminal, prompt }
    this.#state = { at: 'busy', ...open }
    return open
  }

  /** Types a command without Enter and compares its echo. When anything is wrong with it, the session is closed. */
  async #type({ session, terminal }: Open, command: Command, quietAfterMs: number): Promise<string> {
    const { connection, timings } = this.#options
    try {
      await awaitQuiet(terminal, timings.quietMs, timings.commandMs)
      if (terminal.isLost) throw terminal.lostError('before the command was sent')
      const line = terminal.type(command)
      if (connection.echo) {
        await awaitEcho(terminal, line, { name: connection.name, echoMs: timings.echoMs, quietMs: quietAfterMs })
      }
      return line
    } catch (error) {
      throw await this.#abandon(session, error)
    }
  }

  /** Undefined when the answer made no sense but the prompt is there: reading again harms nothing. */
  async #servicesUnlessGarbled(isLast: boolean): Promise<readonly ServiceState[] | undefined> {
    try {
      return await this.services()
    } catch (error) {
      const isGarbled = error instanceof VosError && error.code === 'not_a_service_list'
      if (isLast || !isGarbled || this.#state.at !== 'prompt') throw error
      return undefined
    }
  }

  async #idleUntil(at: number): Promise<void> {
    for (;;) {
      const state = this.#state
      if (state.at !== 'prompt') throw new Error(`follow() while ${state.at}`)
      if (state.terminal.isLost) throw state.terminal.lostError('between two looks at its services')
      const leftMs = at - performance.now()
      if (leftMs <= 0) return
      await state.terminal.wait(leftMs)
    }
  }

  /** Closes without a word and gives back the error that was the reason. */
  async #abandon(session: SshSession, error: unknown): Promise<unknown> {
    this.#state = CLOSED
    await session.close()
    return error
  }

  async #close(): Promise<void> {
    const state = this.#state
    this.#state = CLOSED
    if (state.at === 'closed') return
    if (state.at === 'connecting') {
      state.abort.abort(new VosError('connection_lost', `${this.#options.connection.name}: closed by vosctl.`))
      return
    }
    if (state.at === 'prompt') await this.#leave(state.terminal)
    await state.session.close()
  }

  async #leave(terminal: Terminal): Promise<void> {
    const { signal, timings } = this.#options
    if (terminal.isLost || signal.aborted) return
    const until = performance.now() + QUIETS_FOR_EXIT * timings.quietMs
    terminal.type({ type: 'exit' })
    terminal.enter()
    try {
      while (!terminal.isLost && performance.now() < until) {
        terminal.forget()
        await terminal.wait(until - performance.now())
      }
    } catch {
      // Aborted: the session is gone already.
    }
  }
}

function wokeUpLate(name: string): VosError {
  return new VosError(
    'woke_up_late',
    `vosctl was paused, or the clock was set, just before sending to ${name}. Nothing was sent.`,
    {
      hint: 'Try again: the service was not touched.',
    },
  )
}
