import { existsSync } from 'node:fs'
import { CLEAN_START, cleanCommand, cleanEnvironment, hasActed } from '../core/clean-start.ts'

/**
 * The daemon's program begins here, whoever starts it: a client, a unit, a person. What it was given by an environment
 * has acted already, so the process becomes another program, the same one, without it. Its process id stays.
 */
if (process.argv[2] === CLEAN_START) process.argv.splice(2, 1)
else startAnew(environment())
// By a name that the bundler does not see: it would put the whole daemon in front of this.
const main = new URL('main.js', import.meta.url).href
if (process.exitCode === undefined) await import(main)

/** Only here, and not in what a client that forks gives: systemd says it to the unit that it starts. */
function environment(): Record<string, string> {
  const { CREDENTIALS_DIRECTORY } = process.env
  return { ...cleanEnvironment(process.env), ...(CREDENTIALS_DIRECTORY && { CREDENTIALS_DIRECTORY }) }
}

function startAnew(clean: Record<string, string>): void {
  const [, vosd = '', ...args] = process.argv
  if (process.execve) {
    const [program, ...words] = cleanCommand({ node: process.execPath, vosd, hasShell: existsSync('/bin/sh') }, args)
    process.execve(program, [program, ...words], clean)
  }
  // Node 22.14 cannot do that.
  const acted = hasActed(process.env)
  if (acted.length > 0) {
    process.stderr.write(`vosd: this environment sets ${acted.join(', ')}. Unset it, or use Node 22.15 or newer.\n`)
    process.exitCode = 7
  }
  for (const name of Object.keys(process.env)) if (!Object.hasOwn(clean, name)) delete process.env[name]
}
