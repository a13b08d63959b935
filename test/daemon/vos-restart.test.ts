import type { ServerChannel } from 'ssh2'
import { describe, expect, it } from 'vitest'
import { fault, polls, rows, scenarios, vary, type Scenario } from '../../src/simulator/index.ts'
import {
  allClosed,
  bench,
  collect,
  deviceFor,
  expectCode,
  failure,
  getReady,
  logIn,
  script,
  summary,
} from './vos-fixture.ts'
import { authenticateAndOpen } from '../helpers/authenticate-and-open.ts'

const publisher = scenario('publisher')
const COMMAND = 'utils service restart Cisco Tomcat'

describe.concurrent('preparing a restart', { timeout: 30_000 }, () => {
  it('types the command, compares its echo, and does not press Enter', async () => {
    await using it = await bench(publisher)
    await logIn(it.device)
    expect(await it.device.prepare('Cisco Tomcat')).toBe(COMMAND)
    expect(typedOn(it.simulator)).toBe(COMMAND)
    expect(it.simulator.ledger.enters()).toBe(0)
    // Closing does not add `exit` to a line that is typed.
    await it.device.close()
    expect(typedOn(it.simulator)).toBe(COMMAND)
    expect(it.simulator.ledger.commands()).toEqual([])
  })

  it.each(['echo-in-bytes', 'wraps', 'ansi', 'lone-cr', 'command-count-inside', 'hostile'])(
    'accepts the echo of %s',
    async (name) => {
      await using it = await bench(scenario(name))
      await logIn(it.device)
      expect(await it.device.prepare('Cisco Tomcat')).toBe(COMMAND)
    },
  )

  it('refuses a name that is none, and the session stays as it is', async () => {
    await using it = await bench(publisher)
    await logIn(it.device)
    await expect(it.device.prepare('Cisco Tomcat\rutils system restart')).rejects.toMatchObject({ code: 'bad_request' })
    expect(it.simulator.ledger.of('in')).toEqual([])
    expect(await it.device.services()).not.toHaveLength(0)
  })

  it('disconnects when the echo differs, and nothing was sent', async () => {
    await using it = await bench(scenario('slow-everywhere'), { timings: { echoMs: 200 } })
    await logIn(it.device)
    await expect(it.device.prepare('Cisco Tomcat')).rejects.toMatchObject({ code: 'echo_mismatch' })
    await allClosed(it.simulator)
    expect(it.simulator.ledger.enters()).toBe(0)
  })

  it.each(['echo-at-enter', 'echo-never'])('disconnects when no echo comes: %s', async (name) => {
    await using it = await bench(scenario(name), { timings: { echoMs: 100 } })
    await logIn(it.device)
    const error = await expectCode(it.device.prepare('Cisco Tomcat'), 'echo_timeout')
    expect(error.hint).toContain('--no-echo')
    await allClosed(it.simulator)
    expect(it.simulator.ledger.enters()).toBe(0)
  })

  it.each(['silence', 'half-open'] as const)(
    'gives up when the device falls silent at the echo: %s',
    async (mishap) => {
      await using it = await bench({ ...publisher, faults: [fault('echo', mishap)] }, { timings: { echoMs: 100 } })
      await logIn(it.device)
      await expect(it.device.prepare('Cisco Tomcat')).rejects.toMatchObject({ code: 'echo_timeout' })
      it.simulator.resumeOutput()
      await allClosed(it.simulator)
    },
  )

  it.each(['close', 'reset', 'disconnect', 'close-shell'] as const)('reports a %s at the echo', async (mishap) => {
    await using it = await bench({ ...publisher, faults: [fault('echo', mishap)] })
    await logIn(it.device)
    await it.device.services()
    const error = await expectCode(it.device.prepare('Cisco Tomcat'), 'connection_lost')
    // What the list said is not what the device says to this.
    expect(error.deviceLines).toEqual([])
  })

  it.each<[string, (echo: string) => string]>([
    ['one character more', (echo) => `${echo}x`],
    ['one character twice', (echo) => echo.replace('Tom', 'TTom')],
    ['a bell', (echo) => `${echo}\u0007`],
    ['a backspace', (echo) => echo.replace('service', 'servicee\b')],
    ['another name', (echo) => echo.replace('Tomcat', 'Tomcats')],
    ['a look-alike letter', (echo) => echo.replace('Tomcat', 'Tоmcat')],
    ['an invisible character', (echo) => echo.replace('Tomcat', 'Tom\u200bcat')],
    ['a second prompt before it', (echo) => `\r\nadmin:${echo}`],
    ['stars', (echo) => '*'.repeat(echo.length)],
  ])('refuses an echo with %s', async (_, distort) => {
    await using server = await script(withEcho(distort))
    const { device } = deviceFor(server, { timings: { echoMs: 300 } })
    await logIn(device)
    await expect(device.prepare('Cisco Tomcat')).rejects.toMatchObject({ code: 'echo_mismatch' })
    expect(server.typed()).toBe(COMMAND)
  })

  it.each<[string, (echo: string) => string]>([
    ['wrapped at 40 columns with blank and CR', (echo) => echo.replace(/^.{34}/, '$& \r')],
    ['wrapped with CRLF', (echo) => echo.replace('Tom', 'Tom\r\n')],
    ['in colour', (echo) => `\u001b[1m${echo}\u001b[0m\u001b[K`],
  ])('accepts an echo %s', async (_, distort) => {
    await using server = await script(withEcho(distort))
    const { device } = deviceFor(server)
    await logIn(device)
    expect(await device.prepare('Cisco Tomcat')).toBe(COMMAND)
    await device.close()
  })
})

