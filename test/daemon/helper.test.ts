import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { askHelper, type HelperCommand } from '../../src/daemon/helper.ts'
import { rejection } from '../helpers/rejection.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { until } from '../helpers/wait.ts'

const SECRET = 'correct horse battery'
const CONNECTION = {
  id: 7,
  name: 'cucm-pub',
  host: '10.10.0.10',
  port: 22,
  username: 'admin',
  credential: { type: 'helper', name: 'ops' },
} as const
const signal = new AbortController().signal

/** A helper as people write them: a small shell script. */
function script(body: string, directory = temporaryDirectory()): string {
  const file = path.join(directory, 'helper')
  fs.writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o700 })
  return file
}

const ask = (command: HelperCommand, limitMs?: number) =>
  askHelper({ name: 'ops', command }, CONNECTION, 'password', signal, limitMs)

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

describe('a helper', () => {
  it('is told the connection in one line of JSON, its words untouched by any shell, and answers in one object', async () => {
    const directory = temporaryDirectory()
    const file = script(
      `cat >${directory}/asked; printf '%s\\n' "$@" >${directory}/words; echo '{"password": "${SECRET}"}'`,
    )
    expect(await ask([file, '$HOME', 'a b', '; reboot'])).toBe(SECRET)
    const { credential: _, id, name, ...login } = CONNECTION
    expect(JSON.parse(fs.readFileSync(`${directory}/asked`, 'utf8'))).toEqual({
      version: 1,
      what: 'password',
      connection: { id, name },
      ...login,
    })
    expect(fs.readFileSync(`${directory}/words`, 'utf8')).toBe('$HOME\na b\n; reboot\n')
  })

  it('is asked for the passphrase of a key by its path, and an answer to another question is none', async () => {
    const connection = { ...CONNECTION, credential: { type: 'key', path: '/k', passphrase: 'helper:ops' } } as const
    const directory = temporaryDirectory()
    const good = script(`cat >${directory}/asked; echo '{"passphrase": "${SECRET}"}'`, directory)
    expect(await askHelper({ name: 'ops', command: [good] }, connection, 'passphrase', signal)).toBe(SECRET)
    expect(JSON.parse(fs.readFileSync(`${directory}/asked`, 'utf8'))).toMatchObject({ what: 'passphrase', key: '/k' })
    const other = script(`echo '{"password": "${SECRET}"}'`)
    const error = await rejection(askHelper({ name: 'ops', command: [other] }, connection, 'passphrase', signal))
    expect(error.message).toContain('it gave no answer of the form {"passphrase": "…"}')
  })

  it('that cannot be run for want of descriptors is an error, and the daemon goes on', () => {
    const file = script(`echo '{"password": "${SECRET}"}'`)
    const program = `
      import fs from 'node:fs'
      import { askHelper } from ${JSON.stringify(path.resolve('src/daemon/helper.ts'))}
      const ask = () => askHelper({ name: 'ops', command: [${JSON.stringify(file)}] }, ${JSON.stringify(CONNECTION)},
        'password', new AbortController().signal).then(() => 'answered', ({ message }) => message)
      const said = [await ask()]
      const held = []
      try { for (;;) held.push(fs.openSync('/dev/null')) } catch {}
      for (const one of held.splice(-3)) fs.closeSync(one)
      said.push(await ask())
      for (const one of held) fs.closeSync(one)
      said.push(await ask())
      console.log(JSON.stringify(said))`
    const words = ['-c', 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, program]
    expect(JSON.parse(execFileSync('sh', words, { encoding: 'utf8' }))).toEqual([
      'answered',
      'The helper "ops" has no secret for cucm-pub: it cannot be run (EMFILE). Nothing was sent.',
      'answered',
    ])
  })

  it('gets nothing of our environment, directory and descriptors', async () => {
    const directory = temporaryDirectory()
    process.env['VOSCTL_TEST_PLANTED'] = SECRET
    const held = fs.openSync('/etc/hostname', 'r')
    try {
      const lines = [`env >${directory}/env`, `pwd >${directory}/pwd`, `ls /proc/$$/fd >${directory}/fd`]
      await ask([script(`${lines.join('\n')}\necho '{"password": "x"}'`)])
    } finally {
      fs.closeSync(held)
      delete process.env['VOSCTL_TEST_PLANTED']
    }
    const names = fs.readFileSync(`${directory}/env`, 'utf8').match(/^[A-Z_]+(?==)/gm)
    // The shell adds the last two by itself.
    expect(names?.filter((name) => !['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'PWD', '_'].includes(name))).toEqual([])
    expect(fs.readFileSync(`${directory}/pwd`, 'utf8')).toBe('/\n')
    // 10 or more is the script itself, held open by its shell.
    const descriptors = fs.readFileSync(`${directory}/fd`, 'utf8').trim().split('\n').map(Number)
    expect(descriptors.filter((fd) => fd < 10).toSorted((a, b) => a - b)).toEqual([0, 1, 2])
  })

  it.each([
    ['nothing', '', 'it gave no answer'],
    ['text', `echo '${SECRET}'`, 'it gave no answer'],
    ['an array', `echo '["${SECRET}"]'`, 'it gave no answer'],
    ['a number', `echo '{"password": 7}'`, 'it gave no answer'],
    ['an empty password', `echo '{"password": ""}'`, 'it gave no answer'],
    ['a line break in it', `echo '{"password": "${SECRET}\\\\n"}'`, 'it gave no answer'],
    ['one more key', `echo '{"password": "${SECRET}", "user": "root"}'`, 'it gave no answer'],
    ['__proto__', `echo '{"__proto__": {"password": "${SECRET}"}}'`, 'it gave no answer'],
    ['two objects', `echo '{"password": "${SECRET}"}{"password": "x"}'`, 'it gave no answer'],
    ['bytes that are no UTF-8', `printf '{"password": "\\377"}'`, 'it gave no answer'],
    ['a password that is too long', `printf '{"password": "%01025d"}' 0`, 'it gave no answer'],
    ['an error', `echo '{"error": "vault\\\\u001b[2J is sealed"}'`, 'it says: […] is sealed'],
    ['a password and then a failure', `echo '{"password": "${SECRET}"}'; exit 3`, 'it ended with 3. Nothing'],
    ['an error and a failure', `echo '{"error": "no such entry"}'; exit 1`, 'it ended with 1: no such entry'],
    [
      'a secret in its error',
      `echo '{"error": "Denied: 7horse!, 0xhorse."}'; exit 1`,
      'it ended with 1: Denied: […] […]',
    ],
    ['half a character', `echo '{"password": "\\\\ud800horse"}'`, 'it gave no answer'],
    ['its own death', `kill -9 $$`, 'it ended with a signal'],
    ['words on standard error', `echo '${SECRET}' >&2; exit 1`, 'it ended with 1. Nothing was sent.'],
    ['more than 64 KiB', `head -c 70000 /dev/zero`, 'it gave more than 64 KiB'],
  ])('that gives %s is no source, and the error holds nothing of what it said', async (_, body, words) => {
    const error = await rejection(ask([script(body)]))
    expect(error).toMatchObject({ code: 'no_credential' })
    expect(error.message).toContain(`The helper "ops" has no secret for cucm-pub: ${words}`)
    expect(`${error.message}${error.hint}${error.stack ?? ''}${String(error.cause)}`).not.toContain('horse')
    expect(error.message).not.toMatch(/[\0-\x1f\x7f-\x9f]/)
  })

  it('that hangs is killed with all that it has started', async () => {
    const directory = temporaryDirectory()
    const body = `sleep 60 & echo $! >${directory}/child; echo $$ >${directory}/self; wait`
    const error = await rejection(ask([script(body)], 400))
    expect(error.message).toContain('it did not answer within 0.4 s')
    for (const name of ['self', 'child']) {
      const pid = Number(await until('it has begun', () => read(`${directory}/${name}`)))
      await until(`the ${name} is gone`, () => !isAlive(pid))
    }
  })

  it('that leaves something behind leaves nothing', async () => {
    const directory = temporaryDirectory()
    const body = `sleep 60 >/dev/null & echo $! >${directory}/child; echo '{"password": "${SECRET}"}'`
    expect(await ask([script(body)])).toBe(SECRET)
    const pid = Number(fs.readFileSync(`${directory}/child`, 'utf8'))
    await until('the child is gone', () => !isAlive(pid))
  })

  it('ends when the operation does, with its reason', async () => {
    const directory = temporaryDirectory()
    const file = script(`echo $$ >${directory}/self; exec sleep 60`)
    const controller = new AbortController()
    const asked = rejection(askHelper({ name: 'ops', command: [file] }, CONNECTION, 'password', controller.signal))
    const pid = Number(await until('it has begun', () => read(`${directory}/self`)))
    const reason = new VosError('cancelled', 'cancelled by alice')
    controller.abort(reason)
    expect(await asked).toBe(reason)
    await until('it is gone', () => !isAlive(pid))
  })
})

function read(file: string): string | null {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() || null : null
}

describe('a helper is not run', () => {
  const isRoot = process.getuid?.() === 0

  /** Writes down that it was run. */
  const witness = (directory: string) => script(`touch ${directory}/ran`, directory)

  const refused = async (file: string, words: string) => {
    const error = await rejection(ask([file]))
    expect(error.code).toBe('no_credential')
    expect(error.message).toContain(words)
  }

  it.each([
    ['others may write it', (file: string) => fs.chmodSync(file, 0o777), 'is open to other users'],
    ['its group may write it', (file: string) => fs.chmodSync(file, 0o770), 'is open to other users'],
    ['others may write beside it', (file: string) => fs.chmodSync(path.dirname(file), 0o777), 'is open to other users'],
    ['it is not executable', (file: string) => fs.chmodSync(file, 0o600), 'cannot be used (EACCES)'],
    ['it is not there', (file: string) => fs.rmSync(file), 'cannot be used (ENOENT)'],
  ])('when %s', async (_, spoil, words) => {
    const directory = temporaryDirectory()
    const file = witness(directory)
    spoil(file)
    await refused(file, words)
    expect(fs.existsSync(`${directory}/ran`)).toBe(false)
  })

  it('when a link leads to one that others may write', async () => {
    const [here, there] = [temporaryDirectory(), temporaryDirectory()]
    const file = witness(there)
    fs.chmodSync(there, 0o777)
    fs.symlinkSync(file, `${here}/link`)
    await refused(`${here}/link`, `${there} (uid ${process.getuid?.()}, mode 0777) is open to other users`)
    expect(fs.existsSync(`${there}/ran`)).toBe(false)
  })

  it('when it is a directory, and it runs through a link of the system to a good one', async () => {
    await refused(temporaryDirectory(), 'is no file')
    const [here, there] = [temporaryDirectory(), temporaryDirectory()]
    fs.symlinkSync(script(`echo '{"password": "x"}'`, there), `${here}/link`)
    expect(await ask([`${here}/link`])).toBe('x')
  })

  it.skipIf(!isRoot)('when it, or a directory above it, belongs to somebody else', async () => {
    const directory = temporaryDirectory()
    const file = witness(directory)
    execFileSync('chown', ['65534', file])
    await refused(file, `${file} belongs to uid 65534`)
    execFileSync('chown', ['0', file])
    execFileSync('chown', ['65534', directory])
    await refused(file, `${directory} belongs to uid 65534`)
    expect(fs.existsSync(`${directory}/ran`)).toBe(false)
  })
})
