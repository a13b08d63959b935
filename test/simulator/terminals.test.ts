import { describe, expect, test } from 'vitest'
import type { Scenario } from '../../src/simulator/index.ts'
import { publisher, unexpectedQuestion } from '../../src/simulator/scenarios/restarts.ts'
import * as terminals from '../../src/simulator/scenarios/terminals.ts'
import { connect, openShell, Session, simulate } from './session.ts'

/** A session that has come to its first prompt. */
async function prompted(
  scenario: Scenario,
  size: { readonly columns?: number; readonly rows?: number } = {},
  prompt = 'admin:',
): Promise<Session> {
  const session = await openShell(await simulate(scenario), size)
  await session.until(prompt)
  return session
}

const pressEnter = '\x1b[1mPress <enter> for 1 line, <space> for one page, or <q> to quit\x1b[0m\x1b[K'

describe('Line ends and escapes', () => {
  test('A lone CR can end every line', async () => {
    const session = await prompted(terminals.loneCr)
    const received = await session.exchange('utils service list\n', '=true\radmin:')
    expect(received).not.toContain('\n')
  })

  test('CRLF and lone CR can come by turns', async () => {
    const session = await prompted(terminals.mixedLineEnds)
    const received = await session.exchange('utils service list\n', 'admin:')
    expect(received).toMatch(/\r\n.*\r[^\n]/)
    expect(received.replaceAll('\r\n', '')).toMatch(/\r(?!$)/)
  })

  test('The prompt can hide behind an erase-line and states can be bold', async () => {
    const session = await prompted(terminals.ansi, {}, '\x1b[Kadmin:')
    const received = await session.exchange('utils service restart Cisco Tomcat\n', '\x1b[Kadmin:')
    expect(received).toContain('Cisco Tomcat[\x1b[1mSTOPPING\x1b[0m]  \r\n')
  })

  test('The prompt can come doubled, or with a blank', async () => {
    await prompted(terminals.doubledPrompt, {}, '\nadmin:\r\n\radmin:')
    expect((await prompted(terminals.blankAfterPrompt, {}, 'admin: ')).text).toMatch(/\nadmin: $/)
  })

  test('The first line of the list can end in U+2026, in one piece or in three', async () => {
    const whole = await prompted(terminals.utf8Ellipsis)
    await whole.run('utils service list')
    expect(whole.chunks.some((chunk) => chunk.includes('wait…\r\n'))).toBe(true)
    const split = await prompted(terminals.utf8InBytes)
    await split.exchange('utils service list\n', '=true\r\nadmin:')
    const first = split.chunks.findIndex((chunk) => chunk.equals(Buffer.of(0xe2)))
    expect(Buffer.concat(split.chunks.slice(first, first + 3)).toString()).toBe('…')
  })
})

describe('Pieces', () => {
  test('The prompt can come byte by byte', async () => {
    const session = await prompted(terminals.promptInBytes)
    expect(session.chunks.slice(-6).map(String)).toEqual([...'admin:'])
  })

  test('The echo can come byte by byte', async () => {
    const session = await prompted(terminals.echoInBytes)
    await session.exchange('show cli pagination', 'pagination')
    expect(session.chunks.slice(-19).map(String)).toEqual([...'show cli pagination'])
  })

  test('Everything can come byte by byte, and is the same in the end', async () => {
    const [whole, split] = await Promise.all([prompted(publisher), prompted(terminals.allInBytes)])
    for (const session of [whole, split]) await session.run('utils service restart Cisco Tomcat')
    expect(split.text).toBe(whole.text)
    expect(split.chunks.every((chunk) => chunk.length === 1)).toBe(true)
  })
})

