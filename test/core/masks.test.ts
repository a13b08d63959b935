import fs from 'node:fs'
import path from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { reportBug } from '../../src/cli/bug-report.ts'
import { conceal, masked, maskedIn } from '../../src/core/masks.ts'
import { oneLine } from '../../src/core/text.ts'
import { passwordSecret } from '../../src/daemon/ssh/session.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

function inUse(secret: string): void {
  onTestFinished(conceal(secret))
}

describe('a secret that is in use', () => {
  it.each(['correct horse battery', `a"b\\c'd%41$(x)`, 'pä\u202essword‑x', 'x\u001b[31mred', 'p4in'])(
    'is taken out of a text as it is, as we show it, in JSON and in an address: %j',
    (secret) => {
      inUse(secret)
      for (const form of [secret, oneLine(secret), JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]) {
        expect(masked(`<${form}> and <${form}>`)).toBe('<[password]> and <[password]>')
      }
    },
  )

  it('leaves nothing of another one that it begins', () => {
    for (const secret of ['summer2024', 'summer2024!Prod77', 'summer']) inUse(secret)
    expect(masked('<summer2024!Prod77> <summer2024>')).toBe('<[password]> <[password]>')
  })

  it('is taken out of what was cut off in the middle of it', () => {
    inUse('correct horse battery')
    expect(masked(oneLine(`the device said: correct horse battery`, 28))).toBe('the device said: [password]…')
  })

  it('is taken out of every text of an event but of what the house itself says', () => {
    inUse('STARTING')
    const event = {
      type: 'line',
      text: 'admin: STARTING',
      state: 'STARTING',
      error: { code: 'bug', deviceLines: ['x STARTING'] },
      services: [{ name: 'STARTING', reason: 'STARTING' }],
      count: 3,
      none: null,
    }
    expect(maskedIn(event)).toEqual({
      ...event,
      text: 'admin: [password]',
      error: { code: 'bug', deviceLines: ['x [password]'] },
      services: [{ name: 'STARTING', reason: '[password]' }],
    })
  })

  it('stays where it is a short word, which a mask would only point at', () => {
    inUse('Tomcat')
    expect(masked('Cisco Tomcat')).toBe('Cisco Tomcat')
  })

  it('is forgotten by whoever used it last, and once only', () => {
    const [first, second] = [conceal('correct horse'), conceal('correct horse')]
    first()
    first()
    expect(masked('correct horse')).toBe('[password]')
    second()
    expect(masked('correct horse')).toBe('correct horse')
  })
})

it('a token of the network door is taken out of every text, used or not, whole or cut', () => {
  const token = `vosctl_${'aB3-_'.repeat(9).slice(0, 43)}`
  expect(masked(`<${token}>`)).toBe('<[token]>')
  expect(masked(oneLine(`Host ${token}`, 40))).toBe('Host [token]…')
  expect(maskedIn({ reason: [token] })).toEqual({ reason: ['[token]'] })
  expect(masked('vosctl_operations')).toBe('vosctl_operations')
})

it('a report about a bug of the client does not show what was typed a moment ago', () => {
  const secret = 'correct horse battery'
  inUse(secret)
  const state = temporaryDirectory()
  const error = new Error(`cannot send "${secret}"`, { cause: new TypeError(`Received '${secret}'`) })
  const said = reportBug(error, ['--state-dir', state, 'credentials', 'set', 'x']).join('\n')
  const [file = ''] = fs.readdirSync(state)
  const report = fs.readFileSync(path.join(state, file), 'utf8')
  expect(report).toContain(`Received '[password]'`)
  expect(said + report).not.toContain('horse')
})

it('SSH and Socket.IO are never asked to tell what they send', () => {
  const sources = fs.readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file))
  expect(sources.length).toBeGreaterThan(100)
  const asks = sources.filter((file) =>
    /\bdebug\s*[:(=]|\bdebug,|['"]debug['"]/.test(fs.readFileSync(path.join('src', file), 'utf8')),
  )
  expect(asks).toEqual([])
})

it('a password in our hands shows itself neither to inspect nor to JSON', () => {
  const secret = passwordSecret('correct horse')
  expect(secret).toHaveProperty('password', 'correct horse')
  const error = Object.assign(new Error('x', { cause: { secret } }), { secret })
  for (const shown of [inspect(error, { depth: 9 }), JSON.stringify([secret, error])])
    expect(shown).not.toContain('correct')
})
