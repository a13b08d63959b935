import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Operation } from '../../src/core/operation.ts'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, VOSCTL } from '../helpers/rig.ts'
import { bareShell, Tmux } from '../helpers/tmux.ts'
import { requireTool } from '../helpers/tools.ts'

const TIMEOUT = 120_000
const tmux = requireTool('tmux')
const less = requireTool('less')

/** Three connections, and on them three restarts that went well, one that failed and one that nobody can prove. */
async function lived(): Promise<Rig> {
  const rig = new Rig()
  for (const [name, scenario] of [
    ['cucm-good', 'publisher'],
    ['cucm-down', 'ends-stopped'],
    ['imp-doubt', 'started-only'],
  ] as const) {
    await rig.appliance(name, scenarios.get(scenario) as Scenario)
    await rig.run(['restart', name])
  }
  await rig.prepare(['restart', 'cucm-good'])
  await rig.prepare(['restart', 'cucm-good'])
  return rig
}

interface HistoryDocument {
  readonly items: readonly { readonly connection: { readonly name: string }; readonly status: Operation['status'] }[]
}

async function told(rig: Rig, ...args: readonly string[]): Promise<string[]> {
  const { stdout } = await rig.prepare(['history', ...args, '-o', 'json'])
  return (JSON.parse(stdout) as HistoryDocument).items.map(({ connection, status }) => `${connection.name} ${status}`)
}

/** What a person may get wrong. */
const WRONG = [
  [['history', 'cucm-god'], 'Did you mean cucm-good?'],
  [['history', 'zzz-*'], 'no connection matches "zzz-*"'],
  [['history', '--since', 'yesterday'], '--since is "yesterday", which is no time.'],
  [['history', '--since', '2026-02-31'], '--since is "2026-02-31", which is no time.'],
  [['history', '--since', '2999-01-01'], 'which is still to come'],
  [['history', '--stats', '--failed'], '--stats counts every run'],
] as const

describe('history', { timeout: TIMEOUT }, () => {
  it('is filtered by target, glob, verdict and time, the newest first in every format', async () => {
    const rig = await lived()
    const good = 'cucm-good completed'
    expect(await told(rig)).toEqual([good, good, 'imp-doubt unknown', 'cucm-down failed', good])
    expect(await told(rig, '--failed')).toEqual(['imp-doubt unknown', 'cucm-down failed'])
    expect(await told(rig, '--failed', 'cucm-*')).toEqual(['cucm-down failed'])
    expect(await told(rig, 'imp-doubt', 'cucm-down')).toEqual(['imp-doubt unknown', 'cucm-down failed'])
    expect(await told(rig, '-n', '1', '--since', '1h')).toEqual([good])
    const { items } = JSON.parse((await rig.prepare(['history', '-o', 'json'])).stdout) as {
      items: { id: string; completed_at: string }[]
    }
    expect(await told(rig, '--since', items[2]?.completed_at ?? '')).toHaveLength(3)
    const { stdout } = await rig.prepare(['history'])
    expect(
      stdout
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => /r-\w+/.exec(line)?.[0]),
    ).toEqual(items.map(({ id }) => id))
    expect((await rig.prepare(['history', '-o', 'name'])).stdout.trim().split('\n')).toEqual(items.map(({ id }) => id))
    for (const [args, words] of WRONG) {
      const { status, stdout, stderr } = await rig.run(args)
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
      expect(stderr).toContain(words)
    }
  })

  it('has statistics for each connection and service: what was sent, what of it went wrong, how long it takes', async () => {
    const rig = await lived()
    const { stdout } = await rig.prepare(['history', '--stats'])
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/  +/))
    expect(rows).toEqual([
      ['CONNECTION', 'WHAT', 'RUNS', 'FAILED', 'NOT SENT', 'P50', 'P90', 'LAST 20'],
      ['cucm-down', 'restart "Cisco Tomcat"', '1', '100%', '0', '-', '-', 'x'],
      [
        'cucm-good',
        'restart "Cisco Tomcat"',
        '3',
        '0%',
        '0',
        expect.any(String),
        expect.any(String),
        expect.stringMatching(/^[.:\-=*#]{3}$/),
      ],
      ['imp-doubt', 'restart "Cisco Tomcat"', '1', '100%', '0', '-', '-', '?'],
    ])
    const document = JSON.parse((await rig.prepare(['history', '--stats', 'cucm-good', '-o', 'json'])).stdout) as {
      items: { took_ms: { p50: number; p90: number }; recent: { took_ms: number }[] }[]
    }
    expect(document).toMatchObject({
      schema: 'vosctl/statistics/v1',
      since: null,
      items: [{ connection: { name: 'cucm-good' }, runs: 3, failed: 0, unknown: 0, not_sent: 0, failure_rate: 0 }],
    })
    const [item] = document.items
    const took = item?.recent.map(({ took_ms }) => took_ms).toSorted((a, b) => a - b) ?? []
    expect(item?.took_ms).toEqual({ p50: took[1], p90: took[2] })
    expect((await rig.run(['history', '--stats', '--since', '1ms'])).stderr).toBe('No restart has finished yet.\n')
  })
})

