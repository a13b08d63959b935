import type { ServerChannel } from 'ssh2'
import type { Appliance } from './appliance.ts'
import { runCommand } from './commands.ts'
import { Input } from './input.ts'
import { expiredPassword } from './dialogue.ts'
import type { Happening } from './ledger.ts'
import { isEnter, keys, readLine } from './line-editor.ts'
import { Output } from './output.ts'
import { Pager } from './pager.ts'
import type { Course, Fault, Phase, Scenario } from './scenario.ts'
import type { Transition } from './transition.ts'

export interface Pty {
  term: string
  columns: number
  rows: number
}

export interface ShellOptions {
  readonly appliance: Appliance
  readonly channel: ServerChannel
  readonly pty: Pty | undefined
  readonly record: (happening: Happening) => void
  /** Lets a fault happen to the connection. */
  readonly strike: (fault: Fault) => void
}

/** One CLI session: banner, prompt, commands. */
export class Shell {
  readonly appliance: Appliance
  readonly scenario: Scenario
  readonly output: Output
  readonly pager: Pager
  readonly pty: Pty | undefined
  readonly #options: ShellOptions
  readonly #input = new Input()
  #reading: 'nothing' | 'command' | 'text' | 'secret' | 'key' = 'nothing'
  #following: { readonly transition: Transition; readonly course: Course } | undefined
  #over = false
  #commands = 0
  #lastByteAt = Number.NEGATIVE_INFINITY
  #stopIdling = (): void => {}

  constructor(options: ShellOptions) {
    this.#options = options
    this.appliance = options.appliance
    this.scenario = options.appliance.scenario
    this.pty = options.pty
    const { terminal } = this.scenario
    this.output = new Output(options.channel, terminal, this.appliance.clock, (bytes) => {
      options.record({ type: 'out', bytes })
    })
    this.pager = new Pager(this, terminal.paging)
    options.channel.on('data', (chunk: Buffer) => this.#arrive(chunk))
  }

  async run(): Promise<void> {
    const { shells, clock } = this.appliance
    const { sessions } = this.scenario.access
    const { product } = this.scenario
    if (shells.size + sessions.taken >= sessions.limit) return this.close(sessions.limitText)
    shells.add(this)
    if (this.struckAt('banner')) return
    if (this.scenario.access.auth.expired === 'shell') return expiredPassword(this)
    for (const { afterMs, text } of product.welcome) {
      await clock.wait(afterMs)
      if (this.#over) return
      this.print(text)
    }
    if (this.struckAt('prompt')) return
    this.#prompt('')
    while (await this.#command());
  }

  print(text: string): void {
    this.output.print(text)
  }

  /** Asks something and reads the answer; null if Ctrl-C was the answer. */
  async ask(question: string, show: 'text' | 'stars' | 'nothing'): Promise<string | null> {
    this.print(question)
    const secret = show !== 'text'
    this.#reading = secret ? 'secret' : 'text'
    const answer = await this.#readLine(show, question.length - question.lastIndexOf('\n') - 1, () => {})
    this.#reading = 'nothing'
    if (answer !== null) this.#options.record({ type: 'answer', question, text: secret ? null : answer })
    return answer
  }

  async readKey(): Promise<number> {
    this.#reading = 'key'
    await this.#input.ready()
    this.#reading = 'nothing'
    return this.#input.take() ?? keys.ctrlC
  }

  /** The command now runs as long as this goes on; what kills the command is told to it. */
  async follow(transition: Transition, course: Course): Promise<void> {
    const following = { transition, course }
    this.#following = following
    await transition.followed
    if (this.#following === following) this.#following = undefined
  }

  /** True if a fault has struck here, after what was printed so far. */
  struckAt(phase: Phase, line?: string): boolean {
    const fault = this.appliance.faults.strikes(this.scenario.faults, phase, line)
    if (fault) void this.#strike(fault)
    return fault !== undefined
  }

  /** The session ends in good order, as after `exit`. */
  async close(lastWords: string): Promise<void> {
    this.lost()
    await this.output.close(lastWords)
  }

  /** The session is gone, for whatever reason. */
  lost(): void {
    this.#over = true
    this.appliance.shells.delete(this)
    this.output.mute()
    this.#stopIdling()
    const following = this.#following
    following?.transition.orphan(following.course.onSessionLoss)
    this.#following = undefined
  }

  async #command(): Promise<boolean> {
    this.#reading = 'command'
    this.#idle()
    const line = await this.#readLine('text', this.#promptText().length, (typed) => {
      if (this.struckAt('echo', typed)) this.output.mute()
    })
    this.#reading = 'nothing'
    this.#stopIdling()
    if (line === null) {
      this.#prompt('')
      return true
    }
    const fault = this.appliance.faults.strikes(this.scenario.faults, 'enter', line)
    if (fault && !fault.delivered) {
      void this.#strike(fault)
      return false
    }
    this.#commands += 1
    this.#options.record({ type: 'command', text: line })
    if (fault) this.output.mute()
    const running = runCommand(this, line)
    // After the command has begun, so that it can be orphaned.
    if (fault) void this.#strike(fault)
    const next = await running
    if (this.#over) return false
    if (next === 'exit') {
      if (!this.struckAt('exit')) await this.close('\n')
      return false
    }
    if (this.scenario.terminal.typeahead === 'dropped') this.#input.clear()
    this.#prompt(line.trim() === '' ? this.scenario.terminal.redraw : '')
    return true
  }

  #readLine(
    show: 'text' | 'stars' | 'nothing',
    column: number,
    onTyped: (line: string) => void,
  ): Promise<string | null> {
    const { terminal } = this.scenario
    return readLine(this.#input, {
      // Without a terminal nobody echoes.
      terminal: this.pty ? terminal : { ...terminal, echo: 'never' },
      show,
      column,
      width: this.pty?.columns || 80,
      emit: (echo) => this.output.print(echo, 'echo'),
      onTyped,
    })
  }

