import { describe, expect, it } from 'vitest'
import type { ServiceState } from '../../src/core/device.ts'
import { VosError } from '../../src/core/errors.ts'
import {
  apply,
  isStillOurs,
  needsAcknowledgement,
  type Operation,
  type OperationEvent,
  type Proof,
} from '../../src/core/operation.ts'
import { endingFor } from '../../src/core/recipes/ending.ts'
import { verify, type Known } from '../../src/core/recipes/verify.ts'
import { exitStatusFor } from '../../src/core/verdict.ts'
import { ACCEPTED, FACTS, play, record, TOMCAT, UNTIL_DISPATCH } from '../helpers/operations.ts'
import { ScriptedDevice, type Script } from '../helpers/scripted-device.ts'

const START = 1_000_000
const tomcat = (state: string, more: Partial<ServiceState> = {}): ServiceState => ({ ...TOMCAT, state, ...more })

const SENT: OperationEvent = { type: 'sent' }
const MOVED: readonly OperationEvent[] = [SENT, { type: 'stopping', seenIn: 'output' }]
const UNKNOWN: OperationEvent = {
  type: 'settled',
  status: 'unknown',
  message: 'outcome unknown: the connection was lost',
}

/** A restart whose outcome nobody knows, after these events that followed the intent. */
const unknown = (after: readonly OperationEvent[], from = UNTIL_DISPATCH) => play([...from, ...after, UNKNOWN])

const onLinux = (identity: string) =>
  UNTIL_DISPATCH.map((event) =>
    event.type === 'resolved' ? { ...event, service: { ...event.service, identity } } : event,
  )

/** Looks at a device, `afterMs` after the subject was accepted; null when the look is about the connection. */
async function look(
  subject: Operation | null,
  script: Script,
  options: { readonly afterMs?: number; readonly known?: Partial<Known>; readonly service?: string | null } = {},
) {
  const { afterMs = 60_000, known = {}, service = 'Cisco Tomcat' } = options
  const device = new ScriptedDevice(script)
  const accepted = {
    ...ACCEPTED,
    operationType: 'verify',
    service,
    ...(subject ? { subject: subject.id } : {}),
  } as const
  let operation = play([accepted], 'v-7k2m9q', START + afterMs)
  const keep = (event: OperationEvent) => {
    const seq = operation.seq + 1
    operation = apply(operation, { cursor: 0, operationId: operation.id, seq, at: START + afterMs + seq, event })
    return event
  }
  const steps = verify(device, operation, {
    subject: () => subject,
    isOurs: (one) => isStillOurs(one, START + afterMs),
    underWay: () => null,
    ...known,
  })
  let last: OperationEvent | undefined
  try {
    let step = await steps.next()
    while (!step.done) {
      last = keep(step.value)
      step = await steps.next(operation)
    }
  } catch (error) {
    last = keep(endingFor(operation, error))
  }
  const proves = last?.type === 'settled' ? (last.proves ?? null) : null
  // Whatever a look claims, the reducer must grant it.
  const after = proves && subject ? verified(subject, proves) : subject
  return { operation, proves, after, exit: exitStatusFor(operation), calls: device.calls }
}

function verified(subject: Operation, proof: Proof): Operation {
  const event = { ...proof, type: 'verified', by: 'alice', look: 'v-7k2m9q' } as const
  return apply(subject, { cursor: 0, operationId: subject.id, seq: subject.seq + 1, at: START + 99_000, event })
}

