import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import * as client from '../../src/cli/paths.ts'
import { readNames } from '../../src/cli/names.ts'
import type { VosError } from '../../src/core/errors.ts'
import { findGroup, groupId } from '../../src/daemon/group.ts'
import { checkConfigDirectory, prepareStateDirectory, statePaths, writeHolder } from '../../src/daemon/lifecycle.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = 65_534

/** One house that a daemon has prepared, with something precious beside it. */
function house() {
  const root = temporaryDirectory()
  const [state, config, precious] = ['state', 'config', 'precious'].map((name) => path.join(root, name)) as [
    string,
    string,
    string,
  ]
  const paths = client.resolvePaths({ VOSCTL_CONFIG_DIR: config }, state, '/nonexistent')
  prepareStateDirectory(statePaths(state))
  fs.mkdirSync(config, { mode: 0o700 })
  fs.writeFileSync(precious, 'precious', { mode: 0o600 })
  const places = {
    state,
    run: path.join(state, 'run'),
    config,
    socket: paths.socket,
    log: paths.log,
    names: paths.names,
    holder: path.join(state, 'run', 'holder.json'),
    wal: `${paths.database}-wal`,
  }
  return { root, paths, places, precious }
}

type House = ReturnType<typeof house>
type Place = keyof House['places']

const PLANTED = {
  'a link': (place: string, { precious }: House) => fs.symlinkSync(precious, place),
  'a link to nothing': (place: string, { root }: House) => fs.symlinkSync(path.join(root, 'nothing'), place),
  'a file': (place: string) => fs.writeFileSync(place, 'precious', { mode: 0o600 }),
  'a directory': (place: string) => fs.mkdirSync(place, { mode: 0o700 }),
  'a pipe': (place: string) => void spawnSync('mkfifo', ['-m', '600', place]),
  'a socket': (place: string) => {
    const server = createServer().listen(place)
    onTestFinished(() => void server.close())
  },
}

/** All that tells whether somebody has touched it. */
function state(place: string, { root, precious }: House): unknown {
  const { ino, mode, uid, size, mtimeMs, ctimeMs } = fs.lstatSync(place)
  const names = fs.readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted()
  return { ino, mode, uid, size, mtimeMs, ctimeMs, names, text: fs.readFileSync(precious, 'utf8') }
}

function refusal(act: () => unknown): VosError | null {
  try {
    act()
    return null
  } catch (error) {
    return error as VosError
  }
}

/** What client and daemon say; null is "all is well". */
function bothSay(place: Place, { paths, places }: House): readonly (VosError | null)[] {
  const file = path.join(places.config, 'config.yaml')
  return [
    refusal(() => {
      client.checkPlaces(paths)
      if (place === 'log') client.checkFile(paths.log, paths)
    }),
    refusal(() => {
      checkConfigDirectory(places.config, file)
      prepareStateDirectory(statePaths(places.state))
    }),
  ]
}

const RIGHT: Readonly<Record<Place, keyof typeof PLANTED>> = {
  state: 'a directory',
  run: 'a directory',
  config: 'a directory',
  socket: 'a socket',
  log: 'a file',
  names: 'a file',
  holder: 'a file',
  wal: 'a file',
}
const FOR_THE_DAEMON: readonly Place[] = ['names', 'holder', 'wal']

const cases = Object.keys(RIGHT).flatMap((place) =>
  Object.keys(PLANTED).map((kind) => [place as Place, kind as keyof typeof PLANTED] as const),
)

describe('what is planted in the place of', () => {
  it.each(cases)('the %s: %s', (place, kind) => {
    const all = house()
    const at = all.places[place]
    fs.rmSync(at, { recursive: true, force: true })
    PLANTED[kind](at, all)
    const before = state(at, all)
    const [byClient, byDaemon] = bothSay(place, all)
    if (RIGHT[place] === kind) {
      expect([byClient, byDaemon]).toEqual([null, null])
      return
    }
    const refused = {
      code: place === 'socket' ? 'socket_path' : 'state_directory',
      message: expect.stringContaining(`${at} (uid ${process.getuid?.()}, mode `) as string,
    }
    expect(byDaemon).toMatchObject(refused)
    expect(byDaemon?.message).toContain('It was not touched.')
    if (!FOR_THE_DAEMON.includes(place)) expect(byClient).toMatchObject(refused)
    expect(state(at, all)).toEqual(before)
  })

  it.skipIf(!isRoot).each(Object.keys(RIGHT) as Place[])('the %s by another user', (place) => {
    const all = house()
    const at = all.places[place]
    fs.rmSync(at, { recursive: true, force: true })
    PLANTED[RIGHT[place]](at, all)
    fs.chownSync(at, NOBODY, NOBODY)
    const before = state(at, all)
    const [byClient, byDaemon] = bothSay(place, all)
    expect(byDaemon?.message).toContain(`${at} belongs to uid ${NOBODY}`)
    expect(byDaemon?.hint).toContain(`chown -h 0 ${at}`)
    if (!FOR_THE_DAEMON.includes(place)) expect(byClient?.message).toMatch(/belongs to (?:uid 65534|nobody|user 65534)/)
    expect(state(at, all)).toEqual(before)
  })

  it.each(['state', 'run', 'config', 'socket', 'log', 'names', 'holder', 'wal'] as const)(
    'the %s, with a mode that lets others write',
    (place) => {
      const all = house()
      const at = all.places[place]
      if (!fs.existsSync(at)) PLANTED[RIGHT[place]](at, all)
      fs.chmodSync(at, 0o777)
      const [byClient, byDaemon] = bothSay(place, all)
      expect(byDaemon).toMatchObject({ message: expect.stringContaining(`${at} (uid `) as string })
      expect(byDaemon?.message).toContain('mode 0777) is open to other users: they may write to it.')
      if (!FOR_THE_DAEMON.includes(place)) expect(byClient?.message).toBe(byDaemon?.message)
      // The command that it names mends it.
      spawnSync('sh', ['-c', byDaemon?.hint ?? ''])
      expect(bothSay(place, all)).toEqual([null, null])
    },
  )
})

