import { z } from 'zod'
import { type Refusal, type RefusalCode, refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { Level } from '../identity/grant.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { ControlContext } from './control-context.ts'
import { checkMediaType } from './media-type.ts'
import { parseJson } from './parse-json.ts'
import { validate } from './validate.ts'

/** `public`: on the public list. `anyone`: every credential. Otherwise the level that is needed. */
export type RouteAccess = 'public' | 'anyone' | Level

export interface RouteReply {
  readonly status: number
  /** `null` with a status that has none, such as 204. */
  readonly body: unknown
  /** What was administered, for the audit: an id, never a value. */
  readonly target?: string
  /** The type of a `body` that is text or bytes and not to be written as JSON. */
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
  /** One `Set-Cookie` header each. */
  readonly cookies?: readonly string[]
}

export interface RouteInput<A extends RouteAccess, P, Q, B> {
  readonly caller: A extends 'public' ? Caller | undefined : Caller
  readonly params: P
  readonly query: Q
  readonly body: B
  /** The query as it came, for a public route: anybody may add to it, so it is not held to the schema. */
  readonly search: URLSearchParams
  readonly headers: Headers
  readonly context: ControlContext
}

/** One line of the route table: what is served, to whom, and what OpenAPI says about it. */
export interface RouteSpec<A extends RouteAccess, P, Q, B> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With OpenAPI's braces: `/api/v1/admin/tokens/{id}`. */
  readonly path: string
  /** The last brace takes the rest of the path, slashes included. */
  readonly takesRest?: boolean
  /** Stable name: the `operationId`, and the action in the audit: `token.add`. */
  readonly name: string
  readonly summary: string
  readonly access: A
  /** Lets a credential below that level in, too, whose scopes name this one. `all` does not name it. */
  readonly orScope?: string
  /** An administrative act: what came of it is recorded, too. */
  readonly administers?: boolean
  readonly params?: z.ZodType<P>
  readonly query?: z.ZodType<Q>
  /** Without one, a request body is refused. An empty body is taken as `{}`. */
  readonly body?: z.ZodType<B>
  /** Takes the type that `curl -d` sends by itself for JSON. */
  readonly lenientType?: boolean
  readonly status: number
  readonly description: string
  readonly reply: z.ZodType
  /** Media type of the reply, where it is not JSON. */
  readonly replyType?: string
  /** Media types that the same reply can have instead, by `Accept`, and what each looks like. */
  readonly otherReplies?: Readonly<Record<string, string>>
  /** The refusals that are this route's own, beside those any route may give. */
  readonly refusals: readonly RefusalCode[]
}

/** A route with its types forgotten, as the table holds it. */
export interface Route extends RouteSpec<RouteAccess, unknown, unknown, unknown> {
  readonly serve: (
    request: Request,
    params: Readonly<Record<string, string>>,
    context: ControlContext,
    jsonDepth: number,
  ) => Promise<Result<RouteReply, Refusal>>
}

/** No query parameters: what a route without a `query` schema takes. */
const NONE = z.strictObject({})

/** Makes a route whose handler only ever sees values that match its schemas. */
export function defineRoute<A extends RouteAccess, P = unknown, Q = unknown, B = unknown>(
  spec: RouteSpec<A, P, Q, B>,
  handler: (
    input: RouteInput<A, P, Q, B>,
  ) => Result<RouteReply, Refusal> | Promise<Result<RouteReply, Refusal>>,
): Route {
  return {
    ...spec,
    async serve(request, rawParams, context, jsonDepth) {
      if (spec.access !== 'public' && context.caller === undefined) {
        throw new Error(`${spec.name} was reached without a caller`)
      }
      const params = validate(spec.params ?? NONE, rawParams, 'path')
      if (!params.ok) return params
      const query = readQuery(spec, request)
      if (!query.ok) return query
      const body = await readRouteBody(spec, request, jsonDepth)
      if (!body.ok) return body
      return await handler({
        caller: context.caller as RouteInput<A, P, Q, B>['caller'],
        params: params.value as P,
        query: query.value as Q,
        body: body.value as B,
        search: new URL(request.url).searchParams,
        headers: request.headers,
        context,
      })
    },
  }
}

type Reading = Pick<Route, 'access' | 'query' | 'body' | 'lenientType'>

function readQuery(spec: Pick<Reading, 'query' | 'access'>, request: Request): Result<unknown, Refusal> {
  const pairs = [...new URL(request.url).searchParams]
  const names = new Set(pairs.map(([name]) => name))
  // A health check may add a parameter against caches, and a provider what it likes: who reads any looks at `search`.
  if (spec.access === 'public') return ok({})
  if (names.size !== pairs.length) {
    return err(refusal('invalid_request', 'http.query', 'a query parameter is there more than once'))
  }
  return validate(spec.query ?? NONE, Object.fromEntries(pairs), 'query')
}

async function readRouteBody(
  spec: Reading,
  request: Request,
  jsonDepth: number,
): Promise<Result<unknown, Refusal>> {
  const bytes = request.body === null ? new Uint8Array() : new Uint8Array(await request.arrayBuffer())
  if (!spec.body) {
    if (bytes.length === 0) return ok(undefined)
    return err(refusal('invalid_request', 'http.body', 'this route takes no body'))
  }
  if (bytes.length === 0) return validate(spec.body, {}, 'body')
  const { headers } = request
  const wrongType = checkMediaType(
    headers.get('content-type') ?? undefined,
    headers.get('content-encoding') ?? undefined,
    spec.lenientType,
  )
  if (wrongType) return err(wrongType)
  const json = parseJson(bytes, jsonDepth)
  return json.ok ? validate(spec.body, json.value, 'body') : json
}
