import { Client } from 'pg'
import type { TenantRoles } from '../../src/databases/tenancy/tenant-roles.ts'
import { type TestDatabase, testPostgres } from './postgres.ts'

export type AsTenant = (tenant: string, kind?: 'read' | 'write') => Promise<Client>

/** Connections as PostgreSQL gives them to tenants, each put into `open` for whoever ends them. */
export function connectAsTenant(database: TestDatabase, roles: TenantRoles, open: Client[]): AsTenant {
  return async (tenant, kind = 'write') => {
    const { name, password } = roles.of(tenant, kind)
    const { host, port } = await testPostgres()
    const client = new Client({
      host,
      port,
      database: database.name,
      user: name,
      password: password.reveal(),
    })
    client.on('error', () => undefined)
    await client.connect()
    open.push(client)
    return client
  }
}
