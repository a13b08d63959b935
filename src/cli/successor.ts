import { constants } from 'node:os'
import { VosError, type ExitStatus } from '../core/errors.ts'
import { VERSION } from '../core/version.ts'
import type { Context } from './context.ts'
import { binary, installedVersion } from './package.ts'

/**
 * Was the program upgraded under this client, and the daemon with it? Then the one that is installed now goes on in its
 * place. It cannot go round in circles: only a client that the daemon has admitted before ever asks this.
 */
export function hasSuccessor(error: unknown): boolean {
  if (!(error instanceof VosError) || error.code !== 'daemon_version') return false
  const installed = installedVersion()
  return installed !== null && installed !== VERSION
}

/** Runs the client that is installed now on this terminal with the same words, and ends as it ends. */
export async function runSuccessor({ argv, io, leaving, note }: Context): Promise<ExitStatus> {
  note(`vosctl: upgraded from ${VERSION} to ${installedVersion()}, going on with that`)
  // What is typed is for the other one.
  io.stdin.pause()
  const { spawn } = process.getBuiltinModule('node:child_process')
  // As the person has set it: what we have made of it for our libraries would be an order to that one.
  const child = spawn(process.execPath, [binary('vosctl'), ...argv], { stdio: 'inherit', env: io.env })
  using _ = leaving.handOver((signal) => child.kill(signal))
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (status, signal) => {
      resolve((status ?? 128 + constants.signals[signal ?? 'SIGKILL']) as ExitStatus)
    })
  })
}
