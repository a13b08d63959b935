import { describe, expect, it } from 'vitest'
import { inspect, inspectConfig, walk, type Found, type Look } from '../../src/core/ownership.ts'

const [ROOT, ALICE, MALLORY] = [0, 1000, 1001]
const STAFF = 50

type Disk = Readonly<Record<string, Found>>

const directory = (uid = ROOT, mode = 0o755, gid = uid): Found => ({ type: 'directory', uid, gid, mode })
const file = (uid = ALICE, mode = 0o600): Found => ({ type: 'regular file', uid, gid: uid, mode })
const socket = (uid = ALICE, mode = 0o600, gid = uid): Found => ({ type: 'socket', uid, gid, mode })
const link = (target: string, uid = ROOT): Found => ({ type: 'symbolic link', uid, gid: uid, mode: 0o777, target })

/** Alice's own house, where nothing is wrong. */
const HOUSE: Disk = {
  '/': directory(),
  '/home': directory(),
  '/home/alice': directory(ALICE),
  '/home/alice/state': directory(ALICE, 0o700),
  '/home/alice/state/run': directory(ALICE, 0o700),
  '/home/alice/state/run/vosd.sock': socket(),
}

const lookAt =
  (disk: Disk): Look =>
  (path) =>
    disk[path] ?? null

function judge(change: Disk, state = '/home/alice/state', sharing: { owner: number; group: number } | null = null) {
  const run = `${state}/run`
  // Only the way is expanded by the code under test; what follows it, the kernel would.
  const look: Look = (path) => lookAt({ ...HOUSE, ...change })(path.replace(/^\/data\/alice/, '/home/alice'))
  return inspect({ state, run, socket: `${run}/vosd.sock` }, { self: ALICE, sharing }, look)
}

describe('who can change what a path leads to', () => {
  it('finds nothing in a house of one user', () => {
    expect(judge({})).toBeNull()
    expect(judge({ '/home/alice': directory(ROOT) })).toBeNull()
  })

  it.each([
    ['nothing there yet', { '/home/alice/state': undefined }],
    ['nobody listening', { '/home/alice/state/run/vosd.sock': undefined }],
  ] as const)('finds nothing with %s', (_, change) => {
    expect(judge(change as unknown as Disk)).toBeNull()
  })

  it.each([
    ['/', directory(65_534), '/ belongs to uid 65534 (mode 0755), and this is uid 1000.'],
    ['/home', directory(MALLORY), '/home belongs to uid 1001'],
    ['/home', directory(ROOT, 0o777), '/home (uid 0, mode 0777) is open to other users: they may write to it.'],
    ['/home/alice', directory(ALICE, 0o775), '/home/alice (uid 1000, mode 0775) is open to other users'],
    ['/home/alice', directory(ALICE, 0o757), '/home/alice (uid 1000, mode 0757) is open to other users'],
    ['/home', file(ROOT), '/home (uid 0, mode 0600) is in the way: it is a regular file and not a directory.'],
    ['/home/alice/state', directory(MALLORY, 0o700), '/home/alice/state belongs to uid 1001'],
    ['/home/alice/state', directory(ROOT, 0o700), '/home/alice/state belongs to uid 0'],
    ['/home/alice/state', directory(ALICE, 0o750), 'is open to other users: they may look into it.'],
    ['/home/alice/state', directory(ALICE, 0o1777), 'is open to other users: they may write to it.'],
    ['/home/alice/state', link('/tmp/x', ALICE), 'it is a symbolic link and not a directory. It was not touched.'],
    ['/home/alice/state/run', directory(MALLORY, 0o700), '/home/alice/state/run belongs to uid 1001'],
    ['/home/alice/state/run', directory(ALICE, 0o755), 'is open to other users'],
    ['/home/alice/state/run', link('/tmp', ALICE), 'it is a symbolic link and not a directory'],
    ['/home/alice/state/run/vosd.sock', socket(MALLORY), 'vosd.sock belongs to uid 1001'],
    ['/home/alice/state/run/vosd.sock', socket(ALICE, 0o660), 'they may write to it'],
    ['/home/alice/state/run/vosd.sock', link('/tmp/x', ALICE), 'it is a symbolic link and not a socket'],
    ['/home/alice/state/run/vosd.sock', file(), 'it is a regular file and not a socket'],
  ] as const)('%s as %j is refused', (path, found, words) => {
    const problem = judge({ [path]: found })
    expect(problem?.message).toContain(words)
    expect(problem?.isSocket).toBe(path.endsWith('.sock'))
  })

  it.each([
    ['/home', directory(ROOT, 0o777), 'sudo chmod go-w /home'],
    ['/home/alice', directory(ALICE, 0o775), 'chmod go-w /home/alice'],
    ['/home/alice/state', directory(ALICE, 0o755), 'chmod 700 /home/alice/state'],
    [
      '/home/alice/state/run/vosd.sock',
      file(),
      'mv /home/alice/state/run/vosd.sock /home/alice/state/run/vosd.sock.old',
    ],
    ['/home/alice', directory(MALLORY), 'If it is yours: sudo chown -h 1000 /home/alice.'],
    ['/home/alice/state', link('/tmp/x', ALICE), 'Name the directory that it leads to, which is /tmp/x'],
  ] as const)('%s as %j is mended by %s', (path, found, fix) => {
    expect(judge({ [path]: found })?.fix).toContain(fix)
  })

  it('allows a directory like /tmp above only, because there nobody moves the names of others', () => {
    expect(judge({ '/home': directory(ROOT, 0o1777) })).toBeNull()
    expect(judge({ '/home': directory(MALLORY, 0o1777) })).not.toBeNull()
    expect(judge({ '/home': directory(ROOT, 0o1777), '/home/alice': directory(MALLORY) })).not.toBeNull()
  })

  it('quotes a path for the shell of whoever mends it', () => {
    const odd = "/home/al ice's"
    const disk = { ...HOUSE, [odd]: directory(ALICE, 0o777) }
    const house = { state: odd, run: `${odd}/run`, socket: `${odd}/run/vosd.sock` }
    expect(inspect(house, { self: ALICE, sharing: null }, lookAt(disk))?.fix).toBe(`chmod 700 '/home/al ice'\\''s'`)
  })
})

