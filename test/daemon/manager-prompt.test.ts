import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { RefusedError } from '../../src/daemon/refused-error.ts'
import { UnreadError } from '../../src/daemon/secrets.ts'
import { House } from '../helpers/manager.ts'
import { until } from '../helpers/wait.ts'
import { LOST, output, ScriptedDevice, type Script } from '../helpers/scripted-device.ts'

const UNREAD = new UnreadError(new VosError('no_credential', 'The password of a is typed. Nothing was sent.'))
const RESTARTED: Script = {
  commit: [{ type: 'sent' }, output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STARTED]'), { type: 'ended' }],
}

function open(script: Script = RESTARTED) {
  const house = new House(() => new ScriptedDevice(script))
  const id = house.add('a')
  house.store.write(() => house.store.connections.edit(id, { credential: 'prompt' }))
  const login = () => house.store.connections.get(id)
  const refusal = (act: () => unknown): RefusedError => {
    try {
      act()
    } catch (error) {
      if (error instanceof RefusedError) return error
    }
    return expect.fail('it was taken on')
  }
  return { house, id, login, refusal }
}

describe('a password that is typed at each start', () => {
  it('is asked for after everything else that could stand in the way, and not for a plan of somebody who can be asked', () => {
    const { house, id, refusal } = open()
    expect(refusal(() => house.start(id))).toMatchObject({ code: 'needs_answer' })
    expect(house.start(id, { dryRun: true, attended: true }).plan).toHaveLength(1)
    expect(refusal(() => house.start(id, { dryRun: true }))).toMatchObject({ code: 'needs_answer' })
    expect(refusal(() => house.start(id, { attended: true }))).toMatchObject({ code: 'needs_answer' })
    house.store.write(() => house.store.connections.setHold(id, { since: 1, by: 'bob', reason: null }))
    expect(refusal(() => house.start(id))).toMatchObject({ code: 'on_hold' })
    expect(house.manager.board()).toEqual([])
  })

  it('of a jump host is asked for when nothing stands in the way behind it', () => {
    const { house, id: hop, refusal } = open()
    const behind = house.add('b', '10.10.0.11')
    house.store.write(() => house.store.connections.edit(behind, { via: 'a' }))
    expect(refusal(() => house.start(behind))).toMatchObject({ code: 'host_key_unpinned' })
    house.store.write(() => house.store.connections.edit(behind, { acceptNew: true, credential: 'prompt' }))
    expect(refusal(() => house.start(behind))).toMatchObject({
      refused: [{ code: 'needs_answer', connection: { id: hop } }],
    })
  })

  it('belongs to the operation of its request until that has ended', async () => {
    const { house, id, login, refusal } = open()
    const requestId = randomUUID()
    house.lent.lend(requestId, login(), 'typed')
    const operation = house.start(id, { requestId }).operations[0]?.id ?? ''
    expect(house.lent.find(operation, login())).toBe('typed')
    expect(house.lent.find(operation, { ...login(), id: id + 1 })).toBeUndefined()
    await house.settled(operation)
    expect(house.lent.find(operation, login())).toBeUndefined()
    expect(house.lent.isLent(requestId, login())).toBe(false)
    expect(refusal(() => house.start(id))).toMatchObject({ code: 'needs_answer' })
    // The same request again gives back what it gave.
    expect(house.start(id, { requestId }).operations.map((one) => one.id)).toEqual([operation])
  })

  it('goes to the new operation, not to the one whose unknown outcome is accepted with it', async () => {
    const { house, id, login } = open({
      commit: [{ type: 'sent' }, { type: 'question', text: 'Continue?' }, { type: 'ended' }],
    })
    const ask = async () => {
      const requestId = randomUUID()
      house.lent.lend(requestId, login(), 'typed')
      const operation = house.start(id, { requestId, despiteUnknown: true }).operations[0]?.id ?? ''
      expect(house.lent.find(operation, login())).toBe('typed')
      return await house.settled(operation)
    }
    const { status, id: first } = await ask()
    expect(status).toBe('unknown')
    await ask()
    expect(house.lent.find(first, login())).toBeUndefined()
  })

  it('waits with an operation that waits for its device', async () => {
    const { promise: held, resolve: go } = Promise.withResolvers<void>()
    const { house, id, login } = open({ ...RESTARTED, pause: () => held })
    const requests = [randomUUID(), randomUUID()]
    for (const requestId of requests) house.lent.lend(requestId, login(), `typed for ${requestId}`)
    const [first, second] = requests.map(
      (requestId, index) =>
        house.start(id, { requestId, ...(index === 1 ? { ifRunning: 'queue', service: 'Cisco Tomcat' } : {}) })
          .operations[0]?.id ?? '',
    )
    go()
    expect((await house.settled(first ?? '')).status).toBe('completed')
    expect((await house.settled(second ?? '')).status).toBe('completed')
  })

  it('of a daemon that has ended is gone: what was sent ends unknown with that reason, and no login is held', async () => {
    let observations = 0
    const never = new Promise<void>(() => undefined)
    // Hangs after the command was sent.
    const pause = (method: string) => (method === 'observation' && ++observations > 1 ? never : undefined)
    const { house, id, login } = open({ ...RESTARTED, pause })
    const requestId = randomUUID()
    house.lent.lend(requestId, login(), 'typed')
    const operation = house.start(id, { requestId }).operations[0]?.id ?? ''
    await happened(house, operation, 'sent')
    house.crash(() => new ScriptedDevice({ login: [UNREAD] }))
    const ended = await house.settled(operation)
    expect(ended).toMatchObject({ status: 'unknown', error: { code: 'connection_lost_after_sending' } })
    expect(ended.message).toBe('outcome unknown: The password of a is typed')
    expect(house.manager.loginHold(house.store.connections.get(id))).toBeNull()
  })
})

