import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { VosError, type ExitStatus } from '../../core/errors.ts'
import type { Client } from '../client.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { makeDirectory } from '../make-directory.ts'
import type { Ran } from '../run-program.ts'
import { clean, quoted } from '../renderers/words.ts'
import { insist } from '../selection.ts'
import { connectRunning, start, stopIdle } from '../session.ts'
import { sessionOf } from './daemon.ts'
import { isLingering, namedStateDirectory, readUnit, serves, systemctl, UNIT, unitFile, unitText } from '../unit.ts'

/**
 * Writes a systemd unit of this user and lets it run the daemon; what is installed already stays as it is.
 * @throws VosError when it cannot be done; then everything is as before
 */
export async function installUnit(context: Context, { system }: { readonly system?: boolean }): Promise<ExitStatus> {
  refuseOtherSystems()
  if (system) return printSystemUnit(context)
  const file = unitFile()
  const [previous, text] = [readUnit(file), unitText(context.paths)]
  if (previous !== null) refuseOtherHouse(previous, context)
  const manager = await askManager()
  if (manager.status !== 0) throw noManager(context, manager)

  const running = await connectRunning(sessionOf(context))
  const ran = running ? await mainPid() : null
  const done = previous === text && running !== null && running.info.pid === ran
  if (running && !done) refuseBusy(running)
  if (previous !== text) await askToWrite(context, file, previous, text)
  try {
    if (previous !== text) write(file, text)
    await must('daemon-reload')
    if (running && !done && !(await stopIdle(running))) throw atWork(running, 'work')
    await must('enable', UNIT)
    const { client } = await start(sessionOf(context), false)
    await report(context, client, previous === text ? 'none' : previous === null ? 'installed' : 'replaced')
    client.close()
  } catch (error) {
    if (previous !== text) await putBack(file, previous)
    throw error
  } finally {
    running?.close()
  }
  return 0
}

/** Stops the daemon that the unit runs, and takes the unit away. Database and settings stay. */
export async function uninstallUnit(context: Context): Promise<ExitStatus> {
  refuseOtherSystems()
  const file = unitFile()
  const previous = readUnit(file)
  if (previous === null) {
    sayUnit(context, { change: 'none', line: 'no unit is installed', pid: null, lingering: null })
    return 0
  }
  refuseOtherHouse(previous, context)
  const manager = await askManager()
  const running = await connectRunning(sessionOf(context))
  if (running && manager.status === 0 && running.info.pid === (await mainPid())) refuseBusy(running)
  running?.close()
  await insist(context, {
    what: 'removing the unit',
    lines: [`  ${clean(file)}`, 'The daemon that it runs is stopped. The database and the settings stay.'],
    text: 'Remove it?',
  })
  if (manager.status === 0) await must('disable', '--now', UNIT)
  rmSync(file, { force: true })
  if (manager.status === 0) await must('daemon-reload')
  else {
    // What `disable` would have done, so that systemd does not look for it at the next login.
    rmSync(path.join(path.dirname(file), 'default.target.wants', UNIT), { force: true })
    context.note(`systemd could not be asked (${manager.words}), so only its files are gone.`)
  }
  sayUnit(context, { change: 'removed', line: `removed ${clean(file)}`, pid: null, lingering: null })
  return 0
}

function refuseOtherSystems(): void {
  if (process.platform === 'linux') return
  throw new VosError('bad_request', `a unit is for systemd, and this is ${process.platform}.`, {
    hint: 'Let your own supervisor run it in the foreground: vosctl daemon run',
  })
}

function printSystemUnit(context: Context): ExitStatus {
  const text = unitText(context.paths, { user: context.user })
  const file = `/etc/systemd/system/${UNIT}`
  const { stateDirectory, configDirectory } = context.paths
  if (isMachine(context.flags))
    printJson(context, { schema: 'vosctl/daemon-unit/v1', path: file, change: 'none', text })
  else context.print(text.trimEnd())
  context.note(`Nothing was installed. As root: write this to ${file}, then systemctl enable --now vosctl`)
  const missing = [stateDirectory, configDirectory].filter((directory) => !existsSync(directory))
  if (missing.length > 0) {
    context.note(
      `Before that, as ${context.user}: install -d -m 700 ${missing.map(quoted).join(' ')} (it may make nothing else)`,
    )
  }
  return 0
}

/** One systemd runs one unit of this name: two houses in turn would leave a daemon that nobody thinks of. */
function refuseOtherHouse(text: string, { paths }: Context): void {
  const named = namedStateDirectory(text)
  if (named === null || serves(text, paths)) return
  throw new VosError(
    'state_directory',
    `the installed unit runs the daemon of ${clean(named)}, not of ${paths.stateDirectory}.`,
    {
      hint: `Remove that one first: vosctl --state-dir ${quoted(named)} daemon uninstall`,
    },
  )
}

/** A question that every systemd answers that can be reached. */
async function askManager(): Promise<Ran> {
  return await systemctl('show', '-p', 'Version')
}

