import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { resolvePaths } from '../../src/cli/paths.ts'
import { makeDirectory } from '../../src/daemon/directory.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { testSample } from './sample.ts'

testSample('fuzz-configuration')

describe('found by a fuzzer', () => {
  it('a daemon with an argument that it does not know died with a stack trace, and exit status 1 for "it failed"', () => {
    const { status, stderr } = spawnSync(process.execPath, ['bin/vosd', '--bogus'], { encoding: 'utf8' })
    expect(stderr).toBe("vosd: Unknown option '--bogus'. By hand a daemon is started with: vosctl daemon run\n")
    expect(status).toBe(2)
  })

  it('an empty --state-dir, as of an unset variable, made a second store where the caller happened to stand', () => {
    expect(() => resolvePaths({}, '', '/home/alice')).toThrow('--state-dir is empty')
    const { status } = spawnSync(process.execPath, [path.resolve('bin/vosd'), '--state-dir='], {
      cwd: temporaryDirectory(),
    })
    expect(status).toBe(2)
  })

  it('a state directory behind a link to a disk that is not mounted kept the processor busy for ever', () => {
    const directory = temporaryDirectory()
    symlinkSync('/nowhere/at/all', path.join(directory, 'disk'))
    expect(() => makeDirectory(path.join(directory, 'disk', 'state'))).toThrow('EEXIST')
    expect(() => makeDirectory('/proc/vosctl/state')).toThrow('ENOENT')
    mkdirSync(path.join(directory, 'a'))
    expect(() => makeDirectory(path.join(directory, 'a', 'b', 'c'))).not.toThrow()
  })
})
