import { escapeIdentifier } from 'pg'
import type { PlannedStatement } from './plan.ts'
import type { ProtectionFacts } from './protection-facts.ts'

/**
 * The schema of our own: who belongs to which tenant, which only the function may look up, and what was protected,
 * which everybody may read.
 */
export function ownSchema(facts: ProtectionFacts, prefix: string): readonly PlannedStatement[] {
  const schema = escapeIdentifier(prefix)
  const body = `SELECT tenant FROM ${schema}.tenant_roles WHERE role_name = session_user`
  return [
    ...(facts.ownSchema === 'absent'
      ? [{ sql: `CREATE SCHEMA ${schema}`, why: 'a schema of its own for what Postern keeps here' }]
      : []),
    {
      sql: `CREATE TABLE IF NOT EXISTS ${schema}.tenant_roles (role_name name PRIMARY KEY, tenant text NOT NULL)`,
      why: 'which role is of which tenant; granted to nobody',
    },
    {
      sql: `CREATE TABLE IF NOT EXISTS ${schema}.protected_relations (
  relation regclass PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('tenant', 'shared', 'view')),
  column_name name,
  row_security boolean NOT NULL,
  forced boolean NOT NULL,
  security_invoker text
)`,
      why: 'what is protected and shared, and how it was before, so that it can be undone',
    },
    ...(facts.vanished > 0
      ? [
          {
            sql: `DELETE FROM ${schema}.protected_relations WHERE relation NOT IN (SELECT oid FROM pg_class)`,
            why: 'tables that are no longer there',
          },
        ]
      : []),
    {
      sql: `CREATE OR REPLACE FUNCTION ${schema}.tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$${body}$$`,
      why: 'the tenant of a session: of the role that logged in, which no statement can change',
    },
    {
      sql: `REVOKE ALL ON ${schema}.tenant_roles, ${schema}.protected_relations FROM PUBLIC`,
      why: 'default privileges may have granted more',
    },
    {
      sql: `GRANT USAGE ON SCHEMA ${schema} TO PUBLIC`,
      why: 'the policies call the function for everybody, and Postern looks at what is protected',
    },
    { sql: `GRANT SELECT ON ${schema}.protected_relations TO PUBLIC`, why: 'the same' },
    { sql: `GRANT EXECUTE ON FUNCTION ${schema}.tenant() TO PUBLIC`, why: 'the same' },
  ]
}
