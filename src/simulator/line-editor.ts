import type { Input } from './input.ts'
import type { Terminal } from './scenario.ts'

export const keys = { ctrlC: 0x03, backspace: 0x08, lineFeed: 0x0a, carriageReturn: 0x0d, ctrlU: 0x15, delete: 0x7f }

export interface LineOptions {
  readonly terminal: Terminal
  readonly show: 'text' | 'stars' | 'nothing'
  /** Where the line begins, and the width at which it wraps. */
  readonly column: number
  readonly width: number
  readonly emit: (echo: string) => void
  /** Called with the line so far, before its echo leaves. */
  readonly onTyped: (line: string) => void
}

/** Reads to the next Enter, echoing and editing as the terminal does. Null: cleared by Ctrl-C. */
export async function readLine(input: Input, options: LineOptions): Promise<string | null> {
  const { terminal, show, emit, onTyped } = options
  const asTyped = terminal.echo === 'as-typed'
  const line: number[] = []
  for (;;) {
    await input.ready()
    const echo: number[] = []
    for (let byte = input.take(); byte !== undefined; byte = input.take()) {
      if (isEnter(byte, terminal)) {
        flush(echo)
        if (terminal.echo === 'at-enter') emit(visible(line))
        emit('\n')
        return Buffer.from(line).toString()
      }
      if (byte === keys.ctrlC) {
        flush(echo)
        emit('^C\n')
        return null
      }
      edit(line, byte, echo)
    }
    flush(echo)
  }

  function edit(typed: number[], byte: number, echo: number[]): void {
    if (byte === keys.backspace || byte === keys.delete) {
      if (typed.pop() !== undefined) echo.push(...rubout)
    } else if (byte === keys.ctrlU) {
      for (const _ of typed.splice(0)) echo.push(...rubout)
    } else if (byte >= 0x20) {
      typed.push(byte)
      echo.push(show === 'stars' ? star : byte)
      // Readline steps over the right margin with a blank and a carriage return.
      if (terminal.wraps && (options.column + typed.length) % options.width === 0) echo.push(0x20, keys.carriageReturn)
    }
  }

  function flush(echo: number[]): void {
    if (echo.length === 0) return
    onTyped(Buffer.from(line).toString())
    if (asTyped && show !== 'nothing') emit(Buffer.from(echo).toString())
  }

  function visible(typed: number[]): string {
    if (show === 'nothing') return ''
    return show === 'stars' ? '*'.repeat(typed.length) : Buffer.from(typed).toString()
  }
}

/** Each of the two bytes is one Enter: `\r\n` is two. */
export function isEnter(byte: number, terminal: Terminal): boolean {
  return (
    (byte === keys.carriageReturn && terminal.enter !== 'lf') || (byte === keys.lineFeed && terminal.enter !== 'cr')
  )
}

const star = 0x2a
const rubout = Buffer.from('\b \b')
