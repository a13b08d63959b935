import { keys } from './line-editor.ts'
import type { Paging } from './scenario.ts'
import type { Shell } from './shell.ts'

/** Stops long output until a key is pressed. Keys need no Enter. */
export class Pager {
  readonly #shell: Shell
  readonly #paging: Paging
  /** `set cli pagination off`, for this session. */
  on = true

  constructor(shell: Shell, paging: Paging) {
    this.#shell = shell
    this.#paging = paging
  }

  /** Prints lines, in pages where this appliance pages and nobody has turned it off. */
  async show(text: string, wanted: boolean): Promise<void> {
    const { style, rows, lists, obeysOff } = this.#paging
    const paged = wanted || (lists && (this.on || !obeysOff))
    if (!paged) return this.#shell.print(text)
    const height = rows === 'pty' ? this.#shell.pty?.rows || 24 : rows
    const lines = text.replace(/\n$/, '').split('\n')
    if (style === 'options') return this.view(lines.length, (number) => lines[number - 1] ?? '', height)
    await this.#more(lines, height - 1)
  }

  /** The viewer of `file view` (paging-02). */
  async view(count: number, lineAt: (number: number) => string, height = 20): Promise<void> {
    const lastPage = Math.max(Math.ceil(count / height) - 1, 0)
    let page = 0
    for (;;) {
      const first = page * height + 1
      const last = Math.min(first + height - 1, count)
      for (let number = first; number <= last; number += 1) this.#shell.print(`${lineAt(number)}\n`)
      if (page === lastPage) this.#shell.print('end of the file reached')
      this.#shell.print(`options: q=quit, n=next, p=prev, b=begin, e=end (lines ${first} - ${last} of ${count}) :`)
      const key = String.fromCharCode(await this.#shell.readKey())
      this.#shell.print('\n')
      if (key === 'q') return
      if (key === 'n') page = Math.min(page + 1, lastPage)
      if (key === 'p') page = Math.max(page - 1, 0)
      if (key === 'b') page = 0
      if (key === 'e') page = lastPage
    }
  }

  /** `Press <enter>…` (paging-01). */
  async #more(lines: readonly string[], height: number): Promise<void> {
    let room = height
    for (const line of lines) {
      if (room === 0) {
        this.#shell.print(pressEnter)
        const key = await this.#shell.readKey()
        this.#shell.print('\r\x1b[K')
        if (key === quit || key === keys.ctrlC) return
        room = key === space ? height : 1
      }
      this.#shell.print(`${line}\n`)
      room -= 1
    }
  }
}

const pressEnter = '\x1b[1mPress <enter> for 1 line, <space> for one page, or <q> to quit\x1b[0m\x1b[K'
const space = 0x20
const quit = 0x71
