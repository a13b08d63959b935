import { readdirSync, readFileSync } from 'node:fs'
import type { RequestName } from '../../../src/core/protocol.ts'
import { REQUESTS } from '../../../src/core/schemas.ts'
import { comesTrue } from '../../helpers/wait.ts'
import { Arena, type Daemon } from '../arena.ts'
import { faultyDaemon } from '../build.ts'
import { Random } from '../random.ts'
import type { Rig } from '../rig.ts'
import { corpusOf } from './corpus.ts'
import { mutate } from './mutate.ts'
import { frame, RawClient, throughNetwork, throughUnix, UPGRADE, type Way } from './raw-client.ts'
import { alter, VALID } from './targets-request.ts'

/** Requests of one client in a second; more are refused. */
const ALLOWED = 20
const ANSWER_MS = 5000
/** The daemon's memory may grow by this much from the first attacks to the last. */
const MAX_GROWTH = 64 * 2 ** 20

/** What is kept for ever ends the daemon instead of hiding in a heap that may grow. */
const BOUNDED_HEAP = '--max-old-space-size=64'

interface Attack {
  readonly name: string
  /** How many packets it sent, and what was broken by the answers. */
  readonly make: (way: Way, random: Random) => Promise<{ readonly packets: number; readonly broken?: string[] }>
}