describe('logs', { timeout: TIMEOUT }, () => {
  it('show an ended operation and leave, also with -f; of a batch they name the operations', async () => {
    const rig = await young()
    await rig.appliance('cucm-down', scenarios.get('ends-stopped') as Scenario)
    const whole = await rig.prepare(['logs', 'last'])
    expect(whole.stdout).toMatch(/^\d\d:\d\d:\d\d {2}accepted restart "Cisco Tomcat" on cucm-good/)
    expect(whole.stdout).toMatch(/\n\d\d:\d\d:\d\d {2}\| Cisco Tomcat\[STARTED\]\n/)
    expect(await rig.prepare(['logs', 'last', '-f'])).toEqual(whole)
    expect((await rig.prepare(['logs', 'last', '-n', '1'])).stdout).toBe(`${whole.stdout.trim().split('\n').at(-1)}\n`)
    const { stderr } = await rig.run(['restart', 'cucm-good', 'cucm-down', '--yes'])
    const batch = /b-\w+/.exec(stderr)?.[0] ?? ''
    const refused = await rig.run(['logs', batch])
    expect(refused).toMatchObject({ status: 2, stdout: '' })
    expect(refused.stderr).toMatch(
      /is a batch of 2, .*\n {2}Say vosctl logs with one of: r-\w{6} \(cucm-down, failed\), r-\w{6} \(cucm-good, ok\)\n$/,
    )
  })
})

describe('the settings file', { timeout: TIMEOUT }, () => {
  const settle = (rig: Rig, text: string) => {
    fs.mkdirSync(rig.config, { recursive: true })
    fs.writeFileSync(path.join(rig.config, 'config.yaml'), text)
  }

  it('says how long history is kept; what was learned from it stays', async () => {
    const rig = new Rig()
    await rig.appliance('cucm-good', scenarios.get('publisher') as Scenario)
    for (let run = 0; run < 3; run++) await rig.prepare(['restart', 'cucm-good'])
    expect((await rig.prepare(['status'])).stdout).toContain('history is kept 400 days')
    await rig.prepare(['daemon', 'stop'])
    // As if the first two had ended three days ago.
    const db = openDatabase(path.join(rig.state, 'vosctl.db'))
    db.exec(`INSERT INTO operation_history SELECT id, connection_id, operation_type, status, started_at, completed_at,
      progress, message, error, metadata, created_by FROM active_operations WHERE operation_type = 'service_restart';
      DELETE FROM active_operations WHERE operation_type = 'service_restart';
      UPDATE operation_history SET completed_at = completed_at - 3 * 86400000 WHERE rowid < 3`)
    db.close()
    await rig.prepare(['daemon', 'start'])
    expect(await told(rig)).toHaveLength(3)

    settle(rig, 'history: 1d\n')
    await rig.prepare(['daemon', 'restart'])
    expect((await rig.prepare(['status'])).stdout).toContain('history is kept 1 day\n')
    expect(await told(rig)).toEqual(['cucm-good completed'])
    const { stdout } = await rig.prepare(['restart', 'cucm-good', '--dry-run', '-o', 'json'])
    expect(stdout).toMatch(/"samples": 3|"runs": 3/)
  })

  it('that is not understood keeps the daemon from starting, exit 2, and nothing is lost', async () => {
    const rig = new Rig()
    await rig.prepare(['ps'])
    await rig.prepare(['connections', 'add', 'cucm-pub', '--host', '127.0.0.1', '--username', 'admin', '--no-input'])
    settle(rig, '# ours\nhistroy: 90d\n')
    const pid = rig.daemonPid
    const words = `vosctl: ${rig.config}/config.yaml:2: unknown key "histroy". Did you mean history? Correct the file and try again. Nothing was begun, and nothing is lost.\n`
    expect(await rig.run(['daemon', 'restart'])).toEqual({ status: 2, stdout: '', stderr: words })
    expect((await rig.prepare(['daemon', 'status', '-o', 'name'])).stdout).toBe(`${pid}\n`)
    await rig.prepare(['daemon', 'stop'])
    expect(await rig.run(['ps'])).toEqual({ status: 2, stdout: '', stderr: words })
    const { stdout } = await rig.run(['ps', '-o', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'vosctl/error/v1', name: 'bad_config', exit_code: 2 })
    settle(rig, 'history: forever\n')
    expect((await rig.prepare(['status'])).stdout).toContain('history is kept for ever\n')
    expect((await rig.prepare(['connections', 'list'])).stdout).toContain('cucm-pub')
  })
})

