import { err, ok, type Result } from '../../lib/result.ts'
import { refuseTenantId } from '../users/tenant-id.ts'
import { type Role, ROLES } from '../users/user.ts'
import { userRefusal, type UserRefusal } from '../users/user-refusal.ts'
import type { Person } from './person.ts'
import type { OidcProvider } from './provider.ts'

/** What somebody is here, by what the provider says. */
export interface Settled {
  readonly role: Role
  readonly tenant: string
}

/** Decides by the groups. Nobody is let in, and nobody is an administrator, for want of a rule. */
export function settle(
  person: Person,
  provider: OidcProvider,
  tenantDefault: string,
): Result<Settled, UserRefusal> {
  // A name made of an address is that of whoever could write it there, unless it was verified.
  const needsEmail = provider.requireVerifiedEmail || provider.usernameClaim === provider.emailClaim
  if (needsEmail && person.email === null) {
    return refused('oidc.email', 'the provider has not verified the e-mail address of this account')
  }
  const role = ROLES.find((one) => provider.roles[one].some((group) => person.groups.includes(group)))
  if (role === undefined) {
    return refused('oidc.role', 'this account is in no group that has a role here', GROUP_HELP)
  }
  const tenant = tenantOf(person, provider, tenantDefault)
  if (!tenant.ok) return tenant
  if (provider.tenantClaim !== null && role === 'admin' && tenant.value === tenantDefault) {
    // Administrators of the first tenant make and see all the others: a claim alone must not make one.
    return refused(
      'oidc.first_tenant',
      `a claim makes nobody an administrator of the tenant ${tenantDefault}: only a group can`,
    )
  }
  return ok({ role, tenant: tenant.value })
}

function tenantOf(
  { groups, tenant }: Person,
  { tenants, tenantClaim }: OidcProvider,
  tenantDefault: string,
): Result<string, UserRefusal> {
  if (tenantClaim !== null) {
    if (tenant !== null && refuseTenantId(tenant) === null) return ok(tenant)
    return refused('oidc.tenant', 'the provider says no tenant of this account that could be one here')
  }
  if (tenants.length === 0) return ok(tenantDefault)
  const [first, ...others] = tenants.filter((one) => one.groups.some((group) => groups.includes(group)))
  if (first === undefined)
    return refused('oidc.tenant', 'this account is in no group of a tenant', GROUP_HELP)
  return others.length === 0
    ? ok(first.name)
    : refused('oidc.tenant', 'this account is in groups of several tenants, and a user is of one', GROUP_HELP)
}

const GROUP_HELP = 'ask those who keep the groups at the provider'

const refused = (rule: string, message: string, allowed?: string): Result<never, UserRefusal> =>
  err(userRefusal('sign_in_refused', rule, message, allowed === undefined ? {} : { allowed }))
