import { z } from 'zod'
import { type Refusal, refusal } from '../../access/refusal.ts'
import { newUserJson, tenantJson } from '../../identity/users/user-json.ts'
import { Secret } from '../../lib/secret.ts'
import { err, ok } from '../../lib/result.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { administersTenant, refuseLessThanAll, soleTenant } from '../within-grant.ts'
import { EMAIL, PASSWORD, TENANT, USER, USERNAME } from './user-schemas.ts'
import { actingOf, MAKING_REFUSALS } from './users.ts'

const NEW_TENANT = z.strictObject({
  tenant_id: TENANT.describe('Small letters, digits, - and _'),
  username: USERNAME,
  password: PASSWORD,
  email: EMAIL.optional(),
})

/** The same for a tenant that is there and for one that is not. */
const firstTenantOnly = (rule: string, own: string): Refusal =>
  refusal('tenant_not_allowed', rule, 'only administrators of the first tenant make and delete others', {
    allowed: `tenant ${own}`,
  })

/** Tenants: made and deleted by administrators of the first one, each with an administrator of its own. */
export function tenantRoutes({ people }: ControlPlaneParts): readonly Route[] {
  const { users } = people
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/api/v1/admin/tenants',
        name: 'tenant.list',
        summary: 'Lists the tenants: all of them for administrators of the first one, otherwise the own one',
        access: 'admin',
        status: 200,
        description: 'The tenants.',
        reply: z.object({ tenants: z.array(z.object({ tenant_id: z.string(), created_at: z.int() })) }),
        refusals: ['level_too_low'],
      },
      async ({ caller }) => {
        const tenants = (await users.listTenants()).filter(({ id }) => administersTenant(caller, id))
        return ok({ status: 200, body: { tenants: tenants.map(tenantJson) } })
      },
    ),
    defineRoute(
      {
        method: 'POST',
        path: '/api/v1/admin/tenants',
        name: 'tenant.add',
        summary: 'Makes a tenant and its first administrator',
        access: 'admin',
        administers: true,
        body: NEW_TENANT,
        status: 201,
        description: 'The administrator of the new tenant.',
        reply: z.object({ user_id: z.string(), ...USER.shape }),
        refusals: [
          'level_too_low',
          'tenant_not_allowed',
          ...MAKING_REFUSALS,
          'invalid_arguments',
          'conflict',
          'too_many_requests',
        ],
      },
      async ({ caller, body, context }) => {
        const sole = soleTenant(caller)
        if (sole !== undefined) return err(firstTenantOnly('tenant.add', sole))
        const beyond = refuseLessThanAll(caller)
        if (beyond) return err(beyond)
        const added = await users.add(
          {
            tenant: body.tenant_id,
            name: body.username,
            password: new Secret(body.password),
            role: 'admin',
            ...(body.email === undefined ? {} : { email: body.email }),
          },
          actingOf(caller, context),
          { withTenant: true },
        )
        if (!added.ok) return added
        return ok({ status: 201, body: newUserJson(added.value), target: added.value.tenant })
      },
    ),
    defineRoute(
      {
        method: 'DELETE',
        path: '/api/v1/admin/tenants/{id}',
        name: 'tenant.delete',
        summary: 'Deletes a tenant with its users and tokens, for ever, and ends what they have open',
        access: 'admin',
        administers: true,
        params: z.strictObject({ id: TENANT }),
        status: 204,
        description: 'Done.',
        reply: z.null(),
        refusals: ['level_too_low', 'tenant_not_allowed', 'invalid_arguments', 'not_found'],
      },
      async ({ caller, params, context }) => {
        const sole = soleTenant(caller)
        if (sole !== undefined) return err(firstTenantOnly('tenant.delete', sole))
        const removed = await users.removeTenant(params.id, actingOf(caller, context))
        return removed.ok ? ok({ status: 204, body: null, target: removed.value.id }) : removed
      },
    ),
  ]
}
