import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isProblem, toCandidate } from '../../src/cli/import/candidate.ts'
import { parseText } from '../../src/cli/import/file.ts'
import { createPlan, inPackets, planLines, toParts, type Plan } from '../../src/cli/import/plan.ts'
import { toYaml } from '../../src/cli/import/yaml.ts'
import { toExportDocument } from '../../src/cli/export-document.ts'
import { dayOf, DEFAULT_TIMINGS, toState } from '../../src/core/connection.ts'
import type { ConnectionView } from '../../src/core/protocol.ts'
import { problemOf, REQUESTS } from '../../src/core/schemas.ts'
import { FACTS } from '../helpers/operations.ts'
import { House } from '../helpers/manager.ts'
import { ScriptedDevice } from '../helpers/scripted-device.ts'
import { handlersOf } from '../helpers/secrets.ts'

const KEY = { type: 'ssh-ed25519', fingerprint: `SHA256:${'A'.repeat(43)}` }
const OTHER_KEY = { type: 'ssh-ed25519', fingerprint: `SHA256:${'B'.repeat(43)}` }

function open() {
  const house = new House(() => new ScriptedDevice({}))
  const handlers = handlersOf(house)
  const list = () => handlers['connection:list']({}) as readonly ConnectionView[]
  /** What the client does with a file, each request through the daemon's own schema. */
  const plan = async (text: string, format: 'yaml' | 'json' = 'yaml'): Promise<Plan> => {
    const { rows } = await parseText(text, format, { name: 'alice', home: '/home/alice' })
    const candidates = rows.map((row) => toCandidate(row, { home: '/home/alice', directory: '/' }))
    for (const one of candidates) if (!isProblem(one)) expect(problemOf(one.values)).toBeNull()
    return createPlan(candidates, list())
  }
  const write = (made: Plan) => {
    const parts = toParts(made)
    const importId = randomUUID()
    let answer = null
    for (const [part, rows] of parts.entries()) {
      expect(answer).toBeNull()
      const request = REQUESTS['connection:import'].parse({ importId, part, parts: parts.length, ...rows })
      answer = handlers['connection:import'](request)
    }
    return answer
  }
  return { house, handlers, list, plan, write }
}

type Opened = ReturnType<typeof open>

async function importing({ plan, write }: Opened, text: string) {
  return write(await plan(text))
}

