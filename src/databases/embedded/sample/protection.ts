import type { Client } from 'pg'
import { isOwnRow, isTenantSession } from '../../tenancy/policies.ts'
import { planProtection, type ProtectOptions } from '../../tenancy/protect.ts'
import { readFactsHere } from '../../tenancy/read-facts.ts'
import { tenantRoles } from '../../tenancy/tenant-roles.ts'

/** What the roles of tenants and the schema of Postern in the sample begin with. */
export const SAMPLE_PREFIX = 'postern'

/** The groups have the same names whatever the key; roles of tenants are made at their first use, with that of the installation. */
const GROUPS = tenantRoles(Buffer.alloc(32), SAMPLE_PREFIX)

const OPTIONS: ProtectOptions = {
  prefix: SAMPLE_PREFIX,
  roles: GROUPS,
  tenants: [],
  provisioner: null,
  column: 'tenant_id',
  schemas: ['public'],
  tables: null,
  shared: ['platforms'],
  keyColumns: [['tenants', 'id']],
}

/**
 * A materialized view cannot have row security, so tenants get a view of it that shows each its own rows. The barrier
 * keeps a function in a WHERE from being called with the rows of others.
 */
const REVENUE = `
CREATE VIEW monthly_revenue WITH (security_barrier = true) AS
SELECT tenant_id, month, category, revenue FROM monthly_revenue_all
WHERE CASE WHEN ${isTenantSession(SAMPLE_PREFIX)}
  THEN ${isOwnRow({ name: 'tenant_id', type: 'text', loose: false }, SAMPLE_PREFIX)} ELSE true END;
COMMENT ON VIEW monthly_revenue IS 'Revenue in Euro by tenant, month and product category, as of the last refresh';
`

/**
 * Protects the sample as `postern database protect sample --shared platforms --key-column tenants:id` would, makes the view
 * that needs it, and shares that, too.
 *
 * @param client as the superuser, in a transaction
 */
export async function protectSample(client: Client): Promise<void> {
  await protect(client, OPTIONS)
  await client.query('SET LOCAL search_path TO public')
  await client.query(REVENUE)
  await protect(client, { ...OPTIONS, shared: [...OPTIONS.shared, 'monthly_revenue'] })
  await client.query('SET LOCAL search_path TO public')
}

async function protect(client: Client, options: ProtectOptions): Promise<void> {
  const facts = await readFactsHere(client, {
    prefix: options.prefix,
    columns: [options.column, ...options.keyColumns.map(([, column]) => column)],
    roles: [],
  })
  const plan = planProtection(facts, options)
  if (!plan.ok) throw new Error(`the sample cannot be protected: ${plan.error.join('; ')}`)
  for (const { sql } of plan.value.statements) await client.query(sql)
}
