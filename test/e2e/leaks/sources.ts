import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import type { PasswordAuthContext } from 'ssh2'
import { disconnect } from '../../../src/simulator/disconnect.ts'
import type { Play } from '../../helpers/ssh-server.ts'
import { tmux } from '../../helpers/terminal.ts'
import { until } from '../../helpers/wait.ts'
import { connect, type LatePlanter, type Planter } from './planter.ts'

const PASSWORD = `Hk4-helper's-password-77123`
const PASSPHRASE = 'Pf8 passphrase-ß-of-a-key'

/** Shell scripts, each with its own way of letting a secret go. `$1` is the state directory. */
const HELPERS: Readonly<Record<string, string>> = {
  right: `echo '{"password": "@"}'`,
  complains: `echo '@' >&2; exit 1`,
  fails: `echo '{"error": "denied: @"}'; exit 3`,
  says: `echo '{"error": "@"}'`,
  garbage: `echo 'the password is @'`,
  'two-keys': `echo '{"password": "@", "@": "@"}'`,
  long: `yes '@' | head -c 70000`,
  hangs: `printf '{"password": "@'; sleep 60`,
  phrase: `echo '{"passphrase": "${PASSPHRASE}"}'`,
  'wrong-phrase': `echo '{"passphrase": "${PASSPHRASE}?"}'`,
}

/** A device that says what it was given. */
const tells: Play = {
  onAuthentication: (context, client) => {
    disconnect(client, 2, `wrong: ${(context as PasswordAuthContext).password}`)
    client.end()
  },
}
const refusesKeys: Play = { methods: ['publickey'], onAuthentication: (context) => context.reject(['publickey']) }

const helped: Planter = {
  name: 'a password of a helper, which says it in every way but the right one too',
  secret: PASSWORD,
  settings({ rig, outside }) {
    const lines = Object.entries(HELPERS).map(([name, body]) => {
      const file = path.join(outside, `helper-${name}`)
      // What everybody may read of it is put where the hunt looks.
      const about = 'cat /proc/$$/cmdline /proc/$$/environ >>"$1/../of-helpers"'
      const words = body.replaceAll("'@'", `"@"`).replaceAll('@', PASSWORD.replaceAll("'", `'\\''`))
      fs.writeFileSync(file, `#!/bin/sh\n${about}\n${words}\n`, { mode: 0o700 })
      return `  ${name}: [${file}, ${rig.state}]\n`
    })
    return `helpers:\n${lines.join('')}`
  },
  async plant(planting) {
    const { rig } = planting
    const names = Object.keys(HELPERS).filter((name) => !name.includes('phrase'))
    await Promise.all(
      names.map(async (name, index) => {
        await connect(planting, `by-${name}`, tells, { credential: `helper:${name}` })
        const words = index % 2 === 0 ? ['credentials', 'test'] : ['test', '-v']
        const { stderr } = await rig.run(
          name === 'hangs' ? ['restart', `by-${name}`, '--timeout', '2s'] : [...words, `by-${name}`],
        )
        if (stderr === '') throw new Error(`by-${name} has nothing to complain of`)
      }),
    )
    if (!fs.readFileSync(path.join(rig.directory, 'of-helpers')).includes('helper-right'))
      throw new Error('none was run')
  },
}

const encrypted: Planter = {
  name: 'the passphrase of a key file',
  secret: PASSPHRASE,
  async plant(planting) {
    const { rig, outside } = planting
    const keyPath = path.join(outside, 'encrypted')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-a', '1', '-N', PASSPHRASE, '-f', keyPath])
    rig.hide('an encrypted key file', fs.readFileSync(keyPath, 'utf8'))
    const linux = { platform: 'linux', keyPath }
    await connect(planting, 'phrase-sealed', refusesKeys, linux)
    const set = (input: string) => rig.run(['credentials', 'set', 'phrase-sealed', '--stdin'], { input: `${input}\n` })
    if ((await set(`${PASSPHRASE}?`)).status !== 2) throw new Error('a wrong passphrase was taken')
    if ((await set(PASSPHRASE)).status !== 0) throw new Error('the right passphrase was refused')
    for (const helper of ['phrase', 'wrong-phrase']) {
      await connect(planting, `by-${helper}`, refusesKeys, { ...linux, passphraseFrom: `helper:${helper}` })
    }
    const names = ['phrase-sealed', 'by-phrase', 'by-wrong-phrase']
    await Promise.all(names.map((name) => rig.run(['credentials', 'test', name])))
    await rig.prepare(['credentials', 'remove', 'phrase-sealed'])
  },
}

const lent: Planter = {
  name: 'a password that is typed for one operation, whose daemon is killed',
  secret: 'Lm6-lent-to-one-operation-4711',
  async plant(planting) {
    if (tmux === null) return
    const { rig, atEnd } = planting
    const { secret } = this
    const server = await connect(planting, 'lent', { onAuthentication: () => undefined }, { credential: 'prompt' })
    const terminal = rig.terminal(100, 30, atEnd)
    terminal.line('clear; vosctl restart lent -v; echo "said $((40 + 2))"')
    await terminal.shows('Password of admin on lent:')
    terminal.line(secret)
    await until('it is used', () => server.requests.includes('password'), 20_000)
    await rig.killDaemon()
    await rig.prepare(['ps'])
    rig.hear('the terminal', await terminal.shows('said 42'))
    await rig.run(['logs', 'last'])
  },
}

const sealing: LatePlanter = {
  name: 'the key that seals, before and after it is rotated',
  async plant({ rig }) {
    const file = path.join(rig.config, 'key')
    const hide = () => rig.hide('the sealing key', fs.readFileSync(file))
    rig.ownFiles.add('config/key')
    hide()
    for (const env of [{}, { DEBUG: '*' }]) {
      await rig.prepare(['key', 'rotate'], { env })
      hide()
    }
    await rig.run(['key', 'status', '--json'])
  },
}

export const SOURCES: readonly LatePlanter[] = [helped, encrypted, lent, sealing]
