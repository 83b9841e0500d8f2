import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Caller } from '../identity/caller.ts'
import type { Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { Pipeline } from '../tools/call.ts'

/** One HTTP request that the server has already checked (Host, Origin), authenticated and bounded. */
export interface McpExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly caller: Caller
  /** The parsed body, duplicate keys refused; `undefined` for GET and DELETE. */
  readonly body: unknown
  readonly requestId: string
  /** Which of the three addresses was asked: Streamable HTTP, the 2024-11-05 stream, or its message URL. */
  readonly path: 'streamable' | 'sse' | 'message'
  readonly url: URL
}

export interface McpEndpoint {
  /** Answers the exchange. Never rejects: a fault becomes a JSON-RPC error and an observation. */
  handle(exchange: McpExchange): Promise<void>
  /** Ends every session and stream. */
  close(): void
}

export interface McpLimits {
  readonly sessionsPerCredential: number
  readonly sessions: number
  /** Milliseconds without a request after which a session is forgotten. */
  readonly sessionIdleMs: number
  /** Milliseconds after which a running call is aborted. */
  readonly requestTimeoutMs: number
}

export interface McpOptions {
  readonly pipeline: Pipeline
  readonly lifelines: Lifelines
  readonly clock: Clock
  readonly observe: Observe
  readonly limits: McpLimits
  readonly serverInfo: { readonly name: string; readonly title?: string; readonly version: string }
}

export function createMcpEndpoint(options: McpOptions): McpEndpoint {
  throw new Error(`${options.serverInfo.name} has no MCP endpoint yet`)
}
