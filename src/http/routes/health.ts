import { z } from 'zod'
import { levelIncludes } from '../../access/decide.ts'
import type { Caller } from '../../identity/caller.ts'
import { FIRST_TENANT } from '../../identity/first-tenant.ts'
import { ok } from '../../lib/result.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route, type RouteReply } from '../define-route.ts'
import type { StoreHealth } from '../health-source.ts'

/** `degraded`: it serves, and a part is away. `unavailable`: send requests elsewhere. */
const STATUS = z.object({ status: z.enum(['ok', 'degraded', 'unavailable']) })

const HEALTH = STATUS.extend({
  ready: z.boolean().optional(),
  draining: z.boolean().optional(),
  version: z.string().optional(),
  uptime_seconds: z.int().optional(),
  store: z
    .object({
      kind: z.string(),
      reachable: z.boolean(),
      writable: z.boolean(),
      latency_ms: z.number().nullable(),
      size_bytes: z.int().nullable(),
      schema_version: z.int().nullable(),
      problem: z.string().nullable(),
    })
    .optional(),
  change_feed: z.object({ healthy: z.boolean() }).optional(),
  credentials: z.object({ ready: z.boolean() }).optional(),
  audit: z
    .object({
      waiting: z.int(),
      last_written_at: z.string().nullable(),
      behind: z.boolean(),
      full: z.boolean(),
    })
    .optional(),
  databases: z
    .array(
      z.object({
        name: z.string(),
        state: z.string(),
        version: z.string().nullable(),
        role: z.string(),
        message: z.string().nullable(),
        connections: z.int(),
        busy: z.int(),
        waiting: z.int(),
      }),
    )
    .optional(),
  servers: z
    .array(z.object({ name: z.string(), state: z.string(), problem: z.string().nullable() }))
    .optional(),
})

type Health = z.infer<typeof HEALTH>

/** When a load balancer that was told to go elsewhere may look again. */
const LOOK_AGAIN_S = '1'

/** A bare word for everybody; what is up and what is not, for an administrator of the first tenant. */
export function healthRoutes(parts: ControlPlaneParts): readonly Route[] {
  return [
    stateRoute(parts, '/health', 'health'),
    stateRoute(parts, '/api/v1/health', 'health.api'),
    liveRoute('/health/live', 'health.live'),
    liveRoute('/api/v1/health/live', 'health.live.api'),
    readyRoute(parts, '/health/ready', 'health.ready'),
    readyRoute(parts, '/api/v1/health/ready', 'health.ready.api'),
  ]
}

const stateRoute = (parts: ControlPlaneParts, path: string, name: string): Route =>
  defineRoute(
    {
      method: 'GET',
      path,
      name,
      summary: 'Tells how the gateway is; the state of each part for an administrator',
      access: 'public',
      status: 200,
      description:
        '`unavailable` when it is not ready, `degraded` when a database is away or the audit record is behind. MCP ' +
        "servers do not count: each is somebody else's, and the others go on without it. The status is 200 either way.",
      reply: HEALTH,
      refusals: [],
    },
    async ({ caller }) => ok({ status: 200, body: await describe(parts, caller) }),
  )

const liveRoute = (path: string, name: string): Route =>
  defineRoute(
    {
      method: 'GET',
      path,
      name,
      summary: 'Tells that the process answers; never asks another part',
      access: 'public',
      status: 200,
      description: 'As long as the process answers, also while it stops.',
      reply: STATUS,
      refusals: [],
    },
    () => ok({ status: 200, body: { status: 'ok' } }),
  )

const readyRoute = (parts: ControlPlaneParts, path: string, name: string): Route =>
  defineRoute(
    {
      method: 'GET',
      path,
      name,
      summary: 'Tells whether requests should come here: 200, or 503 with the same body',
      access: 'public',
      status: 200,
      description:
        '503 while the gateway is stopping, its store is away, revocations made elsewhere may arrive late, or the audit ' +
        'record takes no more.',
      reply: HEALTH,
      refusals: [],
    },
    async ({ caller }) => {
      const body = await describe(parts, caller)
      const reply: RouteReply =
        body.status === 'unavailable'
          ? { status: 503, body, headers: { 'retry-after': LOOK_AGAIN_S } }
          : { status: 200, body }
      return ok(reply)
    },
  )

async function describe(parts: ControlPlaneParts, caller: Caller | undefined): Promise<Health> {
  const { health, clock } = parts
  const store = await health.store()
  const draining = health.draining()
  const audit = health.audit()
  const credentialsReady = parts.identityReady()
  const ready = !draining && store.reachable && credentialsReady && !audit.full
  const databases = parts.databases.status()
  const isWhole = !audit.failing && databases.every(({ state }) => state !== 'down' && state !== 'refused')
  const status = ready ? (isWhole ? 'ok' : 'degraded') : 'unavailable'
  if (caller === undefined || !maySeeParts(caller)) return { status }
  const { grant } = caller
  return {
    status,
    ready,
    draining,
    version: parts.serverInfo.version,
    uptime_seconds: Math.floor((clock.now() - health.startedAt) / 1_000),
    store: storeJson(store, audit.failing),
    change_feed: { healthy: health.feedHealthy() },
    credentials: { ready: credentialsReady },
    audit: {
      waiting: audit.waiting,
      last_written_at: audit.lastWrittenAt === null ? null : new Date(audit.lastWrittenAt).toISOString(),
      behind: audit.failing || audit.full,
      full: audit.full,
    },
    databases: databases.filter(({ name }) => grant.databases === 'all' || grant.databases.includes(name)),
    servers: parts.upstreams
      .list()
      .map((upstream) => upstream.status())
      .filter(({ name }) => grant.servers === 'all' || grant.servers.includes(name))
      .map(({ name, state, problem }) => ({ name, state, problem })),
  }
}

/** Names and problems of the parts are of whoever runs the gateway: the first tenant. */
const maySeeParts = ({ grant }: Caller): boolean =>
  levelIncludes(grant.level, 'admin') && grant.tenant === FIRST_TENANT

/** The record is written all the time, so what became of its last write says whether the store takes any. */
const storeJson = (store: StoreHealth, writesFail: boolean): Health['store'] => ({
  kind: store.kind,
  reachable: store.reachable,
  writable: store.reachable && store.readOnly !== true && !writesFail,
  latency_ms: store.latencyMs,
  size_bytes: store.sizeBytes,
  schema_version: store.schemaVersion,
  problem: store.problem,
})
