import { describe, expect, test } from 'vitest'
import type { Fault, Mishap, Phase, Scenario, Simulator } from '../../src/simulator/index.ts'
import * as losses from '../../src/simulator/scenarios/losses.ts'
import { publisher } from '../../src/simulator/scenarios/restarts.ts'
import { connect, openShell, Session, simulate } from './session.ts'

const restart = 'utils service restart Cisco Tomcat'

/** What a client meets on its way. */
class Met {
  readonly opened = Promise.withResolvers<Session>()
  session?: Session
  closed?: Promise<void>
  error?: Error
}

/** Goes the whole way from the login to `exit`, or as far as it gets. */
async function walk(simulator: Simulator, met: Met): Promise<void> {
  const connected = await connect(simulator, {}, (client) => {
    met.closed = new Promise((resolve) => client.on('close', () => resolve()))
    client.on('error', (error) => (met.error ??= error))
  })
  if (!connected.ready) return
  await new Promise<void>((resolve) => {
    connected.client.shell({ term: 'vt100', cols: 200, rows: 1000 }, (error, channel) => {
      if (error) met.error ??= error
      else met.opened.resolve((met.session = new Session(connected, channel)))
      resolve()
    })
  })
  if (met.session === undefined) return
  await met.session.until('admin:')
  await met.session.exchange(restart, 'Cisco Tomcat')
  await met.session.exchange('\n', '\nadmin:')
  met.session.send('exit\n')
  await met.session.closed
}

/** How it ended, in words. */
async function endOf(mishap: Mishap, simulator: Simulator, met: Met, walked: Promise<void>): Promise<string> {
  if (mishap === 'silence' || mishap === 'half-open') return `${simulator.connections} open`
  if (mishap === 'close-shell') {
    await Promise.race([walked, met.opened.promise.then((session) => session.closed)])
    return `shell gone, ${simulator.connections} open`
  }
  await met.closed
  return met.error?.message.includes('ECONNRESET') ? 'reset' : 'closed'
}

const ends: Record<Mishap, string> = {
  silence: '1 open',
  'half-open': '1 open',
  close: 'closed',
  reset: 'reset',
  disconnect: 'closed',
  'close-shell': 'shell gone, 1 open',
}

/** What the client has seen when it breaks, and nothing after it. */
const seen: Record<Phase, RegExp> = {
  tcp: /^$/,
  kex: /^$/,
  auth: /^$/,
  channel: /^$/,
  shell: /^$/,
  banner: /^$/,
  prompt: /RAM\r\n\r\n$/,
  echo: /RAM\r\n\r\nadmin:$/,
  enter: /RAM\r\n\r\nadmin:.* Cisco Tomcat(\r\n)?$/,
  warning: /Again\r\nService Manager is running\r\n$/,
  stopping: /running\r\nCisco Tomcat\[STOPPING\] {2}\r\n$/,
  starting: /STOPPING\] {2}\r\nCisco Tomcat\[STARTING\] {2}\r\n$/,
  started: /STARTING\] {2}\r\nCisco Tomcat\[STARTED\] {2}\r\n$/,
  exit: /STARTED\] {2}\r\nadmin:exit\r\n$/,
}

describe('Every phase can break in every way', () => {
  test.each(losses.breakages.map((scenario) => [scenario.name, scenario] as const))('%s', async (_name, scenario) => {
    const { at, mishap } = scenario.faults[0] as Fault
    const simulator = await simulate(scenario)
    const met = new Met()
    const walked = walk(simulator, met)
    const struck = await simulator.ledger.until((ledger) => ledger.of('fault')[0])
    expect(struck).toMatchObject({ phase: at, mishap })
    expect(await endOf(mishap, simulator, met, walked)).toBe(ends[mishap])
    // What was sent before a silence is still on its way; after the other ends it has arrived.
    await met.session?.until((text) => seen[at].test(text))
    expect(met.session?.text ?? '').toMatch(met.session ? seen[at] : /^$/)
  })

  test('A silent shell still answers on SSH, a half-open link answers nothing', async () => {
    const silent = await openShell(await simulate(losses.silentMidRestart))
    await silent.until('admin:')
    silent.send(`${restart}\n`)
    await silent.until((text) => text.includes('[STOPPING]'))
    const answered = new Promise((resolve) => silent.client.exec('date', (_error, channel) => resolve(channel)))
    expect(await answered).toBeDefined()

    const frozen = await openShell(await simulate(losses.halfOpenMidRestart), {
      config: { keepaliveInterval: 30, keepaliveCountMax: 2 },
    })
    await frozen.until('admin:')
    frozen.send(`${restart}\n`)
    await frozen.lost
    expect(frozen.errors[0]?.message).toBe('Keepalive timeout')
  })

  test('A login that is never answered is an attempt all the same', async () => {
    const simulator = await simulate(losses.brokenAt('auth', 'silence'))
    void connect(simulator)
    await simulator.ledger.until((ledger) => ledger.of('fault')[0])
    expect(simulator.ledger.authAttempts().map(({ accepted }) => accepted)).toEqual([false])
  })

  test('Silence before SSH leaves TCP open: no ident, or an ident and no key exchange', async () => {
    const errors: unknown[] = []
    for (const phase of ['tcp', 'kex'] as const) {
      const simulator = await simulate(losses.brokenAt(phase, 'silence'))
      const connected = await connect(simulator, { readyTimeout: 60 })
      errors.push(connected.errors[0]?.message)
      const { ledger } = simulator
      await ledger.until(() => ledger.of('close').length > 0)
      expect(ledger.entries.map(({ type }) => type)).toEqual(['open', 'fault', 'close'])
    }
    expect(errors).toEqual(['Timed out while waiting for handshake', 'Timed out while waiting for handshake'])
  })
})

