import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { type Refusal, refusal } from '../access/refusal.ts'
import type { AuditSink } from '../audit/entry.ts'
import type { Authentication, Authenticator } from '../identity/authenticate.ts'
import type { Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import type { Deadlines } from '../lib/deadlines.ts'
import { Fault } from '../lib/fault.ts'
import { requestId } from '../lib/request-id.ts'
import type { McpEndpoint } from '../mcp/endpoint.ts'
import type { Observe } from '../observe/observation.ts'
import type { Tracing } from '../observe/tracing.ts'
import { checkHost } from './check-host.ts'
import { checkOrigin } from './check-origin.ts'
import type { ControlPlane } from './control-context.ts'
import { isPreflight, openToOrigin, preflightHeaders } from './cors.ts'
import { belongsInLog, faultToWire, refusalToWire, unauthorized, type WireContext } from './error-to-wire.ts'
import { type Exchange, NO_ROUTE } from './exchange.ts'
import { serveControl } from './serve-control.ts'
import { serveMcp } from './serve-mcp.ts'
import { isHealthPath, isPublicPath } from './public-paths.ts'
import type { BodyLimits } from './read-body.ts'
import type { AuthenticationRecord } from './record-authentication.ts'
import { sendReply } from './reply.ts'
import { refuseEnded } from './refuse-ended.ts'
import { readRequestTarget } from './request-target.ts'
import { mcpPath, resourceMetadataUrl } from './resource-metadata.ts'
import { refuseRepeated, repeatedHeader } from './single-headers.ts'
import { overdueTokenAge } from './token-age.ts'
import { endTrace, traceIdOf, traceRequest } from './trace-request.ts'

export interface FrontOptions {
  readonly bodyDeadlines: Deadlines
  readonly baseUrl: () => string
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
  readonly limits: BodyLimits & { readonly jsonDepth: number }
  readonly authenticator: Authenticator
  readonly lifelines: Pick<Lifelines, 'hold'>
  readonly authentications: AuthenticationRecord
  readonly audit: AuditSink
  readonly observe: Observe
  readonly clock: Clock
  /** Absent: traces of clients are passed on, and none are made. */
  readonly tracing?: Tracing
  readonly mcp: Pick<McpEndpoint, 'handle' | 'locate'>
  readonly control: ControlPlane
  /** True once the server is closing: what still arrives on open connections is turned away. */
  readonly draining: () => boolean
}

/** What a step may come to: go on, stop with a refusal, or stop because the reply is sent. */
type Outcome = Refusal | 'answered' | undefined

type Step = (exchange: Exchange, front: FrontOptions) => Outcome | Promise<Outcome>

/** What happens to every request, in this order. Nothing of a body is read before the caller is known. */
const STEPS: readonly Step[] = [
  refuseWhileDraining,
  checkHeaders,
  checkHostHeader,
  checkOriginHeader,
  authenticate,
  recordCaller,
  serve,
]

/** Answers one request. Never rejects. */
export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  front: FrontOptions,
  expectsContinue = false,
): Promise<void> {
  const exchange = open(request, response, front, expectsContinue)
  try {
    for (const step of STEPS) {
      const pending = step(exchange, front)
      const outcome = pending instanceof Promise ? await pending : pending
      if (outcome === 'answered') return
      if (outcome !== undefined) {
        refuse(exchange, outcome, front)
        return
      }
    }
  } catch (thrown) {
    fail(exchange, thrown, front)
  }
}

