import { VERSION } from '../core/version.ts'
import { enter } from './enter.ts'
import type { Io } from './follow.ts'
import { LEAVE_SIGNALS, Leaving } from './leaving.ts'
import { settleColour } from './renderers/choose.ts'
import { guardStream } from './renderers/line-writer.ts'

/** The only file that ends the process. */
async function main(argv: readonly string[]): Promise<number> {
  // Before anything is loaded; after global flags too, but never in the place of a command.
  if (argv[0]?.startsWith('-') && ['--version', '-V'].includes(argv.at(-1) ?? '')) {
    process.stdout.write(`${VERSION}\n`)
    return 0
  }
  const leaving = new Leaving((status) => process.exit(status))
  for (const signal of LEAVE_SIGNALS) process.on(signal, () => leaving.receive(signal))
  process.on('uncaughtException', (error) => void dieOf(error, argv))
  process.on('unhandledRejection', (error) => void dieOf(error, argv))
  const { stdout, stderr } = process
  // Commands see what the person has set, libraries what was made of it.
  const env = { ...process.env }
  settleColour(process.env, stderr, argv)
  const io: Io = {
    stdout,
    stderr,
    env,
    // Opened when it is read: most commands never do, and opening it takes time.
    get stdin() {
      return process.stdin
    },
  }
  return await enter(argv, io, leaving)
}

async function dieOf(error: unknown, argv: readonly string[]): Promise<never> {
  const { reportBug } = await import('./bug-report.ts')
  const { asksForJson } = await import('./flags.ts')
  const [said, hint] = reportBug(error, argv)
  if (asksForJson(argv, process.env)) {
    const { toErrorJson } = await import('./renderers/json.ts')
    process.stdout.write(
      `${JSON.stringify(toErrorJson({ code: 'bug', message: said.replace(/^vosctl: /, ''), hint: hint.trim() }))}\n`,
    )
  } else process.stderr.write(`${said}\n${hint}\n`)
  process.exit(70)
}

/** A pipe takes its time; what was written before the end must be out. */
function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve()
    else stream.write('', () => resolve())
  })
}

// A reader that is gone must not change what a command found out.
guardStream(process.stdout)
guardStream(process.stderr)
try {
  const status = await main(process.argv.slice(2))
  await Promise.all([flush(process.stdout), flush(process.stderr)])
  process.exit(status)
} catch (error) {
  await dieOf(error, process.argv.slice(2))
}
