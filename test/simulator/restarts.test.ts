import { expect, test } from 'vitest'
import type { Scenario } from '../../src/simulator/index.ts'
import * as restarts from '../../src/simulator/scenarios/restarts.ts'
import * as refusals from '../../src/simulator/scenarios/refusals.ts'
import { openShell, type Session, simulate } from './session.ts'

/** The line of a service in the list of this moment. */
async function listed(session: Session, service: string): Promise<string | undefined> {
  const list = await session.run('utils service list')
  return list.split('\n').find((line) => line.startsWith(`${service}[`))
}

test('A subscriber prints STARTING and the prompt; the list says STARTING three times, then STARTED', async () => {
  const simulator = await simulate(restarts.subscriber)
  const session = await openShell(simulator)
  const received = await session.run('utils service restart Cisco Tomcat')
  expect(received.match(/\[\w+\]/g)).toEqual(['[STARTING]', '[STARTING]', '[STARTING]'])
  const seen: unknown[] = []
  for (let poll = 0; poll < 5; poll += 1) seen.push(await listed(session, 'Cisco Tomcat'))
  expect(seen).toEqual([
    'Cisco Tomcat[STARTING]',
    'Cisco Tomcat[STARTING]',
    'Cisco Tomcat[STARTING]',
    'Cisco Tomcat[STARTED]',
    'Cisco Tomcat[STARTED]',
  ])
})

test('A subscriber whose service does not come up ends STOPPED, with the reason', async () => {
  const simulator = await simulate(restarts.subscriberEndsStopped)
  const session = await openShell(simulator)
  await session.run('utils service restart Cisco Tomcat')
  const seen: unknown[] = []
  for (let poll = 0; poll < 4; poll += 1) seen.push(await listed(session, 'Cisco Tomcat'))
  expect(seen.at(2)).toBe('Cisco Tomcat[STARTING]')
  expect(seen.at(3)).toBe('Cisco Tomcat[STOPPED]  Component is not running')
})

test('The list can say STARTING any number of times, and end with a rarer word', async () => {
  const once = await openShell(await simulate(restarts.startingFor(1)))
  await once.run('utils service restart Cisco Tomcat')
  expect([await listed(once, 'Cisco Tomcat'), await listed(once, 'Cisco Tomcat')]).toEqual([
    'Cisco Tomcat[STARTING]',
    'Cisco Tomcat[STARTED]',
  ])
  const never = await openShell(await simulate(restarts.subscriberEndsNotRunning))
  await never.run('utils service restart Cisco Tomcat')
  expect(await listed(never, 'Cisco Tomcat')).toBe('Cisco Tomcat[NOTRUNNING]  Component is not running')
})

test('A subscriber can stay in STARTING for ever', async () => {
  const session = await openShell(await simulate(restarts.subscriberNeverStarts))
  await session.run('utils service restart Cisco Tomcat')
  for (let poll = 0; poll < 5; poll += 1) expect(await listed(session, 'Cisco Tomcat')).toBe('Cisco Tomcat[STARTING]')
})

test('A restart that ends STOPPED says so itself, and the list agrees', async () => {
  const session = await openShell(await simulate(restarts.endsStopped))
  expect(await session.run('utils service restart Cisco Tomcat')).toMatch(/Cisco Tomcat\[STOPPED\] {2}\n$/)
  expect(await listed(session, 'Cisco Tomcat')).toBe('Cisco Tomcat[STOPPED]  Component is not running')
})

test('A restart that never finishes prints STARTING and no prompt, and another session sees the same', async () => {
  const simulator = await simulate(restarts.neverFinishes)
  const session = await openShell(simulator)
  await session.until('admin:')
  session.send('utils service restart Cisco Tomcat\n')
  await session.until((text) => text.split('[STARTING]').length > 20)
  expect(session.text).not.toMatch(/\nadmin:[^]*\nadmin:/)
  expect(await listed(await openShell(simulator), 'Cisco Tomcat')).toBe('Cisco Tomcat[STARTING]')
})

test('A restart can print STARTED only, and then nothing has moved', async () => {
  const simulator = await simulate(restarts.startedOnly)
  const session = await openShell(simulator)
  const received = await session.run('utils service restart Cisco Tomcat')
  expect(received.match(/\[\w+\]/g)).toEqual(['[STARTED]', '[STARTED]'])
  expect(simulator.ledger.of('state')).toEqual([])
})

test('A restart can name and move only the neighbour with the longer name', async () => {
  const simulator = await simulate(restarts.actsOnNeighbour)
  const session = await openShell(simulator)
  const received = await session.run('utils service restart Cisco Tomcat')
  expect(received).toContain('\nCisco Tomcat Stats Servlet[STARTED]')
  expect(received).not.toContain('Cisco Tomcat[')
  expect(simulator.ledger.states('Cisco Tomcat')).toEqual([])
})

test('Another service can go down with the restarted one, and the list shows it', async () => {
  const session = await openShell(await simulate(restarts.collateral))
  await session.run('utils service restart Cisco XCP Router')
  expect(await listed(session, 'Cisco XCP Router')).toBe('Cisco XCP Router[STARTED]')
  expect(await listed(session, 'Cisco XCP Text Conference Manager')).toBe(
    'Cisco XCP Text Conference Manager[STOPPED]  Commanded Out of Service',
  )
})

test.each([
  ['y', 3, ['y']],
  ['n', 0, ['n']],
])('An unexpected question waits for an answer, and %s means %d changes of state', async (answer, changes, answers) => {
  const simulator = await simulate(restarts.unexpectedQuestion)
  const session = await openShell(simulator)
  await session.until('admin:')
  await session.exchange('utils service restart Cisco Tomcat\n', 'Continue (y/n)?')
  expect(simulator.ledger.of('state')).toEqual([])
  await session.exchange(`${answer}\n`, '\nadmin:')
  expect(simulator.ledger.states('Cisco Tomcat')).toHaveLength(changes)
  expect(simulator.ledger.of('answer').map(({ text }) => text)).toEqual(answers)
})

