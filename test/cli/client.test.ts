import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Client, NoAnswerError, type ClientOptions } from '../../src/cli/client.ts'
import type { Update, Updates } from '../../src/cli/follow.ts'
import { RefusedError } from '../../src/cli/refused-error.ts'
import { startOperations } from '../../src/cli/start.ts'
import { toStartRequest } from '../../src/cli/commands/restart.ts'
import { VosError } from '../../src/core/errors.ts'
import type { RecordedEvent } from '../../src/core/operation.ts'
import { PROTOCOL_VERSION, type Snapshot, type StartRequest } from '../../src/core/protocol.ts'
import { play, record, UNTIL_DISPATCH } from '../helpers/operations.ts'
import { until } from '../helpers/wait.ts'
import { DaemonStandIn, INFO, type Answers } from './daemon-stand-in.ts'

const QUICK = { firstMs: 5, maxMs: 20, reviveAfterMs: 40, connectMs: 500 }
const EVENTS = record(UNTIL_DISPATCH)
const NEVER = new AbortController().signal

async function house(answers: Answers = {}): Promise<DaemonStandIn> {
  const daemon = new DaemonStandIn(answers)
  await daemon.start()
  return daemon
}

async function connect(daemon: DaemonStandIn, options: Partial<ClientOptions> = {}): Promise<Client> {
  const client = await Client.connect({ socketPath: daemon.socketPath, version: '1.2.3', patience: QUICK, ...options })
  onTestFinished(() => client.close())
  return client
}

function snapshotAfter(count: number, missed: readonly RecordedEvent[] | null = null): Snapshot {
  return { operations: [play(UNTIL_DISPATCH.slice(0, count))], cursor: count, missed }
}

/** Collects what a watcher gets, in words. */
function watching(updates: Updates): { readonly seen: string[]; readonly ended: Promise<unknown> } {
  const seen: string[] = []
  const word = (update: Update): string => {
    if (update.type === 'event') return `${update.recorded.seq} ${update.recorded.event.type}`
    return update.type === 'snapshot' ? `snapshot ${update.cursor}${update.gap ? ' gap' : ''}` : update.type
  }
  const ended = (async () => {
    for await (const update of updates) seen.push(word(update))
  })()
  ended.catch(() => undefined)
  return { seen, ended }
}

describe('connecting', () => {
  it('says who it is, and learns who is there', async () => {
    const daemon = await house()
    const client = await connect(daemon)
    expect(daemon.handshakes).toEqual([{ protocol: PROTOCOL_VERSION, version: '1.2.3' }])
    expect(client.info).toEqual(INFO)
  })

  it('looks whose socket it is before each attempt, and says no word to a stranger', async () => {
    const daemon = await house()
    const stranger = () => new VosError('socket_path', 'the socket of somebody else')
    let isOurs = true
    const check = () => {
      if (!isOurs) throw stranger()
    }
    const client = await connect(daemon, { check })
    isOurs = false
    await daemon.stop()
    await until('the connection is lost', () => !client.connected)
    await daemon.start()
    await expect(client.reconnect(NEVER)).rejects.toEqual(stranger())
    await expect(connect(daemon, { check })).rejects.toEqual(stranger())
    expect(daemon.handshakes).toHaveLength(1)
  })

  it('knows that nobody is there, when there is no socket and when one was left behind', async () => {
    const daemon = new DaemonStandIn()
    await expect(connect(daemon)).rejects.toMatchObject({ code: 'no_daemon', nobodyThere: true })
    const fs = await import('node:fs')
    const abandoned = createServer()
    await new Promise<void>((resolve) => abandoned.listen(`${daemon.socketPath}2`, resolve))
    fs.renameSync(`${daemon.socketPath}2`, daemon.socketPath)
    await new Promise((resolve) => abandoned.close(resolve))
    await expect(connect(daemon)).rejects.toMatchObject({ code: 'no_daemon', nobodyThere: true })
  })

  it('does not take a daemon that listens and says nothing for one that is not there', async () => {
    const daemon = new DaemonStandIn()
    const mute = createServer()
    onTestFinished(() => void mute.close())
    await new Promise<void>((resolve) => mute.listen(daemon.socketPath, resolve))
    const patience = { ...QUICK, connectMs: 100 }
    await expect(connect(daemon, { patience })).rejects.toMatchObject({ code: 'no_daemon', nobodyThere: false })
  })

  it.each(['daemon_version', 'too_many_clients'] as const)(
    "is refused with the daemon's own words: %s",
    async (code) => {
      const daemon = await house()
      daemon.refusal = { code, message: 'The daemon says no.', hint: 'Do this.' }
      const refused = await connect(daemon).catch((error: unknown) => error)
      expect(refused).toBeInstanceOf(RefusedError)
      expect(refused).toMatchObject({ code, message: 'The daemon says no.', hint: 'Do this.' })
    },
  )
})

