import fs from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { dayOf } from '../../src/core/connection.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, type RunOptions } from '../helpers/rig.ts'
import { createValidator } from '../helpers/schemas.ts'
import { until } from '../helpers/wait.ts'

const of = (name: string) => scenarios.get(name) as Scenario
// A machine that is busy with other tests takes its time to start a program.
const PATIENCE_MS = 30_000
const UNTIL = dayOf(Date.now() + 86_400_000)
const LISTS = ['operation-list', 'connection-list']

/** `daemon status` in words; quoted words hold together. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '')
}

/**
 * One house, visited as programs do it: by every command, in the situations in which it answers differently. For each
 * visit the exit status is the expected one, stdout holds exactly one document of the published schema, and stderr
 * nothing. Complaints are collected, so that one run shows all of them.
 */
it('every command answers programs by its schema, and exits by the table', { timeout: 300_000 }, async () => {
  const check = createValidator()
  const complaints: string[] = []
  const complain = (command: string, what: string) => complaints.push(`${command}: ${what}`)
  const rig = new Rig()

  async function json(command: string, status: number, schema: string, options: RunOptions = {}) {
    const ended = await rig.run([...wordsOf(command), '-o', 'json'], options)
    if (ended.status !== status) complain(command, `exit ${ended.status}, not ${status}: ${ended.stdout}`)
    if (ended.stderr !== '') complain(command, `stderr: ${ended.stderr}`)
    let document: Record<string, unknown> = {}
    try {
      document = JSON.parse(ended.stdout) as Record<string, unknown>
    } catch {
      complain(command, `no document: ${ended.stdout}`)
    }
    const wrong = check(`vosctl/${schema}/v1`, document)
    if (wrong !== null) complain(command, wrong)
    const said = document['exit_code']
    if (
      typeof said === 'number' &&
      !LISTS.includes(schema) &&
      schema !== 'operation' &&
      said !== status &&
      status !== 9
    )
      complain(command, `the document says ${said}, the process ${status}`)
    return document
  }

  /** -q: nothing on success. -o name: ids or names alone, one a line. */
  async function words(command: string, names: RegExp) {
    const quiet = await rig.run([...wordsOf(command), '-q'])
    if (quiet.status !== 0 || quiet.stderr !== '') complain(`${command} -q`, `exit ${quiet.status}: ${quiet.stderr}`)
    const named = await rig.run([...wordsOf(command), '-o', 'name'])
    for (const line of named.stdout.split('\n').slice(0, -1)) {
      if (!names.test(line)) complain(`${command} -o name`, `prints "${line}"`)
    }
  }

  /** Visits that do not disturb one another. */
  const readings = (...visits: readonly (readonly [command: string, status: number, schema: string])[]) =>
    Promise.all(visits.map((visit) => json(...visit)))

  /** The id of the operation, or of one in a list. */
  const op = (document: object, index = 0) => {
    const { id, items } = document as { id?: string; items?: readonly { id: string }[] }
    return id ?? items?.[index]?.id ?? 'none'
  }

  // Nobody is at home.
  await json('ps --no-start', 7, 'error')
  await json('daemon status', 7, 'error')
  await json('daemon logs', 7, 'error')
  await json('daemon stop', 0, 'daemon')
  await json('daemon start', 0, 'daemon')
  await readings(
    ['daemon start', 0, 'daemon'],
    ['daemon status', 0, 'daemon'],
    ['ps', 0, 'operation-list'],
    ['history', 0, 'operation-list'],
    ['status', 0, 'status'],
    ['connections list', 0, 'connection-list'],
    ['restart node', 2, 'error'],
    ['restrat node', 2, 'error'],
    ['restart', 2, 'error'],
    ['watch', 2, 'error'],
    ['connections add x --host x', 2, 'error'],
  )

  const stream = rig.start(['watch', '-o', 'jsonl'])
  const { services } = of('publisher')
  // The device reads its steps whenever a restart begins.
  const course = { ...services.restart }
  const [good, dead] = await Promise.all([
    rig.appliance('good', { ...of('publisher'), services: { ...services, restart: course } }),
    rig.appliance('dead', of('publisher')),
    rig.appliance('down', of('ends-stopped')),
    rig.appliance('moot', of('started-only')),
    rig.appliance('slow', of('never-finishes')),
  ])
  await dead.powerOff()
  await readings(
    ['connections list', 0, 'connection-list'],
    ['connections show good', 0, 'connection'],
    ['doctor', 0, 'doctor'],
    ['daemon install --system', 0, 'daemon-unit'],
    ['key status', 0, 'key'],
    ['key unlock', 2, 'error'],
    ['key lock', 2, 'error'],
  )
  await json('key rotate', 0, 'key')
  const file = path.join(rig.directory, 'list.json')
  fs.writeFileSync(file, JSON.stringify(await json('connections export', 0, 'connection-export')))
  await json(`connections import ${file}`, 0, 'connection-import')
  const rows = '[{"name": "new", "host": "new", "username": "u"}, {"name": "down", "sudo": true}, {"name": "bad"}]'
  await json('connections import - --dry-run', 2, 'connection-import', { input: rows })
  await words('connections list', /^[a-z]+$/)
  await json(
    `connections edit good --timing deadline=10m --algorithms legacy-vos --reason old --until ${UNTIL}`,
    0,
    'connection',
  )
  await json(`connections trust good --fingerprint ${good.hostKey.fingerprint}`, 0, 'connection')
  await json(`connections trust good --fingerprint SHA256:${'A'.repeat(43)}`, 6, 'error')
  await json('connections services good', 0, 'service-list')
  await json('connections services dead', 6, 'error')
  await json('connections remove good', 2, 'error')

  // Verdicts.
  await json('test good dead', 9, 'operation-list')
  await json('restart good --dry-run', 0, 'plan')
  await readings(
    ['restart good --reason weekly', 0, 'operation'],
    ['restart dead', 6, 'operation'],
    ['restart down', 1, 'operation'],
  )
  await readings(
    ['test good', 0, 'operation'],
    ['test dead', 6, 'operation'],
    ['restart good down', 2, 'error'],
    ['verify down', 1, 'operation'],
    ['status last', 0, 'operation'],
  )
  await words('restart good', /^r-[0-9a-z]{6}$/)
  await json('restart good -d', 0, 'operation')
  await readings(['wait last', 0, 'operation'], ['attach last', 0, 'operation'])
  await json('restart good down --yes', 9, 'operation-list')
  await json('verify good', 0, 'operation')
  await json('restart good --dry-run', 0, 'plan')
  const recent = await json('restart good --if-recent skip:1h', 0, 'operation-list')
  const moot = op(await json('restart moot', 3, 'operation'))
  await readings(
    [`attach ${moot}`, 3, 'operation'],
    [`wait ${moot}`, 3, 'operation'],
    ['restart moot', 5, 'error'],
    ['history --stats', 0, 'statistics'],
    ['restart good --if-recent skip:1h --dry-run', 0, 'plan'],
    ['verify moot', 3, 'operation'],
  )

  // Busy, patience, and leaving.
  const slow = op(await json('restart slow -d', 0, 'operation'))
  await until(
    'the restart is under way',
    async () => (await rig.run(['logs', slow])).stdout.includes('STOPPING'),
    PATIENCE_MS,
  )
  const skipped = await json('restart slow --if-running skip', 0, 'operation-list')
  await readings(
    ['restart slow', 4, 'error'],
    ['restart slow dead good --yes', 4, 'error'],
    ['restart slow --if-running skip --dry-run', 0, 'plan'],
    [`attach ${slow} --timeout 1s`, 8, 'operation'],
    [`wait ${slow} --timeout 1s`, 8, 'operation'],
    [`logs ${slow} -f --timeout 1s`, 8, 'log'],
    [`cancel ${slow}`, 1, 'error'],
    ['connections edit slow --host elsewhere', 2, 'error'],
    ['daemon stop', 2, 'error'],
    ['ps', 0, 'operation-list'],
    ['status', 0, 'status'],
    ['status slow', 0, 'connection'],
    ['verify slow', 4, 'operation'],
  )
  await Promise.all(
    (
      [
        [`attach ${slow}`, 'SIGHUP', 129],
        [`wait ${slow}`, 'SIGTERM', 143],
        [`logs ${slow} -f`, 'SIGINT', 130],
        ['watch', 'SIGINT', 130],
      ] as const
    ).map(async ([command, signal, status]) => {
      const running = rig.start([...wordsOf(command), '-o', 'jsonl'])
      const followed = command.startsWith('logs') ? '"device"' : '"snapshot"'
      await until(`${command} follows`, () => running.output.stdout.includes(followed), PATIENCE_MS)
      running.child.kill(signal)
      const ended = await running.ended
      if (ended.status !== status) complain(command, `exit ${ended.status} by ${signal}`)
      if (ended.stderr !== '') complain(command, `stderr by ${signal}: ${ended.stderr}`)
    }),
  )
  const batch = await json('restart good down dead -d --yes --parallel 2', 0, 'operation-list')
  const items = batch['items'] as { batch: { id: string } }[] | undefined
  await readings([`attach ${items?.[0]?.batch.id}`, 9, 'operation-list'], [`attach ${op(batch, 2)}`, 6, 'operation'])
  await json(`cancel ${op(batch, 2)}`, 1, 'error')

  // Late, with one more behind it. Then the device is away for longer than patience lasts, and a later look has proof.
  course.steps = of('never-finishes').services.restart.steps
  await json('connections edit good --timing reconnect=50ms', 0, 'connection')
  const late = op(await json('restart good -d', 0, 'operation'))
  // Since its beginning: on a busy machine it is late before this client is there.
  const attached = rig.start(['attach', late, '-o', 'jsonl', '--from', '0'])
  await until('it is late', () => attached.output.stdout.includes('"type":"late"'), PATIENCE_MS)
  const planned = await json('restart good --if-running queue --dry-run', 0, 'plan')
  const queued = op(await json('restart good --if-running queue -d', 0, 'operation'))
  const refusal = await json('restart slow good --yes', 4, 'error')
  const house = await json('status', 0, 'status')
  await readings(['ps', 0, 'operation-list'], [`logs ${queued}`, 0, 'log'], [`logs ${late}`, 0, 'log'])
  await json(`cancel ${queued}`, 0, 'operation')
  await good.powerOff()
  if ((await attached.ended).status !== 3)
    complain('attach', `no unknown outcome: ${attached.output.stdout.slice(-400)}`)
  await good.powerOn()
  good.setService('Cisco Tomcat', 'STARTED')
  await json(`verify ${late}`, 0, 'operation')
  const proved = await json(`status ${late}`, 0, 'operation')
  course.steps = services.restart.steps

  // Needs a person.
  await json(`ack ${moot}`, 2, 'error')
  await json('status', 0, 'status')
  await json(`ack ${moot} --yes`, 0, 'operation')
  await json(`ack ${moot} --yes`, 2, 'error')
  await json('hold good --reason "TAC case"', 0, 'connection')
  await readings(
    ['restart good', 5, 'error'],
    ['test good', 5, 'error'],
    ['verify good', 5, 'error'],
    ['connections services good', 5, 'error'],
    ['status', 0, 'status'],
  )
  await json('release good', 0, 'connection')
  await json('release good', 2, 'error')
  await json('credentials set good', 2, 'error')
  await json('credentials set good --stdin', 0, 'connection', { input: 'wrong\n' })
  await json('test good', 6, 'operation')
  await json('test good', 5, 'error')
  await json('connections show good', 0, 'connection')
  await json('credentials remove good', 0, 'connection')

  // What was.
  await readings(
    ['history', 0, 'operation-list'],
    ['ps', 0, 'operation-list'],
    [`logs ${slow}`, 0, 'log'],
    [`logs ${moot}`, 0, 'log'],
    ['logs r-zzzzzz', 2, 'error'],
  )
  await Promise.all([words('history', /^[rtv]-[0-9a-z]{6}$/), words('ps', /^[rtv]-[0-9a-z]{6}$/)])
  await words('daemon status', /^\d+$/)
  await json('connections remove dead --yes', 0, 'connection')
  await json('daemon restart --now', 0, 'daemon')
  await json('daemon logs', 0, 'daemon-log')

  // A fault that nobody foresaw, from outside: the program itself has no switch for it.
  const fault = path.join(rig.directory, 'fault.cjs')
  fs.writeFileSync(fault, `require('node:os').userInfo = () => { throw new TypeError('a fault for a test') }`)
  await json('ps', 70, 'error', { env: { NODE_OPTIONS: `--require ${fault}` } })

  // All that happened meanwhile, line by line.
  await until('the stream has come back', () => /"disconnected"[^]*"snapshot"/.test(stream.output.stdout), PATIENCE_MS)
  stream.child.kill('SIGTERM')
  const { status, stdout } = await stream.ended
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; seq: number | null })
  for (const line of lines) {
    const wrong = check('vosctl/event/v1', line)
    if (wrong !== null) complain(`watch -o jsonl, ${line.type}`, wrong)
  }
  const followed = await rig.run(['attach', moot, '-o', 'jsonl', '--from', '0'])
  for (const line of followed.stdout.trimEnd().split('\n')) {
    const wrong = check('vosctl/event/v1', JSON.parse(line))
    if (wrong !== null) complain('attach -o jsonl', wrong)
  }
  expect(complaints).toEqual([])
  expect(status).toBe(143)
  const seen = new Set(lines.map(({ type }) => type))
  const expected = 'hello snapshot accepted phase authenticating listed resolved sent device evidence verdict bye'
  const rare = ['late', 'verified', 'acknowledged', 'disconnected']
  expect([...seen]).toEqual(expect.arrayContaining([...expected.split(' '), ...rare]))
  // What is seldom met was met.
  const number = expect.any(Number) as number
  expect({ recent, skipped, batch, planned, refusal, house, proved }).toMatchObject({
    recent: { skipped: [{ why: 'recent', completed_at: expect.any(String) as string }] },
    skipped: { skipped: [{ why: 'running', operation: slow, completed_at: null }] },
    batch: { items: [{ batch: { parallel: 2 } }, {}, {}] },
    planned: { items: [{ after: late }] },
    refusal: { refused: [{ holder: { op: slow } }, { holder: { op: late } }] },
    house: { late: [{ id: slow }, { id: late, timing: { late_ms: number } }], queued: [{ id: queued, after: late }] },
    proved: { status: 'completed', verified: { was: { status: 'unknown' } } },
  })
  // Numbers only rise.
  const numbers = lines.flatMap(({ seq, type }) => (seq === null || type === 'bye' ? [] : [seq]))
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  await json('daemon stop --now', 0, 'daemon')
  await json('daemon status', 7, 'error')
  expect(complaints).toEqual([])
})
