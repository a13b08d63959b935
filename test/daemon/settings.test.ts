import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { DEFAULT_SETTINGS, parseSettings, readSettings } from '../../src/daemon/settings.ts'
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
    ['# a comment\n\nhistroy: 90d\n', ':3: unknown key "histroy". Did you mean history?'],
    ['colour: red\n', ':1: unknown key "colour". There are: history, key, agent, helpers.'],
    ['__proto__: {}\n', ':1: unknown key "__proto__". There are: history, key, agent, helpers.'],
    ['"a\\e[2J": 1\n', ':1: unknown key "a␛". There are: history, key, agent, helpers.'],
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
