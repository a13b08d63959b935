import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isServiceName } from '../../src/core/service-name.ts'
import { createLineReader } from '../../src/daemon/devices/vos/line-reader.ts'
import { parseServiceList } from '../../src/daemon/devices/vos/service-list.ts'
import { parseStateLine } from '../../src/daemon/devices/vos/state-line.ts'

/** A transcript as the device sent it: without the line that names its source, with the device's line ends. */
function transcript(name: string): string {
  const text = readFileSync(new URL(`../transcripts/${name}.txt`, import.meta.url), 'utf8')
  return text.slice(text.indexOf('\n') + 1).replaceAll('\n', '\r\n')
}

function linesOf(output: string): string[] {
  return createLineReader(0)
    .feed(Buffer.from(output), 1)
    .map((line) => line.plain)
}

describe('the service list', { timeout: 30_000 }, () => {
  it('explains every line of a VVB list, three services on one line included', () => {
    const list = parseServiceList(transcript('list-01-vvb-12.6-full'))
    expect(list).toMatchObject({ unexplained: [], returnCode: 0, primary: true, complete: true })
    expect(list.services).toHaveLength(37)
    const names = list.services.map(({ name }) => name)
    expect(names.slice(7, 12)).toEqual([
      'Cisco RTMT Reporter Servlet',
      'Cisco Speechserver',
      'Cisco Syslog Agent',
      'Cisco Tomcat',
      'Cisco Tomcat Stats Servlet',
    ])
    expect(names).toContain('SOAP -Log Collection APIs')
    expect(list.services.at(-1)).toEqual({
      name: 'Cisco Serviceability Reporter',
      state: 'STOPPED',
      reason: 'Service Not Activated',
      refusal: 'not_activated',
    })
    expect(list.services.every(({ name }) => isServiceName(name))).toBe(true)
  })

  it('explains every line of an HCM-F list once its lost line breaks are restored', () => {
    const list = parseServiceList(restoreLineBreaks(transcript('list-02-hcmf-11.5.4-services-stopped')))
    expect(list).toMatchObject({ unexplained: [], returnCode: 0, primary: true, complete: true })
    expect(list.services).toHaveLength(53)
    expect(list.services).toContainEqual({
      name: 'Cisco HCS Admin UI',
      state: 'STOPPED',
      reason: 'Component is not running',
    })
    expect(list.services).toContainEqual({ name: 'System SSH', state: 'STARTED', reason: '', refusal: 'cuts_session' })
  })

  it('reads the same services out of the flattened HCM-F list', () => {
    const flat = transcript('list-02-hcmf-11.5.4-services-stopped')
    expect(parseServiceList(flat)).toEqual(parseServiceList(restoreLineBreaks(flat)))
  })

  it('reads the platform group, with its blank before the bracket and its ellipses, but does not call it a whole list', () => {
    expect(parseServiceList(transcript('list-04-cucm-platform-group-nscd'))).toEqual({
      services: [
        { name: 'System SSH', state: 'STARTED', reason: '', refusal: 'cuts_session' },
        { name: 'Cluster Manager', state: 'STARTED', reason: '' },
        { name: 'Password Reset', state: 'STOPPED', reason: 'Service Activated' },
        { name: 'Name Service Cache', state: 'STARTED', reason: '' },
      ],
      unexplained: [],
      returnCode: null,
      primary: null,
      complete: false,
    })
  })

  it('knows the lines of a healthy subscriber as stopped by an admin or by the role', () => {
    const { services, unexplained } = parseServiceList(transcript('list-08-subscriber-commanded-out-of-service-lines'))
    expect(unexplained).toEqual([])
    expect(services).toHaveLength(8)
    for (const service of services) expect(service).toMatchObject({ state: 'STOPPED', refusal: 'stopped_by_admin' })
  })

  it.each<[string, string, object]>([
    ['inner blanks', 'A B[ STOPPED ]', { name: 'A B', state: 'STOPPED', reason: '' }],
    ['a blank before the bracket', 'A B [STARTED]', { name: 'A B', state: 'STARTED' }],
    ['trailing blanks', 'A B[STARTED]  ', { name: 'A B', state: 'STARTED', reason: '' }],
    ['escapes', '\u001b[0mA B[\u001b[1mSTARTED\u001b[0m]\u001b[K', { name: 'A B', state: 'STARTED', reason: '' }],
    ['lower case', 'A B[Starting]', { name: 'A B', state: 'STARTING' }],
    ['a state that nobody has seen yet', 'A B[NOT RUNNING]', { name: 'A B', state: 'NOT RUNNING' }],
    ['a reason that nobody has seen yet', 'A B[STOPPED]  Some words', { reason: 'Some words' }],
    ['an ellipsis', 'A B[STARTED]…', { state: 'STARTED', reason: '' }],
    ['dots and hyphens in names', 'Cisco Unified CCX Socket.IO Service[STARTED]', { state: 'STARTED' }],
    ['a lone CR as line end', 'A B[STARTED]\rC[STOPPED]', { name: 'A B', state: 'STARTED' }],
  ])('reads %s', (_, line, expected) => {
    const list = parseServiceList(line)
    expect(list.services[0]).toMatchObject(expected)
    expect(list.unexplained).toEqual([])
  })

  it('keeps and counts what it does not understand', () => {
    const list = parseServiceList('Service Manager is running\nA[STARTED]\nWARNING: foo[bar]\nsomething else\n')
    expect(list).toMatchObject({ unexplained: ['WARNING: foo[bar]', 'something else'], complete: true })
    expect(list.services).toHaveLength(1)
  })

  it.each<[string, string]>([
    ['no service line', 'Service Manager is running\nPrimary Node =true\n'],
    ['no platform-end line', 'A[STARTED]\nB[STARTED]\n'],
    ['the platform-end line only inside another sentence', 'A[STARTED]\nNote: Service Manager is running low\n'],
    ['nothing', ''],
    ['an error', 'Executed command unsuccessfully\n'],
  ])('is not complete with %s', (_, output) => {
    expect(parseServiceList(output).complete).toBe(false)
  })

  it('takes the later state of a service that is listed twice', () => {
    expect(parseServiceList('A[STARTING]\nB[STARTED]\nA[STARTED]').services).toEqual([
      { name: 'A', state: 'STARTED', reason: '' },
      { name: 'B', state: 'STARTED', reason: '' },
    ])
  })

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('A', ' ', '[', ']', 'STARTED', '\n', '…', '\u001b', ':', '>>')), (parts) => {
        const list = parseServiceList(parts.join(''))
        for (const { name } of list.services) expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9 ._\-/()]*$/)
      }),
    )
  })
})

