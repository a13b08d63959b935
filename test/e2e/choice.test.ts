import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, VOSCTL } from '../helpers/rig.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'
import { until } from '../helpers/wait.ts'

const tmux = requireTool('tmux') ?? ''

/** A shell on a real terminal of 80x24, whose bytes are kept. */
class Shell {
  readonly #socket = path.join(temporaryDirectory(), 'tmux')
  readonly #bytes = `${this.#socket}.bytes`
  #commands = 0

  constructor() {
    this.#run('-f', '/dev/null', 'new-session', '-d', '-x', '80', '-y', '24', `env -i PATH=${process.env['PATH']} sh`)
    this.#run('pipe-pane', `cat > ${this.#bytes}`)
  }

  /** What a command wrote to the terminal, escapes and all, and how it ended. */
  async run(command: string): Promise<{ status: number; said: string }> {
    const mark = `ended-${++this.#commands}`
    // The quotes keep the echo of what is typed from looking like its result.
    this.#run('send-keys', '-l', `echo be"gi"n-${mark}; TERM=xterm ${command}; echo en"d"-${mark} $?`)
    this.#run('send-keys', 'Enter')
    const whole = new RegExp(`begin-${mark}\\r\\n([^]*)end-${mark} (\\d+)`)
    const [, said = '', status] = await until(`the end of ${command}`, () => {
      return fs.existsSync(this.#bytes) && whole.exec(fs.readFileSync(this.#bytes, 'latin1'))
    })
    return { status: Number(status), said }
  }

  close(): void {
    this.#run('kill-server')
  }

  #run(...words: readonly string[]): void {
    execFileSync(tmux, ['-S', this.#socket, ...words])
  }
}

describe.skipIf(tmux === '')('the built client on a terminal', { timeout: 120_000 }, () => {
  const LIVE = '\u001b[?25l'
  const COLOUR = /\u001b\[3[0-9]m/

  it('chooses for each stream what it shows, and nobody sees a warning of Node about it', async () => {
    const rig = new Rig()
    await rig.appliance('node', scenarios.get('publisher') as Scenario)
    const shell = new Shell()
    onTestFinished(() => shell.close())
    const client = `${process.execPath} ${VOSCTL} --state-dir ${rig.state} test node`
    const cases: readonly (readonly [command: string, live: boolean, colour: boolean])[] = [
      [client, true, true],
      [`NO_COLOR=1 FORCE_COLOR=1 ${client}`, true, false],
      [`NO_COLOR=1 FORCE_COLOR=1 ${client} --color`, true, true],
      [`TERM=dumb ${client}`, false, false],
      [`CI=1 ${client}`, false, true],
      [`${client} </dev/null`, true, true],
      [`${client} | cat`, true, true],
      [`${client} 2>&1 | cat`, false, false],
    ]
    for (const [command, live, colour] of cases) {
      const { status, said } = await shell.run(command)
      const words = command.replace(client, 'vosctl test node')
      expect({ words, status, live: said.includes(LIVE), colour: COLOUR.test(said) }).toEqual({
        words,
        status: 0,
        live,
        colour,
      })
      expect(said).not.toContain('Warning')
      // A dumb terminal gets no escape of any kind.
      if (!live && !colour) expect(said).not.toContain('\u001b')
    }
    const nowhere = await shell.run(
      `stty cols 0 rows 0; ${client}; COLUMNS=80 LINES=24 ${client}; stty cols 80 rows 24`,
    )
    expect(nowhere.said.split(LIVE)).toHaveLength(2)
  })
})
