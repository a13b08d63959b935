import fs from 'node:fs'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { strict } from './schemas.ts'

export const OPENAPI_FILE = path.resolve(import.meta.dirname, '../../docs/openapi.json')

interface Described {
  readonly $ref?: string
  readonly headers?: Readonly<Record<string, { readonly schema: object }>>
  readonly content?: Readonly<Record<string, { readonly schema: object }>>
}

export interface Spoken {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
}

/** As it is published. */
export function readOpenapi() {
  return JSON.parse(fs.readFileSync(OPENAPI_FILE, 'utf8')) as {
    readonly paths: Readonly<
      Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, Described>> }>>>
    >
    readonly components: { readonly responses: Readonly<Record<string, Described>> }
  }
}

/** What is wrong with an answer by docs/openapi.json, where no field may appear that is not published; null when nothing is. */
export function createOpenapiValidator(): (spoken: Spoken) => string | null {
  const document = readOpenapi()
  const ajv = new Ajv2020({ allErrors: true, strict: false })
  addFormats.default(ajv)
  ajv.addSchema(strict(document) as object, 'openapi')
  // To compile takes longer than everything else.
  const compiled = new Map<string, ReturnType<typeof ajv.compile>>()
  const fits = (schema: object, value: unknown): string | null => {
    const text = JSON.stringify(schema).replaceAll('"#/', '"openapi#/')
    const validate = compiled.get(text) ?? ajv.compile(JSON.parse(text) as object)
    compiled.set(text, validate)
    return validate(value) ? null : ajv.errorsText(validate.errors)
  }
  return ({ method, path: asked, status, headers, body }) => {
    const found = Object.entries(document.paths).find(([pattern]) => isPath(pattern, asked))
    const operations = found?.[1]
    const operation =
      operations?.[method === 'HEAD' ? 'get' : method.toLowerCase()] ?? Object.values(operations ?? {})[0]
    // What is no route at all is refused as any other.
    const name = operation ? operation.responses[status] : { $ref: `#/components/responses/Refused${status}` }
    const described = name?.$ref ? document.components.responses[name.$ref.split('/').at(-1) ?? ''] : name
    if (!described) return `${method} ${asked} is not said to answer ${status}`
    for (const [header, { schema }] of Object.entries(described.headers ?? {})) {
      const text = headers[header.toLowerCase()]
      const value = (schema as { type?: string }).type === 'integer' ? Number(text) : text
      const wrong = fits(schema, value)
      if (wrong !== null) return `${header}: ${String(text)} ${wrong}`
    }
    const type = String(headers['content-type']).split(';')[0] ?? ''
    const media = described.content?.[type]
    if (!media) return `${method} ${asked} ${status} is not said to be ${type}`
    if (method === 'HEAD') return body === '' ? null : 'a HEAD was answered with a body'
    const wrong = fits(media.schema, type === 'application/json' ? JSON.parse(body) : body)
    return wrong === null ? null : `${method} ${asked} ${status}: ${wrong} ${body.slice(0, 400)}`
  }
}

function isPath(pattern: string, asked: string): boolean {
  const source = pattern.replaceAll(/\{\w+\}/g, '[^/]+')
  return new RegExp(`^${source}$`).test(asked.split('?')[0] ?? '')
}
