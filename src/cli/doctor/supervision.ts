import { existsSync } from 'node:fs'
import type { Context } from '../context.ts'
import {
  isLingering,
  namedStateDirectory,
  programOf,
  readUnit,
  serves,
  startsThisProgram,
  unitFile,
  unitText,
} from '../unit.ts'
import { fail, ok, warn, type Check } from './check.ts'

/** The installed unit, and whether it outlives a logout. */
export async function checkUnit({ paths, user }: Context): Promise<readonly Check[]> {
  const text = readUnit()
  if (text === null) return [ok('unit', 'none is installed: the first command starts the daemon')]
  if (!serves(text, paths))
    return [ok('unit', `the installed one runs the daemon of ${namedStateDirectory(text) ?? 'the usual place'}`)]
  const lingering = await isLingering(user)
  return [
    judgeUnit(text, unitText(paths)),
    lingering === true
      ? ok('lingering', 'on: the daemon starts with the machine and outlives your logout')
      : warn(
          'lingering',
          lingering === false ? 'off: the daemon ends at your last logout' : 'loginctl does not say whether it is on',
          `loginctl enable-linger ${user}`,
        ),
  ]
}

function judgeUnit(text: string, ours: string): Check {
  if (text === ours) return ok('unit', `installed: ${unitFile()}`)
  const program = programOf(text)
  const fix = 'vosctl daemon install'
  if (!existsSync(program))
    return fail('unit', 'daemon', `the installed unit starts ${program}, which is not there`, fix)
  if (!startsThisProgram(text)) return warn('unit', 'the installed unit starts another installation of vosctl', fix)
  return warn(
    'unit',
    'the installed unit is not the one that this version writes',
    `${fix}   (shows the difference and asks)`,
  )
}