describe('a state line', { timeout: 30_000 }, () => {
  it.each([
    ['restart-01-finesse-tomcat-pcce12.5-devnet-sandbox', 'Cisco Finesse Tomcat', 'STOPPING STOPPING', 9],
    ['restart-04-imp-xcp-text-conference-manager', 'Cisco XCP Text Conference Manager', 'STARTING STARTING STARTED', 3],
    ['start-01-uccx-administration', 'Cisco Unified CCX Administration', 'STARTING STARTING STARTED STARTED', 4],
  ])('is found in %s, and nothing else is taken for one', (file, name, begin, count) => {
    const lines = linesOf(transcript(file))
    const states = lines.map(parseStateLine).filter((state) => state !== undefined)
    expect(new Set(states.map((state) => state.name))).toEqual(new Set([name]))
    expect(states.map(({ state }) => state).join(' ')).toMatch(new RegExp(`^${begin}`))
    expect(states).toHaveLength(count)
    expect(states.at(-1)?.state).toBe('STARTED')
    const others = lines.filter((line) => parseStateLine(line) === undefined && line.trim() !== '')
    for (const line of others) expect(line).toMatch(/^admin:|Ctrl|^Service Manager is running$/)
  })

  it.each([
    " Don't press Ctrl-c while the service is getting RESTARTED.If Service has not Restarted Properly, execute the same Command Again",
    'Do not press Ctrl+C while the service is restarting. If the service has not restarted properly, execute the same command again.',
    'Cisco Tomcat[STARTED] was asked for',
    'Service: Cisco Tomcat[STARTED]',
    'admin:Cisco Tomcat[STARTED]',
    'Cisco Tomcat[STARTED] Cisco Syslog Agent[STARTED]',
    'Cisco Tomcat[STARTED',
    '[STARTED]',
    'Cisco Tomcat[]',
    `Cisco Tomcat${' '.repeat(600)}[STARTED]`,
  ])('is not this: %s', (line) => {
    expect(parseStateLine(line)).toBeUndefined()
  })

  it.each([
    ['Cisco Tomcat Stats Servlet[STARTED]', 'Cisco Tomcat Stats Servlet'],
    ['Cisco Finesse Tomcat[STARTED]', 'Cisco Finesse Tomcat'],
    ['Waiting for Cisco Tomcat[STARTED]', 'Waiting for Cisco Tomcat'],
    ['Cisco Tomcat[STARTED]  ', 'Cisco Tomcat'],
  ])('%s speaks of "%s" and of no other service', (line, name) => {
    expect(parseStateLine(line)?.name).toBe(name)
  })

  it('carries the reason with a stopped state', () => {
    expect(parseStateLine('Cisco Tomcat[STOPPED]  Component is not running')).toEqual({
      name: 'Cisco Tomcat',
      state: 'STOPPED',
      reason: 'Component is not running',
    })
  })
})

/** The page has lost them: they stood before every service and before every fixed line. */
function restoreLineBreaks(flat: string): string {
  return flat
    .replace(/(service list) (Requesting)/, '$1\n$2')
    .replace(/ (System SSH|Service Manager is|Getting list|>> Return)/g, '\n$1')
    .replace(/(Return code = 0) /, '$1\n')
    .replace(/(\]|Service Not Activated|Component is not running) *(?=[A-Z])/g, '$1\n')
    .replace(/(\[ ?STOPPED ?\])\n(Service Not Activated|Component is not running)/g, '$1  $2')
}
