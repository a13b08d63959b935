import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkLines, fail, ok, statusOf, toCheckJson, warn } from '../../src/cli/doctor/check.ts'
import { checkCompletion } from '../../src/cli/doctor/completion.ts'
import {
  checkClock,
  checkConnections,
  checkKeyFiles,
  checkLeniency,
  checkOtherKey,
  checkWays,
} from '../../src/cli/doctor/house.ts'
import { checkProduction } from '../../src/cli/doctor/installation.ts'
import { checkOneStore, checkStateDirectory, judgeFileSystem } from '../../src/cli/doctor/state-directory.ts'
import { checkLocale, checkTerminal, tmuxWords } from '../../src/cli/doctor/terminal.ts'
import { resolvePaths } from '../../src/cli/paths.ts'
import type { ConnectionView } from '../../src/core/protocol.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const connection = (name: string, more: Partial<ConnectionView>) =>
  ({
    name,
    hostKey: { type: 'ssh-ed25519', fingerprint: 'SHA256:x' },
    credential: { type: 'sealed' },
    ...more,
  }) as unknown as ConnectionView

describe('the ways to connections', () => {
  const bastion = { id: 1, host: 'bastion', port: 22, via: null, hops: [], hold: null, loginHold: null }
  const hops = [{ id: 1, name: 'bastion', host: 'bastion', port: 22 }]
  const key = (fingerprint: string) => ({ hostKey: { type: 'ssh-ed25519', fingerprint } })
  const cucm = { id: 2, host: '10.0.0.1', port: 22, via: 1, hops, ...key('SHA256:y') }
  const check = (one: object, ...others: readonly object[]) =>
    checkWays([connection('bastion', one), connection('cucm', cucm), ...others.map((more) => connection('twin', more))])

  it('are nothing to speak of without jump hosts', () => {
    expect(checkWays([connection('bastion', bastion)])).toEqual([])
  })

  it('are shut when the jump host is', () => {
    expect(check(bastion)).toMatchObject([{ level: 'ok', message: '1 reached through bastion' }])
    expect(check({ ...bastion, hold: { by: 'bob' } })).toMatchObject([
      { level: 'warn', message: '1 connection is reached through bastion, which is on hold' },
    ])
    expect(check({ ...bastion, loginHold: { message: 'refused' } })).toMatchObject([
      { level: 'warn', fix: 'vosctl credentials set bastion' },
    ])
    expect(check({ ...bastion, hostKey: null, acceptNew: true })).toMatchObject([
      { level: 'warn', fix: 'vosctl connections trust bastion' },
    ])
  })

  it('are two to one machine when two of them show its key', () => {
    const direct = { ...bastion, id: 3, host: '192.0.2.1', ...key('SHA256:y') }
    expect(check(bastion, direct)).toMatchObject([
      { level: 'warn', message: expect.stringMatching(/^cucm and twin show one host key on two ways/) as string },
    ])
    expect(check(bastion, { ...cucm, id: 3 })).toMatchObject([{ level: 'ok' }])
  })
})

it.each([
  ['systemd', 'open', 'ok', 'handed over by systemd'],
  ['systemd', 'none', 'fail', 'systemd has handed over no key'],
  ['passphrase', 'open', 'ok', 'a passphrase, which was typed'],
  ['passphrase', 'locked', 'warn', 'the sealed store is locked: 2 in it'],
  ['passphrase', 'none', 'warn', 'the sealed store has no passphrase yet'],
] as const)('a key of %s that is %s is a check of level %s', (provider, state, level, message) => {
  expect(checkOtherKey({ provider, state, path: null, secrets: 2 })).toMatchObject({ level, message })
})

describe('a check', () => {
  it('is one line, and what is not ok is followed by what mends it', () => {
    expect(
      checkLines([ok('node', 'Node 24'), warn('terminal', 'small', 'Make it larger'), fail('k', 'usage', 'no', 'do')]),
    ).toEqual([
      'ok    node      Node 24',
      'warn  terminal  small',
      '      Make it larger',
      'FAIL  k         no',
      '      do',
    ])
  })

  it('cannot forge a line with a name that came from elsewhere', () => {
    const forged = fail('key', 'usage', 'a\nok    key  fine\u001b[2J', 'b\nc')
    expect(checkLines([forged])).toHaveLength(2)
    expect(checkLines([forged]).join('')).not.toContain('\u001b')
    expect(JSON.stringify(toCheckJson(forged))).not.toContain('\\u001b')
  })

  it.each([
    [0, [ok('a', ''), warn('b', '', '')]],
    [2, [ok('a', ''), fail('b', 'usage', '', '')]],
    [7, [fail('a', 'daemon', '', '')]],
    [7, [fail('a', 'usage', '', ''), fail('b', 'daemon', '', '')]],
  ] as const)('leads to exit %i', (status, checks) => {
    expect(statusOf(checks)).toBe(status)
  })
})

