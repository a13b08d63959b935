import { createServer } from 'node:http'
import { createConnection, createServer as createRelay, type AddressInfo, type Server } from 'node:net'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import puppeteer, { type Browser } from 'puppeteer-core'
import { onTestFinished } from 'vitest'
import type { AtEnd } from './temporary.ts'

const SCRIPTS: Readonly<Record<string, Buffer>> = {
  '/socket.io.js': readFileSync(createRequire(import.meta.url).resolve('socket.io-client/dist/socket.io.js')),
  '/page.js': readFileSync(new URL('../e2e/browser-page.js', import.meta.url)),
}
const PAGE = `<!doctype html><body>${Object.keys(SCRIPTS)
  .map((src) => `<script src="${src}"></script>`)
  .join('')}`

/** A web server with one page that knows Socket.IO and browser-page.js. Its port. */
export async function servePage(atEnd: AtEnd = onTestFinished): Promise<number> {
  return await listen(
    createServer(({ url = '' }, response) => {
      const script = SCRIPTS[url]
      // A connection that is kept would outlive a change of the name.
      response.shouldKeepAlive = false
      response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html').end(script ?? PAGE)
    }),
    atEnd,
  )
}

/** What a name server does to a rebound name: who connects comes to `target()`, as it stands then. Its port. */
export async function serveRelay(target: () => number): Promise<number> {
  return await listen(
    createRelay((socket) => {
      const onward = createConnection({ host: '127.0.0.1', port: target() })
      socket.pipe(onward).pipe(socket)
      for (const each of [socket, onward]) {
        each.on('error', () => undefined).on('close', () => (each === socket ? onward : socket).destroy())
      }
    }),
  )
}

/** A browser in which these names lead to these ports of this machine. */
export async function openBrowser(program: string, names: Readonly<Record<string, string>>): Promise<Browser> {
  const rules = Object.entries(names).map(([name, place]) => `MAP ${name} ${place}`)
  const browser = await puppeteer.launch({
    executablePath: program,
    // Tests run as root, where its sandbox cannot be made; it opens no page but ours.
    args: ['--no-sandbox', `--host-resolver-rules=${rules.join(', ')}`],
  })
  onTestFinished(() => browser.close())
  return browser
}

async function listen(server: Server, atEnd: AtEnd = onTestFinished): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen({ host: '127.0.0.1', port: 0 }, resolve)
  await promise
  atEnd(() => void server.close())
  return (server.address() as AddressInfo).port
}
