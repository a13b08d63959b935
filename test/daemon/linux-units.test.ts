import { describe, expect, it } from 'vitest'
import { parseServices, parseShown, toUnitName } from '../../src/daemon/devices/linux/units.ts'

/** As systemd 252 prints them, with the dot that older versions put in front in spite of `--plain`. */
const UNITS = `  auditd.service             not-found inactive dead         auditd.service
  cron.service               loaded    active   running      Regular background program processing daemon
● broken.service             loaded    failed   failed       A broken thing
  oneshot.service            loaded    active   exited       Set something up
  stopped.service            loaded    inactive dead         Stopped by somebody
  coming.service             loaded    activating auto-restart Crashes and comes back
  going.service              loaded    deactivating stop-sigterm Going down
  reload.service             loaded    reloading reload      Reading its configuration
  odd.service                loaded    maintenance dead      Newer than vosctl
  masked.service             masked    inactive dead         masked.service
  bad.service                bad-setting inactive dead       Has a typing error
  user@1000.service          loaded    active   running      User Manager for UID 1000
  a\\x2db.service             loaded    active   running      Escaped – with an en dash
Welcome to web1! Have a nice day.
`

const UNIT_FILES = `cron.service                           enabled         enabled
never-started.service                  disabled        enabled
static-one.service                     static          -
hidden.service                         masked          enabled
hidden-now.service                     masked-runtime  enabled
sshd.service                           alias           -
getty@.service                         enabled         enabled
old-format.service                     enabled
backup.timer                           enabled         enabled
`

describe('the list of services', () => {
  const services = parseServices(UNITS, UNIT_FILES)
  const byName = new Map(services.map((service) => [service.name, service]))

  it('has each service once, and neither templates, aliases nor what does not exist', () => {
    expect([...byName.keys()]).toEqual([
      'cron.service',
      'broken.service',
      'oneshot.service',
      'stopped.service',
      'coming.service',
      'going.service',
      'reload.service',
      'odd.service',
      'masked.service',
      'bad.service',
      'user@1000.service',
      'a\\x2db.service',
      'never-started.service',
      'static-one.service',
      'hidden.service',
      'hidden-now.service',
      'old-format.service',
    ])
    expect(services).toHaveLength(byName.size)
  })

  it.each([
    ['cron.service', { state: 'STARTED', reason: '' }],
    ['broken.service', { state: 'STOPPED', reason: 'failed' }],
    ['oneshot.service', { state: 'STARTED', reason: 'exited' }],
    ['stopped.service', { state: 'STOPPED', reason: '', refusal: 'stopped_by_admin' }],
    ['coming.service', { state: 'STARTING', reason: 'auto-restart' }],
    ['going.service', { state: 'STOPPING', reason: 'stop-sigterm' }],
    ['reload.service', { state: 'STARTED', reason: 'reload' }],
    ['odd.service', { state: 'MAINTENANCE', reason: '' }],
    ['masked.service', { state: 'STOPPED', reason: 'masked', refusal: 'masked' }],
    ['bad.service', { state: 'STOPPED', reason: 'bad-setting', refusal: 'stopped_by_admin' }],
    ['never-started.service', { state: 'STOPPED', reason: 'disabled', refusal: 'stopped_by_admin' }],
    ['hidden.service', { state: 'STOPPED', reason: 'masked', refusal: 'masked' }],
    ['hidden-now.service', { state: 'STOPPED', reason: 'masked-runtime', refusal: 'masked' }],
  ])('reads %s', (name, expected) => {
    expect(byName.get(name)).toEqual({ name, ...expected })
  })
})

describe('one unit', () => {
  const show = (properties: Record<string, string>) =>
    parseShown(
      'nginx.service',
      Object.entries({
        Id: 'nginx.service',
        LoadState: 'loaded',
        ActiveState: 'active',
        SubState: 'running',
        Result: 'success',
        InvocationID: 'abc',
        NRestarts: '0',
        ...properties,
      })
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )

  it('has its invocation as identity', () => {
    expect(show({})).toEqual({
      service: { name: 'nginx.service', state: 'STARTED', reason: '', identity: 'abc' },
      text: 'nginx.service: active (running)',
    })
  })

  it('that failed tells how, and may be restarted', () => {
    expect(show({ ActiveState: 'failed', SubState: 'failed', Result: 'exit-code', NRestarts: '3' })).toEqual({
      service: { name: 'nginx.service', state: 'STOPPED', reason: 'failed (exit-code)', identity: 'abc' },
      text: 'nginx.service: failed (failed, exit-code, restarts 3)',
    })
  })

  it('that was never started has an empty identity, which differs from any later one', () => {
    expect(show({ ActiveState: 'inactive', SubState: 'dead', InvocationID: '' })?.service).toEqual({
      name: 'nginx.service',
      state: 'STOPPED',
      reason: '',
      refusal: 'stopped_by_admin',
      identity: '',
    })
  })

  it('of a systemd without invocations has the moment of its start as identity', () => {
    const output =
      'Id=a.service\nLoadState=loaded\nActiveState=active\nSubState=running\nInactiveExitTimestampMonotonic='
    expect(parseShown('a.service', `${output}4711\n`)?.service.identity).toBe('started-at-4711')
    expect(parseShown('a.service', `${output}0\n`)?.service.identity).toBe('')
  })

  it('keeps the name by which it was asked for, and tells what that stands for', () => {
    expect(show({ Id: 'real.service' })?.service).toMatchObject({
      name: 'nginx.service',
      reason: 'alias of real.service',
    })
  })

  it('is null when it does not exist, and undefined when this is no answer of systemd', () => {
    expect(show({ LoadState: 'not-found' })).toBeNull()
    expect(parseShown('nginx.service', 'hello\n')).toBeUndefined()
    expect(parseShown('nginx.service', '')).toBeUndefined()
  })

  it('may be named without its type', () => {
    expect(toUnitName('nginx')).toBe('nginx.service')
    expect(toUnitName('nginx.service')).toBe('nginx.service')
    expect(toUnitName('backup.timer')).toBe('backup.timer.service')
  })
})
