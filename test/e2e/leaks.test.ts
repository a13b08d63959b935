import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MIGRATIONS } from '../../src/daemon/store/migrations.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { buildWithFaults } from '../faults/build.ts'
import { addConnection, startAppliance } from '../helpers/quick-house.ts'
import { Rig } from '../helpers/rig.ts'
import { SOME_HOST_KEY } from '../helpers/ssh-server.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'
import { accepts, until } from '../helpers/wait.ts'
import type { Planter } from './leaks/planter.ts'
import { PLANTERS } from './leaks/planters.ts'

const OPENSSL = requireTool('openssl')

/** Everything that shows or writes something. */
const TOUR = [
  'ps',
  'status',
  'history --json',
  'logs last --json',
  'logs last -v',
  'export last',
  'history verify',
  'connections list --json',
  'connections export --format json',
  'connections export',
  'connections show talks',
  'status talks --json',
  'daemon status --json',
  'daemon logs',
  'doctor --json',
  'complete -- vosctl connections show ',
  'test says-why repeats --yes',
]

describe('the hunt for secrets', { timeout: 120_000 }, () => {
  it('finds none of those that were planted everywhere, in no file, stream, log, process, backup or page of the database', async () => {
    const rig = new Rig()
    for (const planter of PLANTERS) if ('secret' in planter) rig.hide(planter.name, (planter as Planter).secret)
    const planting = { rig, outside: temporaryDirectory(), atEnd: onTestFinished }
    writeSettings(rig, PLANTERS.map(({ settings }) => settings?.(planting) ?? '').join(''))
    await rig.prepare(['daemon', 'start'])
    const watch = new AbortController()
    const watching = watchProcesses(rig, watch.signal)
    for (const planter of PLANTERS) {
      await planter.plant(planting)
      expect({ [planter.name]: rig.leaks() }).toEqual({ [planter.name]: [] })
    }
    await Promise.all(TOUR.map((words) => rig.run(words.split(' '))))
    // What was written but not yet carried over into the database lies in its journal.
    await rig.killDaemon()
    expect(rig.leaks()).toEqual([])
    // An older database, so that the next start makes a backup.
    goBack(path.join(rig.state, 'vosctl.db'))
    await rig.prepare(['ps'])
    await rig.prepare(['daemon', 'stop', '--yes'])
    watch.abort()
    await watching
    expect(fs.readdirSync(rig.state).join(' ')).toContain('.before-v')
    expect(rig.leaks()).toEqual([])
  })

  it.skipIf(OPENSSL === null)('finds neither the passphrase of the sealed store nor the key of TLS', async () => {
    const rig = new Rig()
    const files = temporaryDirectory()
    const made = (name: string) => {
      const [key, pem] = [path.join(files, `${name}.key`), path.join(files, `${name}.pem`)]
      const words = [
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        key,
        '-out',
        pem,
        '-subj',
        '/CN=localhost',
      ]
      execFileSync(OPENSSL ?? '', words, { stdio: 'pipe' })
      rig.hide(`the key of TLS ${name}`, fs.readFileSync(key, 'utf8'))
      return { key, pem, text: fs.readFileSync(key, 'utf8') }
    }
    const [good, other] = [made('good'), made('other')]
    const tls = `tls: {certificate: ${good.pem}, key: ${good.key}}`
    writeSettings(rig, `key: passphrase\nlisten: 127.0.0.1:0\n${tls}\n`)
    for (const bad of [
      other.text,
      good.text.slice(0, -400),
      good.text.replace('BEGIN', 'BEGUN'),
      good.text.slice(60),
    ]) {
      fs.writeFileSync(good.key, bad, { mode: 0o600 })
      expect((await rig.run(['daemon', 'start'])).status).not.toBe(0)
    }
    fs.writeFileSync(good.key, good.text)
    await rig.prepare(['daemon', 'start'])
    const [first, second, wrong] = ['Sv1 open-sesame-första', 'Sv2 another-"sesame"', 'Sv3 wrong-sesame-9']
    const say = (words: string, input: string) =>
      rig.run(['key', ...words.split(' '), '--stdin'], { input: `${input}\n` })
    const statuses = [
      await say('unlock', first),
      await say('unlock --new', first),
      await say('rotate', second),
      await rig.run(['key', 'lock']),
      await say('unlock', wrong),
      await say('unlock', first),
      await until('the time after a wrong one is over', async () => {
        const ended = await say('unlock', second)
        return ended.status === 0 && ended
      }),
      await rig.run(['credentials', 'set', 'nobody', '--stdin'], { input: `${wrong}\n` }),
      await rig.run(['daemon', 'logs']),
    ].map(({ status }) => status)
    expect(statuses.slice(0, 7)).toEqual([2, 0, 0, 0, 2, 2, 0])
    await rig.killDaemon()
    expect(rig.leaks()).toEqual([])
  })

  it('finds none after a disk that fails while a password is written', async () => {
    const statement = `throw Object.assign(new Error(\`disk I/O error \${password}\`), { code: 'SQLITE_IOERR_WRITE', password })`
    const place = 'connections.setSealedPassword(id, secret)\n'
    const rig = await brokenHouse('src/daemon/handlers.ts', place, statement)
    await addConnection(rig, 'cucm-pub', { port: 1, hostKey: SOME_HOST_KEY })
    const set = ['credentials', 'set', 'cucm-pub', '--stdin']
    const { status } = await rig.run(set, { input: 'Xw8-written-to-a-bad-disk\n' })
    expect(status).not.toBe(0)
    expect(rig.log()).toContain('fatal: the database cannot be written: disk I/O error [password]')
    expect(rig.leaks()).toEqual([])
  })

  it.each([
    [
      'an exception that nobody catches',
      `setImmediate(() => { throw Object.assign(new Error(\`x \${secret.password}\`), { secret, cause: secret }) })`,
    ],
    [
      'a rejection that nobody awaits',
      `void Promise.reject(Object.assign(new Error(\`x \${secret.password}\`), { secret }))`,
    ],
    [
      'an error of a library, which quotes what it was given',
      `throw new TypeError(\`The "x" argument is wrong. Received '\${secret.password}'\`)`,
    ],
  ])('finds none after %s while a password is in use', async (_, statement) => {
    const rig = await planted(statement)
    await rig.run(['test', 'cucm-pub'])
    expect(rig.log()).toContain('[password]')
    expect(rig.leaks()).toEqual([])
  })

  it.each([
    ['the log', `process.stderr.write(Buffer.from(\`x\${secret.password}\`).toString('base64'))`],
    ['an event', `throw new VosError('login_method', [...secret.password].reverse().join(''))`],
  ])('finds a leak that somebody plants in %s', async (_, statement) => {
    const rig = await planted(statement)
    await rig.run(['test', 'cucm-pub'])
    expect(rig.leaks()).not.toEqual([])
    rig.forgive()
  })
})

