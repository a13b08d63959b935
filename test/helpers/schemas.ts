import fs from 'node:fs'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

const DIRECTORY = path.resolve(import.meta.dirname, '../../docs/schemas')

type Json = { readonly [key: string]: unknown }

/** `vosctl/operation/v1` is published as `operation-v1.json`. */
export function fileOf(schema: string): string {
  return `${schema.replace('vosctl/', '').replace('/', '-')}.json`
}

export function publishedFiles(): string[] {
  return fs.readdirSync(DIRECTORY).toSorted()
}

/** As it is published. */
export function readSchema(file: string): Json {
  return JSON.parse(fs.readFileSync(path.join(DIRECTORY, file), 'utf8')) as Json
}

/**
 * The published schemas, read strictly. Readers must let fields pass that they do not know, because fields are added;
 * here none may appear that is not published. An object that may hold any names says so itself.
 */
export function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict)
  if (typeof schema !== 'object' || schema === null) return schema
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value)]))
  const isObject = [inner['type']].flat().includes('object') && inner['additionalProperties'] === undefined
  return isObject ? { ...inner, unevaluatedProperties: false } : inner
}

/** What is wrong with this document by the schema `vosctl/<name>/v1`; null when nothing is. */
export function createValidator(): (schema: string, document: unknown) => string | null {
  const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictRequired: false, strictTypes: false })
  addFormats.default(ajv)
  for (const file of publishedFiles()) ajv.addSchema(strict(readSchema(file)) as Json, file)
  return (schema, document) => {
    const validate = ajv.getSchema(fileOf(schema))
    if (!validate) return `docs/schemas/${fileOf(schema)} is missing`
    if (validate(document)) return null
    return ajv.errorsText(validate.errors, { dataVar: schema }) + JSON.stringify(document).slice(0, 400)
  }
}
