import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testPostgres, type TestDatabase } from '../../../test/support/postgres.ts'
import { tenantRoles } from './tenant-roles.ts'
import { makeTenantSql, provisionerSql, type TenantSqlContext } from './tenant-sql.ts'

const prefix = 'postern_test_sql'
const roles = tenantRoles(Buffer.alloc(32, 3), prefix)
const context: TenantSqlContext = { roles, prefix, version: 18 }
const provisioner = `${prefix}_provisioner`
const made = ['harbour', "it's"].flatMap((tenant) =>
  (['read', 'write'] as const).map((kind) => roles.of(tenant, kind).name),
)

let database: TestDatabase
let superuser: Client
beforeAll(async () => {
  const postgres = await testPostgres()
  database = await postgres.createDatabase()
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  await superuser.query(`
    CREATE ROLE ${roles.groups.readers}; CREATE ROLE ${roles.groups.writers};
    CREATE SCHEMA ${prefix}; CREATE TABLE ${prefix}.tenant_roles (role_name name PRIMARY KEY, tenant text NOT NULL);
    CREATE ROLE ${provisioner} LOGIN CREATEROLE PASSWORD 'provisioner-1'`)
  for (const sql of provisionerSql(context, provisioner)) await superuser.query(sql)
})
afterAll(async () => {
  await superuser.end()
  await database.drop()
  const last = new Client({ connectionString: (await testPostgres()).url() })
  await last.connect()
  await last.query(
    `DROP ROLE IF EXISTS ${[...made, provisioner, roles.groups.readers, roles.groups.writers].join(', ')}`,
  )
  await last.end()
})

async function asProvisioner(statements: readonly string[]): Promise<void> {
  const { host, port } = await testPostgres()
  const client = new Client({
    host,
    port,
    database: database.name,
    user: provisioner,
    password: 'provisioner-1',
  })
  await client.connect()
  try {
    await client.query('BEGIN')
    for (const sql of statements) await client.query(sql)
    await client.query('COMMIT')
  } finally {
    await client.end()
  }
}

describe('the roles of one tenant', () => {
  it('are the same statements each time, without a password', () => {
    const text = makeTenantSql(context, 'harbour').join(';\n')
    expect(makeTenantSql(context, 'harbour').join(';\n')).toBe(text)
    for (const kind of ['read', 'write'] as const)
      expect(text).not.toContain(roles.of('harbour', kind).password.reveal())
    expect(makeTenantSql({ ...context, version: 15 }, 'harbour').join()).not.toContain('SET FALSE')
  })

  it('can be made by a role that may do nothing else there, twice, whatever the tenant is called', async () => {
    for (const tenant of ['harbour', "it's", 'harbour']) await asProvisioner(makeTenantSql(context, tenant))
    const { rows } = await superuser.query(
      `SELECT t.tenant, g.rolname AS "group", r.rolcanlogin, r.rolsuper, r.rolbypassrls, m.inherit_option, m.set_option
       FROM ${prefix}.tenant_roles t JOIN pg_roles r ON r.rolname = t.role_name
       JOIN pg_auth_members m ON m.member = r.oid JOIN pg_roles g ON g.oid = m.roleid ORDER BY 1, 2`,
    )
    const row = (tenant: string, group: string): object => ({
      tenant,
      group,
      rolcanlogin: true,
      rolsuper: false,
      rolbypassrls: false,
      inherit_option: true,
      set_option: false,
    })
    const { readers, writers } = roles.groups
    expect(rows).toEqual([
      row('harbour', readers),
      row('harbour', writers),
      row("it's", readers),
      row("it's", writers),
    ])
  })
})