describe('a request', () => {
  it('gives the value, or throws the refusal with who stands in the way', async () => {
    const holder = play(UNTIL_DISPATCH)
    const daemon = await house({
      'connection:list': () => ({ ok: true, value: [] }),
      'operation:get': () => ({ ok: false, error: { code: 'already_running', message: 'busy', hint: '', holder } }),
    })
    const client = await connect(daemon)
    expect(await client.request('connection:list', {})).toEqual([])
    const refused = (await client
      .request('operation:get', { id: 'last' })
      .catch((error: unknown) => error)) as RefusedError
    expect(refused.refusal.holder?.id).toBe('r-7k2m9q')
    expect(refused.refused).toHaveLength(1)
  })

  it('ends at its deadline when the daemon is stuck', async () => {
    const client = await connect(await house())
    const began = performance.now()
    await expect(client.request('connection:list', {}, { deadlineMs: 50 })).rejects.toBeInstanceOf(NoAnswerError)
    expect(performance.now() - began).toBeLessThan(1000)
  })

  it('ends at once when the daemon goes away, and is never kept to be sent later', async () => {
    const daemon = await house()
    const client = await connect(daemon)
    const asked = client.request('connection:list', {})
    await until('it was asked', () => daemon.askedFor('connection:list').length === 1)
    await daemon.stop()
    await expect(asked).rejects.toThrow('went away before it answered')
    await expect(client.request('connection:list', {})).rejects.toThrow('is lost')
    await daemon.start()
    await sleep(50)
    expect(daemon.askedFor('connection:list')).toHaveLength(1)
  })

  it('is asked again, more slowly, when it came too fast', async () => {
    let times = 0
    const tooMany = { ok: false, error: { code: 'too_many_requests', message: 'Slowly.', hint: '' } } as const
    const daemon = await house({ 'connection:list': () => (++times === 1 ? tooMany : { ok: true, value: [] }) })
    const client = await connect(daemon)
    expect(await client.request('connection:list', {})).toEqual([])
    expect(times).toBe(2)
  })
})

