import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../../src/core/operation.ts'
import { Client } from '../../src/cli/client.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig } from '../helpers/rig.ts'
import { until } from '../helpers/wait.ts'

/** Slow enough that a test can act while the service moves, fast enough not to wait for it. */
const WATCHABLE = { timeScale: 0.05 }
const TIMEOUT = 60_000

function scenario(name: string): Scenario {
  const found = scenarios.get(name)
  if (!found) throw new Error(`no scenario ${name}`)
  return found
}

const moving = (output: { stdout: string; stderr: string }) => /stopping|starting/.test(output.stderr)
const idIn = (text: string) => /[rt]-[0-9a-z]{6}/.exec(text)?.[0] ?? ''

describe('one restart', { timeout: TIMEOUT }, () => {
  it('runs to its end: one Enter on the device, one line on stdout, exit 0', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'))
    const { status, stdout, stderr } = await rig.run(['restart', 'cucm-pub'])
    expect(stderr).toMatch(/restart "Cisco Tomcat"/)
    expect(stdout).toMatch(/^r-[0-9a-z]{6} {2}cucm-pub {2}ok {2}\S+\n$/)
    expect(status).toBe(0)
    expect(device.ledger.restarts('Cisco Tomcat')).toHaveLength(1)
    expect(device.ledger.commands().at(-1)).toBe('exit')
    expect(device.ledger.of('ctrl-c')).toEqual([])
  })

  it('prints nothing at all with -q when it is done', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', scenario('publisher'))
    expect(await rig.run(['restart', 'cucm-pub', '-q'])).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  it('gives one JSON document with -o json, and nothing on stderr', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', scenario('publisher'))
    const { status, stdout, stderr } = await rig.run(['restart', 'cucm-pub', '-o', 'json'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({ status: 'completed', exit_code: 0, effect: 'confirmed', progress: 100 })
  })

  it('is completed, confirmed by the service list, on the subscriber that prints STARTING and then the prompt', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-sub', scenario('subscriber'))
    const { status } = await rig.run(['restart', 'cucm-sub'])
    expect(status).toBe(0)
    expect((await rig.run(['status', 'last', '-o', 'json'])).stdout).toContain('confirmed by the service list')
  })

  it.each([
    ['old-wording', ['-s', 'Cisco Finesse Tomcat'], 0],
    ['new-wording', ['-s', 'cisco xcp text'], 0],
    ['started-only', [], 3],
    ['acts-on-neighbour', [], 1],
    ['ends-stopped', [], 1],
    ['subscriber-ends-stopped', [], 1],
    ['never-began', [], 3],
    ['reset-goes-on', [], 0],
    ['reset-stays-stopped', [], 1],
    ['shell-closed-goes-on', [], 0],
    ['shell-closed-stays-stopped', [], 1],
    ['paged-list', [], 0],
    ['all-in-bytes', [], 0],
    ['lone-cr', [], 0],
    ['doubled-prompt', [], 0],
    ['wraps', [], 0],
    ['echo-at-enter', [], 6],
    ['session-limit-text', [], 6],
    ['keyboard-interactive-only', [], 0],
    ['refuses-unsuccessful', [], 1],
  ] as const)('on the appliance "%s" ends truthfully', async (name, flags, exit) => {
    const rig = new Rig()
    const device = await rig.appliance('node', scenario(name))
    const { status, stderr, stdout } = await rig.run(['restart', 'node', ...flags])
    expect({ status, said: status === exit ? '' : stdout + stderr }).toEqual({ status: exit, said: '' })
    expect(device.ledger.restarts().length).toBe(exit === 6 ? 0 : 1)
    expect(device.ledger.of('ctrl-c')).toEqual([])
  })

  it('works on a device that does not echo before Enter, when the connection says so', async () => {
    const rig = new Rig()
    await rig.appliance('node', scenario('echo-at-enter'), {}, ['--no-echo'])
    expect((await rig.run(['restart', 'node'])).status).toBe(0)
  })

  it('works on a device whose Enter is a line feed, when the connection says so', async () => {
    const rig = new Rig()
    await rig.appliance('node', scenario('only-lf'), {}, ['--enter', 'lf'])
    expect((await rig.run(['restart', 'node'])).status).toBe(0)
  })

  it('names the candidates with their states for a service that is not there, and sends nothing', async () => {
    const rig = new Rig()
    const device = await rig.appliance('node', scenario('publisher'))
    const { status, stderr } = await rig.run(['restart', 'node', '-s', 'Cisco Tomcut'])
    expect(status).toBe(2)
    expect(stderr).toContain('"Cisco Tomcat" [STARTED]')
    expect(device.ledger.restarts()).toEqual([])
  })

  it('shows bytes that would act on a terminal as text, on every stream and in the log', async () => {
    const rig = new Rig()
    await rig.appliance('node', scenario('hostile'))
    let all = ''
    const commands = ['test node', 'connections services node', 'restart node -v', 'logs last -n 500', 'daemon logs']
    for (const command of commands) {
      const { stdout, stderr } = await rig.run(command.split(' '))
      all += stdout + stderr
    }
    expect(all).toContain('␛')
    expect(all).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]/)
  })
})

