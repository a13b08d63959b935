import fs from 'node:fs'
import path from 'node:path'
import { deflateSync, gzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { formsOf, Hunt, toLines } from './helpers/hunt.ts'
import { temporaryDirectory } from './helpers/temporary.ts'

const SECRETS = [
  ['of letters', 'correct-horse-battery-staple-42'],
  ['of quotes and escapes', `quo"te'back\\slash%41&<b>$(id)`],
  ['of other alphabets', 'pässwörd-с-юникодом-パスワ'],
  ['that looks like an escape', '\u001b[31mlooks like an escape\u202e'],
  ['that is short', 'short7'],
] as const

function hunting(secret: string): Hunt {
  const hunt = new Hunt()
  hunt.plant('the secret', secret)
  return hunt
}

/** Written by others than the hunt, so that no mistake of its is made here again. */
const WRITERS: readonly (readonly [form: string, write: (secret: string) => Buffer | string])[] = [
  ['plain', (secret) => secret],
  ['JSON', (secret) => JSON.stringify({ deep: [secret] })],
  ['JSON in JSON', (secret) => JSON.stringify(JSON.stringify({ secret }))],
  ['base64', (secret) => Buffer.from(secret).toString('base64')],
  ['base64 after one byte', (secret) => Buffer.from(`x${secret}yz`).toString('base64')],
  ['base64 after two bytes', (secret) => Buffer.from(`xx${secret}y`).toString('base64')],
  ['base64url', (secret) => Buffer.from(`??${secret}`).toString('base64url')],
  ['hex', (secret) => Buffer.from(secret).toString('hex')],
  ['upper-case hex', (secret) => Buffer.from(secret).toString('hex').toUpperCase()],
  ['a URL', (secret) => new URL(`http://h/?q=${encodeURIComponent(secret)}`).href],
  ['a form', (secret) => new URLSearchParams({ secret }).toString()],
  ['UTF-16LE', (secret) => Buffer.from(`x${secret}`, 'utf16le')],
  ['UTF-16BE', (secret) => Buffer.from(`x${secret}`, 'utf16le').swap16()],
  ['a Buffer in JSON', (secret) => JSON.stringify(Buffer.from(secret))],
  ['an attribute of HTML', (secret) => `<a title="${secret.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)}">`],
  ['a word of a shell', (secret) => `'${secret.replace(/'/g, "'\\''")}'`],
  ['backwards', (secret) => [...secret].toReversed().join('')],
  ['gzip', (secret) => Buffer.concat([Buffer.from('before'), gzipSync(`text ${secret} text`), Buffer.from('after')])],
  ['gzip in deflate', (secret) => deflateSync(gzipSync(secret))],
  ['a gzip stream that was cut off', (secret) => gzipSync(`${secret}${'x'.repeat(9)}`).subarray(0, -8)],
]

describe.each(SECRETS)('the hunt for a secret %s', (_, secret) => {
  it.each(WRITERS)('finds it in %s', (_, write) => {
    expect(hunting(secret).search(write(secret), 'x')).not.toEqual([])
  })

  it('finds it in each of its own forms, in the middle of a file of other things', () => {
    const noise = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251))
    for (const { form, bytes } of formsOf(secret)) {
      const found = hunting(secret).search(Buffer.concat([noise, bytes, noise]), 'x')
      expect(found.map((leak) => leak.form)).toContain(form)
    }
  })

  it('finds nothing where there is nothing', () => {
    const other = [...secret].map((c) => String.fromCharCode((c.charCodeAt(0) % 64) + 48)).join('')
    expect(hunting(secret).search(`${other} ${JSON.stringify(other)}`, 'x')).toEqual([])
  })
})

describe('the hunt', () => {
  const [[, secret]] = SECRETS

  it('looks into every file below a directory, into names and links, and says where', () => {
    const directory = temporaryDirectory()
    fs.mkdirSync(path.join(directory, '.a/b'), { recursive: true })
    fs.writeFileSync(path.join(directory, '.a/b/c'), `x${secret}`)
    fs.writeFileSync(path.join(directory, `core.${secret}`), '')
    fs.symlinkSync(`/nowhere/${secret}`, path.join(directory, 'link'))
    const leaks = hunting(secret).searchTree(directory)
    const places = [...new Set(leaks.map(({ where }) => where.replace(directory, '')))]
    expect(places.toSorted((a, b) => a.localeCompare(b))).toEqual([
      '/.a/b/c',
      'the link /link',
      `the name of /core.${secret}`,
    ])
    expect(toLines(leaks)[0]).toMatch(/^the secret, .*: /)
    expect(hunting(secret).searchTree(directory, (file) => (file === '.a/b/c' ? ['the secret'] : []))).toHaveLength(
      leaks.length - leaks.filter(({ where }) => where.endsWith('/c')).length,
    )
  })

  it('finds what a database has deleted and not overwritten, and what the border of a page cuts', () => {
    const file = path.join(temporaryDirectory(), 'x.db')
    const db = new Database(file)
    db.pragma('page_size = 512')
    db.pragma('secure_delete = OFF')
    db.exec('CREATE TABLE t (x)')
    for (let before = 0; before < 40; before++)
      db.prepare('INSERT INTO t VALUES (?)').run('-'.repeat(460 + before) + secret)
    expect(hunting(secret).searchTree(path.dirname(file))).not.toEqual([])
    db.exec('DELETE FROM t')
    db.close()
    expect(hunting(secret).searchTree(path.dirname(file))).not.toEqual([])
    // Where a page ends in the middle of it, a half is left on one side.
    for (let at = 1; at < secret.length; at++) {
      const cut = Buffer.from(`${secret.slice(0, at)}\0\0\0\u0007${secret.slice(at)}`)
      expect({ at, leaks: hunting(secret).search(cut, 'x') }).not.toEqual({ at, leaks: [] })
    }
  })

  it('reads the words and the environment of a process', () => {
    const hunt = hunting(process.env['PATH'] ?? '')
    expect(hunt.searchProcess(process.pid).map(({ where }) => where)).toContain(`/proc/${process.pid}/environ`)
    expect(hunt.searchProcess(2 ** 30)).toEqual([])
  })

  it('refuses to hunt for what would be everywhere', () => {
    expect(() => hunting('abc')).toThrow('too short')
  })
})
