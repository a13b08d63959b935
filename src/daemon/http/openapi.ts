import { z } from 'zod'
import { MAX_BODY_BYTES } from './body.ts'
import { DOCUMENTS } from './documents.ts'
import { RESTART } from './restart.ts'

/** What docs/openapi.json holds: `npx vitest run test/daemon/http-openapi.test.ts -u` writes it. Nothing that runs loads this. */
export function openapi() {
  return {
    openapi: '3.1.1',
    info: {
      title: 'vosctl',
      version: '1',
      summary: 'Restarts of services, for scripts and monitoring',
      description:
        'On the listener that `listen:` in config.yaml turns on; see network.md. Every answer but those of a broken ' +
        'connection or of HTTP itself (400, 408, 431) is one of these. Nothing is taken from a query.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    security: [{ token: [] }],
    paths: {
      '/api/connections/{id}/restart': { post: restart },
      '/api/operations/{id}': { get: operation },
      '/healthz': { get: health },
      '/metrics': { get: metrics },
    },
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'vosctl daemon token create; never in the URL' },
      },
      schemas: schemas(),
      responses: Object.fromEntries(
        Object.entries(REFUSALS).map(([status, { description, headers }]) => [
          `Refused${status}`,
          { description, ...(headers && { headers }), content: content('Refused') },
        ]),
      ),
    },
  }
}

const header = (description: string, schema: object = { type: 'string' }) => ({ description, required: true, schema })

/** Every refusal is a document of one kind; what HTTP alone does not tell is in its `code`. */
const REFUSALS: { readonly [status: string]: { readonly description: string; readonly headers?: object } } = {
  400: { description: 'The body is not JSON, or says a field twice; the path or the query is not understood' },
  401: { description: 'No token, or one that is not known' },
  403: { description: 'The token only reads, or the Origin is not on the list' },
  404: { description: 'No such connection, operation or path' },
  405: { description: 'Another method', headers: { Allow: header('the methods that are taken') } },
  408: { description: 'The body did not come in time' },
  409: { description: 'Another operation is running there: `holder`' },
  413: { description: `The body is longer than ${MAX_BODY_BYTES} bytes` },
  415: { description: 'The body is not application/json in UTF-8, or is compressed' },
  421: { description: 'The Host is not on the list' },
  422: { description: 'A field is not valid, the key stands for another request, or the connection is not ready' },
  423: { description: 'Held: somebody keeps hands off, a login was refused, or an outcome is unknown' },
  429: {
    description: 'Too many requests in a second',
    headers: { 'Retry-After': header('seconds', { type: 'integer' }) },
  },
  500: { description: 'A mistake of the daemon' },
  503: { description: 'The daemon is stopping, or has too much to do. Nothing was started' },
}

/** What each of these may be refused with. */
function refused(...statuses: readonly number[]) {
  return Object.fromEntries(
    [400, 401, 403, 405, 413, 421, ...statuses, 429, 500].map((status) => [
      String(status),
      { $ref: `#/components/responses/Refused${status}` },
    ]),
  )
}

const content = (name: string) => ({ 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } })
const identifier = (description: string) => ({
  name: 'id',
  in: 'path',
  required: true,
  description,
  schema: { type: 'string' },
})
const started = (description: string) => ({
  description,
  headers: { Location: header('where the operation is read', { type: 'string', format: 'uri-reference' }) },
  content: content('Operation'),
})

const restart = {
  operationId: 'restart',
  summary: 'Start a restart of one connection; needs a full token',
  parameters: [
    identifier("the connection's number or name"),
    {
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description:
        'Made by the client, a new one for each wish; required here or as requestId. The same key gives back the same ' +
        'operation as long as it is in the history, and never starts a second one.',
      schema: { type: 'string', format: 'uuid' },
    },
  ],
  requestBody: { required: false, content: content('Restart') },
  responses: {
    '202': started('Accepted: written to disk, and it will run. The same again for the same key'),
    '200': started('Nothing new was started: this operation stands for it (ifRunning, ifRecentMs)'),
    ...refused(404, 408, 409, 415, 422, 423, 503),
  },
}

const operation = {
  operationId: 'operation',
  summary: 'Read an operation',
  parameters: [identifier('its id, a prefix that fits no other, or `last`: the newest that this token started')],
  responses: { '200': { description: 'As it stands now', content: content('Operation') }, ...refused(404) },
}

const health = {
  operationId: 'health',
  summary: 'Does the daemon take on work?',
  responses: {
    '200': { description: 'It does', content: content('Health') },
    '503': { description: 'It is stopping, or its database fails', content: content('Health') },
    ...refused(),
  },
}

const metrics = {
  operationId: 'metrics',
  summary: 'Metrics for Prometheus',
  responses: {
    '200': { description: 'Text format 0.0.4', content: { 'text/plain': { schema: { type: 'string' } } } },
    ...refused(),
  },
}

function schemas() {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries({ ...DOCUMENTS, Restart: RESTART })) registry.add(schema, { id })
  const made = z.toJSONSchema(registry, {
    uri: (id) => `#/components/schemas/${id}`,
    io: 'input',
    override: ({ jsonSchema }) => {
      // Where zod has it for TypeScript alone it means something else in a schema.
      delete jsonSchema.readOnly
    },
  })
  return Object.fromEntries(
    Object.entries(made.schemas).map(([id, schema]) => {
      delete schema.$schema
      delete schema.$id
      return [id, schema]
    }),
  )
}
