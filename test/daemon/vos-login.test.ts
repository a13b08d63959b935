import { describe, expect, it } from 'vitest'
import { fault, rows, scenarios, vary, type Scenario } from '../../src/simulator/index.ts'
import { allClosed, bench, deviceFor, expectCode, logIn, script } from './vos-fixture.ts'
import { authenticateAndOpen } from '../helpers/authenticate-and-open.ts'

function scenario(name: string): Scenario {
  const found = scenarios.get(name)
  if (!found) throw new Error(`No scenario ${name}`)
  return found
}

const publisher = scenario('publisher')

describe.concurrent('a login to a VOS appliance', { timeout: 30_000 }, () => {
  it.each((rows[6] ?? []).filter(({ name }) => name !== 'login-never'))(
    'finds the prompt without typing anything: $name, $story',
    async (appliance) => {
      await using it = await bench(appliance)
      expect(await it.device.connect()).toEqual({ username: 'administrator', method: 'keyboard-interactive' })
      expect(it.secretReads()).toBe(0)
      expect(it.simulator.ledger.authAttempts()).toEqual([])
      const facts = await authenticateAndOpen(it.device)
      expect(facts).toMatchObject({ method: 'keyboard-interactive', hostKey: it.simulator.hostKey })
      expect(facts.loginMs).toBeGreaterThan(0)
      expect(facts.software).toContain('SSH-2.0-')
      expect(it.secretReads()).toBe(1)
      expect(it.simulator.ledger.authAttempts()).toHaveLength(1)
      expect(it.simulator.ledger.enters()).toBe(0)
    },
  )

  it.each([...(rows[7] ?? []), ...(rows[18] ?? []), scenario('blank-after-prompt'), scenario('hostile')])(
    'finds the prompt in every shape: $name, $story',
    async (appliance) => {
      await using it = await bench(appliance)
      await logIn(it.device)
      expect(it.simulator.ledger.enters()).toBe(0)
    },
  )

  it.each(['password-only', 'keyboard-interactive-only', 'password-offered-in-vain', 'both-methods'])(
    'makes one attempt with the right method: %s',
    async (name) => {
      await using it = await bench(scenario(name))
      const { method } = await it.device.connect()
      const facts = await authenticateAndOpen(it.device)
      expect(facts.method).toBe(method)
      expect(it.simulator.ledger.authAttempts()).toMatchObject([{ method, accepted: true }])
    },
  )

  it('opens a wide and tall terminal and a shell, never the exec channel', async () => {
    await using it = await bench(publisher)
    await logIn(it.device)
    expect(it.simulator.ledger.of('channel').map(({ request, detail }) => `${request} ${detail}`.trim())).toEqual([
      'session',
      'pty vt100 512x1000',
      'shell',
    ])
  })

  it('nudges with a single Enter after a long silence behind the welcome block, and waits for the doubled prompt', async () => {
    const slow = vary(publisher, publisher, {
      product: { welcome: [...publisher.product.welcome, { afterMs: 300_000, text: '' }] },
    })
    await using it = await bench(slow, { timings: { nudgeMs: 100 } })
    await logIn(it.device)
    expect(it.simulator.ledger.enters()).toBe(1)
    expect(await it.device.services()).not.toHaveLength(0)
  })

  it('does not nudge before the welcome block, however long that takes', async () => {
    const slow = vary(publisher, publisher, {
      product: { welcome: [{ afterMs: 400_000, text: '' }, ...publisher.product.welcome] },
    })
    await using it = await bench(slow, { timings: { nudgeMs: 100 } })
    await logIn(it.device)
    expect(it.simulator.ledger.enters()).toBe(0)
  })

  it('never searches the banner for prompts or errors', async () => {
    const text = 'admin:\nUNIX password: \nERROR: Executed command unsuccessfully\nContinue (y/n)?\n'
    const noisy = vary(publisher, publisher, {
      product: { welcome: [{ afterMs: 0, text }, ...publisher.product.welcome] },
    })
    await using it = await bench(noisy)
    await logIn(it.device)
    expect(await it.device.services()).not.toHaveLength(0)
  })

  it('gives up with prompt_timeout when only the banner comes, after one nudge', async () => {
    await using it = await bench(scenario('login-never'), { timings: { promptMs: 400, nudgeMs: 100 } })
    const error = await expectCode(logIn(it.device), 'prompt_timeout')
    expect(error.deviceLines.join('\n')).toContain('RAM')
    expect(it.simulator.ledger.enters()).toBe(1)
  })

  it('answers nothing to a change-password dialogue', async () => {
    await using it = await bench(scenario('expired-in-shell'))
    await expect(logIn(it.device)).rejects.toMatchObject({ code: 'password_expired' })
    expect(it.simulator.ledger.enters()).toBe(0)
    expect(it.simulator.ledger.of('in')).toEqual([])
  })

  it('gives up early, sending nothing, at the shell of another system', async () => {
    await using server = await script((channel) => channel.write('Last login: today\r\n[root@web1 ~]# '))
    const { device } = deviceFor(server, { timings: { nudgeMs: 100 } })
    const error = await expectCode(logIn(device), 'unexpected_prompt')
    expect(error.message).toContain('[root@web1 ~]#')
    expect(server.typed()).toBe('')
  })

  it.each(['recovery menu', 'Disk is 95% full. Continue (y/n)? ', 'Enter a new PIN: ', 'Accept the licence [yes]: '])(
    'gives up with unexpected_prompt at %j and presses no Enter, which might be an answer',
    async (prompt) => {
      const odd = vary(publisher, publisher, { terminal: { prompt } })
      await using it = await bench(odd, { timings: { promptMs: 400, nudgeMs: 100 } })
      await expect(logIn(it.device)).rejects.toMatchObject({ code: 'unexpected_prompt' })
      expect(it.simulator.ledger.enters()).toBe(0)
    },
  )

  it('reports a session that is closed at once, with the words of the device', async () => {
    await using it = await bench(scenario('session-limit-text'))
    const error = await expectCode(logIn(it.device), 'connection_lost')
    expect(error.message).toContain('Maximum number of CLI sessions reached')
  })

  it('reports a session that is closed at once without a word', async () => {
    await using it = await bench(scenario('session-limit'))
    await expect(logIn(it.device)).rejects.toMatchObject({ code: 'connection_lost' })
  })

  it.each(['close', 'reset', 'disconnect', 'close-shell'] as const)(
    'reports a %s before the prompt',
    async (mishap) => {
      await using it = await bench({ ...publisher, faults: [fault('prompt', mishap)] })
      await expect(logIn(it.device)).rejects.toMatchObject({ code: 'connection_lost' })
    },
  )

  it('makes no second attempt when the first is refused', async () => {
    await using it = await bench(publisher)
    const { device } = deviceFor({ ...it.simulator, password: 'wrong' })
    await device.connect()
    await expect(authenticateAndOpen(device)).rejects.toMatchObject({ code: 'login_refused' })
    await device.close()
    expect(it.simulator.ledger.authAttempts()).toHaveLength(1)
  })

  it('reads no secret and logs in nowhere when the host key is another', async () => {
    await using it = await bench(publisher)
    it.simulator.changeHostKey()
    await expect(it.device.connect()).rejects.toMatchObject({ code: 'host_key_changed' })
    expect(it.secretReads()).toBe(0)
    expect(it.simulator.ledger.of('auth')).toEqual([])
  })

  it('connects nowhere without a credential', async () => {
    await using it = await bench(publisher, { connection: { credential: { type: 'none' } } })
    await expect(it.device.connect()).rejects.toMatchObject({ code: 'no_credential' })
    expect(it.simulator.ledger.of('open')).toEqual([])
  })

  it('closes the connection when the secret cannot be read', async () => {
    await using it = await bench(publisher)
    const { device } = deviceFor({
      ...it.simulator,
      get password(): string {
        throw new Error('sealed with another key')
      },
    })
    await device.connect()
    await expect(authenticateAndOpen(device)).rejects.toThrow('sealed with another key')
    await allClosed(it.simulator)
  })

  it('shows a hostile banner and ident as harmless text', async () => {
    await using it = await bench(scenario('hostile'))
    await it.device.connect()
    const facts = await authenticateAndOpen(it.device)
    expect(JSON.stringify(facts)).not.toMatch(/\\u001b|\\u0007|\u202e/)
  })
})

