import type { Connection, ServerChannel, Session } from 'ssh2'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { Terminal } from '../../src/daemon/devices/vos/terminal.ts'
import { SshSession } from '../../src/daemon/ssh/session.ts'
import { watchLeaks } from '../helpers/leaks.ts'
import { rejection } from '../helpers/rejection.ts'
import { playServer, QUICK, toTarget, type PlayedServer } from '../helpers/ssh-server.ts'
import { until } from '../helpers/wait.ts'

let server: PlayedServer | null = null
let controller = new AbortController()
let noLeaks = async (): Promise<void> => {}

beforeEach(() => {
  controller = new AbortController()
  noLeaks = watchLeaks()
})

afterEach(async () => {
  await server?.isEmpty()
  await server?.close()
  server = null
  await noLeaks()
})

/** A session that is logged in, with a server that plays its channels like this. */
async function meet(
  onSession: (session: Session, client: Connection) => void,
  changes: Partial<typeof QUICK> & { keepaliveMs?: number } = {},
) {
  const { keepaliveMs, ...timings } = changes
  let hangUp = (): void => {}
  server = await playServer({
    onSocket: (socket) => {
      hangUp = () => void socket.resetAndDestroy()
    },
    onClient: (client) => {
      client.on('session', (accept) => onSession(accept(), client))
    },
  })
  const target = toTarget(server, {
    timings: { ...QUICK, ...timings },
    ...(keepaliveMs === undefined ? {} : { keepaliveMs }),
  })
  const session = await SshSession.connect(target, controller.signal)
  await session.authenticate({ type: 'password', password: 'x' }, 'password')
  return { session, hangUp: () => hangUp() }
}

const WINDOW = { cols: 512, rows: 1000 }

/** A server that opens a terminal and hands over what is behind it. */
function terminal(onShell: (channel: ServerChannel) => void) {
  return (session: Session): void => {
    session.on('pty', (accept) => accept?.())
    session.on('shell', (accept) => onShell(accept()))
  }
}

/** A server that runs every command like this. */
function program(onExec: (channel: ServerChannel, command: string) => void) {
  return (session: Session): void => {
    session.on('exec', (accept, _, { command }) => onExec(accept(), command))
  }
}

