import { mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { loginKey } from '../../../src/core/connection.ts'
import { MIGRATIONS } from '../../../src/daemon/store/migrations.ts'
import { migrate, openDatabase } from '../../../src/daemon/store/database.ts'
import { until } from '../../helpers/wait.ts'
import { Arena, type Daemon, type DaemonOptions } from '../arena.ts'
import { readHouse } from '../check.ts'
import { scenario, STORIES, tell, type Story } from '../kills.ts'
import { differences, lastTree, readTree, type Recording, type Tree } from './recording.ts'
import { isWhole, parseStrace, straceInto } from './strace.ts'

/** A real run that is recorded. */
export interface Run {
  readonly name: string
  /** There is not even a state directory before. */
  readonly fromNothing?: true
  /** What to play instead when the first daemon has lived to sync what it had written last. */
  readonly orElse?: () => Run
  /** Resolves to the promises that were broken even without a power cut. */
  readonly play: (arena: Arena) => Promise<readonly string[]>
}

function told(story: Story, name = story.name, options: DaemonOptions = {}): Run {
  const { fromNothing } = story
  return {
    name,
    ...(fromNothing && { fromNothing }),
    play: async (arena) => (await tell(arena, story, options)).broken,
  }
}

/** What a killed daemon has left unsynced is the next one's to make durable. */
function killedAt(story: Story, failpoint: string): Run {
  return told(story, `${story.name}, killed at ${failpoint}`, { env: { VOSCTL_FAILPOINTS: `${failpoint}=kill` } })
}

/** All of a commit is written and nothing of it is durable. Which fsync is one of a commit, only the attempt can tell. */
function killedInCommit(story: Story, name: string, nth: number): Run {
  const run = told(story, name, { under: [`fsync:signal=SIGKILL:when=${nth}`] })
  return { ...run, orElse: () => killedInCommit(story, name, nth + 1) }
}

const [RESTART] = STORIES
const FIRST_STEPS = STORIES.find(({ fromNothing }) => fromNothing)
if (!RESTART || !FIRST_STEPS) throw new Error('the stories have lost their first ones')

export const RUNS: readonly Run[] = [
  ...STORIES.map((story) => told(story)),
  killedAt(RESTART, 'event.stopping#1'),
  killedInCommit(RESTART, 'restart, killed in a commit', 24),
  killedInCommit(RESTART, 'restart, killed in a later commit', 28),
  killedAt(FIRST_STEPS, 'create.linked#1'),
  killedAt(FIRST_STEPS, 'key.linked#1'),
  { name: 'upgrade', play: upgrade },
  { name: 'two days of work', fromNothing: true, play: workForTwoDays },
]

/** People and daemons of a run that is told here. */
class Actors {
  readonly broken: string[] = []
  readonly arena: Arena

  constructor(arena: Arena) {
    this.arena = arena
  }

  async start(): Promise<Daemon> {
    const daemon = this.arena.daemon()
    if (!(await this.arena.isUp(daemon))) throw new Error(`the daemon does not start: ${daemon.words()}`)
    return daemon
  }

  async restart(...args: readonly string[]): Promise<void> {
    const { ended, output } = this.arena.cli(['restart', ...args, '--yes', '-o', 'jsonl'])
    const { status } = await ended
    if (status !== 0) this.broken.push(`the client ended with ${status}: ${output.stdout.slice(-400)} ${output.stderr}`)
  }

  async stop(daemon: Daemon): Promise<void> {
    const { status } = await this.arena.stop(daemon)
    if (status !== 0) this.broken.push(`the daemon ended with ${status}: ${daemon.words()}`)
  }
}

/** The database is one that an older vosctl has left. */
async function upgrade(arena: Arena): Promise<readonly string[]> {
  const actors = new Actors(arena)
  await arena.furnish(await arena.build([{ name: 'cucm-pub', scenario: scenario('publisher') }]))
  const db = openDatabase(arena.database)
  migrate(db, MIGRATIONS.length - 1, null)
  db.close()
  const daemon = await actors.start()
  await actors.restart('cucm-pub')
  await actors.stop(daemon)
  return [...actors.broken, ...(await arena.check())]
}

/** Connections come, change and go, six devices are restarted at once (more than a WAL holds), and it all goes on. */
async function workForTwoDays(arena: Arena): Promise<readonly string[]> {
  const actors = new Actors(arena)
  const names = ['cucm-1', 'cucm-2', 'cucm-3', 'cucm-4', 'cucm-5', 'cucm-6']
  const appliances = await arena.build(names.map((name) => ({ name, scenario: scenario('publisher') })))
  const first = await actors.start()
  const lost = await arena.furnishByDaemon(appliances, async () => void (await arena.isUp(first)))
  await actors.restart(...names, '--parallel', '6')
  await actors.stop(first)

  const second = await actors.start()
  const client = await arena.connect()
  const known = await client.request('connection:list', {})
  const [one, other] = known
  if (!one || !other) throw new Error('the connections are gone')
  await client.request('connection:edit', { id: one.id, change: { name: 'cucm-pub', enter: 'lf' } })
  await client.request('credential:remove', { id: other.id })
  const password = appliances[1]?.password ?? ''
  await client.request('credential:set', { id: other.id, login: loginKey(other), password })
  await client.request('connection:remove', { id: known.at(-1)?.id ?? 0 })
  client.close()
  await actors.restart('cucm-2')
  await actors.stop(second)
  return [...lost, ...actors.broken, ...(await arena.check())]
}

/** An arena whose daemons all run under strace. */
class RecordedArena extends Arena {
  readonly #fromNothing: boolean
  readonly #logs = mkdtempSync(path.join(os.tmpdir(), 'vosf-strace-'))
  readonly #daemons: Daemon[] = []
  #before: Tree | undefined

  constructor(program: string, fromNothing: boolean) {
    super(program)
    this.#fromNothing = fromNothing
  }

  /** @param options `under` is the fault that strace makes, if any */
  override daemon({ env, under: [fault] = [] }: DaemonOptions = {}): Daemon {
    if (!this.#before) {
      if (this.#fromNothing) for (const directory of [this.state, this.config]) rmdirSync(directory)
      this.#before = readTree(this.directory)
    }
    const under = straceInto(this.#log(this.#daemons.length), fault)
    const daemon = super.daemon({ env: { ...env, VOSCTL_FAILPOINT_TRACE: '1' }, under })
    this.#daemons.push(daemon)
    return daemon
  }

  /** When all daemons have ended. */
  async recording(name: string): Promise<Recording> {
    const calls = this.#daemons.map(async ({ child, ended }, index) => {
      await ended
      const look = () => {
        const log = readFileSync(this.#log(index), 'latin1')
        return isWhole(log, child.pid ?? 0) && log
      }
      return [...parseStrace(await until('strace has written all of it', look, 60_000))]
    })
    const { events } = readHouse(this.database)
    return {
      name,
      root: this.directory,
      before: this.#before ?? new Map(),
      calls: await Promise.all(calls),
      journal: [...events.values()].flat().toSorted((a, b) => a.cursor - b.cursor),
    }
  }

  #log(index: number): string {
    return path.join(this.#logs, String(index))
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]()
    rmSync(this.#logs, { recursive: true, force: true })
  }
}

/** @returns the recording, and what was wrong before any power was cut */
export async function record(
  run: Run,
  program: string,
): Promise<{ readonly recording: Recording; readonly broken: readonly string[] }> {
  await using arena = new RecordedArena(program, run.fromNothing ?? false)
  const broken = await run.play(arena)
  const found = readTree(arena.directory)
  const recording = await arena.recording(run.name)
  const unexplained = differences(found, lastTree(recording))
  if (unexplained.length > 0) throw new Error(`no recorded call explains ${unexplained.join(', ')} of "${run.name}"`)
  if (!run.orElse) return { recording, broken }
  const [first = [], next] = recording.calls
  if (!next) throw new Error(`nobody was killed in "${run.name}"`)
  const last = first.findLast(({ name }) => name === 'pwrite64' || name === 'fsync')
  return last?.name === 'pwrite64' ? { recording, broken } : record(run.orElse(), program)
}
