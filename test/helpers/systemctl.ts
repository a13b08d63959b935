import fs from 'node:fs'
import path from 'node:path'
import { temporaryDirectory } from './temporary.ts'

/** Stands in for a user's systemd, because none runs on the machines that run these tests. */
export interface SystemctlStandIn {
  /** For the environment of the client. */
  readonly env: { readonly PATH: string; readonly XDG_CONFIG_HOME: string }
  readonly unitFile: string
  /** Is it started at login? */
  isEnabled(): boolean
  /** Every call, as words. */
  calls(): string[]
  /** `no-bus`: systemd cannot be reached. `no-enable`: it refuses to enable. `no-start`: the unit does not start. */
  set(mode: 'no-bus' | 'no-enable' | 'no-start' | 'lingering', isOn: boolean): void
}

/**
 * A `systemctl` and a `loginctl` first on the path. They write down what is asked, and `start` really runs what the unit
 * says, with the words taken apart as systemd.syntax(7) and systemd.service(5) have it.
 * @param daemon what the environment of this systemd gives to what it starts
 */
export function startSystemctl({ daemon = {} }: { readonly daemon?: Record<string, string> } = {}): SystemctlStandIn {
  const root = temporaryDirectory()
  const at = (...parts: string[]) => path.join(root, ...parts)
  fs.mkdirSync(at('bin'))
  fs.writeFileSync(at('calls'), '')
  for (const [name, text] of [
    ['systemctl', SYSTEMCTL],
    ['loginctl', LOGINCTL],
  ] as const) {
    fs.writeFileSync(
      at('bin', name),
      text.replaceAll('@ROOT@', root).replace('@NODE@', process.execPath).replace('@ENV@', JSON.stringify(daemon)),
      {
        mode: 0o755,
      },
    )
  }
  const units = at('config', 'systemd', 'user')
  return {
    env: { PATH: `${at('bin')}:${process.env['PATH']}`, XDG_CONFIG_HOME: at('config') },
    unitFile: path.join(units, 'vosctl.service'),
    isEnabled: () => fs.existsSync(path.join(units, 'default.target.wants', 'vosctl.service')),
    calls: () => fs.readFileSync(at('calls'), 'utf8').trimEnd().split('\n'),
    set: (mode, isOn) => (isOn ? fs.writeFileSync(at(mode), '') : fs.rmSync(at(mode), { force: true })),
  }
}

const LOGINCTL = `#!/bin/sh
echo "loginctl $*" >>@ROOT@/calls
if [ -e @ROOT@/lingering ]; then echo yes; else echo no; fi
`

const SYSTEMCTL = `#!@NODE@
const fs = require('node:fs'), path = require('node:path'), { spawn } = require('node:child_process')
const root = '@ROOT@', units = path.join(root, 'config/systemd/user')
const words = process.argv.slice(2)
fs.appendFileSync(root + '/calls', 'systemctl ' + words.join(' ') + '\\n')
const die = (text) => { process.stderr.write(text + '\\n'); process.exit(1) }
if (words.shift() !== '--user') die('Not for this user')
if (fs.existsSync(root + '/no-bus')) die('Failed to connect to bus: No medium found')
const command = words[0], file = path.join(units, 'vosctl.service'), wants = path.join(units, 'default.target.wants/vosctl.service')
const pid = () => {
  try {
    const pid = Number(fs.readFileSync(root + '/pid', 'utf8'))
    return fs.readFileSync('/proc/' + pid + '/stat', 'utf8').includes(') Z ') ? 0 : pid
  } catch { return 0 }
}
const need = () => fs.existsSync(file) || die('Unit file vosctl.service does not exist.')
const settings = (name) => [...fs.readFileSync(file, 'utf8').matchAll(new RegExp('^' + name + '=(.*)$', 'gm'))].map((found) => found[1])
function split(line) {
  const found = []
  for (const [, quoted, plain] of line.matchAll(/"((?:[^"\\\\]|\\\\.)*)"|(\\S+)/g)) {
    const word = plain ?? quoted.replace(/\\\\(.)/g, (_, c) => ({ n: '\\n', t: '\\t' })[c] ?? c)
    found.push(word.replaceAll('%%', '%'))
  }
  return found.map((word, index) => (index === 0 ? word : word.replaceAll('$$', '$')))
}
switch (command) {
  case 'show':
    console.log(words.includes('MainPID') ? pid() : 'Version=252')
    break
  case 'daemon-reload':
    break
  case 'enable':
    need()
    if (fs.existsSync(root + '/no-enable')) die('Failed to enable unit: Access denied')
    fs.mkdirSync(path.dirname(wants), { recursive: true })
    fs.rmSync(wants, { force: true })
    fs.symlinkSync(file, wants)
    break
  case 'disable':
    fs.rmSync(wants, { force: true })
    if (words.includes('--now') && pid()) {
      process.kill(pid(), 'SIGTERM')
      while (pid()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
    break
  case 'start': {
    need()
    if (fs.existsSync(root + '/no-start')) die('Job for vosctl.service failed.')
    if (pid()) break
    const [program, ...args] = split(settings('ExecStart')[0])
    process.umask(0o077)
    const environment = { PATH: '/usr/bin:/bin', ...@ENV@ }
    for (const name of settings('UnsetEnvironment').join(' ').split(' ')) delete environment[name]
    const log = fs.openSync(settings('StandardOutput')[0].replace('append:', '').replaceAll('%%', '%'), 'a')
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], cwd: '/', env: environment })
    fs.writeFileSync(root + '/pid', String(child.pid))
    child.unref()
    break
  }
  default:
    die('Unknown command verb ' + command + '.')
}
`
