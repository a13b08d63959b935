import { readFileSync } from 'node:fs'
import net from 'node:net'
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from 'ssh2'
import { onTestFinished } from 'vitest'
import { type Scenario, type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/index.ts'

/** A login takes 3 ms, a restart 15. */
const timeScale = 0.0003

/** Starts a simulator that is stopped with the test. */
export async function simulate(scenario: Scenario, options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator(scenario, { timeScale, ...options })
  onTestFinished(() => simulator.stop())
  return simulator
}

export interface Connected {
  readonly client: Client
  /** What the client heard besides its channels. */
  readonly banners: readonly string[]
  readonly errors: readonly (Error & { readonly level?: string; readonly code?: unknown })[]
  /** How the connection ended. */
  readonly closed: Promise<void>
}

/** Resolves with `ready: true` after the login, or with `false` when the connection ends before. */
export async function connect(
  simulator: Simulator,
  config: ConnectConfig = {},
  prepare: (client: Client) => void = () => {},
): Promise<Connected & { readonly ready: boolean }> {
  const client = new ssh2.Client()
  const banners: string[] = []
  const errors: Error[] = []
  let ready = false
  client.on('banner', (text) => banners.push(text))
  client.on('error', (error) => errors.push(error))
  prepare(client)
  const closed = new Promise<void>((resolve) => client.on('close', () => resolve()))
  const settled = new Promise<void>((resolve) => {
    client.on('ready', () => {
      ready = true
      resolve()
    })
  })
  client.connect({
    // Without it each small packet waits 40 ms for the acknowledgement of the one before.
    sock: net.connect({ host: simulator.host, port: simulator.port, noDelay: true }),
    username: simulator.username,
    password: simulator.password,
    readyTimeout: 0,
    ...config,
  })
  onTestFinished(() => void client.end())
  await Promise.race([settled, closed])
  return { client, banners, errors, closed, ready }
}

/** A shell as a person would watch it. */
export class Session {
  readonly client: Client
  readonly channel: ClientChannel
  readonly chunks: Buffer[] = []
  readonly closed: Promise<void>
  readonly lost: Promise<void>
  readonly errors: Connected['errors']
  text = ''
  readonly #decoder = new TextDecoder()
  #look = (): void => {}

  constructor({ client, closed, errors }: Connected, channel: ClientChannel) {
    this.client = client
    this.channel = channel
    this.lost = closed
    this.errors = errors
    this.closed = new Promise((resolve) => channel.on('close', () => resolve()))
    channel.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk)
      this.text += this.#decoder.decode(chunk, { stream: true })
      this.#look()
    })
  }

  send(bytes: string): void {
    this.channel.write(bytes)
  }

  /** Waits until everything received looks like this; gives it back. */
  async until(seen: string | ((text: string) => boolean)): Promise<string> {
    const test = typeof seen === 'string' ? (text: string) => text.endsWith(seen) : seen
    while (!test(this.text)) {
      await new Promise<void>((resolve) => {
        this.#look = resolve
      })
    }
    return this.text
  }

  /** Types a line, presses Enter, and waits for the next prompt. Gives back the whole exchange without it. */
  async run(line: string, prompt = 'admin:'): Promise<string> {
    await this.until(prompt)
    const before = this.text.length
    this.send(`${line}\n`)
    const after = await this.until((text) => text.length > before + line.length && text.endsWith(`\n${prompt}`))
    return after.slice(before, -prompt.length).replaceAll('\r\n', '\n')
  }

  /** Sends these and waits until the shell has answered up to here. */
  async exchange(bytes: string, end: string): Promise<string> {
    const before = this.text.length
    this.send(bytes)
    return this.until((text) => text.length > before && text.endsWith(end))
  }
}

export async function openShell(
  simulator: Simulator,
  options: { readonly columns?: number; readonly rows?: number; readonly config?: ConnectConfig } = {},
): Promise<Session> {
  const connected = await connect(simulator, options.config)
  if (!connected.ready) throw new Error('The simulator let nobody in.', { cause: connected.errors[0] })
  const pty = { term: 'vt100', cols: options.columns ?? 200, rows: options.rows ?? 1000 }
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    connected.client.shell(pty, (error, opened) => (error ? reject(error) : resolve(opened)))
  })
  return new Session(connected, channel)
}

/** A published transcript without the line that names its source. */
export function transcript(name: string): string {
  const text = readFileSync(new URL(`../transcripts/${name}.txt`, import.meta.url), 'utf8')
  return text.slice(text.indexOf('\n') + 1)
}