/** A house whose daemon does this right before its one attempt to log in. */
async function planted(statement: string): Promise<Rig> {
  const rig = await brokenHouse(
    'src/daemon/ssh/session.ts',
    "failpoint('login.before', () => link.peer.name)\n",
    statement,
  )
  await startAppliance(rig, 'cucm-pub', scenarios.get('publisher') as Scenario)
  return rig
}

/** A house whose daemon does this right behind that place of its source. */
async function brokenHouse(entry: string, place: string, statement: string): Promise<Rig> {
  const rig = new Rig()
  const program = await buildWithFaults('src/daemon/main.ts', [
    {
      name: 'planted',
      setup(build) {
        build.onLoad({ filter: new RegExp(`/${entry.replaceAll('.', '\\.')}$`) }, ({ path: file }) => {
          const text = fs.readFileSync(file, 'utf8')
          if (text.split(place).length !== 2) throw new Error(`${entry} has no place for it`)
          return { contents: text.replace(place, () => `${place};${statement};\n`), loader: 'ts' }
        })
      },
    },
  ])
  fs.mkdirSync(rig.state, { mode: 0o700 })
  const log = fs.openSync(path.join(rig.state, 'daemon.log'), 'a', 0o600)
  const daemon = spawn(process.execPath, [program, '--state-dir', rig.state, '--config-dir', rig.config], {
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'] },
  })
  fs.closeSync(log)
  onTestFinished(async () => {
    if (daemon.exitCode === null && daemon.kill('SIGKILL')) await once(daemon, 'exit')
  })
  await until('the daemon listens', () => accepts(rig.socket), 20_000)
  return rig
}

/** While programs come and go. */
async function watchProcesses(rig: Rig, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    rig.searchProcesses()
    await sleep(20)
  }
}

function writeSettings(rig: Rig, text: string): void {
  fs.mkdirSync(rig.config, { mode: 0o700 })
  fs.writeFileSync(path.join(rig.config, 'config.yaml'), text)
}

function goBack(file: string): void {
  const db = new Database(file)
  db.exec(MIGRATIONS.at(-1)?.down ?? '')
  db.pragma(`user_version = ${MIGRATIONS.length - 1}`)
  db.close()
}
