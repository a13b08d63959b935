import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import ssh2, { type AuthContext, type Connection, type ServerConfig } from 'ssh2'
import { DEFAULT_TIMINGS, type HostKey, type Timings } from '../../src/core/connection.ts'
import { toHostKey } from '../../src/daemon/ssh/host-keys.ts'
import type { SshTarget } from '../../src/daemon/ssh/session.ts'
import { until } from './wait.ts'

const { Server, utils } = ssh2

/** Short enough that a phase that hangs fails a test at once, long enough for a busy machine. */
export const QUICK: Timings = {
  ...DEFAULT_TIMINGS,
  connectMs: 2_000,
  identMs: 2_000,
  keyExchangeMs: 3_000,
  loginMs: 3_000,
  shellMs: 2_000,
  commandMs: 5_000,
}

/** A server that a test plays: in this process, listening on a loopback port. */
export interface Listening {
  readonly port: number
  /** Resolves when the server sees no connection any more; fails when one stays. */
  isEmpty(): Promise<void>
  /** Connections so far. */
  connections(): number
  close(): Promise<void>
}

/** Bytes only: for servers that are silent, rude, or no SSH servers at all. */
export async function listenRaw(onSocket: (socket: Socket) => void): Promise<Listening> {
  return await listen(
    createServer((socket) => {
      // Unread, the end of the connection would never be noticed.
      socket.resume()
      onSocket(socket)
    }),
  )
}

/** A port whose queue of connections is full, because its program accepts none: the kernel answers nobody. */
export async function listenDeaf(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const program = `
    const { parentPort } = require('node:worker_threads')
    const server = require('node:net').createServer()
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port)
      setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30_000))
    })`
  const worker = new Worker(program, { eval: true })
  const [port] = (await once(worker, 'message')) as [number]
  const fillers: Socket[] = []
  for (;;) {
    const filler = connect(port, '127.0.0.1').on('error', () => {})
    fillers.push(filler)
    const isAnswered = await Promise.race([once(filler, 'connect').then(() => true), sleep(50).then(() => false)])
    if (!isAnswered) break
  }
  return {
    port,
    close: async () => {
      for (const filler of fillers) filler.destroy()
      await worker.terminate()
    },
  }
}

export interface PlayedServer extends Listening {
  readonly hostKey: HostKey
  /** Every authentication request that arrived, `none` included, in order. */
  readonly requests: string[]
}

export interface Play {
  readonly config?: Partial<ServerConfig>
  /** `ed25519` unless given. */
  readonly keyType?: 'ed25519' | 'rsa' | 'ecdsa'
  /** Answers requests after `none`, which is rejected with these methods. */
  readonly methods?: AuthContext['method'][]
  readonly onAuthentication?: (context: AuthContext, client: Connection) => void
  readonly onClient?: (client: Connection) => void
  readonly onSocket?: (socket: Socket) => void
}

const KEYS = {
  ed25519: utils.generateKeyPairSync('ed25519'),
  ecdsa: utils.generateKeyPairSync('ecdsa', { bits: 256 }),
  rsa: utils.generateKeyPairSync('rsa', { bits: 2048 }),
}

export async function playServer(play: Play = {}): Promise<PlayedServer> {
  const { config, keyType = 'ed25519', methods = ['password'], onAuthentication, onClient, onSocket } = play
  const requests: string[] = []
  const server = new Server({ hostKeys: [KEYS[keyType].private], ...config }, (client) => {
    client.on('error', () => {})
    client.on('authentication', (context) => {
      requests.push(context.method)
      if (context.method === 'none') context.reject(methods)
      else if (onAuthentication) onAuthentication(context, client)
      else context.accept()
    })
    onClient?.(client)
  })
  // ssh2's server hands every socket to its own listener; this one only looks on.
  const inner = server as unknown as { readonly _srv: NetServer }
  if (onSocket) inner._srv.on('connection', onSocket)
  const listening = await listen(inner._srv)
  return { ...listening, requests, hostKey: publicKeyOf(KEYS[keyType].public) }
}

export function toTarget(
  server: { readonly port: number; readonly hostKey?: HostKey },
  changes: Partial<SshTarget> = {},
): SshTarget {
  return {
    name: 'lab',
    host: '127.0.0.1',
    port: server.port,
    username: 'admin',
    hostKey: server.hostKey ?? SOME_HOST_KEY,
    acceptNew: false,
    algorithms: 'modern',
    algorithmsUntil: null,
    timings: QUICK,
    ...changes,
  }
}

/** A well-formed pin of a key that no server has. */
export const SOME_HOST_KEY: HostKey = {
  type: 'ssh-ed25519',
  fingerprint: 'SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
}

function publicKeyOf(line: string): HostKey {
  return toHostKey(Buffer.from(line.split(' ')[1] ?? '', 'base64'))
}

async function listen(server: NetServer): Promise<Listening> {
  let connections = 0
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections++
    // Otherwise every small answer waits 40 ms for our acknowledgement.
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    isEmpty: async () => {
      await until('the server has no connection left', () => sockets.size === 0)
    },
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
