import { movingPhase, type Device, type Observation, type ServiceState } from '../device.ts'
import { isTransportFailure, VosError } from '../errors.ts'
import { isProven, type Operation } from '../operation.ts'
import { resolveService } from '../service-name.ts'
import { confirm } from './confirm.ts'
import { lookHint } from './ending.ts'
import { reconcile } from './reconcile.ts'
import { logIn, type Steps } from './steps.ts'

/** Restarts one service and finds out what really happened. */
export async function* serviceRestart(device: Device, operation: Operation): Steps {
  const wanted = operation.service
  if (wanted === null) {
    throw new VosError('bad_request', `${operation.connection.name} has no default service. Nothing was sent.`, {
      hint: 'Name one with --service.',
    })
  }
  operation = yield { type: 'connecting' }
  operation = yield* logIn(device)

  const services = await device.services(wanted)
  const service = resolveService(wanted, services)
  refuseUnlessRestartable(service, operation)
  const started = services.filter(({ state }) => state === 'STARTED').map(({ name }) => name)
  operation = yield { type: 'resolved', service, started, listed: services.length }

  const command = await device.prepare(service.name)
  device.arm()
  operation = yield { type: 'dispatching', command }
  const observations = device.commit()[Symbol.asyncIterator]()
  try {
    // The device throws before its first observation only while the byte has not left.
    await observations.next()
  } catch (error) {
    if (!(error instanceof VosError)) throw error
    return yield settledUnsent(error)
  }
  operation = yield { type: 'sent' }
  return yield* observe(device, operation, service.name, { [Symbol.asyncIterator]: () => observations })
}

function refuseUnlessRestartable(service: ServiceState, { connection, allow }: Operation): void {
  const where = `"${service.name}" on ${connection.name}`
  if (service.state === 'STOPPING' || service.state === 'STARTING') {
    throw new VosError('service_moving', `${where} is already ${service.state}. Nothing was sent.`, {
      hint: 'Somebody else is restarting it. Wait until it is STARTED and look again.',
    })
  }
  switch (service.refusal) {
    case undefined:
      return
    case 'not_activated':
      throw new VosError('service_not_activated', `${where} is not activated on this node. Nothing was sent.`, {
        hint: 'There is nothing to restart: activate it first, or leave it.',
      })
    case 'masked':
      throw new VosError('service_masked', `${where} is masked. Nothing was sent.`, {
        hint: `Unmask it on the host first: systemctl unmask ${service.name}`,
      })
    case 'stopped_by_admin':
      if (allow.startStopped) return
      throw new VosError(
        'service_stopped_by_admin',
        `${where} was stopped on purpose (${service.reason || service.state}). Nothing was sent.`,
        {
          hint: 'If it shall run: add --start-stopped.',
        },
      )
    case 'cuts_session':
      if (allow.cutSession) return
      throw new VosError(
        'service_cuts_session',
        `Restarting ${where} would cut the session that restarts it. Nothing was sent.`,
        {
          hint: 'If you mean it: add --cut-session. The outcome may stay unknown.',
        },
      )
    default:
      service.refusal satisfies never
  }
}

/** Follows the command's output. Every line goes to the journal; only whole state lines of this very service count. */
async function* observe(
  device: Device,
  operation: Operation,
  name: string,
  observations: AsyncIterable<Observation>,
): Steps {
  let stateSeen = false
  let question: string | null = null
  let ended = false
  let exitStatus: number | undefined
  const words: string[] = []
  for await (const seen of observations) {
    switch (seen.type) {
      case 'sent':
        break
      case 'line':
        if (seen.text === operation.lastLine) operation = yield { type: 'repeated', times: 1 }
        else operation = yield { type: 'line', text: seen.text }
        words.push(seen.text)
        if (words.length > 8) words.shift()
        break
      case 'state': {
        const own = seen.service.name === name
        const { state } = seen.service
        if (seen.text === operation.lastLine) operation = yield { type: 'repeated', times: 1 }
        else operation = yield { type: 'line', text: seen.text, ...(own ? { state } : {}) }
        if (!own) break
        stateSeen = true
        const phase = movingPhase(state)
        // Each phase once: a device that goes to and fro must not fill the journal.
        const isNew = !operation.phases.some((entered) => entered.phase === phase)
        if (phase && isNew) operation = yield { type: phase, seenIn: 'output' }
        break
      }
      case 'silent':
        operation = yield { type: 'silent', forMs: seen.forMs }
        break
      case 'question':
        question = seen.text
        operation = yield { type: 'line', text: seen.text }
        break
      case 'ended':
        ended = true
        exitStatus = seen.exitStatus
        break
      case 'lost':
        return yield* reconcile(device, operation, seen.error.message)
      default:
        seen satisfies never
    }
  }
  if (question !== null && !isProven(operation)) {
    return yield settledUnanswered(question, operation)
  }
  if (!ended) throw new VosError('not_confirmed', 'nobody saw the end of the command')
  try {
    const silent = !stateSeen && exitStatus !== 0
    if (silent && (await isUntouched(device, operation))) return yield settledRefused(operation, words)
    operation = yield { type: 'verifying', because: 'the command has ended' }
    return yield* confirm(device, operation)
  } catch (error) {
    if (!isTransportFailure(error)) throw error
    return yield* reconcile(device, operation, error.message)
  }
}

/** The command is over and the service reads as it did before. */
async function isUntouched(device: Device, { service, baseline }: Operation): Promise<boolean> {
  const now = (await device.services(service ?? undefined)).find(({ name }) => name === service)
  return now !== undefined && now.state === baseline?.service.state && now.identity === baseline.service.identity
}

function settledRefused(operation: Operation, words: readonly string[]) {
  const said = words.filter((line) => line.trim() !== '')
  // The line before the standing phrases is the one that tells why.
  const why =
    said.findLast((line) => !/^(Executed command unsuccessfully|Service Manager is running)/.test(line)) ?? said.at(-1)
  const message = `${operation.connection.name} refused the restart of "${operation.service}"${why === undefined ? ' without a word' : `: ${why}`}`
  return {
    type: 'settled',
    status: 'failed',
    message,
    error: {
      code: 'refused_by_device',
      message,
      hint: 'Read what the device said.',
      deviceLines: said,
    },
  } as const
}

/** The intent is on disk, and it is certain that nothing followed it. */
function settledUnsent(error: VosError) {
  const { message } = error
  return {
    type: 'settled',
    status: 'interrupted',
    message,
    error: { ...error.toInfo(), code: 'interrupted', message },
  } as const
}

function settledUnanswered(question: string, operation: Operation) {
  const message = `the device asked "${question}" and vosctl does not answer questions`
  return {
    type: 'settled',
    status: 'unknown',
    message,
    error: {
      code: 'unanswered_question',
      message,
      hint: lookHint(operation),
      deviceLines: [question],
    },
  } as const
}
