import { escapeIdentifier, escapeLiteral } from 'pg'
import type { TenantRole, TenantRoles } from './tenant-roles.ts'

/** The schema that holds what Postern keeps in a protected database has the name of the prefix of its roles. */
export interface TenantSqlContext {
  readonly roles: TenantRoles
  readonly prefix: string
  /** Major version of the server, such as 18: before 16, a membership has no options. */
  readonly version: number
}

const KINDS = ['read', 'write'] as const

/** The first version in which a member may have the rights of a group without being able to become it. */
const MEMBERSHIP_OPTIONS = 16

/**
 * Makes the roles of one tenant, or makes them right again: statements for one transaction, the same each time. They
 * hold verifiers and no password. Two processes may run them at once.
 */
export function makeTenantSql({ roles, prefix, version }: TenantSqlContext, tenant: string): string[] {
  const { readers, writers } = roles.groups
  return KINDS.flatMap((kind) => {
    const role = roles.of(tenant, kind)
    return [
      makeRole(role),
      grantGroup(kind === 'read' ? readers : writers, role.name, version),
      `INSERT INTO ${escapeIdentifier(prefix)}.tenant_roles (role_name, tenant) VALUES (${escapeLiteral(role.name)}, ${escapeLiteral(tenant)})` +
        ' ON CONFLICT (role_name) DO UPDATE SET tenant = EXCLUDED.tenant',
    ]
  })
}

/**
 * What a role needs to run `makeTenantSql`, beside CREATEROLE. It gets no rights of a tenant's: it may hand the groups
 * on and not use them.
 */
export function provisionerSql(
  { roles, prefix, version }: TenantSqlContext,
  provisioner: string,
): readonly string[] {
  const { readers, writers } = roles.groups
  const schema = escapeIdentifier(prefix)
  const role = escapeIdentifier(provisioner)
  const options =
    version >= MEMBERSHIP_OPTIONS ? 'WITH ADMIN TRUE, INHERIT FALSE, SET FALSE' : 'WITH ADMIN OPTION'
  return [
    `GRANT ${escapeIdentifier(readers)}, ${escapeIdentifier(writers)} TO ${role} ${options}`,
    `GRANT USAGE ON SCHEMA ${schema} TO ${role}`,
    `GRANT SELECT, INSERT, UPDATE ON ${schema}.tenant_roles TO ${role}`,
  ]
}

/**
 * There is no `CREATE ROLE IF NOT EXISTS`; somebody else may make it at the same moment. One that is there may have
 * another password or settings for its next login: a role can always change these of itself.
 */
function makeRole({ name, verifier }: TenantRole): string {
  const role = escapeIdentifier(name)
  const password = escapeLiteral(verifier)
  return `DO $make$ BEGIN
  CREATE ROLE ${role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT PASSWORD ${password};
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  ALTER ROLE ${role} LOGIN INHERIT PASSWORD ${password};
  ALTER ROLE ${role} RESET ALL;
  EXECUTE format('ALTER ROLE ${role} IN DATABASE %I RESET ALL', current_database());
END $make$`
}

/** `SET FALSE`: a tenant's role has what the group was granted and cannot become the group. */
const grantGroup = (group: string, member: string, version: number): string =>
  `GRANT ${escapeIdentifier(group)} TO ${escapeIdentifier(member)}${version >= MEMBERSHIP_OPTIONS ? ' WITH INHERIT TRUE, SET FALSE' : ''}`
