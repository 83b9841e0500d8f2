import { z } from 'zod'
import { refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import { LEVELS } from '../../identity/grant.ts'
import { err, ok } from '../../lib/result.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { soleTenant } from '../within-grant.ts'

const SERVER = z.object({
  name: z.string(),
  transport: z.enum(['stdio', 'sse', 'streamable', 'stateless', 'unknown']),
  state: z.enum(['idle', 'up', 'failing']),
  revision: z.string().nullable(),
  probed_at: z.string().nullable(),
  since: z.string(),
  conversations: z.int(),
  running: z.int(),
  processes: z.int(),
  restarts: z.int(),
  retry_at: z.string().nullable(),
  problem: z.string().nullable(),
  tools: z.int(),
})

const TOOL = z.object({
  name: z.string(),
  level: z.enum(LEVELS),
  scopes: z.array(z.string()),
  filtered_out: z.boolean(),
})

const NAME = z.strictObject({ server: z.string().min(1).max(128) })

const unknown = () =>
  err(
    refusal('not_found', 'server', 'there is no MCP server with this name', {
      allowed: 'the names that GET /api/v1/admin/servers lists',
    }),
  )

const othersToo = () =>
  err(
    refusal('tenant_not_allowed', 'tenant', 'servers are shared with other tenants', {
      allowed: 'asking an administrator of the gateway to restart it',
    }),
  )

/** What is known of the MCP servers behind Postern, without asking them: never a credential, an address or a command. */
export function serverRoutes({ upstreams, backends }: ControlPlaneParts): readonly Route[] {
  const report = (upstream: Upstream): z.input<typeof SERVER> =>
    serverJson(upstream, backends.find(upstream.name)?.catalogue.size ?? 0)
  /** Who administers the gateway sees also what `authTokens` keeps for others; a tenant sees what it may use. */
  const sees = (caller: Caller, name: string): boolean => {
    const { servers } = caller.grant
    return soleTenant(caller) === undefined
      ? servers === 'all' || servers.includes(name)
      : backends.find(name)?.decideServer(caller).outcome === 'allow'
  }
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/api/v1/admin/servers',
        name: 'server.list',
        summary: 'Lists the MCP servers and the state of each',
        access: 'admin',
        status: 200,
        description: 'The servers in the order of the configuration; `tools` is how many are known by name.',
        reply: z.object({ servers: z.array(SERVER) }),
        refusals: ['level_too_low'],
      },
      ({ caller }) => {
        const seen = upstreams.list().filter(({ name }) => sees(caller, name))
        return ok({ status: 200, body: { servers: seen.map(report) } })
      },
    ),
    defineRoute(
      {
        method: 'GET',
        path: '/api/v1/admin/servers/{server}',
        name: 'server.show',
        summary: 'Shows one MCP server, and the rule of each of its tools that is known',
        access: 'admin',
        params: NAME,
        status: 200,
        description: 'The server; `known_tools` has what its lists have told so far.',
        reply: SERVER.extend({ known_tools: z.array(TOOL) }),
        refusals: ['level_too_low', 'not_found'],
      },
      ({ caller, params }) => {
        if (!sees(caller, params.server)) return unknown()
        const upstream = upstreams.find(params.server)
        const backend = backends.find(params.server)
        if (!upstream || !backend) return unknown()
        const known_tools = [...backend.catalogue.names()].toSorted().flatMap((name) => {
          const rule = backend.ruleOf(name)
          return rule
            ? { name, level: rule.level, scopes: rule.scopes, filtered_out: rule.filteredOut === true }
            : []
        })
        return ok({ status: 200, body: { ...report(upstream), known_tools } })
      },
    ),
    defineRoute(
      {
        method: 'POST',
        path: '/api/v1/admin/servers/{server}/restart',
        name: 'server.restart',
        summary: 'Ends every conversation with an MCP server and forgets what was found out about it',
        access: 'admin',
        administers: true,
        params: NAME,
        status: 200,
        description: 'The server, idle: the next request for it begins anew, without waiting for a retry.',
        reply: SERVER,
        refusals: ['level_too_low', 'tenant_not_allowed', 'not_found'],
      },
      ({ caller, params }) => {
        if (!sees(caller, params.server)) return unknown()
        // Callers of all tenants converse with it.
        if (soleTenant(caller) !== undefined) return othersToo()
        const upstream = upstreams.restart(params.server)
        return upstream ? ok({ status: 200, body: report(upstream), target: upstream.name }) : unknown()
      },
    ),
  ]
}

const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

function serverJson(upstream: Upstream, tools: number): z.input<typeof SERVER> {
  const status = upstream.status()
  return {
    name: status.name,
    transport: status.transport,
    state: status.state,
    revision: status.revision,
    probed_at: time(status.probedAt),
    since: new Date(status.since).toISOString(),
    conversations: status.conversations,
    running: status.running,
    processes: status.processes,
    restarts: status.restarts,
    retry_at: time(status.retryAt),
    problem: status.problem,
    tools,
  }
}
