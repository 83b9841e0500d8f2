import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { SAMPLE_PREFIX } from '../../src/databases/embedded/sample/protection.ts'
import { tenantKey } from '../../src/databases/tenancy/tenant-key.ts'
import { tenantRoles, type TenantRoles } from '../../src/databases/tenancy/tenant-roles.ts'
import { makeTenantSql } from '../../src/databases/tenancy/tenant-sql.ts'
import { type AsTenant, connectAsTenant } from './connect-as-tenant.ts'
import { type TestDatabase, testPostgres } from './postgres.ts'

/** The protected sample, with logins of tenants: what is left of an attack when no gate stands before it. */
export interface TenantLogins {
  readonly database: TestDatabase
  /** As the superuser. */
  readonly admin: Client
  readonly roles: TenantRoles
  readonly as: AsTenant
  drop(): Promise<void>
}

export async function tenantLogins(): Promise<TenantLogins> {
  const postgres = await testPostgres()
  const database = await postgres.createDatabase(undefined, { sample: true })
  const admin = new Client({ connectionString: database.url })
  await admin.connect()
  // Roles belong to the whole server: a key of its own makes names of its own.
  const roles = tenantRoles(tenantKey(randomBytes(32)), SAMPLE_PREFIX)
  const tenants = ['default', 'harbour']
  for (const tenant of tenants)
    for (const sql of makeTenantSql({ roles, prefix: SAMPLE_PREFIX, version: 18 }, tenant))
      await admin.query(sql)
  const open: Client[] = []
  return {
    database,
    admin,
    roles,
    as: connectAsTenant(database, roles, open),
    async drop() {
      await Promise.all(open.map((client) => client.end().catch(() => undefined)))
      await admin.query(`DELETE FROM ${SAMPLE_PREFIX}.tenant_roles`)
      await admin.end()
      await database.drop()
      const cleaner = new Client({ connectionString: postgres.url() })
      await cleaner.connect()
      for (const tenant of tenants)
        for (const kind of ['read', 'write'] as const)
          await cleaner.query(`DROP ROLE IF EXISTS ${roles.of(tenant, kind).name}`)
      await cleaner.end()
    },
  }
}
