import type { Device, ServiceState, SessionFacts } from '../device.ts'
import { FIRST_SIGHT, type Operation } from '../operation.ts'
import { resolveService } from '../service-name.ts'
import { logIn, loginWords, type Steps } from './steps.ts'

/** Logs in, reads the service list, touches nothing. */
export async function* sshTest(device: Device, operation: Operation): Steps {
  operation = yield { type: 'connecting' }
  operation = yield* logIn(device)
  const services = await device.services(operation.service ?? undefined)
  operation = yield { type: 'listed', services }
  if (operation.service !== null) {
    const service = resolveService(operation.service, services)
    operation = yield { type: 'resolved', service, started: [], listed: services.length }
  }
  return yield { type: 'settled', status: 'completed', message: summary(operation.facts, services, operation) }
}

function summary(facts: SessionFacts | null, services: readonly ServiceState[], operation: Operation): string {
  const service = operation.baseline?.service
  return [
    loginWords(facts),
    operation.evidence.some(({ what }) => what === FIRST_SIGHT) ? 'host key pinned on first sight' : 'host key pinned',
    `${services.length} services`,
    ...(service ? [`"${service.name}" ${service.state}`] : []),
  ].join(', ')
}
