import os from 'node:os'
import { describe, expect, it } from 'vitest'
import { ACTIONS } from '../../src/cli/actions.ts'
import { isCommand, type CommandSpec } from '../../src/cli/command-spec.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { toStartRequest } from '../../src/cli/commands/restart.ts'
import { toChange } from '../../src/cli/commands/connections.ts'
import { parseCommandLine } from '../../src/cli/program.ts'

function parse(line: string) {
  const { name, words, options } = parseCommandLine(line.split(' ').map((word) => word.replaceAll('_', ' ')))
  return { name, args: words, options }
}

describe('the command line', () => {
  it.each([
    ['ps', 'ps', [], {}],
    ['restart a b c', 'restart', ['a', 'b', 'c'], {}],
    ['restart a -s Cisco_Tomcat -d', 'restart', ['a'], { service: 'Cisco Tomcat', detach: true }],
    ['restart a -dq', 'restart', ['a'], { detach: true, quiet: true }],
    ['-q restart a --timeout 30s', 'restart', ['a'], { quiet: true, timeout: 30_000 }],
    ['--no-input --no-start restart a -y', 'restart', ['a'], { input: false, start: false, yes: true }],
    ['--state-dir /s ps -o json', 'ps', [], { stateDir: '/s', output: 'json' }],
    [
      'restart a --if-running queue --if-recent skip:6h',
      'restart',
      ['a'],
      { ifRunning: 'queue', ifRecent: 21_600_000 },
    ],
    ['restart - --parallel 3 --if-running attach', 'restart', ['-'], { parallel: 3, ifRunning: 'attach' }],
    ['restart a --deadline 10m --start-stopped', 'restart', ['a'], { deadline: 600_000, startStopped: true }],
    ['status', 'status', [], {}],
    ['status cucm-pub', 'status', ['cucm-pub'], {}],
    ['logs last -fn 5', 'logs', ['last'], { follow: true, lines: 5 }],
    ['conn list', 'connections list', [], {}],
    [
      'connections add x --host h --username u --port 2222 --no-echo',
      'connections add',
      ['x'],
      { host: 'h', username: 'u', port: 2222, echo: false },
    ],
    ['connections edit x --echo --no-sudo', 'connections edit', ['x'], { echo: true, sudo: false }],
    [
      'connections add x --timing prompt=2m --timing poll=1s',
      'connections add',
      ['x'],
      { timing: { promptMs: 120_000, pollMs: 1000 } },
    ],
    ['daemon stop --drain', 'daemon stop', [], { drain: true }],
    ['demo --fail', 'demo', [], { fail: true }],
    ['ps --no-color', 'ps', [], { color: false }],
  ])('%s', (line, name, args, options) => {
    expect(parse(line)).toEqual({ name, args, options })
  })

  it.each([
    ['restat x', 'unknown command "restat". Did you mean restart?', 'See: vosctl help'],
    ['restart', 'missing required argument "target".', 'See: vosctl help restart'],
    ['restart a --quite', 'unknown option "--quite". Did you mean --quiet?', 'See: vosctl help restart'],
    ['ps extra', 'too many arguments for "ps". Expected 0 arguments but got 1: extra.', 'See: vosctl help ps'],
    ['connections lsit', 'unknown command "connections lsit". Did you mean list?', 'See: vosctl help connections'],
    [
      'daemon',
      'daemon needs a command: start, stop, restart, status, logs, run, install, uninstall, token.',
      'See: vosctl help daemon',
    ],
    ['ps -o xml', '--output is "xml".', 'Say one of: text, json, jsonl, name.'],
    ['restart a --parallel 0', '--parallel is "0".', 'Say a whole number from 1 to 1000.'],
    ['restart a --if-running later', '--if-running is "later".', 'Say one of: refuse, attach, skip, queue.'],
    ['restart a --if-recent 6h', '--if-recent is "6h".', 'Say allow, or for example skip:6h.'],
    ['-q', 'no command was named.', 'See: vosctl help'],
    ['physician', 'unknown command "physician".', 'See: vosctl help'],
    ['verfy r-1', 'unknown command "verfy". Did you mean verify?', 'See: vosctl help'],
    ['hold', 'missing required argument "target".', 'See: vosctl help hold'],
  ])('%s is refused in one sentence', (line, message, hint) => {
    expect(() => parse(line)).toThrow(expect.objectContaining({ code: 'bad_request', message, hint }))
  })
})