const WORDS = [
  '0',
  '1',
  '2',
  '2probe',
  '3',
  '3probe',
  '4',
  '40',
  '41',
  '42',
  '43',
  '44',
  '45',
  '46',
  '5',
  '6',
  '7',
  'b',
  'bAAAA',
  '/',
  '/admin,',
  '451-',
  '459999999999-',
  '42["',
  '"]',
  '[]',
  '{}',
  'null',
  '{"_placeholder":true,"num":0}',
  '\0',
  '"__proto__"',
  '{"__proto__":{"x":1}}',
  '"connection:list"',
  '"disconnect"',
  '"newListener"',
  '1e999',
  ',',
  '-1',
  '\\ud800',
  '[['.repeat(500),
  '9'.repeat(30),
  '{"a":'.repeat(200),
  '\u001e',
].map((word) => Buffer.from(word))
const HTTP_WORDS = [
  'GET ',
  'POST ',
  'OPTIONS ',
  'CONNECT ',
  ' HTTP/1.1\r\n',
  ' HTTP/1.0',
  '\r\n',
  '\r\n\r\n',
  '\n',
  ': ',
  '\0',
  '%00',
  'transport=polling',
  'transport=webtransport',
  'EIO=3',
  'EIO=x',
  'sid=x',
  '/socket.io/',
  '/../',
  '?',
  '&',
  'j=1',
  'Upgrade: h2c\r\n',
  'Connection: close\r\n',
  'Content-Length: 9999\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Origin: http://evil\r\n',
  'Expect: 100-continue\r\n',
  'Sec-WebSocket-Version: 12',
  `X: ${'x'.repeat(9000)}\r\n`,
].map((word) => Buffer.from(word))
const HTTP = [
  UPGRADE,
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n40{',
  'GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3),
].map((text) => Buffer.from(text))
const PACKETS = [
  '420["connection:list",{}]',
  '421["subscribe",{"room":"operations"}]',
  '42["connection:list",{}]',
  '430[]',
  '41',
  '451-2["connection:list",{"_placeholder":true,"num":0}]',
  '40{"protocol":2}',
  '2',
  '3',
  '46-',
  '4',
].map((text) => Buffer.from(text))

/** Of the HTTP face, which only the network door has. */
const FACE = [
  'GET /healthz HTTP/1.1\r\n\r\n',
  'GET /metrics HTTP/1.1\r\n\r\n',
  'GET /api/operations/r-1 HTTP/1.1\r\n\r\n',
  'POST /api/connections/cucm-pub/restart HTTP/1.1\r\nIdempotency-Key: 123e4567-e89b-42d3-a456-426614174000\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n{"service":"Cisco DB"}  ',
  'POST /api/connections/1/restart HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
]
const FACE_WORDS = [
  '/api/',
  '%2f',
  '%',
  '"service":',
  '{"__proto__":1}',
  'HEAD ',
  '0\r\n\r\n',
  'Idempotency-Key: ',
  '\\ud800',
].map((word) => Buffer.from(word))

/** What must not be asked in earnest: the one is for the network, the other ends the game. */
function isHarmless(name: string, input: unknown): boolean {
  return (
    !['connection:add', 'connection:import', 'daemon:stop'].includes(name) ||
    !REQUESTS[name as RequestName].safeParse(input).success
  )
}

const ATTACKS: readonly Attack[] = [
  {
    name: 'garbage instead of HTTP',
    async make(way, random) {
      await using client = await RawClient.connect(way)
      const garbage = mutate(Buffer.alloc(0), HTTP_WORDS, HTTP, random)
      client.send(garbage)
      client.send(mutate(garbage, WORDS, HTTP, random))
      await client.isThrownOut(random.below(20))
      return { packets: 2 }
    },
  },
  {
    name: 'strange requests to upgrade',
    async make(way, random) {
      await using client = await RawClient.connect(way)
      for (let times = 0; times < 4; times++)
        client.send(mutate(random.pick([...HTTP, Buffer.from(way.upgrade)]), HTTP_WORDS, HTTP, random))
      client.send('\r\n\r\n')
      await client.isThrownOut(random.below(20))
      return { packets: 4 }
    },
  },
  {
    name: 'strange requests to the HTTP face',
    async make(way, random) {
      await using client = await RawClient.connect(way)
      const [host = ''] = /Host: .*\r\n/.exec(way.upgrade) ?? []
      const who = `${host}${way.auth ? `Authorization: Bearer ${way.auth.token}\r\n` : ''}`
      const seeds = FACE.map((text) => Buffer.from(text.replace('\r\n', `\r\n${who}`)))
      const packets = 1 + random.below(4)
      for (let each = 0; each < packets; each++) {
        const seed = random.pick(seeds)
        client.send(random.below(4) === 0 ? seed : mutate(seed, [...HTTP_WORDS, ...FACE_WORDS], seeds, random))
      }
      await client.isThrownOut(random.below(30))
      const isBug = /^HTTP\/1\.1 500|"code":"bug"/m.test(client.heard)
      return { packets, broken: isBug ? [`an answer is a bug: ${client.heard.slice(-600)}`] : [] }
    },
  },
  {
    name: 'websockets that are half open',
    async make(way, random) {
      const count = 1 + random.below(30)
      await using stack = new AsyncDisposableStack()
      const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(way)))
      for (const client of clients) {
        stack.use(client)
        client.send(way.upgrade.slice(0, random.below(way.upgrade.length + 1)))
      }
      await clients[0]?.isThrownOut(random.below(30))
      return { packets: count }
    },
  },
  {
    name: 'strange frames',
    async make(way, random) {
      await using client = await (random.below(2) === 0 ? RawClient.enter(way) : RawClient.upgrade(way))
      const packets = 1 + random.below(10)
      for (let each = 0; each < packets && !client.isOut; each++) {
        const payload = Buffer.from(mutate(random.pick(PACKETS), WORDS, PACKETS, random))
        const length = random.pick([null, null, 0n, 125n, 65_537n, 2n ** 53n, 2n ** 64n - 1n])
        const options = { opcode: random.below(16), flags: random.below(16), isMasked: random.below(8) > 0 }
        client.send(frame(payload, { ...options, ...(length === null ? {} : { length }) }))
      }
      await client.isThrownOut(random.below(10))
      return { packets }
    },
  },
  {
    name: 'malformed packets',
    async make(way, random) {
      await using client = await (random.below(4) === 0 ? RawClient.upgrade(way) : RawClient.enter(way))
      const seeds = [...PACKETS, ...corpusOf('packets')]
      const packets = 2 + random.below(ALLOWED)
      for (let each = 0; each < packets && !client.isOut; each++) {
        const seed = random.pick(seeds)
        const packet = random.below(4) === 0 ? seed : Buffer.from(mutate(seed, WORDS, seeds, random))
        client.say(packet.toString('latin1'))
        if (random.below(4) === 0) client.send(frame(Buffer.from(random.pick(WORDS)), { opcode: 2 }))
        if (random.below(4) === 0) await client.isThrownOut(1)
      }
      return { packets }
    },
  },
  {
    name: 'requests that are wrong',
    async make(way, random) {
      await using client = await RawClient.enter(way)
      const asked: number[] = []
      for (let id = 0; id < ALLOWED / 2; id++) {
        const name = random.pick(Object.keys(VALID) as RequestName[])
        const input = alter(random.pick<unknown>(VALID[name]), random)
        const event = random.below(8) === 0 ? random.pick(['', '__proto__', 'constructor', 'toString', '\0']) : name
        if (!isHarmless(event, input)) continue
        // Who wants no answer gets none, and nothing happens.
        if (random.below(8) === 0) client.say(`42${JSON.stringify([event, input])}`)
        client.say(`42${id}${JSON.stringify([event, input])}`)
        asked.push(id)
      }
      const last = asked.at(-1)
      if (last === undefined) return { packets: 0 }
      // Socket.IO keeps the order, but some answers wait for a key that must be made first.
      const broken: string[] = []
      for (const id of asked) {
        if (!(await client.hears(`43${id}[`, ANSWER_MS)))
          broken.push(`request ${id} got no answer: ${client.heard.slice(-300)}`)
        else if (client.heard.split(`43${id}[`).length > 2) broken.push(`request ${id} got two answers`)
        if (broken.length > 0) break
      }
      if (client.heard.includes('"code":"bug"')) broken.push(`an answer is a bug: ${client.heard.slice(-600)}`)
      return { packets: asked.length, broken }
    },
  },
  {
    name: 'packets that are too big',
    async make(way, random) {
      await using client = await RawClient.enter(way)
      const size = random.pick([65_000, 65_530, 65_537, 70_000, 1_000_000])
      client.say(`420["connection:list","${'x'.repeat(size)}"]`)
      const isTooBig = size > 65_536
      const isOut = await client.isThrownOut(isTooBig ? ANSWER_MS : 50)
      return { packets: 1, broken: isTooBig && !isOut ? [`${size} bytes in a packet are taken`] : [] }
    },
  },
  {
    name: 'floods',
    async make(way) {
      await using client = await RawClient.enter(way)
      const packets = 3 * ALLOWED
      const startedAt = performance.now()
      for (let id = 0; id < packets; id++) client.say(`42${id}["daemon:info",{}]`)
      const isAnswered = await client.hears(`43${packets - 1}[`, ANSWER_MS)
      const seconds = Math.floor((performance.now() - startedAt) / 1000) + 2
      const served = client.heard.split('"ok":true').length - 1
      const broken = served > ALLOWED * seconds ? [`${served} of ${packets} requests at once were served`] : []
      if (!isAnswered && !client.isOut) broken.push('a flood is neither answered nor ended')
      return { packets, broken }
    },
  },
  {
    name: 'binary attachments',
    async make(way, random) {
      await using client = await RawClient.enter(way)
      const announced = random.pick([1, 2, 10, 99_999])
      const holes = Array.from({ length: Math.min(announced, 10) }, (_, num) => ({ _placeholder: true, num }))
      client.say(`45${announced}-7${JSON.stringify(['connection:list', ...holes])}`)
      const packets = 1 + random.below(ALLOWED)
      for (let each = 0; each < packets && !client.isOut; each++) {
        client.send(frame(Buffer.alloc(random.below(60_000), 1), { opcode: 2 }))
        if (random.below(6) === 0) client.say('42["connection:list",{}]')
      }
      await client.isThrownOut(random.below(30))
      return { packets: packets + 1 }
    },
  },
]

