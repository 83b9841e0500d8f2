import { z } from 'zod'
import { levelIncludes } from '../../access/decide.ts'
import { ok } from '../../lib/result.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'

const HEALTH = z.object({
  status: z.enum(['ok', 'degraded']),
  version: z.string().optional(),
  credentials: z.object({ ready: z.boolean() }).optional(),
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

/** A bare word for everybody; what is up and what is not, for an administrator. */
export function healthRoutes(parts: ControlPlaneParts): readonly Route[] {
  const health = (path: string, name: string): Route =>
    defineRoute(
      {
        method: 'GET',
        path,
        name,
        summary: 'Tells whether the gateway lives; the state of each part for an administrator',
        access: 'public',
        status: 200,
        description:
          '`degraded` when a database is away or revocations made elsewhere may arrive late. MCP servers do not ' +
          "count: each is somebody else's, and the others go on without it.",
        reply: HEALTH,
        refusals: [],
      },
      ({ caller }) => {
        const databases = parts.databases.status()
        const ready = parts.identityReady()
        const well = ready && databases.every(({ state }) => state !== 'down' && state !== 'refused')
        const status = well ? 'ok' : 'degraded'
        if (caller === undefined || !levelIncludes(caller.grant.level, 'admin')) {
          return ok({ status: 200, body: { status } })
        }
        const { version } = parts.serverInfo
        const servers = parts.upstreams.list().map((upstream) => {
          const { name, state, problem } = upstream.status()
          return { name, state, problem }
        })
        return ok({ status: 200, body: { status, version, credentials: { ready }, databases, servers } })
      },
    )
  return [health('/health', 'health'), health('/api/v1/health', 'health.api')]
}
