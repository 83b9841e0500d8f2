import type { AuditEvent, AuditSink } from '../../src/audit/entry.ts'
import { createHttpServer } from '../../src/http/server.ts'
import type { Authenticator } from '../../src/identity/authenticate.ts'
import type { Caller } from '../../src/identity/caller.ts'
import type { Grant } from '../../src/identity/grant.ts'
import { Lifelines } from '../../src/identity/lifelines.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { createMcpEndpoint, type McpEndpoint, type McpLimits } from '../../src/mcp/endpoint.ts'
import type { Observation, Observe } from '../../src/observe/observation.ts'
import type { Backends } from '../../src/tools/backend/backend.ts'
import type { Pipeline } from '../../src/tools/call.ts'
import { createPipeline } from '../../src/tools/pipeline.ts'
import type { Tool } from '../../src/tools/tool.ts'
import { echoTool } from './tools.ts'

export interface McpHarness {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly url: string
  readonly endpoint: McpEndpoint
  readonly lifelines: Lifelines
  readonly observations: readonly Observation[]
  readonly events: readonly AuditEvent[]
  /** Sends a JSON body to `/mcp` as the credential `name`. */
  post(body: unknown, headers?: Record<string, string>, name?: string): Promise<Answer>
  send(method: string, path: string, headers?: Record<string, string>, name?: string): Promise<Response>
  /** Initializes a session and gives its id. */
  open(version?: string, name?: string): Promise<string>
  /** Ends a credential: its token is refused from now on and its lifelines are cut. */
  revoke(name: string): void
  /** Gives a credential another grant. */
  regrant(name: string, grant: Partial<Grant>): void
  close(): Promise<void>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The parsed body, where it is JSON. */
  readonly json: Json
}

export interface Json {
  readonly jsonrpc?: string
  readonly id?: unknown
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: {
    readonly code: number
    readonly message: string
    readonly data?: Readonly<Record<string, unknown>>
  }
}

export interface HarnessOptions {
  /** The servers behind the endpoint. */
  readonly backends?: (parts: BackendsOfHarness) => Backends
  readonly tools?: readonly Tool[]
  readonly limits?: Partial<McpLimits>
  readonly clock?: Clock
}

/** What servers share with everything else of the harness. */
export interface BackendsOfHarness {
  readonly audit: AuditSink
  readonly lifelines: Lifelines
  readonly clock: Clock
  readonly observe: Observe
  readonly own: Pipeline
}

const GRANT: Grant = {
  tenant: 'default',
  level: 'read-only',
  scopes: 'all',
  servers: 'all',
  databases: 'all',
}

function makeCaller(name: string, grant: Partial<Grant> = {}): Caller {
  return Object.freeze({
    principal: { kind: 'service', id: `owner-${name}`, name },
    credential: { id: `cred-${name}`, kind: 'static', name, createdAt: null, expiresAt: null },
    grant: { ...GRANT, ...grant },
  } as const)
}

/**
 * The real HTTP server, pipeline and MCP endpoint around tools of the test. Every token `token-NAME` is
 * known as the credential `cred-NAME` until it is revoked.
 */
