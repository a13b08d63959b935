import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { editDistance, isServiceName, isUnitName, resolveService } from '../../src/core/service-name.ts'

const LIST = [
  'Cisco Tomcat',
  'Cisco Tomcat Stats Servlet',
  'Cisco Finesse Tomcat',
  'Cisco Unified CCX Socket.IO Service',
  'SOAP -Log Collection APIs',
  'nginx.service',
  'getty@tty1.service',
].map((name) => ({ name, state: 'STARTED', reason: '' }))

describe('resolveService', () => {
  it.each([
    ['Cisco Tomcat', 'Cisco Tomcat'],
    ['cisco tomcat', 'Cisco Tomcat'],
    ['CISCO  FINESSE', 'Cisco Finesse Tomcat'],
    ['cisco tomcat stats', 'Cisco Tomcat Stats Servlet'],
    ['nginx', 'nginx.service'],
    ['NGINX', 'nginx.service'],
    ['getty', 'getty@tty1.service'],
    ['SOAP -Log', 'SOAP -Log Collection APIs'],
  ])('takes %j for %j', (wanted, name) => {
    expect(resolveService(wanted, LIST).name).toBe(name)
  })

  it.each([
    ['Tomcat', 'unknown_service'],
    ['Cisco', 'ambiguous'],
    ['ngin', 'unknown_service'],
    ['', 'unknown_service'],
  ])('refuses %j as %s, with candidates and their states', (wanted, code) => {
    const refuse = () => resolveService(wanted, LIST)
    expect(refuse).toThrow(VosError)
    expect(refuse).toThrow(expect.objectContaining({ code }))
  })

  it('offers what looks alike', () => {
    const refuse = () => resolveService('Cisco Tomcut', LIST)
    expect(refuse).toThrow(expect.objectContaining({ hint: expect.stringContaining('"Cisco Tomcat" [STARTED]') }))
  })
})

describe('the grammar of names', () => {
  it('lets no name through that holds anything but its letters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 120 }), (name) => {
        if (isServiceName(name)) expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9 ._\-/()]*$/)
        if (isUnitName(name)) expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._\-@:\\]*$/)
      }),
    )
  })

  it.each(['x\n', 'x\ny', 'x;y', 'x|y', '-x', ' x', 'x ', '$(x)', 'x`y`', '', 'a'.repeat(97), "x'y", 'x\u202ey'])(
    'refuses %j',
    (name) => {
      expect(isServiceName(name)).toBe(false)
      expect(isUnitName(name)).toBe(false)
    },
  )
})

it('counts edits', () => {
  expect(editDistance('cucm-pub', 'cucm-pbu')).toBe(2)
  expect(editDistance('', 'abc')).toBe(3)
})