describe('a secret that could not be had', () => {
  it.each(['no_credential', 'store_locked', 'cancelled', 'interrupted', 'deadline'] as const)(
    'for the reason %s leaves no hold: no attempt was made',
    async (code) => {
      const error = new UnreadError(new VosError(code, 'no. Nothing was sent.'))
      const house = new House(() => new ScriptedDevice({ login: [error] }))
      const id = house.add('a')
      await house.settled(house.start(id).operations[0]?.id ?? '')
      expect(house.manager.loginHold(house.store.connections.get(id))).toBeNull()
      expect(house.start(id).operations).toHaveLength(1)
    },
  )

  it('leaves the hold that stood before it', async () => {
    const login = [new VosError('login_refused', 'no'), UNREAD]
    const device = new ScriptedDevice({ login })
    const house = new House(() => device)
    const id = house.add('a')
    await house.settled(house.start(id).operations[0]?.id ?? '')
    const hold = house.manager.loginHold(house.store.connections.get(id))
    expect(hold).not.toBeNull()
    await house.settled(house.start(id, { despiteLoginHold: true }).operations[0]?.id ?? '')
    expect(house.manager.loginHold(house.store.connections.get(id))).toEqual(hold)
  })

  it('after the link was lost ends unknown, and holds no login that was never tried', async () => {
    const device = new ScriptedDevice({ commit: [{ type: 'sent' }, LOST], login: ['ok', UNREAD] })
    const house = new House(() => device)
    const id = house.add('a')
    const ended = await house.settled(house.start(id).operations[0]?.id ?? '')
    expect(ended.status).toBe('unknown')
    expect(house.manager.loginHold(house.store.connections.get(id))).toBeNull()
  })
})

async function happened(house: House, id: string, type: string): Promise<void> {
  await until(`${id} is ${type}`, () =>
    house.store.operations.events(id, 0, 100).some(({ event }) => event.type === type),
  )
}
