import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import ssh2 from 'ssh2'
import { describe, expect, it } from 'vitest'
import { faultOfHostKey, rsaBits } from '../../src/daemon/ssh/host-keys.ts'
import { readKexInit } from '../../src/daemon/ssh/kexinit.ts'

const { utils } = ssh2

const string = (bytes: Buffer | string): Buffer => {
  const content = Buffer.from(bytes as string, 'latin1')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(content.length)
  return Buffer.concat([length, content])
}
const key = (type: string, ...parts: (Buffer | string)[]) => Buffer.concat([type, ...parts].map(string))
const blobOf = ({ public: line }: { readonly public: string }) => Buffer.from(line.split(' ')[1] ?? '', 'base64')
const rsa = (bits: number) => blobOf(utils.generateKeyPairSync('rsa', { bits }))
const ecdsa = (bits: 256 | 384 | 521) => blobOf(utils.generateKeyPairSync('ecdsa', { bits }))
const ED25519 = blobOf(utils.generateKeyPairSync('ed25519'))
const RSA = rsa(2048)
const P256 = ecdsa(256)

/** The wire form of a DSA key, as an old appliance would show it. */
function dsa(): Buffer {
  const { publicKey } = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 })
  return key('ssh-dss', publicKey.export({ type: 'spki', format: 'der' }))
}

describe('a host key', () => {
  it.each([
    ['Ed25519', ED25519],
    ['nistp256', P256],
    ['nistp384', ecdsa(384)],
    ['nistp521', ecdsa(521)],
    ['RSA of 2048 bits', RSA],
    ['RSA of 3072 bits', rsa(3072)],
  ])('%s may be trusted', (_, blob) => {
    expect(faultOfHostKey(blob)).toBeNull()
  })

  it.each([
    [512, 512],
    [1024, 1024],
    [2047, 2047],
  ])('RSA of %i bits is refused, with its length', (bits) => {
    const odd = Buffer.alloc(Math.ceil(bits / 8), 0xff)
    odd[0] = 0xff >> (odd.length * 8 - bits)
    const modulus = (odd[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), odd]) : odd
    const blob = key('ssh-rsa', Buffer.from([1, 0, 1]), modulus)
    expect(rsaBits(blob)).toBe(bits)
    expect(faultOfHostKey(blob)).toBe(`is an RSA key of ${bits} bits, and vosctl trusts none under 2048`)
  })

  it.each<[string, Buffer, RegExp]>([
    ['DSA', dsa(), /DSA key, which is too weak/],
    ['a certificate', key('ssh-ed25519-cert-v01@openssh.com', 'x'), /of the type "ssh-ed25519-cert-v01@openssh.com"/],
    ['a type that draws', key('\u001b[2J', 'x'), /of the type "␛", which/],
    ['nothing', Buffer.alloc(0), /of the type ""/],
    ['a curve of another type', key('ecdsa-sha2-nistp384', 'nistp256', P256.subarray(-65)), /malformed/],
    ['a point of another curve', key('ecdsa-sha2-nistp384', 'nistp384', P256.subarray(-65)), /malformed/],
    [
      'a compressed point',
      key('ecdsa-sha2-nistp256', 'nistp256', Buffer.concat([Buffer.from([2]), P256.subarray(-64)])),
      /malformed/,
    ],
    ['a short Ed25519 key', key('ssh-ed25519', ED25519.subarray(-31)), /malformed/],
    ['more than the key', Buffer.concat([ED25519, Buffer.from([0])]), /malformed/],
    ['another field', Buffer.concat([RSA, string('x')]), /malformed/],
    [
      'a modulus that looks longer by zeros',
      key('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.concat([Buffer.alloc(200), Buffer.alloc(128, 0xff)])),
      /malformed/,
    ],
    ['a negative modulus', key('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.alloc(256, 0xff)), /malformed/],
    ['an exponent of 1', key('ssh-rsa', Buffer.from([1]), RSA.subarray(-257)), /malformed/],
    ['an even exponent', key('ssh-rsa', Buffer.from([2]), RSA.subarray(-257)), /malformed/],
    ['an endless modulus', key('ssh-rsa', Buffer.from([3]), Buffer.alloc(4096, 0x7f)), /too long to be checked/],
  ])('with %s is refused', (_, blob, words) => {
    expect(faultOfHostKey(blob)).toMatch(words)
  })

  it('of any bytes is judged in one line that draws nothing, and a good one with a changed length never passes', () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 700 }),
      fc.uint8Array({ maxLength: 300 }).map((more) => key('ssh-rsa', Buffer.from(more))),
    )
    fc.assert(
      fc.property(any, (bytes) => {
        expect(faultOfHostKey(Buffer.from(bytes))).toMatch(/^is [^\p{Cc}]+$/u)
      }),
      { numRuns: 500 },
    )
    fc.assert(
      fc.property(fc.constantFrom(ED25519, P256, RSA), fc.nat(700), (blob, cut) => {
        if (cut !== blob.length)
          expect(faultOfHostKey(Buffer.concat([blob, Buffer.alloc(700)]).subarray(0, cut))).not.toBeNull()
      }),
      { numRuns: 500 },
    )
  })
})

