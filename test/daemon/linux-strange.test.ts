import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerChannel } from 'ssh2'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Timings } from '../../src/core/connection.ts'
import type { Observation } from '../../src/core/device.ts'
import type { VosError } from '../../src/core/errors.ts'
import { LinuxDevice } from '../../src/daemon/devices/linux.ts'
import { watchLeaks } from '../helpers/leaks.ts'
import { rejection } from '../helpers/rejection.ts'
import { playServer, QUICK } from '../helpers/ssh-server.ts'

async function observe(device: LinuxDevice, onEach: (seen: Observation) => void = () => {}): Promise<Observation[]> {
  const all: Observation[] = []
  for await (const seen of device.commit()) {
    all.push(seen)
    onEach(seen)
  }
  return all
}

describe('a Linux server that behaves strangely', () => {
  let noLeaks = async (): Promise<void> => {}
  beforeEach(() => {
    noLeaks = watchLeaks()
  })

  const SHOWN = 'Id=a.service\nLoadState=loaded\nActiveState=active\nSubState=running\nInvocationID=1\n'

  /** A device at a server that answers `show`, and does this with `restart`. */
  async function strange(
    onRestart: (channel: ServerChannel, hangUp: () => void) => void,
    timings: Partial<Timings> = {},
    { isDeafAfter = false, slowOpenMs = 0 } = {},
  ) {
    let isDeaf = false
    let opened = 0
    let hangUp = (): void => {}
    const server = await playServer({
      onSocket: (socket) => {
        hangUp = () => void socket.resetAndDestroy()
      },
      onClient: (client) => {
        client.on('session', (accept) => {
          opened++
          const open = (): void => {
            accept().on('exec', (accept, _, { command }) => {
              if (isDeaf) return
              const channel = accept()
              if (command.includes('restart')) {
                isDeaf = isDeafAfter
                onRestart(channel, hangUp)
                return
              }
              channel.write(SHOWN)
              channel.exit(0)
              channel.end()
            })
          }
          // The first is for the preparation, the second for the command.
          setTimeout(open, opened === 2 ? slowOpenMs : 0)
        })
      },
    })
    const device = new LinuxDevice({
      connection: {
        id: 1,
        name: 'web1',
        host: '127.0.0.1',
        port: server.port,
        username: 'admin',
        platform: 'linux',
        service: null,
        credential: { type: 'sealed' },
        hostKey: server.hostKey,
        acceptNew: false,
        algorithms: 'modern',
        algorithmsReason: null,
        algorithmsUntil: null,
        echo: true,
        enter: 'cr',
        sudo: false,
        via: null,
        hops: [],
        timings: {},
      },
      timings: { ...QUICK, pollMs: 200, ...timings },
      readSecret: () => ({ type: 'password', password: 'x' }),
      signal: new AbortController().signal,
    })
    await device.connect()
    await device.authenticate()
    await device.open()
    await device.prepare('a.service')
    device.arm()
    const done = async (): Promise<void> => {
      await device.close()
      await server.isEmpty()
      await server.close()
      await noLeaks()
    }
    return { device, done }
  }

  it('gets a warning after some silence and an error after more, when nothing at all is heard', async () => {
    const { device, done } = await strange(
      () => {},
      { silenceWarningMs: 60, silenceLimitMs: 160 },
      { isDeafAfter: true },
    )
    const seen: Observation[] = []
    const error = await rejection(observe(device, (one) => void seen.push(one)))
    expect(error.code).toBe('silence')
    expect(seen.map(({ type }) => type)).toEqual(['sent', 'silent'])
    await done()
  })

  it('is not silent while it answers what the unit does', async () => {
    const { device, done } = await strange(
      (channel) => {
        setTimeout(() => {
          channel.exit(0)
          channel.end()
        }, 1000)
      },
      // Far apart, so that a machine that is busy does not make a silence of its own.
      { silenceWarningMs: 500, silenceLimitMs: 800, pollMs: 20 },
    )
    expect((await observe(device)).map(({ type }) => type)).toEqual(['sent', 'ended'])
    await done()
  })

  it('that gives no exit status leaves the outcome open: the state is reported although it did not change', async () => {
    const { device, done } = await strange((channel) => {
      channel.write('half a line')
      channel.close()
    })
    expect(await observe(device)).toEqual([
      { type: 'sent' },
      { type: 'line', text: 'half a line' },
      { type: 'line', text: '(the command was ended by the server)' },
      expect.objectContaining({ type: 'state', text: 'a.service: active (running)' }),
      { type: 'ended' },
    ])
    await done()
  })

  it('that floods us is held back while the journal is slow, and every line arrives as harmless text', async () => {
    const line = `${'x'.repeat(200)}\u001b]0;owned\u0007\r\n`
    let isAllWritten = false
    const { device, done } = await strange((channel) => {
      channel.write(line.repeat(24_000), () => (isAllWritten = true))
      channel.exit(0)
      channel.end()
    })
    const lengths = new Map<number, number>()
    let wasAllWritten = true
    let last: Observation | null = null
    for await (const seen of device.commit()) {
      last = seen
      if (seen.type !== 'line') continue
      if (lengths.size === 0) {
        // A journal that is slow at the first line: by now everything could have come.
        await sleep(800)
        wasAllWritten = isAllWritten
      }
      lengths.set(seen.text.length, (lengths.get(seen.text.length) ?? 0) + 1)
    }
    expect(wasAllWritten).toBe(false)
    expect([...lengths]).toEqual([[201, 24_000]])
    expect(last).toEqual({ type: 'ended', exitStatus: 0 })
    await done()
  })

  it('that is slow to open a channel is waited for: only a pause of this process is a reason not to send', async () => {
    const { device, done } = await strange(
      (channel) => {
        channel.exit(0)
        channel.end()
      },
      {},
      { slowOpenMs: 1_200 },
    )
    expect((await observe(device)).at(-1)).toEqual({ type: 'ended', exitStatus: 0 })
    await done()
  })

  it('that hangs up right after the request is lost, not refused', async () => {
    const { device, done } = await strange((_, hangUp) => hangUp())
    expect(await observe(device)).toEqual([
      { type: 'sent' },
      { type: 'lost', error: expect.objectContaining({ code: 'connection_lost' }) as VosError },
    ])
    await done()
  })
})
