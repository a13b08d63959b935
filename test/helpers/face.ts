import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { expect, onTestFinished } from 'vitest'
import { createFace, type FaceOptions } from '../../src/daemon/http/face.ts'
import { createVosServer } from '../../src/daemon/server.ts'
import { House } from './manager.ts'
import { createOpenapiValidator } from './openapi.ts'
import { ScriptedDevice, type Script } from './scripted-device.ts'
import { handlersOf } from './secrets.ts'

const check = createOpenapiValidator()

export interface Heard {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

export interface Wish {
  readonly headers?: http.OutgoingHttpHeaders
  /** A text as it is, anything else as JSON. */
  readonly body?: unknown
}

/** Asks once; what comes back has to be as docs/openapi.json says. */
export async function ask(
  port: number,
  method: string,
  path: string,
  { headers = {}, body }: Wish = {},
): Promise<Heard> {
  const request = http.request({ host: '127.0.0.1', port, method, path, agent: false, headers })
  const json = body === undefined || typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body)
  if (json !== undefined) {
    if (!('content-type' in headers)) request.setHeader('content-type', 'application/json')
    request.setHeader('content-length', Buffer.byteLength(json))
  }
  request.end(json)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const heard = {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks).toString(),
  }
  expect(check({ ...heard, method, path })).toBeNull()
  return heard
}

/** The face on a server of its own, where `Authorization: Bearer <name>` is a full token, and one named `reader` reads. */
export async function openFace(
  script: Script = {},
  options: Partial<FaceOptions> = {},
  house = new House(() => new ScriptedDevice(script)),
) {
  const log: string[] = []
  const { store, manager } = house
  const handlers = handlersOf(house)
  const server = createVosServer({
    store,
    manager,
    handlers,
    now: () => house.clock,
    log: (line) => log.push(line),
    onClients: () => undefined,
  })
  const face = createFace({
    store,
    manager,
    server,
    now: () => house.clock,
    log: (line) => log.push(line),
    ...options,
  })
  const door = http.createServer((request, response) => {
    const name = request.headers.authorization?.replace('Bearer ', '') ?? 'ci'
    face.answer(request, response, { name, access: name === 'reader' ? 'read' : 'full' })
  })
  door.listen(0, '127.0.0.1')
  await once(door, 'listening')
  onTestFinished(async () => {
    face.close()
    door.closeAllConnections()
    door.close()
    await server.close()
  })
  const { port } = door.address() as net.AddressInfo
  return { house, log, port, door, ask: (method: string, path: string, wish?: Wish) => ask(port, method, path, wish) }
}

/** Says these bytes on a connection of its own and hears everything until the other side closes it. */
export async function say(port: number, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  let heard = ''
  socket.on('data', (chunk) => (heard += chunk.toString('latin1')))
  // Whoever is sent away in the middle of a sentence may hear it as a reset.
  socket.on('error', () => undefined)
  onTestFinished(() => {
    socket.destroy()
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  for (const piece of pieces) {
    if (socket.destroyed) break
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain').catch(() => undefined), closed])
  }
  await closed
  return heard
}
