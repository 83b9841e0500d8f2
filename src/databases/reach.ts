import { FIRST_TENANT } from '../identity/first-tenant.ts'
import type { Allowed, Grant } from '../identity/grant.ts'
import type { DatabaseOptions } from './options.ts'

/** A database that does not keep tenants apart is the first tenant's, unless the operator says otherwise. */
const servedTenants = ({ tenants, tenancy }: Pick<DatabaseOptions, 'tenants' | 'tenancy'>): Allowed =>
  tenants ?? (tenancy === undefined || tenancy === null ? [FIRST_TENANT] : 'all')

/** The databases of a grant without those that are not for its tenant; `all` where none is kept from it. */
export function databaseReach(
  databases: readonly Pick<DatabaseOptions, 'name' | 'tenants' | 'tenancy'>[],
): (grant: Grant) => Allowed {
  const names = databases.map(({ name }) => name)
  const tenantsOf = new Map(databases.map((each) => [each.name, servedTenants(each)]))
  return ({ tenant, databases: granted }) => {
    const isOpen = (name: string): boolean => {
      const tenants = tenantsOf.get(name) ?? 'all'
      return tenants === 'all' || tenants.includes(tenant)
    }
    const listed = granted === 'all' ? names : granted
    return listed.every(isOpen) ? granted : listed.filter(isOpen)
  }
}
