import type { ServiceState } from '../../../core/device.ts'

/** One reading of one unit: its state as every device has it, and systemd's own words for the journal. */
export interface UnitReading {
  readonly service: ServiceState
  /** For example `nginx.service: active (running)`. */
  readonly text: string
}

const LIST_OPTIONS = ['--type=service', '--all', '--full', '--plain', '--no-legend', '--no-pager']

export const LIST_UNITS = ['systemctl', 'list-units', ...LIST_OPTIONS]
export const LIST_UNIT_FILES = [
  'systemctl',
  'list-unit-files',
  ...LIST_OPTIONS.filter((option) => option !== '--plain'),
]

const PROPERTIES = [
  'Id',
  'LoadState',
  'ActiveState',
  'SubState',
  'Result',
  'UnitFileState',
  'InvocationID',
  'InactiveExitTimestampMonotonic',
  'NRestarts',
]

export function showUnit(unit: string): string[] {
  return ['systemctl', 'show', '--no-pager', `--property=${PROPERTIES.join(',')}`, unit]
}

const STATES: ReadonlyMap<string, string> = new Map([
  ['active', 'STARTED'],
  ['reloading', 'STARTED'],
  ['refreshing', 'STARTED'],
  ['inactive', 'STOPPED'],
  ['failed', 'STOPPED'],
  ['activating', 'STARTING'],
  ['deactivating', 'STOPPING'],
])

/** Substates that say no more than the state does. */
const PLAIN_SUBSTATES = ['running', 'dead', 'failed', 'start', 'stop']

/** The unit's name with its type, as a person means it who leaves the type out. */
export function toUnitName(name: string): string {
  return name.endsWith('.service') ? name : `${name}.service`
}

/** Loaded units, then those that only exist as files, each once. */
export function parseServices(units: string, unitFiles: string): ServiceState[] {
  const services = new Map<string, ServiceState>()
  for (const line of units.split('\n')) {
    const service = parseUnitLine(line)
    if (service && !services.has(service.name)) services.set(service.name, service)
  }
  for (const line of unitFiles.split('\n')) {
    const service = parseUnitFileLine(line)
    if (service && !services.has(service.name)) services.set(service.name, service)
  }
  return [...services.values()]
}

/** `UNIT LOAD ACTIVE SUB DESCRIPTION`; older versions put a dot in front although they were asked not to. */
function parseUnitLine(line: string): ServiceState | null {
  const [, name, load, active, sub] = /^\s*(?:[^\w\s]\s+)?(\S+\.service)\s+(\S+)\s+(\S+)\s+(\S+)/.exec(line) ?? []
  if (name === undefined || load === undefined || active === undefined || sub === undefined) return null
  // Something refers to it, but there is no such unit.
  if (load === 'not-found') return null
  return toService(name, { load, active, sub, result: '' })
}

/** `UNIT STATE [PRESET]`. A template is no unit, and an alias has the state of the unit that it stands for. */
function parseUnitFileLine(line: string): ServiceState | null {
  const [, name, file] = /^\s*(\S+\.service)\s+([a-z-]+)(?:\s|$)/.exec(line) ?? []
  if (name === undefined || file === undefined || name.endsWith('@.service') || file === 'alias') return null
  const isMasked = file.startsWith('masked')
  return { name, state: 'STOPPED', reason: file, refusal: isMasked ? 'masked' : 'stopped_by_admin' }
}

/**
 * What `systemctl show` says about one unit, under the name by which it was asked for. Null when there is no such unit,
 * undefined when this is no such output.
 */
export function parseShown(name: string, output: string): UnitReading | null | undefined {
  const properties = new Map<string, string>()
  for (const line of output.split('\n')) {
    const at = line.indexOf('=')
    if (at > 0) properties.set(line.slice(0, at), line.slice(at + 1).trim())
  }
  const get = (key: string): string => properties.get(key) ?? ''
  const load = get('LoadState')
  const active = get('ActiveState')
  if (load === '' || active === '') return undefined
  if (load === 'not-found') return null
  const sub = get('SubState')
  const result = get('Result')
  const service = toService(name, { load, active, sub, result })
  const id = get('Id')
  const alias = id === '' || id === name ? '' : `alias of ${id}`
  const restarts = Number(get('NRestarts')) > 0 ? `, restarts ${get('NRestarts')}` : ''
  const failure = active === 'failed' ? `, ${result}` : ''
  return {
    service: {
      ...service,
      reason: [service.reason, alias].filter(Boolean).join(', '),
      identity: identity(properties),
    },
    text: `${name}: ${active} (${sub}${failure}${restarts})`,
  }
}

/** systemd before 232 has no InvocationID; there the moment of leaving `inactive` differs after every start. */
function identity(properties: ReadonlyMap<string, string>): string {
  const invocation = properties.get('InvocationID')
  if (invocation !== undefined) return invocation
  const exit = properties.get('InactiveExitTimestampMonotonic') ?? '0'
  return exit === '0' ? '' : `started-at-${exit}`
}

interface UnitState {
  readonly load: string
  readonly active: string
  readonly sub: string
  readonly result: string
}

function toService(name: string, { load, active, sub, result }: UnitState): ServiceState {
  const state = STATES.get(active) ?? active.toUpperCase()
  if (load === 'masked') return { name, state, reason: 'masked', refusal: 'masked' }
  const reason =
    active === 'failed'
      ? result === ''
        ? 'failed'
        : `failed (${result})`
      : [load === 'loaded' ? '' : load, PLAIN_SUBSTATES.includes(sub) ? '' : sub].filter(Boolean).join(', ')
  return active === 'inactive' ? { name, state, reason, refusal: 'stopped_by_admin' } : { name, state, reason }
}
