import { z } from 'zod'
import { OPERATION_TYPES, PHASES, STATUSES, type Operation } from '../../core/operation.ts'

/**
 * What the HTTP face answers, for docs/openapi.json: as the socket has it. Readers let pass what they do not know, so the
 * schemas do. Nothing that runs loads this.
 */

const list = <Item extends z.ZodType>(item: Item) => z.array(item).readonly()
const time = z.int().describe('milliseconds since 1970')
const duration = z.int().describe('milliseconds')
const named = z.object({ id: z.int().min(1), name: z.string() })

const errorInfo = {
  code: z.string().describe('such as already_running; others may come'),
  message: z.string().describe('what happened'),
  hint: z.string().describe('what to do; empty when there is nothing to add'),
  deviceLines: list(z.string()).exactOptional().describe('the last lines of the device, where they explain the error'),
}

const serviceState = z.object({
  name: z.string(),
  state: z.string().describe('as the device prints it, such as STARTED'),
  reason: z.string(),
  identity: z.string().exactOptional().describe('differs after every start of the service'),
  refusal: z.string().exactOptional(),
})

const facts = z.object({
  hostKey: z.object({ type: z.string(), fingerprint: z.string() }),
  software: z.string(),
  algorithms: z.object({
    kex: z.string(),
    cipher: z.string(),
    mac: z.string(),
    compression: z.string().exactOptional(),
    hostKey: z.string().exactOptional(),
    received: z.object({ cipher: z.string(), mac: z.string(), compression: z.string() }).exactOptional(),
  }),
  method: z.string(),
  via: list(z.string()).exactOptional().describe('the jump hosts, from the daemon on'),
  loginMs: duration,
})

const phases = z.record(z.string(), z.number())
const usual = z.object({
  runs: z.int(),
  p50Ms: z.number(),
  p90Ms: z.number(),
  phases,
  phasesP90: phases.exactOptional(),
})

const fields = {
  id: z.string().describe('such as r-7k2m9q; the first letter says the kind'),
  type: z.string().describe(`${OPERATION_TYPES.join(', ')}; others may come`),
  connection: named,
  device: z.string().describe('host:port, and of what is behind a jump host: host:port via host:port'),
  service: z.string().nullable().describe('the exact name once the device has told it'),
  subject: z.string().nullable().describe('of a look: the operation that it is about'),
  createdBy: z.string().describe('a user, or token:<name>'),
  reason: z.string().nullable(),
  batch: z
    .object({ id: z.string(), position: z.int().min(1), size: z.int().min(1), parallel: z.int().exactOptional() })
    .nullable(),
  allow: z.object({ startStopped: z.boolean(), cutSession: z.boolean() }),
  status: z.enum(STATUSES),
  phase: z.string().describe(`${PHASES.join(', ')}; others may come. It has ended when it is settled`),
  progress: z.number().min(0).max(100),
  message: z.string(),
  error: z.object(errorInfo).nullable(),
  effect: z.enum(['none', 'possible', 'confirmed']).describe('was the device touched?'),
  seq: z.int(),
  startedAt: time,
  beganAt: time.nullable(),
  sentAt: time.nullable(),
  completedAt: time.nullable(),
  deadlineMs: duration,
  phaseStartedAt: time,
  clockMovedMs: z.int().exactOptional().describe('how much of the time is only the clock that was set'),
  phases: list(z.object({ phase: z.string(), at: time })),
  lastDeviceAt: time.nullable(),
  lastLine: z.string().nullable(),
  lastState: z.string().nullable(),
  facts: facts.nullable().describe('what the login taught'),
  authenticating: z
    .object({
      username: z.string(),
      method: z.string(),
      hop: named.extend({ device: z.string() }).exactOptional().describe('the jump host where it is made'),
    })
    .nullable(),
  baseline: z.object({ service: serviceState, started: list(z.string()), listed: z.int() }).nullable(),
  transition: z.boolean().describe('seen STOPPING or STARTING after the command was sent'),
  reconciliations: z.int(),
  evidence: list(z.object({ at: time, what: z.string(), value: z.string() })),
  usual: usual.nullable().describe('how long this work usually takes'),
  after: z.string().exactOptional().describe('it waits for the end of this operation'),
  lateAt: time.exactOptional(),
  acknowledged: z.object({ by: z.string(), at: time }).nullable(),
  verified: z
    .object({
      by: z.string(),
      at: time,
      look: z.string(),
      was: z.object({ message: z.string(), error: z.object(errorInfo).nullable() }),
    })
    .nullable(),
} satisfies { readonly [Name in keyof Required<Operation>]: z.ZodType }

const operation = z.object(fields).describe('An operation, as the socket sends it')
// Every operation that can be is one by the schema.
void ((one: Operation): z.input<typeof operation> => one)

export const DOCUMENTS = {
  Operation: operation,
  Refused: z
    .object({
      error: z.object({
        ...errorInfo,
        connection: named.exactOptional(),
        holder: operation.exactOptional().describe('the operation that stands in the way'),
      }),
    })
    .describe('Why it was refused, as the socket sends it'),
  Health: z.object({
    status: z.enum(['ok', 'draining', 'failing']),
    version: z.string(),
    active: z.int().min(0).describe('operations that have not ended'),
    draining: z.boolean(),
  }),
} as const
