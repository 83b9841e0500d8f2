import type { Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import { type Refusal, refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Backend, Backends } from '../tools/backend/backend.ts'
import type { Pipeline } from '../tools/call.ts'
import { type BackendFront, createBackendFront } from './backend/backend-front.ts'
import { noteFault } from './backend/forward.ts'
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
  /**
   * What serves an address, before anything of the request is read: the server of `/{server}/…`, or all of them at
   * Postern's own addresses. `null`: Postern's own tools alone. The refusal is recorded already.
   */
  locate(caller: Caller, server: string | null, requestId: string): Result<Backend | null, Refusal>
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
  /** The servers behind Postern; absent where there are none. */
  readonly backends?: Backends
  /** Makes what is asked first for a server: it takes what can pass without being translated. */
  readonly direct?: (parts: DirectFrontParts) => DirectFront
  /** URL of the protected resource metadata for a request path, named in challenges (RFC 9728 §5.1). */
  readonly resourceMetadata?: (path: string) => string
}

/** The way on which messages pass as they are, where client and server speak the same revision. */
export interface DirectFront {
  /** @returns false when it did not touch the exchange, which is then translated */
  serve(exchange: McpExchange, backend: Backend): boolean
  readonly streams: number
  close(): void
}

export interface DirectFrontParts {
  /** Shared with the translating front: the limits are for both together. */
  readonly sessions: Sessions
  readonly clock: Clock
  readonly maxStreams: number
  readonly maxStreamsPerCredential: number
  /** JSON text of the `_meta` member with `serverInfo`. */
  readonly serverMeta: string
  /** Writes an answer of our own. */
  readonly write: (exchange: McpExchange, reply: Reply) => void
  readonly failed: (exchange: McpExchange, fault: unknown) => void
}

/** Builds the MCP endpoint: every revision from 2024-11-05 to 2026-07-28 over one pipeline. */
export function createMcpEndpoint(options: McpOptions): McpEndpoint {
  const { pipeline, lifelines, clock, observe, limits, serverInfo, resourceMetadata } = options
  const { backends } = options
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
  const own: Transports<null> = { streamable, stateless, events: eventTransport }
  const front: BackendFront = createBackendFront({
    sessions,
    streams,
    lifelines,
    clock,
    observe,
    maxStreams,
    maxStreamsPerCredential,
  })
  const forgetChanges = backends?.onChange((server, gone) => {
    front.toolsChanged(server)
    if (gone) front.serverGone(server)
  })
  const direct = options.direct?.({
    sessions,
    clock,
    maxStreams,
    maxStreamsPerCredential,
    serverMeta,
    write,
    failed(exchange, fault) {
      noteFault({ kind: 'failed', fault }, exchange.requestId, observe)
    },
  })
  let closed = false

  function failed(exchange: McpExchange, fault: unknown): void {
    noteFault({ kind: 'failed', fault }, exchange.requestId, observe)
    opened(exchange, faultToRpc(fault))
  }

  function write(exchange: McpExchange, reply: Reply): void {
    exchange.dress()
    const metadata = reply.error?.challenge && resourceMetadata?.(exchange.url.pathname)
    writeReply(exchange.request, exchange.response, reply, metadata)
  }

  function opened(exchange: McpExchange, error: RpcError | undefined): void {
    if (error) write(exchange, errorReply(undefined, error))
  }

  async function answer(exchange: McpExchange): Promise<void> {
    // Gone while the server waited for something: its `close` event is past, so nothing may be tied to it.
    if (exchange.response.destroyed) return
    if (exchange.backend && !closed && direct?.serve(exchange, exchange.backend) === true) return
    exchange.dress()
    if (closed) {
      opened(exchange, shuttingDown())
      return
    }
    await (exchange.backend ? served(exchange, front, exchange.backend) : served(exchange, own, null))
  }

  /** By whoever speaks each transport: for Postern's own tools, or for a backend. */
  async function served<B>(exchange: McpExchange, by: Transports<B>, backend: B): Promise<void> {
    const { request, body } = exchange
    switch (`${exchange.path} ${request.method ?? ''}`) {
      case 'streamable POST': {
        const transport = isStateless(request.headers, body) ? by.stateless : by.streamable
        const reply = await transport.post(exchange, backend)
        if (reply) write(exchange, reply)
        return
      }
      case 'streamable GET':
        opened(exchange, refuseStateless(exchange) ?? by.streamable.get(exchange, backend))
        return
      case 'streamable DELETE': {
        const error = refuseStateless(exchange) ?? by.streamable.delete(exchange, backend)
        if (error) opened(exchange, error)
        else exchange.response.writeHead(204).end()
        return
      }
      case 'sse GET':
        opened(exchange, by.events.open(exchange, backend))
        return
      case 'message POST':
        write(exchange, by.events.message(exchange, backend))
        return
      default:
        opened(exchange, methodNotAllowed(METHODS[exchange.path]))
    }
  }

  return {
    locate(caller, server, requestId) {
      if (server !== null) return backends ? backends.server(caller, server, requestId) : noServer()
      return backends?.any === true ? ok(backends.aggregate()) : OWN_TOOLS
    },
    async handle(exchange) {
      try {
        await answer(exchange)
      } catch (fault) {
        failed(exchange, fault)
      }
    },
    toolsChanged() {
      visible.forget()
      holdings.toolsChanged()
      front.toolsChanged()
    },
    counts: () => ({ sessions: sessions.size, streams: streams.size + (direct?.streams ?? 0) }),
    close() {
      closed = true
      forgetChanges?.()
      direct?.close()
      front.close()
      sessions.close()
      streams.close()
      deadlines.close()
    },
  }
}

/** The transports of all revisions; each method answers what is left to write. */
interface Transports<B> {
  readonly streamable: {
    post(exchange: McpExchange, backend: B): Promise<Reply | undefined>
    get(exchange: McpExchange, backend: B): RpcError | undefined
    delete(exchange: McpExchange, backend: B): RpcError | undefined
  }
  readonly stateless: { post(exchange: McpExchange, backend: B): Promise<Reply | undefined> }
  readonly events: {
    open(exchange: McpExchange, backend: B): RpcError | undefined
    message(exchange: McpExchange, backend: B): Reply
  }
}

const OWN_TOOLS = ok(null)

const noServer = (): Result<never, Refusal> =>
  err(refusal('not_found', 'server', 'there is no server of this name'))

const METHODS = { streamable: 'POST, GET, DELETE', sse: 'GET', message: 'POST' } as const

/** The stateless revision has POST and nothing else (2026-07-28 streamable HTTP, "Earlier Streamable HTTP Revisions"). */
const refuseStateless = ({ request }: McpExchange): RpcError | undefined =>
  headerOf(request.headers, 'mcp-protocol-version') === STATELESS_REVISION
    ? methodNotAllowed('POST')
    : undefined
