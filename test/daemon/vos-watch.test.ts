import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { VosError } from '../../src/core/errors.ts'
import { recognisePrompt } from '../../src/daemon/devices/vos/prompt.ts'
import { Terminal } from '../../src/daemon/devices/vos/terminal.ts'
import { watchCommand, type WatchOptions } from '../../src/daemon/devices/vos/watch-command.ts'
import type { Channel } from '../../src/daemon/ssh/channel.ts'
import { collect, summary } from './vos-fixture.ts'

const COMMAND = 'utils service restart Cisco Finesse Tomcat'
const prompt = recognisePrompt('admin:')

function options(changes: Partial<WatchOptions['timings']> = {}): WatchOptions {
  if (!prompt) throw new Error('admin: is a prompt')
  return {
    name: 'finesse',
    prompt,
    timings: { quietMs: 30, firstStateMs: 5_000, silenceWarningMs: 5_000, silenceLimitMs: 5_000, ...changes },
    openEcho: COMMAND,
  }
}

/** A channel in memory: what the device prints is handed over by `print`. */
function memoryChannel(): { channel: Channel; print: (bytes: Uint8Array) => void; typed: string[] } {
  let listener: ((bytes: Buffer) => void) | undefined
  const typed: string[] = []
  const channel: Channel = {
    write: (data) => typed.push(String(data)) > 0,
    onData: (heard) => {
      listener = heard
      return () => {
        listener = undefined
      }
    },
    closed: new Promise<VosError | undefined>(() => {}),
    close: () => {},
  }
  return { channel, print: (bytes) => listener?.(Buffer.from(bytes)), typed }
}

function terminalOn(channel: Channel): Terminal {
  return new Terminal(channel, {
    connection: { name: 'finesse', enter: 'cr' },
    signal: new AbortController().signal,
  })
}

/** The transcript from the echo on, as bytes, with colours. Its one prompt is the end: nothing here depends on time. */
function recording(): Buffer {
  const file = '../transcripts/restart-01-finesse-tomcat-pcce12.5-devnet-sandbox.txt'
  const text = readFileSync(new URL(file, import.meta.url), 'utf8')
  return Buffer.from(
    text
      .slice(text.indexOf('admin:') + 'admin:'.length)
      .trimEnd()
      .replaceAll('[STARTING]', '[\u001b[1mSTARTING\u001b[0m]')
      .replaceAll('\n', '\u001b[K\r\n'),
  )
}

describe('watching a command', { timeout: 30_000 }, () => {
  it('sees the same in a recorded session wherever its bytes are split', async () => {
    const session = recording()
    const watch = async (pieces: readonly Uint8Array[]) => {
      const { channel, print, typed } = memoryChannel()
      const observations = collect(watchCommand(terminalOn(channel), options()))
      for (const piece of pieces) {
        print(piece)
        await Promise.resolve()
      }
      const seen = await observations
      expect(typed).toEqual([])
      return seen
    }
    const whole = await watch([session])
    expect(summary(whole)).toBe('STOPPING STOPPING STARTING STARTING STARTING STARTING STARTING STARTED STARTED ended')
    expect(await watch(Array.from(session, (byte) => Uint8Array.of(byte)))).toEqual(whole)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(session.length), { maxLength: 8 }), async (cuts) => {
        const at = [0, ...cuts, session.length].toSorted((a, b) => a - b)
        expect(await watch(at.slice(1).map((end, index) => session.subarray(at[index], end)))).toEqual(whole)
      }),
      { numRuns: 40 },
    )
  })

  it('reads what has come before it believes in silence, after this machine was asleep', async () => {
    const { channel, print } = memoryChannel()
    const observations = collect(watchCommand(terminalOn(channel), options({ silenceLimitMs: 100 })))
    setTimeout(() => print(Buffer.from('\r\nadmin:')), 120)
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200), 50)
    expect(summary(await observations)).toBe('ended')
  })

  it('sends nothing whatever the device prints', async () => {
    const piece = fc.constantFrom(...PIECES)
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        const { channel, print, typed } = memoryChannel()
        const watched = collect(watchCommand(terminalOn(channel), options({ silenceLimitMs: 20 }))).catch(() => [])
        for (const text of pieces) print(Buffer.from(text))
        await watched
        expect(typed).toEqual([])
      }),
      { numRuns: 20 },
    )
  })
})

/** What tempts to an answer. */
const PIECES = [
  'Continue (y/n)?',
  'Press <enter> for 1 line, <space> for one page, or <q> to quit',
  'options: q=quit, n=next, p=prev, b=begin, e=end (lines 1 - 2 of 3) :',
  'Password:',
  'admin:',
  'Cisco Tomcat[STARTED]',
  COMMAND,
  '\u0003',
  '^C',
  '\u001b[6n',
  '\r\n',
  ' ',
]
