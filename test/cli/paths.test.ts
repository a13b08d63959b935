import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { refuseForeignState, resolvePaths } from '../../src/cli/paths.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const HOME = '/home/alice'

describe('where the state is', () => {
  it.each([
    ['by default under the home of the password entry', {}, undefined, '/home/alice/.local/state/vosctl', 'default'],
    ['whatever HOME says', { HOME: '/root' }, undefined, '/home/alice/.local/state/vosctl', 'default'],
    ['XDG_STATE_HOME', { XDG_STATE_HOME: '/x' }, undefined, '/x/vosctl', 'env'],
    [
      'a relative XDG_STATE_HOME is ignored',
      { XDG_STATE_HOME: 'x' },
      undefined,
      '/home/alice/.local/state/vosctl',
      'default',
    ],
    ['VOSCTL_STATE_DIR before XDG', { XDG_STATE_HOME: '/x', VOSCTL_STATE_DIR: '/v/' }, undefined, '/v/', 'env'],
    ['an empty variable is none', { VOSCTL_STATE_DIR: '' }, undefined, '/home/alice/.local/state/vosctl', 'default'],
    ['the flag before everything', { VOSCTL_STATE_DIR: '/v' }, '/f', '/f', 'flag'],
    ['a relative flag is of this directory', {}, 'f', path.resolve('f'), 'flag'],
  ] as const)('%s', (_, env, flag, stateDirectory, stateSource) => {
    expect(resolvePaths(env, flag, HOME)).toMatchObject({ stateDirectory, stateSource })
  })

  it.each([
    [{}, '/home/alice/.config/vosctl'],
    [{ XDG_CONFIG_HOME: '/x' }, '/x/vosctl'],
    [{ XDG_CONFIG_HOME: '/x', VOSCTL_CONFIG_DIR: '/c' }, '/c'],
  ])('settings with %j', (env, configDirectory) => {
    expect(resolvePaths(env, '/s', HOME).configDirectory).toBe(configDirectory)
  })

  it('names every file in it', () => {
    expect(resolvePaths({}, '/s', HOME)).toMatchObject({
      socket: '/s/run/vosd.sock',
      log: '/s/daemon.log',
      database: '/s/vosctl.db',
      names: '/s/run/names.json',
    })
  })

  it.each(['VOSCTL_STATE_DIR', 'VOSCTL_CONFIG_DIR'])(
    'refuses a relative %s: it would mean a place in every directory',
    (name) => {
      expect(() => resolvePaths({ [name]: 'here' }, undefined, HOME)).toThrow(
        expect.objectContaining({
          code: 'state_directory',
          message: `${name} is "here", which is not an absolute path.`,
        }),
      )
    },
  )

  it('takes a socket path of 107 bytes, and refuses one of 108 with the reason', () => {
    const longest = `/${'x'.repeat(107 - 1 - '/run/vosd.sock'.length)}`
    expect(Buffer.byteLength(resolvePaths({}, longest, HOME).socket)).toBe(107)
    expect(() => resolvePaths({}, `${longest}y`, HOME)).toThrow(
      expect.objectContaining({ code: 'socket_path', message: expect.stringContaining('has 108 bytes') as string }),
    )
    // Bytes, not characters.
    expect(() => resolvePaths({}, `/${'ü'.repeat(60)}`, HOME)).toThrow(expect.objectContaining({ code: 'socket_path' }))
  })
})

describe('whose the state is', () => {
  it('lets the owner pass, and a directory that is not there yet', () => {
    const directory = temporaryDirectory()
    refuseForeignState(directory)
    refuseForeignState(path.join(directory, 'later'))
  })

  it.skipIf(process.getuid?.() !== 0)('names both when it belongs to somebody else', () => {
    const directory = temporaryDirectory()
    fs.chownSync(directory, 65_534, 65_534)
    expect(() => refuseForeignState(directory)).toThrow(/belongs to (nobody|user 65534), and you are root/)
  })
})
