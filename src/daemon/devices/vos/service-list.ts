import type { ServiceState } from '../../../core/device.ts'
import { createSanitiser } from '../../../core/text.ts'
import { BRACKET, KNOWN_REASONS, NAME, toServiceState } from './state-line.ts'

/** The answer of `utils service list`, as far as it was understood. */
export interface ServiceList {
  /** In the device's order. A name that is listed twice keeps its place and its later state. */
  readonly services: readonly ServiceState[]
  /** Lines that fit nothing, verbatim. */
  readonly unexplained: readonly string[]
  readonly returnCode: number | null
  /** Whether the device calls itself the primary node; null when it does not say. */
  readonly primary: boolean | null
  /** False: this is no service list, or not all of it. It must not be read as "there is no such service". */
  readonly complete: boolean
}

const PLATFORM_END = 'Service Manager is running'
const MARKERS = [
  String.raw`Requesting service status, please wait *(?:\.+|…)?`,
  PLATFORM_END,
  'Getting list of all services',
  String.raw`>> *Return code *= *-?\d+`,
  String.raw`Primary Node *= *(?:true|false)`,
  'Command successful',
]
const NOISE = new RegExp(`^(?:${MARKERS.join('|')})$`, 'i')
const MARKER = new RegExp(MARKERS.join('|'), 'gi')
const RETURN_CODE = /^>> *Return code *= *(-?\d+)$/i
const PRIMARY = /^Primary Node *= *(true|false)$/i
const ECHO = /^(?:\S*admin\S*: *)?utils service list(?: page)?$/
const PROMPT = /^\S*admin\S*:$/

const PLACE = new RegExp(BRACKET, 'g')
const WHOLE_NAME = new RegExp(`^${NAME}$`)
const LEADING_REASON = new RegExp(`^(?:${KNOWN_REASONS.join('|')})(?= |$)`, 'i')

export function parseServiceList(output: string): ServiceList {
  const services = new Map<string, ServiceState>()
  const unexplained: string[] = []
  let returnCode: number | null = null
  let primary: boolean | null = null
  let platformEnded = false

  for (const line of toLines(output)) {
    if (NOISE.test(line)) {
      if (line.toLowerCase() === PLATFORM_END.toLowerCase()) platformEnded = true
      const code = RETURN_CODE.exec(line)?.[1]
      if (code !== undefined) returnCode = Number(code)
      const answer = PRIMARY.exec(line)?.[1]
      if (answer !== undefined) primary = answer.toLowerCase() === 'true'
      continue
    }
    if (ECHO.test(line) || PROMPT.test(line)) continue
    const found = parseServices(line)
    if (found === undefined) unexplained.push(line)
    for (const service of found ?? []) services.set(service.name, service)
  }
  return {
    services: [...services.values()],
    unexplained,
    returnCode,
    primary,
    complete: platformEnded && services.size > 0,
  }
}

/** Lines without escapes and outer blanks. A service line that has swallowed others (list-02) is broken around them. */
function toLines(output: string): string[] {
  const sanitiser = createSanitiser({ escapes: 'drop' })
  const text = sanitiser.write(output) + sanitiser.end()
  return text
    .split('\n')
    .flatMap((line) => line.replace(/^(\S*admin\S*: *utils service list)(?= )/, '$1\n').split('\n'))
    .flatMap((line) => (line.search(PLACE) < 0 ? [line] : line.replace(MARKER, '\n$&\n').split('\n')))
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

/** The services of one line: usually one, sometimes several (list-01). Undefined when it is no service line. */
function parseServices(line: string): ServiceState[] | undefined {
  const places = [...line.matchAll(PLACE)]
  if (places.length === 0) return undefined
  const services: ServiceState[] = []
  let name = line.slice(0, places[0]?.index).trim()
  for (const [index, place] of places.entries()) {
    const rest = line.slice(place.index + place[0].length, places[index + 1]?.index).trim()
    const isLast = index === places.length - 1
    const reason = isLast ? rest : (LEADING_REASON.exec(rest)?.[0] ?? '')
    if (!WHOLE_NAME.test(name)) return undefined
    services.push(toServiceState(name, place[1] ?? '', reason))
    name = rest.slice(reason.length).trim()
  }
  return services
}
