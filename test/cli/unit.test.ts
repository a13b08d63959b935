import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { difference } from '../../src/cli/commands/unit.ts'
import { resolvePaths } from '../../src/cli/paths.ts'
import { namedStateDirectory, programOf, serves, startsThisProgram, unitFile, unitText } from '../../src/cli/unit.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'

const ANALYZE = requireTool('systemd-analyze')
const USUAL = resolvePaths({}, undefined, '/home/alice')
const STRANGE = resolvePaths({}, '/srv/a b/100%/$HOME "quoted"', '/home/alice')

/** What systemd says against a unit; nothing is what it says about a good one. */
function complaints(text: string, scope: '--user' | '--system'): string {
  const directory = temporaryDirectory()
  const file = path.join(directory, 'vosctl.service')
  fs.writeFileSync(file, text)
  // A user's systemd keeps things where the session says; no session is needed to read a unit.
  const env = { ...process.env, XDG_RUNTIME_DIR: directory }
  return spawnSync(ANALYZE ?? '', [scope, 'verify', file], { env, encoding: 'utf8' }).stderr
}

describe('the unit', () => {
  it('runs the daemon of one state directory with this Node, and never ends it for being idle', () => {
    const text = unitText(USUAL)
    const line = text.split('\n').find((line) => line.startsWith('ExecStart='))
    expect(line).toMatch(
      /^ExecStart=\/.*\/bin\/node --.* \/.*\/bin\/vosd --state-dir \/home\/alice\/.local\/state\/vosctl /,
    )
    expect(line).toContain(' --config-dir /home/alice/.config/vosctl ')
    expect(line).not.toContain('--auto')
    expect(text).toContain('\nType=exec\n')
    expect(text).toContain('\nRestart=on-failure\n')
    expect(text).toContain('\nWantedBy=default.target\n')
  })

  it('quotes for systemd what a path may hold', () => {
    const text = unitText(STRANGE)
    expect(text).toContain(` --state-dir "/srv/a b/100%%/$$HOME \\"quoted\\"" `)
    expect(text).toContain('\nStandardOutput=append:/srv/a b/100%%/$HOME "quoted"/daemon.log\n')
  })

  it('refuses a path that would be a line of its own', () => {
    const paths = resolvePaths({}, '/srv/a\nExecStart=/bin/false', '/home/alice')
    expect(() => unitText(paths)).toThrow(expect.objectContaining({ code: 'state_directory' }))
  })

  it('for root names the user, and leaves the log to root', () => {
    const text = unitText(USUAL, { user: 'alice' })
    expect(text).toContain('\nUser=alice\n')
    expect(text).toContain('\nWantedBy=multi-user.target\n')
    expect(text).not.toContain('StandardOutput')
  })

  it('has no core files, no new rights and a clean environment, and keeps the code that V8 writes', () => {
    for (const text of [unitText(USUAL), unitText(USUAL, { user: 'alice' })]) {
      expect(text).toMatch(/^LimitCORE=0$/m)
      expect(text).toMatch(/^NoNewPrivileges=yes$/m)
      expect(text).toMatch(/^UMask=0077$/m)
      expect(text).toMatch(/^UnsetEnvironment=.*NODE_OPTIONS.*LD_PRELOAD.*SSH_AUTH_SOCK$/m)
      expect(text).toMatch(/^ExecStart=.* --disable-sigusr1 /m)
      expect(text).not.toContain('MemoryDenyWriteExecute')
    }
  })

  it('of a user asks for nothing that needs a mount namespace, in which root would seem to be nobody', () => {
    expect(unitText(USUAL)).not.toMatch(/^(?:Protect|Private|ReadWritePaths|CapabilityBoundingSet)/m)
  })

  it('for root lets the daemon write in its own directories only', () => {
    const text = unitText(STRANGE, { user: 'alice' })
    expect(text).toMatch(/^ProtectSystem=strict$/m)
    expect(text).toContain(`\nReadWritePaths='-/srv/a b/100%%/$HOME "quoted"' -/home/alice/.config/vosctl\n`)
  })

  it('leaves /tmp to a daemon whose state is there', () => {
    const at = (state: string) => unitText(resolvePaths({}, state, '/home/alice'), { user: 'alice' })
    expect(at('/tmp/x')).not.toContain('PrivateTmp')
    expect(at('/var/tmp/x')).not.toContain('PrivateTmp')
    expect(at('/tmpx')).toContain('PrivateTmp=yes')
  })

  // What systemd counts from 0 to 10; a unit with nothing in it has 9.6.
  it.skipIf(ANALYZE === null).each([
    ['of a user', unitText(USUAL), 80],
    ['for root', unitText(USUAL, { user: 'alice' }), 35],
  ] as const)('%s is confined as far as systemd counts', (_, text, threshold) => {
    const file = path.join(temporaryDirectory(), 'vosctl.service')
    const exposed = (text: string) => {
      fs.writeFileSync(file, text)
      const args = ['security', '--offline=true', `--threshold=${threshold}`, '--no-pager', file]
      return spawnSync(ANALYZE ?? '', args, { encoding: 'utf8' }).status
    }
    expect(exposed(text)).toBe(0)
    expect(exposed(text.replace('NoNewPrivileges=yes\n', '').replaceAll(/^(?:Restrict|Protect).*\n/gm, ''))).not.toBe(0)
  })

  it.skipIf(ANALYZE === null).each([
    ['of a user', unitText(USUAL), '--user'],
    ['with a strange path', unitText(STRANGE), '--user'],
    ['for root', unitText(USUAL, { user: 'root' }), '--system'],
    ['for root with a strange path', unitText(STRANGE, { user: 'root' }), '--system'],
  ] as const)('%s is one that systemd understands', (_, text, scope) => {
    expect(complaints(text, scope)).toBe('')
    expect(complaints(text.replace('Restart=', 'Restrat='), scope)).toContain('Restrat')
  })

  it('lies where the systemd of this user looks', () => {
    expect(unitFile({ XDG_CONFIG_HOME: '/x' })).toBe('/x/systemd/user/vosctl.service')
    expect(unitFile({ XDG_CONFIG_HOME: 'relative' })).toMatch(/\/\.config\/systemd\/user\/vosctl\.service$/)
  })
})