describe('an import', () => {
  it('adds and changes in one go, and keeps what the file does not say', async () => {
    const opened = open()
    const id = opened.house.add('cucm-pub')
    opened.house.add('imp-1', '10.10.0.30')
    const text = '- {name: CUCM-PUB, service: Cisco Tftp}\n- {name: web, host: web, username: u, platform: linux}'
    expect(await importing(opened, text)).toEqual({ added: 1, changed: 1 })
    expect(opened.list()).toMatchObject([
      {
        id,
        name: 'CUCM-PUB',
        host: '10.10.0.10',
        service: 'Cisco Tftp',
        hostKey: FACTS.hostKey,
        credential: { type: 'sealed' },
      },
      { name: 'imp-1' },
      { name: 'web', platform: 'linux', service: null, credential: { type: 'none' } },
    ])
  })

  it('changes nothing when one connection was changed since the plan was made', async () => {
    const opened = open()
    opened.house.add('a', '10.10.0.1')
    const b = opened.house.add('b', '10.10.0.2')
    const made = await opened.plan(
      '- {name: a, port: 2222}\n- {name: b, port: 2222}\n- {name: c, host: c, username: u}',
    )
    opened.house.store.write(() => opened.house.store.connections.setSealedPassword(b, null))
    const before = opened.list()
    expect(() => opened.write(made)).toThrow('b was changed since the plan was made. Nothing was imported.')
    expect(opened.list()).toEqual(before)
  })

  it('changes nothing when the jump host on the way to one was moved since the plan was made', async () => {
    const opened = open()
    const hop = opened.house.add('hop', '10.10.0.1')
    opened.house.store.write(() => opened.house.store.connections.edit(opened.house.add('b'), { via: 'hop' }))
    const plan = await opened.plan('- {name: b, service: Cisco Tftp}')
    opened.house.store.write(() => opened.house.store.connections.edit(hop, { host: '10.10.0.9' }))
    expect(() => opened.write(plan)).toThrow('b was changed since the plan was made. Nothing was imported.')
  })

  it('changes nothing when a connection has gone, or its new name is taken', async () => {
    const opened = open()
    const a = opened.house.add('a', '10.10.0.1')
    const made = await opened.plan('- {name: a, port: 2222}\n- {name: c, host: c, username: u}')
    opened.house.store.write(() => opened.house.store.connections.remove(a))
    expect(() => opened.write(made)).toThrow(`There is no connection ${a}.`)
    opened.house.add('C')
    const other = await opened.plan('- {name: d, host: d, username: u}\n- {name: e, host: e, username: u}')
    opened.house.add('E')
    const before = opened.list()
    expect(() => opened.write(other)).toThrow('There is already a connection "e".')
    expect(opened.list()).toEqual(before)
  })

  it('changes nothing while work is active on one of them', async () => {
    const opened = open()
    const id = opened.house.add('a', '10.10.0.1')
    const made = await opened.plan('- {name: a, port: 2222}\n- {name: c, host: c, username: u}')
    const [operation] = opened.house.start(id).operations
    expect(() => opened.write(made)).toThrow('a cannot be changed while work is active on it.')
    expect(opened.list()).toMatchObject([{ name: 'a', port: 22 }])
    await opened.house.settled(operation?.id ?? '')
  })

  it('writes nothing before its last part, and nothing of one that another import has overtaken', async () => {
    const opened = open()
    const request = (importId: string, part: number, name: string) =>
      opened.handlers['connection:import']({
        importId,
        part,
        parts: 2,
        add: [{ name, host: 'h', username: 'u' }],
        edit: [],
      })
    const [first, second] = [randomUUID(), randomUUID()]
    expect(request(first, 0, 'a')).toBeNull()
    expect(request(second, 0, 'b')).toBeNull()
    expect(opened.list()).toEqual([])
    expect(() => request(first, 1, 'c')).toThrow('Another import began meanwhile. Nothing was imported.')
    expect(() => request(second, 2, 'c')).toThrow('Another import began meanwhile.')
    expect(request(second, 1, 'd')).toEqual({ added: 2, changed: 0 })
    expect(() => request(second, 1, 'e')).toThrow('Another import began meanwhile.')
    expect(opened.list().map(({ name }) => name)).toEqual(['b', 'd'])
  })

  it('never puts another host key in place of a pinned one, whoever asks', async () => {
    const opened = open()
    const id = opened.house.add('a')
    const pinned = opened.list()[0]?.hostKey
    const made = await opened.plan(
      `- {name: a, host: 10.9.9.9, host_key: {type: ssh-ed25519, fingerprint: ${OTHER_KEY.fingerprint}}}`,
    )
    expect(made).toMatchObject({ changed: [], rejected: [{ name: 'a', field: 'host_key' }] })
    const good = (await opened.plan('- {name: a, port: 2222}')).changed
    const forged = {
      added: [],
      same: [],
      rejected: [],
      changed: good.map((one) => ({ ...one, change: { hostKey: OTHER_KEY } })),
    }
    expect(() => opened.write(forged)).toThrow('a has another host key pinned. Nothing was imported.')
    expect(opened.house.store.connections.get(id).hostKey).toEqual(pinned)
  })

  it('does not put another host key in place of a pinned one in two steps, nor in three', async () => {
    const opened = open()
    const id = opened.house.add('a')
    const pinned = opened.list()[0]?.hostKey
    const back = `- {name: a, host: 10.10.0.10, host_key: {type: ssh-ed25519, fingerprint: "${OTHER_KEY.fingerprint}"}}`
    const words = 'Another host key than the one in the file was pinned for the device of a before.'
    await importing(opened, '- {name: a, host: elsewhere}')
    await expect(importing(opened, back)).rejects.toThrow(words)
    // The other key is the pinned one already when it comes back.
    await importing(opened, `- {name: a, host_key: {type: ssh-ed25519, fingerprint: "${OTHER_KEY.fingerprint}"}}`)
    await expect(importing(opened, back)).rejects.toThrow(words)
    expect(opened.list()).toMatchObject([{ host: 'elsewhere', hostKey: OTHER_KEY }])
    // Nor for a new connection to the device, by whatever name.
    const twin = `- {name: b, host: 10.10.0.10., username: u, host_key: {type: ssh-ed25519, fingerprint: "${OTHER_KEY.fingerprint}"}}`
    await expect(importing(opened, twin)).rejects.toThrow('of b before')
    // The key that it was is no other one, and a person may have compared the other one.
    await importing(opened, `- {name: b, host: 10.10.0.10, username: u}`)
    const b = opened.list().find(({ name }) => name === 'b')?.id ?? 0
    await importing(opened, `- {name: b, host_key: {type: "${pinned?.type}", fingerprint: "${pinned?.fingerprint}"}}`)
    await opened.handlers['connection:remove']({ id: b })
    await opened.handlers['connection:edit']({ id, change: { host: '10.10.0.10' } })
    await opened.handlers['connection:trust']({ id, device: '10.10.0.10:22', hostKey: OTHER_KEY })
    await importing(opened, '- {name: a, host: elsewhere}')
    await importing(opened, back)
    expect(opened.list()).toMatchObject([{ host: '10.10.0.10', hostKey: OTHER_KEY }])
  })

  it('does not move a hold to another device, and neither does an edit', async () => {
    const opened = open()
    const id = opened.house.add('a')
    await opened.handlers['connection:hold']({ id, by: 'bob' })
    const words = 'a is on hold, and a hold is about the device that it is.'
    await expect(importing(opened, '- {name: a, host: elsewhere}')).rejects.toThrow(words)
    expect(() => opened.handlers['connection:edit']({ id, change: { port: 2222 } })).toThrow(words)
    await importing(opened, '- {name: a, host: 10.10.0.10., service: Cisco Tftp}')
    expect(opened.list()).toMatchObject([{ host: '10.10.0.10.', service: 'Cisco Tftp', hold: { by: 'bob' } }])
    await opened.handlers['connection:release']({ id })
    expect(await importing(opened, '- {name: a, host: elsewhere}')).toEqual({ added: 0, changed: 1 })
  })

  it('of more than a file may hold, in however many parts, is given up and keeps nothing', () => {
    const { handlers, list } = open()
    const importId = randomUUID()
    const send = (part: number) =>
      handlers['connection:import']({
        importId,
        part,
        parts: 4,
        add: Array.from({ length: 2000 }, (_, n) => ({ name: `a-${part}-${n}`, host: 'h', username: 'u' })),
        edit: [],
      })
    expect([send(0), send(1)]).toEqual([null, null])
    expect(() => send(2)).toThrow('No more than 5000 connections at once. Nothing was imported.')
    expect(() => send(3)).toThrow('Another import began meanwhile.')
    expect(list()).toEqual([])
  })

  it('takes many thousands of characters to the daemon in packets that it takes', async () => {
    const opened = open()
    const text = Array.from({ length: 1000 }, (_, n) => {
      const key = `{type: ssh-ed25519, fingerprint: SHA256:${String(n).padStart(43, 'A')}}`
      return `- {name: cucm-${n}, host: 10.1.${n >> 8}.${n & 255}, username: administrator, service: Çisco Tömcat, host_key: ${key}}`
    }).join('\n')
    const made = await opened.plan(text)
    const parts = toParts(made)
    expect(parts.length).toBeGreaterThan(1)
    for (const part of parts) expect(Buffer.byteLength(JSON.stringify(part))).toBeLessThan(60 * 1024)
    expect(opened.write(made)).toEqual({ added: 1000, changed: 0 })
    expect(opened.list()).toHaveLength(1000)
  })
})