test('Ctrl-C can leave the service stopped, or only end the command', async () => {
  const ends: unknown[] = []
  for (const scenario of [restarts.ctrlCLeavesItStopped, restarts.ctrlCOnlyEndsTheCommand]) {
    const simulator = await simulate(scenario)
    const session = await openShell(simulator)
    await session.until('admin:')
    session.send('utils service restart Cisco Tomcat\n')
    await session.until((text) => text.includes('[STOPPING]'))
    await session.exchange('\x03', '^C\r\nadmin:')
    const end = await simulator.ledger.until((ledger) =>
      ledger.states('Cisco Tomcat').find((state) => state === 'STOPPED' || state === 'STARTED'),
    )
    ends.push(end)
  }
  expect(ends).toEqual(['STOPPED', 'STARTED'])
})

test('A service can be stopped and started, and every session sees the same states', async () => {
  const simulator = await simulate(restarts.publisher)
  const [first, second] = await Promise.all([openShell(simulator), openShell(simulator)])
  await first.run('utils service stop Cisco Tftp')
  expect(await listed(second, 'Cisco Tftp')).toBe('Cisco Tftp[STOPPED]  Commanded Out of Service')
  await second.run('utils service start Cisco Tftp')
  expect(await listed(first, 'Cisco Tftp')).toBe('Cisco Tftp[STARTED]')
  expect(simulator.ledger.states('Cisco Tftp')).toEqual(['STOPPING', 'STOPPED', 'STARTING', 'STARTED'])
})

test('A list in the middle of a restart shows the state of that moment', async () => {
  const simulator = await simulate(restarts.neverFinishes)
  const [first, second] = await Promise.all([openShell(simulator), openShell(simulator)])
  await first.until('admin:')
  first.send('utils service restart Cisco Tomcat\n')
  await first.until((text) => text.includes('[STARTING]'))
  expect(await listed(second, 'Cisco Tomcat')).toBe('Cisco Tomcat[STARTING]')
})

test('Restarting System SSH cuts every session and refuses SSH until it is started again', async () => {
  const simulator = await simulate(restarts.neverFinishes)
  const sessions = await Promise.all([openShell(simulator), openShell(simulator)])
  await Promise.all(sessions.map((session) => session.until('admin:')))
  sessions[0]?.send('utils service restart System SSH\n')
  await Promise.all(sessions.map((session) => session.lost))
  await simulator.ledger.until((ledger) => ledger.states('System SSH').includes('STARTING'))
  await expect(openShell(simulator)).rejects.toThrow('let nobody in')
  simulator.setService('System SSH', 'STARTED')
  expect(await (await openShell(simulator)).until('admin:')).toContain('Welcome')
})

const refusing: readonly (readonly [Scenario, string])[] = [
  [refusals.refusesNotActivated, 'Service is not activated\nExecuted command unsuccessfully.\n'],
  [refusals.refusesWithStateLine, 'Service Manager is running\nCisco Tomcat[STOPPED]  Service Not Activated\n'],
  [refusals.refusesOutOfService, 'Service is Commanded Out of Service\nExecuted command unsuccessfully.\n'],
  [refusals.refusesUnknownName, 'Service name is not valid\nExecuted command unsuccessfully.\n'],
  [refusals.refusesDuringUpgrade, 'This command is not allowed during an upgrade\nExecuted command unsuccessfully.\n'],
  [refusals.refusesPrivilege, 'Incomplete command entered\n'],
  [refusals.refusesAsUnknownCommand, 'No valid command entered\n'],
  [refusals.refusesUnsuccessfully, 'Executed command unsuccessfully.\n'],
  [refusals.refusesSilently, ''],
]

test.each(refusing.map(([scenario, words]) => [scenario.name, scenario, words] as const))(
  '%s answers with its words and the prompt, and moves nothing',
  async (_name, scenario, words) => {
    const simulator = await simulate(scenario)
    const session = await openShell(simulator)
    const received = await session.run('utils service restart Cisco Tomcat')
    expect(received).toBe(`utils service restart Cisco Tomcat\n${words}`)
    expect(simulator.ledger.of('state')).toEqual([])
    expect(simulator.ledger.restarts('Cisco Tomcat')).toHaveLength(1)
  },
)

test('What is not in the list, or not activated, is refused by any appliance, unless it restarts that too', async () => {
  const session = await openShell(await simulate(restarts.publisher))
  for (const name of ['Cisco Nonsense', 'cisco tomcat', 'Cisco DirSync']) {
    expect(await session.run(`utils service restart ${name}`)).toContain('Executed command unsuccessfully.')
  }
  const simulator = await simulate(refusals.restartsNotActivated)
  await (await openShell(simulator)).run('utils service restart Cisco DirSync')
  expect(simulator.ledger.states('Cisco DirSync')).toEqual(['STOPPING', 'STARTING', 'STARTED'])
})

test.each([
  ['utils service', 'Incomplete command entered\n'],
  ['utils service restart', 'Incomplete command entered\n'],
  ['rm -rf /', 'No valid command entered\n'],
  ['constructor', 'No valid command entered\n'],
  ['file view constructor', 'Executed command unsuccessfully\n'],
])('`%s` is answered in the words of the CLI', async (command, words) => {
  const session = await openShell(await simulate(restarts.publisher))
  expect(await session.run(command)).toBe(`${command}\n${words}`)
})
