import type { Socket } from 'node:net'
import ssh2, { type Connection as Client, type ServerChannel, type Session } from 'ssh2'
import type { Appliance } from './appliance.ts'
import { authenticate } from './authentication.ts'
import { disconnect, disconnectReasons } from './disconnect.ts'
import type { Happening } from './ledger.ts'
import type { Fault, Phase } from './scenario.ts'
import { type Pty, Shell } from './shell.ts'
import { Wire } from './wire.ts'

/** One TCP connection from its first byte to its last, with an SSH server of its own. */
export class Connection {
  readonly #appliance: Appliance
  readonly #number: number
  readonly #wire: Wire
  readonly #shells = new Set<Shell>()
  #client: Client | undefined
  /** Resolves when TCP is gone and everybody knows. */
  readonly closed: Promise<void>

  constructor(appliance: Appliance, number: number, socket: Socket) {
    this.#appliance = appliance
    this.#number = number
    this.#wire = new Wire(socket)
    this.#record({ type: 'open', remotePort: socket.remotePort ?? 0 })
    this.closed = new Promise((resolve) => {
      this.#wire.on('close', () => {
        for (const shell of this.#shells) shell.lost()
        this.#record({ type: 'close', by: this.#wire.ended ? 'appliance' : 'client' })
        resolve()
      })
    })
    this.#greet()
  }

  freeze(): void {
    this.#wire.freeze()
  }

  thaw(): void {
    this.#wire.thaw()
  }

  drop(how: 'close' | 'reset'): void {
    if (how === 'reset') this.#wire.reset()
    else this.#wire.finish()
  }

  #greet(): void {
    const { access, product } = this.#appliance.scenario
    const ident = access.ident ?? product.ident
    if (!this.#appliance.sshIsUp) return this.#wire.reset()
    const fault = this.#faultAt('tcp') ?? this.#faultAt('kex')
    if (fault) {
      // Nobody reads: without this the end of the connection would stay unseen.
      this.#wire.resume()
      if (fault.at === 'kex') this.#wire.write(`SSH-2.0-${ident}\r\n`)
      return this.#strike(fault)
    }
    const server = new ssh2.Server({
      hostKeys: [this.#appliance.hostKey.privateKey],
      ident,
      algorithms: access.algorithms,
      ...(access.greeting === undefined ? {} : { greeting: access.greeting }),
      ...(access.banner === undefined ? {} : { banner: access.banner }),
      // OpenSSH's default asks nothing of an idle client; ssh2 would end it after 45 s.
      keepaliveInterval: 2 ** 31 - 1,
    })
    server.on('connection', (client) => this.#serve(client))
    server.injectSocket(this.#wire as unknown as Socket)
  }

  #serve(client: Client): void {
    const appliance = this.#appliance
    this.#client = client
    // A client that vanishes is everyday life here, not an error.
    client.on('error', () => {})
    client.on('handshake', ({ kex, serverHostKey, cs }) => {
      this.#record({ type: 'handshake', kex, cipher: cs.cipher, mac: cs.mac, hostKey: serverHostKey })
    })
    authenticate({
      appliance,
      client,
      connection: this.#number,
      strike: (fault) => this.#strike(fault),
      hangUp: () => this.#wire.finish(),
    })
    client.on('session', (accept, reject) => {
      const fault = this.#faultAt('channel')
      this.#channel('session', fault === undefined)
      if (fault === undefined) return this.#open(accept())
      this.#strike(fault)
      if (fault.mishap === 'close-shell') reject()
    })
  }

  #open(session: Session): void {
    let pty: Pty | undefined
    session.on('pty', (accept, _reject, { term, cols, rows }) => {
      pty = { term, columns: cols, rows }
      this.#channel('pty', true, `${term} ${cols}x${rows}`)
      accept?.()
    })
    session.on('window-change', (accept, _reject, { cols, rows }) => {
      if (pty) Object.assign(pty, { columns: cols, rows })
      this.#channel('window', true, `${cols}x${rows}`)
      accept?.()
    })
    session.on('shell', (accept, reject) => {
      const fault = this.#faultAt('shell')
      this.#channel('shell', fault === undefined)
      if (fault === undefined) return this.#startShell(accept(), pty)
      this.#strike(fault)
      if (fault.mishap === 'close-shell') reject?.()
    })
    session.on('exec', (accept, _reject, { command }) => {
      this.#channel('exec', true, command)
      answerExec(accept(), command)
    })
    session.on('subsystem', (_accept, reject, { name }) => {
      this.#channel('subsystem', false, name)
      // Absent when the client wants no answer.
      reject?.()
    })
  }

  #startShell(channel: ServerChannel | undefined, pty: Pty | undefined): void {
    // A second shell on the same channel gets none.
    if (channel === undefined) return
    const shell = new Shell({
      appliance: this.#appliance,
      channel,
      pty,
      record: (happening) => this.#record(happening),
      strike: (fault) => this.#strike(fault),
    })
    this.#shells.add(shell)
    channel.on('error', () => {})
    channel.on('close', () => {
      this.#shells.delete(shell)
      shell.lost()
    })
    void shell.run()
  }

  #faultAt(phase: Phase): Fault | undefined {
    return this.#appliance.faults.strikes(this.#appliance.scenario.faults, phase)
  }

  /** What a fault does to the connection. Silence and the end of a shell are for whoever is silent or ends. */
  #strike({ at, mishap, text }: Fault): void {
    this.#record({ type: 'fault', phase: at, mishap })
    if (mishap === 'half-open') this.#wire.freeze()
    else if (mishap === 'reset') this.#wire.reset()
    else if (mishap === 'disconnect' && this.#client) {
      disconnect(this.#client, disconnectReasons.tooManyConnections, text)
      this.#wire.finish()
    } else if (mishap === 'close' || mishap === 'disconnect') this.#wire.finish()
  }

  #channel(
    request: 'session' | 'pty' | 'shell' | 'exec' | 'subsystem' | 'window',
    granted: boolean,
    detail = '',
  ): void {
    this.#record({ type: 'channel', request, granted, detail })
  }

  #record(happening: Happening): void {
    this.#appliance.ledger.record(this.#number, happening)
  }
}

/** The exec channel gives the CLI's first words and does not run the command (login-10). */
function answerExec(channel: ServerChannel | undefined, command: string): void {
  if (channel === undefined) return
  channel.on('error', () => {})
  channel.write('Command Line Interface is starting up, please wait ...\n')
  if (/(^|\s)-/.test(command)) channel.write('Invalid command, a dash character must be preceded\n')
  channel.exit(1)
  channel.end()
}
