import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { planProtection, type ProtectOptions } from '../../src/databases/tenancy/protect.ts'
import type { PlanProblems, PlanWarning, ProtectionPlan } from '../../src/databases/tenancy/plan.ts'
import { readProtectionFacts } from '../../src/databases/tenancy/read-facts.ts'
import { runPlan } from '../../src/databases/tenancy/run-plan.ts'
import { tenantKey } from '../../src/databases/tenancy/tenant-key.ts'
import { tenantRoles, type TenantRoles } from '../../src/databases/tenancy/tenant-roles.ts'
import { planUndo } from '../../src/databases/tenancy/undo.ts'
import type { Result } from '../../src/lib/result.ts'
import { type AsTenant, connectAsTenant } from './connect-as-tenant.ts'
import { type TestDatabase, testPostgres } from './postgres.ts'

/** A database of its own with roles of its own, to protect and to attack. */
export interface Protectable {
  readonly database: TestDatabase
  /** As the superuser. */
  readonly admin: Client
  readonly prefix: string
  readonly roles: TenantRoles
  plan(options?: Partial<ProtectOptions>, client?: Client): Promise<Result<ProtectionPlan, PlanProblems>>
  /** Plans and runs; throws where either fails. */
  protect(options?: Partial<ProtectOptions>, client?: Client): Promise<readonly PlanWarning[]>
  undo(): Promise<readonly PlanWarning[]>
  /** A connection as PostgreSQL gives one to a tenant: no gate, nothing but row security. */
  readonly as: AsTenant
  drop(): Promise<void>
}

const TENANTS = ['default', 'harbour']

export async function protectable(options: { readonly sample?: boolean } = {}): Promise<Protectable> {
  const postgres = await testPostgres()
  const database = await postgres.createDatabase(undefined, options)
  const admin = new Client({ connectionString: database.url })
  await admin.connect()
  // Roles belong to the whole server, which other test files use at the same time.
  const prefix = `t${randomBytes(5).toString('hex')}`
  const roles = tenantRoles(tenantKey(Buffer.alloc(32, 7)), prefix)
  const open: Client[] = []
  const factsFor = (client: Client, { column = 'tenant_id', keyColumns = [] }: Partial<ProtectOptions>) =>
    readProtectionFacts(client, { prefix, columns: [column, ...keyColumns.map(([, key]) => key)], roles: [] })
  const plan: Protectable['plan'] = async (more = {}, client = admin) =>
    planProtection(await factsFor(client, more), {
      prefix,
      roles,
      tenants: TENANTS,
      provisioner: null,
      column: 'tenant_id',
      schemas: ['public'],
      tables: null,
      shared: [],
      keyColumns: [],
      ...more,
    })
  const run = async (
    planned: Result<ProtectionPlan, PlanProblems>,
    client: Client,
  ): Promise<readonly PlanWarning[]> => {
    if (!planned.ok) throw new Error(planned.error.join('\n'))
    const ran = await runPlan(client, planned.value.statements)
    if (!ran.ok) throw new Error(`${ran.error.message} in ${ran.error.statement.sql}`)
    return planned.value.warnings
  }
  return {
    database,
    admin,
    prefix,
    roles,
    plan,
    protect: async (more, client = admin) => run(await plan(more, client), client),
    undo: async () => run(planUndo(await factsFor(admin, {}), { prefix, roles }), admin),
    as: connectAsTenant(database, roles, open),
    async drop() {
      await Promise.all(open.map((client) => client.end().catch(() => undefined)))
      await admin.end()
      await database.drop()
      const cleaner = new Client({ connectionString: postgres.url() })
      await cleaner.connect()
      const { rows } = await cleaner.query<{ name: string }>(
        'SELECT rolname AS name FROM pg_roles WHERE starts_with(rolname, $1) ORDER BY length(rolname) DESC',
        [prefix],
      )
      for (const { name } of rows) await cleaner.query(`DROP ROLE ${cleaner.escapeIdentifier(name)}`)
      await cleaner.end()
    },
  }
}