describe('the plan', () => {
  const lines = async (text: string) => {
    const opened = open()
    opened.house.add('a')
    return planLines(await opened.plan(text))
  }
  it.each<[string, string, string[]]>([
    [
      'a new one',
      '- {name: b, host: h, username: u, service: X, sudo: true}',
      ['  + b  line 1, no connection has this name: u@h, vos, service X, sudo true'],
    ],
    ['the same', '- {name: a, host: 10.10.0.10, port: 22, service: Cisco Tomcat}', []],
    [
      'old algorithms without an end',
      '- name: a\n  algorithms: legacy-vos\n  algorithms_reason: x',
      [
        '  x line 1, a: algorithms_until is missing: legacy-vos needs an end',
        '      Say the last day on which they are allowed: --until YYYY-MM-DD',
      ],
    ],
    [
      'old algorithms whose end is over',
      '- {name: a, algorithms: legacy-vos, algorithms_reason: x, algorithms_until: 2020-02-29}',
      [
        '  x line 1, a: algorithms_until is over: 2020-02-29',
        '      Say a day from today on, at most two years ahead.',
      ],
    ],
    [
      'a lab',
      '- {name: a, accept_new: true}',
      ['  ~ a  line 1: accept_new: false -> true', '      it pins the first host key that it sees: for labs only'],
    ],
    [
      'a service',
      '- name: a\n  service: X\n  echo: false',
      ['  ~ a  line 1: service: Cisco Tomcat -> X; echo: true -> false'],
    ],
    ['no service', '- {name: a, service: null}', ['  ~ a  line 1: service: Cisco Tomcat -> none']],
    [
      'another user',
      '- {name: a, username: root}',
      ['  ~ a  line 1: username: admin -> root', '      its password goes: vosctl credentials set a'],
    ],
    [
      'a key file',
      '- {name: a, key_path: /k}',
      ['  ~ a  line 1: key_path: none -> /k', '      its password goes: the key file takes its place'],
    ],
    [
      'a helper',
      '- {name: a, credential: "helper:ops"}',
      ['  ~ a  line 1: credential: sealed -> helper:ops', '      its password goes: another source takes its place'],
    ],
    ['the same source', '- {name: a, credential: sealed}', []],
    [
      'a key and its helper',
      '- {name: a, credential: "key:/k", passphrase_from: "helper:ops"}',
      [
        '  ~ a  line 1: key_path: none -> /k; passphrase_from: none -> helper:ops',
        '      its password goes: the key file takes its place',
      ],
    ],
    [
      'two sources',
      '- {name: a, key_path: /k, credential: prompt}',
      ['  x line 1, a: credential is there beside key_path', '      A connection has one: say which.'],
    ],
    [
      'a passphrase itself',
      '- {name: a, passphrase: hush}',
      ['  x line 1, a: passphrase is not taken from a file', '      Take it out, then: vosctl credentials set a'],
    ],
    ['time limits', '- {name: a, timings_ms: {poll: 5}}', ['  ~ a  line 1: timings_ms: none -> poll 5']],
    [
      'another host',
      '- {name: a, host: h}',
      [
        '  ~ a  line 1: host: 10.10.0.10 -> h',
        '      it is another device then; its host key goes: vosctl connections trust a',
        '      its password goes: vosctl credentials set a',
      ],
    ],
    [
      'a twin',
      '- {name: b, host: 10.10.0.10, username: u}',
      ['  + b  line 1, no connection has this name: u@10.10.0.10, vos', '      it is the same device as a'],
    ],
    [
      'twice',
      '- {name: A, port: 22}\n- {name: a, port: 23}',
      ['  ~ a  line 1: name: a -> A', '  x line 2, a: name is on line 1 already', '      Say each connection once.'],
    ],
    [
      'twice, rejected at first',
      '- {name: b, prot: 22}\n- {name: b, host: h, username: u}',
      [
        '  x line 1, b: prot is no field of a connection',
        '      Did you mean port?',
        '  x line 2, b: name is on line 1 already',
        '      Say each connection once.',
      ],
    ],
    ['no host', '- {name: b, username: u}', ['  x line 1, b: host is missing', '      A new connection needs it.']],
  ])('says what becomes of %s', async (_, text, expected) => {
    expect(await lines(text)).toEqual(expected)
  })

  it('says that a device moves with its key', async () => {
    const opened = open()
    opened.house.add('a')
    const key = opened.list()[0]?.hostKey
    const text = `- {name: a, port: 2222, host_key: {type: ${key?.type}, fingerprint: "${key?.fingerprint}"}}`
    const made = await opened.plan(text)
    expect(planLines(made)[1]).toMatch(/^ {6}it is another device then; the file says that its host key is the same: /)
    expect(opened.write(made)).toEqual({ added: 0, changed: 1 })
    expect(opened.list()).toMatchObject([{ port: 2222, hostKey: key, credential: { type: 'none' } }])
  })
})

