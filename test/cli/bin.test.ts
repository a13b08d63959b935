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
  it('is production, whatever the shell of a developer says', () => {
    const script = path.join(temporaryDirectory(), 'main.mjs')
    fs.writeFileSync(script, 'process.stdout.write(process.env.NODE_ENV)')
    const { stdout } = spawnSync(process.execPath, ['-e', `require('${BIN}/start.js')('${script}')`], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '', NODE_DISABLE_COMPILE_CACHE: '1', NODE_ENV: 'development' },
    })
    expect(stdout).toBe('production')
  })

  it('is no debugger at SIGUSR1, which every user of the machine could reach', () => {
    const script = path.join(temporaryDirectory(), 'main.mjs')
    fs.writeFileSync(script, "process.kill(process.pid, 'SIGUSR1'); setImmediate(() => process.stdout.write('alive'))")
    const code = `require('${BIN}/start.js')('${script}')`
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
    expect({ stdout, stderr }).toEqual({ stdout: 'alive', stderr: '' })
  })
})