describe('the state directory', () => {
  it.each([
    [0o700, 'ok'],
    [0o755, 'fail'],
    [0o710, 'fail'],
  ] as const)('with mode %o: %s', (mode, level) => {
    const directory = temporaryDirectory()
    fs.chmodSync(directory, mode)
    const check = checkStateDirectory(resolvePaths({}, directory, '/'))
    expect(check.level).toBe(level)
    if (level === 'fail') expect(check.fix).toBe(`chmod 700 ${directory}`)
  })

  it('that is not there yet is no fault; one that is a file is', () => {
    const directory = temporaryDirectory()
    fs.writeFileSync(path.join(directory, 'file'), '')
    expect(checkStateDirectory(resolvePaths({}, path.join(directory, 'new'), '/')).level).toBe('ok')
    expect(checkStateDirectory(resolvePaths({}, path.join(directory, 'file'), '/')).level).toBe('fail')
  })

  it.skipIf(process.getuid?.() !== 0)('of somebody else names both', () => {
    const directory = temporaryDirectory()
    fs.chownSync(directory, 65_534, 65_534)
    const check = checkStateDirectory(resolvePaths({}, directory, '/'))
    expect(check).toMatchObject({ level: 'fail', about: 'daemon' })
    expect(check.message).toMatch(/nobody|65534/)
  })

  it.each([
    ['ext4', 0xef53, 'ok'],
    ['NFS', 0x6969, 'fail'],
    ['CIFS, as a negative number', 0xff534d42 | 0, 'fail'],
    ['tmpfs', 0x01021994, 'warn'],
  ] as const)('on %s', (_, type, level) => {
    expect(judgeFileSystem(type, '/x').level).toBe(level)
  })

  it('is the only one, or the other is named with what leads away from it', () => {
    const home = temporaryDirectory()
    const usual = resolvePaths({}, undefined, home)
    const env = { XDG_STATE_HOME: '/elsewhere' }
    const other = resolvePaths(env, undefined, home)
    expect(checkOneStore(other, env, home).level).toBe('ok')
    fs.mkdirSync(usual.stateDirectory, { recursive: true })
    fs.writeFileSync(usual.database, '')
    expect(checkOneStore(usual, {}, home).level).toBe('ok')
    expect(checkOneStore(other, env, home)).toMatchObject({ level: 'warn', fix: 'unset XDG_STATE_HOME' })
    const named = { ...env, VOSCTL_STATE_DIR: '/a' }
    expect(checkOneStore(resolvePaths(named, undefined, home), named, home).fix).toBe('unset VOSCTL_STATE_DIR')
    expect(checkOneStore(resolvePaths({}, '/b', home), {}, home).fix).toContain('--state-dir')
  })
})

describe('the clock', () => {
  const now = Date.parse('2026-11-28T12:00:00Z')
  it.each([
    ['agrees', now, now + 500, 'ok'],
    ['without a daemon', now, null, 'ok'],
    ['a minute apart', now, now - 60_000, 'warn'],
    ['of a machine without a battery', Date.parse('1970-01-02'), null, 'fail'],
    ['far ahead', Date.parse('2150-01-01'), null, 'fail'],
  ] as const)('%s', (_, here, there, level) => {
    expect(checkClock(here, there).level).toBe(level)
  })
})

describe('the connections', () => {
  it('have a pinned key and a credential, or each that has not is named with its command', () => {
    expect(checkConnections([connection('a', {}), connection('b', {})])).toMatchObject([{ level: 'ok' }])
    const bad = connection('web 1', { hostKey: null, credential: { type: 'none' } })
    expect(checkConnections([connection('a', {}), bad])).toMatchObject([
      { id: 'host-key', level: 'fail', about: 'usage', fix: 'vosctl connections trust "web 1"' },
      { id: 'credential', level: 'fail', about: 'usage', fix: 'vosctl credentials set "web 1"' },
    ])
    expect(checkConnections([])).toMatchObject([{ level: 'warn' }])
  })

  it('that take the first key need none, and are named every time', () => {
    const lab = connection('lab 1', { hostKey: null, acceptNew: true, algorithms: 'modern' })
    expect(checkConnections([lab])).toMatchObject([{ level: 'ok' }])
    expect(checkLeniency([lab], 0)).toMatchObject([
      { id: 'accept-new', level: 'warn', fix: 'vosctl connections edit "lab 1" --no-accept-new' },
    ])
  })

  it.each([
    [null, 'is allowed old algorithms without an end'],
    ['2026-11-27', 'were allowed until 2026-11-27: nothing connects there now'],
    ['2026-11-28', 'are allowed until 2026-11-28 only'],
    ['2026-12-28', 'are allowed until 2026-12-28 only'],
    ['2026-12-29', null],
  ])('with old algorithms until %s are told in time', (algorithmsUntil, words) => {
    const old = connection('old', { algorithms: 'legacy-vos', algorithmsUntil })
    const noon = new Date(2026, 10, 28, 12).getTime()
    const checks = checkLeniency([old], noon)
    expect(checks.map(({ id, level }) => [id, level])).toEqual(words === null ? [] : [['algorithms', 'warn']])
    if (words !== null) expect(checks[0]?.message).toContain(words)
    expect(checkLeniency([{ ...old, algorithms: 'modern' }], noon)).toEqual([])
  })

  it('have key files that nobody else may read', () => {
    const file = path.join(temporaryDirectory(), 'id')
    const keyed = [connection('a', { credential: { type: 'key', path: file } })]
    expect(checkKeyFiles(keyed)).toMatchObject([
      { level: 'fail', message: expect.stringContaining('no key file') as string },
    ])
    fs.writeFileSync(file, '', { mode: 0o600 })
    expect(checkKeyFiles(keyed)).toEqual([])
    fs.chmodSync(file, 0o640)
    expect(checkKeyFiles(keyed)).toMatchObject([{ level: 'fail', fix: `chmod 600 ${file}` }])
  })

  it('may have a key file that cannot even be looked at', () => {
    const file = path.join(temporaryDirectory(), 'id')
    fs.symlinkSync(file, file)
    expect(checkKeyFiles([connection('a', { credential: { type: 'key', path: file } })])).toMatchObject([
      { level: 'fail', message: expect.stringContaining('ELOOP') as string },
    ])
  })
})

