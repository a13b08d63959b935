import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { VosError } from '../core/errors.ts'

/**
 * The number of a group. Node cannot ask for it, so `getent` is asked, which knows groups of a directory service too;
 * where there is none, /etc/group.
 * @throws VosError `bad_config` when there is no such group
 */
export function groupId(name: string): number {
  const { status, stdout } = spawnSync('/usr/bin/getent', ['group', name], { encoding: 'utf8', env: {} })
  const id = findGroup(status === null ? fs.readFileSync('/etc/group', 'utf8') : stdout, name)
  if (id !== null) return id
  throw new VosError('bad_config', `There is no group "${name}" on this machine, and config.yaml names it.`, {
    hint: `Make it: sudo groupadd ${name}. Or take group out of config.yaml.`,
  })
}

/** In lines as /etc/group has them. */
export function findGroup(text: string, name: string): number | null {
  const fields = text.split('\n').map((line) => line.split(':'))
  const id = fields.find(([group]) => group === name)?.[2]
  return id !== undefined && /^\d+$/.test(id) ? Number(id) : null
}