function open(
  request: IncomingMessage,
  response: ServerResponse,
  front: FrontOptions,
  expectsContinue: boolean,
): Exchange {
  const startedAt = performance.now()
  const { socket } = request
  const exchange: Exchange = {
    request,
    response,
    id: requestId(),
    startedAt,
    target: readRequestTarget(request.url ?? ''),
    remoteAddress: socket.remoteAddress ?? '',
    localAddress: socket.localAddress,
    secure: socket instanceof TLSSocket,
    repeatedHeader: repeatedHeader(request),
    expectsContinue,
    caller: undefined,
    ended: undefined,
    release: undefined,
    onEnd: undefined,
    route: NO_ROUTE,
    server: undefined,
    code: undefined,
    trace: undefined,
  }
  // The one listener for the end of a request: each costs as much as many steps.
  response.on('close', () => {
    exchange.release?.()
    if (!response.writableFinished) exchange.onEnd?.('gone')
    const { caller } = exchange
    const code = exchange.code ?? (response.writableFinished ? undefined : 'client_gone')
    // Refused before its message was here.
    if (caller && !exchange.trace) traceRequest(exchange, front.tracing)
    const traceId = traceIdOf(exchange)
    front.observe({
      kind: 'request',
      requestId: exchange.id,
      method: request.method ?? '',
      route: exchange.route,
      status: response.statusCode,
      durationMs: performance.now() - startedAt,
      ...(caller ? { tokenName: caller.credential.name, credentialId: caller.credential.id } : {}),
      ...(exchange.server === undefined ? {} : { server: exchange.server }),
      ...(code === undefined ? {} : { code }),
      ...(traceId === undefined ? {} : { traceId }),
    })
    endTrace(exchange, response.statusCode, code)
  })
  return exchange
}

function refuseWhileDraining({ target, response }: Exchange, front: FrontOptions): Outcome {
  if (!front.draining()) return undefined
  if (isHealthPath(target.path)) {
    response.setHeader('connection', 'close')
    return undefined
  }
  throw new Fault('shutting_down', 'Postern is shutting down: try again in a moment', { retryAfterS: 5 })
}

function checkHeaders({ repeatedHeader: repeated }: Exchange): Outcome {
  // Two Authorization headers are a malformed credential: the authentication step refuses and records them.
  return repeated === null || repeated === 'authorization' ? undefined : refuseRepeated(repeated)
}

function checkHostHeader({ request, target, localAddress }: Exchange, front: FrontOptions): Outcome {
  const { host } = request.headers
  const rules = { baseUrl: front.baseUrl(), allowedHosts: front.allowedHosts }
  if (target.authority !== null && target.authority !== host) {
    return refusal('invalid_request', 'http.host', 'the request target and the Host header differ')
  }
  return checkHost(host, localAddress, rules) ?? undefined
}

function checkOriginHeader(exchange: Exchange, front: FrontOptions): Outcome {
  const { request, response, localAddress, secure } = exchange
  const { origin, host = '' } = request.headers
  const rules = { baseUrl: front.baseUrl(), allowedOrigins: front.allowedOrigins }
  const verdict = checkOrigin(origin, host, localAddress, secure, rules)
  if (!verdict.allowed) return verdict.refusal
  if (!verdict.cors || origin === undefined) return undefined
  openToOrigin(response, origin)
  if (!isPreflight(request)) return undefined
  exchange.route = '(preflight)'
  sendReply(exchange, { status: 204, headers: preflightHeaders(request) }, front.clock)
  return 'answered'
}

function authenticate(exchange: Exchange, front: FrontOptions): Outcome | Promise<Outcome> {
  const { authorization } = exchange.request.headers
  const isPublic = isPublicPath(exchange.target.path)
  if (authorization === undefined && isPublic) return undefined
  const settle = (answer: Authentication): Outcome => {
    if (!answer.ok) {
      front.authentications.refused(asker(exchange), answer.error)
      return isPublic ? undefined : unauthorized
    }
    const caller = answer.value
    exchange.caller = caller
    tie(exchange, caller.credential.id, front)
    const age = overdueTokenAge(caller, front.clock.now())
    if (age !== undefined) exchange.response.setHeader('postern-token-age', age)
    return undefined
  }
  if (exchange.repeatedHeader === 'authorization') {
    return settle({ ok: false, error: { reason: 'malformed' } })
  }
  const answer = front.authenticator.authenticate(authorization)
  if (!(answer instanceof Promise)) return settle(answer)
  return isHealthPath(exchange.target.path) ? unlessStuck(answer, settle, front.clock) : answer.then(settle)
}