describe('links on the way', () => {
  const moved: Disk = { '/home': link('/data'), '/data': directory(), '/data/alice': directory(ALICE) }

  it('are followed when all on both ways is safe', () => {
    expect(judge(moved)).toBeNull()
    expect(judge({ ...moved, '/home': link('data/../data/./') })).toBeNull()
  })

  it.each([
    ['a link that belongs to somebody else', { '/home': link('/data', MALLORY) }, '/home belongs to uid 1001'],
    ['a target that others may write to', { '/data': directory(ROOT, 0o777) }, '/data (uid 0, mode 0777)'],
    ['a target of somebody else', { '/data': directory(MALLORY) }, '/data belongs to uid 1001'],
    [
      'a link behind the link that goes through a bad place',
      {
        '/home': link('/mnt/bad/data'),
        '/mnt': directory(),
        '/mnt/bad': directory(MALLORY),
        '/mnt/bad/data': link('/data'),
      },
      '/mnt/bad belongs to uid 1001',
    ],
    ['the place where the link stands', { '/': directory(ROOT, 0o777) }, '/ (uid 0, mode 0777)'],
  ] as const)('are refused with %s', (_, change, words) => {
    expect(judge({ ...moved, ...change })?.message).toContain(words)
  })

  it('that go round are no way', () => {
    const round: Disk = { '/': directory(), '/a': link('/b'), '/b': link('a') }
    expect(walk('/a/state', lookAt(round)).end).toMatchObject({ type: 'symbolic link' })
    expect(walk('/a', lookAt(round)).end).toMatchObject({ path: '/a' })
  })
})

describe('a state directory that is shared with a group', () => {
  const service = 900
  const shared: Disk = {
    '/': directory(),
    '/srv': directory(),
    '/srv/v': directory(service, 0o750, STAFF),
    '/srv/v/run': directory(service, 0o750, STAFF),
    '/srv/v/run/vosd.sock': socket(service, 0o660, STAFF),
  }
  const sharing = { owner: service, group: STAFF }

  it('is used by its members', () => {
    expect(judge(shared, '/srv/v', sharing)).toBeNull()
    expect(judge(shared, '/srv/v')?.message).toContain('belongs to uid 900')
  })

  it.each([
    ['/srv', directory(service), 'belongs to uid 900'],
    ['/srv/v', directory(service, 0o770, STAFF), 'they may write to it'],
    ['/srv/v', directory(service, 0o755, STAFF), 'they may look into it'],
    ['/srv/v/run', directory(service, 0o750, 51), 'is open to group 51, and it is group 50 that may share it'],
    ['/srv/v/run', directory(MALLORY, 0o750, STAFF), 'belongs to uid 1001'],
    ['/srv/v/run/vosd.sock', socket(MALLORY, 0o660, STAFF), 'belongs to uid 1001'],
    ['/srv/v/run/vosd.sock', socket(service, 0o666, STAFF), 'open to other users'],
    ['/srv/v/run/vosd.sock', socket(service, 0o660, 51), 'is open to group 51'],
  ] as const)('is refused with %s as %j', (path, found, words) => {
    expect(judge({ ...shared, [path]: found }, '/srv/v', sharing)?.message).toContain(words)
  })
})

describe('the directory of the settings', () => {
  const config = '/home/alice/config'
  const settings = `${config}/config.yaml`
  const look = (change: Disk) =>
    inspectConfig(config, settings, ALICE, lookAt({ ...HOUSE, [config]: directory(ALICE, 0o755), ...change }))

  it('may be read by all, and written by its owner', () => {
    expect(look({})).toBeNull()
    expect(look({ [settings]: file(ALICE, 0o644) })).toBeNull()
    expect(look({ [config]: directory(ROOT) })).toBeNull()
  })

  it.each([
    ['others may write there', { [config]: directory(ALICE, 0o775) }, 'chmod 755 /home/alice/config'],
    ['it is a link', { [config]: link('/home/alice/state', ALICE) }, 'Name the directory'],
    ['others may write the settings', { [settings]: file(ALICE, 0o666) }, `chmod 644 ${settings}`],
    ['the settings are of somebody else', { [settings]: file(MALLORY) }, 'chown'],
    [
      'the link to the settings leads through a bad place',
      { [settings]: link('/bad/x', ALICE), '/bad': directory(MALLORY), '/bad/x': file() },
      'chown',
    ],
    [
      'the link leads to the file of somebody else',
      { [settings]: link('../x', ALICE), '/home/alice/x': file(MALLORY) },
      '/home/alice/x',
    ],
    ['the link is of somebody else', { [settings]: link('../x', MALLORY), '/home/alice/x': file() }, settings],
  ] as const)('is refused when %s', (_, change, fix) => {
    expect(look(change as Disk)?.fix).toContain(fix)
  })

  it('follows a good link to the settings', () => {
    expect(look({ [settings]: link('../x', ALICE), '/home/alice/x': file() })).toBeNull()
  })
})
