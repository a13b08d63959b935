import { createServer } from 'node:http'
import path from 'node:path'
import { Server, type Socket } from 'socket.io'
import { onTestFinished } from 'vitest'
import {
  PROTOCOL_VERSION,
  type ClientToServerEvents,
  type DaemonInfo,
  type EventBatch,
  type Reply,
  type ReplyOf,
  type RequestName,
  type RequestOf,
  type ServerToClientEvents,
} from '../../src/core/protocol.ts'
import type { ErrorInfo } from '../../src/core/errors.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

export const INFO: DaemonInfo = {
  version: '1.2.3',
  protocol: PROTOCOL_VERSION,
  pid: 4711,
  startedAt: 1_000_000,
  stateDirectory: '/nowhere',
  active: 0,
  clients: 1,
  draining: false,
  memoryBytes: 50_000_000,
  historyMs: 400 * 86_400_000,
  network: null,
  now: 2_000_000,
}

type Answer<Name extends RequestName> = (input: RequestOf<Name>) => Reply<ReplyOf<Name>> | 'silence'
export type Answers = { readonly [Name in RequestName]?: Answer<Name> }

/** A real Socket.IO server on a real Unix socket that answers what a test says. */
export class DaemonStandIn {
  readonly socketPath: string
  readonly asked: { readonly name: RequestName; readonly input: unknown }[] = []
  readonly handshakes: unknown[] = []
  answers: Answers
  refusal: ErrorInfo | null = null
  #io: Server<ClientToServerEvents, ServerToClientEvents> | null = null

  constructor(answers: Answers = {}, socketPath = path.join(temporaryDirectory(), 'vosd.sock')) {
    this.answers = answers
    this.socketPath = socketPath
    onTestFinished(() => this.stop())
  }

  async start(): Promise<void> {
    const http = createServer()
    const io = new Server<ClientToServerEvents, ServerToClientEvents>(http, { transports: ['websocket'] })
    this.#io = io
    io.use((socket, next) => {
      this.handshakes.push(socket.handshake.auth)
      next(this.refusal ? Object.assign(new Error(this.refusal.message), { data: this.refusal }) : undefined)
    })
    io.on('connection', (socket) => this.#serve(socket))
    await new Promise<void>((resolve) => http.listen({ path: this.socketPath }, resolve))
  }

  /** As if the daemon were killed: every socket ends, nobody says goodbye. */
  async stop(): Promise<void> {
    const io = this.#io
    this.#io = null
    await io?.close()
  }

  /** Sends to every watcher; resolves when all have acknowledged. */
  async send(batch: EventBatch): Promise<void> {
    const sockets = [...(this.#io?.sockets.sockets.values() ?? [])]
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.emit('events', batch, resolve))))
  }

  /** Sends and does not wait. */
  push(batch: EventBatch): void {
    for (const socket of this.#io?.sockets.sockets.values() ?? []) socket.emit('events', batch, () => undefined)
  }

  beat(cursor: number): void {
    this.#io?.emit('heartbeat', { now: 5, cursor })
  }

  askedFor(name: RequestName): unknown[] {
    return this.asked.filter((one) => one.name === name).map(({ input }) => input)
  }

  #serve(socket: Socket<ClientToServerEvents, ServerToClientEvents>): void {
    socket.onAny((name: RequestName, input: unknown, reply: (reply: Reply<unknown>) => void) => {
      this.asked.push({ name, input })
      const answer = this.answers[name] as ((input: unknown) => Reply<unknown> | 'silence') | undefined
      const said = answer?.(input) ?? (name === 'daemon:info' ? { ok: true, value: INFO } : 'silence')
      if (said !== 'silence') reply(said)
    })
  }
}
