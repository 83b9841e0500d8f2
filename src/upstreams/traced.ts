import { Fault } from '../lib/fault.ts'
import { isObject, type Params } from '../lib/json-rpc.ts'
import { ok } from '../lib/result.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import type { Span, SpanFacts, Tracing } from '../observe/tracing.ts'
import type { Answer, Conversation, OutgoingRequest } from './conversation.ts'
import type { DirectReceiver, DirectRequest, DirectRoute } from './direct-route.ts'
import type { Upstream, Upstreams } from './upstream.ts'
import { wrapUpstreams } from './wrap-upstreams.ts'

/** The members of params that name what a request is for (semantic conventions for MCP). */
const TARGETS: Readonly<Record<string, { readonly member: string; readonly fact: string }>> = {
  'tools/call': { member: 'name', fact: 'gen_ai.tool.name' },
  'prompts/get': { member: 'name', fact: 'gen_ai.prompt.name' },
}

/** The same servers, with a span around every request to them; the request goes on under that span. */
export function traced(upstreams: Upstreams, tracing: Tracing): Upstreams {
  if (!tracing.on) return upstreams
  return wrapUpstreams(upstreams, (upstream) => tracedUpstream(upstream, tracing))
}

function tracedUpstream(upstream: Upstream, tracing: Tracing): Upstream {
  const { name, options } = upstream
  const facts = {
    'postern.server': name,
    'network.transport': options.reach.kind === 'stdio' ? 'pipe' : 'tcp',
  }
  return {
    name,
    options,
    status: () => upstream.status(),
    async converse(caller, client, inbox, signal) {
      const begun = await upstream.converse(caller, client, inbox, signal)
      return begun.ok ? ok(tracedConversation(begun.value, facts, tracing)) : begun
    },
    direct(caller, client) {
      const route = upstream.direct(caller, client)
      return route && tracedRoute(route, facts, tracing)
    },
  }
}

function tracedConversation(conversation: Conversation, facts: SpanFacts, tracing: Tracing): Conversation {
  return {
    get about() {
      return conversation.about
    },
    async request(call) {
      const span = begin(call, conversation.about.revision, facts, tracing)
      try {
        const answer = await conversation.request({
          ...call,
          ...(span.context === undefined ? {} : { trace: span.context }),
        })
        span.end(outcomeOf(answer))
        return answer
      } catch (error) {
        span.end({ error: codeOf(error) })
        throw error
      }
    },
    notify: (method, params) => {
      conversation.notify(method, params)
    },
    listen: (wanted) => conversation.listen(wanted),
    close: () => {
      conversation.close()
    },
  }
}

function begin(
  { method, params, trace }: OutgoingRequest,
  revision: string,
  facts: SpanFacts,
  tracing: Tracing,
): Span {
  const target = TARGETS[method]
  const named = target && textOf(params, target.member)
  return tracing.begin({
    kind: 'client',
    name: named === undefined ? method : `${method} ${named}`,
    parent: trace,
    facts: {
      ...facts,
      'mcp.method.name': method,
      'mcp.protocol.version': revision,
      ...(target ? { [target.fact]: named } : {}),
    },
  })
}

const textOf = (params: Params, member: string): string | undefined => {
  const value = params[member]
  return typeof value === 'string' ? value.slice(0, 128) : undefined
}

function outcomeOf(answer: Answer): { readonly facts?: SpanFacts; readonly error?: string } {
  if (answer.kind === 'error') {
    const code = String(answer.error.code)
    return { facts: { 'rpc.response.status_code': code }, error: code }
  }
  // The tool's own words for a failure, told from one of the protocol as the conventions do.
  return answer.result['isError'] === true ? { error: 'tool_error' } : {}
}

const codeOf = (error: unknown): string =>
  error instanceof Fault
    ? error.code
    : error instanceof Error && error.name === 'AbortError'
      ? 'cancelled'
      : 'internal'

function tracedRoute(route: DirectRoute, facts: SpanFacts, tracing: Tracing): DirectRoute {
  return {
    get revision() {
      return route.revision
    },
    get spoken() {
      return route.spoken
    },
    send(request) {
      const span = beginDirect(request, route.revision, facts, tracing)
      route.send({
        ...request,
        body: request.body === null ? null : under(span.context, request.body),
        trace: span.context,
        receiver: tracedReceiver(request.receiver, span),
      })
    },
  }
}

/** A message that names its trace in `_meta` names the span around it there, too: some servers look nowhere else. */
function under(trace: TraceContext | undefined, body: string): string {
  if (trace === undefined || !body.includes('"traceparent"')) return body
  const message = JSON.parse(body) as { readonly params?: { readonly _meta?: unknown } }
  const meta = message.params?._meta
  // The text can stand anywhere, such as among the arguments of a tool.
  if (!isObject(meta) || !Object.hasOwn(meta, 'traceparent')) return body
  const { traceparent: _, tracestate: __, ...others } = meta
  return JSON.stringify({ ...message, params: { ...message.params, _meta: { ...others, ...trace } } })
}

/** The stateless revision names method and target in headers; with a session, only the body would. */
function beginDirect(
  { method, headers, trace }: DirectRequest,
  revision: string,
  facts: SpanFacts,
  tracing: Tracing,
): Span {
  const named = headers['mcp-method']
  const target = headers['mcp-name']
  return tracing.begin({
    kind: 'client',
    name: named === undefined ? `${method} (direct)` : [named, target].filter(Boolean).join(' '),
    parent: trace,
    facts: {
      ...facts,
      'http.request.method': method,
      'mcp.method.name': named,
      'mcp.protocol.version': revision,
      ...(named === 'tools/call' ? { 'gen_ai.tool.name': target } : {}),
    },
  })
}

function tracedReceiver(receiver: DirectReceiver, span: Span): DirectReceiver {
  let status = 0
  return {
    started(control) {
      receiver.started({
        resume: () => {
          control.resume()
        },
        // Nothing follows that would end the span.
        abort(reason) {
          span.end({ facts: { 'http.response.status_code': status || undefined }, error: 'cancelled' })
          control.abort(reason)
        },
      })
    },
    headers(code, headers) {
      status = code
      receiver.headers(code, headers)
    },
    chunk: (bytes) => receiver.chunk(bytes),
    ended() {
      span.end({
        facts: { 'http.response.status_code': status },
        ...(status >= 400 ? { error: String(status) } : {}),
      })
      receiver.ended()
    },
    failed(fault) {
      span.end({ error: codeOf(fault) })
      receiver.failed(fault)
    },
  }
}
