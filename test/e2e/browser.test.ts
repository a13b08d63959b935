import fs from 'node:fs'
import path from 'node:path'
import type { Page } from 'puppeteer-core'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Operation } from '../../src/core/operation.ts'
import { PROTOCOL_VERSION } from '../../src/core/protocol.ts'
import { scenarios } from '../../src/simulator/index.ts'
import { openBrowser, servePage, serveRelay } from '../helpers/pages.ts'
import { Rig } from '../helpers/rig.ts'
import { atEndOfAll } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'

const CHROMIUM = requireTool('chromium-headless-shell') ?? requireTool('chromium')
const why = CHROMIUM === null ? ', skipped: chromium is missing' : ''

interface Followed {
  readonly refused: unknown
  readonly operation: Operation
}

interface Attack {
  readonly way: string
  /** What the page got to see. */
  readonly saw: string
}

describe.skipIf(CHROMIUM === null)(`a browser on the machine of the daemon${why}`, () => {
  // Not within a hook: what is registered there does not run.
  const atEnd = atEndOfAll()
  let rig: Rig
  let listed: number
  let door: string
  let token: { readonly full: string; readonly read: string }

  beforeAll(async () => {
    rig = new Rig(atEnd)
    listed = await servePage(atEnd)
    fs.mkdirSync(rig.config, { recursive: true, mode: 0o700 })
    const settings = `listen: 127.0.0.1:0\norigins: ["http://ops.example:${listed}"]\npolling: true\n`
    fs.writeFileSync(path.join(rig.config, 'config.yaml'), settings)
    const publisher = scenarios.get('publisher')
    if (!publisher) throw new Error('There is no scenario publisher.')
    await rig.appliance('cucm-pub', publisher)
    const makeToken = async (name: string, ...flags: string[]) => {
      await rig.prepare(['daemon', 'token', 'create', name, ...flags])
      return fs.readFileSync(path.join(rig.config, 'tokens', name), 'utf8').trim()
    }
    token = { full: await makeToken('ops'), read: await makeToken('wall', '--read-only') }
    const { stdout } = await rig.prepare(['daemon', 'status', '-o', 'json'])
    door = (JSON.parse(stdout) as { network: { addresses: string[] } }).network.addresses[0] ?? ''
  })

  const operations = async (): Promise<unknown[]> =>
    (JSON.parse((await rig.prepare(['ps', '-o', 'json'])).stdout) as { items: unknown[] }).items

  it('lets a page that is not listed, and one behind a rebound name, see and do nothing, not even with a token', async () => {
    const other = await servePage()
    // Until it is loaded the name leads to the page, and from then on to the daemon.
    let rebound = false
    const doorPort = Number(new URL(door).port)
    const relay = await serveRelay(() => (rebound ? doorPort : other))
    const names = {
      'ops.example': '127.0.0.1',
      'evil.example': '127.0.0.1',
      [`rebound.example:${doorPort}`]: `127.0.0.1:${relay}`,
    }
    const browser = await openBrowser(CHROMIUM ?? '', names)

    const evil = await browser.newPage()
    await evil.goto(`http://evil.example:${other}/`)
    const cross = await call<Attack[]>(evil, 'attack', door, token.full, PROTOCOL_VERSION)

    const victim = await browser.newPage()
    await victim.goto(`http://rebound.example:${doorPort}/`)
    rebound = true
    const here = await victim.evaluate('location.origin')
    expect(here).toBe(`http://rebound.example:${doorPort}`)
    const same = await call<Attack[]>(victim, 'attack', here, token.full, PROTOCOL_VERSION)

    const blocked = { websocket: 'error', socket: 'error', image: 'error', script: 'error', events: 'error' }
    expect(toRecord(cross)).toEqual({
      ...blocked,
      fetch: 'error',
      'bearer fetch': 'error',
      post: 'error',
      frame: 'unreadable',
    })
    // The name is the page's own, so it may read the answer: and that is the refusal.
    expect(toRecord(same)).toEqual({
      ...blocked,
      fetch: '421',
      'bearer fetch': '421',
      post: '421',
      frame: 'unreadable',
    })
    expect(await operations()).toEqual([])

    // The same attack works where it may: it can see, so what it did not see above was kept from it.
    const friend = await browser.newPage()
    await friend.goto(`http://ops.example:${listed}/`)
    const seen = toRecord(await call<Attack[]>(friend, 'attack', door, token.full, PROTOCOL_VERSION))
    expect(seen).toMatchObject({ 'bearer fetch': '200', websocket: 'open', socket: 'connected' })
    expect(rig.log()).not.toContain(token.full)
  })

  it('shows a listed page the progress of a restart as it happens, to its end', async () => {
    const browser = await openBrowser(CHROMIUM ?? '', { 'ops.example': '127.0.0.1' })
    const page = await browser.newPage()
    await page.goto(`http://ops.example:${listed}/`)
    const started = await call<Followed>(page, 'follow', door, token, PROTOCOL_VERSION)
    expect(started.refused).toEqual({ ok: false, error: expect.objectContaining({ code: 'not_allowed' }) })
    expect(started.operation).toMatchObject({ createdBy: 'token:ops', connection: { name: 'cucm-pub' } })

    await page.waitForFunction('document.body.dataset.status')
    const seen = await page.evaluate('({ ...document.body.dataset })')
    const logs = await rig.prepare(['logs', started.operation.id, '-o', 'json'])
    const { events } = JSON.parse(logs.stdout) as { events: { seq: number; type: string }[] }
    expect(seen).toMatchObject({ status: 'completed', seqs: events.map(({ seq }) => seq).join(' ') })
    expect(seen).toMatchObject({ phases: 'connecting ready dispatching stopping starting verifying' })
  })
})

/** One of the functions of browser-page.js. */
async function call<Result>(page: Page, name: string, ...words: unknown[]): Promise<Result> {
  return (await page.evaluate(`${name}(...${JSON.stringify(words)})`)) as Result
}

const toRecord = (attacks: readonly Attack[]) => Object.fromEntries(attacks.map(({ way, saw }) => [way, saw]))
