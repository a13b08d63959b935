import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLineReader, type Line } from '../../src/daemon/devices/vos/line-reader.ts'
import {
  isForeignShell,
  isPasswordQuestion,
  pagingAnswer,
  questionIn,
  recognisePrompt,
} from '../../src/daemon/devices/vos/prompt.ts'

/** The unterminated last line of what the device sent. */
function pendingOf(output: string): string {
  const reader = createLineReader(0)
  reader.feed(Buffer.from(output), 0)
  return reader.pending.plain
}

const login07 = readFileSync(new URL('../transcripts/login-07-cucm15-raw-bytes-escaped.txt', import.meta.url), 'utf8')
  .split('\n')[1]
  ?.replaceAll('\\r', '\r')
  .replaceAll('\\n', '\n')
  .replaceAll('\\t', '\t')

describe('the prompt', { timeout: 30_000 }, () => {
  it.each<[string, string]>([
    ['the usual one', 'ready\r\nadmin:'],
    ['with a blank', 'ready\r\nadmin: '],
    ['on its own', 'admin:'],
    ['after a lone CR', 'please wait\radmin:'],
    ['doubled by a nudge', 'x\r\n\r\nadmin:\r\n\radmin:'],
    ['as a CUCM 15 lab sent it', login07 ?? ''],
    ['behind an erased line', 'x\r\n\u001b[Kadmin:\u001b[0m'],
    ['in bold', '\u001b[1madmin:\u001b[0m '],
    ['behind a title', '\u001b]0;cucm\u0007admin:'],
    ['with a count before it', 'x\r\n12:admin:'],
    ['with a count in brackets', 'x\r\nadmin[3]:'],
    ['with a count after it', 'x\r\nadmin:4:'],
    ['with a count and a blank', 'x\r\nadmin 4: '],
  ])('is found: %s', (_, output) => {
    expect(recognisePrompt(pendingOf(output))).toBeDefined()
  })

  it.each<[string, string]>([
    ['when its line is finished', 'admin:\r\n'],
    ['at the end of a sentence', 'Ask the admin:'],
    ['inside a line', 'admin: please call Bob'],
    ['behind an echo', 'admin:utils service list'],
    ['when only half of it is there', 'x\r\nadmi'],
    ['when the colon is missing', 'x\r\nadmin'],
    ['in a password question', "admin's password:"],
    ['in a password question without a blank', 'admin-password:'],
    ['when a shell answers', '[root@cucm ~]# '],
    ['when the line is endless', `${'x'.repeat(500)}admin:`],
    ['when there is nothing', ''],
  ])('is not found %s', (_, output) => {
    expect(recognisePrompt(pendingOf(output))).toBeUndefined()
  })

  it('with a count is learned: the number may change, the rest may not', () => {
    const prompt = recognisePrompt('admin[3]: ')
    expect(prompt?.matches('admin[3]:')).toBe(true)
    expect(prompt?.matches('admin[14]: ')).toBe(true)
    expect(prompt?.matches('admin:')).toBe(false)
    expect(prompt?.matches('admin[x]:')).toBe(false)
  })

  it('of the usual kind stays the usual one', () => {
    const prompt = recognisePrompt('admin:')
    expect(prompt?.matches('admin: ')).toBe(true)
    expect(prompt?.matches('1:admin:')).toBe(false)
  })
})

