import fs from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig } from '../helpers/rig.ts'

it('reads the sealing key again after a failure: one that was repaired once stayed bad until the daemon was restarted', async () => {
  const rig = new Rig()
  await rig.appliance('cucm-pub', scenarios.get('publisher') as Scenario)
  // The next daemon has not read the key yet.
  await rig.killDaemon()
  const key = path.join(rig.config, 'key')
  fs.chmodSync(key, 0o644)
  const refused = await rig.run(['test', 'cucm-pub'])
  expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('chmod 600') })
  fs.chmodSync(key, 0o600)
  const pid = rig.daemonPid
  expect(await rig.run(['test', 'cucm-pub'])).toMatchObject({ status: 0 })
  expect(rig.daemonPid).toBe(pid)
}, 60_000)