describe('a unit that is found', () => {
  const handmade = '[Service]\nExecStart=/usr/local/bin/vosctl daemon run\n'

  it.each([
    ['ours', unitText(USUAL), USUAL, true],
    ['ours with a strange path', unitText(STRANGE), STRANGE, true],
    ['of another state directory', unitText(STRANGE), USUAL, false],
    [
      'of a state directory with a longer name',
      unitText(resolvePaths({}, `${USUAL.stateDirectory}2`, '/')),
      USUAL,
      false,
    ],
    ['made by hand, in the usual place', handmade, USUAL, true],
    ['made by hand, elsewhere', handmade, STRANGE, false],
  ] as const)('%s: serves %#', (_, text, paths, expected) => {
    expect(serves(text, paths)).toBe(expected)
  })

  it('names its state directory and its program', () => {
    expect(namedStateDirectory(unitText(USUAL))).toBe('/home/alice/.local/state/vosctl')
    expect(namedStateDirectory(unitText(STRANGE))).toBe(STRANGE.stateDirectory)
    expect(namedStateDirectory(handmade)).toBeNull()
    expect(programOf(unitText(USUAL))).toBe(process.execPath)
    expect(programOf('[Service]\nExecStart="/opt/my node/100%%/node" x\n')).toBe('/opt/my node/100%/node')
    expect(programOf('[Service]\n')).toBe('')
  })

  it('starts this program or another one', () => {
    expect(startsThisProgram(unitText(USUAL))).toBe(true)
    expect(startsThisProgram(handmade)).toBe(false)
  })

  it('is compared line by line, with nothing in it that could move a cursor', () => {
    expect(difference('a\nNice=5\u001b[2J\n', 'a\nNice=0\n')).toEqual(['- Nice=5␛', '+ Nice=0'])
    expect(difference('a\nb\n', 'b\na\n')).toEqual(['the same lines in another order; it would become', '  b', '  a'])
  })
})
