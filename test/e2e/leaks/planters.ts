import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import type { KeyboardAuthContext, PasswordAuthContext } from 'ssh2'
import { fault, scenarios, vary, type Scenario } from '../../../src/simulator/index.ts'
import { disconnect } from '../../../src/simulator/disconnect.ts'
import { RawClient, throughUnix } from '../../faults/fuzz/raw-client.ts'
import { startAppliance } from '../../helpers/quick-house.ts'
import type { Play } from '../../helpers/ssh-server.ts'
import { tmux } from '../../helpers/terminal.ts'
import { connect, type LatePlanter, type Planter } from './planter.ts'
import { SOURCES } from './sources.ts'
import { tokens } from './tokens.ts'

const publisher = scenarios.get('publisher') as Scenario

const echoed: Planter = {
  name: 'a right password, which the device shows everywhere',
  secret: `Zg7-quo"te'back\\slash%41&<b>`,
  async plant(planting) {
    const { rig } = planting
    const { secret } = this
    const talks: Parameters<typeof vary>[2] = {
      access: { password: secret, banner: `Hello ${secret}\n`, auth: { title: secret, instruction: `Your ${secret}` } },
      product: {
        welcome: [
          { afterMs: 0, text: `Last login with ${secret}\n${'x'.repeat(4080)}${secret}\n` },
          ...publisher.product.welcome,
        ],
        restartPreamble: `${publisher.product.restartPreamble}The password is ${secret}\n`,
      },
    }
    const about = { name: 'talks', story: 'Shows the password.', evidence: 'invented' }
    await startAppliance(planting.rig, 'talks', vary(about, publisher, talks))
    await rig.run(['restart', 'talks', '-v', '--progress', 'plain'])
    const endings: [string, Parameters<typeof vary>[2]][] = [
      ['hangs-up', { faults: [fault('starting', 'disconnect', { text: `bye ${secret}`, times: 99 })] }],
      ['closes', { faults: [fault('prompt', 'close', { text: `no ${secret}` })] }],
      ['asks', { terminal: { prompt: `${secret} as new password: ` } }],
      ['waits', { terminal: { prompt: `${secret} # ` } }],
      [
        'refuses',
        { services: { unknownName: [`${secret} is no service`], restart: { refusal: [`not with ${secret}`] } } },
      ],
    ]
    for (const [name, change] of endings) {
      await startAppliance(planting.rig, name, vary({ ...about, name }, vary(about, publisher, talks), change))
    }
    const outputs = ['-v', '--json', '--output=jsonl', '--progress=plain', '-q']
    if (!(await rig.run(['logs', 'last', '--no-input'])).stdout.includes('The password is [password]')) {
      throw new Error('the device did not show the password')
    }
    await Promise.all(
      endings.map(([name], index) => rig.run(['restart', name, outputs[index] ?? '-v', '--timeout', '20s'])),
    )
  },
}

const wrong: Planter = {
  name: 'a wrong password, which the device repeats in its refusal',
  secret: 'Yk3 pässwörd with ünïcode-с',
  async plant(planting) {
    const { rig } = planting
    const { secret } = this
    await connect(planting, 'repeats', {
      methods: ['keyboard-interactive'],
      onAuthentication: (context) => {
        const ask = (prompt: string): void =>
          (context as KeyboardAuthContext).prompt([{ prompt, echo: false }], (answers) =>
            ask(`${answers[0]} is wrong. ${secret}? `),
          )
        ask('Password: ')
      },
    })
    await connect(planting, 'says-why', {
      onAuthentication: (context, client) => {
        disconnect(client, 2, `wrong: ${(context as PasswordAuthContext).password}`)
        client.end()
      },
    })
    for (const name of ['repeats', 'says-why']) {
      await rig.prepare(['credentials', 'set', name, '--stdin'], { input: `${secret}\n` })
      await rig.run([...(name === 'repeats' ? ['credentials', 'test'] : ['restart', '-v']), name])
    }
  },
}

const debugged: Planter = {
  name: 'a password that is set while libraries are asked to talk',
  secret: 'Wd9-debugged-password-31337',
  async plant(planting) {
    const { rig } = planting
    await connect(planting, 'debugged', { onAuthentication: (context) => context.reject() })
    const set = ['credentials', 'set', 'debugged', '--stdin']
    const input = `${this.secret}\n`
    await rig.prepare(set, { input, env: { DEBUG: '*', VOSCTL_DEBUG: '1' } })
    await rig.run(set, { input, env: { NODE_DEBUG: 'stream,net,http' } })
    await rig.run(['credentials', 'test', 'debugged'], { env: { DEBUG: '*' } })
    await rig.run(['credentials', 'remove', 'debugged'])
  },
}

