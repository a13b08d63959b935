import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { askSecret, askText, confirm, InterruptedError, readAll, readLine, readSecret } from '../../src/cli/ask.ts'
import { LeftError } from '../../src/cli/leaving.ts'

/** A terminal to type into; writes down what it shows and when its echo was off. */
function terminal(env: NodeJS.ProcessEnv = {}) {
  const stdin = new PassThrough() as PassThrough & { isTTY: boolean; setRawMode(raw: boolean): void }
  const stderr = new PassThrough()
  const modes: boolean[] = []
  stdin.isTTY = true
  stdin.setRawMode = (raw) => void modes.push(raw)
  const io = { stdin, stderr, env } as unknown as Parameters<typeof askSecret>[1]
  return {
    io,
    modes,
    type: (text: string) => stdin.write(text),
    end: () => stdin.end(),
    shown: () => String(stderr.read()),
  }
}

describe('a yes-or-no question', () => {
  it.each([
    ['y\n', true],
    ['yes\n', true],
    ['  Y \r\n', true],
    ['\n', false],
    ['n\n', false],
    ['yep\n', false],
    ['yes please\n', false],
    ['N\ny\n', false],
  ])('%j means %s', async (typed, expected) => {
    const { io, type, shown } = terminal()
    const answer = confirm('Restart 3 connections?', io)
    type(typed)
    expect(await answer).toBe(expected)
    expect(shown()).toBe('Restart 3 connections? [y/N] ')
  })

  it('is answered with no by the end of input', async () => {
    const { io, end } = terminal()
    const answer = confirm('Restart?', io)
    end()
    expect(await answer).toBe(false)
    expect(await confirm('Restart?', io)).toBe(false)
  })

  it('ends when the person leaves', async () => {
    const { io } = terminal()
    const left = new AbortController()
    const answer = confirm('Restart?', io, left.signal)
    left.abort(new LeftError('SIGINT'))
    await expect(answer).rejects.toBeInstanceOf(LeftError)
  })

  it('keeps what was typed ahead for the next question', async () => {
    const { io, type } = terminal()
    type('10.10.0.10\nadmin\ny\n')
    expect(await askText('Host:', io)).toBe('10.10.0.10')
    expect(await askText('User:', io)).toBe('admin')
    expect(await confirm('Sure?', io)).toBe(true)
  })
})

describe('a secret', () => {
  it.each([
    ['as typed', ['pass word\r'], 'pass word'],
    ['key by key', [...'gehe1m\n'], 'gehe1m'],
    ['with a correction', ['abx\x7fc\r'], 'abc'],
    ['begun anew', ['wrong\x15right\r'], 'right'],
    ['without the arrow keys', ['a\x1b[Db\x1bOCc\r'], 'abc'],
    ['after a lonely Escape', ['a\x1b\r'], 'a'],
    ['with a character that comes in pieces', ['p\u00e4ss\r'], 'p\u00e4ss'],
    ['beyond the BMP', ['a\u{1F511}\x7fb\r'], 'ab'],
  ])('is taken %s', async (_, pieces, expected) => {
    const { io, modes, shown } = terminal()
    const answer = askSecret('Password:', io)
    for (const byte of Buffer.from(pieces.join(''))) io.stdin.push(Buffer.from([byte]))
    expect(await answer).toBe(expected)
    expect(modes).toEqual([true, false])
    expect(shown()).toBe('Password: \n')
  })

  it('is not given with Ctrl-D', async () => {
    const { io, type, modes } = terminal()
    const answer = askSecret('Password:', io)
    type('half\x04')
    expect(await answer).toBeNull()
    expect(modes).toEqual([true, false])
  })

  it('gives the terminal back on Ctrl-C', async () => {
    const { io, type, modes } = terminal()
    const answer = askSecret('Password:', io)
    type('half\x03')
    await expect(answer).rejects.toBeInstanceOf(InterruptedError)
    expect(modes).toEqual([true, false])
  })

  it('is not read where Node would print it', async () => {
    const { io } = terminal({ NODE_DEBUG: 'stream' })
    await expect(askSecret('Password:', io)).rejects.toMatchObject({ code: 'bad_request' })
    await expect(readSecret(io)).rejects.toMatchObject({ code: 'bad_request' })
  })

  it('is not shown by an answer that comes before the question', async () => {
    const { io, modes } = terminal()
    const order: string[] = []
    io.stderr.write = (text: string | Uint8Array) => order.push(`${modes.at(-1)} ${String(text)}`) > 0
    const answer = askSecret('Password:', io)
    io.stdin.push('x\n')
    await answer
    expect(order[0]).toBe('true Password: ')
  })
})

describe('standard input', () => {
  it.each([
    ['geheim\n', 'geheim'],
    ['geheim', 'geheim'],
    ['geheim\r\nmore\n', 'geheim'],
    [' spaces stay \n', ' spaces stay '],
    ['', null],
    ['\n', ''],
  ])('the first line of %j', async (text, expected) => {
    const { io, type, end } = terminal()
    if (text !== '') type(text)
    end()
    expect(await readLine(io.stdin)).toBe(expected)
  })

  it('is read whole, up to a limit', async () => {
    const { io, type, end } = terminal()
    type('a\nb\n')
    end()
    expect(await readAll(io.stdin)).toBe('a\nb\n')
    const endless = terminal()
    endless.type('x'.repeat(2000))
    expect(await readAll(endless.io.stdin, 1000)).toHaveLength(2000)
  })
})
