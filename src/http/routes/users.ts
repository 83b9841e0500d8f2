import { z } from 'zod'
import { type Refusal, refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import { newUserJson, userJson } from '../../identity/users/user-json.ts'
import type { Acting, Role } from '../../identity/users/user.ts'
import { Secret } from '../../lib/secret.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { ControlContext } from '../control-context.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { administersTenant, refuseLessThanAll } from '../within-grant.ts'
import { EMAIL, PASSWORD, ROLE, roleOf, TENANT, USER, USERNAME } from './user-schemas.ts'

const NEW_USER = z.strictObject({
  username: USERNAME,
  password: PASSWORD,
  ...ROLE,
  email: EMAIL.optional(),
  tenant_id: TENANT.optional().describe("The caller's own when absent"),
})

const CHANGE = z.strictObject({
  ...ROLE,
  role: ROLE.role.describe('Ends what the user has open'),
  password: PASSWORD.optional().describe('Ends what the user has open'),
  disabled: z.boolean().optional().describe('Ends what the user has open'),
  email: EMAIL.nullable().optional(),
})

const ID = z.strictObject({ id: z.string().min(1).max(64) })
const OF_TENANT = z.strictObject({ tenant_id: TENANT.optional().describe("The caller's own when absent") })

const ADMIN = {
  access: 'admin',
  refusals: ['level_too_low', 'tenant_not_allowed', 'invalid_arguments', 'not_found'],
} as const

export const MAKING_REFUSALS = ['database_not_allowed', 'server_not_allowed', 'scope_missing'] as const

/** Administration of users, of the caller's own tenant unless the first tenant's administrators name another. */
export function userRoutes({ people }: ControlPlaneParts): readonly Route[] {
  const { users } = people
  return [
    defineRoute(
      {
        ...ADMIN,
        method: 'GET',
        path: '/api/v1/admin/users',
        name: 'user.list',
        summary: 'Lists the users of a tenant, oldest first',
        query: OF_TENANT,
        status: 200,
        description: 'The users.',
        reply: z.object({ users: z.array(USER) }),
      },
      async ({ caller, query }) => {
        const tenant = tenantOf(caller, query.tenant_id)
        if (!tenant.ok) return tenant
        return ok({ status: 200, body: { users: (await users.list(tenant.value)).map(userJson) } })
      },
    ),
    defineRoute(
      {
        ...ADMIN,
        method: 'POST',
        path: '/api/v1/admin/users',
        name: 'user.add',
        summary: 'Makes a user',
        administers: true,
        body: NEW_USER,
        status: 201,
        description: 'The user.',
        reply: z.object({ user_id: z.string(), ...USER.shape }),
        refusals: [...ADMIN.refusals, ...MAKING_REFUSALS, 'too_many_requests'],
      },
      async ({ caller, body, context }) => {
        const tenant = tenantOf(caller, body.tenant_id)
        if (!tenant.ok) return tenant
        const beyond = refuseLessThanAll(caller)
        if (beyond) return err(beyond)
        const role = readRole(body)
        if (!role.ok) return role
        const added = await users.add(
          {
            tenant: tenant.value,
            name: body.username,
            password: new Secret(body.password),
            role: role.value ?? 'reader',
            ...(body.email === undefined ? {} : { email: body.email }),
          },
          actingOf(caller, context),
        )
        if (!added.ok) return added
        return ok({ status: 201, body: newUserJson(added.value), target: added.value.id })
      },
    ),
    defineRoute(
      {
        ...ADMIN,
        method: 'PATCH',
        path: '/api/v1/admin/users/{id}',
        name: 'user.change',
        summary: 'Changes a user; another role or password ends what the user has open',
        administers: true,
        params: ID,
        query: OF_TENANT,
        body: CHANGE,
        status: 200,
        description: 'The user as it is now.',
        reply: USER,
        refusals: [...ADMIN.refusals, ...MAKING_REFUSALS, 'too_many_requests'],
      },
      async ({ caller, params, query, body, context }) => {
        const tenant = tenantOf(caller, query.tenant_id)
        if (!tenant.ok) return tenant
        // To shut somebody out hands nothing out.
        const beyond = isOnlyDisabling(body) ? null : refuseLessThanAll(caller)
        if (beyond) return err(beyond)
        const role = readRole(body)
        if (!role.ok) return role
        const change = {
          ...(role.value === undefined ? {} : { role: role.value }),
          ...(body.password === undefined ? {} : { password: new Secret(body.password) }),
          ...(body.disabled === undefined ? {} : { disabled: body.disabled }),
          ...(body.email === undefined ? {} : { email: body.email }),
        }
        const changed = await users.change(params.id, tenant.value, change, actingOf(caller, context))
        if (!changed.ok) return changed
        return ok({ status: 200, body: userJson(changed.value), target: changed.value.id })
      },
    ),
    defineRoute(
      {
        ...ADMIN,
        method: 'DELETE',
        path: '/api/v1/admin/users/{id}',
        name: 'user.delete',
        summary: 'Deletes a user and ends what the user has open',
        administers: true,
        params: ID,
        query: OF_TENANT,
        status: 204,
        description: 'Done.',
        reply: z.null(),
      },
      async ({ caller, params, query, context }) => {
        const tenant = tenantOf(caller, query.tenant_id)
        if (!tenant.ok) return tenant
        const removed = await users.remove(params.id, tenant.value, actingOf(caller, context))
        return removed.ok ? ok({ status: 204, body: null, target: removed.value.id }) : removed
      },
    ),
  ]
}

/** A user is looked at again in the transaction; a token is none, and cannot be deleted from under itself. */
export const actingOf = (
  { principal, credential, grant }: Caller,
  { remoteAddress }: ControlContext,
): Acting => ({
  userId: credential.kind === 'jwt' ? principal.id : null,
  tenant: grant.tenant,
  address: remoteAddress,
})

function tenantOf(caller: Caller, named: string | undefined): Result<string, Refusal> {
  const { tenant } = caller.grant
  if (named === undefined || administersTenant(caller, named)) return ok(named ?? tenant)
  return err(
    refusal('tenant_not_allowed', 'user.tenant', 'this credential administers its own tenant only', {
      allowed: `tenant ${tenant}`,
    }),
  )
}

const isOnlyDisabling = (change: z.infer<typeof CHANGE>): boolean =>
  change.disabled === true && Object.keys(change).length === 1

function readRole(body: Parameters<typeof roleOf>[0]): Result<Role | undefined, Refusal> {
  const { role, contradicts } = roleOf(body)
  return contradicts
    ? err(
        refusal('invalid_request', 'http.body', 'fields "role" and "admin" contradict each other: send one'),
      )
    : ok(role)
}
