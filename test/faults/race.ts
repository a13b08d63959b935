import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { comesTrue, within } from '../helpers/wait.ts'
import { Arena, type Daemon } from './arena.ts'
import { faultyDaemon } from './build.ts'
import { Random } from './random.ts'
import type { Rig } from './rig.ts'
import { ROOT } from './root.ts'

const RACERS = 12
/** Twelve starts on a small machine that does other work too. */
const END_MS = 60_000

const LOST = /another daemon runs already \(pid (\d+), vosctl [\w.-]+\)/

type Round = (arena: Arena, random: Random) => Promise<string[]>

/** Twelve at once: one serves, the others end quietly with its name, and it leaves nothing behind. */
async function race(arena: Arena): Promise<string[]> {
  const broken: string[] = []
  const racers = Array.from({ length: RACERS }, () => arena.daemon())
  const winner = await lastOne(racers)
  if (!winner) return [`nobody won: ${racers.map(({ words }) => words().trim().slice(-200)).join(' | ')}`]
  if (!(await arena.isUp(winner))) return [`the winner ended: ${winner.words()}`]
  const client = await arena.connect()
  const { pid } = client.info
  client.close()
  if (pid !== winner.child.pid) broken.push(`process ${pid} answers on the socket, and ${winner.child.pid} won`)
  for (const loser of racers.filter((racer) => racer !== winner)) {
    const { status, signal } = await loser.ended
    if (status !== 0) broken.push(`a loser ended with ${signal ?? status}: ${loser.words()}`)
    const named = LOST.exec(loser.words())?.[1]
    if (named !== String(pid)) broken.push(`a loser does not name the winner, pid ${pid}: ${loser.words()}`)
    if (loser.words().trim().includes('\n')) broken.push(`a loser was not quiet: ${loser.words()}`)
  }
  const { status, signal } = await arena.stop(winner)
  if (status !== 0) broken.push(`the winner ended with ${signal ?? status}: ${winner.words()}`)
  if (exists(arena.socket)) broken.push('the winner left its socket behind')
  const left = readdirSync(arena.state).filter((name) => name.startsWith('vosctl.db.'))
  if (left.length > 0) broken.push(`left behind: ${left.join(', ')}`)
  return broken
}

/** The one that still runs when all others have ended; null when none does. */
async function lastOne(racers: readonly Daemon[]): Promise<Daemon | null> {
  const running = () => racers.filter((racer) => !racer.over())
  if (await comesTrue(() => running().length <= 1, END_MS)) return running()[0] ?? null
  throw new Error(
    `several daemons run: ${running()
      .map(({ words }) => words())
      .join(' | ')}`,
  )
}

/** The one before them was killed, and has left its socket, its name and its journal. */
const afterKill: Round = async (arena) => {
  const before = arena.daemon()
  await arena.isUp(before)
  before.child.kill('SIGKILL')
  await before.ended
  if (!exists(arena.socket)) return ['the killed daemon left no stale socket: nothing was tested']
  return race(arena)
}

/** Twelve that can only be refused. */
async function refused(arena: Arena, words: string): Promise<string[]> {
  const broken: string[] = []
  const racers = Array.from({ length: RACERS }, () => arena.daemon())
  let refusals = 0
  for (const { ended, words: said } of racers) {
    const end = await within(END_MS, ended)
    if (end?.status === 7 && said().includes(words)) refusals++
    else if (end?.status !== 0 || !said().includes('another daemon runs already')) {
      broken.push(`a daemon ended with ${end?.signal ?? end?.status}: ${said()}`)
    }
  }
  if (refusals === 0) broken.push(`none of the daemons said "${words}"`)
  return broken
}

/** Something that is no socket stands in its place. */
const foreignFile: Round = async (arena, random) => {
  mkdirSync(path.dirname(arena.socket), { recursive: true, mode: 0o700 })
  const target = path.join(arena.directory, 'precious')
  const place: Record<string, () => void> = {
    file: () => writeFileSync(arena.socket, 'precious'),
    directory: () => mkdirSync(arena.socket),
    fifo: () => void execFileSync('mkfifo', [arena.socket]),
    link: () => symlinkSync(target, arena.socket),
  }
  const kind = random.pick(Object.keys(place))
  place[kind]?.()
  const before = lstatSync(arena.socket)
  const broken = await refused(arena, 'and not a socket. It was not touched.')
  const { status, stderr } = await vosctl(arena, 'ps')
  if (status !== 7 || !stderr.includes('is in the way')) broken.push(`vosctl ps ends with ${status}: ${stderr}`)
  const after = lstatSync(arena.socket, { throwIfNoEntry: false })
  if (after?.ino !== before.ino || after.mode !== before.mode) broken.push(`the foreign ${kind} is not what it was`)
  if (kind === 'file' && readFileSync(arena.socket, 'utf8') !== 'precious')
    broken.push('the foreign file was written to')
  rmSync(arena.socket, { recursive: true })
  return [...broken, ...(await race(arena))]
}

