import { setTimeout as sleep } from 'node:timers/promises'
import type { Observation } from '../../../core/device.ts'
import { VosError } from '../../../core/errors.ts'
import type { Timings } from '../../../core/connection.ts'
import { createSanitiser } from '../../../core/text.ts'
import type { CommandEnd, OutputStream, RemoteCommand, SshSession } from '../../ssh/session.ts'
import type { AwakeWatch } from './awake-watch.ts'
import { Mailbox } from './mailbox.ts'
import type { UnitReading } from './units.ts'

export interface Restart {
  readonly session: SshSession
  readonly words: readonly string[]
  /** The unit just before. */
  readonly baseline: UnitReading
  /** Reads the unit now; null when it is gone. */
  readonly read: () => Promise<UnitReading | null>
  readonly watch: AwakeWatch
  readonly timings: Timings
  readonly signal: AbortSignal
}

type Item =
  | { readonly type: 'line'; readonly text: string }
  | { readonly type: 'reading'; readonly reading: UnitReading }
  | { readonly type: 'end'; readonly end: CommandEnd }
  | { readonly type: 'gone'; readonly error: unknown }

/** So many lines may wait for the journal; then the server is held back until it has caught up. */
const MAX_WAITING_LINES = 256

/**
 * Sends the one request, then reports output and every change of the unit until the command has ended. What goes wrong
 * before `sent` is thrown, and then it is certain that nothing was sent.
 */
export async function* restartUnit(restart: Restart): AsyncGenerator<Observation> {
  const { session, words, watch, timings, signal } = restart
  watch.beat()
  const command = session.start(words, { beforeSending: () => watch.assert() })
  const mailbox = new Mailbox<Item>()
  const polling = new AbortController()
  let { baseline: last } = restart
  try {
    const output = readLines((text) => mailbox.put({ type: 'line', text }))
    command.onOutput((bytes, stream) => {
      output.write(bytes, stream)
      if (mailbox.size > MAX_WAITING_LINES) command.pause()
    })
    void watchEnd(command, output.end, mailbox)
    await command.sent
    watch.stop()
    yield { type: 'sent' }

    void poll(restart, polling.signal, (reading) => mailbox.put({ type: 'reading', reading }))
    const silence = new Silence(timings)
    for (;;) {
      const item = await mailbox.take(silence.nextMs())
      signal.throwIfAborted()
      if (item === undefined) {
        const forMs = silence.check()
        if (forMs !== null) yield { type: 'silent', forMs }
        continue
      }
      silence.broken()
      if (mailbox.size <= MAX_WAITING_LINES / 4) command.resume()
      switch (item.type) {
        case 'line':
          yield item
          break
        case 'reading':
          if (isChange(last, item.reading)) yield toState(item.reading)
          last = item.reading
          break
        case 'gone':
          if (!(item.error instanceof VosError)) throw item.error
          yield { type: 'lost', error: item.error }
          return
        case 'end':
          polling.abort()
          yield* reportEnd(restart, item.end, last)
          return
        default:
          item satisfies never
      }
    }
  } finally {
    watch.stop()
    polling.abort()
    command.close()
  }
}

async function watchEnd(command: RemoteCommand, flush: () => void, mailbox: Mailbox<Item>): Promise<void> {
  try {
    const end = await command.ended
    flush()
    mailbox.put({ type: 'end', end })
  } catch (error) {
    mailbox.put({ type: 'gone', error })
  }
}

/** The unit as the command left it comes before the end: who judges the end has then seen all there is. */
async function* reportEnd(restart: Restart, end: CommandEnd, last: UnitReading): AsyncGenerator<Observation> {
  const isCertain = end.exitStatus !== null
  if (end.isRefused) yield { type: 'line', text: '(the server did not confirm that it started the command)' }
  else if (!isCertain) yield { type: 'line', text: `(the command was ended by ${end.signal ?? 'the server'})` }
  const final = await readOrNull(restart.read)
  restart.signal.throwIfAborted()
  // Without an exit status the command may still have been carried out: a state, changed or not, keeps that open.
  if (final && (!isCertain || isChange(last, final))) yield toState(final)
  else if (!final && !isCertain) yield toState(last)
  yield end.exitStatus === null ? { type: 'ended' } : { type: 'ended', exitStatus: end.exitStatus }
}

function isChange(before: UnitReading, after: UnitReading): boolean {
  return before.text !== after.text || before.service.identity !== after.service.identity
}

function toState({ service, text }: UnitReading): Observation {
  return { type: 'state', service, text }
}

/** Often at first, to see a quick restart pass, then less and less. Ends with its signal; a failed reading says nothing. */
async function poll(
  { read, timings }: Restart,
  signal: AbortSignal,
  seen: (reading: UnitReading) => void,
): Promise<void> {
  const longestMs = timings.pollMs / 5
  for (let waitMs = timings.pollMs / 40; !signal.aborted; waitMs = Math.min(waitMs * 1.5, longestMs)) {
    await sleep(waitMs, undefined, { signal }).catch(() => {})
    const reading = signal.aborted ? null : await readOrNull(read)
    if (reading && !signal.aborted) seen(reading)
  }
}

async function readOrNull(read: Restart['read']): Promise<UnitReading | null> {
  try {
    return await read()
  } catch {
    // Only a look: the command's own channel tells when the link is gone.
    return null
  }
}

/** Counts from the last sign of life: warns once, then ends the waiting. */
class Silence {
  readonly #warningMs: number
  readonly #limitMs: number
  #since = performance.now()
  #hasWarned = false

  constructor({ silenceWarningMs, silenceLimitMs }: Timings) {
    this.#warningMs = silenceWarningMs
    this.#limitMs = silenceLimitMs
  }

  broken(): void {
    this.#since = performance.now()
    this.#hasWarned = false
  }

  /** Milliseconds until something must be said. */
  nextMs(): number {
    const limitMs = this.#hasWarned ? this.#limitMs : Math.min(this.#warningMs, this.#limitMs)
    return Math.max(0, limitMs - (performance.now() - this.#since))
  }

  /** How long it has been silent, when it is time to say so. @throws VosError `silence` at the limit */
  check(): number | null {
    // Timers may fire a hair early.
    const forMs = Math.ceil(performance.now() - this.#since) + 1
    if (forMs >= this.#limitMs) {
      throw new VosError('silence', `Nothing was heard from the server for ${Math.round(forMs / 1000)} s.`, {
        hint: 'Look at the service: its restart may still be going on.',
      })
    }
    if (this.#hasWarned || forMs < this.#warningMs) return null
    this.#hasWarned = true
    return forMs
  }
}

/** Both streams as whole, sanitised lines; a last line without its end counts too. */
function readLines(onLine: (text: string) => void) {
  const readers = { stdout: lineReader(onLine), stderr: lineReader(onLine) }
  return {
    write: (bytes: Buffer, stream: OutputStream) => readers[stream].write(bytes),
    end: () => {
      readers.stdout.end()
      readers.stderr.end()
    },
  }
}

function lineReader(onLine: (text: string) => void) {
  const sanitiser = createSanitiser({ escapes: 'mark' })
  let rest = ''
  const take = (text: string): void => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') onLine(line)
  }
  return {
    write: (bytes: Buffer) => take(sanitiser.write(bytes)),
    end: () => take(`${sanitiser.end()}\n`),
  }
}
