import { describe, expect, it } from 'vitest'
import { PROTOCOL_VERSION } from '../../src/core/protocol.ts'
import { RawClient } from '../faults/fuzz/raw-client.ts'
import { NetworkHouse, ORIGIN } from '../helpers/network.ts'

/** How many raw clients knock at once: fewer than there are places for, so that no refusal is for want of one. */
const AT_ONCE = 16

const WAYS = [
  'websocket, token in a header',
  'websocket, token in the packet',
  'polling',
  'polling where it is off',
] as const
const PLAIN = ['a plain request', 'a preflight'] as const
type Way = (typeof WAYS)[number] | (typeof PLAIN)[number]

interface Cell {
  readonly way: Way
  /** The lines that say where it goes; PORT is that of the door. */
  readonly host: string
  readonly origin: string
  /** What stands where a token may stand. */
  readonly token: string
}

/** The words on the left are what the rule below judges by; on the right is what goes over the wire. */
const HOSTS: Readonly<Record<string, string>> = {
  'its address': 'Host: 127.0.0.1:PORT\r\n',
  localhost: 'Host: localhost:PORT\r\n',
  LOCALHOST: 'Host: LOCALHOST:PORT\r\n',
  'a listed name': 'host:ops.example:8443\r\n',
  evil: 'Host: evil.example:PORT\r\n',
  none: '',
  empty: 'Host:\r\n',
  twice: 'Host: localhost:PORT\r\nHost: localhost:PORT\r\n',
  'good, then evil': 'Host: localhost:PORT\r\nHost: evil.example\r\n',
  'no port': 'Host: localhost\r\n',
  'another port': 'Host: localhost:80\r\n',
  'a dot at the end': 'Host: localhost.:PORT\r\n',
  'a user before it': 'Host: localhost:PORT@evil.example\r\n',
  'a good user before evil': 'Host: evil.example@localhost:PORT\r\n',
  'a list': 'Host: localhost:PORT, evil.example\r\n',
  'a name around it': 'Host: localhost:PORT.evil.example\r\n',
  'another loopback': 'Host: 127.0.0.2:PORT\r\n',
  'a short address': 'Host: 127.1:PORT\r\n',
  'a number': 'Host: 2130706433:PORT\r\n',
  mapped: 'Host: [::ffff:127.0.0.1]:PORT\r\n',
  'any address': 'Host: 0.0.0.0:PORT\r\n',
  forwarded: 'Host: evil.example\r\nX-Forwarded-Host: localhost:PORT\r\n',
  folded: 'Host: evil.example\r\n localhost:PORT\r\n',
}
const GOOD_HOSTS = ['its address', 'localhost', 'LOCALHOST', 'a listed name']

const ORIGINS: Readonly<Record<string, string>> = {
  none: '',
  listed: `Origin: ${ORIGIN}\r\n`,
  evil: 'Origin: https://evil.example\r\n',
  null: 'Origin: null\r\n',
  empty: 'Origin:\r\n',
  'of another scheme': 'Origin: http://ops.example\r\n',
  'of another port': `Origin: ${ORIGIN}:8443\r\n`,
  'in other letters': `Origin: ${ORIGIN.toUpperCase()}\r\n`,
  'with a path': `Origin: ${ORIGIN}/\r\n`,
  'the beginning of evil': `Origin: ${ORIGIN}.evil.example\r\n`,
  'the end of evil': 'Origin: https://evil-ops.example\r\n',
  'its own': 'Origin: http://localhost:PORT\r\n',
  twice: `Origin: ${ORIGIN}\r\nOrigin: ${ORIGIN}\r\n`,
  'listed, then evil': `Origin: ${ORIGIN}\r\nOrigin: https://evil.example\r\n`,
  'a list': `Origin: ${ORIGIN}, https://evil.example\r\n`,
  'kept silent by a page': 'Sec-Fetch-Site: cross-site\r\n',
  'kept silent by a page of its own': 'Sec-Fetch-Site: same-origin\r\n',
  'typed by a person': 'Sec-Fetch-Site: none\r\n',
  'far behind': `${'a:\r\n'.repeat(700)}Origin: http://e\r\n`,
}
const GOOD_ORIGINS = ['none', 'listed', 'typed by a person']

const TOKENS = [
  'none',
  'full',
  'read',
  'wrong',
  'revoked',
  'cut short',
  'with a letter more',
  'in capitals',
  'its digest',
  'in the query',
  'in a cookie',
  'as a password',
  'twice',
] as const
const GOOD_TOKENS = ['full', 'read']

/** The whole rule, in other words than the daemon's. */
function shallOpen({ way, host, origin, token }: Cell): boolean {
  const comesRight = GOOD_HOSTS.includes(host) && GOOD_ORIGINS.includes(origin)
  if (way === 'a preflight') return comesRight && origin === 'listed' && token !== 'in the query'
  return comesRight && way !== 'polling where it is off' && GOOD_TOKENS.includes(token)
}

