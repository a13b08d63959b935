import { parse, type CsvError } from 'csv-parse/sync'
import { VosError } from '../../core/errors.ts'
import { fieldOf, FIELDS, type Cell, type Listing, type Row } from './fields.ts'

/**
 * Reads CSV whose first row names the columns, separated as that row is: by commas, semicolons or tabs. An empty cell says
 * nothing. `host_key.type` and `timings_ms.prompt` are columns too.
 */
export function readCsv(text: string): Listing {
  const first = text.split('\n').find((line) => line.trim() !== '' && !line.startsWith('#')) ?? ''
  const delimiter = [',', ';', '\t'].find((one) => first.includes(one)) ?? ','
  let records: readonly { readonly info: { readonly lines: number }; readonly record: readonly string[] }[]
  try {
    const options = { info: true, trim: true, skip_empty_lines: true, comment: '#', comment_no_infix: true } as const
    records = parse(text, { ...options, delimiter, relax_column_count: true, max_record_size: 64 * 1024 }) as never
  } catch (error) {
    const { code, lines } = error as CsvError & { readonly lines?: number }
    // Its message quotes the cell.
    throw notCsv(
      `line ${lines ?? 1}: ${(code ?? 'it is none').toLowerCase().replace(/^csv_/, '').replaceAll('_', ' ')}`,
    )
  }
  const [head, ...rest] = records
  if (!head) return { rows: [], notes: [] }
  const columns = head.record
  // First: a file without such a row begins with values, and what is quoted of them may be a password.
  if (!columns.includes('name')) throw notCsv('its first row names no column "name"')
  const twice = columns.find((name, index) => columns.indexOf(name) !== index)
  if (twice !== undefined) throw notCsv(`the column "${twice}" is there twice`)
  return { rows: rest.map(({ record, info }) => toRow(columns, record, info.lines)), notes: [] }
}

function toRow(columns: readonly string[], record: readonly string[], line: number): Row {
  if (record.length !== columns.length) {
    const why = `has ${record.length} cells, and the first row has ${columns.length}`
    const problem = { line, name: null, field: null, why, hint: 'Put a cell that holds a separator in quotes.' }
    return { line, cells: [], problem }
  }
  const cells: Cell[] = []
  const maps = new Map<string, [string, unknown][]>()
  for (const [index, column] of columns.entries()) {
    const text = record[index] ?? ''
    if (text === '') continue
    const [outer = '', inner] = column.split(/\.(.*)/)
    const field = fieldOf(outer)
    if (inner === undefined || field === null || FIELDS[field].holds !== 'map') {
      cells.push({ key: column, value: field ? toValue(text, FIELDS[field].holds) : text, line })
    } else
      maps.set(field, [...(maps.get(field) ?? []), [inner, field === 'timings_ms' ? toValue(text, 'number') : text]])
  }
  for (const [key, entries] of maps) cells.push({ key, value: Object.fromEntries(entries), line })
  return { line, cells }
}

/** Where it is none, it stays text, which is then rejected with its name. */
function toValue(text: string, holds: 'text' | 'number' | 'boolean' | 'map'): unknown {
  if (holds === 'number' && /^[0-9]{1,15}$/.test(text)) return Number(text)
  if (holds === 'boolean' && /^(true|false)$/i.test(text)) return text.toLowerCase() === 'true'
  return text
}

function notCsv(why: string): VosError {
  return new VosError('bad_request', `the file cannot be read as csv: ${why}. Nothing was imported.`, {
    hint: 'The first row names the columns: name,host,username. See docs/connections-file.md.',
  })
}
