import type { Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { Pipeline } from '../tools/call.ts'
import { Calls } from './calls.ts'
import { faultToRpc } from './error-to-rpc.ts'
import { EventStreams } from './event-stream.ts'
import { EventTransport } from './event-transport.ts'
import type { McpExchange } from './exchange.ts'
import { errorReply, type Reply, writeReply } from './reply.ts'
import { STATELESS_REVISION } from '../lib/revisions.ts'
import type { RpcError } from './rpc-error.ts'
import { Deadlines } from './running-call.ts'
import { methodNotAllowed, shuttingDown } from './session-errors.ts'
import { SessionMethods, type ServerInfo } from './session-methods.ts'
import { Sessions } from './sessions.ts'
import { headerOf, isStateless } from './standard-headers.ts'
import { Stateless } from './stateless.ts'
import { Streamable } from './streamable.ts'
import { ToolMethods } from './tool-methods.ts'
import { VisibleTools } from './visible-tools.ts'

export type { McpExchange } from './exchange.ts'

export interface McpEndpoint {
  /** Answers the exchange. Never rejects: a fault becomes a JSON-RPC error and an observation. */
  handle(exchange: McpExchange): Promise<void>
  /** Tells every open stream that there are other tools than before. Changes of one grant tell themselves. */
  toolsChanged(): void
  /** What is open now, for metrics and for those who wait until nothing is. */
  counts(): { readonly sessions: number; readonly streams: number }
  /** Stops every call and ends every session and stream; what comes later is answered with 503. */
  close(): void
}

export interface McpLimits {
  readonly sessionsPerCredential: number
  /** Sessions of all credentials together, and as many streams. */
  readonly sessions: number
  /** Milliseconds without a request after which a session is forgotten. */
  readonly sessionIdleMs: number
  /** Milliseconds after which a running call is stopped. */
  readonly requestTimeoutMs: number
}

export interface McpOptions {
  readonly pipeline: Pipeline
  readonly lifelines: Lifelines
  readonly clock: Clock
  readonly observe: Observe
  readonly limits: McpLimits
  readonly serverInfo: ServerInfo
  /** URL of the protected resource metadata for a request path, named in challenges (RFC 9728 §5.1). */
  readonly resourceMetadata?: (path: string) => string
}

/** Builds the MCP endpoint: every revision from 2024-11-05 to 2026-07-28 over one pipeline. */
export function createMcpEndpoint(options: McpOptions): McpEndpoint {
  const { pipeline, lifelines, clock, observe, limits, serverInfo, resourceMetadata } = options
  const serverMeta = `"io.modelcontextprotocol/serverInfo":${JSON.stringify(serverInfo)}`
  const sessions = new Sessions(lifelines, clock, limits)
  const { holdings } = sessions
  const streams = new EventStreams(clock)
  const deadlines = new Deadlines(clock, limits.requestTimeoutMs)
  const calls = new Calls(pipeline, holdings, deadlines)
  const { requestTimeoutMs } = limits
  const tools = new ToolMethods({ pipeline, calls, observe, requestTimeoutMs, serverMeta })
  const methods = new SessionMethods(tools, serverInfo)
  const visible = new VisibleTools(pipeline)
  const maxStreams = limits.sessions
  const streamable = new Streamable({ sessions, streams, methods, lifelines, maxStreams })
  const eventTransport = new EventTransport({ sessions, streams, methods, observe, maxStreams })
  const maxStreamsPerCredential = limits.sessionsPerCredential
  const stateless = new Stateless({
    tools,
    visible,
    holdings,
    streams,
    maxStreams,
    maxStreamsPerCredential,
    serverMeta,
  })
  let closed = false

  function write({ request, response, url }: McpExchange, reply: Reply): void {
    writeReply(request, response, reply, resourceMetadata?.(url.pathname))
  }

  function opened(exchange: McpExchange, error: RpcError | undefined): void {
    if (error) write(exchange, errorReply(undefined, error))
  }

  async function answer(exchange: McpExchange): Promise<void> {
    const { request, body } = exchange
    // Gone while the server waited for something: its `close` event is past, so nothing may be tied to it.
    if (exchange.response.destroyed) return
    if (closed) {
      opened(exchange, shuttingDown())
      return
    }
    switch (`${exchange.path} ${request.method ?? ''}`) {
      case 'streamable POST': {
        const reply = isStateless(request.headers, body)
          ? await stateless.post(exchange)
          : await streamable.post(exchange)
        if (reply) write(exchange, reply)
        return
      }
      case 'streamable GET':
        opened(exchange, refuseStateless(exchange) ?? streamable.get(exchange))
        return
      case 'streamable DELETE': {
        const error = refuseStateless(exchange) ?? streamable.delete(exchange)
        if (error) opened(exchange, error)
        else exchange.response.writeHead(204).end()
        return
      }
      case 'sse GET':
        opened(exchange, eventTransport.open(exchange))
        return
      case 'message POST':
        write(exchange, eventTransport.message(exchange))
        return
      default:
        opened(exchange, methodNotAllowed(METHODS[exchange.path]))
    }
  }

  return {
    async handle(exchange) {
      try {
        await answer(exchange)
      } catch (fault) {
        observe({ kind: 'fault', where: 'mcp', error: fault, requestId: exchange.requestId })
        opened(exchange, faultToRpc(fault))
      }
    },
    toolsChanged() {
      visible.forget()
      holdings.toolsChanged()
    },
    counts: () => ({ sessions: sessions.size, streams: streams.size }),
    close() {
      closed = true
      sessions.close()
      streams.close()
      deadlines.close()
    },
  }
}

const METHODS = { streamable: 'POST, GET, DELETE', sse: 'GET', message: 'POST' } as const

/** The stateless revision has POST and nothing else (2026-07-28 streamable HTTP, "Earlier Streamable HTTP Revisions"). */
const refuseStateless = ({ request }: McpExchange): RpcError | undefined =>
  headerOf(request.headers, 'mcp-protocol-version') === STATELESS_REVISION
    ? methodNotAllowed('POST')
    : undefined
