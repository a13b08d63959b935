import { PassThrough } from 'node:stream'
import type { Follow, Io, Update } from '../../src/cli/follow.ts'
import {
  apply,
  type Operation,
  type OperationEvent,
  type RecordedEvent,
  type SettledStatus,
} from '../../src/core/operation.ts'
import type { Usual } from '../../src/core/progress.ts'
import { ACCEPTED, FACTS } from '../helpers/operations.ts'
import { until as waitUntil } from '../helpers/wait.ts'

/** Operations as the daemon would report them: built from events, at times of one afternoon. */

/** This local time on the day of all scenes. */
export function at(time: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number)
  return new Date(2026, 10, 22, hours, minutes, seconds).getTime()
}

export const USUAL: Usual = {
  runs: 11,
  p50Ms: 200_000,
  p90Ms: 270_000,
  phases: { connecting: 1000, ready: 500, dispatching: 500, stopping: 40_000, starting: 150_000, verifying: 6_000 },
}

export type Timed = readonly [time: string, event: OperationEvent]

export interface Scene {
  readonly recorded: readonly RecordedEvent[]
  /** The operation after the first `count` events; after all of them without it. */
  readonly after: (count?: number) => Operation
  readonly operation: Operation
}

type Accepted = Extract<OperationEvent, { type: 'accepted' }>

let cursors = 4100

export function scene(
  id: string,
  name: string,
  start: string,
  events: readonly Timed[],
  request: Partial<Omit<Accepted, 'type' | 'connection'>> = {},
): Scene {
  const accepted: Accepted = { ...ACCEPTED, connection: { id: 1, name }, usual: USUAL, ...request }
  const all: readonly Timed[] = [[start, accepted], ...events]
  const recorded = all.map(([time, event], index) => ({
    cursor: ++cursors,
    operationId: id,
    seq: index + 1,
    at: at(time),
    event,
  }))
  const after = (count = recorded.length) =>
    recorded.slice(0, count).reduce<Operation | null>(apply, null) ?? raise('a scene needs an event')
  return { recorded, after, operation: after() }
}

/** From the first byte to the command being sent, all within a second. */
export function sentAt(time: string): Timed[] {
  return [
    [time, { type: 'connecting' }],
    [time, { type: 'authenticating', username: 'admin', method: 'password' }],
    [time, { type: 'ready', facts: FACTS }],
    [time, { type: 'dispatching', command: 'utils service restart Cisco Tomcat' }],
    [time, { type: 'sent' }],
  ]
}

export function moving(time: string, phase: 'stopping' | 'starting', service = 'Cisco Tomcat'): Timed[] {
  const state = phase.toUpperCase()
  return [
    [time, { type: 'line', text: `${service}[${state}]`, state }],
    [time, { type: phase, seenIn: 'output' }],
  ]
}

export function settled(time: string, status: SettledStatus, message: string, rest: object = {}): Timed {
  return [time, { type: 'settled', status, message, ...failure(status, message), ...rest }]
}

/** After the command was sent a failure must say what the device has shown. */
export function failure(status: SettledStatus, message: string) {
  return status === 'failed' ? { error: { code: 'service_down', message, hint: '' } as const } : {}
}

/** The restart of the samples: accepted 14:02:11, done 14:05:52. */
export function sampleRestart(request: Partial<Omit<Accepted, 'type' | 'connection'>> = {}): Scene {
  return scene(
    'r-7k2m9q',
    'cucm-pub',
    '14:02:11',
    [
      ...sentAt('14:02:11'),
      ...moving('14:02:13', 'stopping'),
      ...moving('14:02:54', 'starting'),
      ['14:05:46', { type: 'verifying', because: 'the command has ended' }],
      ['14:05:51', { type: 'evidence', what: 'service list', value: 'Cisco Tomcat[STARTED]' }],
      settled('14:05:52', 'completed', '"Cisco Tomcat" restarted, seen STOPPING then STARTED'),
    ],
    request,
  )
}

/** One of a batch that restarts nginx. */
export function member(index: number, start: string, events: readonly Timed[], size = 12): Scene {
  const number = String(index).padStart(2, '0')
  return scene(`r-7k2x${index}m`, `web-${number}`, start, events, {
    service: 'nginx',
    device: `10.10.1.${index}:22`,
    batch: { id: 'b-41g0', position: index, size, parallel: 3 },
    usual: { runs: 5, p50Ms: 12_000, p90Ms: 15_000, phases: { stopping: 5000, starting: 6000, verifying: 1000 } },
  })
}

export function eventsOf({ recorded, after }: Scene, from = 0): Update[] {
  return recorded
    .slice(from)
    .map((one, index) => ({ type: 'event', recorded: one, operation: after(from + index + 1) }))
}

/** A source that is fed by hand. */
export function createSource() {
  const waiting: Update[] = []
  let wake = () => {}
  let ended = false
  async function* updates(): AsyncGenerator<Update> {
    for (;;) {
      const next = waiting.shift()
      if (next) yield next
      else if (ended) return
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  }
  return {
    updates: updates(),
    push: (...more: readonly Update[]) => {
      waiting.push(...more)
      wake()
    },
    end: () => {
      ended = true
      wake()
    },
  }
}

export function followOf(operations: readonly Operation[], rest: Partial<Follow> = {}): Follow {
  const { updates } = createSource()
  return {
    operations,
    batch: operations[0]?.batch?.id ?? null,
    updates,
    verbose: false,
    signal: new AbortController().signal,
    ...rest,
  }
}

/** Streams that remember what was written to them; stderr may pretend to be a terminal of some size. */
export function fakeIo(
  options: { readonly env?: NodeJS.ProcessEnv; readonly columns?: number; readonly rows?: number } = {},
) {
  const { columns, rows, env = {} } = options
  const isTTY = columns !== undefined
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }
  if (isTTY) {
    Object.assign(streams.stdout, { isTTY, columns, rows })
    Object.assign(streams.stderr, { isTTY, columns, rows })
    Object.assign(streams.stdin, { isTTY, setRawMode: () => streams.stdin, ref: () => {}, unref: () => {} })
  }
  const chunks = { stdout: [] as string[], stderr: [] as string[] }
  streams.stdout.on('data', (chunk: Buffer) => chunks.stdout.push(chunk.toString()))
  streams.stderr.on('data', (chunk: Buffer) => chunks.stderr.push(chunk.toString()))
  return {
    io: { ...streams, env } as unknown as Io,
    streams,
    stdout: () => chunks.stdout.join(''),
    stderr: () => chunks.stderr.join(''),
  }
}

export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

/** Turns the loop until a condition holds; fails the test when it never does. */
export async function until(holds: () => boolean, what = 'the condition'): Promise<void> {
  await waitUntil(what, holds, 4000)
}

function raise(message: string): never {
  throw new Error(message)
}