describe('watching', () => {
  it('begins with the board and goes on with events, and acknowledges a batch when it has been taken', async () => {
    const daemon = await house({ subscribe: () => ({ ok: true, value: snapshotAfter(1) }) })
    const client = await connect(daemon)
    const { seen } = watching(client.watch('operations', { signal: NEVER }))
    await until('the board', () => seen.length === 1)
    await daemon.send({ room: 'operations', events: EVENTS.slice(1, 3) })
    daemon.beat(3)
    await until('the heartbeat', () => seen.includes('heartbeat'))
    expect(seen).toEqual(['snapshot 1', '2 connecting', '3 authenticating', 'heartbeat'])
    expect(daemon.askedFor('subscribe')).toEqual([{ room: 'operations' }])
  })

  it('does not acknowledge what its reader has not taken, so that the daemon knows who is slow', async () => {
    const daemon = await house({
      subscribe: () => ({ ok: true, value: snapshotAfter(1) }),
      'connection:list': () => ({ ok: true, value: [] }),
    })
    const client = await connect(daemon)
    const iterator = client.watch('operations', { signal: NEVER })[Symbol.asyncIterator]()
    await iterator.next()
    let acknowledged = false
    void daemon.send({ room: 'operations', events: EVENTS.slice(1, 3) }).then(() => (acknowledged = true))
    await iterator.next()
    await iterator.next()
    // On one socket, what was said before this question comes before its answer.
    await client.request('connection:list', {})
    expect(acknowledged).toBe(false)
    void iterator.next()
    await until('the acknowledgement', () => acknowledged)
  })

  it('loses nothing that comes right behind the answer', async () => {
    const daemon: DaemonStandIn = await house({
      subscribe: () => {
        daemon.push({ room: 'operations', events: EVENTS.slice(0, 2) })
        setImmediate(() => daemon.push({ room: 'operations', events: EVENTS.slice(1, 3) }))
        return { ok: true, value: snapshotAfter(1) }
      },
    })
    const client = await connect(daemon)
    const { seen } = watching(client.watch('operations', { signal: NEVER }))
    await until('three', () => seen.length === 3)
    expect(seen).toEqual(['snapshot 1', '2 connecting', '3 authenticating'])
  })

  it('comes back from its cursor after the daemon was killed: no gap, no duplicate', async () => {
    let life = 0
    const daemon = await house({
      subscribe: ({ after }) => {
        life++
        const value = after === undefined ? snapshotAfter(1) : snapshotAfter(5, EVENTS.slice(after, 5))
        return { ok: true, value }
      },
    })
    const client = await connect(daemon)
    const { seen } = watching(client.watch('connection:1', { signal: NEVER }))
    await until('the board', () => seen.length === 1)
    await daemon.send({ room: 'connection:1', events: EVENTS.slice(1, 3) })
    await daemon.stop()
    await until('it is noticed', () => seen.includes('disconnected'))
    await daemon.start()
    await until('it is back', () => seen.includes('snapshot 5'))
    await daemon.send({ room: 'connection:1', events: EVENTS.slice(3) })
    await until('the last one', () => seen.includes('6 dispatching'))
    expect(seen).toEqual([
      'snapshot 1',
      '2 connecting',
      '3 authenticating',
      'disconnected',
      '4 ready',
      '5 resolved',
      'snapshot 5',
      '6 dispatching',
    ])
    expect(life).toBe(2)
    expect(daemon.askedFor('subscribe')).toEqual([{ room: 'connection:1' }, { room: 'connection:1', after: 3 }])
  })

  it('subscribes again from its cursor when it was cut back', async () => {
    const daemon = await house({
      subscribe: ({ after }) => ({ ok: true, value: after === undefined ? snapshotAfter(1) : snapshotAfter(6) }),
    })
    const client = await connect(daemon)
    const { seen } = watching(client.watch('operations', { signal: NEVER }))
    await until('the board', () => seen.length === 1)
    await daemon.send({ room: 'operations', events: EVENTS.slice(1, 2) })
    await daemon.send({ room: 'operations', events: [], behind: true })
    await until('the new board', () => seen.length === 3)
    expect(seen).toEqual(['snapshot 1', '2 connecting', 'snapshot 6 gap'])
    expect(daemon.askedFor('subscribe')[1]).toEqual({ room: 'operations', after: 2 })
  })

  it('asks for the whole board after a hole, and says that there is a gap', async () => {
    const daemon = await house({
      subscribe: () => ({ ok: true, value: snapshotAfter(daemon.askedFor('subscribe').length === 1 ? 1 : 6) }),
    })
    const client = await connect(daemon)
    const { seen } = watching(client.watch('operations', { signal: NEVER }))
    await until('the board', () => seen.length === 1)
    daemon.push({ room: 'operations', events: EVENTS.slice(3, 5) })
    await until('the new board', () => seen.length === 2)
    expect(seen).toEqual(['snapshot 1', 'snapshot 6 gap'])
    expect(daemon.askedFor('subscribe')[1]).toEqual({ room: 'operations' })
  })

  it('has a daemon started when none comes back, and not before it has waited for one', async () => {
    const daemon = await house({ subscribe: () => ({ ok: true, value: snapshotAfter(2, []) }) })
    let lostAt = 0
    let revivedAfter: number | null = null
    const revive = async () => {
      revivedAfter ??= performance.now() - lostAt
      await daemon.start()
    }
    const client = await connect(daemon, { revive })
    const { seen } = watching(client.watch('operations', { signal: NEVER }))
    await until('the board', () => seen.length === 1)
    lostAt = performance.now()
    await daemon.stop()
    await until('it is back', () => seen.length === 3)
    expect(seen).toEqual(['snapshot 2', 'disconnected', 'snapshot 2'])
    expect(revivedAfter).toBeGreaterThanOrEqual(QUICK.reviveAfterMs - 5)
  })

  it('waits for ever without a way to start one, also when starting fails', async () => {
    const daemon = await house({ subscribe: () => ({ ok: true, value: snapshotAfter(2, []) }) })
    let tries = 0
    const revive = () => {
      tries++
      return Promise.reject(new Error('the disk is full'))
    }
    const client = await connect(daemon, { revive })
    const { seen } = watching(client.watch('operations', { signal: NEVER }))
    await until('the board', () => seen.length === 1)
    await daemon.stop()
    await until('it was tried, and tried again', () => tries > 1)
    await daemon.start()
    await until('it is back', () => seen.length === 3)
  })

  it('ends with an error when the daemon that comes back speaks another protocol', async () => {
    const daemon = await house({ subscribe: () => ({ ok: true, value: snapshotAfter(2) }) })
    const client = await connect(daemon)
    const { seen, ended } = watching(client.watch('operations', { signal: NEVER }))
    await until('the board', () => seen.length === 1)
    await daemon.stop()
    daemon.refusal = { code: 'daemon_version', message: 'Too old.', hint: '' }
    await daemon.start()
    await expect(ended).rejects.toMatchObject({ code: 'daemon_version' })
  })

  it.each([
    ['while it listens', false],
    ['while the daemon is gone', true],
  ])('ends at once when its reader leaves %s', async (_, gone) => {
    const daemon = await house({ subscribe: () => ({ ok: true, value: snapshotAfter(2) }) })
    const client = await connect(daemon)
    const left = new AbortController()
    const { seen, ended } = watching(client.watch('operations', { signal: left.signal }))
    await until('the board', () => seen.length === 1)
    if (gone) {
      await daemon.stop()
      await until('it is noticed', () => seen.length === 2)
    }
    left.abort()
    await ended
  })

  it('ends when the client is closed, also while it looks for the daemon', async () => {
    const daemon = await house({ subscribe: () => ({ ok: true, value: snapshotAfter(2) }) })
    const client = await connect(daemon, { revive: () => Promise.reject(new Error('must not be asked for')) })
    const { seen, ended } = watching(client.watch('operations', { signal: NEVER }))
    await until('the board', () => seen.length === 1)
    await daemon.stop()
    await until('it is noticed', () => seen.length === 2)
    client.close()
    await ended
  })

  it('has no use for events of another room', async () => {
    const daemon = await house({ subscribe: () => ({ ok: true, value: snapshotAfter(1) }) })
    const client = await connect(daemon)
    const { seen } = watching(client.watch('connection:1', { signal: NEVER }))
    await until('the board', () => seen.length === 1)
    daemon.push({ room: 'operations', events: EVENTS.slice(1, 3) })
    await daemon.send({ room: 'connection:1', events: EVENTS.slice(1, 2) })
    // What was pushed first has come first, so by now it is known to be left out.
    await until('the batch of its own room', () => seen.length > 1)
    expect(seen).toEqual(['snapshot 1', '2 connecting'])
  })

  it('ends a reader that waits, when the iterator is given back', async () => {
    const daemon = await house({ subscribe: () => ({ ok: true, value: snapshotAfter(2) }) })
    const client = await connect(daemon)
    const iterator = client.watch('operations', { signal: NEVER })[Symbol.asyncIterator]()
    await iterator.next()
    const waiting = iterator.next()
    await iterator.return?.()
    expect(await waiting).toMatchObject({ done: true })
  })
})

