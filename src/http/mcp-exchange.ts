import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Caller } from '../identity/caller.ts'
import type { EndReason } from '../identity/lifelines.ts'
import type { McpExchange } from '../mcp/endpoint.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import type { Backend } from '../tools/backend/backend.ts'
import { dress, type Exchange, replyHeaders } from './exchange.ts'
import type { McpPath } from './resource-metadata.ts'

/** What the front found out about a request, beside the exchange. */
export interface McpFindings {
  readonly caller: Caller
  readonly path: McpPath
  readonly body: unknown
  readonly backend: Backend | null
  readonly trace: TraceContext | undefined
  readonly baseUrl: () => string
}

/**
 * An exchange as the MCP endpoint sees it. A class, because what is looked up only when needed is a getter: on an
 * object literal each one would make a hidden class of its own, and V8 would keep a chain of them through all requests.
 */
export class HttpMcpExchange implements McpExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly caller: Caller
  readonly body: unknown
  readonly requestId: string
  readonly path: McpExchange['path']
  readonly backend: Backend | null
  readonly trace: TraceContext | undefined
  readonly #exchange: Exchange
  readonly #findings: McpFindings

  constructor(exchange: Exchange, findings: McpFindings) {
    this.request = exchange.request
    this.response = exchange.response
    this.caller = findings.caller
    this.body = findings.body
    this.requestId = exchange.id
    this.path = findings.path.kind
    this.backend = findings.backend
    this.trace = findings.trace
    this.#exchange = exchange
    this.#findings = findings
  }

  get url(): URL {
    const { target } = this.#exchange
    const { baseUrl, path } = this.#findings
    const query = target.query === '' ? '' : `?${target.query}`
    return new URL(`${baseUrl()}${target.path ?? path.route}${query}`)
  }

  get replyHeaders(): readonly string[] {
    return replyHeaders(this.requestId)
  }

  dress(): void {
    dress(this.#exchange)
  }

  onEnd(heard: (reason: EndReason | 'gone') => void): void {
    const { ended } = this.#exchange
    if (ended === undefined) this.#exchange.onEnd = heard
    else heard(ended)
  }
}
