import { constants } from 'node:os'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { cleanEnvironment } from '../../core/clean-start.ts'
import { VosError, type ExitStatus } from '../../core/errors.ts'
import { isSettled } from '../../core/operation.ts'
import type { DaemonInfo } from '../../core/protocol.ts'
import { sanitise } from '../../core/text.ts'
import type { Client } from '../client.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { toTime } from '../json-documents.ts'
import { checkConfig, cleanDaemon } from '../launcher.ts'
import { checkFile, checkPlaces, refuseForeignState, type Paths } from '../paths.ts'
import { waitForEnd } from '../process-end.ts'
import { runningWords } from '../renderers/verdict.ts'
import { clean, describe } from '../renderers/words.ts'
import { insist } from '../selection.ts'
import { connectRunning, start, type SessionOptions } from '../session.ts'
import { fields } from '../table.ts'
import { longDuration, momentWords } from '../times.ts'

/** Starts a daemon that stays: unlike one that a command starts for itself, it does not leave when it is idle. */
export async function startDaemon(context: Context): Promise<ExitStatus> {
  const running = await connectRunning(sessionOf(context))
  if (running) {
    say(context, running, `the daemon runs already (pid ${running.info.pid})`)
    running.close()
    return 0
  }
  const { client } = await start(sessionOf(context), false)
  say(context, client, `started the daemon (pid ${client.info.pid})`)
  client.close()
  return 0
}

export interface StopOptions {
  /** Wait for what runs. */
  readonly drain?: boolean
  /** Leave what runs to the next daemon, which looks at it and never sends it again. */
  readonly now?: boolean
}

export async function stopDaemon(context: Context, options: StopOptions): Promise<ExitStatus> {
  if (options.drain && options.now) throw new VosError('bad_request', '--drain and --now contradict each other.')
  const client = await connectRunning(sessionOf(context))
  if (!client) {
    sayStopped(context, null, 'no daemon is running')
    return 0
  }
  const { pid } = client.info
  await stop(context, client, options)
  sayStopped(context, pid, `the daemon has stopped (pid ${pid})`)
  return 0
}

export async function restartDaemon(context: Context, options: StopOptions): Promise<ExitStatus> {
  refuseForeignState(context.paths.stateDirectory)
  const client = await connectRunning(sessionOf(context))
  if (client) {
    // Not to stop one that runs for one that would not start.
    checkConfig(context.paths)
    await stop(context, client, options)
  }
  return await startDaemon(context)
}

/** Ends when the process is gone. */
async function stop(context: Context, client: Client, options: StopOptions): Promise<void> {
  const { pid } = client.info
  using left = context.leaving.begin()
  const mode = options.drain ? 'drain' : options.now ? 'now' : 'idle'
  const { active } = await client.request('daemon:stop', { mode })
  if (mode === 'idle' && active > 0) {
    await askToLeave(context, client, left.signal)
    await client.request('daemon:stop', { mode: 'now' })
  } else if (mode === 'drain' && active > 0) context.note(`waiting for ${active} operation${active === 1 ? '' : 's'}`)
  client.close()
  await waitForEnd(pid, left.signal)
}

async function askToLeave(context: Context, client: Client, signal: AbortSignal): Promise<void> {
  const { operations } = await client.request('subscribe', { room: 'operations' })
  const open = operations.filter((operation) => !isSettled(operation))
  const now = context.now()
  const lines = open.map(
    (operation) =>
      `  ${operation.id}  ${describe(operation)} on ${clean(operation.connection.name)}: ${runningWords(operation, now)}`,
  )
  const question = {
    what: `stopping the daemon while ${open.length} ${open.length === 1 ? 'operation is' : 'operations are'} under way`,
    lines: [
      ...lines,
      'The next daemon will look at what became of them. It sends nothing again. --drain waits instead.',
    ],
    text: 'Stop now?',
  }
  await insist(context, question, { signal })
}