describe('above the state directory', () => {
  it('a directory that others may write to is refused by its name; closed again it is not', () => {
    const all = house()
    fs.chmodSync(all.root, 0o777)
    for (const said of bothSay('state', all)) {
      expect(said?.message).toBe(
        `${all.root} (uid ${process.getuid?.()}, mode 0777) is open to other users: they may write to it.`,
      )
      expect(said?.hint).toBe(`chmod go-w ${all.root}`)
    }
    fs.chmodSync(all.root, 0o755)
    expect(bothSay('state', all)).toEqual([null, null])
  })

  it('a link is followed, and the way behind it looked at', () => {
    const all = house()
    const moved = temporaryDirectory()
    fs.symlinkSync(all.root, path.join(moved, 'link'))
    const paths = client.resolvePaths({ VOSCTL_CONFIG_DIR: all.places.config }, path.join(moved, 'link', 'state'), '/x')
    client.checkPlaces(paths)
    prepareStateDirectory(statePaths(paths.stateDirectory))
    fs.chmodSync(all.root, 0o777)
    expect(refusal(() => client.checkPlaces(paths))?.message).toContain(all.root)
    expect(refusal(() => prepareStateDirectory(statePaths(paths.stateDirectory)))?.message).toContain(all.root)
  })

  it('is made for this user alone, and nothing is made where the way is not safe', () => {
    const all = house()
    const open = path.join(all.root, 'open')
    fs.mkdirSync(open)
    fs.chmodSync(open, 0o777)
    expect(refusal(() => prepareStateDirectory(statePaths(path.join(open, 'state'))))?.message).toContain(open)
    expect(fs.readdirSync(open)).toEqual([])
  })
})

it('the names for completion are not read where somebody else may have written them', () => {
  const { paths } = house()
  const names = { connections: [{ id: 1, name: 'x', platform: 'vos', service: null, services: [] }], operations: [] }
  fs.writeFileSync(paths.names, JSON.stringify(names), { mode: 0o600 })
  expect(readNames(paths).connections).toHaveLength(1)
  fs.chmodSync(path.dirname(paths.socket), 0o777)
  expect(readNames(paths).connections).toEqual([])
})

it('who holds the lock is never written through a link', () => {
  const all = house()
  fs.symlinkSync(all.precious, all.places.holder)
  expect(refusal(() => writeHolder(statePaths(all.places.state), '1.0.0'))?.message).toContain('ELOOP')
  expect(fs.readFileSync(all.precious, 'utf8')).toBe('precious')
})

describe('a group', () => {
  it('has a number, or the settings are wrong', () => {
    expect(findGroup('root:x:0:\nvosctl:x:990:alice,bob\n', 'vosctl')).toBe(990)
    expect(findGroup('vosctl2:x:990:\n:x:1:\n', 'vosctl')).toBeNull()
    expect(findGroup('vosctl:x::\n', 'vosctl')).toBeNull()
    const [name = '', , id] = fs.readFileSync('/etc/group', 'utf8').split('\n')[0]?.split(':') ?? []
    expect(groupId(name)).toBe(Number(id))
    expect(refusal(() => groupId('no-such-group'))).toMatchObject({ code: 'bad_config' })
  })

  it.skipIf(!isRoot)('that may come in gets the directories and nothing in them; without it they are refused', () => {
    const all = house()
    const paths = statePaths(all.places.state)
    prepareStateDirectory(paths, NOBODY)
    for (const place of [all.places.state, all.places.run]) {
      expect(fs.statSync(place)).toMatchObject({ mode: 0o40750, gid: NOBODY, uid: 0 })
    }
    prepareStateDirectory(paths, NOBODY)
    expect(refusal(() => prepareStateDirectory(paths))?.hint).toBe(`chmod 700 ${all.places.state}`)
    expect(refusal(() => prepareStateDirectory(paths, 1))?.message).toContain('group 65534, and it is group 1')
  })
})
