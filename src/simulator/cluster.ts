import { appliance, say, vary } from './compose.ts'
import { cucm15 } from './products/cucm.ts'
import { newWording, subscriber } from './scenarios/restarts.ts'
import { type Simulator, type SimulatorOptions, startSimulator } from './simulator.ts'

export interface Cluster {
  readonly publisher: Simulator
  readonly subscribers: readonly [Simulator, Simulator]
  readonly nodes: readonly Simulator[]
  stop(): Promise<void>
}

/** In the headerless form of misc-01. */
const answers = {
  'show network cluster': [
    say(
      '10.10.0.10 cucm-pub.example.org cucm-pub Publisher callmanager DBPub authenticated\n' +
        '10.10.0.11 cucm-sub.example.org cucm-sub Subscriber callmanager DBSub authenticated\n' +
        '10.10.0.12 imp-sub.example.org imp-sub Subscriber cups DBSub authenticated\n',
    ),
  ],
}

export const clusterPublisher = appliance(
  { name: 'cluster-publisher', story: 'CUCM 15 publisher of a cluster of three.', evidence: '§6, misc-01' },
  cucm15,
  { product: { answers: { ...cucm15.answers, ...answers } } },
)

/** Comes back to the prompt after STARTING, as subscribers do. */
export const clusterSubscriber = vary(
  { name: 'cluster-subscriber', story: 'CUCM 14 subscriber of a cluster of three.', evidence: '§6, f832aa0' },
  subscriber,
  { product: { answers: { ...subscriber.product.answers, ...answers } } },
)

export const clusterPresence = vary(
  { name: 'cluster-presence', story: 'IM and Presence 12.5 in a cluster of three.', evidence: '§6, restart-04' },
  newWording,
  { product: { answers: { ...newWording.product.answers, ...answers } } },
)

/** A publisher and two subscribers: three versions, three roles, three host keys. */
export async function startCluster(options: Pick<SimulatorOptions, 'host' | 'timeScale'> = {}): Promise<Cluster> {
  const [publisher, first, second] = await Promise.all([
    startSimulator(clusterPublisher, options),
    startSimulator(clusterSubscriber, options),
    startSimulator(clusterPresence, options),
  ])
  const nodes = [publisher, first, second]
  return {
    publisher,
    subscribers: [first, second],
    nodes,
    stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))),
  }
}