describe('packets', () => {
  it('hold all items, in order, each in one', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.constantFrom('x', '"', 'ö', '\ud800'), fc.nat(1300)).map(([one, times]) => one.repeat(times)),
          { maxLength: 200 },
        ),
        (items) => {
          const packets = inPackets(items)
          expect(packets.flat()).toEqual(items)
          for (const packet of packets) expect(Buffer.byteLength(JSON.stringify(packet))).toBeLessThan(60 * 1024)
        },
      ),
      { numRuns: 50 },
    )
  })
})

const LINE = fc
  .string({
    minLength: 1,
    maxLength: 40,
    unit: fc.oneof(
      fc.constantFrom(...`'"#:-&*!|>%@\`,;[]{}~ \\=?<`),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
    ),
  })
  .filter((text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(text))
const NAME = fc.oneof(
  fc.stringMatching(/^[A-Za-z][A-Za-z0-9._-]{0,20}$/),
  fc.constantFrom('null', 'true', 'no', 'y', 'NaN', 'e1', 'constructor'),
)
const INPUT = fc.record(
  {
    name: NAME,
    host: fc.oneof(
      fc.stringMatching(/^[A-Za-z0-9]{1,10}$/),
      fc.ipV6(),
      fc.ipV4(),
      fc.constantFrom('0x10', '1e3', '007'),
    ),
    username: LINE,
    port: fc.integer({ min: 1, max: 65535 }),
    platform: fc.constantFrom('vos', 'linux'),
    service: fc.oneof(LINE, fc.constant(null)),
    acceptNew: fc.boolean(),
    echo: fc.boolean(),
    enter: fc.constantFrom('cr', 'lf'),
    sudo: fc.boolean(),
    timings: fc.dictionary(fc.constantFrom(...Object.keys(DEFAULT_TIMINGS)), fc.integer({ min: 1, max: 1e6 })),
  },
  { requiredKeys: ['name', 'host', 'username'] },
)
const TOMORROW = dayOf(Date.now() + 86_400_000)
const OLD = fc.record({
  algorithms: fc.constant('legacy-vos'),
  algorithmsReason: LINE,
  algorithmsUntil: fc.constantFrom(TOMORROW, dayOf(Date.now() + 700 * 86_400_000)),
})
/** A key has a passphrase or none; any other source is named alone. A sealed password is in no file. */
const SOURCE = fc.oneof(
  fc.record({ keyPath: LINE.map((text) => `/${text.replaceAll(/[/.]/g, '')}`) }),
  fc.record({ keyPath: fc.constant('/k'), passphraseFrom: fc.constantFrom('helper:ops', 'helper:a-b') }),
  fc.record({ credential: fc.constantFrom('helper:ops', `agent:SHA256:${'A'.repeat(43)}`, 'prompt') }),
  fc.constant({}),
)
const LIMITS = fc.oneof(OLD, fc.constantFrom({}, { algorithms: 'modern' }))
const ANY = fc.tuple(INPUT, SOURCE, LIMITS).map(([input, source, limits]) => ({ ...input, ...source, ...limits }))
const HOUSE = fc.uniqueArray(ANY, { maxLength: 6, minLength: 1, selector: ({ name }) => name.toLowerCase() })

describe('a house that is exported', () => {
  it('is the same in an empty house, and nothing new in its own, whatever is in it', async () => {
    const [here, there] = [open(), open()]
    // Ends of what is allowed are compared with today.
    for (const { house } of [here, there]) house.clock = Date.now()
    const clear = ({ house }: Opened) =>
      house.store.write(() => house.store.connections.list().forEach(({ id }) => house.store.connections.remove(id)))
    await fc.assert(
      fc.asyncProperty(HOUSE, fc.boolean(), fc.boolean(), async (inputs, asJson, isPinned) => {
        clear(here)
        clear(there)
        for (const input of inputs) {
          const { id } = here.handlers['connection:add'](REQUESTS['connection:add'].parse(input)) as ConnectionView
          if (isPinned) here.house.store.connections.pin(id, KEY)
        }
        const document = toExportDocument(here.list())
        const text = asJson ? JSON.stringify(document) : toYaml(document)
        const format = asJson ? 'json' : 'yaml'
        expect(await here.plan(text, format)).toMatchObject({ added: [], changed: [], rejected: [] })
        expect(there.write(await there.plan(text, format))).toEqual({ added: inputs.length, changed: 0 })
        expect(there.list().map(toState)).toEqual(here.list().map(toState))
      }),
      { numRuns: 40 },
    )
  })
})