describe('a terminal', () => {
  it('is as wide and tall as asked, and carries bytes both ways', async () => {
    const sizes: unknown[] = []
    const { session } = await meet((shell) => {
      shell.on('pty', (accept, _, { cols, rows }) => {
        sizes.push({ cols, rows })
        accept?.()
      })
      shell.on('shell', (accept) => {
        const channel = accept()
        channel.write('admin:')
        channel.on('data', (bytes: Buffer) => channel.write(`<${bytes.toString()}>`))
      })
    })
    const channel = await session.shell(WINDOW)
    let seen = ''
    channel.onData((bytes) => (seen += bytes.toString()))
    channel.write('exit\r')
    await until('it was echoed', () => seen === 'admin:<exit\r>')
    expect(sizes).toEqual([WINDOW])
    await session.close()
    expect((await channel.closed)?.code).toBe('connection_lost')
  })

  it('keeps what came before anybody listened, and holds the device back while nobody does', async () => {
    const size = 6 * 1024 * 1024
    let isWritten = false
    const { session } = await meet(
      terminal((channel) => {
        channel.write(Buffer.alloc(size, 'x'), () => (isWritten = true))
      }),
    )
    const channel = await session.shell(WINDOW)
    let count = 0
    const stop = channel.onData((bytes) => {
      count += bytes.length
      if (count === bytes.length) stop()
    })
    await until('something has come', () => count > 0)
    const paused = count
    expect(isWritten).toBe(false)
    expect(count).toBe(paused)
    channel.onData((bytes) => (count += bytes.length))
    await until('everything has come', () => count === size)
    await session.close()
  })

  it('that the device closes is closed without an error, after the last byte', async () => {
    const { session } = await meet(
      terminal((channel) => {
        channel.write('bye')
        channel.exit(0)
        channel.end()
      }),
    )
    const channel = await session.shell(WINDOW)
    let seen = ''
    channel.onData((bytes) => (seen += bytes.toString()))
    expect(await channel.closed).toBeUndefined()
    expect(seen).toBe('bye')
    channel.write('too late')
    await session.close()
  })

  it('that goes down with the connection is closed with the cause, after the last byte', async () => {
    let isSent = false
    const { session, hangUp } = await meet(terminal((channel) => channel.write('[STOPPING]', () => (isSent = true))))
    const channel = await session.shell(WINDOW)
    let seen = ''
    channel.onData((bytes) => (seen += bytes.toString()))
    await until('it was sent', () => isSent && seen !== '')
    hangUp()
    expect(await channel.closed).toMatchObject({
      code: 'connection_lost',
      message: expect.stringContaining('reset') as string,
    })
    expect(seen).toBe('[STOPPING]')
    await session.close()
  })

  it('that we close leaves the session open', async () => {
    const { session } = await meet((shell) => {
      shell.on('pty', (accept) => accept?.())
      shell.on('shell', (accept) => void accept().write('more'))
      shell.on('exec', (accept) => {
        const channel = accept()
        channel.exit(0)
        channel.end()
      })
    })
    const channel = await session.shell(WINDOW)
    channel.close()
    channel.close()
    expect(await channel.closed).toBeUndefined()
    expect((await session.exec(['true'])).exitStatus).toBe(0)
    await session.close()
  })

  it('takes no byte any more from the moment at which the session ends, before anybody has heard of that', async () => {
    const heard: string[] = []
    const { session } = await meet(
      terminal((channel) => void channel.on('data', (bytes: Buffer) => heard.push(String(bytes)))),
    )
    const channel = await session.shell(WINDOW)
    const shell = new Terminal(channel, { connection: { name: 'pub', enter: 'cr' }, signal: controller.signal })
    shell.enter()
    await until('the device has heard it', () => heard.length > 0)
    void session.close()
    expect(shell.isLost).toBe(false)
    expect(() => shell.enter()).toThrow(expect.objectContaining({ code: 'connection_lost' }))
    await channel.closed
    expect(heard.join('')).toBe('\r')
  })

  it('that does not open in time ends the session', async () => {
    const { session } = await meet((shell) => void shell.on('pty', () => {}), { shellMs: 80 })
    expect((await rejection(session.shell(WINDOW))).code).toBe('shell_timeout')
    expect((await session.closed).code).toBe('shell_timeout')
  })

  it('that is refused is an error, and the session stays', async () => {
    const { session } = await meet((shell) => {
      shell.on('pty', (_, reject) => reject?.())
    })
    const error = await rejection(session.shell(WINDOW))
    expect(error.code).toBe('channel_refused')
    expect(error.message).toContain('opens no terminal')
    await session.close()
  })

  it('is not opened on a session that is over', async () => {
    const { session, hangUp } = await meet(() => {})
    hangUp()
    await session.closed
    expect((await rejection(session.shell(WINDOW))).code).toBe('connection_lost')
    expect((await rejection(session.exec(['true']))).code).toBe('connection_lost')
    await session.close()
  })

  it('ends with the reason of an abort', async () => {
    const { session } = await meet(terminal(() => {}))
    const channel = await session.shell(WINDOW)
    const reason = new VosError('cancelled', 'enough')
    controller.abort(reason)
    expect(await channel.closed).toBe(reason)
    await session.close()
  })
})

describe('a session whose device stops answering', () => {
  it('is lost after three signs of life without an answer', async () => {
    const { session } = await meet(
      (_, client) => {
        // The device is there and its terminal is open, but nothing is answered any more.
        const { _protocol: protocol } = client as unknown as { _protocol: { requestFailure: () => void } }
        protocol.requestFailure = () => {}
      },
      { keepaliveMs: 30, shellMs: 20_000 },
    )
    void session.shell(WINDOW).catch(() => {})
    const error = await session.closed
    expect(error.code).toBe('connection_lost')
    expect(error.message).toContain('stopped answering')
    await session.close()
  })
})

