import type { Secret } from '../lib/secret.ts'
import type { ConnectionKind } from './connection.ts'
import type { DatabaseOptions } from './options.ts'
import type { TenantRoles } from './tenancy/tenant-roles.ts'

/** What a connection logs in as, and for whom. */
export interface Login {
  readonly kind: ConnectionKind
  /** The tenant whose statements the connection is for, and no other's. */
  readonly tenant: string
  readonly user: string
  readonly password: Secret | null
}

export type LoginFor = (kind: ConnectionKind, tenant: string) => Login

/** The roles of the configuration: what every tenant logs in as where a database does not keep them apart. */
export const configuredLogins =
  ({ user, password, writer }: Pick<DatabaseOptions, 'user' | 'password' | 'writer'>): LoginFor =>
  (kind, tenant) =>
    kind === 'write' && writer !== null ? { kind, tenant, ...writer } : { kind, tenant, user, password }

/** A role of the tenant's own, for each kind. */
export const tenantLogins =
  (roles: TenantRoles): LoginFor =>
  (kind, tenant) => {
    const { name, password } = roles.of(tenant, kind)
    return { kind, tenant, user: name, password }
  }
