import { describe, expect, it } from 'vitest'
import { explain, REQUESTS } from '../../src/core/schemas.ts'
import { parseServices } from '../../src/daemon/devices/linux/units.ts'
import { testSample } from './sample.ts'

testSample('fuzz')

describe('found by a fuzzer', () => {
  it('a systemd state that is called like a method of every object was taken for that method', () => {
    expect(parseServices('nginx.service loaded toString running A web server', '')).toEqual([
      { name: 'nginx.service', state: 'TOSTRING', reason: '' },
    ])
  })

  it('the name of an unknown key brought its escape sequences into the error that told of it', () => {
    const { error } = REQUESTS['daemon:info'].safeParse({ '\u001b]0;owned\u0007': 1 })
    expect(error && explain(error)).toBe('Unrecognized key: "␛"')
  })
})