describe('starting work', () => {
  const request = toStartRequest('service_restart', [1], {}, 'alice')
  const accepted = {
    ok: true,
    value: { operations: [play(UNTIL_DISPATCH)], attached: [], skipped: [], batch: null },
  } as const

  it('is asked for again under the same id when the daemon was killed before it answered', async () => {
    let times = 0
    const daemon = await house({ 'operation:start': () => (++times === 1 ? 'silence' : accepted) })
    const client = await connect(daemon)
    const started = startOperations(client, request, NEVER)
    await until('it was asked', () => times === 1)
    await daemon.stop()
    await daemon.start()
    expect((await started).operations[0]?.id).toBe('r-7k2m9q')
    const ids = daemon.askedFor('operation:start').map((input) => (input as StartRequest).requestId)
    expect(ids).toEqual([request.requestId, request.requestId])
  })

  it('is not called untouched when no answer comes: nobody knows', async () => {
    const daemon = await house({ 'operation:start': () => 'silence' })
    const client = await connect(daemon)
    const started = startOperations(client, request, AbortSignal.timeout(300))
    started.catch(() => undefined)
    await until('it was asked', () => daemon.askedFor('operation:start').length === 1)
    await daemon.stop()
    await expect(started).rejects.toBeDefined()
  })

  it('keeps what was asked for with the refusal', async () => {
    const error = { code: 'already_running', message: 'busy', hint: '' } as const
    const daemon = await house({ 'operation:start': () => ({ ok: false, error }) })
    const client = await connect(daemon)
    await expect(startOperations(client, request, NEVER, 'Cisco Tomcat')).rejects.toMatchObject({
      wanted: { type: 'service_restart', service: 'Cisco Tomcat' },
    })
  })
})
