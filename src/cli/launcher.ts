import { closeSync, constants, existsSync, openSync, readFileSync, fstatSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { cleanCommand, cleanEnvironment, NODE_FLAGS } from '../core/clean-start.ts'
import { exitStatus, VosError } from '../core/errors.ts'
import { oneLine } from '../core/text.ts'
import { NoAnswerError } from './client.ts'
import { makeDirectory } from './make-directory.ts'
import { binary } from './package.ts'
import { checkFile, checkPlaces, refuseForeignState, type Paths } from './paths.ts'

/**
 * How long a daemon may take from its start to its socket. One that ends is noticed at once; one that is slow is waited
 * for, because twelve clients that cron starts at the same minute take a small machine longer than five seconds.
 */
const START_MS = 30_000
const PROBE_MS = 20

export interface Started<Connected> {
  readonly client: Connected
  /** Of the process that we started; it is not the daemon's when another client was quicker. Null: a supervisor did. */
  readonly pid: number | null
}

/** How the process that was started has ended, once it has. */
interface End {
  code?: number | null
  error?: Error
}

/**
 * Starts a daemon and connects to it. Two clients that do so at once end with one daemon: the database lock decides, the
 * loser exits quietly with 0, and its client connects to the winner.
 * @throws VosError `daemon_start` or `bad_config` with the daemon's own words, or `state_directory`
 */
export async function startDaemon<Connected>(
  paths: Paths,
  options: {
    readonly auto: boolean
    readonly connect: () => Promise<Connected>
    /** Has a supervisor start it instead of a fork of ours. */
    readonly supervisor?: () => Promise<void>
  },
): Promise<Started<Connected>> {
  refuseForeignState(paths.stateDirectory)
  checkPlaces(paths)
  const log = openLog(paths)
  const before = fstatSync(log).size
  const end: End = {}
  let pid: number | null = null
  try {
    if (options.supervisor) await options.supervisor()
    else pid = fork(paths, options.auto, log, end)
  } finally {
    closeSync(log)
  }

  for (const giveUpAt = performance.now() + START_MS; performance.now() < giveUpAt; await sleep(PROBE_MS)) {
    try {
      const client = await options.connect()
      return { client, pid }
    } catch (error) {
      if (!(error instanceof NoAnswerError)) throw error
    }
    if (end.error) throw cannotStart(`the daemon cannot be started: ${end.error.message}.`, end.error)
    if (end.code === exitStatus('usage')) throw new VosError('bad_config', lastWords(paths.log, before))
    if (end.code !== undefined && end.code !== 0) {
      throw cannotStart(lastWords(paths.log, before) || 'the daemon ended at once, without a word.')
    }
  }
  const within = `within ${START_MS / 1000} s`
  // Ours has left the work to another one, which has the database and no socket, or does not move.
  if (end.code === 0) throw cannotStart(`another daemon has the database, and did not answer ${within}.`)
  // Nobody tells us the end of one that a supervisor has started: its words are all there is.
  throw cannotStart(lastWords(paths.log, before) || `the daemon did not answer ${within} of its start.`)
}

function fork(paths: Paths, auto: boolean, log: number, end: End): number | null {
  // Loaded here: of all commands only the first needs it.
  const { spawn } = process.getBuiltinModule('node:child_process')
  const [program, ...words] = cleanDaemon(paths, ...(auto ? ['--auto'] : []))
  const child = spawn(program, words, {
    detached: true,
    stdio: ['ignore', log, log],
    // Not the caller's directory: a daemon in it would keep its file system from being unmounted.
    cwd: '/',
    env: cleanEnvironment(process.env),
  })
  child.unref()
  child.on('exit', (code) => (end.code = code))
  child.on('error', (error) => (end.error = error))
  return child.pid ?? null
}

/**
 * What the settings file means, in the words of the daemon that would read it; no daemon is started, none is asked.
 * @throws VosError `bad_config` that names the file and the line
 */
export function checkConfig(paths: Paths): string {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const [program, ...words] = cleanDaemon(paths, '--check-config')
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    encoding: 'utf8',
    env: cleanEnvironment(process.env),
  })
  if (status === 0) return oneLine(stdout, 500)
  const said = oneLine((stderr ?? String(error)).replace(/^vosd: /, ''), 500)
  throw status === exitStatus('usage') ? new VosError('bad_config', said) : cannotStart(said, error)
}

/** What Node is given to run the daemon. */
export function daemonCommand(paths: Paths): string[] {
  return [...NODE_FLAGS, binary('vosd'), ...daemonArguments(paths)]
}

/** The daemon as a child of ours; give it a {@link cleanEnvironment} too. */
export function cleanDaemon(paths: Paths, ...more: string[]): [program: string, ...args: string[]] {
  const hasShell = existsSync('/bin/sh')
  return cleanCommand({ node: process.execPath, vosd: binary('vosd'), hasShell }, [...daemonArguments(paths), ...more])
}

function daemonArguments({ stateDirectory, configDirectory, stateSource }: Paths): string[] {
  return ['--state-dir', stateDirectory, '--config-dir', configDirectory, '--state-source', stateSource]
}

/** Its descriptor; made for this user alone. */
function openLog(paths: Paths): number {
  const { stateDirectory, log } = paths
  try {
    makeDirectory(stateDirectory)
    // Again: in a directory like /tmp somebody else may have made it just before us.
    checkPlaces(paths)
    checkFile(log, paths)
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants
    return openSync(log, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
  } catch (cause) {
    if (cause instanceof VosError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new VosError('state_directory', `the state directory cannot be used: ${reason}.`, {
      hint: 'Make it writable for you, or name another one: --state-dir <dir>',
      cause,
    })
  }
}

/** What the daemon said last since it was started: its own sentence, or the first line of a stack trace; empty: nothing. */
function lastWords(log: string, from: number): string {
  const said = readFileSync(log).subarray(from).toString().trimEnd().split('\n')
  const line = said.findLast((text) => text.startsWith('vosd: ')) ?? said.find((text) => /^\w*Error/.test(text)) ?? ''
  return oneLine(line.replace(/^vosd: /, ''), 500)
}

function cannotStart(message: string, cause?: unknown): VosError {
  return new VosError('daemon_start', message, { hint: 'Read its log: vosctl daemon logs', cause })
}
