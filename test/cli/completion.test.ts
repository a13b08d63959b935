import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { completion } from '../../src/cli/commands/completion.ts'
import { readBashLine } from '../../src/cli/completion/bash-line.ts'
import { candidates } from '../../src/cli/completion/candidates.ts'
import { complete } from '../../src/cli/completion/complete.ts'
import { enter } from '../../src/cli/enter.ts'
import type { Io } from '../../src/cli/follow.ts'
import { Leaving } from '../../src/cli/leaving.ts'
import { readNames } from '../../src/cli/names.ts'
import { resolvePaths } from '../../src/cli/paths.ts'
import type { Names } from '../../src/core/names.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

/** The default of bash. */
const BREAKS = ' \t\n"\'@><=;|&(:'

const OPERATION = {
  id: 'r-7k2m9q',
  type: 'service_restart',
  service: 'Cisco Tomcat',
  status: 'in_progress',
  connection: 'cucm-pub',
  batch: 'b-41g0',
  open: false,
} as const
const NAMES: Names = {
  connections: [
    { id: 1, name: 'cucm-pub', platform: 'vos', service: 'Cisco Tomcat', services: ['Cisco Tftp', 'Cisco Tomcat'] },
    { id: 12, name: 'web-01', platform: 'linux', service: null, services: ['nginx.service'] },
  ],
  operations: [
    OPERATION,
    { ...OPERATION, id: 'r-7k3a1x', status: 'unknown', connection: 'web-01', open: true },
    { ...OPERATION, id: 't-5d2f8w', type: 'ssh_test', service: null, status: 'completed', batch: null },
  ],
}

function words(line: string, names = NAMES): string[] {
  return candidates(line.split(' '), () => names).words.map(({ word }) => word)
}

describe('what may come next', () => {
  it.each([
    ['restart ', ['cucm-pub', 'web-01']],
    ['restart cucm-pub ', ['web-01']],
    ['restart 1', ['1', '12', 'cucm-pub', 'web-01']],
    ['-q --timeout 30m restart ', ['cucm-pub', 'web-01']],
    ['history cucm-pub ', ['web-01']],
    ['history ', ['verify', 'cucm-pub', 'web-01']],
    ['history verify ', []],
    ['help history ', ['verify']],
    ['export ', ['r-7k2m9q', 'r-7k3a1x', 't-5d2f8w', 'b-41g0', 'last']],
    ['restart -s ', ['Cisco Tomcat', 'Cisco Tftp', 'nginx.service']],
    ['restart web-01 -s ', ['nginx.service']],
    ['restart 12 --service ', ['nginx.service']],
    ['restart web-01 --service=n', ['--service=nginx.service']],
    ['restart cucm-* -s ', ['Cisco Tomcat', 'Cisco Tftp']],
    ['restart nobody -s ', ['Cisco Tomcat', 'Cisco Tftp', 'nginx.service']],
    ['cancel ', ['r-7k2m9q', 'last']],
    ['ack ', ['r-7k3a1x', 'last']],
    ['logs ', ['r-7k2m9q', 'r-7k3a1x', 't-5d2f8w', 'last']],
    ['attach ', ['r-7k2m9q', 'r-7k3a1x', 't-5d2f8w', 'b-41g0', 'last']],
    ['wait r-7k2m9q r-7k3a1x ', ['t-5d2f8w', 'last']],
    ['verify ', ['r-7k2m9q', 'r-7k3a1x', 't-5d2f8w', 'last', 'cucm-pub', 'web-01']],
    ['logs -fn 5 ', ['r-7k2m9q', 'r-7k3a1x', 't-5d2f8w', 'last']],
    ['logs -n ', []],
    ['restart x --if-running ', ['refuse', 'attach', 'skip', 'queue']],
    ['ps -o ', ['text', 'json', 'jsonl', 'name']],
    ['ps --output=', ['--output=text', '--output=json', '--output=jsonl', '--output=name']],
    ['connections add x --algorithms ', ['modern', 'legacy-vos']],
    ['connections add x --platform ', ['vos', 'linux']],
    ['conn trust ', ['cucm-pub', 'web-01']],
    ['connections add ', []],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['credentials ', ['set', 'test', 'remove']],
    ['help credentials ', ['set', 'test', 'remove']],
    ['nonsense ', []],
    ['conn nonsense ', []],
    ['restart -- -', ['cucm-pub', 'web-01']],
    ['ps ', []],
  ])('behind "%s"', (line, expected) => {
    expect(words(line)).toEqual(expected)
  })

  it('is a command, or help, where none is named; and a topic behind help', () => {
    expect(words('')).toEqual(expect.arrayContaining(['restart', 'watch', 'connections', 'completion', 'help']))
    expect(words('help ')).toEqual(expect.arrayContaining(['restart', 'cron', 'exit-codes']))
    expect(words('help ')).not.toContain('help')
  })

  it('is a flag of the command, or of every command, behind a dash', () => {
    expect(words('restart -')).toEqual(expect.arrayContaining(['--service', '--parallel', '--quiet', '--help']))
    expect(words('ps --')).not.toContain('--service')
    expect(words('-')).toContain('--version')
  })

  it('is a connection where a flag names one', () => {
    const named = NAMES.connections.map(({ name }) => name)
    expect(words('connections edit x --via ').toSorted()).toEqual(named.toSorted())
    expect(words('connections edit x --credential ')).toEqual(['sealed', 'prompt', 'none'])
  })

  it('is a file where a flag names one', () => {
    for (const line of ['connections add x --key ', 'ps --state-dir ', 'ps --state-dir=/'])
      expect(candidates(line.split(' '), () => NAMES)).toEqual({ words: [], files: true })
  })

  it('says what an operation is, so that its id need not be known', () => {
    const [first] = candidates(['attach', ''], () => NAMES).words
    expect(first).toEqual({ word: 'r-7k2m9q', about: 'restart "Cisco Tomcat" on cucm-pub: in progress' })
  })

  it('leaves out what cannot be drawn as it is, and reads no names where none are wanted', () => {
    const [connection] = NAMES.connections
    const services = ['a\nb', 'c\u001b[2J', 'd\u202e', 'x\ty', 'good one']
    expect(words('restart -s ', { ...NAMES, connections: [{ ...connection!, service: null, services }] })).toEqual([
      'good one',
    ])
    candidates(['conn', ''], () => expect.fail('read the names'))
  })
})

