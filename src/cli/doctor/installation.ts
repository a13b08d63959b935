import { VERSION } from '../../core/version.ts'
import { binary } from '../package.ts'
import { isForeign, type Paths } from '../paths.ts'
import { runProgram } from '../run-program.ts'
import { fail, ok, warn, type Check } from './check.ts'

export function checkNode(): Check {
  // An older one does not come as far as this.
  return ok('node', `Node ${process.versions.node} (${process.execPath})`)
}

/** Starting the daemon's program loads every package that it needs, the one with native code included. */
export async function checkPackage(): Promise<Check> {
  const { status, stdout, words } = await runProgram(process.execPath, [binary('vosd'), '--version'])
  const found = stdout.trim()
  if (status === 0 && found === VERSION) return ok('package', `vosctl ${VERSION} (${binary('vosctl')})`)
  const fix = 'Install it anew: npm install -g vosctl'
  if (status === 0) return fail('package', 'daemon', `the client is ${VERSION}, the daemon's program is ${found}`, fix)
  return fail('package', 'daemon', `the daemon's program does not load: ${words}`, fix)
}

/** The development build of React leaks, so a pane that stays open would grow. */
export function checkProduction(env: NodeJS.ProcessEnv): Check {
  if (env.NODE_ENV === 'production') return ok('launcher', 'the launcher has set production mode')
  return warn('launcher', `NODE_ENV is "${env.NODE_ENV ?? ''}", not production`, `Start it as: ${binary('vosctl')}`)
}

/** The daemon's program judges the settings: it is the one that reads them. */
export async function checkSettings({ configDirectory, stateDirectory }: Paths): Promise<Check> {
  const args = [binary('vosd'), '--check-config', '--config-dir', configDirectory]
  if (!isForeign(stateDirectory)) args.push('--state-dir', stateDirectory)
  const { status, stdout, words } = await runProgram(process.execPath, args)
  if (status === 0) return ok('settings', stdout.trim())
  // One that knows no settings has none that could be wrong.
  if (/Unknown option/.test(words)) return ok('settings', 'this version has no settings')
  // With these settings a daemon would not use the state directory: it is open to a group that they do not name.
  if (status === 7) return fail('settings', 'daemon', words.replace(/^vosd: /, ''), 'Close it, or name the group there')
  return fail('settings', 'usage', words.replace(/^vosd: /, ''), `Mend ${configDirectory}/config.yaml`)
}
