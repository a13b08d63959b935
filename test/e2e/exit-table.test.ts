import fs from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { EXIT_TABLE, type ExitStatus } from '../../src/core/errors.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, type Ended } from '../helpers/rig.ts'
import { until } from '../helpers/wait.ts'

const SLOW = { timeScale: 0.05 }

async function withDevice(rig: Rig, name: string, options = {}): Promise<void> {
  await rig.appliance('node', scenarios.get(name) as Scenario, options)
}

/** Starts a slow restart and resolves when the service moves. */
async function underWay(rig: Rig) {
  await withDevice(rig, 'publisher', SLOW)
  const running = rig.start(['restart', 'node'])
  await until('the service moves', () => /stopping|starting/.test(running.output.stderr))
  return running
}

async function leaveBy(rig: Rig, signal: NodeJS.Signals): Promise<Ended> {
  const running = await underWay(rig)
  running.child.kill(signal)
  return running.ended
}

/** How a person gets each row of the table, with the built client. */
const WAYS: Record<ExitStatus, (rig: Rig) => Promise<Ended>> = {
  0: async (rig) => {
    await withDevice(rig, 'publisher')
    return rig.run(['restart', 'node'])
  },
  1: async (rig) => {
    await withDevice(rig, 'ends-stopped')
    return rig.run(['restart', 'node'])
  },
  2: (rig) => rig.run(['restart', 'nobody']),
  3: async (rig) => {
    await withDevice(rig, 'started-only')
    return rig.run(['restart', 'node'])
  },
  4: async (rig) => {
    await underWay(rig)
    return rig.run(['restart', 'node'])
  },
  5: async (rig) => {
    await withDevice(rig, 'started-only')
    await rig.run(['restart', 'node'])
    return rig.run(['restart', 'node'])
  },
  6: async (rig) => {
    const device = await rig.appliance('node', scenarios.get('publisher') as Scenario)
    await device.powerOff()
    return rig.run(['restart', 'node'])
  },
  7: (rig) => rig.run(['--no-start', 'ps']),
  8: async (rig) => {
    await underWay(rig)
    return rig.run(['wait', 'last', '--timeout', '1ms'])
  },
  9: async (rig) => {
    await withDevice(rig, 'publisher')
    await rig.appliance('other', scenarios.get('ends-stopped') as Scenario)
    return rig.run(['restart', 'node', 'other', '--yes'])
  },
  70: (rig) => {
    // A fault that nobody foresaw, from outside: the program itself has no switch for it.
    const fault = path.join(rig.directory, 'fault.cjs')
    fs.writeFileSync(fault, `require('node:os').userInfo = () => { throw new TypeError('a fault for a test') }`)
    return rig.run(['ps'], { env: { NODE_OPTIONS: `--require ${fault}` } })
  },
  129: (rig) => leaveBy(rig, 'SIGHUP'),
  130: (rig) => leaveBy(rig, 'SIGINT'),
  143: (rig) => leaveBy(rig, 'SIGTERM'),
}

it.each(EXIT_TABLE.map((row) => [row.status, row.name] as const))(
  'the built client exits with %d for "%s"',
  { timeout: 60_000 },
  async (status) => {
    const ended = await WAYS[status](new Rig())
    expect({ status: ended.status, said: ended.status === status ? '' : ended.stdout + ended.stderr }).toEqual({
      status,
      said: '',
    })
    // Whatever went wrong is told in words, and never as a stack trace.
    if (status !== 0) expect(ended.stderr).not.toBe('')
    expect(ended.stderr).not.toMatch(/\n\s+at /)
  },
)

it('prints the same table for people', async () => {
  const { status, stdout } = await new Rig().run(['help', 'exit-codes'])
  expect(status).toBe(0)
  for (const row of EXIT_TABLE) expect(stdout).toMatch(new RegExp(`${row.status}\\s+${row.name}`))
})