function noManager({ user }: Context, { words }: Ran): VosError {
  return new VosError('no_user_manager', `no systemd of this user can be reached: ${words}. Nothing was done.`, {
    hint: `After su or sudo: log in as ${user} itself, or as root: loginctl enable-linger ${user}. A unit for root: vosctl daemon install --system. In a container let its supervisor run: vosctl daemon run`,
  })
}

function refuseBusy(client: Client): void {
  const { active } = client.info
  if (active > 0) throw atWork(client, active === 1 ? '1 operation' : `${active} operations`)
}

function atWork({ info }: Client, what: string): VosError {
  return new VosError('daemon_start', `the daemon (pid ${info.pid}) has ${what} under way. Nothing was done.`, {
    hint: 'Wait for the end: vosctl watch. Or let the daemon stop then: vosctl daemon stop --drain',
  })
}

async function askToWrite(context: Context, file: string, previous: string | null, text: string): Promise<void> {
  const lines = [`  ${clean(file)}`, '', ...(previous === null ? shown(text) : difference(previous, text)), '']
  const question =
    previous === null
      ? { what: 'installing a unit', lines, text: 'Install and start it?' }
      : { what: 'replacing the installed unit, which is another one,', lines, text: 'Replace it?' }
  // Whoever says yes beforehand sees what was written all the same.
  if (context.flags.yes && !context.flags.quiet) for (const line of lines) context.note(line)
  await insist(context, question)
}

function shown(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${clean(line)}`)
}

/** Lines that go, lines that come. A unit is short, and its lines stand for themselves. */
export function difference(before: string, after: string): string[] {
  const [old, young] = [before, after].map((text) => text.trimEnd().split('\n')) as [string[], string[]]
  const lines = [
    ...old.filter((line) => !young.includes(line)).map((line) => `- ${clean(line)}`),
    ...young.filter((line) => !old.includes(line)).map((line) => `+ ${clean(line)}`),
  ]
  return lines.length > 0 ? lines : ['the same lines in another order; it would become', ...shown(after)]
}

/** It appears whole, or not at all. */
function write(file: string, text: string): void {
  try {
    makeDirectory(path.dirname(file))
    writeFileSync(`${file}.new`, text, { mode: 0o644 })
    renameSync(`${file}.new`, file)
  } catch (cause) {
    throw new VosError('daemon_start', `the unit cannot be written: ${(cause as Error).message}.`, { cause })
  }
}

/** As far as possible: why it was not installed is what the person has to read. */
async function putBack(file: string, previous: string | null): Promise<void> {
  if (previous === null) {
    await systemctl('disable', '--now', UNIT)
    rmSync(file, { force: true })
  } else write(file, previous)
  await systemctl('daemon-reload')
}

async function must(...words: readonly string[]): Promise<void> {
  const ran = await systemctl(...words)
  if (ran.status === 0) return
  const elsewhere = process.env.XDG_CONFIG_HOME
    ? 'XDG_CONFIG_HOME is set here, and systemd may not know of it: unset it and try again.'
    : 'Look: systemctl --user status'
  throw new VosError('daemon_start', `systemctl --user ${words.join(' ')} failed: ${ran.words}`, { hint: elsewhere })
}

/** Of the daemon that the unit runs; null when it runs none. */
async function mainPid(): Promise<number | null> {
  const { stdout } = await systemctl('show', '-p', 'MainPID', '--value', UNIT)
  return Number(stdout.trim()) || null
}

async function report(context: Context, { info }: Client, change: 'none' | 'installed' | 'replaced'): Promise<void> {
  const lingering = await isLingering(context.user)
  const line = {
    none: `the unit is installed already, and the daemon runs (pid ${info.pid})`,
    installed: `installed ${clean(unitFile())}; the daemon runs (pid ${info.pid})`,
    replaced: `replaced ${clean(unitFile())}; the daemon runs (pid ${info.pid})`,
  }[change]
  sayUnit(context, { change, line, pid: info.pid, lingering })
  if (context.flags.quiet) return
  if (lingering === true) context.note('It starts with the machine and stays when you log out (lingering is on).')
  else {
    const now = lingering === false ? 'Lingering is off' : 'Whether lingering is on could not be asked'
    context.note(`${now}: without it the daemon starts when you log in, and ends when you log out for the last time.`)
    context.note(`  To have it from boot on and after logout: loginctl enable-linger ${context.user}`)
  }
}

interface UnitReport {
  readonly change: 'none' | 'installed' | 'replaced' | 'removed'
  readonly line: string
  readonly pid: number | null
  readonly lingering: boolean | null
}

function sayUnit(context: Context, { change, line, pid, lingering }: UnitReport): void {
  const file = unitFile()
  if (isMachine(context.flags)) {
    printJson(context, { schema: 'vosctl/daemon-unit/v1', path: file, change, pid, lingering })
  } else if (context.flags.output === 'name') context.print(file)
  else if (!context.flags.quiet) context.print(line)
}
