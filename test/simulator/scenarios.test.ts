import { describe, expect, onTestFinished, test } from 'vitest'
import { rows, scenarios, startCluster } from '../../src/simulator/index.ts'
import { parseServiceList, renderServiceList, statusesOf } from '../../src/simulator/service-list.ts'
import { strangeStates } from '../../src/simulator/scenarios/lists.ts'
import { loginSlow } from '../../src/simulator/scenarios/logins.ts'
import * as losses from '../../src/simulator/scenarios/losses.ts'
import * as restarts from '../../src/simulator/scenarios/restarts.ts'
import * as refusals from '../../src/simulator/scenarios/refusals.ts'
import * as terminals from '../../src/simulator/scenarios/terminals.ts'
import { openShell } from './session.ts'

describe('The evidence', () => {
  test('Every row of section 10 has scenarios but certificates, and the cluster has its own start', () => {
    expect(Object.keys(rows).map(Number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18])
    for (const row of Object.values(rows)) {
      expect(row).not.toEqual([])
      for (const scenario of row) expect(scenarios.get(scenario.name)).toBe(scenario)
    }
  })

  test('Words that nobody has published say that they are invented', () => {
    for (const scenario of [
      refusals.refusesNotActivated,
      refusals.refusesOutOfService,
      refusals.refusesUnknownName,
      refusals.refusesDuringUpgrade,
      losses.sessionLimitWithText,
      losses.idleCloseWithText,
      restarts.unexpectedQuestion,
      terminals.commandCountInside,
    ]) {
      expect(scenario.evidence).toContain('invented')
    }
  })

  test('Where nobody knows, both answers exist', () => {
    const fates = [losses.resetGoesOn, losses.resetStaysStopped, losses.neverBegan]
    expect(fates.map(({ services }) => services.restart.onSessionLoss)).toEqual([
      'goes-on',
      'stays-stopped',
      'never-began',
    ])
    expect([losses.enterArrives, losses.enterIsLost].map(({ faults }) => faults[0]?.delivered)).toEqual([true, false])
    const ctrlC = [restarts.publisher, restarts.ctrlCOnlyEndsTheCommand, restarts.ctrlCLeavesItStopped]
    expect(ctrlC.map(({ services }) => services.restart.onCtrlC)).toEqual(['ignored', 'goes-on', 'stays-stopped'])
    const echoes = [restarts.publisher, terminals.echoAtEnter, terminals.echoNever]
    expect(echoes.map(({ terminal }) => terminal.echo)).toEqual(['as-typed', 'at-enter', 'never'])
    const enters = [restarts.publisher, terminals.onlyCarriageReturn, terminals.onlyLineFeed]
    expect(enters.map(({ terminal }) => terminal.enter)).toEqual(['either', 'cr', 'lf'])
    expect(
      [refusals.refusesNotActivated, refusals.restartsNotActivated].map(
        ({ services }) => services.notActivated !== null,
      ),
    ).toEqual([true, false])
  })

  test('A slow login takes more than 60 s of the appliance’s life', () => {
    const total = loginSlow.product.welcome.reduce((sum, { afterMs }) => sum + afterMs, 0)
    expect(total).toBeGreaterThan(60_000)
  })
})

describe('Service lists as text', () => {
  const lists = new Map([...scenarios.values()].map(({ product }) => [product.serviceList, product.name]))

  test.each([...lists].map(([text, name]) => [name, text] as const))(
    '%s: reading and writing loses nothing',
    (_name, text) => {
      const list = parseServiceList(text)
      expect(renderServiceList(list, () => undefined)).toBe(text)
      for (const { state } of statusesOf(list)) expect(['STARTED', 'STOPPED']).toContain(state)
    },
  )

  test('Brackets with other words are left as they are', () => {
    const list = parseServiceList(strangeStates.product.serviceList)
    for (const words of ['Engine[PARTIAL SERVICE]\n', 'Service[SHUTDOWN]\n', 'MIB2 Agent[]\n']) {
      expect(renderServiceList(list, () => undefined)).toContain(words)
    }
    expect(statusesOf(list).map(({ name }) => name)).not.toContain('MIB2 Agent')
  })

  test('Three services on one line are three services', () => {
    const line = 'Cisco RTMT Reporter Servlet[STARTED] Cisco Speechserver[STARTED] Cisco Syslog Agent[STARTED]'
    expect(statusesOf(parseServiceList(line)).map(({ name }) => name)).toEqual([
      'Cisco RTMT Reporter Servlet',
      'Cisco Speechserver',
      'Cisco Syslog Agent',
    ])
  })
})

test('A cluster has a publisher and two subscribers with versions, roles and keys of their own', async () => {
  const cluster = await startCluster({ timeScale: 0.001 })
  onTestFinished(() => cluster.stop())
  expect(new Set(cluster.nodes.map(({ hostKey }) => hostKey.fingerprint)).size).toBe(3)
  const sessions = await Promise.all(cluster.nodes.map((node) => openShell(node)))
  const versions = await Promise.all(sessions.map((session) => session.run('show version active')))
  expect(versions.map((text) => /Version: (\d+)/.exec(text)?.[1])).toEqual(['15', '14', '12'])
  const lists = await Promise.all(sessions.map((session) => session.run('utils service list')))
  expect(lists.map((list) => /Primary Node =(\w+)/.exec(list)?.[1])).toEqual(['true', 'false', 'false'])
  const networks = await Promise.all(sessions.map((session) => session.run('show network cluster')))
  expect(new Set(networks).size).toBe(1)
  const restarted = await Promise.all(sessions.map((session) => session.run('utils service restart Cisco Tomcat')))
  expect(restarted.map((text) => text.includes('[STARTED]'))).toEqual([true, false, true])
})
