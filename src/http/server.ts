import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AuditSink } from '../audit/entry.ts'
import type { Authenticator } from '../identity/authenticate.ts'
import type { Caller } from '../identity/caller.ts'
import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'

/** One MCP request that was checked (Host, Origin), authenticated, audited and bounded. */
export interface McpExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly caller: Caller
  /** The parsed body, duplicate keys refused; `undefined` for GET and DELETE. */
  readonly body: unknown
  readonly requestId: string
  /** Streamable HTTP, the stream of the 2024-11-05 transport, or its message address. */
  readonly path: 'streamable' | 'sse' | 'message'
  readonly url: URL
}

/** The part of the MCP room that the server needs. */
export interface McpHandler {
  /** Answers the exchange. Never rejects. */
  handle(exchange: McpExchange): Promise<void>
  /** Ends every session and stream. */
  close(): void
}

/** What the front knows of a request when it hands it to the control plane. */
export interface ControlContext {
  /** Absent only on the public list. */
  readonly caller: Caller | undefined
  readonly requestId: string
  readonly remoteAddress: string
  /** Public URL of this server, without a trailing slash. */
  readonly baseUrl: string
  /** Aborted when the client went away. */
  readonly signal: AbortSignal
  /** Tells the request log which route answered, and with which code. */
  note(fact: { readonly route?: string; readonly code?: string }): void
}

/** The control plane as the front sees it: a fetch handler whose second argument is what the front knows. */
export interface ControlPlane {
  fetch(request: Request, context: ControlContext): Response | Promise<Response>
}

export interface HttpLimits {
  readonly bodyBytes: number
  readonly jsonDepth: number
  readonly headerBytes: number
  /** Milliseconds a client has to send a whole request. */
  readonly requestTimeoutMs: number
}

export interface HttpServerOptions {
  readonly host: string
  /** 0 asks the system for a free port. */
  readonly port: number
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  /** `null`: the address that the server listens on. */
  readonly baseUrl: string | null
  /** `Host` values accepted besides loopback names, the listening address and the base URL's host. */
  readonly allowedHosts: readonly string[]
  /** `Origin` values accepted besides the base URL's; these also get CORS headers. */
  readonly allowedOrigins: readonly string[]
  readonly limits: HttpLimits
  readonly authenticator: Authenticator
  readonly audit: AuditSink
  readonly observe: Observe
  readonly clock: Clock
  readonly mcp: McpHandler
  readonly control: ControlPlane
}

export interface HttpServer {
  /** @throws Fault `address_in_use` */
  listen(): Promise<{ readonly url: string; readonly port: number }>
  /** Stops accepting, lets open requests finish for `drainMs`, ends streams, then closes what is left. */
  close(drainMs: number): Promise<void>
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  throw new Error(`nothing listens on ${options.host} yet`)
}
