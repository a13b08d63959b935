import { describe, expect, it } from 'vitest'
import { dayOf, deviceKey, type HostKey } from '../../src/core/connection.ts'
import type { Attempt } from '../../src/core/device.ts'
import { VosError } from '../../src/core/errors.ts'
import { House } from '../helpers/manager.ts'
import { ScriptedDevice, type Script } from '../helpers/scripted-device.ts'
import { handlersOf } from '../helpers/secrets.ts'

const key = (letter: string): HostKey => ({ type: 'ssh-ed25519', fingerprint: `SHA256:${letter.repeat(43)}` })
const [FIRST, SECOND] = [key('A'), key('B')]

/** A device that shows a key while none is pinned. */
class Stranger extends ScriptedDevice {
  readonly #shows: HostKey
  constructor(shows: HostKey, script: Script = {}) {
    super(script)
    this.#shows = shows
  }

  override async connect(options?: { readonly patient?: boolean }): Promise<Attempt> {
    return { ...(await super.connect(options)), firstSight: this.#shows }
  }
}

function lab(device: (name: string) => ScriptedDevice) {
  const house = new House(device)
  const { connections } = house.store
  const add = (name: string, acceptNew = true): number =>
    house.store.write(() => {
      const input = { name, host: '10.10.0.10', username: 'admin', acceptNew }
      const { id } = connections.add(input, house.clock)
      connections.setSealedPassword(id, Buffer.from('sealed'))
      return id
    })
  const pinned = (id: number) => house.store.connections.get(id).hostKey
  const types = (id: string) => house.store.operations.events(id, 0, 100).map(({ event }) => event.type)
  return { house, add, pinned, types }
}

const idOf = (result: { readonly operations: readonly { readonly id: string }[] }) => result.operations[0]?.id ?? ''

describe('a connection that takes the first key', () => {
  it('is never one by itself: without the word nothing is begun', () => {
    const { house, add } = lab(() => expect.fail('opened'))
    expect(() => house.start(add('cucm-pub', false))).toThrow(expect.objectContaining({ code: 'host_key_unpinned' }))
  })

  it('has it pinned on disk, with its event, before anything of the login leaves', async () => {
    const seen: unknown[] = []
    const { house, add, pinned, types } = lab(
      () => new Stranger(FIRST, { pause: (method) => void (method === 'login' && seen.push(pinned(1))) }),
    )
    const id = add('lab')
    const operation = await house.settled(idOf(house.start(id, { operationType: 'ssh_test' })))
    expect(operation.message).toContain('host key pinned on first sight')
    expect(operation.evidence[0]?.value).toBe(`pinned on first sight: ssh-ed25519 ${FIRST.fingerprint}`)
    expect(seen).toEqual([FIRST])
    expect(types(operation.id).slice(0, 5)).toEqual([
      'accepted',
      'connecting',
      'pinned',
      'authenticating',
      'authenticated',
    ])
    house.crash()
    expect(house.store.connections.get(id).hostKey).toEqual(FIRST)
  })

  /** Both have read that no key is pinned when the first one pins. */
  async function race(shown: readonly [HostKey, HostKey]) {
    const both = Promise.withResolvers<void>()
    let waiting = 0
    const devices: ScriptedDevice[] = []
    const pause = async (method: string) => {
      if (method !== 'connect') return
      if (++waiting === 2) both.resolve()
      await both.promise
    }
    const { house, add, pinned, types } = lab(() => {
      const device = new Stranger(shown[devices.length] ?? SECOND, {
        pause,
        commit: [{ type: 'sent' }, { type: 'ended' }],
      })
      devices.push(device)
      return device
    })
    const id = add('lab')
    const tests = [
      idOf(house.start(id, { operationType: 'ssh_test' })),
      idOf(house.start(id, { operationType: 'service_restart', service: 'Nothing' })),
    ]
    const ended = await Promise.all(tests.map((one) => house.settled(one)))
    return { devices, ended, events: tests.flatMap(types), pin: pinned(id) }
  }

  it('takes one of two that are seen at once: the other one is a changed key, and gets no login', async () => {
    const { devices, ended, events, pin } = await race([FIRST, SECOND])
    expect(events.filter((type) => type === 'pinned')).toHaveLength(1)
    const loser = ended.findIndex(({ error }) => error?.code === 'host_key_changed')
    expect(pin).toEqual([SECOND, FIRST][loser])
    expect(devices[loser]?.calls).not.toContain('login')
    expect(devices[1 - loser]?.calls).toContain('login')
  })

  it('has it pinned once when two see the same', async () => {
    const { devices, events, pin } = await race([FIRST, FIRST])
    expect(events.filter((type) => type === 'pinned')).toHaveLength(1)
    expect(pin).toEqual(FIRST)
    for (const device of devices) expect(device.calls).toContain('login')
  })
})

describe('a pinned key', () => {
  it('is replaced only by whoever names the one that is pinned at that moment', () => {
    const house = new House(() => expect.fail('opened'))
    const id = house.add('cucm-pub')
    const trust = (hostKey: HostKey, replaces?: string) =>
      handlersOf(house)['connection:trust']({
        id,
        device: deviceKey(house.store.connections.get(id)),
        hostKey,
        ...(replaces === undefined ? {} : { replaces }),
      })
    house.store.write(() => house.store.connections.pin(id, FIRST))
    for (const replaces of [undefined, SECOND.fingerprint, '']) {
      expect(() => trust(SECOND, replaces)).toThrow(VosError)
      expect(house.store.connections.get(id).hostKey).toEqual(FIRST)
    }
    void trust(SECOND, FIRST.fingerprint)
    expect(house.store.connections.get(id).hostKey).toEqual(SECOND)
    // Somebody who has compared the first two comes too late.
    expect(() => trust(key('C'), FIRST.fingerprint)).toThrow(expect.objectContaining({ code: 'bad_request' }))
    house.store.write(() => house.store.connections.edit(id, { host: '10.10.0.99' }))
    expect(() => trust(FIRST, SECOND.fingerprint)).toThrow('no key is pinned any more')
    void trust(FIRST)
    expect(house.store.connections.get(id).hostKey).toEqual(FIRST)
  })
})

describe('old algorithms', () => {
  function open() {
    const house = new House(() => new ScriptedDevice({}))
    const id = house.add('cucm-old')
    const handlers = handlersOf(house)
    const day = (days: number) => dayOf(house.clock + days * 86_400_000)
    const edit = (change: object) => void handlers['connection:edit']({ id, change })
    return { house, id, day, edit, now: () => house.store.connections.get(id) }
  }

  it.each<[string, (day: (days: number) => string) => object, RegExp]>([
    ['a reason', (day) => ({ algorithms: 'legacy-vos', algorithmsUntil: day(1) }), /the reason is missing/],
    ['an end', () => ({ algorithms: 'legacy-vos', algorithmsReason: 'x' }), /the last day is missing/],
    [
      'an end to come',
      (day) => ({ algorithms: 'legacy-vos', algorithmsReason: 'x', algorithmsUntil: day(-1) }),
      /is over/,
    ],
    [
      'a near end',
      (day) => ({ algorithms: 'legacy-vos', algorithmsReason: 'x', algorithmsUntil: day(800) }),
      /too far/,
    ],
    ['old algorithms', (day) => ({ algorithmsUntil: day(1) }), /is for old algorithms only/],
  ])('are not allowed without %s', (_, change, words) => {
    const { day, edit, now } = open()
    expect(() => edit(change(day))).toThrow(words)
    expect(now()).toMatchObject({ algorithms: 'modern', algorithmsReason: null, algorithmsUntil: null })
  })

  it('are allowed with both, can be allowed longer, end by themselves, and modern forgets both', () => {
    const { house, id, day, edit, now } = open()
    edit({ algorithms: 'legacy-vos', algorithmsReason: '11.5', algorithmsUntil: day(0) })
    edit({ algorithmsUntil: day(2) })
    expect(now()).toMatchObject({ algorithms: 'legacy-vos', algorithmsReason: '11.5', algorithmsUntil: day(2) })
    house.clock += 3 * 86_400_000
    expect(() => house.start(id)).toThrow(expect.objectContaining({ code: 'algorithms_expired' }))
    // Another change needs no new day.
    edit({ echo: false })
    edit({ algorithms: 'modern' })
    expect(now()).toMatchObject({ algorithms: 'modern', algorithmsReason: null, algorithmsUntil: null })
  })

  it('that an older vosctl allowed go on without an end', async () => {
    const { house, id, edit, now } = open()
    house.store.write(() => house.store.connections.edit(id, { algorithms: 'legacy-vos' }))
    edit({ echo: false })
    expect(now()).toMatchObject({ algorithms: 'legacy-vos', algorithmsUntil: null })
    const ended = await house.settled(idOf(house.start(id, { operationType: 'ssh_test' })))
    expect(ended.status).toBe('completed')
  })
})
