import { describe, expect, it } from 'vitest'
import { rows, scenarios, vary, type Scenario } from '../../src/simulator/index.ts'
import { bench, expectCode, failure, logIn } from './vos-fixture.ts'

const publisher = scenario('publisher')
const LIST = 'utils service list'

describe.concurrent('the service list of a VOS appliance', { timeout: 30_000 }, () => {
  it.each([
    ...(rows[15] ?? []).filter(({ name }) => !['list-empty', 'list-strange-states'].includes(name)),
    ...(rows[7] ?? []),
    ...(rows[16] ?? []),
    ...(rows[18] ?? []),
    scenario('blank-after-prompt'),
    scenario('wraps'),
    scenario('drops-typeahead'),
  ])('is read whole, and again in the same session: $name, $story', async (appliance) => {
    await using it = await bench(appliance)
    await logIn(it.device)
    const expected = it.simulator.services.map(({ name, state, reason }) => ({ name, state, reason }))
    // Byte by byte it takes a second: once is enough.
    const lists = appliance.terminal.dribbles.includes('output') ? [LIST] : [LIST, LIST]
    for (const _ of lists) {
      const services = await it.device.services()
      expect(services.map(({ name, state, reason }) => ({ name, state, reason }))).toEqual(expected)
    }
    expect(it.simulator.ledger.commands()).toEqual(lists)
    expect(it.simulator.ledger.enters()).toBe(lists.length)
  })

  it.each(rows[10]?.filter(({ name }) => name !== 'unexpected-question') ?? [])(
    'is read to its end through a pager: $name, $story',
    async (appliance) => {
      await using it = await bench(appliance)
      await logIn(it.device)
      expect(await it.device.services()).toHaveLength(it.simulator.services.length)
      expect(it.simulator.ledger.enters()).toBe(1)
    },
  )

  it('keeps states that nobody has seen yet as they are', async () => {
    await using it = await bench(scenario('list-strange-states'))
    await logIn(it.device)
    const services = await it.device.services()
    const odd = services.filter(({ state }) => !['STARTED', 'STOPPED'].includes(state))
    expect(odd.map(({ name, state }) => `${name}[${state}]`)).toEqual(
      expect.arrayContaining([
        'Cisco Unified CCX Engine[PARTIAL SERVICE]',
        'Cisco Unified CCX Socket.IO Service[SHUTDOWN]',
      ]),
    )
  })

  it('says for each service what a restart would be refused for', async () => {
    await using it = await bench(scenario('list-subscriber'))
    await logIn(it.device)
    const services = await it.device.services()
    const refusalOf = (name: string) => services.find((service) => service.name === name)?.refusal
    expect(refusalOf('System SSH')).toBe('cuts_session')
    expect(refusalOf('Cisco DRF Master')).toBe('stopped_by_admin')
    expect(refusalOf('Cisco DirSync')).toBe('not_activated')
    expect(refusalOf('Cisco Tomcat')).toBeUndefined()
  })

  it.each([
    ['only-cr', 'cr'],
    ['only-lf', 'lf'],
  ] as const)('is asked for with the one byte that means Enter: %s', async (name, enter) => {
    await using it = await bench(scenario(name), { connection: { enter } })
    await logIn(it.device)
    await it.device.services()
    expect(it.simulator.ledger.of('enter').map(({ key }) => key)).toEqual([enter])
  })

  it.each(['echo-at-enter', 'echo-never'])('is read from a device without an echo before Enter: %s', async (name) => {
    await using it = await bench(scenario(name), { connection: { echo: false } })
    await logIn(it.device)
    expect(await it.device.services()).toHaveLength(it.simulator.services.length)
  })

  it('is not believed when it has no services', async () => {
    await using it = await bench(scenario('list-empty'))
    await logIn(it.device)
    await expect(it.device.services()).rejects.toMatchObject({ code: 'not_a_service_list' })
    // It did end with the prompt: the session is still good for leaving politely.
    await it.device.close()
    expect(it.simulator.ledger.commands()).toEqual([LIST, 'exit'])
  })

  it('is not believed when the line between its two groups is missing', async () => {
    const cut = publisher.product.serviceList.replace('Service Manager is running\n', '')
    await using it = await bench(vary(publisher, publisher, { product: { serviceList: cut } }))
    await logIn(it.device)
    await expect(it.device.services()).rejects.toMatchObject({ code: 'not_a_service_list' })
  })

  it('is given up when it does not end in time', async () => {
    const slow = vary(publisher, publisher, { services: { listMs: 3_600_000 } })
    await using it = await bench(slow, { timings: { commandMs: 200 } })
    await logIn(it.device)
    const error = await expectCode(it.device.services(), 'command_timeout')
    expect(error.deviceLines).toContain('Requesting service status, please wait...')
    expect(it.simulator.ledger.enters()).toBe(1)
  })

  it('is given up without an answer when the device asks something', async () => {
    const asking = vary(publisher, publisher, {
      product: { answers: { [LIST]: [{ ask: 'Continue (y/n)?', echo: 'text' }] } },
    })
    await using it = await bench(asking)
    await logIn(it.device)
    const error = await expectCode(it.device.services(), 'unexpected_prompt')
    expect(error.message).toContain('Continue (y/n)?')
  })

  it.each(['close', 'reset'] as const)('is given up when the connection is lost: %s', async (how) => {
    const slow = vary(publisher, publisher, { services: { listMs: 3_600_000 } })
    await using it = await bench(slow)
    await logIn(it.device)
    const listed = failure(it.device.services())
    await it.simulator.ledger.until((ledger) => ledger.commands().length === 1)
    it.simulator.dropConnections(how)
    expect((await listed).code).toBe('connection_lost')
  })

  it('is not asked for with a mangled command', async () => {
    await using it = await bench(scenario('slow-everywhere'), { timings: { echoMs: 200 } })
    await logIn(it.device)
    const error = await expectCode(it.device.services(), 'echo_mismatch')
    expect(error.deviceLines[0]).toBe(`typed:  ${LIST}`)
    expect(it.simulator.ledger.commands()).toEqual([])
  })

  it('keeps hostile text out of names and reasons', async () => {
    await using it = await bench(scenario('hostile'))
    await logIn(it.device)
    const services = await it.device.services()
    const names = services.map(({ name }) => name)
    expect(names).toContain('Cisco Tomcat')
    expect(names.some((name) => /[^A-Za-z0-9 ._\-/()]/.test(name))).toBe(false)
    expect(JSON.stringify(services)).not.toMatch(/\\u001b|\\u0007|\u202e/)
  })

  it('is not disturbed by a line of a megabyte', async () => {
    await using it = await bench(scenario('flooding'))
    await logIn(it.device)
    expect(await it.device.services()).toHaveLength(it.simulator.services.length)
  })
})

