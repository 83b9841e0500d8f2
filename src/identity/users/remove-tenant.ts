import { err, ok, type Result } from '../../lib/result.ts'
import { raiseRevision } from '../../store/changes.ts'
import { markTenantDeleted } from '../../store/tenants.ts'
import { revokeTokensOfTenant } from '../../store/tokens.ts'
import { removeUpstreamCredentialsOfTenant } from '../../store/upstream-credentials.ts'
import { removeUsersOfTenant } from '../../store/users.ts'
import { FIRST_TENANT } from '../first-tenant.ts'
import { refuseActing } from './acting.ts'
import type { RemovedTenant, Users } from './user.ts'
import type { UserPlaces } from './user-places.ts'
import { userRefusal, type UserRefusal } from './user-refusal.ts'

const noSuchTenant = (): UserRefusal =>
  userRefusal('not_found', 'tenant.id', 'there is no tenant with that id', {
    allowed: 'an id from the list of tenants',
  })

/**
 * Deletes a tenant with its users, its issued tokens and the credentials that they left for MCP servers: all of it in one
 * transaction, or none.
 */
export function removeTenant(places: UserPlaces): Users['removeTenant'] {
  return async (id, acting) => {
    if (id === FIRST_TENANT) {
      return err(
        userRefusal(
          'invalid_arguments',
          'tenant.first',
          `the tenant ${FIRST_TENANT} looks after the others and stays`,
        ),
      )
    }
    const now = places.clock.now()
    const removed = await places.store.change(
      'tenants',
      async (trx, revision): Promise<Result<RemovedTenant, UserRefusal>> => {
        // Each of these locks its topic (always in this order), so nobody adds to the tenant while it goes.
        const users = await raiseRevision(trx, 'users')
        const tokens = await raiseRevision(trx, 'tokens')
        const credentials = await raiseRevision(trx, 'upstream_credentials')
        const refused = await refuseActing(trx, acting)
        if (refused) return err(refused)
        const tenant = await markTenantDeleted(trx, id, now, revision)
        if (!tenant) return err(noSuchTenant())
        await removeUpstreamCredentialsOfTenant(trx, id, now, credentials)
        return ok({
          ...tenant,
          users: await removeUsersOfTenant(trx, id, now, users),
          tokens: await revokeTokensOfTenant(trx, id, now, tokens),
        })
      },
    )
    if (removed.ok) await places.takeOverTenant(id)
    return removed
  }
}