describe('what proves an unknown outcome', () => {
  it('that it was seen moving then, and is STARTED now: it restarted', async () => {
    const { operation, after, exit, calls } = await look(unknown(MOVED), {})
    expect(operation.message).toBe(
      'r-7k2m9q: "Cisco Tomcat" restarted, seen STOPPING then STARTED, confirmed by a later look',
    )
    expect(exit).toBe(0)
    expect(after).toMatchObject({ status: 'completed', effect: 'confirmed', progress: 100 })
    expect(after?.verified).toMatchObject({ by: 'alice', look: 'v-7k2m9q', was: { message: UNKNOWN.message } })
    expect(after && needsAcknowledgement(after)).toBe(false)
    expect(calls).toEqual(['connect', 'login', 'open', 'services', 'services'])
  })

  it('the same a year later, because what was seen then stays seen', async () => {
    expect((await look(unknown(MOVED), {}, { afterMs: 365 * 86_400_000 })).after?.status).toBe('completed')
  })

  it('that it still moves, soon after, and then is STARTED', async () => {
    const lists = [[tomcat('STARTING')], [tomcat('STARTING')], [TOMCAT]]
    const { after, proves, calls } = await look(unknown([SENT]), { lists })
    expect(after?.status).toBe('completed')
    expect(proves?.evidence).toEqual([
      { what: 'seen moving', value: 'Cisco Tomcat[STARTING]' },
      { what: 'service list', value: 'Cisco Tomcat[STARTED]' },
    ])
    expect(calls.filter((call) => call === 'login')).toHaveLength(1)
  })

  it('that it is STOPPED, read twice, soon after: the service is DOWN', async () => {
    const lists = [[tomcat('STOPPED', { reason: 'Component is not running' })]]
    const { operation, after, exit } = await look(unknown([SENT]), { lists })
    expect(operation.message).toContain('r-7k2m9q: the service is DOWN: "Cisco Tomcat" on cucm-pub is STOPPED')
    expect(exit).toBe(1)
    expect(after).toMatchObject({ status: 'failed', error: { code: 'service_down' } })
  })

  it('that it is another run of it, on a platform that numbers them', async () => {
    const { after } = await look(unknown([SENT], onLinux('a1')), { lists: [[tomcat('STARTED', { identity: 'b2' })]] })
    expect(after).toMatchObject({
      status: 'completed',
      message: '"Cisco Tomcat" restarted, proved by its new identity',
    })
    expect(after?.evidence).toContainEqual(expect.objectContaining({ what: 'identity changed', value: 'a1 to b2' }))
  })
})