/** Somebody else listens in its place: not the holder of this database, but alive. */
const foreignSocket: Round = async (arena) => {
  mkdirSync(path.dirname(arena.socket), { recursive: true, mode: 0o700 })
  const other = createServer((socket) => socket.destroy()).listen(arena.socket)
  await once(other, 'listening')
  const before = lstatSync(arena.socket).ino
  const broken = await refused(arena, 'It was not touched.')
  if (lstatSync(arena.socket, { throwIfNoEntry: false })?.ino !== before)
    broken.push('the socket of another was replaced')
  other.close()
  await once(other, 'close')
  return [...broken, ...(await race(arena))]
}

/** The database was moved away from a daemon that runs: a second one could restart its devices a second time. */
const movedDatabase: Round = async (arena) => {
  const first = arena.daemon()
  await arena.isUp(first)
  const files = readdirSync(arena.state).filter((name) => name.startsWith('vosctl.db'))
  for (const name of files) renameSync(path.join(arena.state, name), path.join(arena.directory, name))
  const broken = await refused(arena, 'It was not touched.')
  const client = await arena.connect()
  if (client.info.pid !== first.child.pid)
    broken.push(`process ${client.info.pid} has taken the place of ${first.child.pid}`)
  client.close()
  first.child.kill('SIGTERM')
  const { status } = await first.ended
  if (status !== 0) broken.push(`the first daemon ended with ${status}: ${first.words()}`)
  return [...broken, ...(await race(arena))]
}

/** Twelve people at once, and no daemon yet. */
const clients: Round = async (arena) => {
  const broken: string[] = []
  const all = await Promise.all(Array.from({ length: RACERS }, () => vosctl(arena, 'ps')))
  for (const { status, stderr } of all) if (status !== 0) broken.push(`vosctl ps ended with ${status}: ${stderr}`)
  const started = all.filter(({ stderr }) => stderr.includes('started the daemon'))
  if (started.length !== 1) broken.push(`${started.length} of the clients say that they started the daemon`)
  await comesTrue(() => processesOf(arena.state).length === 1, END_MS)
  const running = processesOf(arena.state)
  if (running.length !== 1) broken.push(`${running.length} daemons run after twelve clients`)
  const { status, stderr } = await vosctl(arena, 'daemon', 'stop')
  if (status !== 0) broken.push(`vosctl daemon stop ended with ${status}: ${stderr}`)
  const left = processesOf(arena.state)
  if (left.length > 0) broken.push(`processes ${left.join(', ')} are left`)
  for (const pid of left) process.kill(pid, 'SIGKILL')
  return broken
}

/** As a person runs it: a daemon is started when there is none. */
async function vosctl(
  arena: Arena,
  ...args: string[]
): Promise<{ readonly status: number | null; readonly stderr: string }> {
  const child = spawn(process.execPath, [path.join(ROOT, 'bin', 'vosctl'), '--state-dir', arena.state, ...args], {
    env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', VOSCTL_CONFIG_DIR: arena.config },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, stderr }
}

/** Processes that were started on this state directory. */
function processesOf(state: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => existsSync(`/proc/${pid}/cmdline`) && commandLine(pid).includes(state))
    .map(Number)
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}

const ROUNDS: Readonly<Record<string, Round>> = {
  'a new house': race,
  'after a kill': afterKill,
  'a foreign file': foreignFile,
  'twelve clients': clients,
  'a moved database': movedDatabase,
  'a foreign socket': foreignSocket,
}

/** Daemons that start at once on one state directory; a case is a round of twelve. */
const run: Rig = async ({ cases, seed, say }) => {
  const program = await faultyDaemon()
  const violations: string[] = []
  for (let index = 0; index < cases; index++) {
    const [name, round] = Object.entries(ROUNDS)[index % Object.keys(ROUNDS).length] ?? ['', race]
    await using arena = new Arena(program)
    mkdirSync(arena.state, { mode: 0o700 })
    const broken = await round(arena, new Random(seed + index)).catch((error: unknown) => [String(error)])
    for (const pid of processesOf(arena.state)) process.kill(pid, 'SIGKILL')
    violations.push(...broken.map((words) => `${name}, seed ${seed + index}: ${words}`))
    if (index % 10 === 9 || broken.length > 0)
      say(`${index + 1} rounds, ${violations.length} violations ${broken[0] ?? ''}`)
  }
  return { cases, violations }
}

export default run