describe('other unterminated lines', { timeout: 30_000 }, () => {
  it.each([
    'UNIX password: ',
    '(current) UNIX password:',
    'Please enter the old password:',
    '   Please enter the new password:',
    'Reenter new password to confirm:',
    'New Password: ',
  ])('%s is a password dialogue', (line) => {
    expect(isPasswordQuestion(line)).toBe(true)
  })

  it.each(['admin:', 'Your password expires in 3 days', ''])('%s is no password dialogue', (line) => {
    expect(isPasswordQuestion(line)).toBe(false)
  })

  it.each([
    ['Continue (y/n)?', 'plain'],
    ['Do you really want to restart ?Enter (yes/no)? ', 'plain'],
    ['Start installation (yes/no):', 'plain'],
    ['Include OU in CSR (yes|no)?', 'plain'],
    ['Proceed (Y/N)', 'plain'],
    ['Press <enter> for 1 line, <space> for one page, or <q> to quit', 'plain'],
    ['Which one?', 'likely'],
    ['Machine name: ', 'likely'],
    ['Cisco Tomcat[STARTING', undefined],
    ['Please wait...', undefined],
    ['', undefined],
    [`${' '.repeat(4000)}x`, undefined],
  ])('%s is a question: %s', (line, kind) => {
    expect(questionIn(line)).toBe(kind)
  })

  it('paging prompts get the key that leads on', () => {
    const press = '\u001b[1mPress <enter> for 1 line, <space> for one page, or <q> to quit\u001b[0m\u001b[K'
    expect(pagingAnswer(pendingOf(press))).toBe(' ')
    const options = 'options: q=quit, n=next, p=prev, b=begin, e=end'
    expect(pagingAnswer(`${options} (lines 61 - 80 of 207554) :`)).toBe('n')
    expect(pagingAnswer(`end of the file reached${options} (lines 1221 - 1223 of 1223) :`)).toBe('q')
    expect(pagingAnswer('admin:')).toBeUndefined()
  })

  it.each([
    ['[root@cucm ~]# ', true],
    ['$ ', true],
    ['user@host:~$ ', true],
    ['admin:', false],
    ['Command Line Interface is starting up, please wait ...', false],
  ])('%s is a shell of some other system: %s', (line, expected) => {
    expect(isForeignShell(line)).toBe(expected)
  })
})

describe('the line reader', { timeout: 30_000 }, () => {
  it('gives whole lines in two forms: with marks to show, without escapes to match', () => {
    const reader = createLineReader(0)
    expect(reader.feed(Buffer.from('\u001b[1mA[STARTED]\u001b[0m  \r\nB'), 5)).toEqual([
      { text: '␛A[STARTED]␛', plain: 'A[STARTED]  ' },
    ])
    expect(reader.pending).toEqual({ text: 'B', plain: 'B' })
  })

  it('knows for how long nothing has come', () => {
    const reader = createLineReader(100)
    expect(reader.quietFor(150)).toBe(50)
    reader.feed(Buffer.from('x'), 200)
    expect(reader.quietFor(260)).toBe(60)
    reader.touch(300)
    expect(reader.quietFor(310)).toBe(10)
  })

  it('forgets the unterminated line when told to', () => {
    const reader = createLineReader(0)
    reader.feed(Buffer.from('admin:'), 1)
    reader.cut()
    expect(reader.feed(Buffer.from('exit\r\n'), 2)).toEqual([{ text: 'exit', plain: 'exit' }])
  })

  it('counts control characters that a line does not show', () => {
    const reader = createLineReader(0)
    reader.feed(Buffer.from('a\r\n\tb\u001b[K'), 1)
    expect(reader.strays).toBe(0)
    reader.feed(Buffer.from('a\b\u0007\u007f'), 1)
    expect(reader.strays).toBe(3)
  })

  it.each([
    'restart-01-finesse-tomcat-pcce12.5-devnet-sandbox',
    'list-01-vvb-12.6-full',
    'list-04-cucm-platform-group-nscd',
    'login-04-uccx-sandbox-and-exit',
  ])('reads the same lines wherever the bytes of %s are split', (file) => {
    const session = Buffer.from(
      readFileSync(new URL(`../transcripts/${file}.txt`, import.meta.url), 'utf8').replaceAll('\n', '\u001b[K\r\n') +
        'admin:\r\n\radmin:',
    )
    const whole = read([session])
    expect(whole.pending.plain).toBe('admin:')
    expect(read(Array.from(session, (byte) => Uint8Array.of(byte)))).toEqual(whole)
    fc.assert(
      fc.property(fc.array(fc.nat(session.length), { maxLength: 20 }), (cuts) => {
        const at = [0, ...cuts, session.length].toSorted((a, b) => a - b)
        expect(read(at.slice(1).map((end, index) => session.subarray(at[index], end)))).toEqual(whole)
      }),
    )
  })
})

function read(chunks: readonly Uint8Array[]): { lines: Line[]; pending: Line } {
  const reader = createLineReader(0)
  const lines = chunks.flatMap((chunk) => reader.feed(chunk, 1))
  return { lines, pending: reader.pending }
}
