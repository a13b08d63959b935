import { exitStatus, VosError, type ExitStatus } from '../../core/errors.ts'
import { isMachine, type Context } from '../context.ts'
import { Stage, type Ended } from '../demo-stage.ts'

export interface DemoOptions {
  readonly fail?: boolean
}

/** A second of a device's life takes so long here, in seconds. */
const TIME_SCALE = 0.08
/** Time limits in the proportion of the devices' clock. */
const FLAGS = ['--timing', 'poll=600ms', '--timing', 'nudge=2s']

/** Plays on simulated appliances with the real client, daemon and SSH. 0 only if what it says has really happened. */
export async function demo(context: Context, options: DemoOptions): Promise<ExitStatus> {
  if (isMachine(context.flags)) throw new VosError('bad_request', 'the demo is for people: it has no JSON.')
  await using stage = new Stage(context)
  await (options.fail ? playFailures(stage) : playCluster(stage))
  if (stage.problems.length === 0) return exitStatus('ok')
  for (const problem of stage.problems) context.note(`vosctl: the demo did not go as it says: ${problem}`)
  return exitStatus('failed')
}

async function playCluster(stage: Stage): Promise<void> {
  const { startCluster } = await import('../../simulator/index.ts')
  await using cluster = disposable(await startCluster({ timeScale: TIME_SCALE }))
  const { publisher, subscribers } = cluster
  const actors = [
    ['cucm-pub', publisher],
    ['cucm-sub1', subscribers[0]],
    ['cucm-sub2', subscribers[1]],
  ] as const
  stage.say(
    'A publisher and two subscribers are simulated on this machine, their time runs twelve times as fast.',
    'SSH, daemon and client are the real ones; everything lies in a temporary directory.',
    '',
    `$ vosctl connections add cucm-pub --host ${publisher.host} --port ${publisher.port} --username ${publisher.username}`,
    `$ vosctl connections trust cucm-pub --fingerprint ${publisher.hostKey.fingerprint}`,
    '$ vosctl credentials set cucm-pub --stdin',
  )
  await stage.add('cucm-pub', publisher, FLAGS)
  await Promise.all(actors.slice(1).map(([name, actor]) => stage.add(name, actor, FLAGS)))
  stage.say('and the same for cucm-sub1 and cucm-sub2; with shorter time limits, as their time runs faster.')

  await stage.show(['test', 'cucm-pub'], 0)

  const visits = publisher.ledger.of('open').length
  let second: Promise<Ended> | undefined
  void publisher.ledger
    .until((ledger) => ledger.of('open').length > visits)
    .then(() => {
      second = stage.run(['restart', 'cucm-pub'], 4)
      // Looked at below; until then leaving must not look like a bug.
      second.catch(() => undefined)
    })
  await stage.show(['restart', 'cucm-pub'], 0)
  const duplicate = await second
  stage.expect(duplicate !== undefined, 'the first restart did not reach the device')
  stage.say(
    '',
    'Meanwhile somebody asked for the same once more, and got this answer with exit status 4:',
    '',
    '$ vosctl restart cucm-pub',
    ...(duplicate?.output.trimEnd().split('\n') ?? []),
  )

  await stage.show(['restart', 'cucm-sub*', '--parallel', '2', '--yes'], 0)
  await stage.show(['ps'], 0)

  const counts = actors.map(([name, { ledger }]) => [name, ledger.restarts('Cisco Tomcat').length] as const)
  for (const [name, count] of counts) stage.expect(count === 1, `${name} got ${count} restart commands, not 1`)
  if (stage.problems.length > 0) return
  stage.say(
    '',
    `The devices counted: ${counts.map(([name, count]) => `${name} ${count} restart`).join(', ')}. Nothing was sent twice.`,
    '',
    'Next   vosctl connections add <name> --host <host> --username <user>',
    '       vosctl watch              in a tmux pane',
    '       vosctl demo --fail        what goes wrong, and what it looks like',
  )
}

async function playFailures(stage: Stage): Promise<void> {
  const { polls, scenarios, startSimulator, vary } = await import('../../simulator/index.ts')
  const scenario = (name: string) => {
    const found = scenarios.get(name)
    if (!found) throw new Error(`the simulator has no scenario ${name}`)
    return found
  }
  const publisher = scenario('publisher')
  const steps = [polls('STOPPING', 8), polls('STARTING', 30), polls('STARTED', 2)]
  const slow = vary({ name: 'slow', story: 'Takes long today.', evidence: 'for the demo' }, publisher, {
    services: { restart: { steps } },
  })
  await using imp = disposable(await startSimulator(scenario('ends-stopped'), { timeScale: TIME_SCALE / 2 }))
  await using cuc = disposable(await startSimulator(scenario('never-began'), { timeScale: TIME_SCALE / 2 }))
  await using uccx = disposable(await startSimulator(publisher, { timeScale: TIME_SCALE / 4 }))
  stage.say('Three simulated appliances on which something goes wrong. Preparing them takes a moment.')
  await stage.add('imp-2', imp, FLAGS)
  await Promise.all([stage.add('cuc-1', cuc, FLAGS), stage.add('uccx-1', uccx, FLAGS)])
  // Three runs, so that the fourth one has something to be late against.
  const learned = (async () => {
    for (let run = 0; run < 3; run++) await stage.run(['restart', 'uccx-1', '-q'], 0)
  })()
  learned.catch(() => undefined)

  stage.say('', '1. The service does not come back. Exit status 1.')
  await stage.show(['restart', 'imp-2'], 1)

  stage.say('', '2. The connection is lost after the command was sent, and nothing proves what became of it: 3.')
  await stage.show(['restart', 'cuc-1'], 3)
  stage.say('', 'Until somebody has looked and says so, nobody restarts it by accident: 5.')
  await stage.show(['restart', 'cuc-1'], 5)
  const newest = (await stage.run(['history', 'cuc-1', '-o', 'name'], 0)).output.split('\n')[0] ?? ''
  await stage.show(['ack', newest, '--yes'], 0)

  stage.say('', '3. It takes much longer than usual. It is late, and it says so; it is not failed.')
  await learned
  uccx.setScenario(slow)
  await stage.show(['restart', 'uccx-1'], 0)
  const { output } = await stage.run(['status', 'last', '-o', 'json'], 0)
  const { took_ms, timing } = JSON.parse(output) as { took_ms: number; timing: { usual_ms: { p90: number } | null } }
  stage.expect(timing.usual_ms !== null && took_ms > timing.usual_ms.p90, 'the slow restart was not late')

  for (const [name, { ledger }, expected] of [
    ['imp-2', imp, 1],
    ['cuc-1', cuc, 1],
    ['uccx-1', uccx, 4],
  ] as const) {
    const count = ledger.restarts('Cisco Tomcat').length
    stage.expect(count === expected, `${name} got ${count} restart commands, not ${expected}`)
  }
  if (stage.problems.length === 0) {
    stage.say('', 'Nothing was sent twice, and nothing was called done that was not: vosctl help exit-codes')
  }
}

function disposable<Stoppable extends { stop(): Promise<void> }>(one: Stoppable): Stoppable & AsyncDisposable {
  return Object.assign(one, { [Symbol.asyncDispose]: () => one.stop() })
}
