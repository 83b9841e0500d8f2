import { type Refusal, refusal } from '../access/refusal.ts'
import { CredentialEnded } from '../identity/credential-ended.ts'
import type { Clock } from '../lib/clock.ts'
import type { Tracing } from '../observe/tracing.ts'
import type { ControlPlane } from './control-context.ts'
import type { Exchange } from './exchange.ts'
import { hasBody } from './read-body.ts'
import { type BodyPlane, receiveBody } from './receive-body.ts'
import { refuseEnded } from './refuse-ended.ts'
import { strangersBodyBytes } from './public-paths.ts'
import { sendReply } from './reply.ts'
import { streamReply } from './streamed-reply.ts'
import { traceRequest } from './trace-request.ts'

export interface ControlPlaneFront extends BodyPlane {
  readonly baseUrl: () => string
  readonly clock: Clock
  readonly tracing?: Tracing
  readonly control: ControlPlane
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Stays here: the connection's own affairs (RFC 9110 §7.6.1), and the credential, which no route needs. */
const KEPT_BACK: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Hands a request to the control plane as a fetch `Request` whose body is bounded and already here. */
export async function serveControl(
  exchange: Exchange,
  plane: ControlPlaneFront,
): Promise<Refusal | 'answered'> {
  const { request, target, caller } = exchange
  const method = request.method ?? ''
  if (target.path === null) return refusal('not_found', 'http.path', 'there is nothing at this address')
  if (!METHODS.has(method)) {
    return refusal('method_not_allowed', 'http.method', 'this method is not served')
  }
  let body: Buffer | undefined
  // Of a stranger no more than a sign-in takes: nobody unknown may make the server hold their bytes.
  const mostBytes = caller === undefined ? strangersBodyBytes(target.path) : plane.limits.bodyBytes
  if (method !== 'GET' && method !== 'HEAD' && mostBytes > 0 && hasBody(request)) {
    const limits = { ...plane.limits, bodyBytes: Math.min(mostBytes, plane.limits.bodyBytes) }
    const bytes = await receiveBody(exchange, { ...plane, limits })
    if (!bytes.ok) return bytes.error
    body = bytes.value
  }
  const gone = new AbortController()
  exchange.onEnd = (reason) => {
    gone.abort(reason === 'gone' ? undefined : new CredentialEnded(reason))
  }
  const ended = refuseEnded(exchange)
  if (ended) return ended
  const trace = caller && traceRequest(exchange, plane.tracing)
  const query = target.query === '' ? '' : `?${target.query}`
  const init: RequestInit = { method, headers: passedOn(exchange), signal: gone.signal }
  if (body !== undefined) init.body = new Uint8Array(body)
  let begun = false
  const reply = await plane.control.fetch(
    new Request(`${new URL(plane.baseUrl()).origin}${target.path}${query}`, init),
    {
      caller,
      requestId: exchange.id,
      remoteAddress: exchange.remoteAddress,
      baseUrl: plane.baseUrl(),
      credentialShown: request.headers.authorization !== undefined,
      signal: gone.signal,
      trace,
      begin(status, headers) {
        begun = true
        return streamReply(exchange, status, headers)
      },
      note(fact) {
        exchange.route = fact.route ?? exchange.route
        exchange.code = fact.code ?? exchange.code
        exchange.server = fact.server ?? exchange.server
      },
    },
  )
  if (!begun) await send(exchange, reply, plane.clock)
  return 'answered'
}

function passedOn({ request }: Exchange): Headers {
  const headers = new Headers()
  for (const [name, values] of Object.entries(request.headersDistinct)) {
    if (!KEPT_BACK.has(name)) for (const value of values ?? []) headers.append(name, value)
  }
  return headers
}

/** Replies that nobody has begun are bounded documents, so each is sent in one piece. */
async function send(exchange: Exchange, reply: Response, clock: Clock): Promise<void> {
  const content = Buffer.from(await reply.arrayBuffer())
  const headers: Record<string, string | string[]> = {}
  reply.headers.forEach((value, name) => {
    headers[name] = value
  })
  const cookies = reply.headers.getSetCookie()
  if (cookies.length > 0) headers['set-cookie'] = cookies
  sendReply(exchange, { status: reply.status, headers, ...(reply.body === null ? {} : { content }) }, clock)
}
