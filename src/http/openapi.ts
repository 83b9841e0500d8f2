import { z } from 'zod'
import type { RefusalCode } from '../access/refusal.ts'
import type { Route } from './define-route.ts'
import { refusalStatus } from './error-to-wire.ts'

/** Any JSON object: the parts of an OpenAPI document are checked by the tests, not by types. */
type Json = Readonly<Record<string, unknown>>

const ERROR = z.object({
  error: z.string().describe('A coarse class, such as forbidden'),
  message: z.string().describe('One sentence for a person'),
  code: z.string().describe('The precise reason; docs/errors.md lists them all'),
  rule: z.string().optional().describe('The rule that refused'),
  allowed: z.string().optional().describe('What would be allowed instead'),
  scopes: z.array(z.string()).optional().describe('All scopes that are needed'),
  node: z.string().optional().describe('The kind of SQL statement that was refused'),
  sqlstate: z.string().optional().describe("PostgreSQL's error code"),
  position: z.int().optional().describe('The character of the statement, counted from 1'),
  hint: z.string().optional().describe("PostgreSQL's advice"),
  candidates: z.array(z.string()).optional().describe('Names that could have been meant'),
  request_id: z.string().describe('Finds this request in the log'),
})

/** Makes the OpenAPI 3.1 description of a route table from the schemas that the routes are checked by. */
export function openApiDocument(
  routes: readonly Route[],
  { name, version }: { readonly name: string; readonly version: string },
): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    const at = (paths[route.path] ??= {})
    at[route.method.toLowerCase()] = operation(route)
  }
  return {
    openapi: '3.1.0',
    info: { title: name, version },
    paths,
    components: {
      schemas: { Error: jsonSchema(ERROR, 'output') },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
    security: [{ bearer: [] }],
  }
}

function operation(route: Route): Json {
  return {
    operationId: route.name,
    summary: route.summary,
    ...(route.access === 'public' ? { security: [] } : {}),
    parameters: [...parameters(route.params, 'path'), ...parameters(route.query, 'query')],
    ...(route.body === undefined
      ? {}
      : { requestBody: { content: { 'application/json': { schema: jsonSchema(route.body, 'input') } } } }),
    responses: {
      [route.status]: {
        description: route.description,
        content: {
          [route.replyType ?? 'application/json']: { schema: jsonSchema(route.reply, 'output') },
          ...Object.fromEntries(
            Object.entries(route.otherReplies ?? {}).map(([type, description]) => [
              type,
              { schema: { type: 'string', description } },
            ]),
          ),
        },
      },
      ...errorResponses(route),
    },
  }
}

/** By status, since that is how OpenAPI lists them; the codes are in the description. */
function errorResponses(route: Route): Json {
  const general: readonly RefusalCode[] =
    route.access === 'public' ? [] : ['unauthorized', 'invalid_request', ...(route.body ? BODY_REFUSALS : [])]
  const byStatus = new Map<number, Set<RefusalCode>>()
  for (const code of [...general, ...route.refusals]) {
    const { status } = refusalStatus(code)
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code))
  }
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [status, { description: [...codes].join(', '), content }]),
  )
}

const BODY_REFUSALS: readonly RefusalCode[] = ['body_too_large', 'unsupported_media_type']

function parameters(schema: z.ZodType | undefined, place: 'path' | 'query'): readonly Json[] {
  if (schema === undefined) return []
  const { properties, required } = jsonSchema(schema, 'input') as {
    properties?: Record<string, Json>
    required?: readonly string[]
  }
  return Object.entries(properties ?? {}).map(([name, property]) => {
    const { description, ...rest } = property
    return {
      name,
      in: place,
      required: place === 'path' || (required?.includes(name) ?? false),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    }
  })
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}
