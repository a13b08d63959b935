import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { DEFAULT_SETTINGS, parseSettings, readSettings, settingsWords } from '../../src/daemon/settings.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const DAY = 86_400_000
const FILE = '/home/alice/.config/vosctl/config.yaml'

describe('the settings file', () => {
  it.each([
    ['history: 90d\n', 90 * DAY],
    ['# all that is known\nhistory: "2y"', 730 * DAY],
    ["history: '1d12h'", 1.5 * DAY],
    ['history: forever\n', null],
    ['', 400 * DAY],
    ['# nothing yet\n', 400 * DAY],
  ])('%j keeps history for %d ms', async (text, historyMs) => {
    expect(await parseSettings(text, FILE)).toEqual({ ...DEFAULT_SETTINGS, historyMs })
  })

  it.each([
    ['listen: 127.0.0.1:8443\n', { listen: [{ host: '127.0.0.1', port: 8443 }] }],
    [
      'listen:\n  - 127.0.0.1:0\n  - "[::1]:8443"\n',
      {
        listen: [
          { host: '127.0.0.1', port: 0 },
          { host: '::1', port: 8443 },
        ],
      },
    ],
    ['listen: []\n', { listen: [] }],
    ['origins: https://ops.example\n', { origins: ['https://ops.example'] }],
    [
      'origins: [http://localhost:5173, "https://[::1]:8443"]\n',
      { origins: ['http://localhost:5173', 'https://[::1]:8443'] },
    ],
    ['hosts: [Ops.Example:8443, "[::1]:1"]\n', { hosts: ['ops.example:8443', '[::1]:1'] }],
    ['polling: true\n', { polling: true }],
    ['tls: { certificate: /c, key: "/k" }\n', { tls: { certificate: '/c', key: '/k', clients: null } }],
    [
      'listen: 0.0.0.0:8443\ntls:\n  clients: /a\n  certificate: /c\n  key: /k\n',
      { listen: [{ host: '0.0.0.0', port: 8443 }], tls: { certificate: '/c', key: '/k', clients: '/a' } },
    ],
  ])('%j opens the network door as it says', async (text, settings) => {
    expect(await parseSettings(text, FILE)).toEqual({ ...DEFAULT_SETTINGS, ...settings })
  })

  it.each([
    'localhost:8443', // a name leads wherever somebody has it lead
    '127.0.0.1',
    ':8443',
    '127.0.0.1:65536',
    '127.0.0.1:08443',
    '127.0.0.1:-1',
    '127.1:8443',
    '0177.0.0.1:8443',
    '2130706433:8443',
    '::1:8443',
    '"[::1%lo]:8443"',
    '"[::ffff:127.0.0.1]:8443"',
    '"[::ffff:7f00:1]:8443"',
    '"[0:0:0:0:0:ffff:7f00:1]:8443"',
    'https://127.0.0.1:8443',
    '/run/vosd.sock',
    'true',
  ])('listen: %s is no address', async (value) => {
    const message = expect.stringMatching(/:1: listen is ".+"\. Say for example 127\.0\.0\.1:8443/)
    await expect(parseSettings(`listen: ${value}\n`, FILE)).rejects.toMatchObject({ code: 'bad_config', message })
  })

  it.each([
    '0.0.0.0:8443',
    '"[::]:8443"',
    '127.0.0.2:8443',
    '10.0.0.1:8443',
    '"[0:0:0:0:0:0:0:1]:8443"',
    '[127.0.0.1:1, 192.168.1.1:1]',
  ])('listen: %s needs TLS with client certificates', async (value) => {
    const message = expect.stringContaining('which other machines reach')
    for (const tls of ['', 'tls: {certificate: /c, key: /k}\n']) {
      const refused = parseSettings(`listen: ${value}\n${tls}`, FILE)
      await expect(refused).rejects.toMatchObject({ code: 'bad_config', message })
    }
    const all = `listen: ${value}\ntls: {certificate: /c, key: /k, clients: /a}\n`
    expect((await parseSettings(all, FILE)).listen).not.toEqual([])
  })

  it.each([
    '"*"',
    '"null"',
    'https://*.example',
    'https://ops.example/',
    'https://ops.example/path',
    'https://ops.example:443',
    'https://OPS.example',
    'https://user@ops.example',
    'ops.example',
    'file://',
    'https://ops.example.',
    'chrome-extension://abc',
  ])('origins: %s is none that a browser sends', async (value) => {
    const message = expect.stringMatching(/:1: origins is ".+"\. Say for example https:/)
    await expect(parseSettings(`origins: ${value}\n`, FILE)).rejects.toMatchObject({ code: 'bad_config', message })
  })

  it.each([
    ['hosts: ["*"]\n', ':1: hosts is "*". Say'],
    ['hosts: a b\n', ':1: hosts is "a b". Say'],
    ['polling: yes\n', ':1: polling is "yes". Say for example true or false.'],
    ['polling: [true]\n', ':1: polling is no single value. Say'],
    ['origins:\n  - https://a.example\n  - {}\n', ':1: origins is no single value. Say'],
    ['origins:\n  - https://a.example\n  - nonsense\n', ':3: origins is "nonsense". Say'],
    ['tls: true\n', ':1: tls is no single value. Say for example certificate, key and clients'],
    ['tls: {}\n', ':1: tls is no single value. Say'],
    ['tls: {certificate: /c}\n', ':1: tls needs both certificate and key.'],
    ['tls: {certificate: /c, key: k}\n', ':1: tls: key is "k". Say'],
    ['tls: {certificate: /c, key: /k, ca: /a}\n', ':1: tls: ca is "/a". Say'],
    ['tls: {certificate: /c, key: /k, __proto__: /a}\n', ':1: tls: __proto__ is "/a". Say'],
  ])('%j is refused', async (text, words) => {
    const message = expect.stringContaining(words)
    await expect(parseSettings(text, FILE)).rejects.toMatchObject({ code: 'bad_config', message })
  })

  it.each([
    ['# a comment\n\nhistroy: 90d\n', ':3: unknown key "histroy". Did you mean history?'],
    [
      'colour: red\n',
      ':1: unknown key "colour". There are: history, group, listen, origins, hosts, polling, tls, key, agent, helpers.',
    ],
    [
      '__proto__: {}\n',
      ':1: unknown key "__proto__". There are: history, group, listen, origins, hosts, polling, tls, key, agent, helpers.',
    ],
    [
      '"a\\e[2J": 1\n',
      ':1: unknown key "a␛". There are: history, group, listen, origins, hosts, polling, tls, key, agent, helpers.',
    ],
    ['history: soon\n', ':1: history is "soon". Say for example 90d, 400d or 2y (at least a day), or forever.'],
    ['history: 12h\n', ':1: history is "12h". Say'],
    ['history: 400\n', ':1: history is "400". Say'],
    ['history: 0\n', ':1: history is "0". Say'],
    [`history: ${'9'.repeat(400)}d\n`, ':1: history is "999'],
    ['key: keychain\n', ':1: key is "keychain". Say for example file, systemd or passphrase.'],
    ['agent: agent.sock\n', ':1: agent is "agent.sock". Say for example /run/user/1000/ssh-agent.sock, an absolute'],
    ['helpers: /bin/ops\n', ':1: helpers is "/bin/ops". Say for example {ops: [/usr/local/bin/ops-secret, vosctl]}'],
    ['helpers: [/bin/ops]\n', ':1: helpers is not of its form. Say'],
    ['helpers: {ops: /bin/ops}\n', ':1: helpers is not of its form. Say'],
    ['helpers: {ops: []}\n', ':1: helpers is not of its form. Say'],
    ['helpers: {ops: [bin/ops]}\n', ':1: helpers is not of its form. Say'],
    ['helpers: {ops: [/bin/ops, 7]}\n', ':1: helpers is not of its form. Say'],
    ['helpers: {"o p s": [/bin/ops]}\n', ':1: helpers is not of its form. Say'],
    ['helpers: {ops: [/bin/a], ops: [/bin/b]}\n', ':1: this is not YAML: Map keys must be unique.'],
    ['\nhistory:\n', ':2: history is "". Say'],
    ['history:\n  - 90d\n', ':1: history is no single value. Say'],
    ['history: 90d\nhistory: forever\n', ':2: this is not YAML: Map keys must be unique.'],
    ['history: !!js/function 90d\n', ':1: this is not YAML: Unresolved tag'],
    ['\thistory: 90d\n', ':1: this is not YAML: Tabs are not allowed as indentation.'],
    ['- history\n', ':1: this is not a list of settings (key: value).'],
    ['just words\n', ':1: this is not a list of settings (key: value).'],
    ['history: 90d\n---\nhistory: 1d\n', 'multiple documents'],
  ])('%j is refused with the line and what to write instead', async (text, words) => {
    const error: unknown = await parseSettings(text, FILE).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'bad_config', message: expect.stringContaining(words) })
    expect((error as VosError).message).toMatch(new RegExp(`^${FILE}:\\d+: `))
  })

  it('names programs that know secrets, and says where the agent and the key are', async () => {
    const text = 'key: passphrase\nagent: /run/a/../agent.sock\nhelpers:\n  ops: [/usr/bin/pass-json, --vault, x y]\n'
    const settings = await parseSettings(text, FILE)
    expect(settings).toMatchObject({ key: 'passphrase', agent: '/run/agent.sock' })
    expect({ ...settings.helpers }).toEqual({ ops: ['/usr/bin/pass-json', '--vault', 'x y'] })
    expect(settings.helpers['constructor']).toBeUndefined()
  })

  it('is understood or refused, whatever is in it', async () => {
    const piece = fc.constantFrom(
      'history',
      ':',
      ' ',
      '\n',
      '90d',
      '-',
      '[',
      '{',
      '"',
      '&a',
      '*a',
      '!',
      '|',
      '? ',
      '\t',
      '%',
    )
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece).map((pieces) => pieces.join('')),
    )
    await fc.assert(
      fc.asyncProperty(anything, async (text) => {
        try {
          const { historyMs } = await parseSettings(text, FILE)
          return historyMs === null || historyMs >= DAY
        } catch (error) {
          return error instanceof VosError && error.code === 'bad_config' && !/[\x00-\x1f\x7f-\x9f]/.test(error.message)
        }
      }),
    )
  })

  it('need not be there', async () => {
    expect(await readSettings(temporaryDirectory())).toBe(DEFAULT_SETTINGS)
    expect(await readSettings('/dev/null/nowhere')).toBe(DEFAULT_SETTINGS)
    expect(await readSettings('/dev/null')).toBe(DEFAULT_SETTINGS)
  })

  it.each([
    ['a directory', (file: string) => fs.mkdirSync(file), 'is not a regular file'],
    ['a pipe that nobody writes to', (file: string) => execFileSync('mkfifo', [file]), 'is not a regular file'],
    ['a file of 65 KiB', (file: string) => fs.writeFileSync(file, '#'.repeat(65 * 1024)), 'is longer than 64 KiB'],
    [
      'a link to nowhere',
      (file: string) => fs.symlinkSync(`${file}.away`, file),
      'is a link to a file that is not there',
    ],
    ['a link to itself', (file: string) => fs.symlinkSync(file, file), 'cannot be read: ELOOP'],
  ])('is refused by its name when it is %s', async (_, make, words) => {
    const directory = temporaryDirectory()
    const file = path.join(directory, 'config.yaml')
    make(file)
    await expect(readSettings(directory)).rejects.toMatchObject({
      code: 'bad_config',
      message: expect.stringContaining(`${file} ${words}`),
    })
  })
})

it('the settings are told with where secrets come from, and without a door when there is none', async () => {
  const text = 'key: passphrase\nagent: /run/agent.sock\nhelpers: {ops: [/bin/ops], web: [/bin/web]}\n'
  expect(settingsWords(await parseSettings(text, FILE))).toBe(
    'history is kept 400 days; secrets are sealed by a passphrase; ssh-agent /run/agent.sock; helpers ops, web; ' +
      'nothing listens on the network',
  )
})
