import { apply, type Operation, type OperationEvent, type RecordedEvent } from '../../src/core/operation.ts'

export const ACCEPTED = {
  type: 'accepted',
  operationType: 'service_restart',
  connection: { id: 1, name: 'cucm-pub' },
  device: '10.10.0.10:22',
  service: 'Cisco Tomcat',
  createdBy: 'alice',
  reason: null,
  batch: null,
  deadlineMs: 1_200_000,
  allow: { startStopped: false, cutSession: false },
  usual: null,
} as const satisfies OperationEvent

export const FACTS = {
  hostKey: { type: 'ssh-ed25519', fingerprint: `SHA256:${'A'.repeat(43)}` },
  software: 'OpenSSH_8.0',
  algorithms: { kex: 'curve25519-sha256', cipher: 'aes256-gcm@openssh.com', mac: '' },
  method: 'password',
  loginMs: 1900,
} as const

export const TOMCAT = { name: 'Cisco Tomcat', state: 'STARTED', reason: '' } as const

/** The road of a restart up to the intent. */
export const UNTIL_DISPATCH: readonly OperationEvent[] = [
  ACCEPTED,
  { type: 'connecting' },
  { type: 'authenticating', username: 'admin', method: 'password' },
  { type: 'ready', facts: FACTS },
  { type: 'resolved', service: TOMCAT, started: ['Cisco Tomcat', 'Cisco Tftp'], listed: 2 },
  { type: 'dispatching', command: 'utils service restart Cisco Tomcat' },
]

/** Applies events one second apart, beginning at `start`. */
export function play(events: readonly OperationEvent[], id = 'r-7k2m9q', start = 1_000_000): Operation {
  return record(events, id, start).reduce<Operation | null>(apply, null) as Operation
}

export function record(events: readonly OperationEvent[], id = 'r-7k2m9q', start = 1_000_000): RecordedEvent[] {
  return events.map((event, index) => ({
    cursor: index + 1,
    operationId: id,
    seq: index + 1,
    at: start + index * 1000,
    event,
  }))
}