describe('the same restart twice', { timeout: TIMEOUT }, () => {
  it('is refused to the second of two shells, with the words for scripts, exit 4', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    const first = rig.start(['restart', 'cucm-pub'])
    await until('the first one runs', () => first.output.stderr.includes('accepted'))
    const second = await rig.run(['restart', 'cucm-pub'])
    expect(second.status).toBe(4)
    expect(second.stdout).toBe('')
    expect(second.stderr).toMatch(
      /^vosctl: busy: cucm-pub has r-\w{6} \(restart "Cisco Tomcat" by \S+ since \d\d:\d\d:\d\d, .*\); nothing was sent; exit 4\. Follow: vosctl attach r-\w{6}\n$/,
    )
    expect((await rig.run(['restart', 'cucm-pub', '--if-running', 'skip'])).status).toBe(0)
    const attached = await rig.run(['restart', 'cucm-pub', '--if-running', 'attach'])
    expect(attached.status).toBe(0)
    expect((await first.ended).status).toBe(0)
    expect(device.ledger.restarts()).toHaveLength(1)
  })

  it('runs once after the first, when told to queue; a third one has its wish in line already', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), { timeScale: 0.1 })
    const first = rig.start(['restart', 'cucm-pub'])
    await until('the first one was accepted', () => idIn(first.output.stderr) !== '')
    const id = idIn(first.output.stderr)
    const second = rig.start(['restart', 'cucm-pub', '--if-running', 'queue'])
    await until('the second one waits', () => second.output.stderr.includes(`waiting for ${id}\n`))
    const [ps, third, other] = await Promise.all([
      rig.run(['ps']),
      rig.run(['restart', 'cucm-pub', '--if-running', 'queue', '-d', '-o', 'json']),
      rig.run(['restart', 'cucm-pub', '-s', 'Cisco Tftp', '--if-running', 'queue']),
    ])
    expect(ps.stdout).toMatch(new RegExp(` queued +- +after ${id}\n`))
    expect(JSON.parse(third.stdout)).toMatchObject({ id: idIn(second.output.stderr), after: id })
    expect(other.status).toBe(4)
    expect(other.stderr).toContain(`${idIn(second.output.stderr)} (restart "Cisco Tomcat"`)
    expect(other.stderr).toContain(`waiting for ${id}`)
    expect([(await first.ended).status, (await second.ended).status]).toEqual([0, 0])
    expect(device.ledger.restarts()).toHaveLength(2)
  })

  it('is skipped when it completed a moment ago and that was asked for: silent with -q, told otherwise', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'))
    const id = idIn((await rig.run(['restart', 'cucm-pub', '--if-recent', 'skip:6h'])).stdout)
    const words = ['restart', 'cucm-pub', '--if-recent', 'skip:6h']
    expect(await rig.run([...words, '-q'])).toEqual({ status: 0, stdout: '', stderr: '' })
    const told = await rig.run(words)
    expect(told).toMatchObject({ status: 0, stdout: '' })
    expect(told.stderr).toMatch(new RegExp(`^vosctl: cucm-pub skipped: ${id} completed 0m\\d\\ds ago\\n$`))
    const json = JSON.parse((await rig.run([...words, '-o', 'json'])).stdout)
    expect(json).toMatchObject({ items: [], skipped: [{ name: 'cucm-pub', why: 'recent', operation: id }] })
    expect((await rig.run([...words, '--dry-run'])).stdout).toContain(`would skip cucm-pub: ${id} completed`)
    expect(device.ledger.restarts()).toHaveLength(1)
  })

  it('fifty at once, on two connections that name one device, press Enter once', async () => {
    const rig = new Rig()
    const device = await rig.appliance('one', scenario('publisher'), WATCHABLE)
    await rig.add('two', device)
    const clients = await Promise.all(
      Array.from({ length: 50 }, () => Client.connect({ socketPath: rig.socket, version: '0' })),
    )
    const connections = await (clients[0] as Client).request('connection:list', {})
    const outcomes = await Promise.all(
      clients.map(async (client, index) => {
        const connectionIds = [connections[index % 2]?.id ?? 0]
        const start = {
          requestId: randomUUID(),
          operationType: 'service_restart',
          connectionIds,
          createdBy: 'x',
        } as const
        try {
          return (await client.request('operation:start', start)).operations[0]?.id
        } catch (error) {
          return (error as { code: string }).code
        }
      }),
    )
    for (const client of clients) client.close()
    expect(outcomes.filter((outcome) => outcome === 'already_running')).toHaveLength(49)
    const id = outcomes.find((outcome) => outcome !== 'already_running') ?? ''
    expect((await rig.run(['wait', id])).status).toBe(0)
    expect(device.ledger.restarts()).toHaveLength(1)
  })
})