describe('the network door', () => {
  it('opens exactly the cells of Host, Origin, token and transport that it should, and nothing else comes in', async () => {
    const house = new NetworkHouse()
    const { port } = await house.open({ hosts: ['ops.example:8443'], polling: true })
    const { port: withoutPolling } = await house.open({ hosts: ['ops.example:8443'] })
    const [full, read, gone] = [house.token('f', 'full'), house.token('r', 'read'), house.token('g', 'full')]
    house.revoke('g')
    const { createHash } = process.getBuiltinModule('node:crypto')
    const wrong = `vosctl_${'A'.repeat(43)}`
    const digest = createHash('sha256').update(full).digest('base64url')
    const values: Readonly<Record<string, string>> = {
      full,
      read,
      wrong,
      revoked: gone,
      'cut short': full.slice(0, -1),
      'with a letter more': `${full}A`,
      'in capitals': full.toUpperCase(),
      'its digest': `vosctl_${digest}`,
    }

    /** What stands in the header, and what in the query. */
    const written = (token: string): readonly [string, string] => {
      if (token === 'none') return ['', '']
      if (token === 'in the query') return ['', `&token=${full}`]
      if (token === 'in a cookie') return [`Cookie: token=${full}; Authorization=Bearer ${full}\r\n`, '']
      const basic = Buffer.from(`${full}:${full}`).toString('base64')
      if (token === 'as a password') return [`Authorization: Basic ${basic}\r\n`, '']
      if (token === 'twice') return [`Authorization: Bearer ${full}\r\n`.repeat(2), '']
      return [`Authorization: Bearer ${values[token] ?? ''}\r\n`, '']
    }

    /** Whether it was served. The number stands in what it asks, so that whatever gets through can be named. */
    const knock = async ({ way, host, origin, token }: Cell, number: number): Promise<boolean> => {
      const isOff = way === 'polling where it is off'
      const to = { host: '127.0.0.1', port: isOff ? withoutPolling : port }
      const [header, query] = written(token)
      const isInPacket = way === 'websocket, token in the packet'
      // The Origin comes last: what is before it must not keep it from being seen.
      const lines = `${host}${isInPacket ? '' : header}${origin}`.replaceAll('PORT', String(to.port))
      await using client = await RawClient.connect({ to })
      if (way === 'a plain request') {
        const target = `/cell/${number}${query.replace('&', '?')}`
        client.send(`GET ${target} HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`)
        await client.isThrownOut(5000)
        return client.heard.startsWith('HTTP/1.1 200')
      }
      if (way === 'a preflight') {
        const asks = `Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n`
        const target = `/cell/${number}${query.replace('&', '?')}`
        client.send(`OPTIONS ${target} HTTP/1.1\r\n${lines}${asks}Connection: close\r\n\r\n`)
        await client.isThrownOut(5000)
        const isReadable = client.heard.includes(`\r\nAccess-Control-Allow-Origin: ${ORIGIN}\r\n`)
        // A browser takes no other answer for a yes.
        return isReadable && client.heard.startsWith('HTTP/1.1 2')
      }
      if (!way.startsWith('websocket')) {
        const target = `/socket.io/?EIO=4&transport=polling${query}`
        client.send(`GET ${target} HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`)
        await client.isThrownOut(5000)
        return client.heard.includes('"sid"')
      }
      const target = `/socket.io/?EIO=4&transport=websocket${query}`
      client.send(
        `GET ${target} HTTP/1.1\r\n${lines}Upgrade: websocket\r\nConnection: Upgrade\r\n` +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
      )
      await client.hears('"sid"')
      // Who has not been let in asks all the same.
      const said = isInPacket && values[token] !== undefined ? { token: values[token] } : {}
      client.say(`40${JSON.stringify({ protocol: PROTOCOL_VERSION, version: 'raw', ...said })}`)
      await client.hears('40{"sid"')
      client.say(`420["connection:list",{}]`)
      await client.hears('430[', 5000)
      return client.heard.includes('430[{"ok":true')
    }

    const cells: Cell[] = []
    const add = (way: Way, host: string, origin: string, token: string) => void cells.push({ way, host, origin, token })
    const ways = [...WAYS, ...PLAIN]
    const few = ['localhost', 'evil', 'none']
    for (const way of ways) {
      // Everything with everything, of the plain ones of each kind; and whatever is strange with all the rest right.
      for (const host of few) {
        for (const origin of ['none', 'listed', 'evil', 'null']) {
          for (const token of TOKENS.slice(0, 5)) add(way, host, origin, token)
        }
      }
      for (const host of Object.keys(HOSTS)) if (!few.includes(host)) add(way, host, 'listed', 'full')
      for (const origin of Object.keys(ORIGINS).slice(4)) add(way, 'localhost', origin, 'full')
      for (const token of TOKENS.slice(5)) add(way, 'localhost', 'listed', token)
    }
    const opened: string[] = []
    const name = (cell: Cell) => Object.values(cell).join(' / ')
    const wire = (cell: Cell): Cell => ({
      ...cell,
      host: HOSTS[cell.host] ?? '',
      origin: ORIGINS[cell.origin] ?? '',
    })
    const queue = [...cells.entries()]
    const work = async () => {
      for (let next = queue.pop(); next; next = queue.pop()) {
        if (await knock(wire(next[1]), next[0])) opened.push(name(next[1]))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))

    const should = cells.filter(shallOpen)
    expect(cells.length).toBeGreaterThan(500)
    expect(should.length).toBeGreaterThan(40)
    expect(opened.toSorted()).toEqual(should.map(name).toSorted())
    // Nothing of what was refused came as far as a room of the house.
    const plain = [...cells.entries()].filter(([, cell]) => cell.way === 'a plain request' && shallOpen(cell))
    expect(house.shown.map(({ target }) => target).toSorted()).toEqual(plain.map(([at]) => `/cell/${at}`).toSorted())
    expect(house.asked).toHaveLength(should.filter(({ way }) => way.startsWith('websocket')).length)
    const words = house.log.join('\n')
    for (const secret of [full, read, gone]) expect(words).not.toContain(secret.slice(7, 20))
    expect(house.log.length).toBeLessThan(10)
  })
})