describe('Echo and Enter', () => {
  test('Characters are echoed before Enter', async () => {
    const session = await prompted(publisher)
    const received = await session.exchange('utils service list', 'list')
    expect(received).toMatch(/\nadmin:utils service list$/)
  })

  test('An appliance can echo only when Enter comes', async () => {
    const session = await prompted(terminals.echoAtEnter)
    session.send('show cli ')
    const received = await session.exchange('pagination\n', '\nadmin:')
    expect(received).toContain('admin:show cli pagination\r\nAutomatic')
    expect(session.chunks.map(String)).toContain('show cli pagination')
  })

  test('An appliance can echo nothing at all', async () => {
    const session = await prompted(terminals.echoNever)
    expect(await session.exchange('show cli pagination\n', '\nadmin:')).toMatch(/admin:\r\nAutomatic/)
  })

  test('Without a PTY nobody echoes', async () => {
    const connected = await connect(await simulate(publisher))
    const session = await new Promise<Session>((resolve, reject) => {
      connected.client.shell(false, (error, channel) => {
        if (error) reject(error)
        else resolve(new Session(connected, channel))
      })
    })
    await session.until('admin:')
    expect(await session.exchange('show cli pagination\n', '\nadmin:')).toMatch(/admin:\r\nAutomatic/)
  })

  test.each([
    [publisher.name, publisher, '\r', ['show cli pagination']],
    [publisher.name, publisher, '\n', ['show cli pagination']],
    [publisher.name, publisher, '\r\n', ['show cli pagination', '']],
    ['only-cr', terminals.onlyCarriageReturn, '\r\n', ['show cli pagination']],
    ['only-lf', terminals.onlyLineFeed, '\r\n', ['show cli pagination']],
  ])('%s runs a line at $2', async (_name, scenario, enter, commands) => {
    const simulator = await simulate(scenario)
    const session = await openShell(simulator)
    await session.until('admin:')
    session.send(`show cli pagination${enter}`)
    await simulator.ledger.until((ledger) => ledger.commands().length === commands.length)
    await session.until((text) => /\r?admin:$/.test(text))
    expect(simulator.ledger.commands()).toEqual(commands)
    expect(simulator.ledger.enters()).toBe(commands.length)
  })

  test.each([
    ['only-cr', terminals.onlyCarriageReturn, '\n', '\r'],
    ['only-lf', terminals.onlyLineFeed, '\r', '\n'],
  ])('%s takes $2 for nothing', async (_name, scenario, nothing, enter) => {
    const simulator = await simulate(scenario)
    const session = await openShell(simulator)
    await session.until('admin:')
    await session.exchange(`show cli${nothing} pagination`, 'show cli pagination')
    expect(simulator.ledger.enters()).toBe(0)
    await session.exchange(enter, '\nadmin:')
    expect(simulator.ledger.commands()).toEqual(['show cli pagination'])
  })

  test('The echo can wrap at the width of the PTY with a blank and CR, and only that is between its characters', async () => {
    const session = await prompted(terminals.wraps, { columns: 20 })
    const command = 'utils service restart Cisco Tomcat Stats Servlet'
    const received = await session.exchange(command, 'Servlet')
    const echo = received.slice(received.lastIndexOf('admin:') + 'admin:'.length)
    expect(echo).toBe('utils service  \rrestart Cisco Tomcat \r Stats Servlet')
    expect(echo.replaceAll(' \r', '')).toBe(command)
  })

  test('What is typed during a command waits for the prompt, or is forgotten', async () => {
    for (const [scenario, commands] of [
      [publisher, ['utils service restart Cisco Tomcat', 'show cli pagination']],
      [terminals.dropsTypeahead, ['utils service restart Cisco Tomcat', 'set cli pagination on']],
    ] as const) {
      const simulator = await simulate(scenario)
      const session = await openShell(simulator)
      await session.until('admin:')
      session.send('utils service restart Cisco Tomcat\n')
      await session.until((text) => text.includes('[STOPPING]'))
      session.send('show cli pagination\n')
      await session.until((text) => /STARTED\] {2}\r\nadmin:/.test(text))
      if (scenario === terminals.dropsTypeahead) session.send('set cli pagination on\n')
      await session.until((text) => /agination.*\r\n(\r\n)?admin:$/.test(text))
      expect(simulator.ledger.commands()).toEqual(commands)
    }
  })

  test('The count of commands can be part of the prompt, inside or before', async () => {
    const inside = await prompted(terminals.commandCountInside, {}, 'admin(1):')
    expect(await inside.exchange('show cli pagination\n', '\nadmin(2):')).toContain('admin(1):show')
    const before = await prompted(terminals.commandCountBefore, {}, '1:admin:')
    expect(await before.exchange('show cli pagination\n', '\n2:admin:')).toContain('1:admin:show')
  })
})