describe('a line of bash', () => {
  it.each([
    ['vosctl restart cucm-pub -s ', 'Cisco Tomcat', 'Cisco\\ Tomcat'],
    ['vosctl restart cucm-pub -s Cisco\\ T', 'Cisco Tomcat', 'Cisco\\ Tomcat'],
    ['vosctl restart cucm-pub -s "Cisco T', 'Cisco Tomcat', 'Cisco Tomcat'],
    ["vosctl restart cucm-pub -s 'Cis", 'Cisco Tomcat', 'Cisco Tomcat'],
    ['vosctl restart cucm-pub --service=Ci', '--service=Cisco Tomcat', 'Cisco\\ Tomcat'],
    ['vosctl restart cucm-pub --service="Ci', '--service=Cisco Tomcat', 'Cisco Tomcat'],
    ['vosctl restart web -s getty@tt', 'getty@tty1.service', 'tty1.service'],
    ['vosctl restart web -s getty\\@tt', 'getty@tty1.service', 'getty@tty1.service'],
    ['vosctl restart $name', '$name', null],
    ['vosctl restart "`x', '`x', null],
    ['vosctl restart "x', 'x!y', null],
    ['vosctl restart cu', 'web-01', null],
  ])('%s completed with %s', (line, candidate, expected) => {
    expect(readBashLine(line, BREAKS).complete(candidate)).toBe(expected)
  })

  it('is cut into the words that the program would get', () => {
    expect(readBashLine(`vosctl --state-dir=/s  restart "a b" 'c'd e\\ f "" g`, BREAKS).words).toEqual([
      'vosctl',
      '--state-dir=/s',
      'restart',
      'a b',
      'cd',
      'e f',
      '',
      'g',
    ])
    expect(readBashLine('vosctl ps ', BREAKS).words).toEqual(['vosctl', 'ps', ''])
  })

  it('completed with any name at all is that name to bash again, and runs nothing', () => {
    const hostile = fc.string({
      unit: fc.oneof(
        fc.constantFrom(...'\'"\\$`;|&<>(){}[]*?~!#=%^ -ab./@:'),
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
      ),
      minLength: 1,
      maxLength: 24,
    })
    const name = fc.oneof(
      hostile,
      fc.constantFrom('$(touch pwned)', '`touch pwned`', "';touch pwned;'", '";touch pwned;"'),
    )
    const begun = fc.record({ name, quote: fc.constantFrom('', '"', "'"), typed: fc.nat(8) })
    fc.assert(
      fc.property(fc.array(begun, { minLength: 1, maxLength: 60 }), (all) => {
        const wanted: string[] = []
        const lines = all.flatMap(({ name, quote, typed }) => {
          if (/[\0-\u001f\u007f-\u009f]/.test(name)) return []
          // A person begins to type the name, right for the quotes that stand.
          const start = readBashLine(`show ${quote}`, '').complete(name.slice(0, typed))
          if (start === null) return []
          const line = `show ${quote}${start}`
          const rest = readBashLine(line, '').complete(name)
          if (rest === null) return []
          wanted.push(name)
          // Readline puts it behind the quote that is open.
          const stands = quote === "'" ? line.slice(0, line.lastIndexOf("'") + 1) : `show ${quote}`
          return `${stands}${rest}${quote}`
        })
        expect(bash(lines)).toEqual(wanted)
      }),
      { numRuns: 40 },
    )
  })
})

