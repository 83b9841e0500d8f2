import type { AuditEvent } from '../../src/audit/entry.ts'
import { createHttpServer } from '../../src/http/server.ts'
import type { Authenticator } from '../../src/identity/authenticate.ts'
import type { Caller } from '../../src/identity/caller.ts'
import { Lifelines } from '../../src/identity/lifelines.ts'
import { refusal } from '../../src/access/refusal.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { err, ok } from '../../src/lib/result.ts'
import { createDirect, type Direct } from '../../src/mcp/direct/direct.ts'
import { errorReply, writeReply } from '../../src/mcp/reply.ts'
import { RPC_CODE, rpcError } from '../../src/mcp/rpc-error.ts'
import { Sessions } from '../../src/mcp/sessions.ts'
import type { Observation } from '../../src/observe/observation.ts'
import type { AdmittedRequest, Backend } from '../../src/tools/backend/backend.ts'
import { Direct as DirectRoutes } from '../../src/upstreams/direct.ts'
import { openAgent } from '../../src/upstreams/http/agent.ts'
import { ownHeaders } from '../../src/upstreams/http/own-headers.ts'
import { RunningRequests } from '../../src/upstreams/running-requests.ts'
import { SESSION_REVISIONS, STATELESS_REVISION } from '../../src/lib/revisions.ts'
import { Secret } from '../../src/lib/secret.ts'

export interface DirectHarnessOptions {
  /** URL of the server behind; it speaks every revision, with sessions and without. */
  readonly upstream: string
  readonly port?: number
  readonly clock?: Clock
  readonly sealKey?: Buffer
  readonly sessionIdleMs?: number
  readonly messageBytes?: number
  readonly timeoutMs?: number
  /** Tools that nobody may call or see. */
  readonly hidden?: readonly string[]
}

export interface DirectHarness {
  readonly url: string
  readonly port: number
  readonly lifelines: Lifelines
  readonly sessions: Sessions
  readonly direct: Direct
  readonly admitted: readonly AdmittedRequest[]
  readonly settled: readonly { readonly outcome: string; readonly rule?: string }[]
  readonly events: readonly AuditEvent[]
  readonly observations: readonly Observation[]
  /** Ends the credential `name`. */
  revoke(name: string): void
  close(): Promise<void>
}

function makeCaller(name: string): Caller {
  return Object.freeze({
    principal: { kind: 'service', id: `owner-${name}`, name },
    credential: { id: `cred-${name}`, kind: 'static', name, createdAt: null, expiresAt: null },
    grant: { tenant: 'default', level: 'read-only', scopes: 'all', servers: 'all', databases: 'all' },
  } as const)
}

/**
 * The real HTTP server, the fast path and the way to a server over HTTP; decisions are a list of hidden tools. Every
 * token `token-NAME` is known as the credential `cred-NAME`.
 */
export async function directHarness(options: DirectHarnessOptions): Promise<DirectHarness> {
  const clock = options.clock ?? systemClock
  const lifelines = new Lifelines()
  const observations: Observation[] = []
  const events: AuditEvent[] = []
  const admitted: AdmittedRequest[] = []
  const settled: { outcome: string; rule?: string }[] = []
  const observe = (observation: Observation): void => void observations.push(observation)
  const revoked = new Set<string>()
  const callers = new Map<string, Caller>()
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
  const hidden = new Set(options.hidden)
  const upstream = new URL(options.upstream)
  const agent = openAgent(upstream.origin, { connectTimeoutMs: 1_000, calls: 64, streams: 64 })
  const routes = new DirectRoutes({
    agent,
    clock,
    peer: 'MCP server "behind"',
    path: upstream.pathname,
    tokens: null,
    limits: {
      timeoutMs: options.timeoutMs ?? 10_000,
      connectTimeoutMs: 1_000,
      messageBytes: options.messageBytes ?? 200_000_000,
      concurrency: 64,
      conversations: 64,
      idleMs: 60_000,
    },
    running: new RunningRequests('behind', 64, clock),
    streams: new RunningRequests('behind', 64, clock, 'always'),
    revisionRefused: () => undefined,
  })
  const own = ownHeaders({ authorization: new Secret('Bearer the-servers-own') }, null, null)
  const session = routes.route('2025-11-25', new Set(SESSION_REVISIONS), own)
  const stateless = routes.route(STATELESS_REVISION, new Set([STATELESS_REVISION]), own)
  const backend: Backend = {
    server: 'behind',
    open: () => Promise.reject(new Error('nothing is translated here')),
    direct: (_, kind) => (kind === 'session' ? session : stateless),
    visibleTools: (_, tools) => tools.filter((tool) => !hidden.has(String(tool.name))),
    admit(request) {
      admitted.push(request)
      if (request.method === 'tools/call' && hidden.has(String(request.params.name))) {
        return err(refusal('tool_not_allowed', 'toolFilter', 'this tool is not open to this credential'))
      }
      return ok({
        settle(outcome, facts) {
          settled.push({ outcome, ...facts })
        },
      })
    },
  }

  const sessions = new Sessions(lifelines, clock, {
    sessionsPerCredential: 100,
    sessions: 10_000,
    sessionIdleMs: options.sessionIdleMs ?? 30 * 60_000,
  })
  const direct = createDirect({
    sessions,
    clock,
    maxStreams: 10_000,
    maxStreamsPerCredential: 100,
    serverMeta: '"io.modelcontextprotocol/serverInfo":{"name":"postern","version":"0.0.0-test"}',
    write(exchange, reply) {
      exchange.dress()
      writeReply(exchange.request, exchange.response, reply, undefined)
    },
    failed(exchange, error) {
      observe({ kind: 'fault', where: 'mcp', error, requestId: exchange.requestId })
    },
    ...(options.sealKey ? { sealKey: options.sealKey } : {}),
  })
  const server = createHttpServer({
    host: '127.0.0.1',
    port: options.port ?? 0,
    tls: null,
    baseUrl: null,
    allowedHosts: [],
    allowedOrigins: [],
    limits: { bodyBytes: 4_194_304, jsonDepth: 64, headerBytes: 16_384, requestTimeoutMs: 30_000 },
    authenticator,
    lifelines,
    audit: { record: (event) => void events.push(event), room: () => undefined },
    observe,
    clock: systemClock,
    mcp: {
      locate: () => ok(backend),
      handle(exchange) {
        if (!direct.serve(exchange, backend)) {
          const error = rpcError(501, RPC_CODE.internal, 'this needs translating')
          writeReply(exchange.request, exchange.response, errorReply(undefined, error), undefined)
        }
        return Promise.resolve()
      },
      close() {
        sessions.close()
        direct.close()
      },
    },
    control: { fetch: () => new Response('not found', { status: 404 }) },
  })
  const { url, port } = await server.listen()

  return {
    url,
    port,
    lifelines,
    sessions,
    direct,
    admitted,
    settled,
    events,
    observations,
    revoke(name) {
      revoked.add(name)
      lifelines.end(`cred-${name}`, 'revoked')
    },
    async close() {
      await server.close(0)
      await agent.close()
    },
  }
}
