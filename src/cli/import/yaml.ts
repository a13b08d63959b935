import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, stringify, type Document, type Node } from 'yaml'
import { VosError } from '../../core/errors.ts'
import { EXPORT_SCHEMA, type Cell, type Listing } from './fields.ts'

/** Reads YAML 1.2. JSON is YAML too, and read by the same parser, because it knows the lines. */
export function readYaml(text: string, format: 'yaml' | 'json' = 'yaml'): Listing {
  if (format === 'json') refuseBadJson(text)
  const lines = new LineCounter()
  const lineOf = (node: unknown): number => lines.linePos((node as Node | null)?.range?.[0] ?? 0).line

  const read = (): Listing => {
    // Without pretty errors: they show the line, and there may be a password in it.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2', stringKeys: true })
    const [problem] = [...document.errors, ...document.warnings]
    if (problem) {
      const { line, col } = lines.linePos(problem.pos[0])
      throw notReadable(format, `line ${line}, column ${col}: ${yamlWords(problem.code)}`)
    }
    return { rows: items(document).map((item) => toRow(document, item)), notes: [] }
  }

  const items = (document: Document): readonly unknown[] => {
    const { contents } = document
    if (isSeq(contents)) return contents.items
    if (contents === null) return []
    if (!isMap(contents)) throw notReadable(format, 'it holds no list')
    const others = contents.items
      .map(({ key }) => String(key))
      .filter((key) => !['schema', 'connections'].includes(key))
    const schema = document.get('schema')
    const list = document.get('connections')
    if (others.length > 0 || !isSeq(list) || (schema !== undefined && schema !== EXPORT_SCHEMA)) {
      throw notReadable(format, 'it is no list of connections')
    }
    return list.items
  }

  const toRow = (document: Document, item: unknown) => {
    const line = lineOf(item)
    const node = isAlias(item) ? item.resolve(document) : item
    if (!isMap(node)) {
      const problem = { line, name: null, field: null, why: 'is no connection', hint: 'Say name:, host:, username:.' }
      return { line, cells: [], problem }
    }
    const cells = node.items.map(({ key, value }): Cell => {
      // An alias that grows into a thousand values is refused by its count.
      const plain: unknown = isScalar(value) ? value.value : ((value as Node | null)?.toJS(document, LIMITS) ?? null)
      return { key: String(key), value: plain, line: lineOf(key) }
    })
    return { line, cells }
  }

  try {
    return read()
  } catch (error) {
    if (error instanceof VosError) throw error
    // The parser's own words may quote the text.
    throw notReadable(format, 'it is nested too deeply, or an alias leads nowhere or repeats too much', error)
  }
}

/** Quoted so that a reader of YAML 1.1 takes no name for a number or a yes. */
export function toYaml(document: object): string {
  return stringify(document, { lineWidth: 0, compat: 'yaml-1.1' }).trimEnd()
}

const LIMITS = { maxAliasCount: 50 }

function refuseBadJson(text: string): void {
  try {
    JSON.parse(text)
  } catch (error) {
    if (text.trim() === '') return
    // The rest of the message quotes the text.
    const place = /line \d+ column \d+/.exec((error as Error).message)?.[0].replace(' column', ', column')
    throw notReadable('json', place ? `${place}: this is no JSON` : 'it ends too early')
  }
}

function notReadable(format: string, why: string, cause?: unknown): VosError {
  const hint = `See docs/connections-file.md, or say what it is: --format yaml, json, csv or ssh_config.`
  return new VosError('bad_request', `the file cannot be read as ${format}: ${why}. Nothing was imported.`, {
    hint,
    cause,
  })
}

/** `DUPLICATE_KEY` in words; the parser's own message may quote the text. */
function yamlWords(code: string): string {
  return code === 'DUPLICATE_KEY' ? 'a key is there twice' : code.toLowerCase().replaceAll('_', ' ')
}