const malformed: Planter = {
  name: 'a password that the daemon refuses',
  secret: 'Vq5-malformed-password-80443',
  async plant({ rig }) {
    const { secret } = this
    await using client = await RawClient.enter(throughUnix(rig.socket))
    const login = 'admin@127.0.0.1:1'
    const requests = [
      { id: 1, login, password: `${secret}\n` },
      { id: 1, login, password: { [secret]: secret } },
      { id: secret, login, password: secret },
      { id: 999_999, login, password: secret },
      { id: 1, login, password: secret.repeat(99) },
      { id: 1, login, password: [secret], why: secret },
      secret,
    ]
    for (const [index, request] of requests.entries())
      client.say(`42${index}${JSON.stringify(['credential:set', request])}`)
    for (const index of requests.keys()) await client.hears(`43${index}[`)
    rig.hear('the socket', client.heard)
    client.say(`42["credential:set",{"id":1,"login":"${login}","password":"${secret}`)
    await client.isThrownOut(1000)
    rig.hear('the socket', client.heard)
  },
}

const imported: Planter = {
  name: 'a password in a file of connections',
  secret: 'Uj1-imported-password-52525',
  async plant({ rig, outside }) {
    const { secret } = this
    const files = {
      'a.yaml': `connections:\n  - name: x\n    host: h\n    username: u\n    password: ${secret}\n`,
      'b.yaml': `connections:\n  - name: x\n    host: h\n    password: "${secret}\n\t- [`,
      'c.json': `{"connections": [{"name": "x", "host": "h", "username": "u", "password": "${secret}"}]}`,
      'd.json': `{"connections": [{"name": "x", "password": "${secret}" ]`,
      'e.csv': `name,host,username,password\nx,h,u,${secret}\n`,
      'f.csv': `name,host,username\nx,h,u,"${secret}\n`,
      'g.csv': `x,h,u,${secret}\n`,
      config: `Host x\n  HostName h\n  User u\n  ProxyCommand sshpass -p ${secret} ssh jump\n`,
    }
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(outside, name), text)
    const format = (name: string) => (name === 'config' ? ['--format', 'ssh_config'] : [])
    const runs = Object.keys(files).map((name) =>
      rig.run(['connections', 'import', path.join(outside, name), '--yes', ...format(name)]),
    )
    await Promise.all(runs)
  },
}

const privateKey = makeKey()
const key: Planter = {
  name: 'a private key',
  secret: privateKey.split('\n')[3] ?? '',
  async plant(planting) {
    const { rig, outside } = planting
    const refuse: Play = { methods: ['publickey'], onAuthentication: (context) => context.reject(['publickey']) }
    const file = path.join(outside, 'key')
    fs.writeFileSync(file, privateKey, { mode: 0o600 })
    await Promise.all(
      [privateKey, privateKey.slice(0, -90), privateKey.replace('BEGIN', 'BEGUN'), this.secret].map(
        async (text, index) => {
          fs.writeFileSync(`${file}${index}`, text, { mode: 0o600 })
          await connect(planting, `by-key-${index}`, refuse, { platform: 'linux', keyPath: `${file}${index}` })
          await rig.run(['credentials', 'test', `by-key-${index}`])
        },
      ),
    )
  },
}

function makeKey(): string {
  const directory = fs.mkdtempSync('/tmp/vos-key-')
  try {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(directory, 'key')])
    return fs.readFileSync(path.join(directory, 'key'), 'utf8')
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

const typed: Planter = {
  name: 'a password that a person types',
  secret: 'Tb2-typed-in-a-terminal-90210',
  async plant(planting) {
    if (tmux === null) return
    const { rig, atEnd } = planting
    await connect(planting, 'typed', {})
    const terminal = rig.terminal(100, 30, atEnd)
    const ask = async (): Promise<void> => {
      await terminal.lineAfresh('vosctl credentials set typed')
      await terminal.shows('Password of admin on typed:')
      terminal.write(this.secret)
    }
    const isBack = async (): Promise<void> => {
      // On a line of its own, whether the shell has prompted already or not.
      terminal.line('echo; stty -a | grep -ow "[-]*echo" | sed "s/^/now:/"; echo "said $((40 + 2))"')
      const screen = await terminal.shows('said 42')
      if (!/^now:echo$/m.test(screen)) throw new Error(`the terminal shows nothing any more:\n${screen}`)
    }
    await ask()
    terminal.press('Enter')
    await terminal.shows('is set')
    await isBack()
    for (const end of ['C-c', 'C-d']) {
      await ask()
      terminal.press(end)
      await isBack()
    }
    await ask()
    const pid = rig.pidOf('credentials')
    if (pid === undefined) throw new Error('the client is not there')
    process.kill(pid, 'SIGTERM')
    await terminal.until('it has ended', () => rig.pidOf('credentials') === undefined)
    await isBack()
  },
}

export const PLANTERS: readonly LatePlanter[] = [
  echoed,
  wrong,
  debugged,
  malformed,
  imported,
  key,
  typed,
  ...SOURCES,
  tokens,
]
