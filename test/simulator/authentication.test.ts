import { describe, expect, test } from 'vitest'
import type { Scenario, Simulator } from '../../src/simulator/index.ts'
import * as authentication from '../../src/simulator/scenarios/authentication.ts'
import { connect, openShell, simulate } from './session.ts'

interface Try {
  readonly ready: boolean
  /** Rounds of questions, as `prompt` with `*` where the answer is hidden. */
  readonly asked: readonly (readonly string[])[]
  readonly changes: readonly string[]
}

async function attempt(
  simulator: Simulator,
  method: 'password' | 'keyboard-interactive',
  password = simulator.password,
  answersOf: (prompts: readonly string[]) => string[] = (prompts) => prompts.map(() => password),
): Promise<Try> {
  const asked: string[][] = []
  const changes: string[] = []
  const { ready, client } = await connect(
    simulator,
    { password, tryKeyboard: true, authHandler: [method] },
    (opening) => {
      opening.on('keyboard-interactive', (_name, _instructions, _language, prompts, finish) => {
        asked.push(prompts.map(({ prompt, echo }) => (echo ? prompt : `${prompt}*`)))
        finish(answersOf(prompts.map(({ prompt }) => prompt)))
      })
      opening.on('change password', (prompt, done) => {
        changes.push(prompt)
        done('a-new-password')
      })
    },
  )
  client.end()
  return { ready, asked, changes }
}

describe('Methods', () => {
  test.each([
    [authentication.passwordOnly, true, false],
    [authentication.keyboardInteractiveOnly, false, true],
    [authentication.passwordOfferedInVain, false, true],
    [authentication.bothMethods, true, true],
    [authentication.publicKeyOnly, false, false],
  ])('$name', async (scenario: Scenario, byPassword, byQuestions) => {
    const simulator = await simulate(scenario)
    expect((await attempt(simulator, 'password')).ready).toBe(byPassword)
    expect((await attempt(simulator, 'keyboard-interactive')).ready).toBe(byQuestions)
  })

  test('The methods offered are what `none` is told', async () => {
    const simulator = await simulate(authentication.passwordOfferedInVain)
    const offered: unknown[] = []
    await connect(simulator, {
      authHandler: (methods) => {
        offered.push(methods)
        return methods === null ? 'none' : false
      },
    })
    expect(offered).toEqual([null, ['password', 'keyboard-interactive']])
    expect(simulator.ledger.authAttempts()).toEqual([])
  })

  test.each([
    [authentication.keyboardInteractiveOnly, [['Password: *']]],
    [authentication.asksForToken, [['Password: *', 'Code: *']]],
    [authentication.asksInTwoRounds, [['Password: *'], ['Code: *']]],
    [authentication.asksVisibly, [['Site code: ']]],
    // ssh2 answers a round without questions by itself.
    [authentication.asksNothingFirst, [['Password: *']]],
  ])('$name asks its questions in its rounds', async (scenario: Scenario, asked) => {
    const simulator = await simulate(scenario)
    const answers = (prompts: readonly string[]): string[] =>
      prompts.map((prompt) => (prompt === 'Code: ' ? '123456' : simulator.password))
    expect(await attempt(simulator, 'keyboard-interactive', undefined, answers)).toMatchObject({ ready: true, asked })
    const { ready } = await attempt(simulator, 'keyboard-interactive', 'wrong')
    expect(ready).toBe(false)
  })
})

describe('Wrong passwords', () => {
  test('Three of them lock the account for 300 s, and the right one then looks just as wrong', async () => {
    const simulator = await simulate(authentication.bothMethods, { timeScale: 0.002 })
    for (const method of ['password', 'keyboard-interactive', 'password'] as const) {
      expect((await attempt(simulator, method, 'wrong')).ready).toBe(false)
    }
    const lockedAt = Date.now()
    expect((await attempt(simulator, 'password')).ready).toBe(false)
    const opened = await openedAgain(simulator)
    expect(opened - lockedAt).toBeGreaterThan(500)
    expect(simulator.ledger.authAttempts().at(-1)).toMatchObject({ method: 'password', accepted: true })
  })

  test('A right password in between begins the count anew', async () => {
    const simulator = await simulate(authentication.bothMethods)
    for (const password of ['wrong', 'wrong', simulator.password, 'wrong', 'wrong', simulator.password]) {
      expect((await attempt(simulator, 'password', password)).ready).toBe(password === simulator.password)
    }
  })

  test('Without locking any number of them changes nothing', async () => {
    const simulator = await simulate(authentication.neverLocks)
    for (let failures = 0; failures < 5; failures += 1) await attempt(simulator, 'password', 'wrong')
    expect((await attempt(simulator, 'password')).ready).toBe(true)
  })

  test('A server can hang up after the first', async () => {
    const simulator = await simulate(authentication.hangsUpAtOnce)
    const { errors } = await connect(simulator, {
      password: 'wrong',
      tryKeyboard: true,
      authHandler: ['password', 'keyboard-interactive'],
    })
    expect(errors[0]?.message).toContain('Too many authentication failures')
    expect(simulator.ledger.authAttempts()).toHaveLength(1)
  })

  test('Another user name fails like a wrong password', async () => {
    const simulator = await simulate(authentication.bothMethods)
    const { ready } = await connect(simulator, { username: 'root', authHandler: ['password'] })
    expect(ready).toBe(false)
  })

  test('An attempt that the client gives up undecided is still an attempt', async () => {
    const simulator = await simulate(authentication.keyboardInteractiveOnly)
    await connect(simulator, { authHandler: ['keyboard-interactive'], tryKeyboard: true }, (client) => {
      client.on('keyboard-interactive', () => client.destroy())
    })
    const [entry] = await simulator.ledger.until((ledger) => ledger.authAttempts().length > 0 && ledger.authAttempts())
    expect(entry).toMatchObject({ method: 'keyboard-interactive', accepted: false })
  })

  /** When the right password is taken again. */
  async function openedAgain(simulator: Simulator): Promise<number> {
    for (;;) {
      const { ready } = await attempt(simulator, 'password')
      if (ready) return Date.now()
    }
  }
})

describe('Expired passwords', () => {
  test('Inside SSH the password method gets a change request', async () => {
    const simulator = await simulate(authentication.expiredOverSsh)
    const { changes } = await attempt(simulator, 'password')
    expect(changes).toEqual(['Your password has expired. Enter new password: '])
    expect(simulator.ledger.authAttempts().map(({ method }) => method)).toEqual(['password-change'])
  })

  test('Inside SSH keyboard-interactive gets a second round', async () => {
    const simulator = await simulate(authentication.expiredOverSsh)
    const { asked } = await attempt(simulator, 'keyboard-interactive')
    expect(asked).toEqual([
      ['Password: *'],
      ['(current) UNIX password: *', 'New password: *', 'Retype new password: *'],
    ])
  })

  test('A client that does not answer the request is left waiting', async () => {
    const simulator = await simulate(authentication.expiredOverSsh)
    const requested = new Promise((resolve) => {
      void connect(simulator, { authHandler: ['password'] }, (client) => client.on('change password', resolve))
    })
    expect(await requested).toContain('expired')
    expect(simulator.ledger.authAttempts()).toEqual([])
    expect(simulator.connections).toBe(1)
  })

  test('In the shell the dialogue takes the place of the CLI, and the session ends with it', async () => {
    const simulator = await simulate(authentication.expiredInShell)
    const session = await openShell(simulator)
    await session.until('(current) UNIX password: ')
    session.send('\x03')
    await session.closed
    expect(simulator.ledger.of('answer')).toEqual([])
  })
})
