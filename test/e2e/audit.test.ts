import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import Database from 'better-sqlite3'
import { expect, it } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig } from '../helpers/rig.ts'
import { createValidator } from '../helpers/schemas.ts'
import { requireTool } from '../helpers/tools.ts'

const python = requireTool('python3')
const TIMEOUT = 120_000

interface Audit {
  readonly chain: { readonly head: { readonly cursor: number } }
  readonly operations: readonly {
    readonly operation: {
      readonly id: string
      readonly status: string
      readonly created_by: string
      readonly reason: string
    }
    readonly connection: { readonly host_key: unknown; readonly user: string }
    readonly logins: readonly { readonly user: string; readonly accepted: { readonly host_key: unknown } }[]
    readonly commands: readonly { readonly command: string; readonly sent_at: string | null }[]
    readonly transcript: string
    readonly events: readonly unknown[]
    readonly journal: { readonly links: readonly Record<string, unknown>[] }
  }[]
}

/** The program that docs/history.md gives to an auditor, as it stands there. */
function recipe(): string {
  const page = fs.readFileSync(path.resolve(import.meta.dirname, '../../docs/history.md'), 'utf8')
  return /```python\n(.*?)```/s.exec(page)?.[1] ?? ''
}

function checked(file: string) {
  const { status, stdout, stderr } = spawnSync(python ?? '', ['-c', recipe(), file], { encoding: 'utf8' })
  return { status, stdout: stdout.trim(), stderr }
}

it.skipIf(!python)(
  'a restart is exported for an auditor, who checks it with the program of the docs and finds it in the house again',
  { timeout: TIMEOUT },
  async () => {
    const rig = new Rig()
    const appliance = await rig.appliance('cucm-pub', scenarios.get('publisher') as Scenario)
    await rig.appliance('cucm-sub', scenarios.get('publisher') as Scenario)
    const validate = createValidator()
    // Both at once: the one's events lie between those of the other.
    await rig.prepare(['restart', 'cucm-pub', 'cucm-sub', '--parallel', '2', '--yes', '--reason', 'CAB-7, “weekly”'])
    await rig.killDaemon()

    const file = path.join(rig.directory, 'audit.json')
    const wrote = await rig.prepare(['export', 'last', file])
    expect(wrote).toMatchObject({ stdout: '', stderr: expect.stringContaining(`wrote ${file}`) })
    expect(fs.statSync(file).mode & 0o777).toBe(0o600)
    const text = fs.readFileSync(file, 'utf8')
    const audit = JSON.parse(text) as Audit
    expect(validate('vosctl/audit/v1', audit)).toBeNull()
    expect(text).not.toContain(appliance.password)
    const [one] = audit.operations
    if (!one) throw new Error('nothing was exported')
    expect(one.operation).toMatchObject({
      status: 'completed',
      reason: 'CAB-7, “weekly”',
      created_by: os.userInfo().username,
    })
    expect(one.commands).toMatchObject([{ command: 'utils service restart Cisco Tomcat', sent_at: expect.any(String) }])
    expect(one.logins).toMatchObject([{ user: one.connection.user, accepted: { host_key: one.connection.host_key } }])
    expect(one.transcript).toMatch(/^\d{4}-\d\d-\d\dT.*Z {2}.*\[STOPPING\]$/m)
    const own = one.journal.links.filter((link) => 'event' in link)
    expect(one.events).toHaveLength(own.length)
    expect(one.journal.links.length).toBeGreaterThan(own.length)

    const told = checked(file)
    expect(told).toMatchObject({ status: 0, stderr: '' })
    const [, head = ''] = / events, (\d+:[0-9a-f]{64})$/.exec(told.stdout) ?? []
    expect(await rig.run(['history', 'verify', '-q', '--head', head])).toEqual({ status: 0, stdout: '', stderr: '' })

    const forged = path.join(rig.directory, 'forged.json')
    for (const forge of [
      (link: Record<string, unknown>) => ({ ...link, event: String(link['event']).replace('CAB-7', 'CAB-9') }),
      (link: Record<string, unknown>) => ({ ...link, at_ms: Number(link['at_ms']) + 1 }),
      (link: Record<string, unknown>) => ({ ...link, seq: 2 }),
    ]) {
      const links = one.journal.links.map((link, index) => (index === 0 ? forge(link) : link))
      fs.writeFileSync(
        forged,
        JSON.stringify({ ...audit, operations: [{ ...one, journal: { ...one.journal, links } }] }),
      )
      expect(checked(forged)).toMatchObject({ status: 1, stderr: expect.stringContaining('AssertionError') })
    }

    // Neither over a file, nor through a link to one.
    const link = path.join(rig.directory, 'link.json')
    fs.symlinkSync(path.join(rig.directory, 'elsewhere'), link)
    for (const place of [file, link]) {
      const refused = await rig.run(['export', 'last', place])
      expect(refused).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('is there already. Nothing was written'),
      })
    }
    expect(fs.readFileSync(file, 'utf8')).toBe(text)
    expect(fs.existsSync(path.join(rig.directory, 'elsewhere'))).toBe(false)

    const batch = JSON.parse((await rig.prepare(['export', String(batchOf(text))])).stdout) as Audit
    expect(validate('vosctl/audit/v1', batch)).toBeNull()
    expect(batch.operations).toHaveLength(2)
  },
)

function batchOf(text: string): string | undefined {
  return /"id": "(b-[0-9a-z]+)"/.exec(text)?.[1]
}

it('a row that was edited while the daemon was away is named, exit 1', { timeout: TIMEOUT }, async () => {
  const rig = new Rig()
  await rig.appliance('cucm-pub', scenarios.get('publisher') as Scenario)
  await rig.prepare(['restart', 'cucm-pub', '--reason', 'CAB-7'])
  const whole = await rig.prepare(['history', 'verify'])
  expect(whole.stdout).toMatch(/^history is whole: 1 operations, \d+ events; chain from /)
  const { stdout: head } = await rig.prepare(['history', 'verify', '-o', 'name'])
  expect(whole.stdout.trim().endsWith(`head ${head.trim()}`)).toBe(true)
  await rig.prepare(['daemon', 'stop'])
  expect(rig.log()).toContain(`history head ${head.trim()}`)

  rig.isEdited = true
  const db = new Database(path.join(rig.state, 'vosctl.db'))
  db.exec(`UPDATE operation_events SET event = replace(event, 'CAB-7', 'CAB-9') WHERE cursor = 1`)
  db.close()
  const broken = await rig.run(['history', 'verify'])
  expect(broken).toMatchObject({ status: 1, stdout: '' })
  expect(broken.stderr).toMatch(/history is not whole: event 1 \(of r-\w+\) is not what was written/)
  const { status, stdout } = await rig.run(['history', 'verify', '-o', 'json', '--head', head.trim()])
  expect(status).toBe(1)
  const document = JSON.parse(stdout) as { whole: boolean; bad: { row: string }; heads: { found: string }[] }
  expect(createValidator()('vosctl/history-verification/v1', document)).toBeNull()
  expect(document).toMatchObject({ whole: false, bad: { row: '1' }, heads: [{ found: 'unchecked' }] })
})
