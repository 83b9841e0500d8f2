import { FIRST_TENANT } from '../src/identity/first-tenant.ts'
import type { Settings } from '../src/config/settings.ts'
import type { Links } from '../src/identity/oidc/links.ts'
import type { Users } from '../src/identity/users/user.ts'
import type { UserRefusal } from '../src/identity/users/user-refusal.ts'
import type { Result } from '../src/lib/result.ts'
import { accountName } from './account-name.ts'
import type { ExitCode, Given, Invocation } from './command.ts'
import { withAudit } from './with-audit.ts'

export interface PeopleDesk {
  /** The same users; each change of them, and each refused one, is an entry of the audit. */
  readonly users: Users
  /** Likewise. */
  readonly links: Links
  readonly settings: Settings
}

/**
 * Opens the store and the users in it beside a gateway that may be running, lets `work` administer them, and closes
 * everything. What was done is in the audit before this returns; the gateway hears of it at once.
 */
export async function withPeople(
  invocation: Invocation,
  given: Given,
  work: (desk: PeopleDesk) => Promise<ExitCode>,
): Promise<ExitCode> {
  return await withAudit(invocation, given, async ({ settings, store, audit, observe }) => {
    const [{ openIdentity }, { peopleOptions }] = await Promise.all([
      import('../src/identity/open.ts'),
      import('../src/people-options.ts'),
    ])
    const { clock } = invocation
    const identity = await openIdentity({
      store,
      staticTokens: [],
      tokenFile: null,
      enabled: true,
      clock,
      observe,
      tenantDefault: FIRST_TENANT,
      people: peopleOptions(settings),
      purpose: 'manage',
    })
    const { users, links } = identity.people
    const record = <T>(
      action: string,
      result: Result<T, UserRefusal>,
      target?: string,
      tenant?: string,
    ): void => {
      audit.record({
        kind: 'administration',
        outcome: result.ok ? 'done' : 'refuse',
        at: clock.now(),
        principal: `local:${accountName()}`,
        wire: 'cli',
        action,
        // What was typed is recorded only where it named somebody: it could be a password by mistake.
        ...(result.ok && target !== undefined ? { target } : {}),
        ...(result.ok && tenant !== undefined ? { tenant } : {}),
        ...(result.ok ? {} : { rule: result.error.rule }),
      })
    }
    try {
      return await work({
        settings,
        links: {
          list: () => links.list(),
          async link(userId, account, acting) {
            const linked = await links.link(userId, account, acting)
            record('user.link', linked, userId, linked.ok ? linked.value.tenant : undefined)
            return linked
          },
          async unlink(account, acting) {
            const unlinked = await links.unlink(account, acting)
            const user = unlinked.ok ? unlinked.value : null
            record('user.unlink', unlinked, user?.id, user?.tenant)
            return unlinked
          },
        },
        users: {
          list: (tenant) => users.list(tenant),
          find: (id) => users.find(id),
          findByName: (name, tenant) => users.findByName(name, tenant),
          listTenants: () => users.listTenants(),
          async add(input, acting, options) {
            const added = await users.add(input, acting, options)
            record('user.add', added, added.ok ? added.value.id : undefined, input.tenant)
            return added
          },
          async change(id, tenant, change, acting) {
            const changed = await users.change(id, tenant, change, acting)
            const { password } = change
            record(password ? 'user.reset_password' : 'user.change', changed, id, tenant)
            return changed
          },
          async remove(id, tenant, acting) {
            const removed = await users.remove(id, tenant, acting)
            record('user.delete', removed, id, removed.ok ? removed.value.tenant : undefined)
            return removed
          },
          async removeTenant(id, acting) {
            const removed = await users.removeTenant(id, acting)
            record('tenant.delete', removed, id, id)
            return removed
          },
          async addTenant(id) {
            const added = await users.addTenant(id)
            record('tenant.add', added, id, id)
            return added
          },
        },
      })
    } finally {
      await identity.close()
    }
  })
}
