import { spawnSync } from 'node:child_process'
import { createHash, createSecretKey } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { VosError } from '../../../src/core/errors.ts'
import { unsealPassword } from '../../../src/daemon/ssh/credentials.ts'
import { isSameHostKey, toHostKey } from '../../../src/daemon/ssh/host-keys.ts'
import { watchIdent } from '../../../src/daemon/ssh/ident.ts'
import { quoteCommand } from '../../../src/daemon/ssh/quoting.ts'
import { about, chanceOf, claim, split, type Target } from './target.ts'

const SEPARATOR = '\u001e'
const SHELL_WORDS = [
  ...'\'"\\$`;|&<>(){}[]*?~!#=%^ \t\n\r-.:@/,+',
  '$(reboot)',
  '--x=y',
  'PATH=x',
  "'\\''",
  SEPARATOR,
  '\0',
]

const quoting: Target = {
  name: 'shell quoting',
  share: 20,
  seeds: [`systemctl${SEPARATOR}restart${SEPARATOR}foo@1:a.service`, `a b${SEPARATOR}it's${SEPARATOR}`].map((text) =>
    Buffer.from(text),
  ),
  words: SHELL_WORDS,
  run(input) {
    const words = Buffer.from(input).toString('utf8').split(SEPARATOR)
    if (words.some((word) => word.includes('\0'))) {
      try {
        quoteCommand(words)
      } catch (error) {
        claim(error instanceof TypeError, `refused with ${String(error)}`)
        return 'NUL'
      }
      throw new Error('a NUL byte is let through')
    }
    const line = quoteCommand(words)
    const found = shellWords(line)
    claim(JSON.stringify(found) === JSON.stringify(words), `${line} is ${JSON.stringify(found)}`)
    return `${about(words.length)} ${about(line.split("'").length)} ${line.includes('\\')}`
  },
}

/** What a POSIX shell makes of a line; null when a character in it would mean more than itself. */
function shellWords(line: string): string[] | null {
  const words: string[] = []
  let word: string | undefined
  for (let at = 0; at < line.length; at++) {
    const character = line[at] ?? ''
    if (character === "'") {
      const end = line.indexOf("'", at + 1)
      if (end < 0) return null
      word = (word ?? '') + line.slice(at + 1, end)
      at = end
    } else if (character === '\\') {
      word = (word ?? '') + (line[++at] ?? '')
    } else if (character === ' ') {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (/^[A-Za-z0-9_./:@,+=-]$/.test(character)) {
      // An assignment is one only where the name before the sign is a name.
      if (character === '=' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(word ?? '')) return null
      word = (word ?? '') + character
    } else return null
  }
  return word === undefined ? words : [...words, word]
}

/** The same through the shell of this machine: many lines in one process, since a process is what it costs. */
const realShell: Target = {
  name: 'shell quoting through sh',
  share: 0.002,
  seeds: [Buffer.from(`a b${SEPARATOR}it's${SEPARATOR}$(reboot)${SEPARATOR}\\`)],
  words: SHELL_WORDS,
  run(input) {
    const random = chanceOf(input)
    const text = Buffer.from(input).toString('utf8').replaceAll('\0', '')
    const lists = Array.from({ length: 50 }, () => {
      const from = random.below(text.length + 1)
      return text
        .slice(from, from + 1 + random.below(60))
        .toWellFormed()
        .split(SEPARATOR)
    })
    const lines = lists.map((words) => `${quoteCommand(['show', ...words])}\n`)
    const script = `show() { printf '%s\\0' "$#" "$@"; }\n${lines.join('')}`
    const { stdout, stderr } = spawnSync('sh', ['-s'], { input: script, encoding: 'utf8', maxBuffer: 1 << 26 })
    const expected = lists.map((words) => [words.length, ...words].map((word) => `${word}\0`).join('')).join('')
    claim(stderr === '', `the shell says ${stderr}`)
    claim(stdout === expected, `the shell reads other words out of ${lines.join('')}`)
    return about(text.length).toString()
  },
}

const KEY_TYPES = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'ssh-rsa']

