import { readTraceContext } from '../observe/read-trace-context.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import { noTracing, type Span, type SpanFacts, type Tracing } from '../observe/tracing.ts'
import type { Exchange } from './exchange.ts'

/** The span of a request, as its exchange keeps it. */
export interface RequestTrace {
  readonly span: Span
  /** Named for its message; otherwise for its route, once that is known. */
  readonly named: boolean
}

/** Names in spans are cut to this: some are a caller's text. Characters. */
const LONGEST_NAME = 128

/**
 * Finds out which trace a request belongs to, and begins its span where spans are made. Called once its credential
 * was accepted, so that nobody else can make traces; and once its message is here, which may say what the headers do not.
 *
 * @param message the parsed body of an MCP request
 * @returns what is handed on with the work for this request
 */
export function traceRequest(
  exchange: Exchange,
  tracing: Tracing | undefined,
  message?: unknown,
): TraceContext | undefined {
  const { request } = exchange
  const { method, params } = partsOf(message)
  const { traceparent, tracestate } = request.headers
  const parent = readTraceContext({ traceparent, tracestate }, params['_meta'])
  if (tracing === undefined || !tracing.on) {
    // Without a parent there is nothing to pass on: nothing is made for most requests.
    if (parent !== undefined)
      exchange.trace = { span: noTracing.begin({ kind: 'server', name: '', parent, facts: {} }), named: true }
    return parent
  }
  const target = method === 'tools/call' ? shortText(params['name']) : undefined
  const span = tracing.begin({
    kind: 'server',
    name: method === undefined ? '' : target === undefined ? method : `${method} ${target}`,
    parent,
    startedAt: performance.timeOrigin + exchange.startedAt,
    facts: {
      'http.request.method': request.method,
      'url.scheme': exchange.secure ? 'https' : 'http',
      'mcp.method.name': method,
      'gen_ai.tool.name': target,
      'mcp.protocol.version': shortText(request.headers['mcp-protocol-version']),
      'postern.request_id': exchange.id,
      'postern.token_name': exchange.caller?.credential.name,
    },
  })
  exchange.trace = { span, named: method !== undefined }
  return span.context
}

/** Ends the span of a request when its reply is complete, or its client went away. */
export function endTrace(exchange: Exchange, status: number, code: string | undefined): void {
  const { trace, route, server, request } = exchange
  if (trace === undefined) return
  const facts: SpanFacts = {
    'http.route': route,
    'http.response.status_code': status,
    'postern.server': server,
    'postern.code': code,
  }
  // A 4xx is the client's mistake, and no error of a server (semantic conventions for HTTP).
  const error = status >= 500 ? (code ?? String(status)) : undefined
  trace.span.end({
    facts,
    ...(error === undefined ? {} : { error }),
    ...(trace.named ? {} : { name: `${request.method} ${route}` }),
  })
}

/** `trace_id` of the log, where the request belongs to a trace. */
export const traceIdOf = ({ trace }: Exchange): string | undefined =>
  trace?.span.context?.traceparent.slice(3, 35)

interface MessageParts {
  readonly method: string | undefined
  readonly params: Readonly<Record<string, unknown>>
}

function partsOf(message: unknown): MessageParts {
  if (typeof message !== 'object' || message === null) return { method: undefined, params: {} }
  const { method, params } = message as { readonly method?: unknown; readonly params?: unknown }
  return {
    method: shortText(method),
    params: typeof params === 'object' && params !== null ? (params as Record<string, unknown>) : {},
  }
}

const shortText = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, LONGEST_NAME) : undefined