/** The argument that each line gives to `show`, as a real bash reads it. */
function bash(lines: readonly string[]): string[] {
  const cwd = temporaryDirectory()
  const input = `show() { printf '%s\\0' "$1"; }\n${lines.join('\n')}\n`
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-s'], { input, cwd, encoding: 'utf8' })
  expect({ stderr, files: fs.readdirSync(cwd) }).toEqual({ stderr: '', files: [] })
  return stdout.split('\0').slice(0, -1)
}

describe('the answer to a shell', () => {
  function house(names: unknown = NAMES): string {
    const state = temporaryDirectory()
    fs.mkdirSync(path.join(state, 'run'), { mode: 0o700 })
    const text = typeof names === 'string' ? names : JSON.stringify(names)
    fs.writeFileSync(path.join(state, 'run', 'names.json'), text, { mode: 0o600 })
    return state
  }

  it('is a line for each candidate; bash gets it quoted, and what an id means only where it lists', () => {
    const env = { VOSCTL_STATE_DIR: house() }
    const ask = (...argv: string[]) => complete(argv, env)
    expect(ask('bash', 'vosctl restart cucm-pub -s Ci', BREAKS, '9')).toEqual(['Cisco\\ Tomcat', 'Cisco\\ Tftp'])
    expect(ask('bash', 'vosctl cancel ', BREAKS, '9')).toEqual(['r-7k2m9q', 'last'])
    expect(ask('bash', 'vosctl cancel ', BREAKS, '63')).toEqual([
      'r-7k2m9q  (restart "Cisco Tomcat" on cucm-pub: in progress)',
      'last',
    ])
    expect(ask('fish', 'restart', 'c')).toEqual(['cucm-pub\tid 1, vos, Cisco Tomcat', 'web-01\tid 12, linux'])
    expect(ask('zsh', 'ps', '--state-dir', '')).toEqual([':files'])
    expect(complete(['powershell', 'ps'], env)).toBeNull()
  })

  it('is about the state directory that the line names', () => {
    const state = house()
    expect(complete(['zsh', '--state-dir', state, 'hold', ''], {})).toHaveLength(2)
    expect(complete(['bash', `vosctl --state-dir=${state} hold `, BREAKS], {})).toEqual(['cucm-pub', 'web-01'])
  })

  it.each([
    ['nothing', ''],
    ['half of it', JSON.stringify(NAMES).slice(0, 80)],
    ['another document', '[]'],
    ['another shape', JSON.stringify({ connections: [{ id: 1, name: 7, services: [] }], operations: [] })],
    ['null', 'null'],
  ])('is without names, and without a word, where the file holds %s', (_, text) => {
    const env = { VOSCTL_STATE_DIR: house(text) }
    expect(complete(['zsh', 'restart', ''], env)).toEqual([])
    expect(complete(['zsh', 'daemon', ''], env)).toHaveLength(9)
  })

  it('comes from a house without a daemon, and from a place that is none, and starts nothing', async () => {
    const state = path.join(temporaryDirectory(), 'none')
    for (const stateDir of [state, 'relative', '/dev/null', `/${'x'.repeat(200)}`]) {
      const [stdout, stderr] = [new PassThrough(), new PassThrough()]
      const io = { stdin: new PassThrough(), stdout, stderr, env: { VOSCTL_STATE_DIR: stateDir } } as unknown as Io
      expect(await enter(['complete', 'zsh', 'restart', ''], io, new Leaving(() => undefined))).toBe(0)
      expect([stdout.read(), stderr.read()]).toEqual([null, null])
    }
    expect(fs.existsSync(state)).toBe(false)
  })

  it('comes from a file of the daemon that a newer one has written more into', () => {
    const state = house({ ...NAMES, groups: ['core'], connections: [{ ...NAMES.connections[0], tags: [] }] })
    expect(readNames(resolvePaths({}, state, '/nowhere')).connections.map(({ name }) => name)).toEqual(['cucm-pub'])
  })
})

describe('vosctl completion', () => {
  it('refuses another shell with the one that was probably meant', async () => {
    const refused = completion({ print: () => expect.fail('printed') }, 'zhs')
    await expect(refused).rejects.toMatchObject({
      code: 'bad_request',
      message: 'no completion for "zhs". Did you mean zsh?',
      hint: 'Say one of: bash, zsh, fish.',
    })
  })
})