describe('leaving and coming back', { timeout: TIMEOUT }, () => {
  it('goes on when its client is killed, and attach picks up the same operation', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    const first = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => moving(first.output))
    first.child.kill('SIGKILL')
    await first.ended
    const attached = await rig.run(['attach', idIn(first.output.stderr)])
    expect(attached.status).toBe(0)
    expect(attached.stdout).toContain(idIn(first.output.stderr))
    expect(device.ledger.restarts()).toHaveLength(1)
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('leaves on %s with %d and says how to come back', async (signal, exit) => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    const first = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => moving(first.output))
    first.child.kill(signal)
    const { status, stderr } = await first.ended
    expect(status).toBe(exit)
    expect(stderr).toContain(`vosctl attach ${idIn(stderr)}`)
    expect((await rig.run(['wait', 'last'])).status).toBe(0)
  })

  it('leaves when its patience ends, with 8, and the operation goes on', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    expect((await rig.run(['restart', 'cucm-pub', '--timeout', '300ms'])).status).toBe(8)
    expect((await rig.run(['wait', 'last'])).status).toBe(0)
  })

  it('after SIGKILL of the daemon looks at the device, sends nothing, and its client comes back without a gap', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    const client = rig.start(['restart', 'cucm-pub', '-o', 'jsonl'])
    await until('the service moves', () => /"stopping"|"starting"/.test(client.output.stdout))
    await rig.killDaemon()
    const { status, stdout } = await client.ended
    expect(status).toBe(0)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; seq?: number; op?: string })
    expect(lines.at(-1)?.type).toBe('result')
    const seqs = lines.filter((line) => typeof line.seq === 'number' && line.op !== undefined).map(({ seq }) => seq)
    expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => Number(a) - Number(b)))
    const back = await Client.connect({ socketPath: rig.socket, version: '0' })
    const events: readonly RecordedEvent[] = await back.request('operation:events', { id: 'last' })
    back.close()
    const types = events.map(({ event }) => event.type)
    expect(types).toContain('reconciling')
    expect(types.filter((type) => type === 'dispatching')).toHaveLength(1)
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(device.ledger.restarts()).toHaveLength(1)
    expect(device.ledger.authAttempts()).toHaveLength(2)
  })

  it('lets what was sent come to its end on SIGTERM of the daemon, and takes on nothing new meanwhile', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    const client = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => moving(client.output))
    const { daemonPid } = rig
    process.kill(daemonPid ?? 0, 'SIGTERM')
    await until('it drains', () => rig.log().includes('stopping: SIGTERM, 1 active'))
    expect((await rig.run(['restart', 'cucm-pub', '--no-start'])).status).toBe(7)
    expect((await client.ended).status).toBe(0)
    await until('it has stopped', () => rig.log().includes('vosd: stopped'))
    expect(device.ledger.restarts()).toHaveLength(1)
    expect(device.ledger.authAttempts()).toHaveLength(1)
  })

  it('leaves what was sent to the next daemon when it is told to stop now, and that one looks', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    const client = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => moving(client.output))
    await rig.prepare(['daemon', 'stop', '--now', '--yes'])
    expect((await client.ended).status).toBe(0)
    expect(device.ledger.restarts()).toHaveLength(1)
    expect(device.ledger.authAttempts()).toHaveLength(2)
  })

  it('cancels before the command was sent, and says that it is too late afterwards', async () => {
    const rig = new Rig()
    // It thinks for so long before its prompt that another client has the time to come in.
    const device = await rig.appliance('cucm-pub', scenario('login-slow'), { timeScale: 0.08 })
    const early = rig.start(['restart', 'cucm-pub'])
    await until('it logs in', () => device.ledger.authAttempts().length === 1)
    expect((await rig.run(['cancel', 'last'])).status).toBe(0)
    expect((await early.ended).status).toBe(6)
    expect(device.ledger.restarts()).toEqual([])
    const late = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => moving(late.output), 30_000)
    const cancelled = await rig.run(['cancel', 'last'])
    expect(cancelled.status).toBe(1)
    expect(cancelled.stderr).toContain('cannot be taken back: the restart was sent at')
    expect((await late.ended).status).toBe(0)
  })
})