describe('A slow reader', () => {
  test('At the prompt it loses what comes in one piece', async () => {
    const simulator = await simulate(terminals.slowEverywhere)
    const session = await openShell(simulator)
    await session.until('admin:')
    await session.exchange('utils service restart Cisco Tomcat', 'admin:u')
    expect(simulator.ledger.enters()).toBe(0)
  })

  test('At a question it loses the Enter behind the answer, at the prompt nothing', async () => {
    const simulator = await simulate({ ...unexpectedQuestion, terminal: terminals.slowAtQuestions.terminal })
    const session = await openShell(simulator)
    await session.until('admin:')
    await session.exchange('utils service restart Cisco Tomcat\n', 'Continue (y/n)?')
    await session.exchange('y\n', 'Continue (y/n)?y')
    expect(simulator.ledger.of('answer')).toEqual([])
    expect(simulator.ledger.enters()).toBe(1)
  })
})

describe('Pagers', () => {
  test('A blank shows the next page, Enter one line, q leaves, and neither needs an Enter', async () => {
    const simulator = await simulate(terminals.pagedList)
    const session = await openShell(simulator)
    await session.until('admin:')
    const first = await session.exchange('utils service list\n', pressEnter)
    expect(linesOf(first)).toBe(23)
    const second = await session.exchange(' ', pressEnter)
    expect(linesOf(second) - linesOf(first)).toBe(23)
    const third = await session.exchange('\n', pressEnter)
    expect(linesOf(third) - linesOf(second)).toBe(1)
    await session.exchange('q', '\r\x1b[Kadmin:')
    expect(simulator.ledger.commands()).toEqual(['utils service list'])
  })

  test('Turned off, the list comes in one piece, unless the appliance does not listen', async () => {
    const obedient = await prompted(terminals.pagedList)
    await obedient.run('set cli pagination off')
    expect(await obedient.run('utils service list')).not.toContain('Press <enter>')
    const stubborn = await prompted(terminals.pagedInSpiteOfOff)
    await stubborn.run('set cli pagination off')
    await stubborn.exchange('utils service list\n', pressEnter)
  })

  test('Where the height of the PTY counts, a tall one sees the whole list', async () => {
    const tall = await prompted(terminals.pagedListByPty, { rows: 1000 })
    expect(await tall.run('utils service list')).not.toContain('Press <enter>')
    const low = await prompted(terminals.pagedListByPty, { rows: 30 })
    expect(linesOf(await low.exchange('utils service list\n', pressEnter))).toBe(29)
  })

  test('A list pages when it is asked to, and never else', async () => {
    const session = await prompted(publisher, { rows: 30 })
    expect(await session.run('utils service list')).not.toContain('Press <enter>')
    await session.exchange('utils service list page\n', pressEnter)
  })

  test('The list can come in the file viewer, which q leaves', async () => {
    const session = await prompted(terminals.optionsInList)
    const received = await session.exchange('utils service list\n', ') :')
    expect(received).toMatch(/\noptions: q=quit, n=next, p=prev, b=begin, e=end \(lines 1 - 20 of \d+\) :$/)
    await session.exchange('q', 'admin:')
  })

  /** Lines of services that came since the list began. */
  function linesOf(text: string): number {
    const [, list = ''] = text.split(/Requesting.*\r\n/)
    return list.split('\r\n').length - 1
  }
})