/** Something that has ended, and something more. */
async function young(): Promise<Rig> {
  const rig = new Rig()
  await rig.appliance('cucm-good', scenarios.get('publisher') as Scenario)
  await rig.prepare(['test', 'cucm-good'])
  await rig.prepare(['restart', 'cucm-good'])
  return rig
}

/** A shell on a terminal of 120 x 4, so that everything is longer than the screen. */
class Pane extends Tmux {
  readonly #vosctl: string

  constructor(rig: Rig) {
    super({ socket: path.join(rig.directory, 'tmux'), columns: 120, rows: 4, command: bareShell({}) })
    onTestFinished(() => this.close())
    this.#vosctl = `VOSCTL_CONFIG_DIR=${rig.config} ${process.execPath} ${VOSCTL} --state-dir ${rig.state}`
  }

  type(before: string, args: string): void {
    this.line(`clear; env ${before} ${this.#vosctl} ${args}; echo "exit $?"`)
  }

  /** With what has scrolled away. */
  async says(pattern: RegExp): Promise<string> {
    await this.until(String(pattern), () => pattern.test(this.scrollback()))
    return this.scrollback()
  }

  clear(): void {
    this.run('send-keys', '-R')
    this.run('clear-history')
  }
}

describe.skipIf(tmux === null)('on a terminal', { timeout: TIMEOUT }, () => {
  it.skipIf(less === null)('history and logs go through less: Ctrl-C stays there, q leaves with 0', async () => {
    const pane = new Pane(await young())
    pane.type('', 'history')
    expect(await pane.says(/^:/m)).toMatch(/WHEN +OP +CONNECTION/)
    expect(pane.scrollback()).not.toContain('exit')
    pane.press('C-c')
    pane.press('G')
    await pane.says(/END/)
    pane.press('q')
    await pane.says(/^exit 0$/m)
    pane.clear()
    pane.type('', 'logs last')
    await pane.says(/^:/m)
    pane.press('q')
    await pane.says(/^exit 0$/m)
  })

  it('what fits is only printed, and so is everything with --no-pager, without a pager, and with cat', async () => {
    const pane = new Pane(await young())
    for (const [before, args] of [
      ['', 'history -n 1'],
      ['', 'history --no-pager'],
      ['PAGER=', 'history'],
      ['PAGER=cat', 'history'],
      ['PAGER=/no/such/pager', 'history'],
      ['PATH=/nowhere', 'history'],
      ['CI=1', 'history'],
      ['TERM=dumb', 'history'],
      ['', 'logs last -f'],
    ] as const) {
      pane.type(before, args)
      const text = await pane.says(/^exit 0$/m)
      expect(text, `${before} ${args}`).toMatch(/cucm-good[^]*exit 0/)
      pane.clear()
    }
  })

  it('PAGER is a command with arguments, which may leave before the end; a signal ends both', async () => {
    const rig = await young()
    const pane = new Pane(rig)
    pane.type(`PAGER="sed -n -e 's/^WHEN/paged/p' -e 2q"`, 'history')
    expect(await pane.says(/^exit 0$/m)).toMatch(/^paged +OP/m)
    const place = path.join(rig.directory, 'pager')
    pane.type(`PAGER="echo \\$PPID > ${place}; LESS=\\$LESS; echo less=\\$LESS; exec sleep 1000"`, 'history')
    await pane.says(/^less=FRX$/m)
    const client = execFileSync('sh', ['-c', `cat ${place}`], { encoding: 'utf8' }).trim()
    process.kill(Number(client), 'SIGTERM')
    await pane.says(/^exit 143$/m)
  })
})