describe.concurrent('committing a restart', { timeout: 30_000 }, () => {
  it.each([
    [
      'old-wording',
      'Cisco Finesse Tomcat',
      'STOPPING STOPPING STARTING STARTING STARTING STARTING STARTING STARTED STARTED',
    ],
    ['new-wording', 'Cisco XCP Text Conference Manager', 'STARTING STARTING STARTED'],
    ['subscriber', 'Cisco Tomcat', 'STARTING STARTING STARTING'],
    ['ends-stopped', 'Cisco Tomcat', 'STOPPING STOPPING STARTING STARTING STARTING STOPPED STOPPED'],
    ['started-only', 'Cisco Tomcat', 'STARTED STARTED'],
  ])('reports every state line and the prompt: %s', async (name, service, states) => {
    await using it = await bench(scenario(name))
    await getReady(it.device, service)
    const seen = await collect(it.device.commit())
    expect(summary(seen)).toBe(`sent ${states} ended`)
    expect(it.simulator.ledger.restarts(service)).toHaveLength(1)
    expect(it.simulator.ledger.enters()).toBe(1)
    // The warning that contains RESTARTED is a line like any other, the echo is none.
    const lines = seen.filter(({ type }) => type === 'line')
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatchObject({ text: expect.stringMatching(/ctrl.c/i) as string })
    expect(lines[1]).toMatchObject({ text: 'Service Manager is running' })
  })

  it.each([
    ...(rows[7] ?? []),
    ...(rows[18] ?? []),
    scenario('blank-after-prompt'),
    scenario('wraps'),
    scenario('drops-typeahead'),
  ])('is read the same in every shape of output: $name, $story', async (appliance) => {
    await using it = await bench(appliance)
    await getReady(it.device)
    const seen = await collect(it.device.commit())
    expect(summary(seen)).toMatch(/^sent( STOPPING)+( STARTING)+( STARTED)+ ended$/)
    expect(seen.filter(({ type }) => type === 'line')).toHaveLength(2)
    expect(await it.device.services()).toHaveLength(it.simulator.services.length)
    expect(it.simulator.ledger.enters()).toBe(2)
  })

  it.each([
    ['only-cr', 'cr', '\r'],
    ['only-lf', 'lf', '\n'],
    ['publisher', 'cr', '\r'],
    ['publisher', 'lf', '\n'],
  ] as const)('sends exactly one byte: %s, %s', async (name, enter, byte) => {
    await using it = await bench(scenario(name), { connection: { enter } })
    await getReady(it.device)
    const before = typedOn(it.simulator)
    const observations = it.device.commit()
    expect(typedOn(it.simulator)).toBe(before)
    expect(await observations.next()).toEqual({ done: false, value: { type: 'sent' } })
    await collect(observations)
    expect(typedOn(it.simulator)).toBe(before + byte)
    expect(it.simulator.ledger.of('enter').map(({ key }) => key)).toEqual([enter])
  })

  it.each(['echo-at-enter', 'echo-never', 'publisher'])('does not take a late echo for output: %s', async (name) => {
    await using it = await bench(scenario(name), { connection: { echo: false } })
    await getReady(it.device)
    const seen = await collect(it.device.commit())
    expect(summary(seen)).toMatch(/^sent STOPPING .* STARTED ended$/)
    expect(seen.filter(({ type }) => type === 'line')).toHaveLength(2)
  })

  it('cannot be done twice', async () => {
    await using it = await bench(publisher)
    await getReady(it.device)
    await collect(it.device.commit())
    await expect(it.device.commit().next()).rejects.toThrow('commit() while prompt')
    expect(it.simulator.ledger.enters()).toBe(1)
  })

  it('cannot be done without arming, nor can anything be typed onto a prepared command', async () => {
    await using it = await bench(publisher)
    await logIn(it.device)
    await it.device.prepare('Cisco Tomcat')
    await expect(it.device.commit().next()).rejects.toThrow('commit() while typed')
    await expect(it.device.services()).rejects.toThrow('services() while typed')
    await expect(it.device.prepare('Cisco Tftp')).rejects.toThrow('prepare() while typed')
    expect(typedOn(it.simulator)).toBe(COMMAND)
  })

  it('sends nothing when something was printed behind the echo', async () => {
    let shell: ServerChannel | undefined
    await using server = await script((channel, typed) => {
      shell = channel
      withEcho((echo) => echo)(channel, typed)
    })
    const { device } = deviceFor(server)
    await getReady(device)
    shell?.write('\r\nBroadcast message from root: going down\r\nadmin:')
    await new Promise((resolve) => setTimeout(resolve, 50))
    device.arm()
    await expect(device.commit().next()).rejects.toMatchObject({ code: 'echo_mismatch' })
    expect(server.typed()).toBe(COMMAND)
  })

  it('sends nothing when the session is lost before Enter', async () => {
    await using it = await bench(publisher)
    await getReady(it.device)
    it.simulator.dropConnections()
    await new Promise((resolve) => setTimeout(resolve, 50))
    const error = await expectCode(it.device.commit().next(), 'connection_lost')
    expect(error.message).toContain('was lost')
    expect(it.simulator.ledger.enters()).toBe(0)
  })

  it('reports neighbours under their own names', async () => {
    await using it = await bench(scenario('acts-on-neighbour'))
    await getReady(it.device)
    const seen = await collect(it.device.commit())
    const names = seen.flatMap((one) => (one.type === 'state' ? [one.service.name] : []))
    expect(new Set(names)).toEqual(new Set(['Cisco Tomcat Stats Servlet']))
  })

  it.each(rows[5]?.filter(({ name }) => name !== 'restarts-not-activated') ?? [])(
    'gives the words of a refusal and the prompt: $name',
    async (appliance) => {
      await using it = await bench(appliance)
      await getReady(it.device)
      const seen = await collect(it.device.commit())
      expect(seen.at(-1)).toEqual({ type: 'ended' })
      const said = seen.flatMap((one) => ('text' in one ? [one.text] : []))
      expect(said).toEqual(appliance.services.restart.refusal)
    },
  )

  it('leaves the session good for reading the list and for exit', async () => {
    await using it = await bench(publisher)
    await getReady(it.device)
    await collect(it.device.commit())
    expect(await it.device.services()).not.toHaveLength(0)
    await it.device.close()
    expect(it.simulator.ledger.commands()).toEqual([COMMAND, 'utils service list', 'exit'])
  })

  it('answers no question, tells it once, and goes on watching until silence ends it', async () => {
    await using it = await bench(scenario('unexpected-question'), {
      timings: { silenceWarningMs: 150, silenceLimitMs: 400 },
    })
    await getReady(it.device)
    const seen: string[] = []
    const error = await failure(
      (async () => {
        for await (const one of it.device.commit()) seen.push(one.type === 'question' ? one.text : one.type)
      })(),
    )
    expect(error.code).toBe('silence')
    expect(error.deviceLines.at(-1)).toBe('Continue (y/n)?')
    expect(seen.filter((word) => word === 'Continue (y/n)?')).toHaveLength(1)
    await it.device.close()
    expect(typedOn(it.simulator)).toBe(`${COMMAND}\r`)
  })

  it('warns of silence, again and again, and gives up at the limit', async () => {
    await using it = await bench(
      { ...publisher, faults: [fault('stopping', 'silence')] },
      {
        timings: { silenceWarningMs: 100, silenceLimitMs: 350 },
      },
    )
    await getReady(it.device)
    const seen: string[] = []
    const warnings: number[] = []
    const error = await failure(
      (async () => {
        for await (const one of it.device.commit()) {
          seen.push(one.type)
          if (one.type === 'silent') warnings.push(one.forMs)
        }
      })(),
    )
    expect(error.code).toBe('silence')
    expect(warnings.length).toBeGreaterThanOrEqual(2)
    expect(warnings[0]).toBeGreaterThanOrEqual(100)
    expect(warnings.every((ms, index) => index === 0 || ms > (warnings[index - 1] ?? 0))).toBe(true)
    expect(seen.slice(0, 2)).toEqual(['sent', 'line'])
  })

  it('warns once when lines come but no state line', async () => {
    const quiet = vary(publisher, publisher, { services: { firstLineMs: 300_000 } })
    await using it = await bench(quiet, { timings: { firstStateMs: 80 } })
    await getReady(it.device)
    const seen = await collect(it.device.commit())
    expect(summary(seen)).toMatch(/^sent silent STOPPING .* ended$/)
  })

  it('follows a restart for longer than the silence limit as long as the device says something', async () => {
    const long = vary(publisher, publisher, {
      services: { restart: { steps: [polls('STARTING', 60), polls('STARTED', 1)] } },
    })
    await using it = await bench(long, { timeScale: 0.002, timings: { silenceWarningMs: 300, silenceLimitMs: 400 } })
    await getReady(it.device)
    const startedAt = performance.now()
    const seen = await collect(it.device.commit())
    expect(performance.now() - startedAt).toBeGreaterThan(500)
    expect(summary(seen)).toMatch(/^sent( STARTING){60} STARTED ended$/)
  })

  it.each([
    ['shell-closed-goes-on', /^sent STOPPING lost$/],
    ['reset-goes-on', /^sent STOPPING lost$/],
    ['close-goes-on', /^sent STOPPING lost$/],
    ['never-began', /^sent lost$/],
    ['reset-before-state-line', /^sent lost$/],
    ['close-at-warning', /^sent lost$/],
    ['enter-arrives', /^sent lost$/],
    ['enter-is-lost', /^sent lost$/],
    ['disconnect-at-starting', /^sent( STOPPING)+ STARTING lost$/],
    ['close-shell-at-started', /^sent( STOPPING)+( STARTING)+ STARTED lost$/],
  ])('says that the session was lost, with all lines before it: %s', async (name, states) => {
    await using it = await bench(scenario(name))
    await getReady(it.device)
    const seen = await collect(it.device.commit())
    expect(seen[0]).toEqual({ type: 'sent' })
    const last = seen.at(-1)
    expect(last).toMatchObject({ type: 'lost', error: { code: 'connection_lost' } })
    expect(summary(seen)).toMatch(states)
  })

  it('says that the session was lost when a half-open link stops answering', async () => {
    await using it = await bench(scenario('half-open-mid-restart'), { keepaliveMs: 60 })
    await getReady(it.device)
    const seen = await collect(it.device.commit())
    expect(summary(seen)).toMatch(/STOPPING.* lost$/)
    it.simulator.resumeOutput()
  })

  it('does not take last words without a line end for a state line', async () => {
    await using server = await script((channel, typed) => {
      withEcho((echo) => echo)(channel, typed)
      channel.on('data', (bytes: Buffer) => {
        if (!bytes.includes('\r')) return
        channel.write('\r\nCisco Tomcat[STOPPING]\r\nCisco Tomcat[STARTED]')
        setImmediate(() => channel.end())
      })
    })
    const { device } = deviceFor(server)
    await getReady(device)
    const seen = await collect(device.commit())
    expect(summary(seen)).toBe('sent STOPPING lost')
    expect(seen.at(-2)).toEqual({ type: 'line', text: 'Cisco Tomcat[STARTED]' })
    await device.close()
  })

  it('can log in and look again on the same object after the link was lost', async () => {
    await using it = await bench(scenario('reset-goes-on'))
    await getReady(it.device)
    await collect(it.device.commit())
    await it.device.close()
    await it.device.connect({ patient: true })
    await authenticateAndOpen(it.device)
    expect(await it.device.services()).not.toHaveLength(0)
    expect(it.simulator.ledger.restarts()).toHaveLength(1)
  })

  it('shows hostile output as marks', async () => {
    const words = '\u001b]52;c;x\u0007\u001b[2J\u202eCisco Tomcat[STARTED]\u001b[2A'
    const nasty = vary(publisher, publisher, {
      services: { restart: { refusal: [words, 'Cisco\u001b[1m Tftp\u001b[0m[STARTED]'] } },
    })
    await using it = await bench(nasty)
    await getReady(it.device)
    const seen = await collect(it.device.commit())
    expect(seen.slice(1)).toEqual([
      { type: 'line', text: '␛␛<U+202E>Cisco Tomcat[STARTED]␛' },
      { type: 'state', service: { name: 'Cisco Tftp', state: 'STARTED', reason: '' }, text: 'Cisco␛ Tftp␛[STARTED]' },
      { type: 'ended' },
    ])
  })

  it('holds back a device that prints without end, and loses nothing', async () => {
    const count = 20_000
    await using server = await script((channel, typed) => {
      withEcho((echo) => echo)(channel, typed)
      channel.on('data', (bytes: Buffer) => {
        if (!bytes.includes('\r')) return
        const lines = Array.from({ length: count }, (_, index) => `line ${index}\r\n`).join('')
        channel.write(`\r\n${lines}admin:`)
      })
    })
    const { device } = deviceFor(server)
    await getReady(device)
    const seen = await collect(device.commit())
    const lines = seen.flatMap((one) => (one.type === 'line' ? [one.text] : []))
    expect(lines).toHaveLength(count)
    expect(lines.at(-1)).toBe(`line ${count - 1}`)
    expect(seen.at(-1)).toEqual({ type: 'ended' })
    await device.close()
  })
})