describe('what proves nothing', () => {
  const day = 86_400_000
  it.each<[string, Operation, readonly (readonly ServiceState[])[], number, string]>([
    ['STARTED now, and never seen moving', unknown([SENT]), [[TOMCAT]], 0, 'no transition was seen'],
    [
      'movement that may be of somebody else, because nobody knows that our command left',
      unknown([]),
      [[tomcat('STARTING')], [tomcat('STARTING')], [TOMCAT]],
      0,
      'no transition was seen',
    ],
    [
      'movement a day later, that may be of somebody else',
      unknown([SENT]),
      [[tomcat('STARTING')], [tomcat('STARTING')], [TOMCAT]],
      day,
      'no transition was seen',
    ],
    [
      'movement before it was sent, by a clock that was set back',
      unknown([SENT]),
      [[tomcat('STARTING')], [tomcat('STARTING')], [TOMCAT]],
      -day,
      'no transition was seen',
    ],
    ['STOPPED a day later', unknown(MOVED), [[tomcat('STOPPED')]], day, 'the service is DOWN'],
    ['STOPPED when nobody knows that our command left', unknown([]), [[tomcat('STOPPED')]], 0, 'the service is DOWN'],
    [
      'STOPPED on purpose',
      unknown(MOVED),
      [[tomcat('STOPPED', { reason: 'Commanded Out of Service', refusal: 'stopped_by_admin' })]],
      0,
      'the service is DOWN',
    ],
    [
      'one STOPPED reading between stopping and starting',
      unknown([]),
      [[tomcat('STOPPED')], [tomcat('STOPPED')], [tomcat('STARTING')], [TOMCAT]],
      0,
      '"Cisco Tomcat" is STARTED; no transition was seen',
    ],
    ['a service that moves for ever', unknown([SENT]), [[tomcat('STARTING')]], 0, '"Cisco Tomcat" is STARTING still'],
    ['a word that nobody knows', unknown(MOVED), [[tomcat('NOTRUNNING')]], 0, '"Cisco Tomcat" is NOTRUNNING'],
    ['a list without it', unknown(MOVED), [[tomcat('STARTED', { name: 'Cisco Tomcat Stats' })]], 0, 'no longer in the'],
    [
      'the same run as before, although it was seen moving',
      unknown(MOVED, onLinux('a1')),
      [[tomcat('STARTED', { identity: 'a1' })]],
      0,
      'it is not certain that this restart started it',
    ],
    [
      'another run, when nobody knows that our command left',
      unknown([], onLinux('a1')),
      [[tomcat('STARTED', { identity: 'b2' })]],
      0,
      'it is not certain that this restart started it',
    ],
    [
      'another run a day later, which a reboot may have begun',
      unknown([SENT], onLinux('a1')),
      [[tomcat('STARTED', { identity: 'b2' })]],
      day,
      'it is not certain that this restart started it',
    ],
  ])('%s', async (_, subject, lists, afterMs, why) => {
    const { operation, proves, exit } = await look(subject, { lists }, { afterMs: afterMs + 60_000 })
    expect(proves).toBeNull()
    expect(operation.message).toContain(`the outcome of ${subject.id} stays unknown: `)
    expect(operation.message).toContain(why)
    expect(operation.error?.hint).toBe(`Accept it and free cucm-pub: vosctl ack ${subject.id}`)
    expect(exit).toBe(3)
  })

  it('a machine with another host key: it may be another one', async () => {
    const other = { ...FACTS, hostKey: { ...FACTS.hostKey, fingerprint: `SHA256:${'B'.repeat(43)}` } }
    const from = UNTIL_DISPATCH.map((event) => (event.type === 'ready' ? { ...event, facts: other } : event))
    const { operation, proves, exit } = await look(unknown(MOVED, from), {})
    expect({ proves, exit }).toEqual({ proves: null, exit: 3 })
    expect(operation.message).toContain('the host key is another one since')
  })

  it('anything that is seen after somebody has accepted the outcome', async () => {
    const subject = unknown(MOVED)
    const seq = subject.seq + 1
    const event = { type: 'acknowledged', by: 'bob' } as const
    const accepted = apply(subject, { cursor: 0, operationId: subject.id, seq, at: START, event })
    let asked = 0
    const known = { subject: () => (asked++ === 0 ? subject : accepted) }
    const { operation, proves, exit } = await look(subject, {}, { known })
    expect({ proves, exit }).toEqual({ proves: null, exit: 0 })
    expect(operation.message).toContain('"Cisco Tomcat" is STARTED, r-7k2m9q ended unknown, accepted by bob')
  })
})

