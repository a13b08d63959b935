import { exitStatus } from '../../src/core/errors.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { within } from '../helpers/wait.ts'
import { Arena, type AppliancePlan, type Daemon, type DaemonOptions, type Ended } from './arena.ts'
import { faultyDaemon } from './build.ts'
import { Random } from './random.ts'
import type { Rig } from './rig.ts'

/** Work that is asked for while something goes wrong. */
export interface Story {
  readonly name: string
  readonly appliances: readonly AppliancePlan[]
  /** The house is set up by the daemon that is struck, which finds nothing on disk. */
  readonly fromNothing?: true
  readonly args: readonly string[]
  /** Exit codes of the client that may be true, wherever on the way the daemon was struck. */
  readonly exits: readonly number[]
}

export function scenario(name: string): Scenario {
  const found = scenarios.get(name)
  if (!found) throw new Error(`no scenario ${name}`)
  return found
}

/** What the daemon is doing when it is struck. */
export const STORIES: readonly Story[] = [
  {
    name: 'restart',
    appliances: [{ name: 'cucm-pub', scenario: scenario('publisher') }],
    args: ['restart', 'cucm-pub'],
    exits: [0, 3, 6],
  },
  {
    name: 'lost link',
    appliances: [{ name: 'cucm-sub', scenario: scenario('reset-goes-on') }],
    args: ['restart', 'cucm-sub'],
    exits: [0, 3, 6],
  },
  {
    name: 'lost link, nothing happened',
    appliances: [{ name: 'cucm-sub', scenario: scenario('never-began') }],
    args: ['restart', 'cucm-sub'],
    exits: [3, 6],
  },
  {
    name: 'hostile device',
    appliances: [{ name: 'cucm-odd', scenario: scenario('hostile') }],
    args: ['restart', 'cucm-odd'],
    exits: [0, 3, 6],
  },
  {
    name: 'batch with strangers',
    appliances: [
      { name: 'cucm-1', scenario: scenario('subscriber') },
      { name: 'cucm-2', scenario: scenario('publisher'), password: 'not the password' },
      { name: 'cucm-3', scenario: scenario('publisher'), isStranger: true },
    ],
    args: ['restart', 'cucm-1', 'cucm-2', 'cucm-3', '--yes', '--parallel', '3'],
    exits: [3, 6, 9],
  },
  {
    name: 'first steps',
    fromNothing: true,
    appliances: [{ name: 'cucm-pub', scenario: scenario('publisher') }],
    args: ['test', 'cucm-pub'],
    exits: [0, 6],
  },
]

/** How long a client may follow its operations to their end, a crash and a recovery included. */
const END_MS = 60_000

/**
 * Runs a story while its options deal with the first daemon. Whenever a daemon is gone the next one recovers, and the
 * story is followed to its end.
 * @returns the broken promises, and how the first daemon ended and what it wrote
 */
export async function tell(
  arena: Arena,
  story: Story,
  options: DaemonOptions,
  /** What is wrong when the story is at its end and the daemon still up. */
  beforeStop: () => string[] = () => [],
): Promise<{ readonly broken: string[]; readonly first: Daemon }> {
  const simulators = await arena.build(story.appliances)
  if (!story.fromNothing) await arena.furnish(simulators)
  const first = arena.daemon(options)
  let daemon = first
  const revive = async (): Promise<void> => {
    if (await arena.isUp(daemon)) return
    daemon = arena.daemon()
    if (!(await arena.isUp(daemon))) throw new Error(`the next daemon does not start: ${daemon.words()}`)
  }
  const broken: string[] = []
  await revive()
  if (story.fromNothing) broken.push(...(await arena.furnishByDaemon(simulators, revive)))
  let client: ReturnType<Arena['cli']>
  let followed: Ended | undefined
  do {
    await revive()
    client = arena.cli([...story.args, '-o', 'jsonl'])
    await Promise.race([daemon.ended, client.ended])
    await revive()
    followed = await within(END_MS, client.ended)
    // Gone before the client had said a word to it: nothing was asked for yet.
  } while (followed?.status === exitStatus('daemon') && client.output.stdout.includes('"no_daemon"'))
  const said = () => `${client.output.stdout.slice(-400)} ${client.output.stderr}`
  if (!followed) broken.push(`5: the client is not at an end after ${END_MS / 1000} s: ${said()}`)
  else if (!story.exits.includes(followed.status ?? -1))
    broken.push(`the client ended with ${followed.status}: ${said()}`)
  broken.push(...beforeStop())
  let ended = await arena.stop(daemon)
  if (daemon === first && ended.status !== 0) {
    await revive()
    ended = await arena.stop(daemon)
  }
  if (ended.status !== 0) broken.push(`the daemon ended with ${ended.status ?? ended.signal}: ${daemon.words()}`)
  broken.push(...(await arena.check()))
  return { broken, first }
}

/** A case is named after its story and its place; which places a story has is known only after it was told. */
export function storiesFor(only: RegExp): readonly Story[] {
  return STORIES.filter(({ name }) => only.test(name) || only.source.replace('^', '').startsWith(name))
}

/** Every failpoint of a story, in the order in which an undisturbed run passes them. */
async function listFailpoints(program: string, story: Story): Promise<{ places: string[]; broken: string[] }> {
  await using arena = new Arena(program)
  const { broken, first } = await tell(arena, story, { env: { VOSCTL_FAILPOINT_TRACE: '1' } })
  return { places: [...first.words().matchAll(/^failpoint (\S+)/gm)].map(([, place]) => place ?? ''), broken }
}

/** SIGKILL at every failpoint in turn, then a new daemon, and the books are compared with the devices'. */
const run: Rig = async ({ cases, seed, only = /./, say }) => {
  const program = await faultyDaemon()
  const strikes: { readonly story: Story; readonly place: string; readonly name: string }[] = []
  const violations: string[] = []
  for (const story of storiesFor(only)) {
    const { places, broken } = await listFailpoints(program, story)
    violations.push(...broken.map((what) => `"${story.name}" undisturbed: ${what}`))
    strikes.push(...places.map((place) => ({ story, place, name: `${story.name} ${place}` })))
    say(`${story.name}: ${places.length} failpoints`)
  }
  const matching = strikes.filter(({ name }) => only.test(name))
  const chosen = new Random(seed).sample(matching, cases)
  let struck = 0
  for (const { story, place, name } of chosen) {
    await using arena = new Arena(program)
    try {
      const { broken, first } = await tell(arena, story, { env: { VOSCTL_FAILPOINTS: `${place}=kill` } })
      if (first.words().includes(`failpoint ${place} `)) struck++
      violations.push(...broken.map((what) => `killed at ${name}: ${what}`))
    } catch (error) {
      violations.push(`killed at ${name}: ${String(error)}`)
    }
  }
  return { cases: chosen.length, violations, facts: { failpoints: strikes.length, struck } }
}

export default run
