import { z } from 'zod'
import { type Refusal, refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { Secret } from '../../lib/secret.ts'
import { checkCredential, LONGEST_CREDENTIAL } from '../../upstreams/credentials/check-value.ts'
import type { CredentialRecord } from '../../upstreams/credentials/stored.ts'
import type { UserCredentialPlace } from '../../upstreams/options.ts'
import { type CredentialPlace, placeOf } from '../../upstreams/user-credentials.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { administersTenant, soleTenant } from '../within-grant.ts'

const NAME = z.string().min(1).max(128)
const PRINCIPAL = z.string().min(1).max(256)
const OWN = z.strictObject({ server: NAME })
const ONE = z.strictObject({ server: NAME, principal: PRINCIPAL })
const OF_TENANT = z.strictObject({
  tenant: NAME.optional().describe('The tenant of the principal; your own when absent'),
})
const VALUE = z.strictObject({
  value: z
    .string()
    .min(1)
    .max(LONGEST_CREDENTIAL)
    .describe('The credential, such as a token for that server; it is never shown again'),
})

const RECORD = z.object({
  server: z.string(),
  tenant: z.string(),
  principal: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
})

const OWN_STATE = z.object({
  server: z.string(),
  present: z.boolean().describe('Whether you have left a credential'),
  required: z.boolean().describe('Whether the server cannot be used without one'),
  created_at: z.string().optional(),
  updated_at: z.string().optional(),
})

const REMOVED = z.object({ removed: z.boolean() })

const OWN_REFUSALS = ['server_not_allowed', 'not_found', 'conflict'] as const
const ADMIN_REFUSALS = [
  'level_too_low',
  'tenant_not_allowed',
  'server_not_allowed',
  'not_found',
  'conflict',
] as const

/** Credentials that principals leave for MCP servers. Values go in and never come out. */
export function serverCredentialRoutes(parts: ControlPlaneParts): readonly Route[] {
  return [...ownRoutes(parts), ...adminRoutes(parts)]
}

function ownRoutes({ backends, upstreams, credentials }: ControlPlaneParts): readonly Route[] {
  /** Whether the server takes credentials is told to those who may use it. */
  const place = (caller: Caller, server: string, requestId: string): Result<UserCredentialPlace, Refusal> => {
    const allowed = backends.server(caller, server, requestId)
    return allowed.ok ? takesCredentials(upstreams, server) : allowed
  }
  const path = '/api/v1/servers/{server}/credential'
  return [
    defineRoute(
      {
        method: 'GET',
        path,
        name: 'server.credential.show',
        summary: 'Tells whether you have left a credential for an MCP server',
        access: 'anyone',
        params: OWN,
        status: 200,
        description: 'Whether there is one, and since when; never its value.',
        reply: OWN_STATE,
        refusals: OWN_REFUSALS,
      },
      async ({ caller, params: { server }, context }) => {
        const where = place(caller, server, context.requestId)
        if (!where.ok) return where
        const record = await credentials.get(placeOf(caller, server))
        const { required } = where.value
        const times = record ? { created_at: time(record.createdAt), updated_at: time(record.updatedAt) } : {}
        return ok({ status: 200, body: { server, present: record !== undefined, required, ...times } })
      },
    ),
    defineRoute(
      {
        method: 'PUT',
        path,
        name: 'server.credential.set',
        summary: 'Leaves a credential of your own for an MCP server, in place of the one before',
        access: 'anyone',
        administers: true,
        params: OWN,
        body: VALUE,
        status: 200,
        description: 'What was kept, without its value. Your conversations with the server begin anew.',
        reply: RECORD,
        refusals: [...OWN_REFUSALS, 'invalid_arguments'],
      },
      async ({ caller, params: { server }, body, context }) => {
        const where = place(caller, server, context.requestId)
        if (!where.ok) return where
        return await keep(credentials, where.value, placeOf(caller, server), body.value)
      },
    ),
    defineRoute(
      {
        method: 'DELETE',
        path,
        name: 'server.credential.remove',
        summary: 'Removes your credential for an MCP server',
        access: 'anyone',
        administers: true,
        params: OWN,
        status: 200,
        description: 'Whether there was one. What was begun with it has ended.',
        reply: REMOVED,
        refusals: OWN_REFUSALS,
      },
      async ({ caller, params: { server }, context }) => {
        // Also of a server that takes none any more: whatever was left can be taken back.
        const allowed = backends.server(caller, server, context.requestId)
        if (!allowed.ok) return allowed
        return await take(credentials, placeOf(caller, server))
      },
    ),
  ]
}

function adminRoutes({ upstreams, credentials }: ControlPlaneParts): readonly Route[] {
  const path = '/api/v1/admin/servers/{server}/credentials'
  const of = (
    caller: Caller,
    { server, principal }: z.infer<typeof ONE>,
    tenant = caller.grant.tenant,
  ): Result<CredentialPlace, Refusal> => {
    if (!administersTenant(caller, tenant))
      return err(refusal('tenant_not_allowed', 'tenant', 'this credential administers its own tenant only'))
    const { servers } = caller.grant
    if (servers === 'all' || servers.includes(server)) return ok({ tenant, principal, server })
    // What others send to a server that it may not use would go there in the name of its own choice.
    return err(
      refusal('server_not_allowed', 'server', 'this credential may not use that server', {
        allowed: `servers ${servers.join(', ') || '(none)'}`,
      }),
    )
  }
  return [
    defineRoute(
      {
        method: 'GET',
        path,
        name: 'server.credential.list',
        summary: 'Lists who has left a credential for an MCP server',
        access: 'admin',
        params: OWN,
        status: 200,
        description: 'By tenant and principal, at most a thousand; never a value.',
        reply: z.object({ credentials: z.array(RECORD) }),
        refusals: ['level_too_low'],
      },
      async ({ caller, params: { server } }) => {
        const tenant = soleTenant(caller)
        const records = await credentials.list({ server, ...(tenant === undefined ? {} : { tenant }) })
        return ok({ status: 200, body: { credentials: records.map(recordJson) } })
      },
    ),
    defineRoute(
      {
        method: 'PUT',
        path: `${path}/{principal}`,
        takesRest: true,
        name: 'server.credential.set_for',
        summary: 'Leaves a credential for an MCP server on behalf of a principal',
        access: 'admin',
        administers: true,
        params: ONE,
        query: OF_TENANT,
        body: VALUE,
        status: 200,
        description: 'What was kept, without its value. The conversations of the principal begin anew.',
        reply: RECORD,
        refusals: [...ADMIN_REFUSALS, 'invalid_arguments'],
      },
      async ({ caller, params, query, body }) => {
        const target = of(caller, params, query.tenant)
        if (!target.ok) return target
        const where = takesCredentials(upstreams, params.server)
        return where.ok ? await keep(credentials, where.value, target.value, body.value) : where
      },
    ),
    defineRoute(
      {
        method: 'DELETE',
        path: `${path}/{principal}`,
        takesRest: true,
        name: 'server.credential.remove_for',
        summary: 'Removes what a principal left for an MCP server',
        access: 'admin',
        administers: true,
        params: ONE,
        query: OF_TENANT,
        status: 200,
        description: 'Whether there was one. What was begun with it has ended.',
        reply: REMOVED,
        refusals: ['level_too_low', 'tenant_not_allowed', 'server_not_allowed'],
      },
      async ({ caller, params, query }) => {
        const target = of(caller, params, query.tenant)
        return target.ok ? await take(credentials, target.value) : target
      },
    ),
  ]
}

function takesCredentials(
  upstreams: ControlPlaneParts['upstreams'],
  server: string,
): Result<UserCredentialPlace, Refusal> {
  const upstream = upstreams.find(server)
  if (!upstream) return err(refusal('not_found', 'server', 'there is no MCP server with this name'))
  const { userCredential } = upstream.options
  if (userCredential) return ok(userCredential)
  const message = `MCP server "${server}" takes no credentials of principals`
  return err(refusal('conflict', 'upstream_credential', message, { allowed: 'servers with userCredential' }))
}

async function keep(
  credentials: ControlPlaneParts['credentials'],
  where: UserCredentialPlace,
  place: CredentialPlace,
  value: string,
) {
  const wrong = checkCredential(where, value)
  if (wrong !== null) return err(refusal('invalid_arguments', 'upstream_credential', wrong))
  const record = await credentials.put(place, new Secret(value))
  if (!record)
    return err(refusal('conflict', 'upstream_credential', `the tenant "${place.tenant}" was deleted`))
  return ok({ status: 200, body: recordJson(record), target: targetOf(place) })
}

async function take(credentials: ControlPlaneParts['credentials'], place: CredentialPlace) {
  const removed = await credentials.remove(place)
  return ok({ status: 200, body: { removed }, target: targetOf(place) })
}

/** Server and principal, for the record. */
const targetOf = ({ server, principal }: CredentialPlace): string => `${server} ${principal}`.slice(0, 256)

const time = (ms: number): string => new Date(ms).toISOString()

const recordJson = (record: CredentialRecord): z.input<typeof RECORD> => ({
  server: record.server,
  tenant: record.tenant,
  principal: record.principal,
  created_at: time(record.createdAt),
  updated_at: time(record.updatedAt),
})