/** Never starts one. */
export async function statusDaemon(context: Context): Promise<ExitStatus> {
  const client = await connectRunning(sessionOf(context))
  if (!client) {
    throw new VosError('no_daemon', 'no daemon is running.', {
      hint: `It starts with the next command that needs it, or: vosctl daemon start (state: ${context.paths.stateDirectory})`,
    })
  }
  const { info } = client
  client.close()
  if (isMachine(context.flags)) {
    printJson(context, {
      schema: 'vosctl/daemon/v1',
      running: true,
      version: info.version,
      protocol: info.protocol,
      pid: info.pid,
      started_at: toTime(info.startedAt),
      state_directory: info.stateDirectory,
      active: info.active,
      clients: info.clients,
      draining: info.draining,
      memory_bytes: info.memoryBytes,
      network: info.network,
    })
  } else if (context.flags.output === 'name') context.print(String(info.pid))
  else if (!context.flags.quiet) {
    const now = context.now()
    const rows = fields([
      ['daemon', `${info.version}, pid ${info.pid}${info.draining ? ', stopping' : ''}`],
      ['up', `${longDuration(now - info.startedAt)}, since ${momentWords(info.startedAt, now)}`],
      ['operations', `${info.active} under way`],
      // This question is one of them.
      ['clients', String(info.clients - 1)],
      ['memory', `${Math.round(info.memoryBytes / 1024 / 1024)} MB`],
      ['state', clean(info.stateDirectory)],
      ['network', networkWords(info)],
    ])
    for (const line of rows) context.print(line)
  }
  return 0
}

/** What stands open beside the Unix socket. An older daemon says nothing of it. */
export function networkWords({ network }: Pick<DaemonInfo, 'network'>): string {
  if (!network) return 'off'
  const { addresses, tokens } = network
  return `${addresses.map((address) => clean(address)).join(', ')}; ${tokens} token${tokens === 1 ? '' : 's'}`
}

const TAIL_BYTES = 1024 * 1024

/** The end of the daemon's log; needs no daemon. */
export async function logsDaemon(context: Context, { lines = 50 }: { readonly lines?: number }): Promise<ExitStatus> {
  const all = sanitise(readTail(context.paths)).trimEnd().split('\n')
  const tail = all.slice(-lines)
  if (isMachine(context.flags)) printJson(context, { schema: 'vosctl/daemon-log/v1', lines: tail })
  else for (const line of tail) context.print(line)
  return 0
}

function readTail(paths: Paths): Buffer {
  const file = paths.log
  checkPlaces(paths)
  checkFile(file, paths)
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code !== 'ENOENT') {
      throw new VosError('state_directory', `the daemon log ${file} cannot be read: ${code}.`, {
        hint: 'It is for the user of the daemon alone.',
        cause,
      })
    }
    throw new VosError('no_daemon', `there is no daemon log at ${file}.`, {
      hint: 'No daemon has run there yet.',
      cause,
    })
  }
  try {
    const { size } = fstatSync(descriptor)
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES))
    readSync(descriptor, buffer, 0, buffer.length, size - buffer.length)
    // The first line of a piece is half a line.
    return size > TAIL_BYTES ? buffer.subarray(buffer.indexOf('\n') + 1) : buffer
  } finally {
    closeSync(descriptor)
  }
}

/** The daemon in the foreground, for a supervisor or a look: its output is ours, our signals are its own. */
export async function runDaemon(context: Context): Promise<ExitStatus> {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const [program, ...words] = cleanDaemon(context.paths)
  const child = spawn(program, words, {
    stdio: 'inherit',
    env: cleanEnvironment(process.env),
    // In a group of its own: Ctrl-C would reach it twice, and the second one means "do not wait for what runs".
    detached: true,
  })
  using _forwarding = context.leaving.handOver((signal) => void child.kill(signal))
  const { promise, resolve, reject } = Promise.withResolvers<ExitStatus>()
  child.once('error', reject)
  child.once('exit', (code, signal) => {
    resolve((signal ? 128 + constants.signals[signal] : (code ?? 70)) as ExitStatus)
  })
  return await promise
}

export function sessionOf({ paths, flags, note }: Context): SessionOptions {
  return { paths, noStart: flags.noStart, note }
}

function say(context: Context, { info }: Client, line: string): void {
  if (isMachine(context.flags)) {
    const { version, pid } = info
    printJson(context, { schema: 'vosctl/daemon/v1', running: true, version, pid, started_at: toTime(info.startedAt) })
  } else if (context.flags.output === 'name') context.print(String(info.pid))
  else if (!context.flags.quiet) context.print(line)
}

function sayStopped(context: Context, pid: number | null, line: string): void {
  if (isMachine(context.flags)) printJson(context, { schema: 'vosctl/daemon/v1', running: false, pid })
  else if (!context.flags.quiet && context.flags.output !== 'name') context.print(line)
}