describe('a look when no question is open', () => {
  const done = play([
    ...UNTIL_DISPATCH,
    ...MOVED,
    { type: 'verifying', because: 'the command has ended' },
    { type: 'settled', status: 'completed', message: '"Cisco Tomcat" restarted, seen STOPPING then STARTED' },
  ])

  it('says what is true now, beside how the operation ended', async () => {
    const { operation, exit } = await look(done, {})
    expect(operation.message).toBe(
      '"Cisco Tomcat" is STARTED, r-7k2m9q ended completed, login ok 1.9s, host key pinned',
    )
    expect(exit).toBe(0)
  })

  it.each([
    ['STOPPED', 'service_down', 1],
    ['NOTRUNNING', 'not_confirmed', 3],
    ['STARTING', 'service_moving', 4],
  ])('of a service that is %s now ends with %s, and changes nothing of the past', async (state, code, status) => {
    const { operation, proves, exit } = await look(done, { lists: [[tomcat(state)]] })
    expect(operation.error?.code).toBe(code)
    expect({ proves, exit }).toEqual({ proves: null, exit: status })
  })

  it('that somebody else begins a restart during is not a reason to call the service DOWN', async () => {
    const subject = unknown([SENT])
    const running = play([...UNTIL_DISPATCH, ...MOVED], 'r-9x8w7v')
    const accepted = { ...subject, acknowledged: { by: 'bob', at: START } }
    let polls = 0
    const known = { subject: () => accepted, underWay: () => (polls++ === 0 ? null : running) }
    const { operation, exit } = await look(
      subject,
      { lists: [[tomcat('STOPPED')]] },
      { known: { ...known, subject: () => (polls === 0 ? subject : accepted) } },
    )
    expect(operation.message).toBe('r-9x8w7v is under way on cucm-pub (stopping); "Cisco Tomcat" is STOPPED now')
    expect(exit).toBe(4)
  })

  it('judges nothing while the restart is under way, and says who is at work', async () => {
    const running = play([...UNTIL_DISPATCH, ...MOVED])
    const known = { subject: () => running, underWay: () => running }
    const { operation, exit, calls } = await look(running, { lists: [[tomcat('STOPPED')]] }, { known })
    expect(operation.message).toBe('r-7k2m9q is under way on cucm-pub (stopping); "Cisco Tomcat" is STOPPED now')
    expect(exit).toBe(4)
    expect(calls).toEqual(['connect', 'login', 'open', 'services'])
  })

  it('of another service than the one that is restarted says both', async () => {
    const running = play([...UNTIL_DISPATCH, ...MOVED])
    const lists = [[TOMCAT, { ...TOMCAT, name: 'Cisco Tftp' }]]
    const known = { underWay: () => running }
    const { operation, exit } = await look(null, { lists }, { known, service: 'cisco tftp' })
    expect(operation.message).toContain('"Cisco Tftp" is STARTED, r-7k2m9q is under way there (stopping)')
    expect(exit).toBe(0)
  })

  it('of a connection without a service says that the login works', async () => {
    expect((await look(null, {}, { service: null })).operation.message).toBe('login ok 1.9s, host key pinned')
  })

  it('ends as a test does when the device does not let it in, and sends nothing', async () => {
    const login = [new VosError('login_refused', 'the login was refused')]
    const { operation, proves, exit } = await look(unknown(MOVED), { login })
    expect(operation).toMatchObject({ status: 'failed', effect: 'none', error: { code: 'login_refused' } })
    expect({ proves, exit }).toEqual({ proves: null, exit: 6 })
  })
})

describe('the reducer', () => {
  const evidence = [{ what: 'service list', value: 'Cisco Tomcat[STARTED]' }]
  const completed: Proof = { status: 'completed', message: 'restarted', evidence }

  it.each<[string, Operation, Proof]>([
    ['completed without movement or a new run', unknown([SENT]), completed],
    ['failed without the service being down', unknown(MOVED), { status: 'failed', message: 'failed', evidence }],
    ['anything of an operation that ended known', play([ACCEPTED, { ...UNKNOWN, status: 'cancelled' }]), completed],
    ['anything twice', verified(unknown(MOVED), completed), completed],
  ])('does not let a look claim %s', (_, subject, proof) => {
    expect(() => verified(subject, proof)).toThrow('r-7k2m9q: ')
  })

  it('does not let a person accept what has been proved meanwhile', () => {
    const subject = verified(unknown(MOVED), completed)
    const [event] = record([{ type: 'acknowledged', by: 'bob' }])
    expect(() => apply(subject, { ...event!, seq: subject.seq + 1 })).toThrow('nothing to acknowledge')
  })

  it('keeps when it ended and what was said of it', () => {
    const before = unknown(MOVED)
    const after = verified(before, completed)
    expect(after).toMatchObject({ completedAt: before.completedAt, phases: before.phases, message: 'restarted' })
  })
})

it.each([
  ['before it was sent, by the clock', -1, false],
  ['at once', 0, true],
  ['at its time limit', ACCEPTED.deadlineMs, true],
  ['after its time limit', ACCEPTED.deadlineMs + 1, false],
])('what a service does is ours %s: %s ms', (_, sinceMs, ours) => {
  const { sentAt, deadlineMs } = play([...UNTIL_DISPATCH, SENT])
  expect(isStillOurs({ sentAt, deadlineMs }, (sentAt ?? 0) + sinceMs)).toBe(ours)
  expect(isStillOurs({ sentAt: null, deadlineMs }, sinceMs)).toBe(false)
  expect(isStillOurs({ sentAt, deadlineMs, clockMovedMs: -1 }, (sentAt ?? 0) + sinceMs)).toBe(false)
})
