import type { ClientChannel } from 'ssh2'
import { VosError } from '../../core/errors.ts'
import { oneLine, sanitise } from '../../core/text.ts'
import { failpoint } from '../failpoint.ts'
import { timedOut, where } from './faults.ts'
import type { Link } from './link.ts'
import { quoteCommand } from './quoting.ts'

export type OutputStream = 'stdout' | 'stderr'

/** How a command ended. Neither status nor signal: the server did not say, or did not start it. */
export interface CommandEnd {
  readonly exitStatus: number | null
  readonly signal: string | null
  /** The request went out and the server did not confirm that it started the command. */
  readonly isRefused: boolean
}

/** A command on the way: whether it left this machine, what it prints, how it ends. */
export interface RemoteCommand {
  /** Resolves when the request has been handed to the kernel. Rejects only when it is certain that it never will be. */
  readonly sent: Promise<void>
  /** Resolves after the last byte of output. Rejects with the cause when the link ends first. */
  readonly ended: Promise<CommandEnd>
  /** Calls `listener` for all output; must be called before the command is sent. */
  onOutput(listener: (bytes: Buffer, stream: OutputStream) => void): void
  /** Holds the server back by SSH's window, and lets it go on. */
  pause(): void
  resume(): void
  /** Closes the command's channel. What the server does with the process is its own affair. */
  close(): void
}

export interface StartOptions {
  /**
   * Called at the last moment before the request leaves; when it throws, the link ends with that error and nothing is
   * sent.
   */
  readonly beforeSending?: () => void
}

/** Opens a channel and requests one command on it. Returns at once. */
export function startCommand(link: Link, words: readonly string[], options: StartOptions = {}): RemoteCommand {
  const line = quoteCommand(words)
  const sent = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<CommandEnd>()
  // Who starts a command need not wait for both.
  sent.promise.catch(() => {})
  ended.promise.catch(() => {})
  const listeners: ((bytes: Buffer, stream: OutputStream) => void)[] = []
  let stream: ClientChannel | null = null
  let isSent = false
  let isClosed = false

  const fail = (reason: unknown): void => {
    stop()
    sent.reject(reason)
    ended.reject(reason)
  }
  // Output that arrived before the end of the link is still on its way.
  let stop = (): void => {}
  stop = link.onEnd((reason) => void setImmediate(() => fail(reason)))

  const atSending = (): void => {
    if (isSent || link.isEnded) return
    try {
      options.beforeSending?.()
      if (options.beforeSending) failpoint('command.before', () => link.peer.name)
    } catch (error) {
      link.end(error)
      return
    }
    isSent = true
    sent.resolve()
  }

  const onReply = (error: Error | undefined, opened: ClientChannel): void => {
    // The end of a link looks like a refusal here; its own cause is the better one.
    if (link.isEnded) return
    if (error) {
      stop()
      // Once the request is out, a "no" proves nothing: ssh2 says the same when the channel closes without an answer.
      if (isSent) ended.resolve({ exitStatus: null, signal: null, isRefused: true })
      else fail(refused(link, error))
      return
    }
    stream = opened
    listen(opened)
    if (isClosed) opened.close()
  }

  const listen = (opened: ClientChannel): void => {
    let status: Pick<CommandEnd, 'exitStatus' | 'signal'> = { exitStatus: null, signal: null }
    opened.on('exit', (code: number | null, signal?: string) => {
      status = { exitStatus: code, signal: signal ?? null }
    })
    const emit = (name: OutputStream) => (bytes: Buffer) => {
      for (const listener of listeners) listener(bytes, name)
    }
    // The channel closes when all of stdout was read; the end of stderr may come before or after.
    let open = 2
    const close = (): void => {
      open--
      if (open > 0) return
      stop()
      ended.resolve({ ...status, isRefused: false })
    }
    opened.on('close', close)
    opened.stderr.once('end', close)
    opened.on('data', emit('stdout'))
    opened.stderr.on('data', emit('stderr'))
    opened.on('error', () => {})
    opened.stderr.on('error', () => {})
    // The command reads nothing from us.
    opened.end()
  }

  try {
    link.client.exec(
      line,
      {
        get pty() {
          // ssh2 opens the channel, waits for the answer, reads its options and sends the request in one go: this is the
          // last moment before the command leaves, and the only one at which it can still be held back.
          atSending()
          return false
        },
      },
      onReply,
    )
  } catch (error) {
    if (!link.isEnded) fail(refused(link, error))
  }

  return {
    sent: sent.promise,
    ended: ended.promise,
    onOutput: (listener) => void listeners.push(listener),
    pause: () => {
      stream?.pause()
      stream?.stderr.pause()
    },
    resume: () => {
      stream?.resume()
      stream?.stderr.resume()
    },
    close: () => {
      if (isClosed) return
      isClosed = true
      stream?.close()
      stream?.resume()
      stream?.stderr.resume()
    },
  }
}

function refused(link: Link, error: unknown): VosError {
  const words = error instanceof Error ? oneLine(error.message) : ''
  return new VosError('channel_refused', `${where(link.peer)} runs no command for this user: ${words}.`, {
    hint: 'Check what the server lets this user do (ForceCommand, PermitOpen, MaxSessions). Nothing was sent.',
  })
}

export interface ExecOptions {
  /** Milliseconds from the request for a channel to the last byte. */
  readonly timeoutMs: number
  /** Of each stream; what comes after is dropped. */
  readonly maxBytes?: number
}

export interface ExecResult {
  /** Sanitised. */
  readonly stdout: string
  /** Sanitised. */
  readonly stderr: string
  readonly exitStatus: number | null
  readonly isTruncated: boolean
}

const MAX_BYTES = 1024 * 1024

/**
 * Runs a read-only command to its end.
 * @throws VosError `command_timeout` (the link stays), `channel_refused`, or the cause that ended the link
 */
export async function runCommand(link: Link, words: readonly string[], options: ExecOptions): Promise<ExecResult> {
  const { timeoutMs, maxBytes = MAX_BYTES } = options
  const command = startCommand(link, words)
  const output = { stdout: collect(maxBytes), stderr: collect(maxBytes) }
  command.onOutput((bytes, stream) => output[stream].add(bytes))
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(timedOut('command_timeout', link.peer, timeoutMs)), timeoutMs)
  try {
    const end = await Promise.race([command.ended, late.promise])
    if (end.isRefused) throw refused(link, new Error('the request was rejected'))
    return {
      stdout: output.stdout.text(),
      stderr: output.stderr.text(),
      exitStatus: end.exitStatus,
      isTruncated: output.stdout.isFull() || output.stderr.isFull(),
    }
  } finally {
    clearTimeout(timer)
    command.close()
  }
}

function collect(maxBytes: number) {
  const chunks: Buffer[] = []
  let size = 0
  let isFull = false
  return {
    add(bytes: Buffer): void {
      const kept = bytes.subarray(0, maxBytes - size)
      isFull ||= kept.length < bytes.length
      size += kept.length
      if (kept.length > 0) chunks.push(kept)
    },
    text: () => sanitise(Buffer.concat(chunks)),
    isFull: () => isFull,
  }
}
