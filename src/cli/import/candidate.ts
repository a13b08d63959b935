import path from 'node:path'
import { DEFAULT_TIMINGS } from '../../core/connection.ts'
import type { ImportedConnection } from '../../core/protocol.ts'
import { clean } from '../renderers/words.ts'
import { didYouMean } from '../targets.ts'
import { FIELD_NAMES, FIELDS, fieldOf, type Cell, type FieldName, type Problem, type Row } from './fields.ts'

/** A row that is understood. Whether its values are good is for the daemon to say. */
export interface Candidate {
  readonly line: number
  readonly name: string
  readonly values: Partial<ImportedConnection>
  /** For a new connection, beneath the values. */
  readonly defaults: Partial<ImportedConnection>
  /** Where each field stands. */
  readonly lines: ReadonlyMap<FieldName, number>
}

/** Where paths of key files begin: at `~/`, or at the file. */
export interface Places {
  readonly home: string
  readonly directory: string
}

const SECRET = /^(pass(word|wd|phrase)?|secret|pwd|pin|token|(private|sealed)_?(key|password))$/i
const TIMING_NAMES = Object.keys(DEFAULT_TIMINGS).map((key) => key.replace(/Ms$/, ''))
/** A row must fit into a packet with room to spare. */
const MAX_ROW = 8 * 1024

export function isProblem(one: Candidate | Problem): one is Problem {
  return 'why' in one
}

export function toCandidate(row: Row, places: Places): Candidate | Problem {
  if (row.problem) return row.problem
  const named = row.cells.find(({ key }) => key === 'name')?.value
  const name = typeof named === 'string' ? named : null
  const values: Record<string, unknown> = {}
  const lines = new Map<FieldName, number>()
  for (const cell of row.cells) {
    const reject = (why: string, hint: string): Problem => ({ line: cell.line, name, field: cell.key, why, hint })
    const field = fieldOf(cell.key)
    if (field === null) return reject(...unknownField(cell.key, name))
    if (lines.has(field)) return reject('is there twice', 'Say it once.')
    lines.set(field, cell.line)
    // Nothing said; but a connection may have no service, and no jump host.
    if (cell.value === null && field !== 'service' && field !== 'via') continue
    const wrong = wrongKind(cell, field)
    if (wrong) return reject(...wrong)
    const isKey = field === 'credential' && String(cell.value).startsWith('key:')
    if (isKey && lines.has('key_path')) return reject('is there twice, as key_path', 'Say it once.')
    if (isKey) values['keyPath'] = toInput('key_path', String(cell.value).slice('key:'.length), places)
    else values[FIELDS[field].input] = toInput(field, cell.value, places)
  }
  if (values['keyPath'] !== undefined && values['credential'] !== undefined) {
    const line = lines.get('credential') ?? row.line
    return {
      line,
      name,
      field: 'credential',
      why: 'is there beside key_path',
      hint: 'A connection has one: say which.',
    }
  }
  if (name === null || name === '') {
    return { line: row.line, name: null, field: 'name', why: 'is missing', hint: 'Every connection needs a name.' }
  }
  if (JSON.stringify(values).length > MAX_ROW) {
    return { line: row.line, name, field: null, why: 'is too long', hint: 'Shorten it.' }
  }
  const defaults = Object.fromEntries((row.defaults ?? []).map(({ key, value }) => [key, value]))
  return { line: row.line, name, values, defaults, lines }
}

function unknownField(key: string, name: string | null): [why: string, hint: string] {
  if (SECRET.test(key)) {
    const target = name === null ? '<target>' : clean(name)
    return ['is not taken from a file', `Take it out, then: vosctl credentials set ${target}`]
  }
  const near = didYouMean(key, FIELD_NAMES)
  return ['is no field of a connection', near ? `Did you mean ${near}?` : `There are: ${FIELD_NAMES.join(', ')}.`]
}

function wrongKind({ value }: Cell, field: FieldName): [why: string, hint: string] | null {
  const { holds } = FIELDS[field]
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (holds === 'map') {
    if (!isMap) return ['is no list of names with values', 'See docs/connections-file.md']
    if (field !== 'timings_ms') return null
    const strange = Object.keys(value).find((key) => !TIMING_NAMES.includes(key))
    if (strange === undefined) return null
    const near = didYouMean(strange, TIMING_NAMES)
    return [`has no time limit "${strange}"`, near ? `Did you mean ${near}?` : `There are: ${TIMING_NAMES.join(', ')}.`]
  }
  if (typeof value === 'object' && value !== null) return ['holds more than one value', 'Say one.']
  if (holds === 'text' && (typeof value === 'number' || typeof value === 'boolean')) {
    return [`is read as a ${typeof value}`, 'Put it in quotes.']
  }
  if (holds === 'boolean' && typeof value !== 'boolean') return [`is "${String(value)}"`, 'Say true or false.']
  if (holds === 'number' && typeof value !== 'number') return [`is "${String(value)}"`, 'Say a whole number.']
  return null
}

function toInput(field: FieldName, value: unknown, { home, directory }: Places): unknown {
  if (field === 'timings_ms') {
    return Object.fromEntries(Object.entries(value as object).map(([key, ms]) => [`${key}Ms`, ms as unknown]))
  }
  if (field !== 'key_path' || value === '') return value
  // The daemon lives in another directory.
  return path.resolve(directory, (value as string).replace(/^~(?=\/|$)/, home))
}