/** Types the restart and waits until it has been cut. */
async function cut(scenario: Scenario): Promise<{ simulator: Simulator; session: Session }> {
  const simulator = await simulate(scenario)
  const session = await openShell(simulator)
  await session.until('admin:')
  session.send(`${restart}\n`)
  await simulator.ledger.until((ledger) => ledger.of('fault')[0])
  return { simulator, session }
}

async function tomcatIn(simulator: Simulator): Promise<string | undefined> {
  const list = await (await openShell(simulator)).run('utils service list')
  return list.split('\n').find((line) => line.startsWith('Cisco Tomcat['))
}

describe('A restart whose session dies', () => {
  test.each([
    [losses.shellClosedGoesOn],
    [losses.resetGoesOn],
    [losses.closeGoesOn],
    [losses.halfOpenMidRestart],
    [losses.silentMidRestart],
    [losses.resetBeforeStateLine],
    [losses.enterArrives],
  ])('$name: it goes on to STARTED, seen by the next session', async (scenario: Scenario) => {
    const { simulator } = await cut(scenario)
    await simulator.ledger.until((ledger) => ledger.states('Cisco Tomcat').includes('STARTED'))
    expect(simulator.ledger.states('Cisco Tomcat')).toEqual(['STOPPING', 'STARTING', 'STARTED'])
    expect(await tomcatIn(simulator)).toBe('Cisco Tomcat[STARTED]')
    expect(simulator.ledger.restarts('Cisco Tomcat')).toHaveLength(1)
  })

  test.each([[losses.shellClosedStaysStopped], [losses.resetStaysStopped], [losses.closeStaysStopped]])(
    '$name: the service is down for good',
    async (scenario: Scenario) => {
      const { simulator } = await cut(scenario)
      await simulator.ledger.until((ledger) => ledger.states('Cisco Tomcat').includes('STOPPED'))
      expect(await tomcatIn(simulator)).toBe('Cisco Tomcat[STOPPED]  Commanded Out of Service')
      expect(simulator.ledger.states('Cisco Tomcat')).toEqual(['STOPPING', 'STOPPED'])
    },
  )

  test('It may never have begun: the list says STARTED all along', async () => {
    const { simulator, session } = await cut(losses.neverBegan)
    await session.lost
    expect(session.text).toContain('RESTARTED')
    expect(await tomcatIn(simulator)).toBe('Cisco Tomcat[STARTED]')
    expect(simulator.ledger.states('Cisco Tomcat')).toEqual([])
  })

  test('The Enter itself may be lost: nothing was executed', async () => {
    const { simulator, session } = await cut(losses.enterIsLost)
    await session.lost
    expect(simulator.ledger.commands()).toEqual([])
    expect(await tomcatIn(simulator)).toBe('Cisco Tomcat[STARTED]')
  })

  test('The connection outlives a closed shell', async () => {
    const { simulator, session } = await cut(losses.shellClosedGoesOn)
    await session.closed
    expect(simulator.connections).toBe(1)
    expect(simulator.ledger.of('close')).toEqual([])
  })
})

describe('Sessions', () => {
  test('The eleventh is closed, and one that leaves makes room', async () => {
    const simulator = await simulate(publisher)
    const sessions = await Promise.all(Array.from({ length: 10 }, () => openShell(simulator)))
    await Promise.all(sessions.map((session) => session.until('admin:')))
    const eleventh = await openShell(simulator)
    await eleventh.closed
    expect(eleventh.text).toBe('')
    sessions[0]?.send('exit\n')
    await sessions[0]?.closed
    await (await openShell(simulator)).until('admin:')
  })

  test('One too many is closed without a word, or with one', async () => {
    const silent = await openShell(await simulate(losses.sessionLimitSilent))
    await silent.closed
    expect(silent.text).toBe('')
    const wordy = await openShell(await simulate(losses.sessionLimitWithText))
    await wordy.closed
    expect(wordy.text).toBe('Maximum number of CLI sessions reached. Connection closed.\r\n')
  })

  test('An idle one is closed after 30 minutes, without a word or with one', async () => {
    for (const [scenario, words] of [
      [losses.idleClose, 'admin:'],
      [losses.idleCloseWithText, 'admin:\r\nThe session has timed out.\r\n'],
    ] as const) {
      const session = await openShell(await simulate(scenario, { timeScale: 0.0001 }))
      await session.closed
      expect(session.text.endsWith(words)).toBe(true)
    }
  })

  test('A command is not idleness', async () => {
    const { idleMs } = losses.idleClose.access.sessions
    const { services } = losses.idleClose
    const scenario = { ...losses.idleClose, services: { ...services, listMs: idleMs * 1.5 } }
    const session = await openShell(await simulate(scenario, { timeScale: 0.0001 }))
    expect(await session.run('utils service list')).toContain('Cisco Tomcat[STARTED]')
  })
})