  #prompt(redraw: string): void {
    const { promptLead, promptTail, ansi } = this.scenario.terminal
    this.output.print(`${redraw}${ansi ? eraseLine : ''}${promptLead}${this.#promptText()}${promptTail}`, 'prompt')
  }

  #promptText(): string {
    const { terminal, product } = this.scenario
    return (terminal.prompt ?? product.prompt).replace('{count}', String(this.#commands + 1))
  }

  #arrive(chunk: Buffer): void {
    const { terminal } = this.scenario
    const hidden = this.#reading === 'secret'
    this.#options.record({ type: 'in', bytes: hidden ? Buffer.from(chunk.map(mask)) : Buffer.from(chunk) })
    const kept = this.#tooFast(chunk)
    for (const byte of kept) {
      if (isEnter(byte, terminal)) this.#options.record({ type: 'enter', key: byte === keys.lineFeed ? 'lf' : 'cr' })
      if (byte !== keys.ctrlC) continue
      this.#options.record({ type: 'ctrl-c', during: this.#reading === 'nothing' ? 'command' : 'prompt' })
      if (this.#reading === 'nothing') this.#interrupt()
    }
    this.#input.push(this.#reading === 'nothing' ? kept.filter((byte) => byte !== keys.ctrlC) : kept)
    if (this.#reading === 'command') this.#idle()
  }

  #interrupt(): void {
    const following = this.#following
    if (following === undefined || following.course.onCtrlC === 'ignored') return
    this.output.print('^C\n', 'echo')
    following.transition.orphan(following.course.onCtrlC)
  }

  /** The bytes that a slow reader does not lose. */
  #tooFast(chunk: Buffer): number[] {
    const { drops } = this.scenario.terminal
    const bytes = [...chunk]
    if (drops === null) return bytes
    if (drops.where === 'questions' && this.#reading !== 'text' && this.#reading !== 'secret') return bytes
    return bytes.filter((byte, index) => {
      const now = performance.now()
      const fast = index > 0 || now - this.#lastByteAt < drops.fasterThanMs
      this.#lastByteAt = now
      return !fast || byte === keys.ctrlC
    })
  }

  /** Whatever was printed before has left when it happens. */
  async #strike(fault: Fault): Promise<void> {
    await this.output.drained()
    if (fault.mishap === 'silence') this.output.mute()
    this.#options.strike(fault)
    if (fault.mishap === 'close-shell') await this.close(fault.text)
    // At once, not when the socket has noticed: a restart must not get one step further in between.
    else if (fault.mishap !== 'silence' && fault.mishap !== 'half-open') this.lost()
  }

  #idle(): void {
    const { idleMs, idleText } = this.scenario.access.sessions
    this.#stopIdling()
    this.#stopIdling = this.appliance.clock.after(idleMs, () => void this.close(idleText))
  }
}

const eraseLine = '\x1b[K'

function mask(byte: number): number {
  return byte === keys.carriageReturn || byte === keys.lineFeed || byte === keys.ctrlC ? byte : 0x2a
}
