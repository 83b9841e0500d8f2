import { type Context, Hono } from 'hono'
import { decide, OWN_SERVER, type ToolRule } from '../access/decide.ts'
import { type Refusal, refusal } from '../access/refusal.ts'
import type { AuditEvent } from '../audit/entry.ts'
import type { AuditLog } from '../audit/open.ts'
import type { OpenDatabases } from '../databases/open.ts'
import type { Caller } from '../identity/caller.ts'
import type { People } from '../identity/open-people.ts'
import type { Tokens } from '../identity/tokens.ts'
import type { Clock } from '../lib/clock.ts'
import type { Result } from '../lib/result.ts'
import type { Metrics } from '../observe/metrics/open.ts'
import type { Observe } from '../observe/observation.ts'
import type { AllTools } from '../tools/all-tools.ts'
import type { OpenBackends } from '../tools/backend/create.ts'
import type { Pipeline } from '../tools/call.ts'
import type { StoredCredentials } from '../upstreams/credentials/stored.ts'
import type { Upstreams } from '../upstreams/upstream.ts'
import type { ControlContext } from './control-context.ts'
import type { HealthSource } from './health-source.ts'
import type { Route, RouteReply } from './define-route.ts'
import {
  belongsInLog,
  faultToWire,
  refusalToWire,
  unauthorized,
  type WireContext,
  type WireError,
} from './error-to-wire.ts'
import { resourceMetadataUrl } from './resource-metadata.ts'
import { controlRoutes } from './routes/index.ts'

/** What the control plane needs of the rooms behind it. */
export interface ControlPlaneParts {
  readonly pipeline: Pipeline
  /** Every tool there is: Postern's own, and those of MCP servers. */
  readonly tools: Pick<AllTools, 'list' | 'serverOf' | 'call' | 'explain'>
  readonly upstreams: Pick<Upstreams, 'list' | 'find' | 'restart'>
  readonly backends: Pick<OpenBackends, 'find' | 'server'>
  readonly credentials: Pick<StoredCredentials, 'get' | 'put' | 'remove' | 'list'>
  readonly tokens: Tokens
  readonly people: People
  readonly databases: Pick<OpenDatabases, 'names' | 'reach' | 'resolve' | 'run' | 'stream' | 'status'>
  /** False while revocations made elsewhere may arrive late. */
  readonly identityReady: () => boolean
  readonly audit: Pick<AuditLog, 'record' | 'room' | 'search' | 'verify'>
  readonly health: HealthSource
  readonly observe: Observe
  /** `null` where they are switched off. */
  readonly metrics: Pick<Metrics, 'read'> | null
  readonly clock: Clock
  readonly limits: { readonly jsonDepth: number; readonly rows: number; readonly resultBytes: number }
  readonly serverInfo: { readonly name: string; readonly version: string }
}

type Env = { Bindings: ControlContext }

/** The REST routes as one fetch handler; each request comes with what the front knows about it. */
export function createControlPlane(parts: ControlPlaneParts): Hono<Env> {
  const routes = controlRoutes(parts)
  const app = new Hono<Env>()
  for (const route of routes) {
    app.on(route.method, honoPath(route), (c) => serveRoute(c, route, parts))
  }
  app.notFound((c) => nothingHere(c, routes))
  app.onError((thrown, c) => fail(thrown, c, parts))
  return app
}

/** What happens to every REST request once its route is known. */
async function serveRoute(c: Context<Env>, route: Route, parts: ControlPlaneParts): Promise<Response> {
  const context = c.env
  context.note({ route: route.path })
  const { caller } = context
  if (route.access !== 'public') {
    if (caller === undefined) return refuse(unauthorized, context, c)
    const refused = decideRoute(route, caller, context, parts)
    if (refused) return refuse(refused, context, c)
  }
  const startedAt = performance.now()
  try {
    const result = await route.serve(c.req.raw, c.req.param(), context, parts.limits.jsonDepth)
    if (route.administers && caller) recordAct(route, caller, context, parts, startedAt, result)
    return result.ok ? written(result.value) : refuse(result.error, context, c)
  } catch (thrown) {
    if (route.administers && caller) recordAct(route, caller, context, parts, startedAt, undefined)
    throw thrown
  }
}

/** A route of the administration is decided by the same rules as a tool, and recorded like one. */
function decideRoute(
  route: Route,
  caller: Caller,
  context: ControlContext,
  { audit, clock }: ControlPlaneParts,
): Refusal | undefined {
  if (route.access === 'public' || route.access === 'anyone') return undefined
  const decision = decide(caller.grant, caller.credential, { tool: ruleOf(route, caller) }, clock.now())
  audit.record({
    ...facts(route, caller, context),
    kind: 'decision',
    outcome: decision.outcome,
    at: clock.now(),
    rule: decision.rule,
  })
  if (decision.outcome === 'allow') return undefined
  const { orScope } = route
  const allowed = `level ${route.access}, or the scope ${orScope} given by name`
  return orScope === undefined ? decision.refusal : { ...decision.refusal, allowed }
}

