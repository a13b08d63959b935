import { PassThrough } from 'node:stream'
import { expect, it, onTestFinished } from 'vitest'
import { Client } from '../../src/cli/client.ts'
import type { Context } from '../../src/cli/context.ts'
import { streamEvents } from '../../src/cli/commands/watch-stream.ts'
import { LeftError } from '../../src/cli/leaving.ts'
import { play, record, UNTIL_DISPATCH } from '../helpers/operations.ts'
import { until } from '../helpers/wait.ts'
import { DaemonStandIn } from './daemon-stand-in.ts'

const EVENTS = record(UNTIL_DISPATCH)
const BOARD = [play(UNTIL_DISPATCH.slice(0, 3))]

it('a daemon that goes while a stream catches up leaves a gap, and the stream goes on when it is back', async () => {
  const daemon = new DaemonStandIn({
    subscribe: () => ({ ok: true, value: { operations: BOARD, cursor: 3, missed: EVENTS.slice(1, 3) } }),
    'operation:events': () => {
      setImmediate(() => void daemon.stop().then(() => daemon.start()))
      return 'silence'
    },
  })
  await daemon.start()
  const patience = { firstMs: 5, maxMs: 20, connectMs: 500 }
  const client = await Client.connect({ socketPath: daemon.socketPath, version: '1.2.3', patience })
  onTestFinished(() => client.close())
  const lines: { readonly type: string }[] = []
  const print = (line: string) => void lines.push(JSON.parse(line) as { readonly type: string })
  const context = { print, now: Date.now, io: { stdout: new PassThrough() } } as unknown as Context
  const left = new AbortController()
  const departure = { signal: left.signal, left: left.signal, [Symbol.dispose]: () => undefined }
  const ended = streamEvents(context, client, null, departure, 1)
  await until('two snapshots', () => lines.filter(({ type }) => type === 'snapshot').length === 2)
  left.abort(new LeftError('SIGTERM'))
  expect(await ended).toBe(143)
  expect(lines).toMatchObject([
    { type: 'hello', from: 1 },
    { type: 'gap', after: 1, from: 4 },
    { type: 'snapshot', gap: false },
    { type: 'disconnected' },
    { type: 'snapshot', gap: false },
    { type: 'bye' },
  ])
})
