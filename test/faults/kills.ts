import { setTimeout as sleep } from 'node:timers/promises'
import { exitStatus } from '../../src/core/errors.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Arena, type Daemon, type DaemonOptions, type Ended } from './arena.ts'
import { faultyDaemon } from './build.ts'
import { Random } from './random.ts'
import type { Rig } from './rig.ts'

/** Work that is asked for while something goes wrong. */
export interface Story {
  readonly name: string
  readonly appliances: readonly { readonly name: string; readonly scenario: Scenario; readonly password?: string }[]
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
    name: 'batch with a refused login',
    appliances: [
      { name: 'cucm-1', scenario: scenario('subscriber') },
      { name: 'cucm-2', scenario: scenario('publisher'), password: 'not the password' },
    ],
    args: ['restart', 'cucm-1', 'cucm-2', '--yes', '--parallel', '2'],
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
 * Runs a story while `strike` deals with the first daemon. Whenever a daemon is gone the next one recovers, and the story
 * is followed to its end.
 * @returns the broken promises, and how the first daemon ended and what it wrote
 */
export async function tell(
  arena: Arena,
  story: Story,
  options: DaemonOptions,
  strike: (daemon: Daemon) => Promise<void> = async () => undefined,
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
    await strike(daemon)
    await Promise.race([daemon.ended, client.ended])
    await revive()
    followed = await within(END_MS, client.ended)
    // Gone before the client had said a word to it: nothing was asked for yet.
  } while (followed?.status === exitStatus('daemon') && client.output.stdout.includes('"no_daemon"'))
  const said = () => `${client.output.stdout.slice(-400)} ${client.output.stderr}`
  if (!followed) broken.push(`5: the client is not at an end after ${END_MS / 1000} s: ${said()}`)
  else if (!story.exits.includes(followed.status ?? -1))
    broken.push(`the client ended with ${followed.status}: ${said()}`)
  let ended = await arena.stop(daemon)
  if (daemon === first && ended.status !== 0) {
    await revive()
    ended = await arena.stop(daemon)
  }
  if (ended.status !== 0) broken.push(`the daemon ended with ${ended.status ?? ended.signal}: ${daemon.words()}`)
  broken.push(...arena.check())
  return { broken, first }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController()
  try {
    return await Promise.race([work, sleep(ms, undefined, over)])
  } finally {
    over.abort()
  }
}

/** Every failpoint of every story, in the order in which an undisturbed run passes them. */
export async function listFailpoints(program: string): Promise<{ readonly story: Story; readonly place: string }[]> {
  const all: { story: Story; place: string }[] = []
  for (const story of STORIES) {
    await using arena = new Arena(program)
    const { broken, first } = await tell(arena, story, { env: { VOSCTL_FAILPOINT_TRACE: '1' } })
    if (broken.length > 0) throw new Error(`${story.name} fails undisturbed:\n${broken.join('\n')}`)
    for (const [, place] of first.words().matchAll(/^failpoint (\S+)/gm))
      if (place !== undefined) all.push({ story, place })
  }
  return all
}

/** SIGKILL at every failpoint in turn, then a new daemon, and the books are compared with the devices'. */
const run: Rig = async ({ cases, seed, say }) => {
  const program = await faultyDaemon()
  const places = await listFailpoints(program)
  say(
    `${places.length} failpoints: ${STORIES.map((each) => `${each.name} ${places.filter(({ story }) => story === each).length}`).join(', ')}`,
  )
  const chosen = cases >= places.length ? places : new Random(seed).sample(places, cases)
  const violations: string[] = []
  let struck = 0
  for (const { story, place } of chosen) {
    await using arena = new Arena(program)
    const { broken, first } = await tell(arena, story, { env: { VOSCTL_FAILPOINTS: `${place}=kill` } })
    if (first.words().includes(`failpoint ${place} `)) struck++
    violations.push(...broken.map((what) => `killed at ${place} of "${story.name}": ${what}`))
  }
  return { cases: chosen.length, violations, facts: { failpoints: places.length, struck } }
}

export default run
