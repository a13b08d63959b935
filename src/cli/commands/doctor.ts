import type { ExitStatus } from '../../core/errors.ts'
import { isMachine, printJson, type Context } from '../context.ts'
import { checkLines, looked, statusOf, toCheckJson, type Check } from '../doctor/check.ts'
import { checkCompletion } from '../doctor/completion.ts'
import { adviseCron, checkCronPath } from '../doctor/cron.ts'
import { checkHouse } from '../doctor/house.ts'
import { checkNode, checkPackage, checkProduction, checkSettings } from '../doctor/installation.ts'
import { checkFileSystem, checkOneStore, checkStateDirectory } from '../doctor/state-directory.ts'
import { checkUnit } from '../doctor/supervision.ts'
import { checkTerminal } from '../doctor/terminal.ts'
import { currentUser } from '../paths.ts'

/** Looks at everything, changes nothing, starts no daemon. What an operation needs from a person is told by `status`. */
export async function doctor(context: Context, { cron }: { readonly cron?: boolean }): Promise<ExitStatus> {
  if (cron) {
    const { checks, crontab } = await adviseCron(context)
    say(context, checks, { crontab })
    if (crontab !== null && context.flags.output === 'text' && !context.flags.quiet) {
      for (const line of ['', crontab]) context.print(line)
    }
    return statusOf(checks)
  }
  const checks = await checkAll(context)
  say(context, checks)
  return statusOf(checks)
}

async function checkAll(context: Context): Promise<readonly Check[]> {
  const { io, paths } = context
  const { home } = currentUser()
  const [program, settings, house, unit, terminal, cronPath] = await Promise.all([
    checkPackage(),
    checkSettings(paths),
    checkHouse(context),
    checkUnit(context),
    checkTerminal(io),
    checkCronPath(),
  ])
  return [
    checkNode(),
    program,
    checkProduction(io.env),
    ...looked('state', 'daemon', () => [checkStateDirectory(paths), checkFileSystem(paths)]),
    checkOneStore(paths, io.env, home),
    settings,
    ...house,
    ...unit,
    ...terminal,
    ...checkCompletion(io.env, home),
    cronPath,
  ]
}

function say(context: Context, checks: readonly Check[], more: { readonly [key: string]: unknown } = {}): void {
  const { output, quiet } = context.flags
  const wrong = checks.filter(({ level }) => level !== 'ok')
  if (isMachine(context.flags)) {
    printJson(context, { schema: 'vosctl/doctor/v1', checks: checks.map(toCheckJson), ...more })
  } else if (output === 'name') for (const { id } of wrong) context.print(id)
  else for (const line of checkLines(quiet ? wrong : checks)) context.print(line)
}
