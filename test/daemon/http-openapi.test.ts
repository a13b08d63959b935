import { Validator } from '@seriousme/openapi-schema-validator'
import { format } from 'prettier'
import { describe, expect, it } from 'vitest'
import { openapi } from '../../src/daemon/http/openapi.ts'
import { ROUTES } from '../../src/daemon/http/routes.ts'
import { OPENAPI_FILE, readOpenapi } from '../helpers/openapi.ts'

describe('docs/openapi.json', () => {
  it('is what the schemas of the daemon make of it (written by vitest -u)', async () => {
    const text = await format(JSON.stringify(openapi()), { parser: 'json', printWidth: 120 })
    await expect(text).toMatchFileSnapshot(OPENAPI_FILE)
  })

  it('is OpenAPI 3.1', async () => {
    const validator = new Validator()
    const result = await validator.validate(structuredClone(readOpenapi()))
    expect(result).toMatchObject({ valid: true })
    expect(validator.version).toBe('3.1')
  })

  it('has every route of the daemon, and no other', () => {
    const told = Object.entries(readOpenapi().paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    )
    expect(told.toSorted()).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`).toSorted())
  })

  it('says of what needs a full token that a reading one is refused, and takes a body only there', () => {
    const { paths } = readOpenapi()
    for (const { method, path } of ROUTES) {
      const told = paths[path.replace(':id', '{id}')]?.[method.toLowerCase()]
      expect(Object.keys(told?.responses ?? {})).toEqual(expect.arrayContaining(['401', '403', '405', '429', '500']))
      expect('requestBody' in (told ?? {})).toBe(method === 'POST')
    }
  })
})
