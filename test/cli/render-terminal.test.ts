import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, test, type TestContext } from 'vitest'
import { PATIENCE_MS, Terminal, tmux } from '../helpers/terminal.ts'

/** On a real terminal: what a person sees, what is left when the program has gone, and which bytes went there. */

const root = join(import.meta.dirname, '../..')

describe.skipIf(tmux === null).concurrent('on a terminal (needs tmux)', { timeout: 2 * PATIENCE_MS }, () => {
  let directory = ''

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'vos-'))
    await build({
      entryPoints: [join(root, 'test/cli/render-feed.tsx')],
      outfile: join(directory, 'feed.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      jsx: 'automatic',
      logLevel: 'error',
      alias: { 'react-devtools-core': join(root, 'src/cli/views/no-devtools.ts') },
      define: { 'process.env.NODE_ENV': '"production"' },
      banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
    })
  }, 30_000)

  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  function open({ onTestFinished }: TestContext, columns: number, rows: number, name: string) {
    const go = join(directory, `go-${Math.random().toString(36).slice(2, 8)}`)
    const terminal = new Terminal({ directory, columns, rows, env: { FEED_GO: go }, atEnd: onTestFinished })
    terminal.type(`${process.execPath} ${join(directory, 'feed.mjs')} ${name}`)
    /** The program stands still until then. */
    return Object.assign(terminal, { goOn: () => writeFileSync(go, '') })
  }

  test('watch takes the screen below its last row, and gives the shell back as it was', async (context) => {
    const { expect } = context
    const terminal = open(context, 80, 24, 'watch')
    const screen = await terminal.shows('1 unknown')
    const lines = screen.split('\n')
    expect(lines[0]).toMatch(/^vosctl watch {48,}\d\d:\d\d:\d\d {3}live$/)
    expect(lines[4]).toMatch(/^>\? cuc-1 +Cisco Tomcat +unknown +\[#+\.+\] +look$/)
    expect(lines.filter((line) => line.length > 79)).toEqual([])
    expect(screen).not.toContain('history')
    terminal.press('Down')
    await terminal.shows('>x imp-2')
    terminal.press('q')
    const after = await terminal.shows('left watch: 3 running, 1 late, interrupted false')
    expect(after).toContain('history 1\nhistory 2\nhistory 3\nleft watch')
    expect(terminal.erasures()).toEqual([])
  })

  test('watch follows the terminal when its size changes, without a trace of the old frame', async (context) => {
    const { expect } = context
    const terminal = open(context, 80, 24, 'watch')
    await terminal.shows('1 unknown')
    terminal.resize(100, 16)
    const smaller = await terminal.shows('rows 1-4 of 17')
    expect(smaller.match(/vosctl watch/g)).toHaveLength(1)
    expect(smaller.match(/q quit/g)).toHaveLength(1)
    terminal.resize(80, 30)
    const larger = await terminal.shows('web-12')
    expect(larger.match(/vosctl watch/g)).toHaveLength(1)
    terminal.press('C-c')
    await terminal.shows('interrupted true')
    expect(terminal.erasures()).toEqual([])
  })

  test('restart draws on the normal screen and leaves two lines in the scrollback', async (context) => {
    const { expect } = context
    const terminal = open(context, 120, 24, 'restart')
    await terminal.shows('STARTING')
    terminal.goOn()
    const after = await terminal.shows('restarted in')
    expect(after).toMatch(
      /history 3\nr-7k2m9q {2}restart "Cisco Tomcat" on cucm-pub \(10.10.0.10\) {3}accepted \S+\n\+ cucm-pub {2}Cisco Tomcat restarted in 0m0\ds, seen STOPPING then STARTED \(usual 0m03-0m04\) {3}r-7k2m9q\n/,
    )
    expect(after).not.toContain('Ctrl-C leaves')
    expect(terminal.erasures()).toEqual([])
  })

  test('Ctrl-C during restart is a signal for the command, and the live part is taken away', async (context) => {
    const { expect } = context
    const terminal = open(context, 80, 24, 'restart')
    await terminal.shows('STARTING')
    terminal.press('C-c')
    const after = await terminal.shows('Follow it: vosctl attach r-7k2m9q')
    expect(after).not.toContain('Ctrl-C leaves')
    expect(after).not.toContain('device:')
  })

  test('a batch leaves a line for each target, the bad ones last', async (context) => {
    const { expect } = context
    const terminal = open(context, 80, 40, 'batch')
    await terminal.shows('Ctrl-C leaves; the batch goes on.')
    terminal.goOn()
    const after = await terminal.shows('exit 9')
    const lines = after.split('\n').slice(3)
    expect(lines.slice(0, 4)).toEqual([
      expect.stringMatching(/^b-41g0 {2}restart nginx on 12 connections {3}accepted/),
      '',
      expect.stringMatching(/^\+ web-01 {3}restarted in 0m0\ds$/),
      expect.stringMatching(/^\+ web-02 {3}restarted in 0m0\ds$/),
    ])
    expect(lines.slice(12, 16)).toEqual([
      expect.stringMatching(/^x web-07 {3}failed: unit nginx is "failed"/),
      '? web-09   unknown: connection lost 0m03s after the command was sent',
      '',
      expect.stringMatching(/^10 ok, 1 failed, 1 unknown in 0m0\ds {20,}exit 9$/),
    ])
    expect(after).not.toContain('Ctrl-C leaves')
    expect(terminal.erasures()).toEqual([])
  })
})
