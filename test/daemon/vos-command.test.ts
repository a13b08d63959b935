import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { isServiceName } from '../../src/core/service-name.ts'
import { toCommandLine } from '../../src/daemon/devices/vos/command.ts'
import { compareEcho } from '../../src/daemon/devices/vos/echo.ts'

describe('a command line', { timeout: 30_000 }, () => {
  it('is one of three fixed templates', () => {
    expect(toCommandLine({ type: 'list' })).toBe('utils service list')
    expect(toCommandLine({ type: 'restart', service: 'Cisco Tomcat' })).toBe('utils service restart Cisco Tomcat')
    expect(toCommandLine({ type: 'exit' })).toBe('exit')
  })

  it.each([
    'Cisco Tomcat\rutils system restart',
    'Cisco Tomcat\nutils system restart',
    'Cisco Tomcat\r',
    'Cisco Tomcat ',
    ' Cisco Tomcat',
    'Cisco Tomcat\u0003',
    'Cisco Tomcat\u0015exit',
    'Cisco Tomcat | cat',
    'Cisco Tomcat; x',
    'Cisco "Tomcat"',
    'Cisco\tTomcat',
    'Cisco Tomcat\u202e',
    '-x',
    '',
    'x'.repeat(97),
  ])('is refused for the name %j', (service) => {
    expect(() => toCommandLine({ type: 'restart', service })).toThrow(
      expect.objectContaining({ code: 'bad_request' }) as Error,
    )
  })

  it('is, for any string as a name, refused or exactly the template and that name', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('Cisco Tomcat', '\r', '\n', '\u0003', ' ', '-'),
    )
    const name = fc.array(part, { maxLength: 4 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(name, (service) => {
        const result = attempt(() => toCommandLine({ type: 'restart', service }))
        const isTyped =
          typeof result === 'string' &&
          result === `utils service restart ${service}` &&
          /^[A-Za-z0-9 ._\-/()]+$/.test(result)
        expect(isTyped || result instanceof VosError).toBe(true)
        expect(isTyped).toBe(isServiceName(service))
      }),
      { numRuns: 200 },
    )
  })
})

describe('an echo', { timeout: 30_000 }, () => {
  const typed = 'utils service restart Cisco Tomcat'

  it.each<[string, string, 'full' | 'part' | 'differs']>([
    ['nothing yet', '', 'part'],
    ['a part', 'utils serv', 'part'],
    ['all of it', typed, 'full'],
    ['wrapped with a blank and CR', 'utils service restart Cisco Tom \ncat', 'full'],
    ['wrapped with a line break', 'utils service restart Cisco Tom\ncat', 'full'],
    ['wrapped at a blank of the name', 'utils service restart Cisco \nTomcat', 'full'],
    ['wrapped at a blank of the name, with one more', 'utils service restart Cisco  \nTomcat', 'full'],
    ['wrapped several times', 'utils serv \nice restart \n Cisco Tomcat', 'full'],
    ['wrapped after the last character', `${typed} \n`, 'full'],
    ['half a wrap', 'utils serv ', 'part'],
    ['a lost character', 'utils service restart Cisco omcat', 'differs'],
    ['a lost blank', 'utils service restart CiscoTomcat', 'differs'],
    ['a doubled character', 'utils service restart Cisco Tommcat', 'differs'],
    ['a lost tail', 'utils service restart Cisco Tomca', 'part'],
    ['one character more', `${typed}x`, 'differs'],
    ['one blank more', `${typed} `, 'part'],
    ['two blanks in the middle', 'utils  service', 'differs'],
    ['a second prompt before it', `\nadmin:${typed}`, 'differs'],
    ['another case', 'Utils service', 'differs'],
    ['stars', '****', 'differs'],
  ])('with %s', (_, echoed, expected) => {
    expect(compareEcho(typed, echoed)).toBe(expected)
  })

  it('is full only if all its characters but line breaks and blanks are the command', () => {
    const bare = (text: string): string => text.replace(/[ \n]/g, '')
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...typed, ' \n', '\n', ' ')), (parts) => {
        const echoed = parts.join('')
        expect(compareEcho(typed, echoed) !== 'full' || bare(echoed) === bare(typed)).toBe(true)
      }),
    )
  })

  it('is full however often an editor wraps it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 60 }), fc.constantFrom(' \n', '\n'), (width, wrap) => {
        const echoed = typed.replace(new RegExp(`.{${width}}`, 'g'), `$&${wrap}`)
        expect(compareEcho(typed, echoed)).toBe('full')
      }),
    )
  })
})

function attempt(work: () => string): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}
