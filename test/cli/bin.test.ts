import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'

const BIN = path.resolve(import.meta.dirname, '../../bin')

/** A Node of this machine that is too old; CI has one, a developer's machine may not. */
const OLD = (() => {
  const found = ['/usr/bin/node', '/usr/local/bin/node', requireTool('node') ?? '']
  return found.find((node) => {
    const [major = 99, minor = 0] = spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' })
      .stdout?.split('.')
      .map(Number) ?? [99]
    return major < 22 || (major === 22 && minor < 14)
  })
})()

describe.each(['vosctl', 'vosd'])('%s on a Node that is too old', (name) => {
  it.skipIf(OLD === undefined)('says in one line what it needs, what it found and what to do, and exits 7', () => {
    const { status, stdout, stderr } = spawnSync(OLD ?? '', [path.join(BIN, name), 'ps'], { encoding: 'utf8' })
    expect(status).toBe(7)
    expect(stdout).toBe('')
    expect(stderr).toMatch(
      new RegExp(
        `^${name}: needs Node 22\\.14 or newer, found \\d+\\.\\d+\\.\\d+ \\(/.*\\)\\. .*npm ci, then npx ${name}\n$`,
      ),
    )
  })
})

describe('the check of the Node version', () => {
  it.each([
    ['22.13.9', false],
    ['22.14.0', true],
    ['22.20.1', true],
    ['23.0.0', true],
    ['20.99.0', false],
    ['8.17.0', false],
    ['100.0.0', true],
  ])('%s is enough: %s', (version, enough) => {
    const code = `Object.defineProperty(process.versions, 'node', { value: '${version}' })
      require('${BIN}/check-node.js')('vosctl', 'data:text/javascript,process.stdout.write("loaded")')`
    const { status, stdout } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual(enough ? { status: 0, stdout: 'loaded' } : { status: 7, stdout: '' })
  })

  it('is written so that any Node can read it', () => {
    const text = ['vosctl', 'vosd', 'check-node.js']
      .map((file) => fs.readFileSync(path.join(BIN, file), 'utf8'))
      .join('')
    const code = text.replace(/\/\/.*|'[^']*'/g, '')
    expect(code).not.toMatch(/=>|`|\b(?:const|let|class|async|await|import)\b|\?\.|\.\.\./)
  })
})

describe('what is settled before anything is imported', () => {
  function settle(args: readonly string[], env: Record<string, string>): Record<string, string | null> {
    const script = path.join(temporaryDirectory(), 'main.mjs')
    const wanted = ['NODE_ENV', 'FORCE_COLOR', 'NO_COLOR']
    fs.writeFileSync(
      script,
      `process.stdout.write(JSON.stringify(Object.fromEntries(${JSON.stringify(wanted)}.map((name) => [name, process.env[name] ?? null]))))`,
    )
    const code = `process.argv.splice(1, 0, 'vosctl'); require('${BIN}/start.js')('${script}')`
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', code, '--', ...args], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '', NODE_DISABLE_COMPILE_CACHE: '1', ...env },
    })
    // Node warns about NO_COLOR and FORCE_COLOR together; nobody may see that.
    expect(stderr).toBe('')
    return JSON.parse(stdout) as Record<string, string | null>
  }

  it('is production, whatever the shell of a developer says', () => {
    expect(settle([], { NODE_ENV: 'development' })['NODE_ENV']).toBe('production')
  })

  it.each([
    ['nothing said', [], {}, null],
    ['NO_COLOR', [], { NO_COLOR: '1' }, '0'],
    ['an empty NO_COLOR', [], { NO_COLOR: '' }, null],
    ['a dumb terminal', [], { TERM: 'dumb' }, '0'],
    ['--no-color', ['ps', '--no-color'], {}, '0'],
    ['--color against NO_COLOR', ['ps', '--color'], { NO_COLOR: '1' }, '1'],
    ['the last of both flags', ['--color', '--no-color'], {}, '0'],
    ['CLICOLOR_FORCE', [], { CLICOLOR_FORCE: '1' }, '1'],
    ['CLICOLOR_FORCE=0', [], { CLICOLOR_FORCE: '0' }, null],
    ['NO_COLOR before CLICOLOR_FORCE', [], { CLICOLOR_FORCE: '1', NO_COLOR: '1' }, '0'],
    ['FORCE_COLOR stays', [], { FORCE_COLOR: '3' }, '3'],
  ] as const)('colour, with %s', (_, args, env, expected) => {
    expect(settle(args, env)['FORCE_COLOR']).toBe(expected)
  })
})
