import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { helpPage } from '../../src/cli/help.ts'
import { createValidator, fileOf, publishedFiles, readSchema } from '../helpers/schemas.ts'

const names = [...new Set((helpPage(['json']) ?? []).join('\n').match(/vosctl\/[a-z-]+\/v\d+/g))].toSorted()

/** Every name that stands in the program itself, whichever command prints it. */
function namesInProgram(): string[] {
  const directory = path.resolve(import.meta.dirname, '../../src/cli')
  const files = fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file))
  const texts = files
    .filter((file) => file !== 'help.ts')
    .map((file) => fs.readFileSync(path.join(directory, file), 'utf8'))
  return [...new Set(texts.join('\n').match(/vosctl\/[a-z-]+\/v\d+/g))].toSorted()
}

describe('the published schemas', () => {
  it('are of every document that the program prints', () => {
    expect(namesInProgram()).toEqual(names)
  })

  it('are one for each name that "help json" lists', () => {
    expect(names.length).toBeGreaterThan(10)
    expect(publishedFiles()).toEqual(names.map(fileOf).toSorted())
  })

  it.each(names.filter((name) => name !== 'vosctl/event/v1'))(
    '%s says its own name and lets new fields pass',
    (name) => {
      const schema = readSchema(fileOf(name))
      expect(schema).toMatchObject({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        properties: { schema: { const: name } },
      })
      expect(JSON.stringify(schema)).not.toMatch(/unevaluatedProperties|"additionalProperties":false/)
    },
  )

  it('are read strictly here: a field that nobody published is found, however deep', () => {
    const check = createValidator()
    const lines = { schema: 'vosctl/daemon-log/v1', lines: [] }
    expect(check('vosctl/daemon-log/v1', lines)).toBeNull()
    expect(check('vosctl/daemon-log/v1', { ...lines, more: 1 })).toMatch(/unevaluated/)
    const bye = { v: 1, seq: 3, at: '2026-11-28T12:00:00.000Z', type: 'bye', message: 'x' }
    expect(check('vosctl/event/v1', bye)).toBeNull()
    expect(check('vosctl/event/v1', { ...bye, op: 7 })).toMatch(/must be string/)
    expect(check('vosctl/event/v1', { ...bye, status: 'failed' })).toMatch(/unevaluated/)
    const plan = { schema: 'vosctl/plan/v1', items: [], expected_ms: null, attached: [], skipped: [] }
    const item = { connection: { id: 1, name: 'a' }, service: null, after: null, usual_ms: null }
    expect(check('vosctl/plan/v1', { ...plan, items: [item] })).toBeNull()
    expect(check('vosctl/plan/v1', { ...plan, items: [{ ...item, connection: { id: 1, name: 'a', x: 0 } }] })).toMatch(
      /items\/0\/connection/,
    )
  })
})