const hostKey: Target = {
  name: 'host key',
  share: 16,
  seeds: KEY_TYPES.map((type) =>
    Buffer.from(`\0\0\0${String.fromCharCode(type.length)}${type}\0\0\0\x20${'k'.repeat(32)}`),
  ),
  words: [...KEY_TYPES, '\0\0\0\x0b', '\0\0\0\0', '\xff\xff\xff\xff', '\u001b[2J', '\n'],
  run(input) {
    const blob = Buffer.from(input)
    const key = toHostKey(blob)
    const digest = createHash('sha256').update(blob).digest('base64').slice(0, 43)
    claim(key.fingerprint === `SHA256:${digest}`, `the fingerprint is ${key.fingerprint}`)
    claim(!/[\p{Cc}\p{Cf}]/u.test(key.type.replaceAll(/[\n\t]/g, '')), `its type is ${JSON.stringify(key.type)}`)
    const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0
    claim(length <= 64 || key.type === '', `a type of ${length} bytes`)
    claim(blob.length >= 4 + length || key.type === '', 'a type longer than its key')
    claim(isSameHostKey(key, toHostKey(Buffer.from(input))), 'it is not the same as itself')
    if (blob.length > 0) {
      const at = chanceOf(input).below(blob.length)
      blob[at] = (blob[at] ?? 0) ^ 1
      claim(!isSameHostKey(key, toHostKey(blob)), 'another key is taken for this one')
    }
    return `${about(key.type.length)} ${KEY_TYPES.includes(key.type)} ${about(blob.length)}`
  },
}

const ident: Target = {
  name: 'ident',
  share: 12,
  seeds: ['SSH-2.0-OpenSSH_8.0\r\n', 'Welcome\r\nNo entry\r\nSSH-1.99-x\n', 'HTTP/1.1 400\r\n\r\n'].map((text) =>
    Buffer.from(text),
  ),
  words: ['SSH-', 'SSH-2.0-x', '\r\n', '\n', '\r', '\0', 'x'.repeat(255)],
  run(input) {
    const found: string[] = []
    const passed: Buffer[] = []
    const socket = new EventEmitter()
    socket.on('data', (bytes: Buffer) => passed.push(bytes))
    const { seen } = watchIdent(socket as Socket, (line) => found.push(line))
    for (const piece of split(input, chanceOf(input))) socket.emit('data', Buffer.from(piece))
    const text = Buffer.from(input).toString('latin1')
    const lines = text.split('\n').slice(0, -1)
    const expected = lines.find((line) => line.startsWith('SSH-'))?.replace(/\r$/, '')
    claim(found.length === (expected === undefined ? 0 : 1) && found[0] === expected, `found ${JSON.stringify(found)}`)
    claim(text.startsWith(seen()) && seen().length <= 400, 'it remembers something else than was sent')
    if (expected === undefined) {
      claim(passed.length === 0, 'bytes of a peer that has not said who it is are passed on')
      claim(seen() === text.slice(0, 400), 'it has forgotten what was sent')
    } else {
      claim(Buffer.concat(passed).equals(input), 'what is passed on is not what was sent')
      claim(passed[0]?.toString('latin1').includes(expected) ?? false, 'the first piece ends before the ident does')
    }
    return `${found.length} ${about(lines.length)} ${about(found[0]?.length ?? 0)}`
  },
}

const SEALING_KEY = createSecretKey(Buffer.alloc(32, 7))
const BINDING = { connectionId: 3, host: '10.10.0.10', port: 22, username: 'admin' }
/** "correct horse", sealed with this key for this binding. */
const SEALED = Buffer.from('Ac8/5xcNXGX6QFf1p2KiBfO35juayEopuUsXLO9v7QutsYoauZGpiNL2', 'base64')

const sealed: Target = {
  name: 'sealed password',
  share: 10,
  seeds: [SEALED],
  words: ['\x01', '\0', '\x02', '0123456789ab'],
  run(input) {
    const isWhole = SEALED.equals(input)
    let kind: string
    try {
      const password = unsealPassword(SEALING_KEY, input, BINDING)
      claim(isWhole && password === 'correct horse', `it opens to ${JSON.stringify(password)}`)
      const other = chanceOf(input).pick([{ port: 23 }, { host: '10.10.0.11' }, { username: 'x' }, { connectionId: 4 }])
      try {
        unsealPassword(SEALING_KEY, input, { ...BINDING, ...other })
      } catch {
        return 'opened'
      }
      throw new Error(`it opens for another device: ${JSON.stringify(other)}`)
    } catch (error) {
      if (!(error instanceof VosError)) throw error
      claim(error.code === 'no_credential' && !isWhole, `it stays shut: ${error.message}`)
      kind = 'shut'
    }
    return `${kind} ${input[0] === 1} ${about(input.length)}`
  },
}

export const SSH_TARGETS: readonly Target[] = [quoting, realShell, hostKey, ident, sealed]
