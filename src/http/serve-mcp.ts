import { type Refusal, refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { Clock } from '../lib/clock.ts'
import type { Tracing } from '../observe/tracing.ts'
import { isObject } from '../lib/json-rpc.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { McpEndpoint, McpExchange } from '../mcp/endpoint.ts'
import { STATELESS_REVISION } from '../lib/revisions.ts'
import type { Backend } from '../tools/backend/backend.ts'
import { refusalStatus } from './error-to-wire.ts'
import type { Exchange } from './exchange.ts'
import { HttpMcpExchange } from './mcp-exchange.ts'
import { checkMediaType } from './media-type.ts'
import { parseJson } from './parse-json.ts'
import type { BodyLimits } from './read-body.ts'
import type { McpPath } from './resource-metadata.ts'
import { type BodyPlane, receiveBody } from './receive-body.ts'
import { refuseEnded } from './refuse-ended.ts'
import { sendReply } from './reply.ts'
import { rpcRefusal } from './rpc-refusal.ts'
import { traceRequest } from './trace-request.ts'

export interface McpPlane extends BodyPlane {
  readonly baseUrl: () => string
  readonly limits: BodyLimits & { readonly jsonDepth: number }
  readonly clock: Clock
  readonly tracing?: Tracing
  readonly mcp: Pick<McpEndpoint, 'handle' | 'locate'>
}

/** The methods of each address: Streamable HTTP, and the two of the 2024-11-05 transport. */
const METHODS: Readonly<Record<McpExchange['path'], readonly string[]>> = {
  streamable: ['POST', 'GET', 'DELETE'],
  sse: ['GET'],
  message: ['POST'],
}

/** The data plane: hands a bounded, parsed message to the MCP endpoint. */
export async function serveMcp(
  exchange: Exchange,
  caller: Caller,
  path: McpPath,
  plane: McpPlane,
): Promise<Refusal | 'answered'> {
  const { request, response, target } = exchange
  const { kind, server, route } = path
  exchange.route = route
  const located = plane.mcp.locate(caller, server, exchange.id)
  // Whoever may not use a server learns nothing of it from how a message is judged.
  if (!located.ok) return refuseMessage(exchange, located.error, plane)
  const backend = located.value
  exchange.server = backend?.server ?? undefined
  const methods = METHODS[kind]
  if (!methods.includes(request.method ?? '')) {
    response.setHeader('allow', methods.join(', '))
    const message = `${target.path ?? route} takes ${methods.join(', ')}`
    return refuseMessage(
      exchange,
      refusal('method_not_allowed', 'http.method', message, { allowed: methods.join(', ') }),
      plane,
    )
  }
  const body = request.method === 'POST' ? await readMessage(exchange, plane) : ok(undefined)
  // With its challenge, as every other 401.
  if (!body.ok && body.error.code === 'unauthorized') return body.error
  if (!body.ok) return refuseMessage(exchange, body.error, plane)
  exchange.server ??= namedServer(backend, caller, body.value)
  const ended = refuseEnded(exchange)
  if (ended) return ended
  const trace = traceRequest(exchange, plane.tracing, body.value)
  const { baseUrl } = plane
  const findings = { caller, path, body: body.value, backend, trace, baseUrl }
  await plane.mcp.handle(new HttpMcpExchange(exchange, findings))
  return 'answered'
}

/** The one server that a message to all of them names, or the messages of a batch. */
function namedServer(backend: Backend | null, caller: Caller, body: unknown): string | undefined {
  if (!backend?.serverOf) return undefined
  const named = new Set<string>()
  for (const message of Array.isArray(body) ? (body as readonly unknown[]) : [body]) {
    const server = isObject(message)
      ? backend.serverOf(caller, message['method'], message['params'])
      : undefined
    if (server !== undefined) named.add(server)
  }
  const [only] = named
  return named.size === 1 ? only : undefined
}

async function readMessage(exchange: Exchange, plane: McpPlane): Promise<Result<unknown, Refusal>> {
  const { headers } = exchange.request
  const wrongType = checkMediaType(headers['content-type'], headers['content-encoding'])
  if (wrongType) return err(wrongType)
  const bytes = await receiveBody(exchange, plane)
  return bytes.ok ? parseJson(bytes.value, plane.limits.jsonDepth) : bytes
}

function refuseMessage(exchange: Exchange, refused: Refusal, plane: McpPlane): 'answered' {
  exchange.code = refused.code
  const { status } = refusalStatus(refused.code)
  const stateless = exchange.request.headers['mcp-protocol-version'] === STATELESS_REVISION
  const content = Buffer.from(rpcRefusal(refused, exchange.id, stateless))
  sendReply(exchange, { status, headers: { 'content-type': 'application/json' }, content }, plane.clock)
  return 'answered'
}