export async function mcpHarness(options: HarnessOptions = {}): Promise<McpHarness> {
  const clock = options.clock ?? systemClock
  const lifelines = new Lifelines()
  const observations: Observation[] = []
  const events: AuditEvent[] = []
  const observe = (observation: Observation): void => void observations.push(observation)
  const audit = { record: (event: AuditEvent) => void events.push(event), room: () => undefined }
  const callers = new Map<string, Caller>()
  const revoked = new Set<string>()
  const authenticator: Authenticator = {
    authenticate(authorization) {
      const name = /^Bearer token-([\w-]+)$/.exec(authorization ?? '')?.[1]
      if (name === undefined || revoked.has(name)) {
        return { ok: false, error: { reason: name === undefined ? 'missing' : 'revoked' } }
      }
      let caller = callers.get(name)
      if (!caller) callers.set(name, (caller = makeCaller(name)))
      return { ok: true, value: caller }
    },
  }
  const pipeline = createPipeline({ tools: options.tools ?? [echoTool], audit, clock, observe })
  const backends = options.backends?.({ audit, lifelines, clock, observe, own: pipeline })
  let baseUrl = ''
  const endpoint = createMcpEndpoint({
    pipeline,
    lifelines,
    clock,
    observe,
    limits: {
      sessionsPerCredential: 100,
      sessions: 10_000,
      sessionIdleMs: 30 * 60_000,
      requestTimeoutMs: 30_000,
      ...options.limits,
    },
    ...(backends === undefined ? {} : { backends }),
    serverInfo: { name: 'postern', title: 'Postern', version: '0.0.0-test' },
    resourceMetadata: (path) => `${baseUrl}/.well-known/oauth-protected-resource${path}`,
  })
  const server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    tls: null,
    baseUrl: null,
    allowedHosts: [],
    allowedOrigins: [],
    limits: { bodyBytes: 4_194_304, jsonDepth: 64, headerBytes: 16_384, requestTimeoutMs: 30_000 },
    authenticator,
    lifelines,
    audit,
    observe,
    clock: systemClock,
    mcp: endpoint,
    control: { fetch: () => new Response('not found', { status: 404 }) },
  })
  const { url } = await server.listen()
  baseUrl = url

  const send: McpHarness['send'] = (method, path, headers = {}, name = 'reader') =>
    fetch(`${url}${path}`, { method, headers: { authorization: `Bearer token-${name}`, ...headers } })

  const post: McpHarness['post'] = async (body, headers = {}, name = 'reader') => {
    const response = await fetch(`${url}/mcp`, {
      method: 'POST',
      headers: { authorization: `Bearer token-${name}`, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: (isJson ? JSON.parse(text) : {}) as Json,
    }
  }

  return {
    url,
    endpoint,
    lifelines,
    observations,
    events,
    post,
    send,
    async open(version = '2025-11-25', name = 'reader') {
      const answer = await post(initialize(version), {}, name)
      return answer.headers.get('mcp-session-id') ?? ''
    },
    revoke(name) {
      revoked.add(name)
      lifelines.end(`cred-${name}`, 'revoked')
    },
    regrant(name, grant) {
      callers.set(name, makeCaller(name, grant))
      lifelines.end(`cred-${name}`, 'changed')
    },
    async close() {
      await server.close(0)
    },
  }
}

export const request = (method: string, params?: unknown, id: unknown = 1): unknown => ({
  jsonrpc: '2.0',
  id,
  method,
  ...(params === undefined ? {} : { params }),
})

export const initialize = (version: string): unknown =>
  request('initialize', {
    protocolVersion: version,
    capabilities: {},
    clientInfo: { name: 'a-test', version: '1.0.0' },
  })

const STATELESS = '2026-07-28'

export const statelessMeta = {
  'io.modelcontextprotocol/protocolVersion': STATELESS,
  'io.modelcontextprotocol/clientInfo': { name: 'a-test', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': {},
}

/** Body and headers of a request of the stateless revision, both saying the same. */
export function stateless(
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  id: unknown = 1,
): readonly [body: unknown, headers: Record<string, string>] {
  const name = params.name
  return [
    request(method, { ...params, _meta: statelessMeta }, id),
    {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': STATELESS,
      'mcp-method': method,
      ...(method === 'tools/call' && typeof name === 'string' ? { 'mcp-name': name } : {}),
    },
  ]
}

/** Reads the events of a stream one by one. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #decoder = new TextDecoder()
  #buffer = ''

  constructor(response: Response) {
    if (!response.body) throw new Error(`no stream: ${response.status}`)
    this.#reader = response.body.getReader()
  }

  /** The next event, or `undefined` when the stream has ended. */
  async next(): Promise<{ event: string; data: string; id?: string } | undefined> {
    for (;;) {
      const end = this.#buffer.indexOf('\n\n')
      if (end !== -1) {
        const lines = this.#buffer.slice(0, end).split('\n')
        this.#buffer = this.#buffer.slice(end + 2)
        const data = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6))
        if (data.length === 0) continue
        const event = lines.find((line) => line.startsWith('event: '))?.slice(7) ?? 'message'
        const id = lines.find((line) => line.startsWith('id: '))?.slice(4)
        return { event, data: data.join('\n'), ...(id === undefined ? {} : { id }) }
      }
      const { value, done } = await this.#reader.read()
      if (done) return undefined
      this.#buffer += this.#decoder.decode(value, { stream: true })
    }
  }

  async json(): Promise<Json & { readonly method?: string; readonly params?: Record<string, unknown> }> {
    const event = await this.next()
    if (!event) throw new Error('the stream has ended')
    return JSON.parse(event.data) as Json
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel()
  }
}
