import { realpathSync } from 'node:fs'
import path from 'node:path'
import { VERSION } from '../../core/version.ts'
import { listConnections, type Context } from '../context.ts'
import { binary } from '../package.ts'
import { currentUser, resolvePaths, type Paths } from '../paths.ts'
import { runProgram, type Ran } from '../run-program.ts'
import { connectRunning } from '../session.ts'
import { fail, ok, warn, type Check } from './check.ts'
import { stateVariable } from './state-directory.ts'

/** All that cron gives to a command. */
function cronEnvironment(): Record<string, string> {
  const { name, home } = currentUser()
  return { HOME: home, LOGNAME: name, SHELL: '/bin/sh', PATH: '/usr/bin:/bin' }
}

/** As cron runs a line: by sh, in the home directory, without a terminal and without input. */
async function asCron(command: string): Promise<Ran> {
  const env = cronEnvironment()
  return await runProgram('/bin/sh', ['-c', command], { env, cwd: env.HOME ?? '/' })
}

/** `vosctl` alone is what people write into a crontab first. */
export async function checkCronPath(): Promise<Check> {
  const { status, stdout, words } = await asCron('vosctl --version')
  const fix = 'vosctl doctor --cron   (prints the line that works)'
  if (status === 0 && stdout.trim() === VERSION) return ok('cron-path', 'cron finds vosctl on its PATH')
  if (status === 0) return warn('cron-path', `cron finds another vosctl on its PATH: ${stdout.trim()}`, fix)
  if (status === 127) return warn('cron-path', 'cron does not find vosctl on its PATH (/usr/bin:/bin)', fix)
  return warn('cron-path', `what cron finds on its PATH does not run: ${words}`, fix)
}

export interface CronAdvice {
  readonly checks: readonly Check[]
  /** The line for this machine; null when no line would work. */
  readonly crontab: string | null
}

/** The crontab line for this machine, and the proof that it reaches the daemon and the database of this environment. */
export async function adviseCron(context: Context): Promise<CronAdvice> {
  const { paths, io } = context
  const { program, check } = await findProgram()
  if (program === null) return { checks: [check], crontab: null }

  const here = await lookHere(context)
  // The same flags as here, and nothing of this environment.
  const flags = paths.stateSource === 'flag' ? ['--state-dir', paths.stateDirectory] : []
  const usual = resolvePaths(cronEnvironment(), flags[1], currentUser().home)
  const bare = [...program, ...flags].map(shellWord).join(' ')
  const checks = [check, await compare('cron-daemon', bare, here, paths, () => differs(paths, usual, io.env))]
  const mustSaySettings = usual.configDirectory !== paths.configDirectory
  if (mustSaySettings) {
    const message = `under cron settings and key are looked for in ${usual.configDirectory}, and here in ${paths.configDirectory}`
    checks.push(fail('cron-settings', 'usage', message, 'Take the line below, which names the directory'))
  }
  const settings = mustSaySettings ? `VOSCTL_CONFIG_DIR=${shellWord(paths.configDirectory)} ` : ''
  const state = usual.stateDirectory === paths.stateDirectory ? flags : ['--state-dir', paths.stateDirectory]
  const command = settings + [...program, ...state].map(shellWord).join(' ')
  if (command !== bare) {
    checks.push(
      await compare('cron-line', command, here, paths, () => [
        'the line below does not reach it either',
        'vosctl daemon status',
      ]),
    )
  }
  // What cron takes for the end of the command, even inside quotes.
  return { checks, crontab: `30 3 * * 0  ${restart(command, here.target)}`.replaceAll('%', '\\%') }
}

function restart(command: string, target: string): string {
  return `${command} restart ${shellWord(target)} -q --reason weekly --timeout 30m`
}

/** By its own first line where that finds a Node that is new enough, otherwise by the Node that runs this. */
async function findProgram(): Promise<{ readonly program: readonly string[] | null; readonly check: Check }> {
  const id = 'cron-node'
  const program = installedProgram()
  const alone = await asCron(`${shellWord(program)} --version`)
  if (alone.stdout.trim() === VERSION) {
    return { program: [program], check: ok(id, `cron runs ${program} as it is`) }
  }
  const words = [process.execPath, program]
  const named = await asCron(`${words.map(shellWord).join(' ')} --version`)
  if (named.stdout.trim() === VERSION) {
    // The launcher says more than one sentence about a Node that is too old.
    const why =
      alone.status === 127 ? 'cron finds no Node' : `cron's own Node does not do (${alone.words.split('. ')[0]})`
    return { program: words, check: ok(id, `${why}, so the line names ${process.execPath}`) }
  }
  const message = `cron cannot run ${program}: ${named.words}`
  return {
    program: null,
    check: fail(id, 'daemon', message, 'Install it where every process may read it: npm install -g vosctl'),
  }
}

/** The name under which it was called, which outlives an upgrade, as long as it is one of this program. */
function installedProgram(): string {
  const called = path.resolve(process.argv[1] ?? '')
  const own = binary('vosctl')
  try {
    return realpathSync(called) === realpathSync(own) ? called : own
  } catch {
    return own
  }
}

interface Here {
  /** Of the daemon that this environment reaches; null when none runs. */
  readonly pid: number | null
  /** A connection for the example. */
  readonly target: string
}

async function lookHere({ paths, note }: Context): Promise<Here> {
  const client = await connectRunning({ paths, noStart: true, note })
  if (!client) return { pid: null, target: 'cucm-pub' }
  try {
    const connections = await listConnections(client)
    return { pid: client.info.pid, target: connections.find(({ service }) => service !== null)?.name ?? 'cucm-pub' }
  } finally {
    client.close()
  }
}

/** Asks as cron would, and takes nobody's word for it: the process id and the directory come from the daemon itself. */
async function compare(
  id: string,
  command: string,
  { pid }: Here,
  { stateDirectory }: Paths,
  otherwise: () => readonly [message: string, fix: string],
): Promise<Check> {
  const { stdout, words } = await asCron(`${command} daemon status -o json`)
  const there = parse(stdout)
  if (there === null) {
    return fail(id, 'daemon', `under cron "${command} daemon status" does not answer: ${words}`, 'vosctl daemon logs')
  }
  if (pid !== null && there.pid === pid && there.state_directory === stateDirectory) {
    return ok(id, `cron reaches the same daemon (pid ${pid}) and database (${stateDirectory})`)
  }
  // Without a daemon the answer says at least where it would be.
  if (pid === null && there.name === 'no_daemon' && there.hint?.includes(`(state: ${stateDirectory})`)) {
    return ok(id, `no daemon runs now; cron would start it on the same database (${stateDirectory})`)
  }
  return fail(id, 'daemon', ...otherwise())
}

interface Answer {
  readonly pid?: number
  readonly state_directory?: string
  readonly name?: string
  readonly message?: string
  readonly hint?: string
}

function parse(text: string): Answer | null {
  try {
    return JSON.parse(text) as Answer
  } catch {
    return null
  }
}

function differs(here: Paths, there: Paths, env: NodeJS.ProcessEnv): readonly [message: string, fix: string] {
  if (here.stateDirectory === there.stateDirectory) {
    return ['cron reaches another daemon than this environment, or none', 'vosctl daemon status, then ask again']
  }
  const variable = stateVariable(env)
  return [
    `under cron vosctl uses ${there.stateDirectory}, and here ${here.stateDirectory}, because ${variable} is set in this environment only`,
    `Take the line below, which names the directory, or unset ${variable} where your shell sets it`,
  ]
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