/** How long somebody who asks how Postern is waits to be known. Milliseconds. */
const KNOWN_WITHIN_MS = 2_000

/** While the store is away it cannot be asked who calls: then that is a stranger, who learns of it all the same. */
async function unlessStuck(
  answer: Promise<Authentication>,
  settle: (answer: Authentication) => Outcome,
  clock: Clock,
): Promise<Outcome> {
  const late = Promise.withResolvers<undefined>()
  const cancel = clock.after(KNOWN_WITHIN_MS, () => {
    late.resolve(undefined)
  })
  const known = await Promise.race([answer.catch(() => undefined), late.promise]).finally(cancel)
  return known && settle(known)
}

/** A credential can end while its request is still on the way in, or waits behind others. */
function tie(exchange: Exchange, credentialId: string, front: FrontOptions): void {
  // Gone during the look-up: its `close` event is past, so nothing would ever let go of the credential again.
  if (exchange.response.destroyed) return
  exchange.release = front.lifelines.hold(credentialId, (reason) => {
    exchange.ended = reason
    if (isUnread(exchange.response)) exchange.request.socket.destroy()
    else exchange.onEnd?.(reason)
  })
}

/**
 * Complete, but not sent: it waits behind the reply to an earlier request of its connection, or for a client
 * that reads slowly. Streams are left to MCP, which tells them why they end.
 */
const isUnread = (response: ServerResponse): boolean =>
  response.writableEnded &&
  !response.writableFinished &&
  !String(response.getHeader('content-type')).startsWith('text/event-stream')

const asker = ({ id, remoteAddress }: Exchange): { requestId: string; remoteAddress: string } => ({
  requestId: id,
  remoteAddress,
})

/**
 * Nobody who is known gets ahead of the record: when it is full, requests wait for it, and nothing of them is
 * recorded before there is room. What strangers do is recorded within bounds of its own.
 */
function recordCaller(exchange: Exchange, front: FrontOptions): Outcome | Promise<Outcome> {
  const { caller } = exchange
  if (!caller) return undefined
  const record = (): undefined => {
    front.authentications.allowed(asker(exchange), caller)
  }
  const room = front.audit.room()
  if (!room) return record()
  if (!isHealthPath(exchange.target.path)) return room.then(record)
  // That the record is full is what this caller is about to be told.
  room.catch(() => undefined)
  return undefined
}

async function serve(exchange: Exchange, front: FrontOptions): Promise<Outcome> {
  const ended = refuseEnded(exchange)
  if (ended) return ended
  if (exchange.response.destroyed) return 'answered'
  const path = mcpPath(exchange.target.path)
  if (path === undefined || exchange.caller === undefined) return await serveControl(exchange, front)
  return await serveMcp(exchange, exchange.caller, path, front)
}

function wireContext({ id, target, request }: Exchange, front: FrontOptions): WireContext {
  return {
    requestId: id,
    resourceMetadata: resourceMetadataUrl(front.baseUrl(), target.path),
    credentialShown: request.headers.authorization !== undefined,
  }
}

function refuse(exchange: Exchange, refused: Refusal, front: FrontOptions): void {
  exchange.code = refused.code
  sendReply(exchange, refusalToWire(refused, wireContext(exchange, front)), front.clock)
}

function fail(exchange: Exchange, thrown: unknown, front: FrontOptions): void {
  const wire = faultToWire(thrown, wireContext(exchange, front))
  exchange.code = wire.body.code
  if (belongsInLog(thrown)) {
    front.observe({ kind: 'fault', where: 'http', error: thrown, requestId: exchange.id })
  }
  if (front.draining() && !exchange.response.headersSent) exchange.response.setHeader('connection', 'close')
  sendReply(exchange, wire, front.clock)
}