describe('what is around it', () => {
  it('is production, as the launcher sets it', () => {
    expect(checkProduction({ NODE_ENV: 'production' }).level).toBe('ok')
    expect(checkProduction({ NODE_ENV: 'development' }).level).toBe('warn')
  })

  it.each([
    [{ LANG: 'en_GB.UTF-8' }, 'ok'],
    [{ LANG: 'C.utf8' }, 'ok'],
    [{ LANG: 'en_GB.UTF-8', LC_ALL: 'C' }, 'warn'],
    [{ LANG: 'C', LC_CTYPE: 'C.UTF-8' }, 'ok'],
    [{}, 'warn'],
  ] as const)('the locale %j', (env, level) => {
    expect(checkLocale(env).level).toBe(level)
  })

  it.each([
    ['3.3a', 'without'],
    ['3.4', 'with'],
    ['next-3.5', 'with'],
    ['2.9', 'without'],
    ['4.0', 'with'],
    ['openbsd', 'without'],
  ])('tmux %s is %s synchronised output', (version, word) => {
    expect(tmuxWords(version)).toContain(`, ${word} synchronised output`)
  })

  it.each([
    ['no terminal', {}, {}, ['ok']],
    ['a terminal', { isTTY: true, columns: 80, rows: 24 }, { LANG: 'C.UTF-8', TERM: 'xterm' }, ['ok', 'ok']],
    ['a small one', { isTTY: true, columns: 20, rows: 24 }, { LANG: 'C.UTF-8', TERM: 'xterm' }, ['warn', 'ok']],
    ['a dumb one', { isTTY: true, columns: 80, rows: 24 }, { LANG: 'C.UTF-8', TERM: 'dumb' }, ['warn', 'ok']],
  ] as const)('%s', async (_, stderr, env, levels) => {
    const checks = await checkTerminal({ stderr: stderr as NodeJS.WriteStream, env })
    expect(checks.map(({ level }) => level)).toEqual(levels)
  })

  it.each([
    ['/bin/bash', '.local/share/bash-completion/completions/vosctl', ''],
    ['/bin/bash', '.bashrc', 'source <(vosctl completion bash)'],
    ['/usr/bin/zsh', '.zfunc/_vosctl', ''],
    ['/usr/bin/fish', '.config/fish/completions/vosctl.fish', ''],
  ])('the completion of %s, found in %s', (shell, file, text) => {
    const home = temporaryDirectory()
    const before = checkCompletion({ SHELL: shell }, home)
    expect(before).toMatchObject([{ level: 'warn', fix: expect.stringContaining('vosctl completion ') as string }])
    fs.mkdirSync(path.dirname(path.join(home, file)), { recursive: true })
    fs.writeFileSync(path.join(home, file), text)
    expect(checkCompletion({ SHELL: shell }, home)).toMatchObject([{ level: 'ok' }])
  })

  it('its command can be pasted, wherever home is, and no relative variable leads it elsewhere', () => {
    const env = { SHELL: '/bin/bash', XDG_DATA_HOME: 'share' }
    expect(checkCompletion(env, '/home/o "$neil" b')).toMatchObject([
      {
        fix: `mkdir -p '/home/o "$neil" b/.local/share/bash-completion/completions' && vosctl completion bash > '/home/o "$neil" b/.local/share/bash-completion/completions/vosctl'`,
      },
    ])
  })

  it('says nothing about the completion of a shell that has none', () => {
    expect(checkCompletion({ SHELL: '/bin/dash' }, '/')).toEqual([])
    expect(checkCompletion({}, '/')).toEqual([])
  })
})
