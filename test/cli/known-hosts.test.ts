import { execFileSync } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findKnownHost } from '../../src/cli/known-hosts.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { requireTool } from '../helpers/tools.ts'

/** A line's type and key, for which `ssh-keygen -l` prints this fingerprint. */
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGlcPpWwrB9V6BNeUVeEN1NEVQ6dc9tDHNAtfv7O/K3D'
const blob = Buffer.from(KEY.split(' ')[1] ?? '', 'base64')
const OTHER = `ssh-ed25519 ${Buffer.concat([blob.subarray(0, -1), Buffer.from([1])]).toString('base64')}`

const PUB = { host: 'Cucm-Pub.example.com', port: 22 }
const ODD = { host: '10.10.0.10', port: 2222 }
const counts = (text: string, place = PUB) => {
  const { vouched, revoked, authorities } = findKnownHost(text, place)
  return [vouched.length, revoked.length, authorities]
}

function hashed(name: string): string {
  const salt = randomBytes(20)
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`
}

describe('a known_hosts file', () => {
  it.each([
    ['by its name', `cucm-pub.example.com ${KEY}`],
    ['among others, with a comment and CRLF', `# all\r\n\r\nother,CUCM-PUB.example.com ${KEY} root@x\r\n`],
    ['by a pattern', `*.example.com,!web-*.example.com ${KEY}`],
    ['by a hashed name', `${hashed('cucm-pub.example.com')} ${KEY}`],
    ['with tabs and blanks in front', `  cucm-pub.example.com\t${KEY}`],
  ])('vouches for a host %s', (_, text) => {
    expect(counts(text)).toEqual([1, 0, 0])
  })

  it.each([
    ['nobody', ''],
    ['another host', `cucm-sub.example.com ${KEY}`],
    ['a host that the pattern excludes', `*.example.com,!cucm-* ${KEY}`],
    ['another port', `[cucm-pub.example.com]:2222 ${KEY}`],
    ['a hash of another name', `${hashed('cucm-sub.example.com')} ${KEY}`],
    ['a hash of another version', `${hashed('cucm-pub.example.com').replace('|1|', '|2|')} ${KEY}`],
    ['a hash without its salt', `|1||${hashed('cucm-pub.example.com').split('|')[3]} ${KEY}`],
    ['a key that is of another type than it says', `cucm-pub.example.com ${KEY.replace('ed25519', 'ed25518')}`],
    ['a line without a key', 'cucm-pub.example.com ssh-ed25519'],
    ['a key that is cut', `cucm-pub.example.com ssh-ed25519 AAAA`],
    ['a marker that nobody knows', `@trust cucm-pub.example.com ${KEY}`],
    ['an endless line', `cucm-pub.example.com,${'x'.repeat(20_000)} ${KEY}`],
  ])('vouches for none with %s', (_, text) => {
    expect(counts(text)).toEqual([0, 0, 0])
  })

  it('names a port that is not the usual one in brackets', () => {
    expect(counts(`[10.10.0.10]:2222 ${KEY}`, ODD)).toEqual([1, 0, 0])
    expect(counts(`${hashed('[10.10.0.10]:2222')} ${KEY}`, ODD)).toEqual([1, 0, 0])
    expect(counts(`10.10.0.10 ${KEY}`, ODD)).toEqual([0, 0, 0])
  })

  it('vouches for several keys, but for none that it revokes, be that for all hosts', () => {
    const text = `cucm-pub.example.com ${KEY}\n*.example.com ${OTHER}\n@revoked * ${OTHER}\n`
    const { vouched, revoked } = findKnownHost(text, PUB)
    expect(vouched.map(({ fingerprint }) => fingerprint)).not.toContain(revoked[0]?.fingerprint)
    expect(counts(text)).toEqual([1, 1, 0])
  })

  it('may trust an authority, which is only counted', () => {
    expect(counts(`@cert-authority *.example.com ${KEY}`)).toEqual([0, 0, 1])
  })

  it('of any text is read in no time, and vouches only for what stands in it', () => {
    const word = fc.constantFrom(
      '|1|',
      '|',
      '@revoked',
      '@',
      ',',
      '!',
      '*'.repeat(60),
      'cucm-pub.example.com',
      ' ',
      '\n',
      KEY,
      'ssh-rsa',
      '\u001b[2J',
      '\0',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string())), (parts) => {
        const text = parts.join('')
        const { vouched } = findKnownHost(text, PUB)
        if (vouched.length > 0) expect(text).toContain(KEY)
      }),
      { numRuns: 500 },
    )
  })

  it.skipIf(!requireTool('ssh-keygen'))(
    'that ssh-keygen has hashed is read, and the fingerprint is the one that it prints',
    () => {
      const file = join(temporaryDirectory(), 'known_hosts')
      writeFileSync(file, `cucm-pub.example.com ${KEY}\n[10.10.0.10]:2222 ${KEY}\n`, { mode: 0o600 })
      const printed = execFileSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' }).split(' ')[1]
      execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'ignore' })
      const text = readFileSync(file, 'latin1')
      expect(text).not.toContain('cucm-pub')
      for (const place of [PUB, ODD]) {
        expect(findKnownHost(text, place).vouched).toEqual([{ type: 'ssh-ed25519', fingerprint: printed }])
      }
    },
  )
})