describe('a command', () => {
  it('gives both outputs as harmless text, and its exit status', async () => {
    const lines: string[] = []
    const { session } = await meet(
      program((channel, line) => {
        lines.push(line)
        channel.write('out\u001b[2J\r\n')
        channel.stderr.write('err\u0007')
        channel.exit(3)
        channel.end()
      }),
    )
    const result = await session.exec(['echo', 'a b'])
    expect(result).toEqual({ stdout: 'out␛\n', stderr: 'err', exitStatus: 3, isTruncated: false })
    expect(lines).toEqual(["echo 'a b'"])
    await session.close()
  })

  it('that prints more than may be kept is cut, and says so', async () => {
    const { session } = await meet(
      program((channel) => {
        channel.write(Buffer.alloc(5_000, 'x\n'))
        channel.exit(0)
        channel.end()
      }),
    )
    const result = await session.exec(['yes'], { maxBytes: 1_000 })
    expect(result.stdout).toHaveLength(1_000)
    expect(result.isTruncated).toBe(true)
    await session.close()
  })

  it('that does not end in time fails, and the session stays', async () => {
    const { session } = await meet(
      program((channel, line) => {
        if (line !== 'quick') return
        channel.exit(0)
        channel.end()
      }),
    )
    expect((await rejection(session.exec(['slow'], { timeoutMs: 60 }))).code).toBe('command_timeout')
    expect((await session.exec(['quick'])).exitStatus).toBe(0)
    await session.close()
  })

  it('that is refused is an error', async () => {
    const { session } = await meet((shell) => void shell.on('exec', (_, reject) => reject()))
    expect((await rejection(session.exec(['true']))).code).toBe('channel_refused')
    await session.close()
  })

  it('that dies of a signal has no exit status', async () => {
    const { session } = await meet(
      program((channel) => {
        channel.exit('KILL')
        channel.end()
      }),
    )
    const end = await session.start(['sleep', '1']).ended
    expect(end).toEqual({ exitStatus: null, signal: 'SIGKILL', isRefused: false })
    await session.close()
  })

  it('ends with the cause when the connection does', async () => {
    let isRunning = false
    const { session, hangUp } = await meet(program(() => (isRunning = true)))
    const command = session.start(['sleep', '1'])
    await command.sent
    await until('it runs', () => isRunning)
    hangUp()
    expect((await rejection(command.ended)).code).toBe('connection_lost')
    await session.close()
  })
})

describe('a command that acts', () => {
  it('has been sent when the server has it, and not before the last check', async () => {
    const order: string[] = []
    const { session } = await meet(
      program((channel) => {
        order.push('exec')
        channel.exit(0)
        channel.end()
      }),
    )
    const command = session.start(['act'], { beforeSending: () => void order.push('check') })
    expect(order).toEqual([])
    await command.sent
    expect(order[0]).toBe('check')
    expect((await command.ended).exitStatus).toBe(0)
    expect(order).toEqual(['check', 'exec'])
    await session.close()
  })

  it('never leaves when the last check says no, even though its channel is open', async () => {
    let isExecuted = false
    const { session } = await meet(program(() => (isExecuted = true)))
    const late = new VosError('woke_up_late', 'too late')
    const command = session.start(['act'], {
      beforeSending: () => {
        throw late
      },
    })
    await expect(command.sent).rejects.toBe(late)
    await expect(command.ended).rejects.toBe(late)
    await session.close()
    await server?.isEmpty()
    expect(isExecuted).toBe(false)
  })

  it('never leaves when the server takes too long to open a channel', async () => {
    let open = (): void => {}
    let isExecuted = false
    server = await playServer({
      onClient: (client) => {
        client.on('session', (accept) => {
          open = () => void accept().on('exec', () => (isExecuted = true))
        })
      },
    })
    const session = await SshSession.connect(
      toTarget(server, { timings: { ...QUICK, shellMs: 60 } }),
      controller.signal,
    )
    await session.authenticate({ type: 'password', password: 'x' }, 'password')
    const command = session.start(['act'])
    expect((await rejection(command.sent)).code).toBe('shell_timeout')
    expect((await session.closed).code).toBe('shell_timeout')
    await session.close()
    await server.isEmpty()
    expect(() => open()).not.toThrow()
    expect(isExecuted).toBe(false)
  })

  it('is known not to have left when the server opens no channel', async () => {
    server = await playServer({ onClient: (client) => void client.on('session', (_, reject) => reject()) })
    const session = await SshSession.connect(toTarget(server), controller.signal)
    await session.authenticate({ type: 'password', password: 'x' }, 'password')
    const command = session.start(['act'])
    expect((await rejection(command.sent)).code).toBe('channel_refused')
    expect((await rejection(command.ended)).code).toBe('channel_refused')
    await session.close()
  })

  it('may have been carried out when the server refuses it after it was sent', async () => {
    const { session } = await meet((shell) => void shell.on('exec', (_, reject) => reject()))
    const command = session.start(['act'])
    await command.sent
    expect(await command.ended).toEqual({ exitStatus: null, signal: null, isRefused: true })
    await session.close()
  })
})
