import type { LoginFor } from '../logins.ts'
import { tenantLogins } from '../logins.ts'
import type { DatabaseContext, DatabaseOptions } from '../options.ts'
import { provisioner } from './provision.ts'
import { type TenantGroups, type TenantRoles, tenantRoles } from './tenant-roles.ts'
import { UnreadyTenants } from './unready-tenants.ts'

/** What those who describe a protected database have to know of it. */
export interface TenantView extends TenantGroups {
  /** The schema of Postern's own in it. */
  readonly schema: string
}

/** What a protected database has beyond any other. */
export interface Tenancy {
  readonly prefix: string
  readonly roles: TenantRoles
  readonly loginFor: LoginFor
  readonly unready: UnreadyTenants
  readonly provision: ((tenant: string) => Promise<void>) | null
}

/**
 * @returns `null` for a database that is not protected
 * @throws TypeError for a protected one without a key: its tenants would have no roles
 */
export function openTenancy(
  options: DatabaseOptions,
  { clock, observe, tenantKey }: Pick<DatabaseContext, 'clock' | 'observe' | 'tenantKey'>,
  track: (cancel: Promise<void>) => void,
): Tenancy | null {
  if (options.tenancy === undefined || options.tenancy === null) return null
  if (tenantKey === undefined) throw new TypeError('a protected database needs the key of its roles')
  const { rolePrefix: prefix, provisioner: login } = options.tenancy
  const roles = tenantRoles(tenantKey, prefix)
  return {
    prefix,
    roles,
    loginFor: tenantLogins(roles),
    unready: new UnreadyTenants({ database: options.name, clock, observe }),
    provision:
      login === null ? null : provisioner({ options, provisioner: login, prefix, roles, clock, track }),
  }
}