describe('what does not let us in', { timeout: TIMEOUT }, () => {
  it('tries a wrong password once, and not again before a person acts', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'))
    await rig.prepare(['credentials', 'set', 'cucm-pub', '--stdin'], { input: 'wrong\n' })
    expect((await rig.run(['restart', 'cucm-pub'])).status).toBe(6)
    for (let cron = 0; cron < 3; cron++) expect((await rig.run(['restart', 'cucm-pub'])).status).toBe(5)
    expect(device.ledger.authAttempts()).toHaveLength(1)
    await rig.prepare(['credentials', 'set', 'cucm-pub', '--stdin'], { input: `${device.password}\n` })
    expect((await rig.run(['restart', 'cucm-pub'])).status).toBe(0)
  })

  it('sends nothing to a device whose host key has changed', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'))
    device.changeHostKey()
    const { status, stderr } = await rig.run(['restart', 'cucm-pub'])
    expect(status).toBe(6)
    expect(stderr).toContain('host key')
    expect(device.ledger.of('auth')).toEqual([])
  })

  it('refuses a device that comes back with another key after the command was sent', async () => {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenario('publisher'), WATCHABLE)
    const running = rig.start(['restart', 'cucm-pub'])
    await until('the service moves', () => moving(running.output))
    const attempts = device.ledger.authAttempts().length
    await device.reboot({ hostKey: 'new', downMs: 100 })
    expect((await running.ended).status).toBe(3)
    expect(device.ledger.authAttempts()).toHaveLength(attempts)
    const again = await rig.run(['restart', 'cucm-pub'])
    expect(again.status).toBe(5)
    expect((await rig.run(['ack', 'last', '--yes'])).status).toBe(0)
  })
})

describe('several targets', { timeout: TIMEOUT }, () => {
  it('needs --yes off a terminal', async () => {
    const rig = new Rig()
    await rig.appliance('a', scenario('publisher'))
    await rig.appliance('b', scenario('publisher'))
    const { status, stderr } = await rig.run(['restart', 'a', 'b'])
    expect(status).toBe(2)
    expect(stderr).toContain('--yes')
  })

  it('runs them in order and stops after the first failure', async () => {
    const rig = new Rig()
    const devices = [
      await rig.appliance('a', scenario('publisher')),
      await rig.appliance('b', scenario('ends-stopped')),
      await rig.appliance('c', scenario('publisher')),
    ]
    const { status, stdout } = await rig.run(['restart', 'a', 'b', 'c', '--yes'])
    expect(status).toBe(9)
    expect(stdout.trim().split('\n')).toHaveLength(3)
    expect(devices.map((device) => device.ledger.restarts().length)).toEqual([1, 1, 0])
    // The one connection is that of `connections trust`.
    expect(devices[2]?.ledger.of('open')).toHaveLength(1)
  })

  it('takes names from stdin and globs, and runs them side by side', async () => {
    const rig = new Rig()
    const devices = [
      await rig.appliance('web-1', scenario('publisher')),
      await rig.appliance('web-2', scenario('publisher')),
    ]
    expect((await rig.run(['restart', '-', '--yes', '--parallel', '2'], { input: 'web-1\nweb-2\n' })).status).toBe(0)
    expect((await rig.run(['restart', 'web-*', '--yes'])).status).toBe(0)
    expect(devices.map((device) => device.ledger.restarts().length)).toEqual([2, 2])
  })
})