describe('what is asked of the daemon', () => {
  it('holds nothing that was not said', () => {
    expect(toStartRequest('service_restart', [3], {}, 'alice')).toEqual({
      requestId: expect.stringMatching(/^[0-9a-f]{8}-/) as string,
      operationType: 'service_restart',
      connectionIds: [3],
      createdBy: 'alice',
    })
  })

  it('holds everything that was said, in the words of the contract', () => {
    const options = {
      service: 'Cisco Tomcat',
      ifRunning: 'skip',
      startStopped: true,
      cutSession: true,
      parallel: 2,
      deadline: 60_000,
      reason: 'weekly',
      dryRun: true,
    } as const
    expect(toStartRequest('service_restart', [3, 1], options, 'alice')).toMatchObject({
      connectionIds: [3, 1],
      service: 'Cisco Tomcat',
      ifRunning: 'skip',
      startStopped: true,
      cutSession: true,
      parallel: 2,
      deadlineMs: 60_000,
      reason: 'weekly',
      dryRun: true,
    })
  })

  it('never uses a request id twice', () => {
    const ids = [1, 2, 3].map(() => toStartRequest('ssh_test', [1], {}, 'a').requestId)
    expect(new Set(ids).size).toBe(3)
  })

  it('changes of a connection: what was not named is not in it, and an empty service means none', () => {
    expect(toChange({})).toEqual({})
    expect(toChange({ service: '', echo: false, timing: { pollMs: 5 } })).toEqual({
      service: null,
      echo: false,
      timings: { pollMs: 5 },
    })
    expect(toChange({ key: 'id' }).keyPath).toMatch(/^\/.*\/id$/)
    expect(toChange({ credential: 'key:id' })).toEqual(toChange({ key: 'id' }))
    expect(toChange({ credential: 'key:~/id' }).keyPath).toBe(`${os.userInfo().homedir}/id`)
    expect(toChange({ credential: 'helper:ops' })).toEqual({ credential: 'helper:ops' })
    expect(() => toChange({ key: 'id', credential: 'prompt' })).toThrow('a connection has one credential')
  })
})

describe('history verify', () => {
  const HEAD = `12:${'0a'.repeat(32)}`

  it('is a command of its own beside the targets of history, and takes the heads that somebody noted', () => {
    expect(parseCommandLine(['history', 'cucm-pub', 'web-*'])).toMatchObject({
      name: 'history',
      words: ['cucm-pub', 'web-*'],
    })
    expect(parseCommandLine(['history', '-n', '5'])).toMatchObject({ name: 'history', words: [] })
    const parsed = parseCommandLine(['history', 'verify', '--head', HEAD, '--head', HEAD.toUpperCase(), '-q'])
    const head = { cursor: 12, hash: '0a'.repeat(32) }
    expect(parsed).toMatchObject({ name: 'history verify', options: { head: [head, head], quiet: true } })
    expect(() => parseCommandLine(['history', 'verify', 'cucm-pub'])).toThrow('too many arguments')
  })

  it.each(['12', '12:', `12:${'0a'.repeat(31)}`, `-1:${'0a'.repeat(32)}`, `${HEAD} `])(
    'refuses the head "%s"',
    (head) => {
      expect(() => parseCommandLine(['history', 'verify', '--head', head])).toThrow('--head is')
    },
  )
})

it.each([
  ['--credential', 'nonsense', 'which names no source'],
  ['--credential', 'agent:SHA256:abc', 'which names no source'],
  ['--credential', 'key:', 'which names no source'],
  ['--passphrase-from', 'prompt', 'which gives no passphrase'],
  ['--until', 'tomorrow', 'which is no day'],
  ['--until', '2027-13-01', 'which is no day'],
])('says what is wrong with %s %s, before anybody is asked', (flag, value, why) => {
  const words = ['connections', 'edit', 'cucm-pub', flag, value]
  expect(() => parseCommandLine(words)).toThrow(`${flag} is "${value}", ${why}.`)
})

it.each([
  ['connections trst cucm-pub', 'unknown command "connections trst". Did you mean trust?', 'vosctl help connections'],
  ['daemon tokn list', 'unknown command "daemon tokn". Did you mean token?', 'vosctl help daemon'],
  ['daemon token revok ci', 'unknown command "daemon token revok". Did you mean revoke?', 'vosctl help daemon token'],
  ['history verify cucm-pub', 'too many arguments for "verify"', 'vosctl help history verify'],
  ['conn edit x --credentail y', 'unknown option "--credentail". Did you mean --credential?', 'help connections edit'],
])('of "%s" it says what was meant, and which page to read', (line, message, page) => {
  const refused = { message: expect.stringContaining(message), hint: expect.stringMatching(new RegExp(`${page}$`)) }
  expect(() => parseCommandLine(line.split(' '))).toThrow(expect.objectContaining(refused))
})

it('does something for every command that it knows, and knows every command that it does', () => {
  const names = (specs: readonly CommandSpec[], parents: readonly string[]): string[] =>
    specs.flatMap((spec) => {
      const path = [...parents, spec.name]
      return [...(isCommand(spec) ? [path.join(' ')] : []), ...names(spec.commands ?? [], path)]
    })
  expect(names(COMMANDS, []).toSorted()).toEqual(Object.keys(ACTIONS).toSorted())
})
