import { describe, expect, test } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, VOSCTL } from '../helpers/rig.ts'
import { PATIENCE_MS, Terminal, tmux } from '../helpers/terminal.ts'
import { until } from '../helpers/wait.ts'

/** The built program on a real terminal, with a real daemon and real SSH behind it. */

const WATCHABLE = { timeScale: 0.05 }

describe.skipIf(tmux === null)('restart on a terminal (needs tmux)', { timeout: 4 * PATIENCE_MS }, () => {
  async function open(name = 'publisher') {
    const rig = new Rig()
    const device = await rig.appliance('cucm-pub', scenarios.get(name) as Scenario, WATCHABLE)
    const terminal = new Terminal({
      directory: rig.directory,
      columns: 100,
      rows: 24,
      env: { VOSCTL_CONFIG_DIR: rig.config },
    })
    const vosctl = `${process.execPath} ${VOSCTL} --state-dir ${rig.state}`
    return { rig, device, terminal, vosctl }
  }

  test('what is finished and the verdict stay in the scrollback, and what was live is gone', async () => {
    const { terminal, vosctl } = await open()
    terminal.type(`${vosctl} restart cucm-pub; echo status $?`)
    await terminal.shows('STARTING')
    const after = await terminal.shows('status 0')
    expect(after.split('\n').slice(2, 6)).toEqual([
      'history 3',
      expect.stringMatching(/^r-\w{6} {2}restart "Cisco Tomcat" on cucm-pub \(127.0.0.1:\d+\) {3}accepted \S+$/),
      expect.stringMatching(
        /^\+ cucm-pub {2}Cisco Tomcat restarted in 0m\d\ds, seen STOPPING then STARTED {3}r-\w{6}$/,
      ),
      'status 0',
    ])
    expect(terminal.erasures()).toEqual([])
  })

  test('a failure shows what the device printed last, and what comes next', async () => {
    const { terminal, vosctl } = await open('ends-stopped')
    terminal.type(`${vosctl} restart cucm-pub; echo status $?`)
    const after = await terminal.shows('status 1')
    expect(after).toMatch(/\nx cucm-pub {2}the service is DOWN: "Cisco Tomcat" on cucm-pub is STOPPED/)
    expect(after).toMatch(
      /\n\n {2}\d\d:\d\d:\d\d {2}Cisco Tomcat\[STARTING\]\n {2}\d\d:\d\d:\d\d {2}Cisco Tomcat\[STOPPED\]\n/,
    )
    expect(after).toContain('vosctl restart cucm-pub -s "Cisco Tomcat" --start-stopped')
    expect(after).toMatch(/Whole transcript: vosctl logs r-\w{6}/)
  })

  test('Ctrl-C leaves with 130 and the way back, which ends with the verdict', async () => {
    const { terminal, vosctl, device } = await open()
    terminal.type(`${vosctl} restart cucm-pub; echo status $?`)
    await terminal.shows('STOPPING')
    terminal.press('C-c')
    const left = await terminal.shows('status 130')
    expect(left).toMatch(
      /\^C left r-\w{6} running on cucm-pub \(.+\)\.\n {2}Back: vosctl attach r-\w{6}\n {2}Stop: vosctl/,
    )
    expect(left).not.toContain('Ctrl-C leaves')
    terminal.line(`clear; ${vosctl} attach last; echo status $?`)
    const after = await terminal.shows('status 0')
    expect(after).toContain('seen STOPPING then STARTED')
    expect(device.ledger.restarts('Cisco Tomcat')).toHaveLength(1)
    expect(device.ledger.of('ctrl-c')).toEqual([])
  })

  test('a closed window takes the client with it and leaves the restart alone', async () => {
    const { rig, terminal, vosctl, device } = await open()
    terminal.type(`${vosctl} restart cucm-pub`)
    await terminal.shows('STOPPING')
    terminal.close()
    await until(
      'the restart has completed',
      async () => {
        const { stdout } = await rig.run(['status', 'last', '-o', 'json'])
        return stdout.includes('"status": "completed"')
      },
      PATIENCE_MS,
    )
    expect(device.ledger.restarts('Cisco Tomcat')).toHaveLength(1)
  })
})
