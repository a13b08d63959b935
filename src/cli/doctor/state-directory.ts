import { existsSync, statfsSync } from 'node:fs'
import path from 'node:path'
import { VosError } from '../../core/errors.ts'
import { checkFile, findProblem, resolvePaths, sharedWithUs, type Paths } from '../paths.ts'
import { fail, ok, warn, type Check } from './check.ts'

/** Owners and modes of all that lies on the way, as every client and every daemon wants them before it begins. */
export function checkStateDirectory(paths: Paths): Check {
  const id = 'state'
  const { stateDirectory } = paths
  try {
    const problem = findProblem(paths)
    if (problem) return fail(id, 'daemon', problem.message.replace(/\.$/, ''), problem.fix)
    checkFile(paths.log, paths)
  } catch (error) {
    if (!(error instanceof VosError)) throw error
    return fail(id, 'daemon', error.message.replace(/\.$/, ''), error.hint)
  }
  if (!existsSync(stateDirectory)) return ok(id, `${stateDirectory}, which the first daemon will make`)
  const shared = sharedWithUs(stateDirectory)
  return ok(id, `${stateDirectory}, ${shared ? `shared with group ${shared.group}` : 'yours alone'}`)
}

/** From linux/magic.h. On a network the database's lock cannot be trusted, and the lock is what keeps one daemon. */
const NETWORK: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xfe534d42: 'SMB',
  0xff534d42: 'CIFS',
  0x5346414f: 'AFS',
  0x00c36400: 'Ceph',
  0x01021997: '9p',
}
const IN_MEMORY: Readonly<Record<number, string>> = { 0x01021994: 'tmpfs', 0x858458f6: 'ramfs' }

export function checkFileSystem({ stateDirectory }: Paths): Check {
  return judgeFileSystem(statfsSync(nearest(stateDirectory)).type, stateDirectory)
}

/** @param type as statfs tells it; its upper half may come as a negative number */
export function judgeFileSystem(type: number, stateDirectory: string): Check {
  const id = 'file-system'
  const magic = type >>> 0
  const elsewhere = 'Keep it on a disk of this machine: --state-dir <dir>, or VOSCTL_STATE_DIR'
  if (NETWORK[magic]) {
    return fail(
      id,
      'daemon',
      `${stateDirectory} is on ${NETWORK[magic]}, where the database's lock is not safe`,
      elsewhere,
    )
  }
  if (IN_MEMORY[magic]) {
    return warn(id, `${stateDirectory} is on ${IN_MEMORY[magic]}: a reboot forgets everything`, elsewhere)
  }
  return ok(id, `a disk of this machine (type 0x${magic.toString(16)})`)
}

/** The directory itself, or the one above it that is there already. */
function nearest(directory: string): string {
  return existsSync(directory) ? directory : nearest(path.dirname(directory))
}

/** Two stores mean two tables of claims, and so two restarts of one device. */
export function checkOneStore(paths: Paths, env: NodeJS.ProcessEnv, home: string): Check {
  const id = 'one-store'
  const usual = resolvePaths({}, undefined, home)
  if (usual.stateDirectory === paths.stateDirectory || !existsSync(usual.database)) {
    return ok(id, 'there is no second database in the usual place')
  }
  return warn(
    id,
    `this is ${paths.stateDirectory}, and there is a database in ${usual.stateDirectory} too: two could restart one device twice`,
    paths.stateSource === 'flag' ? 'Leave out --state-dir' : `unset ${stateVariable(env)}`,
  )
}

/** The variable that decides on the state directory. */
export function stateVariable(env: NodeJS.ProcessEnv): string {
  return env.VOSCTL_STATE_DIR ? 'VOSCTL_STATE_DIR' : 'XDG_STATE_HOME'
}