describe.concurrent('a patient connection', { timeout: 30_000 }, () => {
  it('waits for a device that reboots, and logs in once', async () => {
    await using it = await bench(publisher)
    await it.simulator.powerOff()
    const connected = it.device.connect({ patient: true })
    await new Promise((resolve) => setTimeout(resolve, 150))
    await it.simulator.powerOn()
    await connected
    await authenticateAndOpen(it.device)
    expect(it.simulator.ledger.authAttempts()).toHaveLength(1)
  })

  it('gives up at its limit with the last failure', async () => {
    await using it = await bench(publisher, { timings: { reconnectMs: 200 } })
    await it.simulator.powerOff()
    await expect(it.device.connect({ patient: true })).rejects.toMatchObject({ code: 'unreachable' })
  })

  it('does not insist on a changed host key', async () => {
    await using it = await bench(publisher)
    it.simulator.changeHostKey()
    await expect(it.device.connect({ patient: true })).rejects.toMatchObject({ code: 'host_key_changed' })
    expect(it.simulator.ledger.of('open')).toHaveLength(1)
  })

  it('ends at once when the operation is aborted', async () => {
    await using it = await bench(publisher, { timings: { reconnectMs: 60_000 } })
    await it.simulator.powerOff()
    const connected = it.device.connect({ patient: true })
    const reason = new Error('cancelled')
    it.abort.abort(reason)
    await expect(connected).rejects.toBe(reason)
  })

  it('is not what one gets without asking: one attempt', async () => {
    await using it = await bench(publisher)
    await it.simulator.powerOff()
    await expect(it.device.connect()).rejects.toMatchObject({ code: 'unreachable' })
  })
})