describe.concurrent('following the service list', { timeout: 30_000 }, () => {
  it('yields a list at every poll until the limit', async () => {
    await using it = await bench(publisher, { timings: { pollMs: 60, pollLimitMs: 300 } })
    await logIn(it.device)
    let polls = 0
    for await (const services of it.device.follow()) {
      expect(services.length).toBeGreaterThan(20)
      polls += 1
    }
    expect(polls).toBeGreaterThanOrEqual(2)
    expect(it.simulator.ledger.commands()).toHaveLength(polls)
  })

  it('sees a service change', async () => {
    await using it = await bench(publisher, { timings: { pollLimitMs: 10_000 } })
    await logIn(it.device)
    it.simulator.setService('Cisco Tomcat', 'STARTING')
    const states: (string | undefined)[] = []
    for await (const services of it.device.follow()) {
      states.push(services.find(({ name }) => name === 'Cisco Tomcat')?.state)
      if (states.length === 2) it.simulator.setService('Cisco Tomcat', 'STARTED')
      if (states.at(-1) === 'STARTED') break
    }
    expect(states.slice(0, 2)).toEqual(['STARTING', 'STARTING'])
  })

  it('passes over an answer that makes no sense', async () => {
    await using it = await bench(scenario('list-empty'), { timings: { pollLimitMs: 10_000 } })
    await logIn(it.device)
    const lists = it.device.follow()
    const first = lists.next()
    await it.simulator.ledger.until((ledger) => ledger.commands().length >= 2)
    it.simulator.setScenario(publisher)
    expect((await first).value?.length).toBeGreaterThan(20)
    await lists.return(undefined)
  })

  it('says so when no answer made sense until the limit', async () => {
    await using it = await bench(scenario('list-empty'), { timings: { pollLimitMs: 150 } })
    await logIn(it.device)
    await expect(it.device.follow().next()).rejects.toMatchObject({ code: 'not_a_service_list' })
    expect(it.simulator.ledger.commands().length).toBeGreaterThan(1)
  })

  it('ends with the cause when the link dies between two polls', async () => {
    await using it = await bench(publisher, { timings: { pollMs: 30_000, pollLimitMs: 60_000 } })
    await logIn(it.device)
    const lists = it.device.follow()
    await lists.next()
    const next = lists.next()
    it.simulator.dropConnections()
    await expect(next).rejects.toMatchObject({ code: 'connection_lost' })
  })
})

describe.concurrent('closing', { timeout: 30_000 }, () => {
  it('leaves with exit when it is at the prompt', async () => {
    await using it = await bench(publisher)
    await logIn(it.device)
    await it.device.close()
    expect(it.simulator.ledger.commands()).toEqual(['exit'])
    expect(it.simulator.ledger.enters()).toBe(1)
  })

  it('may be done twice, before anything and after everything', async () => {
    await using it = await bench(publisher)
    await it.device.close()
    await logIn(it.device)
    await Promise.all([it.device.close(), it.device.close()])
    await it.device.close()
    expect(it.simulator.ledger.commands()).toEqual(['exit'])
  })

  it('leaves the same object good for another login', async () => {
    await using it = await bench(publisher)
    for (const _ of [1, 2]) {
      await logIn(it.device)
      expect(await it.device.services()).not.toHaveLength(0)
      await it.device.close()
    }
    expect(it.secretReads()).toBe(2)
    expect(it.simulator.ledger.commands()).toEqual([LIST, 'exit', LIST, 'exit'])
  })

  it('waits only a short time for a device that does not let go', async () => {
    const stuck = vary(publisher, publisher, { product: { answers: { exit: [{ say: '', afterMs: 3_600_000 }] } } })
    const frozen = await bench(stuck)
    await logIn(frozen.device)
    frozen.simulator.pauseOutput()
    const startedAt = performance.now()
    await frozen.device.close()
    expect(performance.now() - startedAt).toBeLessThan(1_500)
    frozen.simulator.resumeOutput()
    await frozen.simulator.stop()
  })

  it('ends a connection attempt that is under way', async () => {
    await using it = await bench({ ...publisher, faults: (scenarios.get('silence-at-tcp') ?? publisher).faults })
    const connected = it.device.connect()
    await it.simulator.ledger.until((ledger) => ledger.of('open').length === 1)
    await it.device.close()
    await expect(connected).rejects.toMatchObject({ code: 'connection_lost' })
  })
})

function scenario(name: string): Scenario {
  const found = scenarios.get(name)
  if (!found) throw new Error(`No scenario ${name}`)
  return found
}