/** Everything that somebody can send to the daemon, at both doors. After each attack it must serve a healthy client. */
const run: Rig = async ({ cases, seed, say }) => {
  await using arena = new Arena(await faultyDaemon())
  await arena.furnish(await arena.build([]))
  const token = arena.admit('fuzz')
  const daemon = arena.daemon({ env: { NODE_OPTIONS: BOUNDED_HEAP } })
  if (!(await arena.isUp(daemon))) throw new Error(`no daemon: ${daemon.words()}`)
  const faithful = await arena.connect()
  const port = Number(await comesTrue(() => /http:\/\/127\.0\.0\.1:(\d+)/.exec(daemon.words())?.[1], ANSWER_MS))
  const ways = [throughUnix(arena.socket), throughNetwork(port, token)]
  const random = new Random(seed)
  const violations: string[] = []
  const counts = Object.fromEntries(ATTACKS.map(({ name }) => [name, 0]))
  let packets = 0
  let memory = 0
  let descriptors = 0
  let index = 0
  for (; (packets < cases || index < ATTACKS.length * ways.length) && violations.length < 5; index++) {
    const attack = ATTACKS[index % ATTACKS.length] as Attack
    // Each door gets each attack in turn.
    const way = ways[Math.floor(index / ATTACKS.length) % ways.length] as Way
    const fault = (what: string): void => void violations.push(`seed ${seed}, attack ${index}, ${attack.name}: ${what}`)
    const before = daemon.words().length
    const done = await attack.make(way, random)
    packets += done.packets
    counts[attack.name] = (counts[attack.name] ?? 0) + done.packets
    for (const what of done.broken ?? []) fault(what)
    for (const what of await examine(arena, daemon, faithful)) fault(what)
    if (/^\s+at /m.test(daemon.words().slice(before))) fault(`the daemon's log: ${daemon.words().slice(-1500)}`)
    if (daemon.over()) break
    // By then everything has been loaded that is loaded when it is needed.
    if (index === ATTACKS.length * ways.length - 1) [memory, descriptors] = [memoryOf(daemon), descriptorsOf(daemon)]
    if (index % 500 === 499) say(`${packets} packets, ${Math.round(memoryOf(daemon) / 2 ** 20)} MiB`)
  }
  faithful.close()
  const growth = daemon.over() ? 0 : memoryOf(daemon) - memory
  if (growth > MAX_GROWTH) violations.push(`seed ${seed}: the daemon has grown by ${growth} bytes`)
  if (!daemon.over() && !(await comesTrue(() => descriptorsOf(daemon) <= descriptors, 10_000))) {
    violations.push(`seed ${seed}: ${descriptorsOf(daemon)} descriptors are open, there were ${descriptors}`)
  }
  daemon.child.kill('SIGTERM')
  const { status, signal } = await daemon.ended
  if (status !== 0)
    violations.push(`seed ${seed}: the daemon ended with ${status ?? signal}: ${daemon.words().slice(-1500)}`)
  return {
    cases: packets,
    violations,
    facts: { ...counts, attacks: index, 'growth in KiB': Math.round(growth / 1024) },
  }
}

/** What is wrong with the daemon now. */
async function examine(
  arena: Arena,
  daemon: Daemon,
  faithful: Awaited<ReturnType<Arena['connect']>>,
): Promise<string[]> {
  if (daemon.over()) return [`the daemon is gone: ${daemon.words().slice(-1500)}`]
  try {
    const startedAt = performance.now()
    const { active } = await faithful.request('daemon:info', {})
    if (active !== 0) return [`${active} operations are active`]
    const fresh = await arena.connect()
    try {
      const connections = await fresh.request('connection:list', {})
      if (connections.length > 0) return [`there are connections: ${JSON.stringify(connections)}`]
    } finally {
      fresh.close()
    }
    const ms = performance.now() - startedAt
    return ms > ANSWER_MS ? [`a healthy client waited for ${Math.round(ms)} ms`] : []
  } catch (error) {
    return [`a healthy client is not served: ${(error as Error).message}; ${daemon.words().slice(-800)}`]
  }
}

function memoryOf({ child }: Daemon): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

function descriptorsOf({ child }: Daemon): number {
  return readdirSync(`/proc/${child.pid}/fd`).length
}

export default run