/** A scope that a route takes in place of its level counts only where the credential was given it by name. */
function ruleOf({ name, access, orScope }: Route, { grant }: Caller): ToolRule {
  const byScope = orScope !== undefined && grant.scopes !== 'all' && grant.scopes.includes(orScope)
  const level = access === 'public' || access === 'anyone' || byScope ? 'read-only' : access
  return { name, server: OWN_SERVER, level, scopes: byScope ? [orScope] : [] }
}

function recordAct(
  route: Route,
  caller: Caller,
  context: ControlContext,
  { audit, clock }: ControlPlaneParts,
  startedAt: number,
  result: Result<RouteReply, Refusal> | undefined,
): void {
  audit.record({
    ...facts(route, caller, context),
    kind: 'administration',
    outcome: result === undefined ? 'failed' : result.ok ? 'done' : 'refuse',
    at: clock.now(),
    ...(result?.ok === true && result.value.target !== undefined ? { target: result.value.target } : {}),
    ...(result?.ok === false ? { rule: result.error.rule } : {}),
    durationMs: Math.round((performance.now() - startedAt) * 1000) / 1000,
  })
}

function facts(
  route: Route,
  caller: Caller,
  { requestId, remoteAddress }: ControlContext,
): Pick<
  AuditEvent,
  'requestId' | 'principal' | 'credentialId' | 'tenant' | 'wire' | 'action' | 'remoteAddress'
> {
  return {
    requestId,
    principal: caller.principal.id,
    credentialId: caller.credential.id,
    tenant: caller.grant.tenant,
    wire: 'rest',
    action: route.name,
    remoteAddress,
  }
}

function nothingHere(c: Context<Env>, routes: readonly Route[]): Response {
  const context = c.env
  if (context.caller === undefined && !routes.some((route) => isPublicMatch(route, c.req.path))) {
    return refuse(unauthorized, context, c)
  }
  const here = routes.filter((route) => pathPattern(route).test(c.req.path))
  if (here.length === 0) {
    return refuse(refusal('not_found', 'http.path', 'there is nothing at this address'), context, c)
  }
  const methods = new Set<string>(here.map((route) => route.method))
  if (methods.has('GET')) methods.add('HEAD')
  const allow = [...methods, 'OPTIONS'].join(', ')
  context.note({ route: (here[0] as Route).path })
  if (c.req.method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow } })
  const refused = refusal('method_not_allowed', 'http.method', `this address takes ${allow}`, {
    allowed: allow,
  })
  const response = refuse(refused, context, c)
  response.headers.set('allow', allow)
  return response
}

const isPublicMatch = (route: Route, path: string): boolean =>
  route.access === 'public' && pathPattern(route).test(path)

function fail(thrown: unknown, c: Context<Env>, { observe }: ControlPlaneParts): Response {
  const context = c.env
  const wire = faultToWire(thrown, wireContext(context, c.req.path))
  context.note({ code: wire.body.code })
  if (belongsInLog(thrown)) {
    observe({ kind: 'fault', where: 'http.control', error: thrown, requestId: context.requestId })
  }
  return errorResponse(wire)
}

function refuse(refused: Refusal, context: ControlContext, c: Context<Env>): Response {
  context.note({ code: refused.code })
  return errorResponse(refusalToWire(refused, wireContext(context, c.req.path)))
}

const wireContext = (context: ControlContext, path: string): WireContext => ({
  requestId: context.requestId,
  resourceMetadata: resourceMetadataUrl(context.baseUrl, path),
  credentialShown: context.credentialShown,
})

const errorResponse = ({ status, headers, body }: WireError): Response => json(status, body, headers)

function written({ cookies = [], ...reply }: RouteReply): Response {
  const response = writtenBody(reply)
  for (const cookie of cookies) response.headers.append('set-cookie', cookie)
  return response
}

function writtenBody({ status, body, contentType, headers = {} }: RouteReply): Response {
  if (status === 204) return new Response(null, { status, headers })
  if (contentType === undefined) return json(status, body, headers)
  const content = body instanceof Uint8Array ? new Uint8Array(body) : String(body)
  return new Response(content, { status, headers: { 'content-type': contentType, ...headers } })
}

const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  })

/** `{id}` as Hono writes it: `:id`, or `:id{.+}` when it takes the rest of the path. */
function honoPath({ path, takesRest }: Route): string {
  return path.replace(/\{(\w+)\}/g, takesRest === true ? ':$1{.+}' : ':$1')
}

function pathPattern({ path, takesRest }: Route): RegExp {
  const source = path
    .split(/\{\w+\}/)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join(takesRest === true ? '.+' : '[^/]+')
  return new RegExp(`^${source}$`)
}