// Not beside the others: it stops the clock of them all.
describe('a paused process', { timeout: 30_000 }, () => {
  it('sends nothing when the process was paused for more than a second', async () => {
    await using it = await bench(publisher)
    await getReady(it.device)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_050)
    await expect(it.device.commit().next()).rejects.toMatchObject({ code: 'woke_up_late' })
    await allClosed(it.simulator)
    expect(it.simulator.ledger.enters()).toBe(0)
  })
})

describe.concurrent('aborting', { timeout: 30_000 }, () => {
  const reason = new Error('cancelled by a person')

  it('before connecting opens no socket', async () => {
    await using it = await bench(publisher)
    it.abort.abort(reason)
    await expect(it.device.connect()).rejects.toBe(reason)
    expect(it.simulator.ledger.of('open')).toEqual([])
  })

  it.each([
    'silence-at-tcp',
    'silence-at-kex',
    'silence-at-auth',
    'silence-at-shell',
    'silence-at-prompt',
    'silence-at-echo',
  ])('rejects with the reason of the signal and leaves no socket: %s', async (name) => {
    await using it = await bench(scenario(name))
    const work = getReady(it.device)
    await it.simulator.ledger.until((ledger) => ledger.of('fault').length > 0 || ledger.of('in').length > 0)
    it.abort.abort(reason)
    await expect(work).rejects.toBe(reason)
    await allClosed(it.simulator)
    expect(it.simulator.ledger.enters()).toBe(0)
  })

  it('while a list is read rejects and leaves no socket', async () => {
    await using it = await bench(vary(publisher, publisher, { services: { listMs: 3_600_000 } }))
    await logIn(it.device)
    const listed = it.device.services()
    await it.simulator.ledger.until((ledger) => ledger.commands().length === 1)
    it.abort.abort(reason)
    await expect(listed).rejects.toBe(reason)
    await allClosed(it.simulator)
  })

  it('after arming sends nothing', async () => {
    await using it = await bench(publisher)
    await getReady(it.device)
    it.abort.abort(reason)
    await expect(it.device.commit().next()).rejects.toBe(reason)
    await allClosed(it.simulator)
    expect(it.simulator.ledger.enters()).toBe(0)
  })

  it('after Enter only closes the connection: no Ctrl-C, no exit', async () => {
    await using it = await bench(scenario('never-finishes'))
    await getReady(it.device)
    const states: string[] = []
    const work = (async () => {
      for await (const one of it.device.commit()) {
        states.push(one.type)
        if (states.length > 6) it.abort.abort(reason)
      }
    })()
    await expect(work).rejects.toBe(reason)
    await allClosed(it.simulator)
    expect(typedOn(it.simulator)).toBe(`${COMMAND}\r`)
  })

  it('while polling rejects and leaves no socket', async () => {
    await using it = await bench(publisher, { timings: { pollMs: 60_000, pollLimitMs: 600_000 } })
    await logIn(it.device)
    const lists = it.device.follow()
    await lists.next()
    const next = lists.next()
    it.abort.abort(reason)
    await expect(next).rejects.toBe(reason)
    await allClosed(it.simulator)
  })

  it('is the same as closing in the middle of a restart: the connection ends, nothing is typed', async () => {
    await using it = await bench(scenario('never-finishes'))
    await getReady(it.device)
    const observations = it.device.commit()
    for (let count = 0; count < 5; count += 1) await observations.next()
    await observations.return(undefined)
    await it.device.close()
    await allClosed(it.simulator)
    expect(typedOn(it.simulator)).toBe(`${COMMAND}\r`)
  })
})

function typedOn(simulator: { ledger: { of(type: 'in'): { readonly bytes: Buffer }[] } }): string {
  return Buffer.concat(simulator.ledger.of('in').map(({ bytes }) => bytes)).toString('latin1')
}

/** A prompt, and an echo of what is typed before Enter. */
function withEcho(distort: (echo: string) => string): (channel: ServerChannel, typed: () => string) => void {
  return (channel) => {
    let line = ''
    channel.write('   Welcome to the Platform Command Line Interface\r\n\r\nadmin:')
    channel.on('data', (bytes: Buffer) => {
      if (bytes.includes('\r')) return
      line += bytes.toString('latin1')
      if (line === COMMAND) channel.write(distort(line))
    })
  }
}

function scenario(name: string): Scenario {
  const found = scenarios.get(name)
  if (!found) throw new Error(`No scenario ${name}`)
  return found
}