const LISTS = ['k1,k2', 'h1', 'c1,c2', 'c3', 'm1', 'm2', 'none', 'zlib', '', '']

function packet(type: number, rest: Buffer, padding = 4): Buffer {
  const length = Buffer.alloc(5)
  length.writeUInt32BE(2 + rest.length + padding)
  length[4] = padding
  return Buffer.concat([length, Buffer.from([type]), rest, Buffer.alloc(padding)])
}

const kexInit = (lists = LISTS) => packet(20, Buffer.concat([Buffer.alloc(16), ...lists.map(string), Buffer.alloc(5)]))

describe('what a peer offers', () => {
  const READ = {
    kex: ['k1', 'k2'],
    serverHostKey: ['h1'],
    cipherToServer: ['c1', 'c2'],
    cipherToClient: ['c3'],
    macToServer: ['m1'],
    macToClient: ['m2'],
    compressToServer: ['none'],
    compressToClient: ['zlib'],
  }

  it('is read from the first message of the exchange, also behind messages that say nothing', () => {
    expect(readKexInit(kexInit())).toEqual(READ)
    const ignored = Buffer.concat([packet(2, string('x')), packet(4, Buffer.alloc(9)), kexInit(), Buffer.from('more')])
    expect(readKexInit(ignored)).toEqual(READ)
  })

  it('is awaited until it is there as a whole', () => {
    const whole = Buffer.concat([packet(2, string('x')), kexInit()])
    for (let end = 0; end < whole.length; end++) expect(readKexInit(whole.subarray(0, end))).toBe('more')
  })

  it.each([
    ['no such message', packet(21, Buffer.alloc(20))],
    ['a message without its lists', packet(20, Buffer.alloc(16))],
    ['a list that is longer than the message', kexInit([...LISTS.slice(0, 9), 'x']).fill(0xff, 30, 34)],
    ['an endless message', Buffer.from('ffffffff0414', 'hex')],
    ['a message of padding alone', Buffer.from('00000005ff140000000000', 'hex')],
    ['text', Buffer.from('HTTP/1.1 400 Bad Request')],
  ])('is nothing in %s', (_, bytes) => {
    expect(readKexInit(bytes)).toBeNull()
  })

  it('is never more than was sent, whatever was sent', () => {
    const damaged = fc.tuple(fc.nat(200), fc.nat(255)).map(([at, byte]) => {
      const bytes = kexInit()
      bytes[at % bytes.length] = byte
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), damaged), (bytes) => {
        const read = readKexInit(Buffer.from(bytes))
        if (read === null || read === 'more') return
        const names = Object.values(read as unknown as Record<string, string[]>).flat()
        expect(names.join('').length).toBeLessThan(bytes.length)
      }),
      { numRuns: 1000 },
    )
  })
})
