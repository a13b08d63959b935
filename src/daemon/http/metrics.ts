import { deviceKey } from '../../core/connection.ts'
import { isSettled, needsAcknowledgement, type Operation } from '../../core/operation.ts'
import { tookMs } from '../../core/progress.ts'
import { PROTOCOL_VERSION } from '../../core/protocol.ts'
import { REQUESTS } from '../../core/schemas.ts'
import { VERSION } from '../../core/version.ts'
import type { Manager } from '../manager.ts'
import type { Crowd } from '../server.ts'
import type { Store } from '../store/store.ts'

/** Upper bounds in seconds: a test takes a second or two, a restart minutes, the time limit is twenty of them. */
const DURATION_BUCKETS = [1, 2, 5, 10, 30, 60, 120, 180, 240, 300, 600, 1200]
/** So many endings wait for somebody who asks; then the library is loaded to count them. */
const MAX_WAITING = 1000
const TYPES = REQUESTS['operation:start'].shape.operationType.options
const ENDINGS = ['completed', 'failed', 'cancelled', 'interrupted', 'unknown'] as const

export interface Metrics {
  readonly read: () => Promise<{ readonly type: string; readonly text: string }>
  readonly close: () => void
}

export interface MetricsOptions {
  readonly store: Store
  readonly manager: Manager
  readonly now: () => number
  readonly crowd: () => Crowd
}

interface Ending extends Pick<Operation, 'type' | 'status'> {
  /** Of one that completed, when its end was seen. */
  readonly tookMs: number | null
}

/**
 * What Prometheus reads. Labels have few values, all of our own words: no name of a connection or a service is among them.
 * Endings are counted from the start of the daemon on, as Prometheus expects it of a counter: what is in the history is
 * pruned, and a number that falls would be read as a restart.
 */
export function createMetrics(options: MetricsOptions, maxWaiting = MAX_WAITING): Metrics {
  const waiting: Ending[] = []
  let drawn: ReturnType<typeof draw> | undefined
  // A failure is not kept: it may have been want of a descriptor.
  const load = () =>
    (drawn ??= draw(options).catch((error: unknown) => {
      drawn = undefined
      throw error
    }))
  const count = async () => {
    const { end } = await load()
    for (const ending of waiting.splice(0)) end(ending)
  }
  const stop = options.manager.onEvent(({ event }, operation) => {
    if (event.type !== 'settled') return
    const { type, status } = operation
    waiting.push({ type, status, tookMs: status === 'completed' ? tookMs(operation) : null })
    // What fails here fails again for whoever asks, and is told then.
    if (waiting.length >= maxWaiting) count().catch(() => undefined)
  })
  return {
    read: async () => {
      await count()
      const { read } = await load()
      return read()
    },
    close: stop,
  }
}

/** Loaded when it is first asked for: most daemons are never asked. */
async function draw({ store, manager, now, crowd }: MetricsOptions) {
  const { Counter, Gauge, Histogram, Registry } = await import('prom-client')
  const registry = new Registry()
  const registers = [registry]
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers })

  const ended = new Counter({
    name: 'vosctl_operations_total',
    help: 'Operations that ended since the daemon started, by how they ended.',
    labelNames: ['type', 'status'],
    registers,
  })
  const durations = new Histogram({
    name: 'vosctl_operation_duration_seconds',
    help: 'From the first network byte to the verdict, of operations that completed since the daemon started.',
    labelNames: ['type'],
    buckets: DURATION_BUCKETS,
    registers,
  })
  for (const type of TYPES) {
    durations.zero({ type })
    // A series that begins with its first ending would hide that one from rate().
    for (const status of ENDINGS) ended.inc({ type, status }, 0)
  }
  const events = new Counter({
    name: 'vosctl_events_total',
    help: 'Events recorded in the journal, over all daemons of this database.',
    registers,
  })
  const holds = new Gauge({
    name: 'vosctl_holds',
    help: 'Holds, by kind: connection (somebody keeps hands off) and login (it was refused).',
    labelNames: ['kind'],
    registers,
  })
  const active = gauge('vosctl_operations_active', 'Operations that have not ended, those that wait included.')
  const queued = gauge('vosctl_operations_queued', 'Operations that have not ended and not begun.')
  const open = gauge('vosctl_operations_unacknowledged', 'Operations with an unknown outcome that nobody has accepted.')
  const connections = gauge('vosctl_connections', 'Connections in the database.')
  const clients = gauge('vosctl_clients', 'Clients on the sockets of the daemon.')
  const watchers = gauge('vosctl_watchers', 'Subscriptions to events.')
  const lagEvents = gauge('vosctl_watcher_lag_events', 'Events that the slowest watcher has not taken yet.')
  const lagSeconds = gauge('vosctl_watcher_lag_seconds', 'Age of the oldest event that a watcher has not taken yet.')
  const draining = gauge('vosctl_draining', '1 while the daemon takes on no work because it stops.')
  const memory = gauge('process_resident_memory_bytes', 'Resident memory size in bytes.')
  gauge('process_start_time_seconds', 'Start time of the process since the Unix epoch in seconds.').set(
    Math.round(now() - performance.now()) / 1000,
  )
  new Gauge({
    name: 'vosctl_build_info',
    help: '1, with the version of the daemon.',
    labelNames: ['version', 'protocol', 'node'],
    registers,
  }).set({ version: VERSION, protocol: PROTOCOL_VERSION, node: process.versions.node }, 1)

  return {
    end: ({ type, status, tookMs }: Ending) => {
      ended.inc({ type, status })
      if (tookMs !== null) durations.observe({ type }, tookMs / 1000)
    },
    read: async () => {
      const board = manager.board()
      const underWay = board.filter((operation) => !isSettled(operation))
      active.set(underWay.length)
      queued.set(underWay.filter(({ beganAt }) => beganAt === null).length)
      open.set(board.filter(needsAcknowledgement).length)
      const counted = store.connections.count()
      connections.set(counted.all)
      holds.set({ kind: 'connection' }, counted.held)
      // Where no connection leads any more nobody waits for a login.
      const isAny = store.operations.loginHolds().length > 0
      const refused = isAny ? store.connections.list().filter((one) => manager.loginHold(one)) : []
      holds.set({ kind: 'login' }, new Set(refused.map((one) => `${one.username}@${deviceKey(one)}`)).size)
      const { taken, ...here } = crowd()
      clients.set(here.clients)
      watchers.set(here.watchers)
      const cursor = store.operations.cursor()
      events.reset()
      events.inc(cursor)
      lagEvents.set(cursor - taken)
      const [next] = store.operations.eventsAfter(taken, 1)
      lagSeconds.set(next ? Math.max(0, now() - next.at) / 1000 : 0)
      draining.set(Number(manager.draining))
      memory.set(process.memoryUsage.rss())
      return { type: registry.contentType, text: await registry.metrics() }
    },
  }
}
