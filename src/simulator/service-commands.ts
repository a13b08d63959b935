import type { Course, Phase, ServiceState } from './scenario.ts'
import type { Shell } from './shell.ts'
import { startTransition } from './transition.ts'

/** `utils service list`: the first line at once, the rest when the appliance has asked all its services. */
export async function listServices(shell: Shell, page: boolean): Promise<void> {
  const { appliance, scenario } = shell
  const firstLine = /^.*\n/.exec(scenario.product.serviceList)?.[0] ?? ''
  shell.print(firstLine)
  await appliance.clock.wait(scenario.services.listMs)
  await shell.pager.show(appliance.services.list().slice(firstLine.length), page)
}

/**
 * `utils service start|stop|restart`. Everything up to the first wait happens at once: a session that dies with
 * its Enter still leaves the transition behind.
 */
export async function controlService(shell: Shell, verb: 'start' | 'stop' | 'restart', name: string): Promise<void> {
  const { appliance, scenario } = shell
  const { product, services: rules } = scenario
  const course: Course = { ...rules[verb], ...(verb === 'restart' ? rules.exceptions[name] : {}) }
  const refusal = course.refusal ?? refusalOf(shell, name)
  if (refusal) {
    shell.print(refusal.map((line) => `${line}\n`).join(''))
    return
  }
  if (course.question) {
    const answer = await shell.ask(course.question.text, 'text')
    if (answer?.trim() !== course.question.goesOnWith) return
  }
  shell.print(verb === 'restart' ? product.restartPreamble : product.startPreamble)
  const service = course.actsOn ?? name
  const seen = new Set<ServiceState>()
  const transition = startTransition({
    service,
    steps: course.steps,
    services: appliance.services,
    clock: appliance.clock,
    firstLineMs: rules.firstLineMs,
    pollMs: rules.pollMs,
    onPoll: (state) => {
      shell.print(`${service}[${state}]${product.stateLineEnd}\n`)
      const phase = phaseOf[state]
      if (verb === 'restart' && phase && !seen.has(state)) shell.struckAt(phase)
      seen.add(state)
    },
  })
  appliance.drive(service, transition)
  const following = shell.follow(transition, course)
  if (verb === 'restart') shell.struckAt('warning')
  await following
}

function refusalOf({ appliance, scenario }: Shell, name: string): readonly string[] | null {
  const status = appliance.services.get(name)
  if (status === undefined) return scenario.services.unknownName
  return status.reason === 'Service Not Activated' ? scenario.services.notActivated : null
}

const phaseOf: Partial<Record<ServiceState, Phase>> = {
  STOPPING: 'stopping',
  STARTING: 'starting',
  STARTED: 'started',
}
